# A device played by files, for the bats tests: keys, two slots, a boot environment, a bundle.
# BIN is the folder of the programs. Everything lies below BATS_FILE_TMPDIR and BATS_TEST_TMPDIR.

# shellcheck source=tests/e2e/wait.bash
. "${BASH_SOURCE[0]%/*}/wait.bash"
BIN=${BIN:-build}
BIN=$(cd "$BIN" && pwd)
export PATH="$BIN:$PATH"

# once a file: a key and a signed bundle of release 2.0
make_bundle() {
	cd "$BATS_FILE_TMPDIR" || return 1
	mkdir -p src
	{ echo 'release 2.0'; head -c 1048564 /dev/urandom; } >src/rootfs.img
	cat >src/sw-description <<-'DESC'
	software = {
		version = "2.0";
		images: ({ filename = "rootfs.img"; slot = "rootfs"; });
	};
	DESC
	swbundle keygen --dir keys --name test >/dev/null
	swbundle build src/sw-description --key keys/test.key.pem --cert keys/test.cert.pem -o good.swu >/dev/null
	cp good.swu bad.swu
	printf '\377\377\377\377' | dd of=bad.swu bs=1 seek=500000 conv=notrunc status=none
}

# for each test: slot a runs, slot b is empty
make_device() {
	cd "$BATS_TEST_TMPDIR" || return 1
	mkdir -m 700 state
	{ echo 'release 1.0'; head -c 2097140 /dev/zero; } >slot-a.img
	head -c 2097152 /dev/zero >slot-b.img
	echo 'bootslot=a' >bootenv
	cat >device.cfg <<-CFG
	globals : {
		public-key-file = "$BATS_FILE_TMPDIR/keys/test.cert.pem";
		bootloader = "file";
		bootenv-path = "$PWD/bootenv";
		state-dir = "$PWD/state";
		slots = (
			{ name = "a"; rootfs = "$PWD/slot-a.img"; env = { bootslot = "a"; }; },
			{ name = "b"; rootfs = "$PWD/slot-b.img"; env = { bootslot = "b"; }; }
		);
	};
	CFG
	export good=$BATS_FILE_TMPDIR/good.swu
	export bad=$BATS_FILE_TMPDIR/bad.swu
}

release_of() { head -n 1 "$1" | tr -d '\0' | cut -c1-20; }

# nothing that counts was changed
is_old() {
	grep -q '^bootslot=a$' bootenv && [ "$(release_of slot-a.img)" = 'release 1.0' ] &&
		cmp -s -n 2097152 slot-b.img /dev/zero
}

is_new() {
	grep -q '^bootslot=b$' bootenv && [ "$(release_of slot-b.img)" = 'release 2.0' ] &&
		[ "$(release_of slot-a.img)" = 'release 1.0' ]
}

# the last line that a program wrote: bats keeps them in lines[]
# shellcheck disable=SC2154 # bats sets lines
last_line() { printf '%s\n' "${lines[${#lines[@]} - 1]}"; }

# fails, and shows the lines, when a file has any that match
no_line() {
	if grep -E "$1" "$2"; then return 1; fi
}
