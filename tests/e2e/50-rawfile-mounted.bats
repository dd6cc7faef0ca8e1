#!/usr/bin/env bats
# Files on a device that is mounted for them: loop devices with ext4, as root.
# shellcheck disable=SC2154 # bats sets status, output

load device

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return 1
	swbundle keygen --dir keys --name test >/dev/null
	gcc -shared -fPIC -O1 -o libfault.so "$BATS_TEST_DIRNAME/../fault/libfault.c" -ldl || true
}

setup() {
	[ "$(id -u)" -eq 0 ] || skip 'only root mounts'
	command -v mkfs.ext4 >/dev/null || skip 'mkfs.ext4 is not installed'
	cd "$BATS_TEST_TMPDIR" || return 1
	mkdir -m 700 state run
	mkdir mnt outside
	echo 'safe' >outside/file
	truncate -s 8M disk.img
	mkfs.ext4 -q -F disk.img
	loop=$(losetup -f --show disk.img) || skip 'no loop devices here'
	mount "$loop" mnt || skip 'nothing can be mounted here'
	mkdir -p mnt/etc mnt/data
	echo 'old' >mnt/etc/app.conf
	chmod 4751 mnt/etc/app.conf && chown 12:34 mnt/etc/app.conf && chmod 4751 mnt/etc/app.conf
	ln -s "$PWD/outside" mnt/link
	ln -s ../../../../../../../../../../../../..$PWD/outside mnt/climb
	ln -s "$PWD/outside/file" mnt/etc/evil
	umount mnt
	config "$loop" /dev/null
	echo 'new content' >app.conf
}

teardown() {
	umount mnt 2>/dev/null
	[ -z "$loop" ] || losetup -d "$loop"
	[ -z "$other" ] || losetup -d "$other"
}

# config SLOT-B: slot a is no device
config() {
	echo 'bootslot=a' >bootenv
	head -c 65536 /dev/zero >slot-a.img
	word=$(tr ' ' '\n' </proc/cmdline | grep -m1 '^[a-z.]*=[a-z0-9]*$') || skip 'no word on the kernel command line'
	cat >device.cfg <<-CFG
	globals : {
		public-key-file = "$BATS_FILE_TMPDIR/keys/test.cert.pem";
		bootloader = "file";
		bootenv-path = "$PWD/bootenv";
		state-dir = "$PWD/state";
		run-dir = "$PWD/run";
		slots = (
			{ name = "a"; rootfs = "$PWD/slot-a.img"; cmdline = "$word"; env = { bootslot = "a"; }; },
			{ name = "b"; rootfs = "$1"; cmdline = "no-such-word"; env = { bootslot = "b"; }; }
		);
	};
	CFG
}

# files ENTRY...: a bundle of these entries (their attributes), all with the payload app.conf
files() {
	local t list=
	for t; do list="$list${list:+,} { filename = \"app.conf\"; type = \"rawfile\"; $t }"; done
	echo "software = { version = \"2.0\"; files: ( $list ); };" >sw-description
	swbundle build sw-description --key "$BATS_FILE_TMPDIR/keys/test.key.pem" \
		--cert "$BATS_FILE_TMPDIR/keys/test.cert.pem" -o files.swu >/dev/null
}

on_disk() { printf 'device = "%s"; filesystem = "ext4"; path = "%s"; %s' "$loop" "$1" "${2-}"; }

# nothing is mounted, no folder to mount in, no staging folder
is_tidy() {
	! grep -q "$loop " /proc/self/mounts || return 1
	[ -z "$(ls run state | grep mnt-)" ] || return 1
	mount -o ro "$loop" mnt || return 1
	! find mnt outside -name '.swinstall-*' | grep . || return 1
	[ "$(ls outside)" = file ] && [ "$(cat outside/file)" = safe ]
}

install_it() { run timeout $HANG swinstall -f device.cfg files.swu; echo "$output"; }

@test 'a new file, and a replaced one that keeps mode and owner' {
	files "$(on_disk /etc/app.conf)" "$(on_disk /data/new)"
	install_it
	[ "$status" -eq 0 ]
	is_tidy
	cmp app.conf mnt/etc/app.conf
	cmp app.conf mnt/data/new
	[ "$(stat -c %a:%u:%g mnt/etc/app.conf)" = 4751:12:34 ]
	[ "$(stat -c %a:%u mnt/data/new)" = 600:0 ]
}

@test 'the slot that does not run is mounted, and boots next' {
	files 'slot = "rootfs"; filesystem = "ext4"; path = "/etc/app.conf";'
	install_it
	[ "$status" -eq 0 ]
	is_tidy
	cmp app.conf mnt/etc/app.conf
	grep -q '^bootslot=b$' bootenv
}

@test 'create-destination makes the folders on the device, not here' {
	files "$(on_disk /srv/swinstall-test/deep/file 'properties = { create-destination = "true"; };')"
	install_it
	[ "$status" -eq 0 ]
	is_tidy
	cmp app.conf mnt/srv/swinstall-test/deep/file
	[ ! -e /srv/swinstall-test ]
}

@test 'T40: links on the file system lead nowhere, absolute, climbing or as the file itself' {
	for path in /link/file /climb/file /etc/evil /link/new; do
		files "$(on_disk $path)"
		install_it
		[ "$status" -eq 1 ]
		[[ "$output" == *E_FILE* ]]
		[[ "$output" == *link* ]]
		is_tidy
		umount mnt
	done
	files "$(on_disk /link/deep/file 'properties = { create-destination = "true"; };')"
	install_it
	[ "$status" -eq 1 ]
	is_tidy
}

@test 'T2: a device that is mounted is refused' {
	mount "$loop" mnt
	files "$(on_disk /etc/app.conf)"
	install_it
	[ "$status" -eq 1 ]
	[[ "$output" == *E_TARGET_ACTIVE* ]]
	[ "$(cat mnt/etc/app.conf)" = old ]
}

@test 'the list targets of the configuration holds for the device of a mounted file too' {
	config /dev/null # slots need not be listed
	files "$(on_disk /etc/app.conf)"
	sed -i "s|^globals : {|&\n\ttargets = [ \"/dev/null\", \"$PWD/mnt\", \"/etc\" ];|" device.cfg
	install_it
	[ "$status" -eq 1 ]
	[[ "$output" == *E_TARGET* ]]
	[[ "$output" == *"not in the list targets"* ]]
	is_tidy
	[ "$(cat mnt/etc/app.conf)" = old ]
	umount mnt
	ln -s "$loop" by-name
	sed -i "s|targets = .*;|targets = [ \"$PWD/by-name\" ];|" device.cfg
	install_it
	[ "$status" -eq 0 ]
	is_tidy
	cmp app.conf mnt/etc/app.conf
}

@test 'another type than what is on the device is an error that says so' {
	files "device = \"$loop\"; filesystem = \"vfat\"; path = \"/etc/app.conf\";"
	install_it
	[ "$status" -eq 1 ]
	[[ "$output" == *E_MOUNT* ]]
	[[ "$output" == *"$loop"* ]]
	is_tidy
	[ "$(cat mnt/etc/app.conf)" = old ]
}

@test 'a file system that needs no device is refused: nothing would be kept' {
	files "device = \"$loop\"; filesystem = \"tmpfs\"; path = \"/app.conf\";"
	install_it
	[ "$status" -eq 1 ]
	[[ "$output" == *E_MOUNT* ]]
	is_tidy
}

@test 'without filesystem nothing is mounted and nothing is written' {
	files "device = \"$loop\"; path = \"/etc/app.conf\";"
	install_it
	[ "$status" -eq 1 ]
	[[ "$output" == *E_DESC_MISSING* ]]
}

@test 'an image and then a file in it' {
	truncate -s 8M fresh.img
	mkfs.ext4 -q -F fresh.img
	cat >sw-description <<-D
	software = { version = "2.0";
		images: ({ filename = "fresh.img"; slot = "rootfs"; });
		files: ({ filename = "app.conf"; type = "rawfile"; slot = "rootfs"; filesystem = "ext4"; path = "/app.conf"; });
	};
	D
	swbundle build sw-description --key "$BATS_FILE_TMPDIR/keys/test.key.pem" \
		--cert "$BATS_FILE_TMPDIR/keys/test.cert.pem" -o files.swu >/dev/null
	install_it
	[ "$status" -eq 0 ]
	is_tidy
	cmp app.conf mnt/app.conf
	[ ! -e mnt/etc ]
}

@test 'a check and a dry run mount nothing' {
	files "$(on_disk /etc/app.conf)"
	sum=$(sha256sum <disk.img)
	swinstall -f device.cfg -c files.swu
	swinstall -f device.cfg -n files.swu
	[ "$(sha256sum <disk.img)" = "$sum" ]
}

@test 'T108: the folders that were made go away when there is no space' {
	head -c 12M /dev/urandom >app.conf
	files "$(on_disk /data/a/b/big 'properties = { create-destination = "true"; };')"
	install_it
	[ "$status" -eq 1 ]
	[[ "$output" == *E_NO_SPACE* ]]
	is_tidy
	[ ! -e mnt/data/a ]
}

@test 'T109: a failing flush, mount or umount leaves the old file and no mount' {
	[ -e "$BATS_FILE_TMPDIR/libfault.so" ] || skip 'no libfault.so'
	files "$(on_disk /etc/app.conf)" "$(on_disk /data/a/new 'properties = { create-destination = "true"; };')"
	for call in mount umount syncfs; do
		run env LD_PRELOAD="$BATS_FILE_TMPDIR/libfault.so" FAULT_CALL=$call FAULT_N=1 FAULT_ERR=5 \
			swinstall -f device.cfg files.swu
		echo "$call: $output"
		[ "$status" -eq 1 ]
		swctl -f device.cfg recover
		is_tidy
		[ "$(cat mnt/etc/app.conf)" = old ]
		[ ! -e mnt/data/a ]
		umount mnt
	done
}

# kill CALL N: killed there; then old or new, and nothing is left
kill_at() {
	run env LD_PRELOAD="$BATS_FILE_TMPDIR/libfault.so" FAULT_CALL="$1" FAULT_N="$2" FAULT_ERR=kill \
		timeout $HANG swinstall -f device.cfg files.swu
	run swctl -f device.cfg recover
	echo "$1 $2: $output"
	[ "$status" -eq 0 ] || return 1
	is_tidy || return 1
	if grep -q '^swinstall_txn=' bootenv; then
		cmp app.conf mnt/etc/app.conf && cmp app.conf mnt/data/a/new || return 1
	else
		[ "$(cat mnt/etc/app.conf)" = old ] && [ ! -e mnt/data/a ] || return 1
	fi
	umount mnt
}

@test 'T103: killed anywhere, recovery brings old or new, and leaves no mount' {
	[ -e "$BATS_FILE_TMPDIR/libfault.so" ] || skip 'no libfault.so'
	files "$(on_disk /etc/app.conf)" "$(on_disk /data/a/new 'properties = { create-destination = "true"; };')"
	for n in 1 2; do
		kill_at umount 1
	done
	kill_at mount 1
	for call in rename mkdir link unlink fsync; do
		for n in 1 2 3 4 5 6 7 8; do
			mount "$loop" mnt
			echo old >mnt/etc/app.conf
			rm -rf mnt/data/a
			umount mnt
			echo 'bootslot=a' >bootenv
			kill_at $call $n
		done
	done
}

# killed after the switch, with the old content still there
kill_after_switch() {
	[ -e "$BATS_FILE_TMPDIR/libfault.so" ] || skip 'no libfault.so'
	files "$(on_disk /etc/app.conf)"
	for n in $(seq 1 30); do
		mount "$loop" mnt && echo old >mnt/etc/app.conf && umount mnt
		echo 'bootslot=a' >bootenv
		run env LD_PRELOAD="$BATS_FILE_TMPDIR/libfault.so" FAULT_CALL=unlink FAULT_N="$n" FAULT_ERR=kill \
			timeout $HANG swinstall -f device.cfg files.swu
		grep -q '^swinstall_txn=' bootenv && [ "$status" -ne 0 ] && return 0
		swctl -f device.cfg recover
	done
	return 1
}

@test 'recovery finishes also when the device is mounted by now, as after the reboot into it' {
	kill_after_switch
	mount "$loop" mnt
	find mnt -name '.swinstall-*' | grep .
	run swctl -f device.cfg recover
	echo "$output"
	[ "$status" -eq 0 ]
	umount mnt
	is_tidy
	cmp app.conf mnt/etc/app.conf
}

@test 'recovery finishes also when the device is mounted read-only, and says what stays' {
	kill_after_switch
	mount -o ro "$loop" mnt
	run swctl -f device.cfg recover
	echo "$output"
	[ "$status" -eq 0 ]
	[[ "$output" == *"$loop"* ]]
	cmp app.conf mnt/etc/app.conf
	run swctl -f device.cfg recover
	[[ "$output" != *"$loop"* ]]
}

# killed before the switch, with the new file in place, on a file system that the system mounted
kill_before_switch() {
	[ -e "$BATS_FILE_TMPDIR/libfault.so" ] || skip 'no libfault.so'
	files "path = \"$PWD/mnt/etc/app.conf\";"
	mount "$loop" mnt
	for n in $(seq 1 30); do
		run env LD_PRELOAD="$BATS_FILE_TMPDIR/libfault.so" FAULT_CALL=rename FAULT_N="$n" FAULT_ERR=kill \
			timeout $HANG swinstall -f device.cfg files.swu
		[ "$status" -ne 0 ] && [ "$(cat mnt/etc/app.conf)" != old ] && return 0
		swctl -f device.cfg recover
	done
	return 1
}

@test 'T103: recovery before the file system is mounted undoes nothing and waits; later it does' {
	kill_before_switch
	grep -q '^swinstall_txn=' bootenv && return 1
	umount mnt
	run swctl -f device.cfg recover
	echo "$output"
	[ "$status" -eq 3 ]
	[[ "$output" == *E_RECOVER* ]]
	[[ "$output" == *"$PWD/mnt"* ]]
	run swinstall -f device.cfg files.swu
	[ "$status" -eq 1 ]
	[[ "$output" == *E_RECOVER* ]]
	mount "$loop" mnt
	run swctl -f device.cfg recover
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$(cat mnt/etc/app.conf)" = old ]
	! find mnt -name '.swinstall-*' | grep .
}

@test 'T103: the state directory is on a file system that is not mounted yet: recovery and installs wait' {
	kill_before_switch
	umount mnt
	echo "/dev/sda9 $PWD/state ext4 defaults 0 2" >fstab
	# preloaded, not mounted over in a namespace: that would hold the mounts of other tests
	cat >fstab.c <<-C
	#include <stdio.h>
	FILE *setmntent(const char *path, const char *mode) { (void)path; return fopen("$PWD/fstab", mode); }
	C
	gcc -shared -fPIC -O1 -o fstab.so fstab.c || skip 'no compiler'
	in_it() { run env LD_PRELOAD="$PWD/fstab.so" "$@"; echo "$output"; }
	mount "$loop" mnt
	in_it swctl -f device.cfg recover
	[ "$status" -eq 3 ]
	[[ "$output" == *E_NOT_MOUNTED* ]]
	[[ "$output" == *"$PWD/state"* ]]
	in_it swinstall -f device.cfg files.swu
	[ "$status" -eq 1 ]
	[[ "$output" == *E_NOT_MOUNTED* ]]
	[ "$(cat mnt/etc/app.conf)" != old ]
	echo "/dev/sda9 $PWD/state ext4 nofail 0 2" >fstab
	in_it swctl -f device.cfg recover
	[ "$status" -eq 0 ]
	[ "$(cat mnt/etc/app.conf)" = old ]
}
