#!/usr/bin/env bats
# The first hour after a switch: what scripts around swupdate rely on, asked of Debian's swupdate and of swinstall called
# by its name. The verdict is the same on both, or doc/migrating-from-swupdate.md names the difference.
# shellcheck disable=SC2154 # beside.bash sets theirs and ours
load ../e2e/helper
load beside

setup() { setup_beside; }

one() { entry "filename = \"rootfs.img\"; device = \"$D/disk\"; type = \"raw\";"; }

@test "lines that are no errors are on standard output, errors on standard error" {
	one
	both
	agree 0
	for who in theirs ours; do
		holds $who disk
		grep -q 'SWUPDATE successful !' $who.out
		[ ! -s $who.err ]
	done
	H=board1:9.9 both
	agree 1
	for who in theirs ours; do
		grep -q '^\[ERROR\] : SWUPDATE failed \[0\] ERROR : ' $who.err
		if grep -E '^\[ERROR\]|SWUPDATE successful' $who.out; then return 1; fi
	done
}

@test "a postupdate command that fails ends both with 1, and the update is installed" {
	one
	both -p 'exit 3'
	agree 1
	holds theirs disk && holds ours disk
	grep -q 'SWUPDATE successful !' theirs.out && grep -q 'SWUPDATE successful !' ours.out
	both -p true
	agree 0
}

@test "a preupdate command that fails: nothing is written" {
	one
	both -P 'exit 3'
	agree 1
	cmp device.old/disk theirs/disk && cmp device.old/disk ours/disk
}

@test "exit codes: an altered payload, a wrong key, a cut bundle, a file that is none" {
	one
	cp demo.swu good.swu
	printf 'X' | dd of=demo.swu bs=1 seek=200000 conv=notrunc status=none
	both; agree 1
	head -c 200000 good.swu >demo.swu
	both; agree 1
	payload demo.swu 4096
	both; agree 1
	cp good.swu demo.swu
	swbundle keygen --dir other --name other >/dev/null
	K=other/other.cert.pem both; agree 1
	both; agree 0
	both -c; agree 0
	cmp device.old/disk theirs/disk && cmp device.old/disk ours/disk
}

# hook BODY [ATTRIBUTES]: demo.swu with one image whose hook h has this body
hook() {
	describe "embedded-script = \"function h(i) $1 end\"; images: ({ filename = \"rootfs.img\"; device = \"$D/disk\"; type = \"raw\"; hook = \"h\"; ${2-} });"
	bundle >/dev/null
}

@test "hooks: what they return, and what they change" {
	hook "i.device = '$D/disk2'; return true, i"; both; agree 0
	holds theirs disk2 && holds ours disk2
	cmp device.old/disk theirs/disk && cmp device.old/disk ours/disk
	hook "return false, 'a reason'"; both; agree 1
	hook "error('broken')"; both; agree 1
	hook "return true"; both; agree 1 # without an entry it is left out, and nothing is left
	sed -i 's/hook = "h"/hook = "missing"/' sw-description; bundle >/dev/null
	both; agree 1
}

# two vendors ship hooks that say so
@test "a hook that returns true and a text: the text is ignored" {
	hook "return true, 'a text'"; both; agree 0
	holds theirs disk && holds ours disk
	grep -q '^\[WARN \]' ours.out
}

raw() { echo "filename = \"$1\"; device = \"$D/$2\"; type = \"raw\"; sha256 = \"$(sha "$1")\"; ${3-}"; }

@test "missing files: an entry without filename, a file that is not there, one that a version rule skips" {
	payload app.bin 5000
	describe "images: ({ $(raw rootfs.img disk) }, { device = \"$D/disk2\"; type = \"raw\"; });"; by_hand rootfs.img
	both; agree 0
	holds theirs disk && holds ours disk
	describe "images: ({ $(raw rootfs.img disk) }, { $(raw app.bin disk2) });"; by_hand rootfs.img
	both; agree 1
	for c in peer our; do echo 'versions : ( { name = "app"; version = "1.0"; } );' >>$c.cfg; done
	describe "images: ({ $(raw rootfs.img disk) }, { $(raw app.bin disk2 'name = "app"; version = "1.0"; install-if-different = true;') });"; by_hand rootfs.img
	both; agree 0
	holds theirs disk && holds ours disk
}

@test "entries that overlap are written in order, the later one counts" {
	payload app.bin 5000
	describe "images: ({ $(raw rootfs.img disk) }, { $(raw app.bin disk 'offset = "4096";') });"; by_hand rootfs.img app.bin
	both; agree 0
	for who in theirs ours; do
		cmp -n 5000 $who/disk app.bin 4096 0
		cmp -n 4096 $who/disk rootfs.img
	done
	cmp theirs/disk ours/disk
}

@test "a payload that two entries share, and one that nobody names" {
	payload app.bin 5000
	describe "images: ({ $(raw rootfs.img disk) }, { $(raw rootfs.img disk2) });"; by_hand rootfs.img app.bin
	both; agree 0
	cmp theirs/disk ours/disk && cmp theirs/disk2 ours/disk2
	holds ours disk2
}

@test "hardware: exact, a pattern, another one, none in the bundle" {
	one
	H=board1:1.0 both; agree 0
	H=other:1.0 both; agree 0
	H=board1:2 both; agree 1
	sed 's/"1.0" \]/"#RE:^1\\\\.[0-9]$" ]/' sw-description >x && mv x sw-description; bundle >/dev/null
	H=board1:1.7 both; agree 0
	H=board1:1.17 both; agree 1
	sed 's/hardware-compatibility: [^;]*;//' sw-description >x && mv x sw-description; bundle >/dev/null
	both; agree 1
}

@test "versions: no-downgrading, no-reinstalling, max-version" {
	one
	both -N 1.0; agree 0
	both -N 1.1; agree 1
	both -R 1.0; agree 1
	both -R 1.1; agree 0
	both --max-version 0.9; agree 1
	both --max-version 1.0; agree 0
}

@test "a selection that the bundle has, one that it lacks, one that is not accepted" {
	describe "stable = { a = { images: ({ $(raw rootfs.img disk) }); }; b = { images: ({ $(raw rootfs.img disk2) }); }; };"; by_hand rootfs.img
	both -e stable,b; agree 0
	holds theirs disk2 && holds ours disk2
	both -e stable,c; agree 1
	both; agree 1
	both -q stable,a -e stable,a; agree 0
}

@test "scripts: what they print, how they end, the order of their phases" {
	cat >act.sh <<-S
		#!/bin/sh
		echo "\$1" >>$D/phases
		echo "on info" >&\$SWUPDATE_INFO_FD
		echo chatter
		[ "\$1" != "\$(cat $T/fail-in 2>/dev/null)" ]
	S
	describe "images: ({ $(raw rootfs.img disk) }); scripts: ({ filename = \"act.sh\"; type = \"shellscript\"; sha256 = \"$(sha act.sh)\"; });"; by_hand rootfs.img act.sh
	both; agree 0
	diff theirs/phases ours/phases
	grep -q '^\[INFO \].*on info' theirs.out && grep -q '^\[INFO \].*on info' ours.out
	for phase in preinst postinst; do
		echo $phase >fail-in
		both; differ 1 1 'also after the failure of a script'
		diff <(cat theirs/phases; echo postfailure) ours/phases
	done
}
