#!/usr/bin/env bats
# The main job seen from outside: which way a payload takes, where it ends up, which slot boots next.
load helper

# Off a terminal the installer must tell which way a payload went (checked, stored, written): it explains the time it takes.
ways() { cat demo.swu | swinstall -f device.cfg --json "$@" 2>log | jq -r 'select(.type == "step") | .action' | tr '\n' ' '; }

@test "a file is proven, then written; a pipe is stored, then written" {
	need jq
	keys; slots; release 2.0; bundle
	[ "$(ways demo.swu)" = 'checking writing ' ]
	slot_holds b rootfs.img; boots b; tidy
	rm -r state; slots
	[ "$(ways -i -)" = 'storing writing ' ]
	slot_holds b rootfs.img; boots b; tidy
}

@test "installed-directly flows from file and pipe in one pass" {
	need jq
	keys; slots; release 2.0 'installed-directly = true;'; bundle
	[ "$(ways demo.swu)" = 'writing ' ]
	slot_holds b rootfs.img; boots b
	rm -r state; slots
	[ "$(ways -i -)" = 'writing ' ]
	slot_holds b rootfs.img; boots b; tidy
}

# What was written before the hash failed must never boot.
@test "installed-directly with an altered payload writes the free slot only and switches nothing" {
	keys; slots; release 2.0 'installed-directly = true;'; bundle
	cpio -i --quiet -u <demo.swu sw-description sw-description.sig
	printf 'X' | dd of=rootfs.img bs=1 seek=290000 conv=notrunc status=none
	printf 'sw-description\nsw-description.sig\nrootfs.img\n' | cpio -o -H newc --quiet >bad.swu
	a=$(sha slot-a)
	for way in file pipe; do
		if [ $way = file ]; then fails 1 swinstall -f device.cfg bad.swu; else fails 1 sh -c 'cat bad.swu | swinstall -f device.cfg -i -'; fi
		says E_PAYLOAD_HASH
		[ "$(sha slot-a)" = "$a" ]; boots a; tidy
	done
}

@test "signed block hashes flow from a pipe without a second pass" {
	need jq
	keys; slots; release 2.0 'hash-list = true; hash-block = 65536;'; bundle
	[ "$(ways -i -)" = 'writing ' ]
	slot_holds b rootfs.img; boots b; tidy
}

@test "a description in JSON installs the same" {
	keys; slots; release 2.0
	printf '{ "software": { "version": "2.0", "images": [ { "filename": "rootfs.img", "slot": "rootfs", "sha256": "%s" } ] } }' "$(sha rootfs.img)" >sw-description
	by_hand rootfs.img
	swinstall -f device.cfg demo.swu
	slot_holds b rootfs.img; boots b
}

@test "a payload in parts is put together from file and pipe" {
	keys; slots; release 2.0; bundle --part-size 100K
	swinstall -f device.cfg demo.swu
	slot_holds b rootfs.img; boots b
	rm -r state; slots
	cat demo.swu | swinstall -f device.cfg -i -
	slot_holds b rootfs.img; boots b; tidy
}

@test "compressed with the real programs: gzip of two members, xz, zstd, lz4" {
	need gzip xz zstd lz4
	keys
	for c in zlib xz zstd lz4; do
		rm -rf state; slots; release 2.0
		case $c in
		zlib) { head -c 100000 rootfs.img | gzip -c; tail -c +100001 rootfs.img | gzip -1 -c; } >packed ;;
		xz) xz -c rootfs.img >packed ;;
		zstd) zstd -q -c rootfs.img >packed ;;
		lz4) lz4 -q -c rootfs.img >packed ;;
		esac
		printf 'software = { version = "2"; images: ({ filename = "packed"; slot = "rootfs"; compressed = "%s"; sha256 = "%s"; }); };' $c "$(sha packed)" >sw-description
		by_hand packed
		swinstall -f device.cfg demo.swu || { echo "$c"; return 1; }
		slot_holds b rootfs.img; boots b
		rm -rf state; slots
		cat demo.swu | swinstall -f device.cfg -i - || { echo "$c from a pipe"; return 1; }
		slot_holds b rootfs.img; boots b
	done
	tidy
}

@test "encrypted with the openssl program" {
	keys; slots; release 2.0
	key=$(printf '%064d' 7) iv=$(printf '%032d' 9)
	echo "$key $iv" >aes; chmod 600 aes
	openssl enc -aes-256-cbc -in rootfs.img -out secret -K "$key" -iv "$iv"
	printf 'software = { version = "2"; images: ({ filename = "secret"; slot = "rootfs"; encrypted = true; sha256 = "%s"; }); };' "$(sha secret)" >sw-description
	by_hand secret
	swinstall -f device.cfg -K aes demo.swu
	slot_holds b rootfs.img; boots b
	rm -r state; slots
	fails 1 swinstall -f device.cfg demo.swu
	says E_KEY_AES
	boots a
}

# Slots keep what an older, longer image left: compare-before-write must not be fooled by what is the same already.
@test "a target that holds most of the image already ends with exactly the image" {
	keys; release 2.0; bundle
	for how in yes no auto; do
		rm -rf state; slots "compare-writes = \"$how\";"
		dd if=rootfs.img of=slot-b conv=notrunc status=none
		for at in 0 4095 65536 131071 300016; do printf 'x' | dd of=slot-b bs=1 seek=$at conv=notrunc status=none; done
		tail -c +300018 slot-b >behind
		swinstall -f device.cfg demo.swu
		slot_holds b rootfs.img; boots b
		tail -c +300018 slot-b | cmp - behind
	done
}

@test "a second install before the reboot goes into the same slot; the running one is never touched" {
	keys; RUNNING=a slots
	a=$(sha slot-a)
	release 2.0; bundle; swinstall -f device.cfg demo.swu
	boots b
	release 3.0; bundle; swinstall -f device.cfg demo.swu
	slot_holds b rootfs.img; boots b
	[ "$(sha slot-a)" = "$a" ]
	[ "$(head -n 1 slot-b)" = 'release 3.0' ]
	tidy
}

# A half-written slot that boots next would be worse than no update: the old decision comes first.
@test "a second install that fails leaves the running slot chosen" {
	keys; RUNNING=a slots
	a=$(sha slot-a)
	release 2.0; bundle; swinstall -f device.cfg demo.swu
	release 3.0 'installed-directly = true;'; bundle
	cpio -iu --quiet sw-description sw-description.sig <demo.swu
	printf 'X' | dd of=rootfs.img bs=1 seek=290000 conv=notrunc status=none
	printf 'sw-description\nsw-description.sig\nrootfs.img\n' | cpio -o -H newc --quiet >bad.swu
	fails 1 swinstall -f device.cfg bad.swu
	says E_PAYLOAD_HASH
	boots a
	[ "$(sha slot-a)" = "$a" ]
	tidy
}

@test "installed twice over: a, then b, then a again" {
	keys; slots
	release 2.0; bundle; swinstall -f device.cfg demo.swu; boots b
	release 3.0; bundle; swinstall -f device.cfg demo.swu; boots a
	[ "$(head -n 1 slot-a)" = 'release 3.0' ]
	[ "$(head -n 1 slot-b)" = 'release 2.0' ]
	release 4.0; bundle; swinstall -f device.cfg demo.swu; boots b
	[ "$(head -n 1 slot-b)" = 'release 4.0' ]
	swctl -f device.cfg status
}

@test "-e chooses set and mode, -H the hardware" {
	keys; slots; payload one.img 1000; payload two.img 2000
	cat >sw-description <<-D
		software = { version = "2.0";
		board1 = { hardware-compatibility: [ "1.0", "#RE:^2\\\\.[0-9]+\$" ];
		stable = { one = { images: ({ filename = "one.img"; slot = "rootfs"; }); };
			two = { images: ({ filename = "two.img"; slot = "rootfs"; }); }; }; }; };
	D
	bundle
	swinstall -f device.cfg -H board1:1.0 -e stable,two demo.swu
	slot_holds b two.img; boots b
	swinstall -f device.cfg -H board1:2.17 -e stable,one demo.swu
	slot_holds a one.img; boots a
	old=$(device_sum)
	fails 1 swinstall -f device.cfg -H board1:3.0 -e stable,one demo.swu
	says E_HARDWARE
	fails 1 swinstall -f device.cfg -H board2:1.0 -e stable,one demo.swu
	fails 1 swinstall -f device.cfg -H board1:1.0 -e stable,three demo.swu
	says 'no stable,three'
	fails 1 swinstall -f device.cfg -H board1:1.0 demo.swu
	[ "$(device_sum)" = "$old" ]
}

@test "-N, -R and --max-version refuse before any write" {
	keys; slots; release 2.0; bundle
	old=$(device_sum)
	fails 1 swinstall -f device.cfg -N 2.1 demo.swu
	says E_VERSION
	fails 1 swinstall -f device.cfg --max-version 1.9.9 demo.swu
	says E_VERSION
	fails 1 swinstall -f device.cfg -R 2.0 demo.swu
	says E_REINSTALL
	[ "$(device_sum)" = "$old" ]
	swinstall -f device.cfg -N 2.0 --max-version 2.0 -R 1.0 demo.swu
	boots b
}

@test "-M and -m leave the markers out of the boot environment; without them they are there" {
	need strace
	keys; slots; release 2.0; bundle
	strace -f -qq -e trace=write,pwrite64 -s 300 -o trace swinstall -f device.cfg demo.swu
	grep -q 'recovery_status=in_progress' trace
	run cat bootenv
	says ustate=1
	[[ $output != *recovery_status* ]]
	rm -r state; slots
	strace -f -qq -e trace=write,pwrite64 -s 300 -o trace swinstall -f device.cfg -M -m demo.swu
	run grep -c 'recovery_status' trace
	[ "$output" = 0 ]
	run cat bootenv
	[[ $output != *ustate* ]]
	boots b
}

@test "-s writes the versions of what was installed, -c and -n nothing" {
	keys; slots; release 2.0 'name = "rootfs"; version = "2.0.7";'; bundle
	old=$(device_sum)
	swinstall -f device.cfg -c -s versions demo.swu
	swinstall -f device.cfg -n -s versions demo.swu
	[ "$(device_sum)" = "$old" ]
	[ ! -e versions ]
	swinstall -f device.cfg -s versions demo.swu
	run cat versions
	says rootfs
	says 2.0.7
}

# People change one line of an image, not their devices: what is in the field has this file.
@test "called as swupdate it reads /etc/swupdate.cfg as it is, and not ours" {
	unshare -m true 2>/dev/null || skip 'SKIP: no mount namespaces (needs root)'
	keys; slots; release 2.0; bundle
	cat >theirs.cfg <<-C
		globals :
		{
			verbose = true; loglevel = 5; syslog = false;
			public-key-file = "$T/demo.cert.pem";
			mtd-blacklist = "0 1 2";
			postupdatecmd = "/bin/true";
			bootloader = "none";
			no-transaction-marker = true;
		};
		download : { retries = 3; timeout = 1800; url = "http://example.com/x.swu"; };
		suricatta : { tenant = "default"; id = "mydevice"; url = "http://x"; polldelay = 60; };
		webserver : { document_root = "/www"; port = "8080"; };
		identify : ( { name = "board"; value = "x"; } );
	C
	printf 'software = { version = "1.0"; images: ({ filename = "rootfs.img"; device = "%s"; }); };\n' "$T/slot-b" >sw-description
	bundle
	ln -s "$BIN/swinstall" swupdate
	cat >run.sh <<-'R'
		set -e
		mkdir -p up work && mount -t tmpfs -o mode=755 none up && mkdir up/u up/w
		mount -t overlay -o lowerdir=/etc,upperdir=up/u,workdir=up/w none /etc
		cp theirs.cfg /etc/swupdate.cfg
		echo 'globals : { no-such-key = }' >/etc/swinstall.cfg
		mkdir -p -m 700 /var/lib/swinstall
		mount -t tmpfs -o mode=700 none /var/lib/swinstall
		./swupdate -i demo.swu
	R
	fails 0 unshare -m sh run.sh
	slot_holds b rootfs.img
	says '[INFO ] : SWUPDATE running :  release 1.0'
	sed -i "s,^./swupdate,$BIN/swinstall," run.sh
	fails 1 unshare -m sh run.sh
	says /etc/swinstall.cfg
}

# --json: programs read it line by line; a field that is missing is a broken program.
@test "each line of --json has the fields of its type as doc/json.md says" {
	need jq
	keys; slots; release 2.0 'installed-directly = true;'; bundle
	swinstall -f device.cfg --json -v demo.swu >events 2>/dev/null
	jq -es 'length > 3' events
	jq -es 'all(.[]; .v == 1 and (.seq | type) == "number" and .t > 1e12)' events
	jq -es 'all(.[]; (keys - {state: ["v","seq","t","type","state"],
		step: ["v","seq","t","type","step","steps","action","name","handler","total","stages"],
		progress: ["v","seq","t","type","step","steps","name","handler","percent","bytes","total"],
		log: ["v","seq","t","type","level","text"],
		result: ["v","seq","t","type","result","bundle","version","reboot","error"]}[.type]) == [])' events
	jq -es 'all(.[] | select(.type == "progress"); .percent >= 0 and .percent <= 100 and .bytes <= .total)' events
	jq -es 'last.type == "result" and ([.[] | select(.type == "result")] | length) == 1' events
}

# every option of later parts says so and ends with 1: a script must see that it asked for something that is not there
@test "options of later parts answer 'not built in' with status 1 and change nothing" {
	keys; slots; release 2.0; bundle
	old=$(device_sum)
	while read -r o; do
		# shellcheck disable=SC2086
		fails 1 swinstall -f device.cfg $o
		says E_NOT_BUILT
		says CONFIG_
	done <<-'O'
		-o out
		--output out
		-u x
		--suricatta x
		-w x
		--webserver x
		-d x
		--download x
		-E /dev/mmcblk0
		--get-emmc-boot /dev/mmcblk0
		--decryption-key key -i demo.swu
		--gpg-home-dir dir -i demo.swu
		--gpg-protocol openpgp -i demo.swu
		--daemon
	O
	[ "$(device_sum)" = "$old" ]
	[ ! -e out ]
}

# -p and -P of root's configuration are the only commands; they must see words, not a shell line of ours
@test "preupdate runs before the first write, postupdate after success only; a failing preupdate stops all" {
	keys; slots; release 2.0; bundle
	printf '#!/bin/sh\nhead -n 1 %s/slot-b | cut -c1-11 >%s/seen\n' "$T" "$T" >pre.sh
	printf '#!/bin/sh\ntouch %s/after\n' "$T" >post.sh
	chmod 755 pre.sh post.sh
	swinstall -f device.cfg -P "$T/pre.sh" -p "$T/post.sh" demo.swu
	[ "$(cat seen)" = ooooooooooo ]
	[ -e after ]
	rm -r state after; slots; old=$(device_sum)
	fails 1 swinstall -f device.cfg -P /bin/false -p "$T/post.sh" demo.swu
	[ ! -e after ]
	[ "$(device_sum)" = "$old" ]
}

# T41: the two commands are the only text that a shell reads, and they are root's: what fails after the switch is told, no more
@test "T41: postupdate that fails is a warning; a type's own commands come before those of globals" {
	keys; slots 'postupdatecmd = "echo from globals; exit 7"; preupdatecmd = "touch '"$T"'/globals";'
	release 2.0; bundle
	fails 0 swinstall -f device.cfg demo.swu
	says '[INFO ] : from globals'
	says '[WARN ] : '
	says 'status 7'
	boots b
	[ -e globals ]
	rm globals
	echo 'update-types : ({ name = "quiet"; preupdatecmd = "touch '"$T"'/type"; postupdatecmd = "true"; });' >>device.cfg
	sed -i 's/version = "2.0";/version = "$(touch PWN)2.0"; update-type = "quiet";/' sw-description
	bundle
	fails 0 swinstall -f device.cfg demo.swu
	[[ $output != *'from globals'* ]]
	[ -e type ]
	[ ! -e globals ]
	[ ! -e PWN ]
}
