#!/usr/bin/env bats
# swbundle build -K: what it encrypts installs, no two contents share an initial vector, and equal input gives equal bytes.
load helper

KEY128=00112233445566778899aabbccddeeff
KEY192=$KEY128"0011223344556677"
KEY256=$KEY128$KEY128
IV=0f0e0d0c0b0a09080706050403020100

key_file() { # HEX [NAME]
	(umask 077; echo "$1 $IV" >"${2:-aes}")
}

# ivt [N]: the N-th initial vector of demo.swu
ivt() {
	cpio -i --quiet --to-stdout sw-description <demo.swu | tr ';' '\n' | sed -n 's/.*ivt = "\(.*\)".*/\1/p' | sed -n "${1:-1}p"
}

# aes KEYFILE: the device's configuration with this key
device_key() { sed -i "s|^globals : {|& aes-key-file = \"$T/$1\";|" device.cfg; }

@test "each length of key, encrypted after compression, installs; the bytes are what openssl makes" {
	need cpio
	keys; release 2.0 'encrypted = true;'
	for k in $KEY128 $KEY192 $KEY256; do
		key_file "$k"
		bundle -K aes
		swbundle verify -k demo.cert.pem demo.swu
		rm -rf state slot-a slot-b; slots; device_key aes
		swinstall -f device.cfg demo.swu
		slot_holds b rootfs.img
		boots b
		cpio -i --quiet --to-stdout rootfs.img.enc <demo.swu >stored
		openssl enc -d "-aes-$((${#k} * 4))-cbc" -K "$k" -iv "$(ivt)" -in stored | cmp - rootfs.img
		[ "$(ivt)" != "$IV" ]
	done
	release 2.1 'encrypted = "aes-cbc-256"; compressed = "zstd";'
	bundle -K aes
	rm -rf state slot-a slot-b; slots; device_key aes
	swinstall -f device.cfg demo.swu
	slot_holds b rootfs.img
	cpio -i --quiet --to-stdout rootfs.img.zst.enc <demo.swu >stored
	openssl enc -d -aes-256-cbc -K $KEY256 -iv "$(ivt)" -in stored | zstd -dq | cmp - rootfs.img
	release 2.2 'encrypted = "aes-ctr-256"; hash-list = true; hash-block = 65536; compressed = "zlib";'
	bundle -K aes
	rm -rf state slot-a slot-b; slots; device_key aes
	swinstall -f device.cfg demo.swu
	slot_holds b rootfs.img
	tidy
}

@test "another key on the device, or none, is refused and nothing is activated" {
	keys; slots; release 2.0 'encrypted = true;'
	key_file $KEY256; key_file "${KEY256%?}0" other
	bundle -K aes
	fails 1 swinstall -f device.cfg demo.swu
	says E_KEY_AES
	device_key other
	for how in --check --verbose; do
		fails 1 swinstall -f device.cfg $how demo.swu
		says E_KEY_AES; says 'another key'
	done
	rm other && mkfifo -m 600 other # L4: nobody waits for its writer
	fails 1 timeout -k 1 20 swinstall -f device.cfg demo.swu
	says E_KEY_AES
	boots a
}

@test "aes-ctr: a wrong key is found while planning; without a check value root's configuration must allow it" {
	need cpio
	keys; slots; release 2.0 'encrypted = "aes-ctr-256";'
	key_file $KEY256; key_file "${KEY256%?}0" other
	bundle -K aes
	device_key other
	before=$(device_sum)
	for how in --check --verbose; do
		fails 1 swinstall -f device.cfg $how demo.swu
		says E_KEY_AES; says 'another key'
	done
	[ "$(device_sum)" = "$before" ]
	# as other tools make it: nothing says which key it was
	openssl enc -aes-256-ctr -K $KEY256 -iv $IV -in rootfs.img -out sealed
	printf 'software = { version = "2"; images: ({ filename = "sealed"; slot = "rootfs"; encrypted = "aes-ctr-256"; ivt = "%s"; encrypted-already = true; }); };\n' $IV >sw-description
	bundle
	for how in --check --verbose; do
		fails 1 swinstall -f device.cfg $how demo.swu
		says E_KEY_AES; says allow-unchecked-key
	done
	[ "$(device_sum)" = "$before" ]
	sed -i "s|/other|/aes|; s|^globals : {|& allow-unchecked-key = true;|" device.cfg
	swinstall -f device.cfg demo.swu
	slot_holds b rootfs.img
}

@test "a key file with mode 0644, as existing devices have it, is a warning; strict refuses it" {
	keys; slots; release 2.0 'encrypted = true;'
	key_file $KEY256; bundle -K aes; device_key aes; chmod 644 aes
	run swinstall -f device.cfg demo.swu
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
	says 'others than its owner can read the key file'
	[ "$(grep -c 'others than' <<<"$output")" -eq 1 ]
	sed -i 's|^globals : {|& strict = true;|' device.cfg
	fails 1 swinstall -f device.cfg demo.swu
	says E_KEY_AES
}

@test "a file that is to be encrypted and is not is refused, with the ways out" {
	keys; key_file $KEY256; release 2.0 'encrypted = true;'
	fails 1 bundle
	says 'there is no key'; says 'give the key with -K'; says 'encrypted-already = true'
	[ ! -e demo.swu ]
	# it was encrypted elsewhere: no, it was not
	release 2.0 'encrypted = true; encrypted-already = true;'
	gzip -kn rootfs.img; mv rootfs.img.gz rootfs.img
	fails 1 bundle
	says 'is said to be encrypted, and is gzip'
	release 2.0 'encrypted = true; encrypted-already = true;'
	fails 1 bundle # 300017 bytes
	says 'not whole blocks of 16'
}

# The hash and the signature are right all the same: only the bytes tell.
@test "verify --strict and lint name a payload that is not what is said of it" {
	need cpio tar
	keys
	hand() { # hand FILE ATTRIBUTES
		printf 'software = { version = "1"; hardware-compatibility: [ "1.0" ]; images: ({ filename = "%s"; sha256 = "%s"; %s }); };\n' "$1" "$(sha "$1")" "$2" >sw-description
		by_hand "$1"
	}
	named() { # named WORDS
		swbundle verify -k demo.cert.pem demo.swu
		fails 3 swbundle verify --strict -k demo.cert.pem demo.swu; says "$1"
		fails 3 swbundle lint --strict demo.swu; says "$1"
	}
	good() { swbundle verify --strict -k demo.cert.pem demo.swu; swbundle lint --strict demo.swu; }
	raw='device = "/dev/x";' there='type = "archive"; path = "/x";'
	payload p 4096; gzip -kn p; tar -cf t.tar p; gzip -kn t.tar; head -c 4000 p.gz >cut.gz; xz -k p
	hand p "$raw encrypted = true; ivt = \"$IV\";"; good
	hand p.gz "$raw encrypted = true; ivt = \"$IV\";"; named 'is said to be encrypted, and is gzip'
	hand p "$raw compressed = \"zlib\";"; named 'does not begin so'
	hand p.xz "$raw compressed = \"zlib\";"; named 'and is xz'
	hand cut.gz "$raw compressed = \"zlib\";"; named 'cannot be decompressed'
	hand p.gz "$raw"; named 'it is written as it is'
	hand p.gz "$raw compressed = \"zlib\";"; good
	hand t.tar "$there"; good
	hand t.tar.gz "$there"; good
	hand t.tar.gz "$there compressed = \"zlib\";"; good
	hand p.gz "$there compressed = \"zlib\";"; named 'is said to be an archive'
	hand p "$there"; named 'is said to be an archive'
}

# T50
@test "t50: every content has a vector of its own; the same content the same one; nothing of the key file's is used" {
	need cpio
	keys; key_file $KEY256
	payload a.img 5000; cp a.img b.img; payload c.img 5000
	cat >sw-description <<-'D'
		software = { version = "1"; images: (
			{ filename = "a.img"; device = "/dev/a"; encrypted = true; },
			{ filename = "b.img"; device = "/dev/b"; encrypted = true; },
			{ filename = "c.img"; device = "/dev/c"; encrypted = true; },
			{ filename = "a.img"; device = "/dev/d"; encrypted = true; }); };
	D
	bundle -K aes
	one=$(ivt 1) two=$(ivt 2) three=$(ivt 3)
	[ "$one" != "$two" ] && [ "$one" != "$three" ] && [ "$two" != "$three" ] && [ "$(ivt 4)" = "$one" ]
	[ "$one" != $IV ]
	# a later release: what changed has another vector, what did not has the same
	printf X | dd of=c.img bs=1 seek=4999 conv=notrunc status=none
	bundle -K aes
	[ "$(ivt 1)" = "$one" ] && [ "$(ivt 3)" != "$three" ]
	# another key: another vector
	key_file $KEY128; bundle -K aes
	[ "$(ivt 1)" != "$one" ]
}

# T50
@test "t50: a vector that would be used twice is refused, with the fix" {
	keys; key_file $KEY256; payload a.img 512; payload b.img 512
	local already="encrypted-already = true;"
	two() {
		printf 'software = { version = "1"; images: (\n{ filename = "a.img"; device = "/dev/a"; encrypted = true; %s },\n{ filename = "b.img"; device = "/dev/b"; encrypted = true; %s }); };\n' "$1" "$2" >sw-description
	}
	# fixed by the template: it would be that of every release
	two "ivt = \"$IV\";" ''
	fails 1 bundle -K aes
	says E_IV_REUSE; says "ivt in line 2"; says "leave ivt out"
	[ ! -e demo.swu ]
	# encrypted elsewhere: the same vector twice, in whatever spelling
	two "$already ivt = \"$IV\";" "$already ivt = \"${IV^^}\";"
	fails 1 bundle
	says E_IV_REUSE; says "line 3 of sw-description"; says "line 2"
	# and none at all twice
	two "$already" "$already"
	fails 1 bundle
	says E_IV_REUSE; says "no ivt"
	# one of each is told, not refused
	two "$already ivt = \"$IV\";" "$already"
	run bundle
	[ "$status" -eq 0 ]; says "without ivt"
	# the same bytes twice give nothing away
	cp a.img b.img; two "$already ivt = \"$IV\";" "$already ivt = \"$IV\";"
	bundle
}

@test "--encrypt encrypts all images and files; what the template says stays; scripts stay readable" {
	need cpio
	keys; slots; key_file $KEY256; device_key aes
	payload rootfs.img 70001; payload app.bin 5000
	printf '#!/bin/sh\nexit 0\n' >run.sh
	mkdir app
	cat >sw-description <<-D
		software = { version = "1";
			images: ({ filename = "rootfs.img"; slot = "rootfs"; });
			files: ({ filename = "app.bin"; path = "$T/app/app.bin"; });
			scripts: ({ filename = "run.sh"; type = "postinstall"; }); };
	D
	fails 2 bundle --encrypt
	bundle -K aes --encrypt
	[ "$(cpio -it --quiet <demo.swu | tr '\n' ' ')" = "sw-description sw-description.sig run.sh rootfs.img.enc app.bin.enc " ]
	swinstall -f device.cfg demo.swu
	slot_holds b rootfs.img
	cmp app.bin app/app.bin
}

@test "the key file of swugenerator is read too; a damaged one is refused without a word of it" {
	keys; release 2.0 'encrypted = true;'
	printf 'key=%s\niv=%s\n' $KEY256 $IV >aes.kv
	key_file $KEY256
	bundle -K aes.kv; cp demo.swu one.swu
	export SOURCE_DATE_EPOCH=1
	bundle -K aes.kv; mv demo.swu one.swu
	bundle -K aes
	cmp one.swu demo.swu
	echo "${KEY256%?} $IV" >bad
	fails 1 bundle -K bad
	says E_KEY_AES
	[[ $output != *00112233* ]]
	release 2.0 'encrypted = "aes-cbc-128";'
	fails 1 bundle -K aes
	says "the key has 256 bits"
	release 2.0 "encrypted = true; aes-key = \"$KEY128\";"
	fails 1 bundle -K aes
	says "readable in the bundle"
}

@test "the key is in no file, no message and no command line of the build" {
	need strace
	keys; key_file $KEY256; release 2.0 'encrypted = true;'
	run strace -f -s 4096 -o trace swbundle build sw-description --key demo.key.pem --cert demo.cert.pem -o demo.swu -K aes
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
	if grep -v '^[0-9]* *p*read' trace | grep 00112233; then return 1; fi
	! grep -aq 00112233 demo.swu
}

# SWUpdate can be built to read these; here they are refused with words that tell what to do.
@test "a description that is encrypted as a whole, by AES or by CMS, is named as such, and nothing is written" {
	need cpio
	local how before
	keys; slots; release 2.0 "sha256 = \"$(printf '%064d' 0)\";"
	openssl cms -sign -in sw-description -out sw-description.sig -signer demo.cert.pem -inkey demo.key.pem -outform DER -nosmimecap -binary
	mv sw-description plain
	before=$(device_sum)
	for how in aes cms; do
		case $how in
		aes) openssl enc -aes-256-cbc -K $KEY256 -iv $IV -in plain -out sw-description ;;
		cms) openssl cms -encrypt -binary -aes256 -in plain -outform DER -out sw-description demo.cert.pem ;;
		esac
		printf 'sw-description\nsw-description.sig\nrootfs.img\n' | cpio -o -H crc --quiet >sealed.swu
		fails 1 swinstall -f device.cfg sealed.swu
		says E_DESC_SEALED; says 'swugenerator without -t'
		fails 3 swbundle verify -k demo.cert.pem sealed.swu
		says E_DESC_SEALED
		fails 1 swbundle inspect sealed.swu
		says E_DESC_SEALED
		fails 3 swbundle lint sealed.swu
		swbundle extract --dir $how sealed.swu # the form is good
	done
	[ "$(device_sum)" = "$before" ]
}

@test "keygen --aes makes the file that build and devices take, and never touches one that is there" {
	keys; slots; release 2.0 'encrypted = true;'
	swbundle keygen --aes --dir k --name device >out
	grep -q 'k/device.aes' out
	[ "$(stat -c %a k/device.aes)" = 600 ]
	grep -qxE '[0-9a-f]{64} [0-9a-f]{32}' k/device.aes
	fails 1 swbundle keygen --aes --dir k --name device; says 'device.aes is there already'
	swbundle keygen --aes --dir k --name other >/dev/null
	if cmp -s k/device.aes k/other.aes; then return 1; fi
	fails 2 swbundle keygen --aes --type rsa
	bundle -K k/device.aes; device_key k/device.aes
	swinstall -f device.cfg demo.swu
	slot_holds b rootfs.img
}

@test "extract --decode gives payloads as they reach the device: joined, decrypted, decompressed" {
	keys; key_file $KEY256; key_file $KEY128 other; payload a.img 300017; payload b.img 70001; payload c.img 5000
	cat >sw-description <<-'D'
		software = { version = "1"; hardware-compatibility: [ "1.0" ];
			s = {
				one = { images: ({ filename = "a.img"; device = "/dev/a"; compressed = "zstd"; encrypted = true; }); };
				two = { images: ({ filename = "a.img"; device = "/dev/b"; compressed = "zstd"; encrypted = true; }); };
			};
			images: ({ filename = "b.img"; device = "/dev/b"; compressed = "zlib"; });
			files: ({ filename = "c.img"; path = "/c"; }); };
	D
	bundle -K aes --part-size 64K
	swbundle extract --decode -K aes --dir out demo.swu >told
	for f in a b c; do cmp $f.img out/$f.img; grep -q "out/$f.img: " told; done
	[ "$(ls out | tr '\n' ' ')" = 'a.img b.img c.img sw-description sw-description.sig ' ]
	# as they are
	swbundle extract --dir plain demo.swu >/dev/null
	[ -e plain/a.img.zst.enc.001 ] && [ -e plain/b.img.gz.001 ]
	fails 1 swbundle extract --decode --dir no demo.swu; says E_KEY_AES; says 'give the key with -K'
	fails 1 swbundle extract --decode -K other --dir no2 demo.swu; says 'another key'
	fails 2 swbundle extract -K aes --dir no3 demo.swu
	printf X | dd of=demo.swu bs=1 seek=100000 conv=notrunc status=none
	fails 1 swbundle extract --decode -K aes --dir no4 demo.swu
	[ ! -e no4/a.img ]
}
