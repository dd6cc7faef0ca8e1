#!/usr/bin/env bats
# swbundle against the programs that its bundles meet: cpio, openssl, Debian's swupdate.
load helper

# Other tools unpack bundles too: what we write must be an archive to them, in the order that devices need.
@test "cpio lists and unpacks what swbundle build wrote" {
	need cpio
	keys; payload rootfs.img 1500000; printf '#!/bin/sh\n' >pre.sh
	cat >sw-description <<-D
		software = { version = "1"; images: ({ filename = "rootfs.img"; device = "/dev/null"; });
		scripts: ({ filename = "pre.sh"; type = "preinstall"; }); };
	D
	bundle --hash-list
	run cpio -it --quiet <demo.swu
	[ "$output" = "$(printf 'sw-description\nsw-description.sig\npre.sh\nrootfs.img.hl\nrootfs.img')" ]
	mkdir out
	(cd out && cpio -i --quiet --only-verify-crc <../demo.swu && cpio -i --quiet <../demo.swu)
	cmp out/rootfs.img rootfs.img
	[ "$(stat -c %s demo.swu)" -eq $(($(stat -c %s demo.swu) / 512 * 512)) ]
}

# The hash list is a public format: another program must come to the same bytes.
@test "the hash list is the SHA-256 of each block" {
	need cpio
	keys; payload rootfs.img 600001; description 'hash-list = true; hash-block = 65536;'
	bundle
	cpio -i --quiet <demo.swu rootfs.img.hl
	split -b 65536 rootfs.img block.
	for b in block.*; do openssl dgst -sha256 -binary "$b"; done >want
	cmp want rootfs.img.hl
}

# A signature that only we can check would bind users to us.
@test "openssl verifies the CMS signature of a bundle" {
	keys; payload rootfs.img 1000; description; bundle
	cpio -iu --quiet 'sw-description*' <demo.swu
	openssl cms -verify -inform DER -in sw-description.sig -content sw-description -binary -CAfile demo.cert.pem -out /dev/null
	printf ' ' >>sw-description
	fails 4 openssl cms -verify -inform DER -in sw-description.sig -content sw-description -binary -CAfile demo.cert.pem -out /dev/null
}

@test "openssl verifies bare signatures: rsa, rsa-pss, ecdsa, ed25519" {
	payload rootfs.img 1000; description
	for t in rsa ecdsa ed25519; do swbundle keygen --type "$t" --name "$t"; done
	for s in rsa:rsa rsa-pss:rsa ecdsa:ecdsa ed25519:ed25519; do
		k=${s#*:} s=${s%:*}
		swbundle build sw-description --key "$k.key.pem" --scheme "$s" -o demo.swu
		swbundle verify -k "$k.pub.pem" --digest-provider "$s" demo.swu
		cpio -i --quiet --to-stdout sw-description.sig <demo.swu >sig
		cpio -i --quiet --to-stdout sw-description <demo.swu >text
		case $s in
		rsa | ecdsa) openssl dgst -sha256 -verify "$k.pub.pem" -signature sig text ;;
		rsa-pss) openssl dgst -sha256 -verify "$k.pub.pem" -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:-2 -signature sig text ;;
		ed25519) openssl pkeyutl -verify -pubin -inkey "$k.pub.pem" -rawin -sigfile sig -in text ;;
		esac
	done
}

# The first promise of the build side: its bundles install with SWUpdate too.
@test "Debian's swupdate checks and installs a bundle of swbundle build" {
	need swupdate
	keys; payload data.bin 300000; payload rootfs.img 1200000
	cat >sw-description <<-D
		software = { version = "3.0.0"; board1 = { hardware-compatibility: ["1.0"];
		images: ({ filename = "rootfs.img"; device = "$T/slot"; type = "raw"; hash-list = true; });
		files: ({ filename = "data.bin"; path = "$T/installed.bin"; compressed = "zlib"; }); }; };
	D
	truncate -s 2M slot
	bundle
	swbundle verify -k demo.cert.pem demo.swu
	fails 0 peer -H board1:1.0 -k demo.cert.pem -c -i demo.swu
	[ ! -e installed.bin ]
	fails 0 peer -H board1:1.0 -k demo.cert.pem -i demo.swu
	cmp data.bin installed.bin
	cmp -n 1200000 rootfs.img slot
}

# The peer must refuse it too when the key is another: otherwise the test above shows nothing.
@test "Debian's swupdate refuses the bundle with another certificate" {
	need swupdate
	keys; payload rootfs.img 1000; description; bundle
	swbundle keygen --name other >/dev/null
	fails 1 peer -H board1:1.0 -k other.cert.pem -c -i demo.swu
	# 2022.12 says the first, 2024.12 the second
	[[ $output == *'Authentication of all signatures failed'* || $output == *'Signature verification failed'* ]] || { echo "$output"; return 1; }
}

# The documented recipe of SWUpdate users: openssl and cpio by hand.
@test "a bundle made by hand with openssl and cpio verifies" {
	need cpio
	payload rootfs.img 100000
	openssl req -x509 -newkey rsa:2048 -nodes -days 30 -keyout k.pem -out c.pem -subj /CN=signer -addext extendedKeyUsage=emailProtection 2>/dev/null
	description "sha256 = \"$(sha256sum rootfs.img | cut -d' ' -f1)\";"
	openssl cms -sign -in sw-description -out sw-description.sig -signer c.pem -inkey k.pem -outform DER -nosmimecap -binary
	printf 'sw-description\nsw-description.sig\nrootfs.img\n' | cpio -o -H crc --quiet >hand.swu
	swbundle verify -k c.pem hand.swu
	printf 'sw-description\nsw-description.sig\nrootfs.img\n' | cpio -o -H newc --quiet >hand.swu
	swbundle verify -k c.pem hand.swu
	swbundle verify -k c.pem --forced-signer-name signer hand.swu
	fails 3 swbundle verify -k c.pem --forced-signer-name another hand.swu
	says E_CERT_NAME
}

# Two build machines that come to different bytes cannot vouch for each other.
@test "the same input makes the same bundle, whatever the clock, umask, locale and time zone" {
	keys; payload rootfs.img 2000000; description 'compressed = "zstd";'
	export SOURCE_DATE_EPOCH=1700000000
	bundle --hash-list; mv demo.swu one.swu
	touch -d 2001-01-01 rootfs.img; chmod 600 rootfs.img
	mkdir sub; mv sw-description rootfs.img sub
	(umask 077; TZ=Asia/Tokyo LC_ALL=C swbundle build sub/sw-description --key demo.key.pem --cert demo.cert.pem -o demo.swu --hash-list)
	cmp one.swu demo.swu
}

# More than 4 GiB does not fit into a member; the parts are tried small here.
@test "a payload in parts verifies, and parts in the wrong order do not" {
	need cpio
	keys; payload rootfs.img 250000; description; bundle --part-size 100K
	run cpio -it --quiet <demo.swu
	says rootfs.img.003
	swbundle verify -k demo.cert.pem demo.swu
	cpio -iu --quiet <demo.swu
	printf 'sw-description\nsw-description.sig\nrootfs.img.002\nrootfs.img.001\nrootfs.img.003\n' | cpio -o -H crc --quiet >bad.swu
	fails 3 swbundle verify -k demo.cert.pem bad.swu
	says E_PARTS
}

# A failing build must not destroy what an earlier one made, nor leave litter.
@test "a build that fails leaves the old bundle and nothing else" {
	keys; payload rootfs.img 1000; description; bundle
	cp demo.swu kept; ls -A | sort >"$BATS_TEST_TMPDIR/before"
	description 'compressed = "rar";'
	fails 1 bundle
	says E_DESC_VALUE
	description 'filename2 = 1;'; rm rootfs.img
	fails 1 bundle
	says "rootfs.img"
	payload rootfs.img 1000
	cmp demo.swu kept
	ls -A | sort | diff "$BATS_TEST_TMPDIR/before" -
}

@test "variables come from the file first, then from the environment; a missing one is named with its line" {
	keys; payload rootfs.img 100
	printf 'software = { version = "@@A@@-@@B@@";\nimages: ({ filename = "rootfs.img"; device = "/dev/null"; }); };\n' >sw-description
	printf '# release\nA=1.0\n' >vars
	fails 1 bundle --vars vars
	says "line 1"
	says "variable B"
	A=no B=rc1 bundle --vars vars
	run swbundle inspect demo.swu
	says "version 1.0-rc1"
}

@test "every missing file is named at once" {
	keys; payload a.img 100
	printf 'software = { version = "1"; images: (\n{ filename = "a.img"; device = "/dev/a"; },\n{ filename = "b.img"; device = "/dev/b"; },\n{ filename = "c.img"; device = "/dev/c"; }); };\n' >sw-description
	fails 1 bundle
	says "line 3 of sw-description: there is no file 'b.img'"
	says "line 4 of sw-description: there is no file 'c.img'"
	says '2 files are in none of the folders'
	[ ! -e demo.swu ]
	cp a.img b.img
	fails 1 bundle
	says 'c.img'; says 'name its folder with -I'
}
