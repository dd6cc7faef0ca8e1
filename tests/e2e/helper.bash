# shellcheck shell=bash disable=SC2154 # bats sets status and output
# For all e2e tests: `load helper` in a .bats file. Each test has a folder of its own, $T, which is the working folder
# and goes away with it. BIN is the folder of the programs.
# shellcheck source=tests/e2e/wait.bash
. "${BASH_SOURCE[0]%/*}/wait.bash"
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

# peer [OPTION...]: Debian's swupdate, judged by its log: 0 installed (or checked), 1 refused, 2 it said neither
peer() { "${BASH_SOURCE[0]%/*}/../peers/swupdate-run" "$@"; }

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

# slots [LINES]: a device of files: slot a runs, slot b is the target, a boot environment, device.cfg with more LINES in
# globals. RUNNING="a" gives that slot a word of this kernel's command line, as a device with a boot loader has it
slots() {
	local n word
	read -r word _ </proc/cmdline
	mkdir -m 700 state
	{ echo 'release 1.0'; head -c 524276 /dev/zero; } >slot-a
	head -c 524288 /dev/zero | tr '\0' o >slot-b
	echo 'bootslot=a' >bootenv
	{
		echo "globals : { public-key-file = \"$T/demo.cert.pem\"; bootloader = \"file\"; bootenv-path = \"$T/bootenv\"; state-dir = \"$T/state\";"
		printf '%s\n' "${1-}" 'slots = ('
		for n in a b; do
			echo "{ name = \"$n\"; rootfs = \"$T/slot-$n\"; env = { bootslot = \"$n\"; };"
			[ "${RUNNING-}" != "$n" ] || echo "cmdline = \"$word\";"
			[ "$n" = a ] && echo '},' || echo '}'
		done
		echo '); };'
	} >device.cfg
}

# release VERSION [ATTRIBUTES]: rootfs.img and sw-description of a release for the free slot
release() {
	payload rootfs.img 300017
	printf 'release %s\n' "$1" | dd of=rootfs.img conv=notrunc status=none
	cat >sw-description <<-D
		software = {
			version = "$1";
			images: ({ filename = "rootfs.img"; slot = "rootfs"; ${2-} });
		};
	D
}

# what an update may change, but for the state directory
device_sum() { cat slot-? bootenv "$@" | sha256sum; }

slot_holds() { cmp -n "$(stat -c %s "$2")" "slot-$1" "$2"; }

boots() { grep -qx "bootslot=$1" bootenv; }

# nothing of ours lies about in the working folder or the state directory
tidy() {
	local left
	left=$(find "$T" -name '.swinstall-*' -o -name '*.tmp' -o -name '*.new')
	[ -z "$left" ] || { echo "left behind: $left"; return 1; }
}

# by_hand MEMBER...: demo.swu from the members named, with a signature made by the openssl program
by_hand() {
	local m
	openssl cms -sign -in sw-description -out sw-description.sig -signer demo.cert.pem -inkey demo.key.pem -outform DER -nosmimecap -binary
	{ echo sw-description; echo sw-description.sig; for m in "$@"; do echo "$m"; done; } | cpio -o -H "${FORMAT:-newc}" --quiet >demo.swu
}

sha() { sha256sum "$1" | cut -d' ' -f1; }
