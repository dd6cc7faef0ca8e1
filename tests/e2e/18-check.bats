#!/usr/bin/env bats
# --check does everything but the writing: what an install must refuse, it refuses, from a file and from a pipe.
# Why: it is asked before a release goes out to a thousand devices.
load helper

setup() {
	T=$(mktemp -d "${BATS_TMPDIR:-/tmp}/swinstall.XXXXXX")
	chmod 755 "$T"
	cd "$T" || return 1
	keys
	RUNNING=a slots "aes-key-file = \"$T/aes\";"
	printf '%064d %032d\n' 7 9 >aes
	chmod 600 aes
	payload plain.img 300016
}

# image ATTRIBUTES: demo.swu with payload.bin for the free slot
image() {
	printf 'software = { version = "2.0"; images: ({ filename = "payload.bin"; slot = "rootfs"; sha256 = "%s"; %s }); };\n' "$(sha payload.bin)" "$1" >sw-description
	by_hand payload.bin
}

ends_with() { [[ ${lines[${#lines[@]} - 1]} == "[ERROR] : $1"* ]] || { echo "not $1: $output"; return 1; }; }

# both_refuse CODE [OPTION...]: --check says what an install says, from a file and from a pipe, and nothing is written
both_refuse() {
	local code=$1 before
	shift
	before=$(device_sum)
	fails 1 swinstall -f device.cfg --check "$@" demo.swu || return 1
	ends_with "$code" || return 1
	fails 1 swinstall -f device.cfg --check "$@" -i - <demo.swu || return 1
	ends_with "$code" || return 1
	[ "$(device_sum)" = "$before" ]
	fails 1 swinstall -f device.cfg "$@" demo.swu || return 1
	ends_with "$code" || return 1
}

@test "a check reads encrypted and compressed payloads to their end, and passes what is good" {
	gzip -n <plain.img >x
	openssl enc -aes-256-cbc -in x -out payload.bin -K "$(printf '%064d' 7)" -iv "$(printf '%032d' 9)"
	image 'encrypted = "aes-cbc"; compressed = "zlib";'
	before=$(device_sum)
	swinstall -f device.cfg --check demo.swu
	swinstall -f device.cfg --check -i - <demo.swu
	[ "$(device_sum)" = "$before" ]
	swinstall -f device.cfg demo.swu
	slot_holds b plain.img
}

@test "a check finds the wrong AES key, and plain bytes that are called encrypted" {
	openssl enc -aes-256-cbc -in plain.img -out payload.bin -K "$(printf '%064d' 8)" -iv "$(printf '%032d' 9)"
	image 'encrypted = "aes-cbc";'
	both_refuse E_DECRYPT
	cp plain.img payload.bin
	image 'encrypted = "aes-cbc";'
	both_refuse E_DECRYPT
}

@test "a check finds a compressed payload that is cut, and one that is not compressed" {
	need zstd xz
	for tool in gzip:zlib xz:xz zstd:zstd; do
		"${tool%:*}" <plain.img | head -c 200000 >payload.bin
		image "compressed = \"${tool#*:}\";"
		both_refuse E_DECOMPRESS
		cp plain.img payload.bin
		image "compressed = \"${tool#*:}\";"
		both_refuse E_DECOMPRESS
	done
}

@test "a check finds what is larger than its slot once it is unpacked" {
	head -c 700000 /dev/zero | gzip -n >payload.bin
	image 'compressed = "zlib";'
	fails 1 swinstall -f device.cfg --check demo.swu
	says E_TARGET_SMALL || says E_LIMIT_OUTPUT
}

@test "a check reads an archive to its end: cut ones, and names that lead out" {
	mkdir -p tree/a into
	payload tree/a/file 300000
	sed -i "s|^globals : {|&\n targets = [ \"$T/into\" ];|" device.cfg
	archive() { # archive: payload.bin as an archive
		printf 'software = { version = "2.0"; files: ({ filename = "payload.bin"; type = "archive"; path = "%s/into"; sha256 = "%s"; }); };\n' "$T" "$(sha payload.bin)" >sw-description
		by_hand payload.bin
	}
	tar -C tree -cf payload.bin .
	archive
	swinstall -f device.cfg --check demo.swu
	[ -z "$(ls into)" ]
	head -c 200000 payload.bin >cut && mv cut payload.bin
	archive
	both_refuse E_ARCHIVE
	tar -C tree/a -P --transform 's|^file|../file|' -cf payload.bin file
	archive
	both_refuse E_ARCHIVE_PATH
	[ -z "$(ls into)" ]
}
