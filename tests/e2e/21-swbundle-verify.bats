#!/usr/bin/env bats
# swbundle verify and inspect, keygen, and what the program says when it is used wrongly.
load helper

# What verify says must be what a device would say: refusals have a status of their own.
@test "verify tells good, refused and failed apart" {
	keys; payload rootfs.img 5000; description; bundle
	fails 0 swbundle verify -k demo.cert.pem demo.swu
	says "signed by CN=demo (cms)"
	swbundle keygen --name other >/dev/null
	fails 3 swbundle verify -k other.cert.pem demo.swu
	says E_CERT_CHAIN
	fails 1 swbundle verify -k missing.pem demo.swu
	says E_KEY_FILE
	fails 1 swbundle verify -k demo.cert.pem missing.swu
	says "No such file"
	fails 2 swbundle verify demo.swu
	fails 2 swbundle verify -k demo.cert.pem
}

@test "verify refuses one flipped byte of description, signature and payload" {
	keys; payload rootfs.img 5000; description; bundle
	for at in 150 1200 4000; do
		cp demo.swu bad.swu
		printf '\377' | dd of=bad.swu bs=1 seek="$at" conv=notrunc status=none
		fails 3 swbundle verify -k demo.cert.pem bad.swu
	done
}

@test "verify refuses a bundle that is cut" {
	keys; payload rootfs.img 5000; description; bundle
	for n in 0 100 500 2000 5000; do
		head -c "$n" demo.swu >bad.swu
		fails 3 swbundle verify -k demo.cert.pem bad.swu
	done
}

# An unsigned bundle is for tests only: it says so, and no device takes it.
@test "an unsigned bundle is built only when asked for, and refused" {
	payload rootfs.img 100; description
	fails 2 swbundle build sw-description -o demo.swu
	fails 0 swbundle build sw-description --unsigned -o demo.swu
	says "not signed"
	swbundle keygen --name demo >/dev/null
	fails 3 swbundle verify -k demo.cert.pem demo.swu
	says E_SIG_MISSING
}

@test "inspect shows what is inside, also as JSON" {
	need jq
	keys; payload rootfs.img 5000; description; bundle
	run swbundle inspect demo.swu
	says "cms, names CN=demo"
	says "/dev/null"
	swbundle inspect --json demo.swu | jq -e '.signature == "cms" and .selections[0].entries[0].size == 5000 and (.members | length) == 3'
}

# The private key is the one thing that must never be lost or seen.
@test "keygen keeps the private key private and never overwrites" {
	umask 000
	swbundle keygen --dir k --name a
	[ "$(stat -c %a k/a.key.pem)" = 600 ]
	sum=$(sha256sum k/a.key.pem)
	fails 1 swbundle keygen --dir k --name a
	says "never overwritten"
	[ "$sum" = "$(sha256sum k/a.key.pem)" ]
	fails 2 swbundle keygen --dir k --name ../b
	fails 2 swbundle keygen --type dsa
	openssl x509 -in k/a.cert.pem -noout -checkend $((19 * 365 * 86400))
	[ "$(openssl x509 -in k/a.cert.pem -noout -subject -nameopt RFC2253)" = "subject=CN=a" ]
	openssl x509 -in k/a.cert.pem -noout -text | grep -q 'E-mail Protection, Code Signing'
}

@test "help is printed for the program and each command; mistakes end with status 2" {
	fails 0 swbundle --help
	for c in keygen build verify inspect; do
		says "$c"
	done
	for c in keygen build verify inspect; do
		fails 0 swbundle "$c" --help
		says "usage: swbundle $c"
		fails 2 swbundle "$c" --no-such-option
	done
	fails 2 swbundle
	fails 2 swbundle bild
	fails 2 swbundle inspect a b
	fails 0 swbundle --version
}

# tolerated FILES: demo.swu of a description with three loose things, and these members more
tolerated() {
	payload rootfs.img 5000; echo extra >extra.txt
	cat >sw-description <<-D
		software = {
			version = "2.0";
			verson = "3"; hardware-compatiblity = [ "1.0" ]; imges: ({ filename = "a"; });
			images: ({ filename = "rootfs.img"; device = "/dev/null"; type = "raw"; sha256 = "$(sha rootfs.img)"; devcie = "x"; });
			b = { c = { images: ({ filename = "rootfs.img"; device = "/dev/null"; sha256 = "$(sha rootfs.img)"; compresed = "x"; }); }; };
		};
		softwar = 1;
	D
	by_hand rootfs.img "$@"
}

@test "--strict lists all that is only tolerated, each once, with path and line, and refuses" {
	need cpio openssl
	keys; tolerated extra.txt; printf 'more than padding' >>demo.swu
	swbundle verify -k demo.cert.pem demo.swu
	fails 3 swbundle verify --strict -k demo.cert.pem demo.swu
	says "demo.swu: tolerated: line 3: software.verson is not known; did you mean version?"
	says "demo.swu: tolerated: line 3: software.hardware-compatiblity is not known; did you mean hardware-compatibility?"
	says "demo.swu: tolerated: line 3: software.imges is not known; did you mean images?"
	says "demo.swu: tolerated: line 7: softwar is not known"
	says "demo.swu: tolerated: line 4: software.images[0].devcie is not known; did you mean device?"
	says "demo.swu: tolerated: line 5: software.b.c.images[0].compresed is not known; did you mean compressed?"
	says "demo.swu: tolerated: member extra.txt is not named by the description"
	says "bytes behind the end"
	[ "$(grep -c 'demo.swu: tolerated' <<<"$output")" -eq "$(grep 'demo.swu: tolerated' <<<"$output" | sort -u | wc -l)" ]
	says "things are only tolerated"
	# an oddity of the archive alone
	payload rootfs.img 5000; description; bundle
	swbundle verify --strict -k demo.cert.pem demo.swu
	printf 'more than padding' >>demo.swu
	fails 3 swbundle verify --strict -k demo.cert.pem demo.swu
	[ "$(grep -c 'demo.swu: tolerated' <<<"$output")" -eq 1 ]
	# the end: how many, and what to do; behind the list also where both go into one pipe
	says '1 thing is only tolerated: devices install it'
	says 'correct what is listed above and build the bundle again, or verify it without --strict'
	[[ $output == *'demo.swu: tolerated'*'E_DESC_VALUE'* ]]
}

@test "what is not good at all is refused as ever, strict or not" {
	need cpio openssl
	keys; tolerated
	printf X | dd of=rootfs.img bs=1 seek=9 conv=notrunc status=none
	printf 'sw-description\nsw-description.sig\nrootfs.img\n' | cpio -o -H newc --quiet >demo.swu
	fails 3 swbundle verify --strict -k demo.cert.pem demo.swu
	says E_PAYLOAD_HASH
}

@test "--json tells the same as one object" {
	need cpio jq openssl
	keys; tolerated extra.txt
	swbundle verify --json -k demo.cert.pem demo.swu >out.json
	[ "$(jq -r '"\(.good) \(.version) \(.payloads) \(.scheme)"' out.json)" = "true 2.0 1 cms" ]
	run swbundle verify --strict --json -k demo.cert.pem demo.swu
	[ "$status" -eq 3 ]
	swbundle verify --strict --json -k demo.cert.pem demo.swu >out.json 2>/dev/null || true
	[ "$(jq -r .good out.json)" = false ]
	jq -e '.tolerated | any(contains("extra.txt"))' out.json
	head -c 3000 demo.swu >cut.swu
	swbundle verify --json -k demo.cert.pem cut.swu >out.json 2>/dev/null || true
	[ "$(jq -r '"\(.good) \(.code)"' out.json)" = "false E_TRUNCATED" ]
}

# Programs read it: whatever a description can say is in it, the key of an entry aside.
@test "inspect --json has every attribute and element" {
	keys; payload a.img 4096; payload rights 10
	cat >sw-description <<-'D'
		software = { version = "3"; description = "text"; update-type = "os"; hardware-compatibility: [ "1.0" ]; reboot = false;
			bootloader_state_marker = false; embedded-script = "function f(i) return true, i end";
			images: ({ filename = "a.img"; device = "/dev/a"; name = "n"; version = "1"; offset = "4K"; compressed = "zlib"; install-if-higher = true;
				hash-list = true; hash-block = 65536; hook = "f"; data = "d"; properties = { one = "1"; two = ( "1", "2" ); }; });
			files: ({ filename = "rights"; path = "/r"; mode = "0640"; owner = "root"; encrypted = "aes-cbc-128"; aes-key = "000102030405060708090a0b0c0d0e0f"; ivt = "000102030405060708090a0b0c0d0e0f"; encrypted-already = true; });
			partitions: ({ type = "ubipartition"; device = "ubi0"; name = "v"; size = 4096; });
			bootenv: ({ name = "b"; value = "1"; }); };
	D
	head -c 16 /dev/urandom >rights
	bundle 2>/dev/null
	swbundle inspect --json demo.swu >out.json
	python3 - <<-'P'
		import json
		d = json.load(open("out.json"))
		s = d["selections"][0]
		assert d["v"] == 1 and s["version"] == "3" and s["update-type"] == "os" and s["reboot"] is False and s["bootloader_state_marker"] is False
		assert s["embedded-script"].startswith("function") and s["hardware"] == ["1.0"] and s["bootenv"] == [{"name": "b", "value": "1"}]
		e = {x.get("filename", x["section"]): x for x in s["entries"]}
		a, r, p = e["a.img.gz"], e["rights"], e["partitions"]
		assert a["section"] == "images" and a["type"] == "raw" and a["offset"] == 4096 and a["compressed"] == "zlib" and a["install-if-higher"] is True
		assert a["hash-block"] == 65536 and a["hash-list"].endswith(".hl") and len(a["hash-list-sha256"]) == 64 and len(a["sha256"]) == 64
		assert a["hook"] == "f" and a["data"] == "d" and a["properties"]["one"] == "1" and a["properties"]["two"] == ["1", "2"] and a["line"] > 0
		assert r["mode"] == "0640" and r["owner"] == "root" and r["encrypted"] == "aes-cbc-128" and r["ivt"].startswith("0001") and r["size"] == 16
		assert "aes-key" not in r and "hash-block" not in r and "offset" not in r
		assert p["size"] == 4096 and p["device"] == "ubi0"
	P
	# each attribute of the manual that a description has is named in the page
	for member in section line hardware entries bootenv vars members properties; do grep -q "\`$member\`" "${BATS_TEST_FILENAME%/*}/../../doc/json.md"; done
}

@test "a payload whose compressed data are cut is refused by build and verify --strict, whatever the codec" {
	keys; payload rootfs.img 300000
	local word tool
	for word in 'zlib gzip' 'xz xz' 'zstd zstd' 'lz4 lz4'; do
		tool=${word#* } word=${word% *}
		need "$tool"
		$tool -c rootfs.img 2>/dev/null | head -c 200000 >cut
		printf 'software = { version = "2.0"; hardware-compatibility: ["1"]; images: ({ filename = "cut"; slot = "rootfs"; compressed = "%s"; sha256 = "%s"; }); };\n' \
			"$word" "$(sha cut)" >sw-description
		fails 1 bundle; says 'cannot be decompressed'
		by_hand cut
		run swbundle verify --strict -k demo.cert.pem demo.swu; [ "$status" -ne 0 ]; says 'cannot be decompressed'
	done
}
