#!/usr/bin/env bats
# Entries as descriptions in the field have them: without a file, over one another, left out. Asked of Debian's swupdate
# and of swinstall called by its name. The verdict and the bytes are the same on both, or the migration page says why.
# shellcheck disable=SC2154 # beside.bash sets theirs and ours
load ../e2e/helper
load beside

setup() { setup_beside; }

warned() { grep -q "WARN.*$1" ours.out || { cat ours.out; return 1; }; }

@test "an entry without the file that its handler needs is passed over" {
	describe "images: ({ device = \"$D/disk2\"; type = \"raw\"; }, { filename = \"rootfs.img\"; device = \"$D/disk\"; type = \"raw\"; });"
	bundle >/dev/null
	both
	agree 0
	same_device
	holds ours disk
	warned 'has no filename: passed over'
	echo 'globals : { bootloader = "none"; strict = true; state-dir = "'"$T/state"'"; };' >our.cfg
	both
	[ "$ours" -eq 1 ] && grep -q 'has no filename' ours.err
}

@test "a whole disk, then a part of it: both write it in this order" {
	payload part.img 5000
	describe "images: ({ filename = \"rootfs.img\"; device = \"$D/disk\"; type = \"raw\"; }, { filename = \"part.img\"; device = \"$D/disk\"; offset = \"8192\"; type = \"raw\"; });"
	bundle >/dev/null
	both
	agree 0
	same_device
	cmp -n 8192 ours/disk rootfs.img
	cmp -i 8192:0 -n 5000 ours/disk part.img
	cmp -i 13192:13192 -n 286825 ours/disk rootfs.img
	warned 'what the later one writes counts'
	# from a pipe too, where the second one would flow by before the first; what was written is read back before the next
	describe "images: ({ filename = \"rootfs.img\"; device = \"$D/disk\"; type = \"raw\"; }, { filename = \"part.img\"; device = \"$D/disk\"; offset = \"8192\"; type = \"raw\"; installed-directly = true; });"
	bundle >/dev/null
	echo 'globals : { bootloader = "none"; verify-writes = true; state-dir = "'"$T/state"'"; };' >our.cfg
	rm -rf state "$D" && mkdir -m 700 state && cp -a device.old "$D"
	swinstall -f our.cfg -k demo.cert.pem -H board1:1.0 -i - <demo.swu
	cmp "$D/disk" theirs/disk
}

@test "an entry that is not installed may lack its file in the bundle" {
	payload other.img 4000
	describe "images: ({ filename = \"other.img\"; device = \"$D/disk2\"; type = \"raw\"; name = \"fpga\"; version = \"1.0\"; install-if-different = true; sha256 = \"$(sha other.img)\"; }, { filename = \"rootfs.img\"; device = \"$D/disk\"; type = \"raw\"; sha256 = \"$(sha rootfs.img)\"; });"
	openssl cms -sign -in sw-description -out sw-description.sig -signer demo.cert.pem -inkey demo.key.pem -outform DER -nosmimecap -binary
	printf 'sw-description\nsw-description.sig\nrootfs.img\n' | cpio -o -H crc --quiet >demo.swu
	for cfg in peer.cfg our.cfg; do
		sed -i 's/globals : {/versions : ( { name = "fpga"; version = "1.0"; } ); globals : {/' $cfg
	done
	both
	agree 0
	same_device
	holds ours disk
	# and who needs it says so
	sed -i 's/"1.0"; } )/"0.9"; } )/' peer.cfg our.cfg
	both
	agree 1
}

@test "a handler in Lua is told the size of its payload, also where the description says none" {
	describe "embedded-script = \"require ('swupdate') swupdate.register_handler('mine', function(image) local f = io.open('$D/size', 'w') f:write(string.format('%d', image.size)) f:close() image:read(function(data) end) return 0 end, swupdate.HANDLER_MASK.IMAGE_HANDLER)\"; images: ({ filename = \"rootfs.img\"; device = \"$D/disk\"; type = \"mine\"; sha256 = \"$(sha rootfs.img)\"; });"
	openssl cms -sign -in sw-description -out sw-description.sig -signer demo.cert.pem -inkey demo.key.pem -outform DER -nosmimecap -binary
	printf 'sw-description\nsw-description.sig\nrootfs.img\n' | cpio -o -H crc --quiet >demo.swu
	both
	[ "$ours" -eq 0 ] || { cat ours.err; return 1; }
	[ "$(cat ours/size)" = 300017 ]
	# a swupdate without Lua says nothing of it
	[ ! -e theirs/size ] || [ "$(cat theirs/size)" = 300017 ]
}
