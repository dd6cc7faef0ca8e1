#!/usr/bin/env bats
# Debian's swupdate installs what swbundle makes, and swinstall installs what its users make by hand: nobody is locked in.
load ../e2e/helper

# theirs [OPTIONS]: install demo.swu with the peer; its output is in theirs.log
theirs() { peer -H board1:1.0 -k demo.cert.pem "$@" -i demo.swu >theirs.log 2>&1; }

target() {
	truncate -s 1M disk
	L=$T/disk
	if [ "$(id -u)" -eq 0 ]; then L=$(losetup -f --show disk 2>/dev/null) || L=$T/disk; fi
	[ "$L" = "$T/disk" ] || echo "$L" >loops
}

teardown() {
	cd / || return 1
	[ ! -e "$T/loops" ] || losetup -d "$(cat "$T/loops")"
	rm -rf "$T"
}

describe() { # describe ATTRIBUTES: one image for the target
	printf 'software = { version = "1.0"; hardware-compatibility: [ "1.0" ]; images: ({ filename = "rootfs.img"; device = "%s"; type = "raw"; %s }); };\n' "$L" "$1" >sw-description
}

installed() { sync; cmp -n "$(stat -c %s "${1:-rootfs.img}")" "$L" "${1:-rootfs.img}"; }

@test "the peer installs raw, plain" {
	need swupdate; keys; payload rootfs.img 300017; target
	describe ''; bundle
	theirs || { tail -n 20 theirs.log; return 1; }
	installed
}

@test "the peer installs raw, zlib and zstd, compressed by swbundle build" {
	need swupdate; keys; target
	for c in zlib zstd; do
		payload rootfs.img 300017
		describe "compressed = \"$c\";"; bundle
		blkdiscard -z "$L" 2>/dev/null || truncate -s 0 disk || true
		truncate -s 1M disk
		if ! theirs; then
			grep -qi 'zstd.*not\|not.*zstd\|compressed argument' theirs.log && [ $c = zstd ] && skip 'SKIP: this swupdate has no zstd'
			tail -n 20 theirs.log
			return 1
		fi
		installed
	done
}

@test "the peer installs an encrypted image" {
	need swupdate; keys; target
	key=$(printf '%064d' 7) iv=$(printf '%032d' 9)
	echo "$key $iv" >aes; chmod 600 aes
	payload plain.img 300017
	openssl enc -aes-256-cbc -in plain.img -out rootfs.img -K "$key" -iv "$iv"
	describe 'encrypted = true; encrypted-already = true;'; bundle
	theirs -K aes || { tail -n 20 theirs.log; return 1; }
	installed plain.img
}

# Sizes that are whole blocks and not, each length of key; the vectors are those of swbundle.
@test "the peer installs what swbundle build -K encrypts" {
	need swupdate; keys; target
	for k in 32 48 64; do
		printf '%0*d %032d\n' "$k" 7 9 >aes; chmod 600 aes
		for size in 300017 262144; do
			payload rootfs.img "$size"
			describe 'encrypted = true;'; bundle -K aes
			blkdiscard -z "$L" 2>/dev/null || true
			theirs -K aes || { tail -n 20 theirs.log; return 1; }
			installed
		done
	done
	describe 'encrypted = true; compressed = "zlib";'; bundle -K aes
	blkdiscard -z "$L" 2>/dev/null || true
	theirs -K aes || { tail -n 20 theirs.log; return 1; }
	installed
}

@test "the peer installs a bundle with a hash list, and passes the list over" {
	need swupdate; keys; payload rootfs.img 300017; target
	describe 'hash-list = true; hash-block = 65536;'; bundle
	cpio -it --quiet <demo.swu | grep -q rootfs.img.hl
	theirs || { tail -n 20 theirs.log; return 1; }
	installed
}

@test "the peer installs a file with rawfile, installed directly" {
	need swupdate; keys; payload app.bin 70001; mkdir app
	printf 'software = { version = "1.0"; hardware-compatibility: [ "1.0" ]; files: ({ filename = "app.bin"; path = "%s/app/app.bin"; type = "rawfile"; installed-directly = true; }); };\n' "$T" >sw-description
	bundle
	theirs || { tail -n 20 theirs.log; return 1; }
	cmp app.bin app/app.bin
}

# Otherwise the tests above show nothing.
@test "the peer refuses a bundle whose payload was altered" {
	need swupdate; keys; payload rootfs.img 300017; target
	describe ''; bundle
	cpio -iu --quiet sw-description sw-description.sig <demo.swu
	printf 'X' | dd of=rootfs.img bs=1 seek=1000 conv=notrunc status=none
	printf 'sw-description\nsw-description.sig\nrootfs.img\n' | cpio -o -H crc --quiet >demo.swu
	fails 1 theirs
}

# What the tests above rest on: only the installer's own word counts, and only after it began.
@test "a run of the peer that ended before it began is neither success nor refusal" {
	local go='[INFO ] : SWUPDATE started :  Software Update started !' end='[INFO ] : SWUPDATE running :  [endupdate] : SWUpdate was successful !'
	local good='[INFO ] : SWUPDATE successful ! SWUPDATE successful !' bad='[ERROR] : SWUPDATE failed [0] ERROR : Compatible SW not found'
	judged() { # judged VERDICT STATUS LINE...
		printf '%s\n' "${@:3}" >log
		fails "$1" "${BATS_TEST_FILENAME%/*}/swupdate-run" --judge "$2" log
	}
	judged 0 0 "$go" "$good" "$end"
	judged 0 0 "$go" "$good"
	judged 1 1 "$go" "$bad"
	judged 2 0 "$end" "$go" "$bad"
	judged 2 0 "$end" "$go" "$good"
	judged 2 1 "$end" "$go" "$bad"
	judged 2 0 "$go" "$end" "$bad"
	judged 2 0 "$go" "$bad"
	judged 2 1 "$go" "$good"
	judged 2 0 "$good" "$end"
	judged 2 1 "$bad"
	judged 2 0 ''
}

# The documented recipe: openssl and cpio by hand, CMS or a bare RSA key.
@test "a bundle of the documented recipe installs here and there" {
	need cpio
	payload rootfs.img 300017; target
	openssl req -x509 -newkey rsa:2048 -nodes -days 30 -keyout k.pem -out demo.cert.pem -subj /CN=signer -addext extendedKeyUsage=emailProtection 2>/dev/null
	describe "sha256 = \"$(sha rootfs.img)\";"
	openssl cms -sign -in sw-description -out sw-description.sig -signer demo.cert.pem -inkey k.pem -outform DER -nosmimecap -binary
	printf 'sw-description\nsw-description.sig\nrootfs.img\n' | cpio -o -H crc --quiet >demo.swu
	mkdir -m 700 state
	printf 'globals : { bootloader = "none"; public-key-file = "%s/demo.cert.pem"; state-dir = "%s/state"; };\n' "$T" "$T" >device.cfg
	swinstall -f device.cfg -H board1:1.0 demo.swu
	installed
	if command -v swupdate >/dev/null; then
		blkdiscard -z "$L" 2>/dev/null || true
		theirs || { tail -n 20 theirs.log; return 1; }
		installed
	fi
}

@test "the recipe with a bare RSA key: PKCS#1 v1.5 and PSS" {
	need cpio
	payload rootfs.img 5000; target
	openssl genrsa -out k.pem 2048 2>/dev/null
	openssl rsa -in k.pem -pubout -out p.pem 2>/dev/null
	mkdir -m 700 state
	printf 'globals : { bootloader = "none"; public-key-file = "%s/p.pem"; state-dir = "%s/state"; };\n' "$T" "$T" >device.cfg
	describe "sha256 = \"$(sha rootfs.img)\";"
	for how in '' '-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:-2'; do
		# shellcheck disable=SC2086
		openssl dgst -sha256 -sign k.pem $how sw-description >sw-description.sig
		printf 'sw-description\nsw-description.sig\nrootfs.img\n' | cpio -o -H crc --quiet >demo.swu
		swinstall -f device.cfg -H board1:1.0 demo.swu
		installed
	done
}

@test "the same command line and configuration as the peer's" {
	keys; payload rootfs.img 300017; target
	describe ''; bundle
	ln -s "$BIN/swinstall" swupdate
	mkdir -m 700 state
	printf 'globals : { verbose = true; loglevel = 5; public-key-file = "%s/demo.cert.pem"; state-dir = "%s/state"; bootloader = "none"; };\n' "$T" "$T" >s.cfg
	./swupdate -v -f s.cfg -H board1:1.0 -k demo.cert.pem -c -i demo.swu
	./swupdate -v -f s.cfg -H board1:1.0 -k demo.cert.pem -i demo.swu
	installed
}

@test "gptswap: the same names on both" {
	need swupdate; keys
	PATH=$PATH:/sbin:/usr/sbin
	truncate -s 8M table
	[ "$(id -u)" -eq 0 ] && L=$(losetup -f --show table 2>/dev/null) || skip 'SKIP: no loop device here'
	echo "$L" >loops
	printf 'label: gpt\nsize=1M, name="one"\nsize=1M, name="two"\nsize=1M, name="data"\n' | sfdisk -q --no-reread --no-tell-kernel "$L"
	printf 'globals : { public-key-file = "%s"; state-dir = "%s"; bootloader = "none"; };\n' "$T/demo.cert.pem" "$T/state" >device.cfg
	mkdir -m 700 state
	for pairs in 'swap-0 = [ "one", "two" ];' 'swap-0 = [ "one", "two" ]; swap-1 = [ "one", "data" ];'; do
		printf 'software = { version = "1.0"; hardware-compatibility: [ "1.0" ]; scripts: ({ type = "gptswap"; device = "%s"; properties: { %s }; }); };\n' "$L" "$pairs" >sw-description
		bundle
		sfdisk -d "$L" >before
		swinstall -f device.cfg -H board1:1.0 demo.swu
		sync; sfdisk -d "$L" >ours
		! cmp -s before ours
		sfdisk -q --no-reread --no-tell-kernel "$L" <before
		theirs || { tail -n 20 theirs.log; return 1; }
		sync; sfdisk -d "$L" >theirs
		cmp ours theirs || { diff ours theirs; return 1; }
		sfdisk -q --no-reread --no-tell-kernel "$L" <before
	done
}
