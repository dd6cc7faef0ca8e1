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
