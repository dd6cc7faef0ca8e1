#!/usr/bin/env bats
# scripts/quickstart, but for the compiling, which other lanes do: the first thing that a person sees must work as it is.
load helper

# a tree with the scripts and the programs; `make` there has nothing to do
tree() {
	local top=${BATS_TEST_FILENAME%/*}/../.. p
	mkdir -p tree/build fake
	cp -r "$top/scripts" tree
	for p in swinstall swbundle swctl swinstall-unpack swinstall-lua; do ln -s "$BIN/$p" "tree/build/$p"; done
	printf '#!/bin/sh\nexit 0\n' >fake/make
	printf '#!/bin/sh\necho "install ok installed"\n' >fake/dpkg-query
	chmod 755 fake/*
	PATH=$T/fake:$PATH
}

@test "quickstart shows a project, an install, a switch, a refusal with its report, and three next steps that work" {
	tree
	cd tree
	fails 0 scripts/quickstart
	says 'swbundle init build/demo/project'
	says 'signed by cms'
	says 'bootslot=a'; says 'bootslot=b'
	says 'slot b: release 2.0'
	says 'running: a, boots next: b' # right after the install
	says 'running: b, boots next: b'
	says "'build/demo/flipped.swu' was not installed"
	for part in what where why fix E_PAYLOAD_HASH; do says "[ERROR] : $part"; done
	[ "$(sed -n '/^Next$/,$p' <<<"$output" | grep -c '^  - ')" -eq 3 ]
	build/swbundle inspect build/demo/demo.swu
	build/swctl -f build/demo/device.cfg status
	[ -e build/demo/project/README ]
	# again: nothing of the first run is in its way
	fails 0 scripts/quickstart
	[ "$(ls)" = "$(printf 'build\nscripts')" ]
}

@test "quickstart without root names the one line that installs what is missing, and ends there" {
	tree
	printf '#!/bin/sh\nexit 1\n' >fake/dpkg-query
	printf '#!/bin/sh\necho 1000\n' >fake/id
	chmod 755 fake/*
	cd tree
	fails 1 scripts/quickstart
	says 'sudo apt-get install -y'
	[ ! -e build/demo ]
}

# The picture in README is made by scripts/terminal-picture: what it says of a refusal is what the program says.
@test "the picture of the terminal shows the report that there is" {
	tree
	local top=${BATS_TEST_FILENAME%/*}/../.. part
	(cd tree && scripts/quickstart >../out 2>&1)
	sed -e 's/<[^>]*>//g' -e "s/&#x27;/'/g" "$top/doc/terminal.svg" >picture
	for part in what where why; do
		wanted=$(sed -n "s/.*\[ERROR\] : $part *//p" out | head -n 1)
		[ -n "$wanted" ]
		grep -qF " $wanted" picture || { echo "not in the picture: $wanted"; return 1; }
	done
	grep -q 'E_PAYLOAD_HASH' picture
	grep -q "checked rootfs.img.zst" picture
	grep -q "release 2.0 of 'demo.swu' is installed; reboot to start it" picture
	[ "$(swinstall --check -f tree/build/demo/device.cfg tree/build/demo/demo.swu 2>&1 | grep -c 'release 2.0')" -gt 0 ]
}
