#!/usr/bin/env bats
# Disks that an update partitions and formats: on loop devices, which show partitions as real disks do.
load helper

setup() {
	T=$(mktemp -d "${BATS_TMPDIR:-/tmp}/swinstall.XXXXXX")
	chmod 755 "$T"
	cd "$T" || return 1
	[ "$(id -u)" -eq 0 ] || skip 'SKIP: loop devices need root'
	need losetup sfdisk partx mkfs.ext4 mkfs.vfat
	truncate -s 64M disk
	L=$(losetup -f --show "$T/disk" 2>/dev/null) || skip 'SKIP: no loop device here'
	mkdir -m 700 state run
	touch bootenv
	keys
	printf 'globals : { public-key-file = "%s"; bootloader = "file"; bootenv-path = "%s"; state-dir = "%s"; run-dir = "%s"; };\n' \
		"$T/demo.cert.pem" "$T/bootenv" "$T/state" "$T/run" >device.cfg
}

teardown() {
	cd / || return 1
	! mountpoint -q "$T/mnt" || umount "$T/mnt"
	if [ -n "${L-}" ]; then
		partx -d "$L" 2>/dev/null
		losetup -d "$L"
	fi
	rm -rf "$T"
}

# disk PARTITIONS [MORE]: sw-description of a disk with these properties, and further lists; demo.swu of it
disk() {
	cat >sw-description <<-D
		software = { version = "2.0";
			partitions: ({ type = "diskpart"; device = "$L"; properties: { $1 }; }${3-});
			${2-}
			bootenv: ({ name = "app"; value = "2.0"; });
		};
	D
	bundle
}

install() { swinstall -f device.cfg "$@" demo.swu; }

# table: number, start, size, type and name of each partition, as another program reads them
table() { sfdisk --dump "$L" 2>/dev/null | sed -n "s|^$L"'p\([0-9]*\) : start= *\([0-9]*\), size= *\([0-9]*\), type=\([^,]*\).*, name="\([^"]*\)".*|\1 \2 \3 \4 \5|p'; }

two='partition-1 = [ "size=8M", "start=2048", "name=rootfs" ]; partition-2 = [ "size=16M", "start=32768", "name=data", "fstype=ext4", "fslabel=DATA" ];'

@test "a disk gets a table, file systems and an image in one bundle; once more changes nothing of the table" {
	payload rootfs.img 3000000
	disk "$two partition-3 = [ \"start=69632\", \"name=boot\" ];" "images: ({ filename = \"rootfs.img\"; device = \"${L}p1\"; });" \
		", { type = \"diskformat\"; device = \"${L}p3\"; properties: { fstype = \"vfat\"; fslabel = \"BOOT\"; }; }"
	fails 0 install --check
	[ -z "$(table)" ]
	install
	[ "$(table | cut -d' ' -f 1-3,5)" = "1 2048 16384 rootfs
2 32768 32768 data
3 69632 59392 boot" ]
	cmp -n 3000000 rootfs.img "${L}p1"
	[ "$(blkid -s LABEL -o value -p "${L}p2")" = DATA ]
	fsck.fat -n "${L}p3" >/dev/null
	sfdisk --dump "$L" >first
	debugfs -w -R 'mkdir kept' "${L}p2" >/dev/null 2>&1
	install
	sfdisk --dump "$L" | cmp - first
	debugfs -R 'ls' "${L}p2" 2>/dev/null | grep -q kept
}

@test "the same bundle from a pipe: nothing is partitioned before every payload is proven" {
	payload rootfs.img 3000000
	disk "$two" "images: ({ filename = \"rootfs.img\"; device = \"${L}p1\"; installed-directly = true; });"
	swinstall -f device.cfg -i - <demo.swu
	cmp -n 3000000 rootfs.img "${L}p1"
	sfdisk --delete "$L" >/dev/null 2>&1
	partx -d "$L"
	table >before
	printf '\377' | dd of=demo.swu bs=1 seek=$(($(stat -c %s demo.swu) - 5000)) conv=notrunc status=none
	swinstall -f device.cfg -i - <demo.swu && return 1
	table | cmp - before
}

@test "t2_a_partition_in_use_is_neither_moved_nor_formatted, and one that stays does not matter" {
	disk "$two"
	install
	mkdir mnt
	mount "${L}p2" mnt || skip 'SKIP: this kernel mounts no ext4 here'
	sfdisk --dump "$L" >before
	disk 'partition-1 = [ "size=8M", "start=2048", "name=rootfs" ]; partition-2 = [ "size=8M", "start=32768", "name=data" ];'
	fails 1 install
	says 'E_TARGET_ACTIVE'
	sfdisk --dump "$L" | cmp - before
	disk "${two/fslabel=DATA/force=true}"
	fails 1 install
	says 'E_TARGET_ACTIVE'
	# the same table, and one that only adds a partition
	disk "$two"
	install
	disk "$two partition-3 = [ \"start=69632\", \"size=4M\", \"name=new\" ];"
	install
	[ "$(table | wc -l)" -eq 3 ]
	[ -b "${L}p3" ]
	mountpoint -q mnt
}

@test "a later failure brings the table back" {
	disk "$two"
	install
	sfdisk --dump "$L" >before
	cp bootenv bootenv.before
	printf '#!/bin/sh\n[ "$1" != postinst ]\n' >fail.sh
	disk 'partition-1 = [ "size=20M", "start=2048", "name=rootfs" ];' 'scripts: ({ filename = "fail.sh"; type = "shellscript"; });'
	fails 1 install
	sfdisk --dump "$L" | cmp - before
	[ -b "${L}p2" ]
	cmp <(grep -v recovery_status bootenv) bootenv.before
}

@test "a table that does not fit, a wrong word, and a program that is not here are found by --check" {
	disk 'partition-1 = [ "size=1G", "start=2048" ];'
	fails 1 install --check
	says 'partition 1 does not fit'
	disk 'partition-1 = [ "sise=1M" ];'
	fails 1 install --check
	says "has no 'sise=1M'"
	disk 'partition-1 = [ "size=1M", "fstype=ntfs" ];'
	fails 1 install --check
	says 'it can be ext4'
	disk 'labeltype = "mbr"; partition-1 = [ "size=1M" ];'
	fails 1 install --check
	says 'labeltype'
	[ -z "$(table)" ]
}

@test "DOS tables, with logical partitions and an active one" {
	disk 'labeltype = "dos"; partition-1 = [ "size=8M", "start=2048", "type=0x0C", "flag=boot" ]; partition-2 = [ "start=20480", "type=0x05" ]; partition-5 = [ "size=8M", "type=83" ];'
	install
	sfdisk --dump "$L" >table
	grep -q 'p1 .*type=c, bootable' table
	grep -q 'p5 .*type=83' table
	[ -b "${L}p5" ]
}

@test "a GPT whose primary table a cut has broken is read from its backup and made whole" {
	disk "$two"
	install
	table >before
	dd if=/dev/zero of="$L" bs=512 seek=1 count=2 conv=notrunc status=none
	install
	table | cmp - before
	sfdisk --verify "$L"
}

@test "t2_a_table that a script changes while the update runs is not written: what came is not judged" {
	printf 'label: gpt\nstart=2048, size=16384, name="rootfs"\n' | sfdisk -q --no-reread --no-tell-kernel "$L"
	printf '#!/bin/sh\n[ "$1" = preinst ] || exit 0\nprintf "label: gpt\\nstart=2048, size=4096, name=rootfs\\nstart=6144, size=8192, name=mine\\n" | sfdisk -q --no-reread --no-tell-kernel %s\n' "$L" >other.sh
	disk 'partition-1 = [ "size=8M", "start=2048", "name=rootfs" ]; partition-2 = [ "start=32768", "size=1M" ];' 'scripts: ({ filename = "other.sh"; type = "shellscript"; });'
	fails 1 install
	says 'was changed while the update ran'
	[ "$(table | cut -d' ' -f 1-3,5)" = "1 2048 4096 rootfs
2 6144 8192 mine" ]
}

# boards whose processor starts a loader from 8 KiB on have 56 entries, or entries that lie elsewhere
@test "a boot loader behind a short table, or before one that was moved, is never written over" {
	printf 'label: gpt\ntable-length: 56\nstart=2048, size=16384, name="rootfs"\n' | sfdisk -q --no-reread --no-tell-kernel "$L"
	printf loader | dd of="$L" bs=512 seek=16 conv=notrunc,fsync status=none
	disk "$two"
	install
	[ "$(table | wc -l)" -eq 2 ]
	[ "$(dd if="$L" bs=512 skip=16 count=1 status=none | head -c 6)" = loader ]
	sfdisk --dump "$L" | grep -qx 'table-length: 56'
	[ -z "$(sfdisk -q -V "$L" 2>&1 | grep -v 'No errors')" ]
	# the entries at sector 64
	partx -d "$L" || true
	printf 'label: gpt\nstart=2048, size=16384, name="rootfs"\n' | sfdisk -q --no-reread --no-tell-kernel "$L"
	python3 - "$L" <<-'P'
	import struct, sys, zlib
	with open(sys.argv[1], "r+b") as d:
	    d.seek(512); h = bytearray(d.read(92))
	    d.seek(1024); table = d.read(128 * 128)
	    d.seek(64 * 512); d.write(table)
	    d.seek(1024); d.write(b"loader".ljust(16384, b"."))
	    h[72:80] = struct.pack("<Q", 64); h[16:20] = bytes(4)
	    h[16:20] = struct.pack("<I", zlib.crc32(h))
	    d.seek(512); d.write(h)
	P
	blockdev --flushbufs "$L"
	[ "$(table | wc -l)" -eq 1 ]
	disk "$two"
	fails 1 install --check
	says 'do not lie behind the header'
	fails 1 install
	[ "$(dd if="$L" bs=512 skip=2 count=1 status=none | head -c 6)" = loader ]
}

@test "the peer makes the same table of the same description" {
	need swupdate
	disk 'labeltype = "gpt"; partition-1 = [ "size=8M", "start=2048", "name=rootfs", "type=0FC63DAF-8483-4772-8E79-3D69D8477DE4" ]; partition-2 = [ "start=32768", "name=data", "type=0FC63DAF-8483-4772-8E79-3D69D8477DE4", "partuuid=3A2F0C64-55C6-43AF-8F4A-36D2F5D8E1A1" ];'
	sed -i 's/version = "2.0";/version = "2.0"; hardware-compatibility: [ "1.0" ];/' sw-description
	bundle
	peer -H board1:1.0 -k demo.cert.pem -i demo.swu >theirs.log 2>&1 || { tail -n 20 theirs.log; return 1; }
	table >theirs
	[ "$(wc -l <theirs)" -eq 2 ]
	sfdisk --delete "$L" >/dev/null
	partx -d "$L" 2>/dev/null || true
	swinstall -f device.cfg -H board1:1.0 demo.swu
	table | diff theirs -
}

@test "lint knows the words of a partition" {
	disk "$two"
	fails 0 swbundle lint sw-description
	sed -i 's/size=8M/siez=8M/; s/fstype=ext4/fstype=fat32/' sw-description
	fails 3 swbundle lint sw-description
	says "'siez=8M' is nothing that a partition-N can have; did you mean size=?"
	says "'fstype=fat32' is nothing"
}
