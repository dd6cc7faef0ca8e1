#!/usr/bin/env bats
# swbundle init, and templates that were written for other generators.
load helper

@test "a project of swbundle init builds, signs and installs as it is" {
	slots
	swbundle init project
	swbundle lint --strict project/sw-description
	cd project
	swbundle keygen --dir keys
	swbundle build sw-description --key keys/swinstall.key.pem --cert keys/swinstall.cert.pem -o update.swu
	cp keys/swinstall.cert.pem ../demo.cert.pem
	swinstall -f ../device.cfg update.swu
	boots_in=$(cat ../bootenv)
	[[ $boots_in == *bootslot=b* ]]
	cmp -n "$(stat -c %s rootfs.img)" rootfs.img ../slot-b
}

@test "a project of swbundle init --swupdate installs in both programs" {
	need swupdate
	swbundle init --swupdate project
	cd project
	printf 'DEVICE1=%s\nDEVICE2=%s\n' "$T/one" "$T/two" >devices
	truncate -s 64K "$T/one" "$T/two"
	swbundle keygen --dir keys >/dev/null
	swbundle build sw-description --vars devices --key keys/swinstall.key.pem --cert keys/swinstall.cert.pem -o update.swu
	fails 0 peer -k keys/swinstall.cert.pem -H board:1.0 -e stable,copy2 -i update.swu
	cmp -n "$(stat -c %s rootfs.img)" rootfs.img "$T/two"
	echo 'x=1' >"$T/bootenv"
	mkdir -m 700 "$T/state"
	printf 'globals : { bootloader = "file"; bootenv-path = "%s"; state-dir = "%s"; };\n' "$T/bootenv" "$T/state" >"$T/c.cfg"
	swinstall -f "$T/c.cfg" -k keys/swinstall.cert.pem -H board:1.0 -e stable,copy1 update.swu
	cmp -n "$(stat -c %s rootfs.img)" rootfs.img "$T/one"
}

# auto_device [ROOT]: two copies that take turns, each with its SET,MODE; copy 1 runs
auto_device() {
	truncate -s 64K one two
	mkdir -m 700 state
	echo 'slot=1' >bootenv
	cat >device.cfg <<-C
		globals : { public-key-file = "$T/project/keys/swinstall.cert.pem"; bootloader = "file"; bootenv-path = "$T/bootenv";
			state-dir = "$T/state"; select = "auto"; slots = (
			{ name = "1"; rootfs = "$T/one"; select = "stable,copy1"; env = { slot = "1"; }; },
			{ name = "2"; rootfs = "$T/two"; ${1-select = \"stable,copy2\";} env = { slot = "2"; }; }); };
	C
}

@test "select = auto: the bundle of init --swupdate goes into the copy that does not run, by turns, without -e" {
	auto_device
	swbundle init --swupdate project
	(cd project && printf 'DEVICE1=%s\nDEVICE2=%s\n' "$T/one" "$T/two" >devices && swbundle keygen --dir keys >/dev/null &&
		swbundle build sw-description --vars devices --key keys/swinstall.key.pem --cert keys/swinstall.cert.pem -o update.swu)
	run swinstall -f device.cfg -H board:1.0 project/update.swu
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
	says "slot 2 is free: select stable,copy2"
	cmp -n "$(stat -c %s project/rootfs.img)" project/rootfs.img two
	cmp one <(head -c 65536 /dev/zero)
	grep -qx 'slot=2' bootenv
	# copy 2 runs now: the next one goes into copy 1
	swinstall -f device.cfg -H board:1.0 project/update.swu
	cmp -n "$(stat -c %s project/rootfs.img)" project/rootfs.img one
	grep -qx 'slot=1' bootenv
	# what is said on the command line counts more
	swinstall -f device.cfg -H board:1.0 -e stable,copy2 project/update.swu
	grep -qx 'slot=2' bootenv
}

@test "select = auto without what it needs is refused with the fix, and writes nothing" {
	auto_device ''
	swbundle init --swupdate project
	(cd project && printf 'DEVICE1=%s\nDEVICE2=%s\n' "$T/one" "$T/two" >devices && swbundle keygen --dir keys >/dev/null &&
		swbundle build sw-description --vars devices --key keys/swinstall.key.pem --cert keys/swinstall.cert.pem -o update.swu)
	fails 1 swinstall -f device.cfg -H board:1.0 project/update.swu
	says E_SLOT; says "slot '2' has no select"; says 'add select'
	cmp two <(head -c 65536 /dev/zero)
	printf 'globals : { public-key-file = "%s"; bootloader = "none"; state-dir = "%s"; };\n' "$T/project/keys/swinstall.cert.pem" "$T/state" >bare.cfg
	fails 1 swinstall -f bare.cfg -H board:1.0 -e auto project/update.swu
	says E_SLOT; says "no list slots"
}

@test "init touches nothing that is there" {
	mkdir project; echo mine >project/README
	fails 1 swbundle init project
	says README
	[ "$(cat project/README)" = mine ]
}

# Templates of meta-swupdate and swugenerator ask for digests and sizes by calls.
@test "the calls of existing templates have the same answers as in Debian's swugenerator" {
	need swugenerator cpio
	keys; payload rootfs.img 12345
	cat >sw-description <<-'D'
		software =
		{
			version = "1.0";
			images: (
				{
					filename = "rootfs.img";
					device = "/dev/null";
					type = "raw";
					sha256 = "$swupdate_get_sha256(rootfs.img)";
					properties: {
						length = "$swupdate_get_size(rootfs.img)";
					};
				}
			);
		};
	D
	swbundle lint --strict sw-description || swbundle lint sw-description
	bundle
	swbundle verify -k demo.cert.pem demo.swu
	cpio -i --quiet --to-stdout sw-description <demo.swu >ours
	grep -q 'length = "12345"' ours
	grep -q "$(sha rootfs.img)" ours
	swugenerator -s sw-description -o theirs.swu -a "$T" -k CMS,demo.key.pem,demo.cert.pem create
	swbundle verify -k demo.cert.pem theirs.swu # a bundle of swugenerator is good here
	cpio -i --quiet --to-stdout sw-description <theirs.swu >theirs
	grep -q "$(sha rootfs.img)" theirs
	grep -q 'length = "12345"' theirs
}

@test "a call that names no file, or one that is not there, is told with its line" {
	keys; payload rootfs.img 10
	printf 'software = { version = "1";\nimages: ({ filename = "rootfs.img"; device = "/dev/x"; data = "$swupdate_get_size(gone)"; }); };\n' >sw-description
	fails 1 bundle
	says "line 2"
	says gone
	printf 'software = { version = "1";\n\nimages: ({ filename = "rootfs.img"; device = "/dev/x"; data = "$swupdate_get_size("; }); };\n' >sw-description
	fails 1 bundle
	says "line 3"
}

@test "extract writes the members, touches nothing that is there, and never leaves its folder" {
	need cpio python3
	keys; payload rootfs.img 3000; description; bundle
	swbundle extract demo.swu --dir out
	cmp rootfs.img out/rootfs.img
	[ "$(ls out | tr '\n' ' ')" = "rootfs.img sw-description sw-description.sig " ]
	fails 1 swbundle extract demo.swu --dir out
	says "File exists"
	ln -s "$T/rootfs.img" out2 && mkdir out3 && ln -s "$T/victim" out3/rootfs.img
	fails 1 swbundle extract demo.swu --dir out3
	[ ! -e victim ]
	# the same archive with a name that leads out
	for name in ../esc.img /tmp/e.img sub/es.img; do
		python3 - "$name" <<-'P'
			import sys
			b = open("demo.swu", "rb").read()
			i = b.index(b"rootfs.img\0")
			open("bad.swu", "wb").write(b[:i] + sys.argv[1].encode().ljust(10, b"_")[:10] + b[i + 10:])
		P
		rm -rf out; mkdir out
		fails 1 swbundle extract bad.swu --dir out
		says E_CPIO_NAME
		[ ! -e esc.img ] && [ ! -e /tmp/e.img ]
	done
}
