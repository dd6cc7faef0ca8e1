#!/usr/bin/env bats
# What packagers do: install below DESTDIR, build from an archive of the sources, in odd folders, as anybody.
load helper

TOP=$(cd "${BATS_TEST_FILENAME%/*}/../.." && pwd)

# BIN is built: with -o nothing of it is built again, by whatever compiler
install_to() {
	(umask 077; make -s -C "$TOP" -o all O="$BIN" DESTDIR="$T/an image" PREFIX=/usr "$@" >log 2>&1) || { cat log; return 1; }
}

@test "make install: whatever the umask, all can read what is installed, and it runs from there" {
	need make zstd
	install_to install
	cd "$T/an image/usr"
	[ -x bin/swinstall ] && [ -x bin/swctl ] && [ -x bin/swbundle ] && [ -x libexec/swinstall/swinstall-unpack ] && [ -x libexec/swinstall/swinstall-lua ]
	[ -z "$(find . ! -perm -004)" ]
	[ -z "$(find . -type d ! -perm -005)" ]
	[ -z "$(find . -perm /022 ! -type l)" ]
	grep -qx 'ExecStart=/usr/bin/swctl recover' lib/systemd/system/swinstall-recover.service
	for page in man1/swbundle.1 man8/swinstall.8 man8/swctl.8 man5/swinstall.cfg.5 man5/sw-description.5; do [ -s share/man/$page ]; done
	[ "$(ls share/bash-completion/completions)" = "$(printf 'swbundle\nswctl\nswinstall')" ]
	[ -s share/zsh/vendor-completions/_swinstall ]
	[ -s share/doc/swinstall/errors.md ]
	# the example is read, and is the one of the manual
	bin/swctl -f share/doc/swinstall/swinstall.cfg status >"$T/status" 2>&1
	grep -q '^slots ' "$T/status"
	diff <(grep -v '^[[:space:]]*#' share/doc/swinstall/swinstall.cfg | grep .) <(sed -n "/^cat >.etc.swinstall.cfg/,/^CONFIG/p" "$TOP/doc/start.md" | sed '1d;$d')
	cd "$T"
	PATH="$T/an image/usr/bin:$PATH"
	keys; slots; payload rootfs.img 300017
	zstd -q rootfs.img
	printf 'software = { version = "2.0"; images: ({ filename = "rootfs.img.zst"; slot = "rootfs"; compressed = "zstd"; }); };\n' >sw-description
	bundle
	swinstall -f device.cfg demo.swu # finds the installed swinstall-unpack
	boots b
	slot_holds b rootfs.img
}

@test "make help says what there is, without a configuration" {
	need make
	run make -C "$TOP" O="$T/none" help
	[ "$status" -eq 0 ]
	says 'make install DESTDIR'; says 'make unit'; says 'make help'
	[ ! -e "$T/none" ]
}

@test "make install-swupdate-names: the old name is this program" {
	need make
	install_to install-swupdate-names
	[ "$(readlink "$T/an image/usr/bin/swupdate")" = swinstall ]
	"$T/an image/usr/bin/swupdate" --version | grep -q swinstall
}

# objects alone: the whole program from such a folder would take a minute
@test "sources without git, in folders with blanks, are built by anybody into another folder" {
	need make setpriv kconfig-conf
	[ "$(id -u)" -eq 0 ] || skip 'SKIP: another user needs root'
	mkdir "$T/a folder"
	(cd "$TOP" && cp -r Makefile Kconfig corelib parser handlers core scripts "$T/a folder")
	mkdir -p "$T/a folder/tests"
	cp -r "$TOP/tests/tests.mk" "$TOP/tests/unit" "$T/a folder/tests"
	chmod -R a+rX "$T/a folder"
	mkdir -m 777 out
	cd "$T/a folder"
	umask 077
	setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/nonexistent make O="$T/out" tiny_defconfig >"$T/log" 2>&1 || { cat "$T/log"; return 1; }
	setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/nonexistent make O="$T/out" \
		"$T/out/corelib/base/err.o" "$T/out/parser/cpio.o" "$T/out/handlers/registry.o" >"$T/log" 2>&1 || { cat "$T/log"; return 1; }
	[ -s "$T/out/handlers/registry.o" ]
	[ "$(stat -c %u "$T/out/handlers/registry.o")" -eq 65534 ]
	grep -q 'SWINSTALL_BUILD_STAMP [0-9]' "$T/out/generated/build.h"
	run strings "$T/out/corelib/base/err.o"
	[[ $output != *'a folder'* ]] # no path of the builder
	[ -z "$(find "$T/a folder" -user 65534)" ]
}
