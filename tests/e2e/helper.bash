# shellcheck shell=bash disable=SC2154 # bats sets status and output
# For all e2e tests: `load helper` in a .bats file. Each test has a folder of its own, $T, which is the working folder
# and goes away with it. BIN is the folder of the programs.
BIN=$(cd "${BIN:-build}" && pwd)
PATH=$BIN:$PATH
export LC_ALL=C.UTF-8

setup() {
	T=$(mktemp -d "${BATS_TMPDIR:-/tmp}/swinstall.XXXXXX")
	chmod 755 "$T"
	cd "$T" || return 1
}

teardown() {
	cd / && rm -rf "$T"
}

# need PROGRAM...: skip, with the reason, where a program is missing
need() {
	local p
	for p in "$@"; do
		command -v "$p" >/dev/null || skip "$p is not installed"
	done
}

# fails STATUS COMMAND...: the command must end with exactly this status; its output is in $output
fails() {
	local want=$1
	shift
	run "$@"
	[ "$status" -eq "$want" ] || { echo "status $status, not $want: $*"; echo "$output"; return 1; }
}

# says TEXT: the output of the last run (or fails) contains it
says() {
	[[ $output == *"$1"* ]] || { echo "'$1' is not in:"; echo "$output"; return 1; }
}

# payload NAME BYTES: a file that does not compress to nothing, the same each time
payload() {
	openssl enc -aes-128-ctr -nosalt -pass "pass:$1" -pbkdf2 -iter 1 -in /dev/zero 2>/dev/null | head -c "$2" >"$1"
}

# a pair of keys, made once for the whole run: demo.key.pem, demo.cert.pem in the working folder
keys() {
	local kept="${BATS_RUN_TMPDIR:-${BATS_TMPDIR:-/tmp}}/swinstall-keys"
	[ -e "$kept/demo.cert.pem" ] || { rm -rf "$kept"; swbundle keygen --dir "$kept" --name demo >/dev/null; }
	cp "$kept"/demo.*.pem .
}

# description [ATTRIBUTES]: sw-description with one image, rootfs.img for /dev/null
description() {
	cat >sw-description <<-D
		software = {
			version = "2.0";
			hardware-compatibility: [ "1.0" ];
			images: ({ filename = "rootfs.img"; device = "/dev/null"; type = "raw"; ${1-} });
		};
	D
}

# bundle [OPTIONS]: build demo.swu of sw-description
bundle() {
	swbundle build sw-description --key demo.key.pem --cert demo.cert.pem -o demo.swu "$@"
}
