#!/usr/bin/env bats
# Devices that fail: errors at the flush, one bad sector, no space. A failed write must be told and must never be switched to.
load helper

teardown() {
	local p
	cd / || return 1
	[ ! -e "$T/loops" ] || while read -r p; do losetup -d "$p"; done <"$T/loops"
	for p in "$T/fz" "$T/exported"; do mountpoint -q "$p" && fusermount3 -u "$p"; done
	[ ! -e "$T/pids" ] || while read -r p; do kill "$p" 2>/dev/null; done <"$T/pids"
	for p in "$T/tiny" "$T/tiny2"; do mountpoint -q "$p" && umount "$p"; done
	sleep 0.1
	rm -rf "$T"
}

slot_device() { # slot b is this device; slot a runs by a word of the kernel's command line
	local word
	read -r word _ </proc/cmdline
	sed -i "s|rootfs = \"$T/slot-b\"|rootfs = \"$1\"|; s|rootfs = \"$T/slot-a\";|& cmdline = \"$word\";|" device.cfg
}

# a block device whose writes fail while the file 'trigger' is there
nbd() {
	[ "$(id -u)" -eq 0 ] || skip 'SKIP: needs root'
	need nbdkit nbdfuse losetup fusermount3
	[ -e /dev/fuse ] || skip 'SKIP: no /dev/fuse'
	truncate -s 1M nb.img
	nbdkit -f -U "$T/nb.sock" --filter=error file nb.img error-pwrite=EIO error-pwrite-rate=100% error-file="$T/trigger" 3>&- >nbd.log 2>&1 &
	echo $! >>pids
	HANG=30 wait_for test -S nb.sock || skip 'SKIP: nbdkit does not start here'
	touch fz
	nbdfuse fz --unix nb.sock 3>&- >>nbd.log 2>&1 &
	echo $! >>pids
	HANG=30 wait_for mountpoint -q fz || skip 'SKIP: nbdfuse does not start here'
	L=$(losetup -f --show fz) || skip 'SKIP: no loop device over FUSE'
	echo "$L" >>loops
}

# T104, T109: the device takes the writes and fails at the flush
@test "T104, T109: EIO of a real device: no switch, the environment stays, told as the medium" {
	keys; nbd; slots; slot_device "$L"; release 2.0; bundle
	for how in auto no yes; do
		rm -f trigger
		sed -i "s/ direct-io = [^;]*;//; s/^globals : {/& direct-io = \"$how\";/" device.cfg
		touch trigger
		fails 1 timeout $HANG swinstall -f device.cfg demo.swu
		[[ $output == *E_TARGET_WRITE* || $output == *E_TARGET_FLUSH* ]] || { echo "$output"; return 1; }
		boots a
		fails 1 grep -q ustate=1 bootenv
		run swctl -f device.cfg status
		says failure
	done
	rm trigger
	swinstall -f device.cfg demo.swu
	boots b
	cmp -n 300017 rootfs.img "$L"
}

# qemu-storage-daemon fails exactly one sector: the one in the middle of the image
@test "T109: one sector without space: no switch" {
	[ "$(id -u)" -eq 0 ] || skip 'SKIP: needs root'
	need qemu-storage-daemon losetup fusermount3
	[ -e /dev/fuse ] || skip 'SKIP: no /dev/fuse'
	keys; truncate -s 1M i; touch exported
	qemu-storage-daemon --blockdev driver=file,filename=i,node-name=f \
		--blockdev driver=blkdebug,image=f,node-name=b,inject-error.0.event=pwritev,inject-error.0.errno=28,inject-error.0.sector=80,inject-error.0.once=off \
		--export type=fuse,id=e,node-name=b,mountpoint="$T/exported",writable=on 3>&- >qsd.log 2>&1 &
	echo $! >>pids
	HANG=30 wait_for mountpoint -q exported || skip "SKIP: qemu-storage-daemon does not export by FUSE here: $(head -n 1 qsd.log)"
	L=$(losetup -f --show exported) || skip 'SKIP: no loop device over FUSE'
	echo "$L" >>loops
	slots; slot_device "$L"; release 2.0; bundle
	for how in yes no; do
		sed -i "s/ direct-io = [^;]*;//; s/^globals : {/& direct-io = \"$how\";/" device.cfg
		fails 1 timeout $HANG swinstall -f device.cfg demo.swu
		[[ $output == *E_TARGET_WRITE* || $output == *E_TARGET_FLUSH* || $output == *E_NO_SPACE* ]] || { echo "$output"; return 1; }
		boots a
	done
}

tiny() { # tiny FOLDER SIZE
	[ "$(id -u)" -eq 0 ] || skip 'SKIP: needs root'
	mkdir -p "$1"
	mount -t tmpfs -o "size=$2,mode=700" none "$1" 2>/dev/null || skip 'SKIP: no tmpfs here'
}

@test "T108: no room in the spool is told before a byte of the target changes" {
	keys; tiny tiny 64k; slots "spool-dir = \"$T/tiny\";"; release 2.0; bundle
	old=$(device_sum)
	fails 1 sh -c 'cat demo.swu | swinstall -f device.cfg -i -'
	says E_NO_SPACE
	[ "$(device_sum)" = "$old" ]
	[ -z "$(ls -A tiny)" ]
	swinstall -f device.cfg demo.swu # from a file no room is needed
	boots b
}

# status, history and log never fail an install
@test "T108: a full state directory: a plain image installs or is refused whole, never half" {
	keys; release 2.0; bundle
	tiny tiny 64k
	for left in 0 4096 8192 16384; do
		rm -rf state slot-? bootenv device.cfg tiny/*
		slots
		sed -i "s,state-dir = \"[^\"]*\",state-dir = \"$T/tiny\"," device.cfg
		head -c $((65536 - left)) /dev/zero >tiny/filler 2>/dev/null || true
		run timeout $HANG swinstall -f device.cfg demo.swu
		if [ "$status" -eq 0 ]; then boots b; slot_holds b rootfs.img; else boots a; fi
		[ "$status" -le 1 ]
		rm tiny/filler
		swctl -f device.cfg recover
		if boots b; then slot_holds b rootfs.img; fi
		fails 1 grep -q in_progress bootenv
	done
}

@test "T108: no room for a file of a rawfile entry: the old file stays, nothing is left" {
	keys; tiny tiny 256k; slots; payload app.bin 200000; head -c 150000 /dev/zero >tiny/app.bin
	printf 'software = { version = "2"; files: ({ filename = "app.bin"; path = "%s/tiny/app.bin"; type = "rawfile"; }); };\n' "$T" >sw-description
	bundle
	s=$(sha tiny/app.bin)
	for way in file pipe; do
		if [ $way = file ]; then fails 1 swinstall -f device.cfg demo.swu; else fails 1 sh -c 'cat demo.swu | swinstall -f device.cfg -i -'; fi
		says E_NO_SPACE
		[ "$(sha tiny/app.bin)" = "$s" ]
		[ "$(ls -A tiny)" = app.bin ]
		boots a
	done
}

@test "T108: no room beside the environment: the decision stays and the install fails" {
	keys; release 2.0; bundle; tiny tiny 8k
	slots
	cp bootenv tiny/
	sed -i "s,bootenv-path = \"[^\"]*\",bootenv-path = \"$T/tiny/bootenv\"," device.cfg
	head -c 65536 /dev/zero >tiny/filler 2>/dev/null || true
	fails 1 swinstall -f device.cfg demo.swu
	[[ $output == *E_ENV_WRITE* || $output == *E_NO_SPACE* ]]
	grep -qx bootslot=a tiny/bootenv
	[ "$(ls -A tiny | sort | tr '\n' ' ')" = 'bootenv filler ' ]
}
