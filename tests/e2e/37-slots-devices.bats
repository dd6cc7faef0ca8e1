#!/usr/bin/env bats
# Slots on block devices and U-Boot's environment, as on a real board: loop devices, fw_setenv, fw_printenv.
# The slot that runs is told by a word of this machine's own kernel command line.

load device

setup_file() { make_bundle; }

setup() {
	[ "$(id -u)" -eq 0 ] || skip 'only root makes loop devices'
	for p in losetup fw_setenv fw_printenv; do
		command -v "$p" >/dev/null || skip "$p is not installed"
	done
	word=$(tr ' ' '\n' </proc/cmdline | grep -m1 '^[a-z.]*=[a-z0-9]*$') || skip 'no word on the kernel command line'
	make_device
	loop_a=$(losetup -f --show slot-a.img) && loop_b=$(losetup -f --show slot-b.img) || skip 'no loop devices here'
	echo 'bootslot=a' >first
	head -c 16384 /dev/zero | tee copy0 >copy1
	printf '%s 0x0 0x4000\n' "$PWD/copy0" "$PWD/copy1" >fw_env.config
	fw_setenv -c fw_env.config -f first bootslot a 2>/dev/null
	cat >device.cfg <<-CFG
	globals : {
		public-key-file = "$BATS_FILE_TMPDIR/keys/test.cert.pem";
		bootloader = "uboot";
		fwenv-config-location = "$PWD/fw_env.config";
		state-dir = "$PWD/state";
		slots = (
			{ name = "a"; rootfs = "$loop_a"; cmdline = "$word"; env = { bootslot = "a"; }; },
			{ name = "b"; rootfs = "$loop_b"; cmdline = "no-such-word"; env = { bootslot = "b"; }; }
		);
	};
	CFG
}

teardown() {
	[ -z "$loop_a" ] || losetup -d "$loop_a"
	[ -z "$loop_b" ] || losetup -d "$loop_b"
}

boots() { [ "$(fw_printenv -c fw_env.config -n bootslot)" = "$1" ]; }

@test 'a bundle goes into the slot that does not run, and U-Boot is told' {
	run swinstall -f device.cfg "$good"
	[ "$status" -eq 0 ]
	boots b
	[ "$(release_of "$loop_b")" = 'release 2.0' ]
	[ "$(release_of "$loop_a")" = 'release 1.0' ]
	[ -z "$(fw_printenv -c fw_env.config -n recovery_status 2>/dev/null)" ]
}

@test 'a second install before the reboot writes the same slot again' {
	swinstall -f device.cfg "$good"
	run swinstall -f device.cfg "$good"
	[ "$status" -eq 0 ]
	boots b
	[ "$(release_of "$loop_a")" = 'release 1.0' ]
}

@test 'T57: a damaged bundle leaves the switch where it was' {
	run swinstall -f device.cfg "$bad"
	[ "$status" -eq 1 ]
	boots a
	[ "$(release_of "$loop_a")" = 'release 1.0' ]
}

@test 'T2: a target slot that is mounted is refused before a byte is written' {
	mkfs.ext2 -q -F "$loop_b" || skip 'no mkfs.ext2'
	mkdir mnt
	mount -o ro "$loop_b" mnt || skip 'nothing can be mounted here'
	sum=$(sha256sum <slot-b.img)
	run swinstall -f device.cfg "$good"
	umount mnt
	[ "$status" -eq 1 ]
	[[ "$output" == *E_TARGET_ACTIVE* ]]
	[ "$(sha256sum <slot-b.img)" = "$sum" ]
	boots a
}

@test 'without a known running slot nothing is written' {
	sed -i 's/cmdline = "[^"]*"/cmdline = "no-such-word"/' device.cfg
	run swinstall -f device.cfg "$good"
	[ "$status" -eq 1 ]
	[[ "$output" == *E_SLOT* ]]
	boots a
	cmp -s -n 2097152 "$loop_b" /dev/zero
}

@test 'T65: another program holds the lock of the environment' {
	exec 8>/var/lock/fw_printenv.lock
	flock 8
	timeout $HANG swinstall -f device.cfg "$good" >out 2>&1 8>&- &
	pid=$!
	sleep 1
	flock -u 8
	wait $pid
	boots b
}

@test 'a state directory that lies in a slot is warned about' {
	umount -l mnt 2>/dev/null || true
	mkfs.ext4 -q -F "$loop_b"
	mkdir mnt && mount "$loop_b" mnt || skip 'mounting is not possible here'
	mkdir -m 700 mnt/state
	sed "s|state-dir = .*|state-dir = \"$PWD/mnt/state\";|" device.cfg >inside.cfg
	run swinstall -f inside.cfg "$good"
	umount mnt
	[[ $output == *"lies in slot 'b'"* ]]
	run swinstall -f device.cfg "$good"
	[ "$status" -eq 0 ]
	[[ $output != *'lies in slot'* ]]
}

@test 'where slots have no variables, a second install before the reboot is refused' {
	sed 's/ env = { bootslot = "[ab]"; };//' device.cfg >bare.cfg
	run swinstall -f bare.cfg "$good"
	[ "$status" -eq 0 ]
	run swctl -f bare.cfg status
	[[ $output == *'running: a, boots next: b'* ]]
	run swinstall -f bare.cfg "$good"
	[ "$status" -ne 0 ]
	[[ $output == *E_SLOT_PENDING* ]]
	# as after a restart
	sed -i 's/^[^ ]*/00000000-0000-0000-0000-000000000000/' state/switched
	swinstall -f bare.cfg "$good"
}

# ---- T2: what was idle while planning is looked at again ----

# bundle_of LISTS: a bundle whose description has these lists, as more.swu
bundle_of() {
	mkdir -p more
	cp "$BATS_FILE_TMPDIR/src/rootfs.img" more/
	printf 'software = { version = "2.1"; %s };\n' "$1" >more/sw-description
	swbundle build more/sw-description --key "$BATS_FILE_TMPDIR/keys/test.key.pem" --cert "$BATS_FILE_TMPDIR/keys/test.cert.pem" -I more -o more.swu
}

mountable() {
	mkfs.ext2 -q -F "$loop_b" || skip 'no mkfs.ext2'
	mkdir mnt
	mount -o ro "$loop_b" mnt || skip 'nothing can be mounted here'
	umount mnt
	sum=$(sha256sum <slot-b.img)
}

@test 'T2: a slot that a script of the bundle mounted is not written' {
	mountable
	printf '#!/bin/sh\n[ "$1" != preinst ] || mount -o ro %s %s\n' "$loop_b" "$PWD/mnt" >"$BATS_TEST_TMPDIR/pre.sh"
	mkdir -p more && cp pre.sh more/
	bundle_of 'images: ({ filename = "rootfs.img"; slot = "rootfs"; }); scripts: ({ filename = "pre.sh"; type = "shellscript"; });'
	run swinstall -f device.cfg more.swu
	umount mnt
	[ "$status" -eq 1 ]
	[[ "$output" == *E_TARGET_ACTIVE* ]] && [[ "$output" == *'is mounted on'* ]]
	[ "$(sha256sum <slot-b.img)" = "$sum" ]
	boots a
}

# the sender sends N bytes, then acts, then sends the rest
slowly() { # slowly N COMMAND...
	local n=$1
	shift
	{ head -c "$n" more.swu; sleep 0.3; "$@"; tail -c +$((n + 1)) more.swu; } | swinstall -f device.cfg -i -
}

@test 'T2: a slot that was mounted while a pipe was slow is not written' {
	mountable
	bundle_of 'images: ({ filename = "rootfs.img"; slot = "rootfs"; installed-directly = true; });'
	# the head of the payload is the second one of that name: the description comes first
	at=$(grep -abo 'rootfs.img' more.swu | tail -n 1 | cut -d: -f1)
	run slowly $((at - 200)) mount -o ro "$loop_b" mnt
	umount mnt
	[ "$status" -eq 1 ]
	[[ "$output" == *E_TARGET_ACTIVE* ]]
	[ "$(sha256sum <slot-b.img)" = "$sum" ]
	boots a
}

@test 'T2: nobody can mount a slot while it is written' {
	mountable
	bundle_of 'images: ({ filename = "rootfs.img"; slot = "rootfs"; installed-directly = true; });'
	run slowly 600000 sh -c "mount -o ro $loop_b mnt; echo \$? >mounting"
	[ "$status" -eq 0 ]
	[ "$(cat mounting)" -ne 0 ]
	[ "$(release_of "$loop_b")" = 'release 2.0' ]
	boots b
}

@test 'a script may mount the slot that was written' {
	command -v mkfs.ext2 >/dev/null || skip 'no mkfs.ext2'
	truncate -s 1M fs.img && mkfs.ext2 -q -F fs.img
	mkdir -p mnt more && cp fs.img more/
	printf '#!/bin/sh\n[ "$1" != postinst ] || { mount %s %s && echo mark >%s/mark; }\n' "$loop_b" "$PWD/mnt" "$PWD/mnt" >more/post.sh
	bundle_of 'images: ({ filename = "fs.img"; slot = "rootfs"; }); scripts: ({ filename = "post.sh"; type = "shellscript"; });'
	run swinstall -f device.cfg more.swu
	[ "$status" -eq 0 ]
	[ "$(cat mnt/mark)" = mark ]
	umount mnt
	boots b
}
