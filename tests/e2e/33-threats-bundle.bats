#!/usr/bin/env bats
# Hostile bundles through the whole program: what unit tests prove of a part must hold for the device. Ids are those of the list of threats.
load helper

# refused CODE [BUNDLE]: from file and pipe, exit 1, the code, not one byte of the device changed
refused() {
	local f=${2-demo.swu} old
	old=$(device_sum)
	fails 1 timeout $HANG swinstall -f device.cfg "$f"
	says "$1"
	fails 1 timeout $HANG sh -c "cat '$f' | swinstall -f device.cfg -i -"
	says "$1"
	[ "$(device_sum)" = "$old" ] || { echo 'the device has changed'; return 1; }
	tidy
}

signed_release() { # slots, and the members of a bundle as files, signed
	keys; slots; release 2.0 'sha256 = "";'
	sed -i "s/sha256 = \"\"/sha256 = \"$(sha rootfs.img)\"/" sw-description
	by_hand rootfs.img
}

pack() { printf '%s\n' "$@" | cpio -o -H newc --quiet >demo.swu; }

@test "T1: a payload replaced under a signed description, all ways of arriving" {
	for more in '' 'hash-list = true; hash-block = 65536;' 'compressed = "zstd";'; do
		rm -rf state; keys; slots; release 2.0 "$more"; bundle
		cpio -iu --quiet <demo.swu
		for f in rootfs.img rootfs.img.zst; do printf 'X' | dd of=$f bs=1 seek=1000 conv=notrunc status=none; done
		# shellcheck disable=SC2046 # names without blanks
		pack $(cpio -it --quiet <demo.swu)
		case $more in
		hash*)
			# into the free slot the good blocks may go; nothing may switch
			fails 1 swinstall -f device.cfg demo.swu
			says E_BLOCK_HASH
			boots a; [ "$(head -n 1 slot-a)" = 'release 1.0' ]; tidy
			;;
		*) refused E_PAYLOAD_HASH ;;
		esac
	done
}

@test "T1: an altered file of a rawfile entry reaches no folder" {
	keys; slots; payload app.bin 50000; mkdir app; echo old >app/app.bin
	printf 'software = { version = "2"; files: ({ filename = "app.bin"; path = "%s/app/app.bin"; type = "rawfile"; sha256 = "%s"; }); };\n' "$T" "$(sha app.bin)" >sw-description
	printf X >>sw-description; truncate -s -1 sw-description
	by_hand app.bin
	printf 'X' | dd of=app.bin bs=1 seek=49999 conv=notrunc status=none
	pack sw-description sw-description.sig app.bin
	before=$(find app -printf '%p %i %T@ %s\n')
	refused E_PAYLOAD_HASH
	[ "$(find app -printf '%p %i %T@ %s\n')" = "$before" ]
}

@test "T3: members that nobody named are nowhere on the disk; strict-members refuses them" {
	signed_release
	echo evil >sw-description.sh; echo 'os.execute("touch PWN")' >foo.lua; mkdir members; mv sw-description.sh foo.lua members
	cp sw-description sw-description.sig rootfs.img members
	(cd members && printf '%s\n' sw-description sw-description.sig sw-description.sh rootfs.img foo.lua | cpio -o -H newc --quiet >../demo.swu)
	rm -r members
	strace -f -qq -e trace=open,openat,openat2,creat,rename,link,execve -o trace swinstall -f device.cfg demo.swu
	fails 1 grep -E 'foo\.lua|sw-description\.sh' trace
	slot_holds b rootfs.img
	rm -r state; slots 'strict-members = true;'
	refused E_MEMBER_UNLISTED
}

@test "T4: an entry without a usable hash" {
	keys; slots; payload rootfs.img 1000
	h=$(sha rootfs.img)
	for line in '' 'sha256 = "";' "sha256 = \"$(printf '%064d' 0)\";" "sha256 = \"${h%?}\";" "sha256 = \"${h}0\";" 'sha256 = 5;' "sha256 = \"${h%?}g\";" "sha256 = [ \"$h\" ];"; do
		printf 'software = { version = "2"; images: ({ filename = "rootfs.img"; slot = "rootfs"; %s }); };\n' "$line" >sw-description
		by_hand rootfs.img
		case $line in
		*000000*) refused E_ || return 1 ;;
		*) refused E_DESC || { echo "$line"; return 1; } ;;
		esac
	done
}

# T5: lengths of a description that would wrap in 32 or 63 bits end before a byte of it is read
@test "T5: a description that says it is 4 GiB is refused at once, in little memory" {
	signed_release
	for size in FFFFFFFF 80000000 7FFFFFFF 00100001; do
		{ head -c 54 demo.swu; printf '%s' $size; tail -c +63 demo.swu; } >bad.swu
		fails 1 sh -c "ulimit -v 400000; ulimit -t 5; timeout $HANG swinstall -f device.cfg bad.swu"
		says 'E_'
		[[ $output != *E_MEMORY* ]]
		fails 1 sh -c "ulimit -v 400000; ulimit -t 5; cat bad.swu | timeout $HANG swinstall -f device.cfg -i -"
		boots a
	done
}

@test "T6: no signature, an empty one, in the wrong place, two of them" {
	signed_release
	pack sw-description rootfs.img
	refused E_SIG_MISSING
	cp sw-description.sig sig; : >sw-description.sig
	pack sw-description sw-description.sig rootfs.img
	refused E_SIG_MISSING
	cp sig sw-description.sig
	pack sw-description.sig sw-description rootfs.img
	refused E_ORDER
	pack sw-description rootfs.img sw-description.sig
	refused E_SIG_MISSING
	pack sw-description sw-description.sig sw-description.sig rootfs.img
	refused E_CPIO_DUP
}

@test "T7: a signature of another kind than the key's" {
	signed_release
	swbundle keygen --type rsa --name r >/dev/null; swbundle keygen --type ed25519 --name e >/dev/null
	openssl dgst -sha256 -sign r.key.pem sw-description >rsa.sig
	openssl pkeyutl -sign -inkey e.key.pem -rawin -in sw-description >ed.sig
	cp sw-description.sig cms.sig
	for key in demo.cert.pem r.pub.pem e.pub.pem; do
		for sig in cms rsa ed; do
			case $key$sig in demo*cms | r.*rsa | e.*ed) continue ;; esac
			cp $sig.sig sw-description.sig
			pack sw-description sw-description.sig rootfs.img
			fails 1 swinstall -f device.cfg -k $key demo.swu
			[[ $output == *E_SIG* ]] || { echo "$output"; return 1; }
		done
	done
	boots a
}

@test "T8, T10: weak keys are refused when they are loaded; other Ed25519 forms are no signature" {
	signed_release
	openssl genrsa -out weak.pem 1024 2>/dev/null; openssl rsa -in weak.pem -pubout -out weakpub.pem 2>/dev/null
	openssl dgst -sha256 -sign weak.pem sw-description >sw-description.sig
	pack sw-description sw-description.sig rootfs.img
	fails 1 swinstall -f device.cfg -k weakpub.pem demo.swu
	says E_SIG_KEY
	swbundle keygen --type ed25519 --name e >/dev/null
	openssl pkeyutl -sign -inkey e.key.pem -rawin -in sw-description >ed
	# S + L, the same point written in another way: the order of the group added to the second half
	python3 - <<-'P'
		s = bytearray(open("ed", "rb").read())
		L = 2**252 + 27742317777372353535851937790883648493
		v = int.from_bytes(s[32:], "little") + L
		open("sw-description.sig", "wb").write(bytes(s[:32]) + v.to_bytes(32, "little"))
	P
	pack sw-description sw-description.sig rootfs.img
	fails 1 swinstall -f device.cfg -k e.pub.pem demo.swu
	says E_SIG_BAD
	# minisign's container is not what 'ed25519' means here
	{ echo 'untrusted comment: x'; { printf 'Ed12345678'; cat ed; } | base64 -w0; echo; } >sw-description.sig
	pack sw-description sw-description.sig rootfs.img
	fails 1 swinstall -f device.cfg -k e.pub.pem demo.swu
	says E_SIG
	# the point of small order as a key
	printf '%s\n' '-----BEGIN PUBLIC KEY-----' "$({ printf '\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00\x01'; head -c 31 /dev/zero; } | base64 -w0)" '-----END PUBLIC KEY-----' >small.pem
	cp ed sw-description.sig
	pack sw-description sw-description.sig rootfs.img
	fails 1 swinstall -f device.cfg -k small.pem demo.swu
	[[ $output == *E_SIG_KEY* || $output == *E_SIG_BAD* || $output == *E_KEY_FILE* ]]
	boots a
}

@test "T11: CMS without signed attributes, with the data inside" {
	signed_release
	for how in -noattr -nodetach; do
		openssl cms -sign $how -in sw-description -out sw-description.sig -signer demo.cert.pem -inkey demo.key.pem -outform DER -nosmimecap -binary
		pack sw-description sw-description.sig rootfs.img
		refused E_SIG_FORMAT
	done
}

@test "T12: a stranger's signature beside a good one, both orders" {
	signed_release
	swbundle keygen --name other >/dev/null
	openssl cms -sign -in sw-description -out sw-description.sig -signer demo.cert.pem -inkey demo.key.pem -signer other.cert.pem -inkey other.key.pem -outform DER -nosmimecap -binary
	pack sw-description sw-description.sig rootfs.img
	refused E_CERT
	openssl cms -sign -in sw-description -out sw-description.sig -signer other.cert.pem -inkey other.key.pem -signer demo.cert.pem -inkey demo.key.pem -outform DER -nosmimecap -binary
	pack sw-description sw-description.sig rootfs.img
	refused E_CERT
}

@test "T18: a signature of a gigabyte ends before it is read" {
	signed_release
	size=$(stat -c %s sw-description)
	at=$(((110 + 15 + 3) / 4 * 4 + (size + 3) / 4 * 4)) # where the signature's header begins
	head -c $((at + 54)) demo.swu >bad.swu
	printf 40000000 >>bad.swu
	tail -c +$((at + 63)) demo.swu >>bad.swu
	truncate -s 1100M bad.swu
	old=$(device_sum)
	strace -f -qq -e trace=read,pread64 -o trace swinstall -f device.cfg bad.swu && return 1
	[ "$(awk -F'= ' '/bad|pread64|read\(/ { n += $NF > 0 ? $NF : 0 } END { print n }' trace)" -lt 8000000 ]
	fails 1 sh -c "ulimit -v 400000; swinstall -f device.cfg bad.swu"
	says E_SIG_LIMIT
	[ "$(device_sum)" = "$old" ]
}

@test "T21, T57: no member's name is ever opened, nothing below /tmp" {
	need strace
	keys; slots; release 2.0; mkdir spool; bundle
	for way in file pipe; do
		rm -r state; slots "spool-dir = \"$T/spool\";"
		if [ $way = file ]; then
			strace -f -qq -e trace=open,openat,openat2,creat,mknod,mkdir,rename,renameat2,symlink,unlink,unlinkat -o trace swinstall -f device.cfg demo.swu
		else
			cat demo.swu | strace -f -qq -e trace=open,openat,openat2,creat,mknod,mkdir,rename,renameat2,symlink,unlink,unlinkat -o trace swinstall -f device.cfg -i -
		fi
		slot_holds b rootfs.img
		fails 1 grep -E 'rootfs\.img|sw-description' trace
		# what is opened below /tmp is what this test itself put there: its own folder
		sed "s,$T,,g" trace | grep '"/tmp' && return 1
	done
	true
}

@test "T57: names waiting in /tmp, with the system's protections off, change nothing" {
	[ "$(id -u)" -eq 0 ] || skip 'SKIP: needs root'
	unshare -m true 2>/dev/null || skip 'SKIP: no mount namespaces'
	keys; slots; release 2.0; bundle
	case $BIN in /tmp/*) skip 'SKIP: the programs lie below /tmp' ;; esac
	sed -i "s,$T,/mnt,g" device.cfg
	cat >run.sh <<-R
		set -e
		mount --bind . /mnt
		mount -t tmpfs -o mode=1777 none /tmp
		cd /mnt
		for n in sw-description sw-description.sig rootfs.img scripts datadst swupdate swinstall sockinstctrl archivfifo; do
			setpriv --reuid=65534 --regid=65534 --clear-groups ln -s /mnt/slot-a /tmp/\$n
		done
		"$BIN/swinstall" -f device.cfg demo.swu
		cmp -n 300017 rootfs.img slot-b
		cat demo.swu | "$BIN/swinstall" -f device.cfg -i -
		find /tmp -type l | wc -l
	R
	fails 0 unshare -m bash run.sh
	[ "${lines[${#lines[@]} - 1]}" = 9 ]
	slot_holds a rootfs.img
}

@test "T22, T25, T27: content that is missing, a missing end, a second archive behind it" {
	signed_release
	n=$(stat -c %s demo.swu)
	head -c $((n - 200000)) demo.swu >cut.swu; refused E_TRUNCATED cut.swu
	# the trailer taken away
	at=$(grep -abo 'TRAILER!!!' demo.swu | tail -n 1 | cut -d: -f1)
	head -c $((at - 110)) demo.swu >cut.swu
	old=$(device_sum)
	fails 1 swinstall -f device.cfg cut.swu
	[ "$(device_sum)" = "$old" ]
	cp demo.swu two.swu
	release 3.0; cat two.swu demo.swu >both.swu
	fails 0 swinstall -f device.cfg both.swu
	says 'ignored'
	[ "$(head -n 1 slot-b)" = 'release 2.0' ]
}

@test "T23, T30: other archives and bad headers are told apart from damage" {
	signed_release
	for f in odc bin tar; do printf '%s\n' sw-description sw-description.sig rootfs.img | cpio -o -H $f --quiet >other.swu 2>/dev/null; refused E_CPIO_MAGIC other.swu; done
	gzip -c demo.swu >other.swu; refused E_CPIO_MAGIC other.swu
	: >other.swu; refused E_TRUNCATED other.swu
	{ head -c 54 demo.swu; printf '0x000010'; tail -c +63 demo.swu; } >other.swu; refused E_CPIO_HEADER other.swu
}

@test "T26: a listed name twice, the second altered" {
	signed_release
	mkdir other; head -c 300017 /dev/zero >other/rootfs.img
	printf '%s\n' sw-description sw-description.sig rootfs.img | cpio -o -H newc --quiet >one.swu
	at=$(grep -abo 'TRAILER!!!' one.swu | tail -n 1 | cut -d: -f1)
	{ head -c $((at - 110)) one.swu; (cd other && echo rootfs.img | cpio -o -H newc --quiet); } >demo.swu
	old=$(device_sum)
	fails 1 swinstall -f device.cfg demo.swu
	says E_CPIO_DUP
	boots a; [ "$(head -n 1 slot-a)" = 'release 1.0' ]
}

@test "T28: a wrong checksum of the crc format" {
	FORMAT=crc signed_release
	printf 'X' | dd of=demo.swu bs=1 seek=200000 conv=notrunc status=none
	old=$(device_sum)
	fails 1 swinstall -f device.cfg demo.swu
	[[ $output == *E_CPIO_SUM* || $output == *E_PAYLOAD_HASH* ]]
	[ "$(device_sum)" = "$old" ]
}

@test "T20, T29: namesize at the edges, a device node named as the image" {
	signed_release
	for size in 00000000 00000001 00000101 00001000 FFFFFFFF; do
		{ head -c 94 demo.swu; printf %s $size; tail -c +103 demo.swu; } >bad.swu
		refused E_CPIO_NAME bad.swu
	done
	at=$(grep -abo 'rootfs.img' demo.swu | tail -n 1 | cut -d: -f1)
	{ head -c $((at - 110 + 14)) demo.swu; printf 000061A4; tail -c +$((at - 110 + 23)) demo.swu; } >node.swu
	swinstall -f device.cfg node.swu
	slot_holds b rootfs.img
	rm -r state; slots 'strict-members = true;'
	refused E_CPIO_TYPE node.swu
}

@test "T31: a million empty members end quickly, and the log stays short" {
	signed_release
	python3 - <<-'P'
		head = b"070701" + b"%08X" * 13 % (1, 0o100644, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2, 0) + b"x\0"
		head += b"\0" * (-len(head) % 4)
		good = open("demo.swu", "rb").read()
		at = good.index(b"rootfs.img\0") - 110
		at = good.index(b"rootfs.img\0", good.index(b"sw-description.sig\0")) - 110
		open("bad.swu", "wb").write(good[:at] + head * 1000000 + good[at:])
	P
	fails 1 sh -c 'ulimit -t 5; exec swinstall -f device.cfg bad.swu'
	says E_LIMIT_MEMBERS
	[ "${#lines[@]}" -lt 100 ]
	boots a
}
