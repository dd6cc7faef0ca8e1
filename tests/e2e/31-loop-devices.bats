#!/usr/bin/env bats
# Real block devices: sectors of 512 and 4096 bytes, partitions, odd lengths and offsets. Files forgive what devices do not.
load helper

teardown() {
	local l
	cd / || return 1
	! mountpoint -q "$T/mnt" || umount "$T/mnt"
	if [ -e "$T/loops" ]; then
		while read -r l; do
			partx -d "$l" 2>/dev/null
			losetup -d "$l"
		done <"$T/loops"
	fi
	rm -rf "$T"
}

# loop FILE [OPTIONS]: attach it, the device is in $L
loop() {
	local f=$1
	shift
	[ "$(id -u)" -eq 0 ] || skip 'SKIP: loop devices need root'
	need losetup
	L=$(losetup -f --show "$@" "$f" 2>/dev/null) || skip "SKIP: no loop device here ($*)"
	echo "$L" >>"$T/loops"
}

# image BYTES DEVICE [ATTRIBUTES]: demo.swu that writes rootfs.img of so many bytes to a device
image() {
	payload rootfs.img "$1"
	printf 'software = { version = "2.0"; images: ({ filename = "rootfs.img"; device = "%s"; %s }); };\n' "$2" "${3-}" >sw-description
	bundle
}

# the device must hold BYTES of the image at OFFSET and else what it held before (file 'before')
holds() {
	local off=$1
	dd if=rootfs.img of=before bs=64K oflag=seek_bytes seek="$off" conv=notrunc status=none
	sync
	blockdev --flushbufs "$2"
	cmp before "$2"
}

plain_config() {
	mkdir -p -m 700 state
	printf 'globals : { public-key-file = "%s"; bootloader = "none"; state-dir = "%s"; %s };\n' "$T/demo.cert.pem" "$T/state" "${1-}" >device.cfg
}

# 300017 is no multiple of any sector; the tail must be read, changed and written
@test "an odd image at an odd offset, sectors of 512 and 4096 bytes, neighbours untouched" {
	keys
	for sector in 512 4096; do
		for offset in 0 512 4096 12345; do
			payload before 2097152
			cp before disk
			loop disk --sector-size $sector
			plain_config
			image 300017 "$L" "offset = \"$offset\";"
			swinstall -f device.cfg demo.swu || return 1
			holds $offset "$L" || { echo "sector $sector offset $offset"; return 1; }
			swinstall -f device.cfg demo.swu # again, onto itself
			holds $offset "$L"
		done
	done
}

@test "with and without O_DIRECT, compared and not compared, read back" {
	keys
	payload before 1048576
	for lines in 'direct-io = "yes";' 'direct-io = "no";' 'compare-writes = "yes";' 'compare-writes = "no";' 'verify-writes = true;'; do
		cp before disk
		loop disk --sector-size 4096
		plain_config "$lines"
		image 500001 "$L" 'offset = "4097";'
		swinstall -f device.cfg demo.swu
		holds 4097 "$L" || { echo "$lines"; return 1; }
		plain_config "$lines"
		cp before disk2; cp disk2 before
	done
}

@test "a partition made known by partx: only it is written" {
	need partx sfdisk
	keys
	truncate -s 8M disk
	printf 'label: dos\nstart=2048,size=4096\nstart=6144,size=4097\nstart=10241\n' | sfdisk -q disk
	loop disk
	partx -a "$L" 2>/dev/null || skip 'SKIP: partx cannot add partitions here'
	for p in 1 2 3; do payload "part$p" 100000; dd if="part$p" of="${L}p$p" status=none; done
	sync
	cp "$L" whole; cp "${L}p2" before
	plain_config
	image 1000001 "${L}p2" 'compressed = "zstd";'
	swinstall -f device.cfg demo.swu
	cp rootfs.img image
	holds 0 "${L}p2"
	dd if="${L}p2" of=whole bs=512 seek=6144 conv=notrunc status=none
	cmp whole "$L"
}

# T2
@test "T2: a mounted target is refused and unchanged, also through its whole disk" {
	need mkfs.ext4 partx sfdisk
	keys
	truncate -s 8M disk
	printf 'label: dos\nstart=2048\n' | sfdisk -q disk
	loop disk
	partx -a "$L" 2>/dev/null || skip 'SKIP: partx cannot add partitions here'
	mkfs.ext4 -q "${L}p1"
	mkdir mnt; mount -o ro,noload "${L}p1" mnt || skip 'SKIP: cannot mount'
	plain_config
	sum=$(sha "$L")
	for target in "${L}p1" "$L"; do
		for more in 'offset = "1000000";' 'offset = "1M"; installed-directly = true;'; do
			image 100001 "$target" "$more"
			fails 1 swinstall -f device.cfg demo.swu
			says E_TARGET_ACTIVE
			fails 1 sh -c 'cat demo.swu | swinstall -f device.cfg -i -'
			says E_TARGET_ACTIVE
		done
	done
	[ "$(sha "$L")" = "$sum" ]
}

# T2: the device that the root file system lives on
@test "T2: the root device is refused" {
	root=$(findmnt -no SOURCE /) || root='nothing that is mounted' # / of a chroot
	[ -b "$root" ] || skip "SKIP: the root file system is on '$root', no block device"
	keys; plain_config
	image 1000 "$root"
	fails 1 swinstall -f device.cfg --check demo.swu
	[[ $output == *E_TARGET* ]] # E_TARGET where a sandbox does not even open it
}

@test "too small: E_TARGET_SMALL before the first byte, from file and pipe; compressed the same" {
	need zstd
	keys
	payload before 262144; cp before disk
	loop disk
	plain_config
	for more in '' 'installed-directly = true;' 'compressed = "zstd";' 'offset = "100000";'; do
		case $more in off*) n=170000 ;; *) n=262145 ;; esac
		image $n "$L" "$more"
		fails 1 swinstall -f device.cfg demo.swu
		says E_TARGET_SMALL
		cmp before "$L" || { echo "$more"; return 1; }
		fails 1 sh -c 'cat demo.swu | swinstall -f device.cfg -i -'
		says E_TARGET_SMALL
		cmp before "$L" || { echo "pipe: $more"; return 1; }
	done
	image 262144 "$L"
	swinstall -f device.cfg demo.swu
	holds 0 "$L"
}

@test "a read-only device is told, nothing switches" {
	keys; slots; release 2.0
	truncate -s 1M disk
	loop disk -r
	printf 'software = { version = "2.0"; images: ({ filename = "rootfs.img"; device = "%s"; }); };\n' "$L" >sw-description
	bundle
	a=$(sha slot-a)
	fails 1 swinstall -f device.cfg demo.swu
	[[ $output == *E_TARGET* ]]
	boots a
	[ "$(sha slot-a)" = "$a" ]
}

# slots on devices: a is mounted as the running system would be
@test "slots on loop devices: the free one is written, the switch follows" {
	keys; release 2.0
	truncate -s 2M da db
	loop da; a=$L
	loop db --sector-size 4096; b=$L
	mkdir -m 700 state; echo bootslot=a >bootenv
	read -r word _ </proc/cmdline
	cat >device.cfg <<-C
		globals : { public-key-file = "$T/demo.cert.pem"; bootloader = "file"; bootenv-path = "$T/bootenv"; state-dir = "$T/state";
		slots = ( { name = "a"; rootfs = "$a"; env = { bootslot = "a"; }; cmdline = "$word"; },
			{ name = "b"; rootfs = "$b"; env = { bootslot = "b"; }; } ); };
	C
	bundle --hash-list
	swinstall -f device.cfg demo.swu
	cmp -n 300017 rootfs.img "$b"; boots b
	cmp -n 2097152 "$a" /dev/zero
}
