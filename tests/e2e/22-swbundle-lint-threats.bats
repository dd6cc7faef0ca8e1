#!/usr/bin/env bats
# swbundle lint, one planted mistake for each row of the threats that a description can carry: found, with line and path.
load helper

A=0000000000000000000000000000000000000000000000000000000000000001
IMG='filename = "a.img"; device = "/dev/x"'

around() {
	local boards='hardware-compatibility: [ "1.0" ];'
	[[ $1 != *hardware-compatibility* ]] || boards=
	printf 'software = {\n\tversion = "1.0"; %s\n%s\n};\n' "$boards" "$1" >sw-description
}

entry() { around "$1: ({ $2 });"; }

# finds LINE TEXT [OPTIONS]
finds() {
	local want="sw-description:$1: error: " text=$2
	shift 2
	run swbundle lint sw-description "$@"
	[ "$status" -eq 3 ] && grep -F "$want" <<<"$output" | grep -qF -- "$text" || { echo "status $status; wanted: $want $text"; cat sw-description; echo "$output"; return 1; }
}

# doubts LINE TEXT [OPTIONS]
doubts() {
	swbundle lint sw-description "${@:3}" | grep -F "sw-description:$1: warning: " | grep -qF -- "$2" || { cat sw-description; return 1; }
}

@test "T4: a hash that is no hash" {
	local bad
	for bad in 5 '""' "\"${A%?}\"" "\"${A%?}g\"" "\"$(printf '%064d' 0)\"" true; do
		entry images "$IMG; sha256 = $bad;"
		finds 3 'software.images[0].sha256'
	done
	entry images "$IMG;"
	finds 3 'software.images[0] has no sha256' --finished
}

@test "T21: names of members that lead elsewhere" {
	entry images 'filename = "."; device = "/dev/x"'
	finds 3 'software.images[0].filename is the name of a member'
	entry images "filename = \"../a\"; device = \"/dev/x\"; sha256 = \"$A\"; size = 1;"
	finds 3 'software.images[0].filename is the name of a member' --finished
}

@test "T33, T34, T38: other files, depth, circles, two syntaxes" {
	local i
	around '@include "/etc/shadow"'
	finds 3 '@include'
	{ printf 'software = {\n'; for i in $(seq 100); do printf 'a = { '; done; for i in $(seq 100); do printf '}; '; done; echo '};'; } >sw-description
	finds 2 'nested deeper than 64'
	around 'images: ({ ref = "#./images"; });'
	finds 3 'leads back to itself'
	printf '{"software": {"version": "1"}};\n' >sw-description
	finds 1 ''
}

@test "T35, T37, T39: types, keys that stand twice, numbers" {
	entry images "$IMG; offset = -5;"
	finds 3 'software.images[0].offset is negative'
	entry images 'filename = 5; device = "/dev/x";'
	finds 3 'software.images[0].filename'
	around 'images: "x";'
	finds 3 'software.images'
	entry images "$IMG; device = \"/dev/y\";"
	finds 3 'device stands in line 3 already'
	printf '{"software": {"version": "1",\n"version": "2", "images": [{"filename": "a", "device": "/dev/x"}]}}' >sw-description
	finds 2 'stands in line 1 already'
	for i in '"1e30"' '"99999999999G"' '"4T"' '"-1"'; do
		entry images "$IMG; offset = $i;"
		finds 3 'software.images[0].offset is not a size'
	done
	entry images "$IMG; size = 99999999999999999999;"
	finds 3 'does not fit 64 bits'
}

@test "T36: bytes that are no text" {
	around "$(printf 'description = "a\001b"; images: ({ %s; });' "$IMG")"
	finds 3 'the control byte 0x01'
	around "$(printf 'description = "a\377b"; images: ({ %s; });' "$IMG")"
	finds 3 'not valid UTF-8'
}

@test "T40: places that lead elsewhere" {
	entry images 'filename = "a"; device = "dev/x";'
	finds 3 'software.images[0].device must begin with /'
	entry images 'filename = "a"; device = "/dev/../etc/passwd";'
	finds 3 'software.images[0].device leads out of its folder by ..'
	entry files 'filename = "a"; path = "/etc/../../a";'
	finds 3 'software.files[0].path leads out of its folder by ..'
	local place
	for place in /dev/mem /dev/kmem /dev/port /dev//mem; do
		entry images "filename = \"a\"; device = \"$place\";"
		finds 3 'software.images[0].device is the memory or the ports of the machine'
	done
	for place in /dev/memory /dev/mem1 /srv/mem /dev/disk/by-partlabel/port; do
		entry images "filename = \"a\"; device = \"$place\";"
		swbundle lint --strict sw-description
	done
}

@test "T41: the words of a program" {
	entry scripts "filename = \"a.sh\"; type = \"shellscript\"; data = \"a 'b\";"
	finds 3 'software.scripts[0].data cannot be split into words'
	entry scripts "filename = \"a.sh\"; type = \"shellscript\"; data = \"a 'b c' ; \$(id)\";"
	swbundle lint --strict sw-description
}

@test "T42, T44, T98: versions, patterns, boards" {
	printf 'software = {\n\tversion = "";\n\timages: ({ %s; });\n};\n' "$IMG" >sw-description
	finds 2 'software.version is empty'
	around "hardware-compatibility: [\"#RE:(a+\"]; images: ({ $IMG; });"
	finds 3 'the pattern #RE:(a+ cannot be used'
	around "hardware-compatibility: [\"#RE:$(printf 'a%.0s' $(seq 400))\"]; images: ({ $IMG; });"
	finds 3 'longer than 256 bytes'
	around "hardware-compatibility: []; images: ({ $IMG; });"
	finds 3 'software.hardware-compatibility is empty'
}

@test "T43: functions that no embedded script has" {
	entry images "$IMG; hook = \"f\";"
	finds 3 'there is no embedded-script'
}

@test "T47, T50, T105: codecs, vectors, variables of the installer" {
	entry images "$IMG; compressed = \"bzip2\";"
	finds 3 'software.images[0].compressed must be one of'
	entry images "$IMG; encrypted = true; sha256 = \"$A\";"
	doubts 3 'is encrypted without ivt' --finished
	around "images: ({ $IMG; });
bootenv: ({ name = \"swinstall_txn\"; value = \"1\"; });"
	doubts 4 'belongs to the installer'
}
