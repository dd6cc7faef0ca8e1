#!/usr/bin/env bats
# Bytes that the device makes out of others: copies, and images out of patches.
load helper

setup() {
	T=$(mktemp -d "${BATS_TMPDIR:-/tmp}/swinstall.XXXXXX")
	chmod 755 "$T"
	cd "$T" || return 1
	keys
	slots
}

# patched [BASE]: demo.swu whose patch makes rootfs.new of old.img; RESULT="" leaves its digest out
patched() {
	need rdiff
	payload old.img 400000
	{ head -c 250000 old.img; echo 'release 2.0'; tail -c 140000 old.img; } >rootfs.new
	rdiff -f signature old.img sig
	rdiff -f delta sig rootfs.new rootfs.patch
	sum=$(sha256sum <rootfs.new)
	RESULT=${RESULT-result-sha256 = \"${sum%% *}\";}
	printf 'software = { version = "2.0"; images: ({ filename = "rootfs.patch"; type = "rdiff_image"; slot = "rootfs"; properties: { rdiffbase = "%s"; %s }; }); };\n' \
		"${1-$T/old.img}" "$RESULT" >sw-description
	bundle
}

install() { swinstall -f device.cfg "$@" demo.swu; }

@test "an image is made out of a patch and of what the device has, from a file and from a pipe" {
	patched
	fails 0 install --check
	says 'every check passed'
	boots a
	[ "$(stat -c %s rootfs.patch)" -lt 20000 ]
	install
	boots b
	slot_holds b rootfs.new
	echo 'bootslot=a' >bootenv
	head -c 524288 /dev/zero >slot-b
	swinstall -f device.cfg -i - <demo.swu
	slot_holds b rootfs.new
}

@test "t1_a_patch_on_another_base_switches_nothing" {
	patched
	printf 'x' | dd of=old.img bs=1 seek=1000 conv=notrunc status=none
	fails 1 install
	says 'E_PAYLOAD_HASH'
	boots a
	RESULT=''
	patched
	: >old.img
	fails 1 install
	says 'E_PATCH'
	boots a
}

@test "t1_without_a_signed_digest_of_the_result a source writes idle places only, with a warning" {
	RESULT='' patched
	fails 0 install
	says 'nobody vouches for what'
	slot_holds b rootfs.new
	echo live >live
	sed -i "s|slot = \"rootfs\";|device = \"$T/live\";|; s|type = \"rdiff_image\"|type = \"rdiff_image\"|" sw-description
	sed -i 's|properties: {|properties: { chain = "rawfile";|; s|device = "[^"]*"|path = "'"$T"'/live"|' sw-description
	bundle
	fails 1 install
	says 'nobody vouches for what'
	[ "$(cat live)" = live ]
}

@test "a source that reads what the update writes is refused, and so is one that reads the installer's own" {
	patched "$T/slot-b"
	fails 1 install --check
	says 'reads what line'
	patched "$T/demo.cert.pem"
	fails 1 install --check
	says 'E_TARGET_PROTECTED'
	patched "$T/nowhere"
	fails 1 install --check
	says "looking for '$T/nowhere'"
	patched relative
	fails 1 install --check
	says 'whole path'
}

@test "a source that reads a device which the update mounts to put a file there is refused" {
	need losetup mkfs.ext4
	truncate -s 4M fs
	mkfs.ext4 -q fs
	dev=$(losetup -f --show fs 2>/dev/null) || skip 'SKIP: no loop device here'
	payload more 1000
	copies "copyfrom = \"$dev\"; type = \"postinstall\"; size = \"100K\";" 'slot = "rootfs";' \
		"files: ({ filename = \"more\"; device = \"$dev\"; filesystem = \"ext4\"; path = \"/more\"; });"
	run swinstall -f device.cfg demo.swu
	losetup -d "$dev"
	[ "$status" -eq 1 ]
	[[ "$output" == *'reads what line'* ]]
	boots a
}

@test "t40_what_a_source_reads_is_chosen_by_root: no link of others, and nothing is opened to see what it is" {
	[ "$(id -u)" -eq 0 ] || skip 'SKIP: to own a link as another user needs root'
	head -c 4096 /dev/urandom >secret
	chmod 600 secret
	mkdir -m 777 theirs
	ln -s "$T/secret" theirs/link
	chown -h 1000 theirs/link
	ln -s "$T/secret" link
	copies "copyfrom = \"$T/theirs/link\"; type = \"preinstall\";"
	fails 1 install
	says 'does not belong to root'
	fails 1 cmp -s -n 4096 secret slot-b
	ln -sf "$T/theirs/../secret" theirs/own
	copies "copyfrom = \"$T/theirs/own\"; type = \"preinstall\";"
	fails 1 install
	says 'where others can change it'
	fails 1 cmp -s -n 4096 secret slot-b
	need strace
	mknod dog c 10 130 || skip 'SKIP: no device nodes here'
	copies "copyfrom = \"$T/dog\"; type = \"preinstall\";"
	fails 1 strace -f -e trace=openat,openat2 -o trace swinstall -f device.cfg demo.swu
	says 'neither a file nor a block device'
	[ -z "$(grep 'dog"' trace | grep -v O_PATH)" ]
	copies "copyfrom = \"$T/link\"; type = \"preinstall\";"
	install
	cmp -n 4096 secret slot-b
}

@test "a patch that is no patch, is cut, or has bytes behind it is refused" {
	patched
	for change in 'echo no patch >rootfs.patch' 'truncate -s -3 rootfs.patch' 'echo more >>rootfs.patch'; do
		rdiff -f delta sig rootfs.new rootfs.patch
		eval "$change"
		bundle
		fails 1 install
		says 'E_PATCH'
		boots a
	done
}

# copies PROPERTIES [ATTRIBUTES [LISTS]]
copies() {
	printf 'software = { version = "2.0"; %s scripts: ({ type = "copy"; %s properties: { %s }; }); bootenv: ({ name = "app"; value = "2.0"; }); };\n' "${3-}" "${2-slot = \"rootfs\";}" "$1" >sw-description
	bundle
}

@test "copy: a device or file into the free slot, whole or a part" {
	payload from.img 300000
	copies "copyfrom = \"$T/from.img\"; type = \"postinstall\";"
	install
	boots b
	slot_holds b from.img
	echo 'bootslot=a' >bootenv
	copies "copyfrom = \"$T/from.img\"; type = \"preinstall\"; offset = \"4K\"; size = \"8K\";"
	install
	cmp -n 8192 slot-b <(tail -c +4097 from.img)
	cmp <(tail -c +8193 slot-b | head -c 100000) <(tail -c +8193 from.img | head -c 100000)
}

@test "copy: preinstall runs before the images, postinstall after them" {
	payload from.img 300000
	payload rootfs.img 4096
	images='images: ({ filename = "rootfs.img"; slot = "rootfs"; properties: { decompressed-size = "4096"; }; });'
	copies "copyfrom = \"$T/from.img\"; type = \"preinstall\";" 'slot = "rootfs";' "$images"
	install
	cmp -n 4096 slot-b rootfs.img
	cmp <(tail -c +4097 slot-b | head -c 200000) <(tail -c +4097 from.img | head -c 200000)
	echo 'bootslot=a' >bootenv
	copies "copyfrom = \"$T/from.img\"; type = \"postinstall\";" 'slot = "rootfs";' "$images"
	install
	slot_holds b from.img
}

@test "copy: into a file, where the digest of the result is signed" {
	payload from.img 30000
	sum=$(sha256sum <from.img)
	copies "copyfrom = \"$T/from.img\"; type = \"postinstall\"; chain = \"rawfile\"; result-sha256 = \"${sum%% *}\";" "path = \"$T/to\";"
	install
	cmp from.img to
	copies "copyfrom = \"$T/from.img\"; type = \"postinstall\"; chain = \"rawfile\"; result-sha256 = \"${sum%% *}\";" "path = \"$T/to\";"
	echo other >>from.img
	fails 1 install
	says 'E_PAYLOAD_HASH'
	[ "$(stat -c %s to)" -eq 30000 ]
}

@test "copy: what cannot be is found before any write" {
	payload from.img 600000
	copies "copyfrom = \"$T/from.img\";"
	fails 1 install --check
	says 'needs the property type'
	copies "type = \"postinstall\";"
	fails 1 install --check
	says 'needs the property copyfrom'
	copies "copyfrom = \"$T/from.img\"; type = \"postinstall\";"
	fails 1 install --check
	says 'E_TARGET_SMALL'
	copies "copyfrom = \"$T/from.img\"; type = \"postinstall\"; size = \"1M\";"
	fails 1 install --check
	says 'E_RANGE'
}

@test "the peer makes the same image of the same patch" {
	need swupdate
	[ "$(id -u)" -eq 0 ] || skip 'SKIP: loop devices need root'
	patched
	L=$(losetup -f --show slot-b 2>/dev/null) || skip 'SKIP: no loop device here'
	sed -i "s|slot = \"rootfs\";|device = \"$L\";|; s|version = \"2.0\";|version = \"2.0\"; hardware-compatibility: [ \"1.0\" ];|" sw-description
	bundle
	peer -H board1:1.0 -k demo.cert.pem -i demo.swu >theirs.log 2>&1 || { tail -n 20 theirs.log; losetup -d "$L"; return 1; }
	sync
	cmp -n "$(stat -c %s rootfs.new)" "$L" rootfs.new
	losetup -d "$L"
}
