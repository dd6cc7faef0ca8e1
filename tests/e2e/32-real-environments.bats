#!/usr/bin/env bats
# The boot environment belongs to the boot loader: what is written here must be read by its own tools, and theirs by us.
load helper

# uboot COPIES: an environment of U-Boot made by its own program, and slots that use it
uboot() {
	need fw_printenv fw_setenv
	local i
	: >fw_env.config
	for i in $(seq 0 $(($1 - 1))); do printf '%s/uboot.env 0x%x 0x2000\n' "$T" $((i * 0x2000)) >>fw_env.config; done
	head -c $(($1 * 0x2000)) /dev/zero >uboot.env
	printf 'bootslot=a\nkept=a value of the vendor\nbootcmd=run boot_$bootslot; reset\n' >defaults
	fw_setenv -c fw_env.config -f defaults bootdelay 3
	slots "fwenv-config-location = \"$T/fw_env.config\"; ${2-}"
	sed -i 's/bootloader = "file"; bootenv-path = "[^"]*";/bootloader = "uboot";/' device.cfg
}

printenv() { fw_printenv -c fw_env.config "$@"; }

@test "U-Boot: fw_printenv reads what an install wrote, single and redundant" {
	keys; release 2.0; bundle
	for copies in 1 2; do
		rm -rf state; uboot $copies
		printenv | sort >was
		swinstall -f device.cfg demo.swu
		[ "$(printenv -n bootslot)" = b ]
		[ "$(printenv -n ustate)" = 1 ]
		[ "$(printenv -n swinstall_txn | wc -c)" -eq 17 ]
		printenv | grep -v '^bootslot=\|^ustate=\|^swinstall_txn=' | sort | diff - <(grep -v '^bootslot=' was)
		slot_holds b rootfs.img
	done
}

@test "U-Boot: what fw_setenv wrote decides where the next install goes" {
	keys; release 2.0; bundle
	for copies in 1 2; do
		rm -rf state; uboot $copies
		fw_setenv -c fw_env.config bootslot b
		fw_setenv -c fw_env.config note 'set by another program'
		swinstall -f device.cfg demo.swu
		slot_holds a rootfs.img
		[ "$(printenv -n bootslot)" = a ]
		[ "$(printenv -n note)" = 'set by another program' ]
		swctl -f device.cfg status | grep -q 'boots next: a'
	done
}

# the old copy is the fallback when the power goes: it must still be one
@test "U-Boot redundant: after the switch the other copy is valid too, and losing either is survived" {
	keys; release 2.0; bundle
	uboot 2 'require-redundant-env = true;'
	swinstall -f device.cfg demo.swu
	cp uboot.env good.env
	for copy in 0 1; do
		cp good.env uboot.env
		printf 'broken' | dd of=uboot.env bs=1 seek=$((copy * 0x2000 + 100)) conv=notrunc status=none
		slot=$(printenv -n bootslot)
		[ "$slot" = a ] || [ "$slot" = b ]
		[ "$(printenv -n kept)" = 'a value of the vendor' ]
	done
}

@test "U-Boot: require-redundant-env refuses one copy before any write" {
	keys; release 2.0; bundle
	uboot 1 'require-redundant-env = true;'
	old=$(device_sum uboot.env)
	fails 1 swinstall -f device.cfg demo.swu
	says E_ENV
	[ "$(device_sum uboot.env)" = "$old" ]
}

# flag bytes count up and wrap: 255 is followed by 0
@test "T106: U-Boot redundant: flag bytes wrap, both programs agree after each commit" {
	keys; uboot 2; payload x.img 100
	for i in $(seq 1 6); do
		printf 'software = { version = "%s"; bootenv: ({ name = "round"; value = "%s"; }); };\n' "$i" "$i" >sw-description
		bundle >/dev/null
		for _ in $(seq 43); do fw_setenv -c fw_env.config other "$i"; done
		swinstall -f device.cfg demo.swu 2>/dev/null
		[ "$(printenv -n round)" = "$i" ]
		[ "$(printenv -n other)" = "$i" ]
	done
}

@test "U-Boot: a value that does not fit is refused before any write" {
	keys; uboot 2; release 2.0
	printf 'software = { version = "2.0"; images: ({ filename = "rootfs.img"; slot = "rootfs"; });\nbootenv: ({ name = "long"; value = "%s"; }); };\n' "$(head -c 9000 /dev/zero | tr '\0' x)" >sw-description
	bundle
	old=$(device_sum uboot.env)
	fails 1 swinstall -f device.cfg demo.swu
	says E_ENV_BIG
	[ "$(device_sum uboot.env)" = "$old" ]
}

grub() {
	need grub-editenv
	slots
	sed -i 's/bootloader = "file"; bootenv-path = "[^"]*";/bootloader = "grub"; bootenv-path = "'"${T//\//\\/}"'\/grubenv";/' device.cfg
	grub-editenv grubenv create
	grub-editenv grubenv set bootslot=a 'kept=a b c'
}

@test "GRUB: grub-editenv reads what an install wrote, in a block of the size that it was" {
	keys; grub; release 2.0; bundle
	swinstall -f device.cfg demo.swu
	[ "$(stat -c %s grubenv)" -eq 1024 ]
	run grub-editenv grubenv list
	says 'bootslot=b'
	says 'kept=a b c'
	says 'ustate=1'
	[[ $output != *recovery_status* ]]
	slot_holds b rootfs.img
}

@test "GRUB: what grub-editenv wrote decides, values with its escapes come through" {
	keys; grub; release 2.0
	grub-editenv grubenv set bootslot=b 'path=\\a\\b' 'note=x=y'
	printf 'software = { version = "2.0"; images: ({ filename = "rootfs.img"; slot = "rootfs"; });\nbootenv: ({ name = "back"; value = "c:\\\\d"; }); };\n' >sw-description
	bundle
	grub-editenv grubenv list | grep -v '^bootslot=' | sort >was
	swinstall -f device.cfg demo.swu
	slot_holds a rootfs.img
	run grub-editenv grubenv list
	says 'bootslot=a'
	says 'back=c:\d'
	grub-editenv grubenv list | grep -v '^bootslot=\|^back=\|^ustate=\|^swinstall_txn=' | sort | diff was -
}

@test "GRUB: a damaged block is refused before any write" {
	keys; grub; release 2.0; bundle
	printf 'garbage' | dd of=grubenv conv=notrunc status=none
	old=$(device_sum grubenv)
	fails 1 swinstall -f device.cfg demo.swu
	says E_ENV_READ
	[ "$(device_sum grubenv)" = "$old" ]
}
