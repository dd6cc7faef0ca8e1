#!/usr/bin/env bats
# A switch by the partition table: two names are exchanged after everything else, in both copies of the table.
load helper

setup_file() { PATH=$PATH:/sbin:/usr/sbin; }

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

# disk [SECTOR]: a disk with the partitions one, two and data in $L; a loop device where there can be one
disk() {
	local sector=${1-512}
	PATH=$PATH:/sbin:/usr/sbin
	truncate -s 8M table
	L=$T/table
	if [ "$(id -u)" -eq 0 ]; then L=$(losetup -f --show --sector-size "$sector" table 2>/dev/null) && echo "$L" >>"$T/loops" || L=$T/table; fi
	[ "$L" != "$T/table" ] || [ "$sector" = 512 ] || skip "SKIP: no loop device with sectors of $sector here"
	printf 'label: gpt\nsize=1M, name="one"\nsize=1M, name="two"\nsize=1M, name="data"\n' | sfdisk -q --no-reread --no-tell-kernel "$L"
}

names() { sfdisk -d "$L" 2>&1 | sed -n 's/.*name="\(.*\)".*/\1/p' | tr '\n' ' '; }

whole() { [ -z "$(sfdisk -q -V "$L" 2>&1 | grep -v 'No errors')" ]; }

# swap [PROPERTIES] [MORE]: demo.swu that exchanges one and two
swap() {
	printf 'software = { version = "2.0"; hardware-compatibility: [ "1.0" ]; %s scripts: ({ type = "gptswap"; device = "%s"; properties: { %s }; }); };\n' \
		"${2-}" "$L" "${1-swap-0 = [ \"one\", \"two\" ];}" >sw-description
	bundle
}

config() {
	mkdir -p -m 700 state
	printf 'app=old\n' >bootenv
	printf 'globals : { public-key-file = "%s"; state-dir = "%s"; %s };\n' "$T/demo.cert.pem" "$T/state" \
		"${1-bootloader = \"file\"; bootenv-path = \"$T/bootenv\";}" >device.cfg
}

@test "what a partition holds is copied into another one of the disk that the same update switches" {
	[ "$(id -u)" -eq 0 ] || skip 'SKIP: not root'
	keys
	disk
	config
	[ "$L" != "$T/table" ] && partx -a "$L" 2>/dev/null
	[ -b "${L}p2" ] || skip 'SKIP: no partitions of loop devices here'
	printf 'held by one' | dd of="${L}p1" conv=notrunc status=none
	swap 'swap-0 = [ "one", "two" ];'
	sed -i "s|scripts: (|&{ type = \"copy\"; device = \"${L}p2\"; properties: { copyfrom = \"${L}p1\"; type = \"postinstall\"; }; }, |" sw-description
	bundle
	fails 0 swinstall -f device.cfg -v demo.swu
	says "copy to ${L}p2, idle"
	[ "$(names)" = 'two one data ' ]
	cmp "${L}p1" "${L}p2"
}

@test "names are exchanged as the last thing, with sectors of 512 and 4096 bytes, on a disk that is in use" {
	keys
	for sector in 512 4096; do
		disk $sector
		config
		swap
		fails 0 swinstall -f device.cfg --check demo.swu
		[ "$(names)" = 'one two data ' ]
		fails 0 swinstall -f device.cfg demo.swu
		[ "$(names)" = 'two one data ' ]
		whole
		grep -qx ustate=1 bootenv
		grep -q '^swinstall_txn=' bootenv
		! grep -q recovery_status bootenv
		fails 0 swctl -f device.cfg recover
		says 'nothing to do'
	done
	if [ "$L" != "$T/table" ] && partx -a "$L" 2>/dev/null && mkfs.ext4 -q -F "${L}p3" 2>/dev/null && mkdir -p mnt && mount "${L}p3" mnt; then
		fails 0 swinstall -f device.cfg demo.swu # back again
		[ "$(names)" = 'one two data ' ]
	fi
}

@test "without a boot loader the table itself says which side it is on" {
	keys; disk; config 'bootloader = "none";'
	swap
	fails 0 swinstall -f device.cfg demo.swu
	[ "$(names)" = 'two one data ' ]
	fails 0 swctl -f device.cfg recover
	says 'nothing to do'
}

@test "several pairs of one disk change in one write" {
	keys; disk; config
	swap 'swap-0 = [ "one", "two" ]; swap-1 = [ "one", "data" ];'
	fails 0 swinstall -f device.cfg demo.swu
	[ "$(names)" = 'two data one ' ]
	whole
}

@test "what cannot be exchanged is refused before anything is written" {
	keys; disk; config
	before=$(sha256sum <table)
	for bad in '' 'swap-0 = "one";' 'swap-0 = [ "one" ];' 'swap-0 = [ "one", "one" ];' 'swap-x = [ "one", "two" ];' 'swap-0 = [ "one", "two" ]; swap-1 = [ "two", "one" ];'; do
		swap "$bad"
		fails 1 swinstall -f device.cfg demo.swu
		says E_PROPERTY || says 'names are as they were'
	done
	swap 'swap-0 = [ "one", "three" ];'
	fails 1 swinstall -f device.cfg demo.swu
	says "no partition has the name 'three', there are: one, two, data"
	head -c 1M /dev/zero >plain
	sed "s|device = \"[^\"]*\"|device = \"$T/plain\"|; s/three/two/" sw-description >x && mv x sw-description
	bundle
	fails 1 swinstall -f device.cfg demo.swu
	says 'no partition table (GPT) that is whole'
	sync
	[ "$(sha256sum <table)" = "$before" ]
	grep -qx app=old bootenv
}

@test "two switches in one update need a key of root's, or an existing swupdate.cfg, which is warned" {
	keys; disk; config
	swap 'swap-0 = [ "one", "two" ];' 'bootenv: ({ name = "app"; value = "new"; });'
	fails 1 swinstall -f device.cfg demo.swu
	says 'switches in 2 places, the boot environment among them'
	says several-switches
	[ "$(names)" = 'one two data ' ]
	sed 's/globals : {/& several-switches = true;/' device.cfg >both.cfg
	fails 0 swinstall -f both.cfg demo.swu
	[ "$(names)" = 'two one data ' ]
	grep -qx app=new bootenv
	ln -s "$(command -v swinstall)" swupdate
	fails 0 ./swupdate -f device.cfg -H board:1.0 -i demo.swu
	says 'switches in 2 places'
	[ "$(names)" = 'one two data ' ]
}

@test "two entries for one disk, or a disk and a file, are two switches" {
	keys; disk; config
	printf 'software = { version = "2.0"; scripts: ({ type = "gptswap"; device = "%s"; properties: { swap-0 = [ "one", "two" ]; }; },
		{ type = "gptswap"; device = "%s"; properties: { swap-0 = [ "data", "two" ]; }; }); };\n' "$L" "$L" >sw-description
	bundle
	fails 1 swinstall -f device.cfg demo.swu
	says 'switches in 2 places'
	sed 's/globals : {/& several-switches = true;/' device.cfg >both.cfg
	fails 1 swinstall -f both.cfg demo.swu
	says 'put all into one entry'
	[ "$(names)" = 'one two data ' ]
}

@test "where the boot environment cannot be switched the names come back" {
	keys; disk; mkdir env
	config "bootloader = \"file\"; bootenv-path = \"$T/env/bootenv\"; several-switches = true;"
	echo app=old >env/bootenv
	# the environment goes away while the update runs
	printf '#!/bin/sh\nmv %s/env %s/away\n' "$T" "$T" >away.sh
	printf 'software = { version = "2.0"; bootenv: ({ name = "app"; value = "new"; });
		scripts: ({ filename = "away.sh"; type = "postinstall"; }, { type = "gptswap"; device = "%s"; properties: { swap-0 = [ "one", "two" ]; }; }); };\n' "$L" >sw-description
	bundle
	fails 1 swinstall -f device.cfg demo.swu
	[ "$(names)" = 'one two data ' ]
	mv away env
	fails 0 swctl -f device.cfg recover
	[ "$(names)" = 'one two data ' ]
	grep -qx app=old env/bootenv
}

@test "marks that cannot be written after the table do not undo the update, and are written by the next start" {
	keys; disk; mkdir env
	config "bootloader = \"file\"; bootenv-path = \"$T/env/bootenv\";"
	echo app=old >env/bootenv
	printf '#!/bin/sh\nmv %s/env %s/away\n' "$T" "$T" >away.sh
	printf 'software = { version = "2.0"; scripts: ({ filename = "away.sh"; type = "postinstall"; },
		{ type = "gptswap"; device = "%s"; properties: { swap-0 = [ "one", "two" ]; }; }); };\n' "$L" >sw-description
	bundle
	fails 0 swinstall -f device.cfg demo.swu
	says 'its marks could not be written'
	[ "$(names)" = 'two one data ' ]
	mv away env
	fails 0 swctl -f device.cfg recover
	says finished
	[ "$(names)" = 'two one data ' ]
	grep -qx ustate=1 env/bootenv
	! grep -q recovery_status env/bootenv
}

@test "the disk may be that of a slot: the next start finds it again" {
	keys; disk; mkdir env
	read -r word _ </proc/cmdline
	touch running
	config "bootloader = \"file\"; bootenv-path = \"$T/env/bootenv\"; slots = ({ name = \"a\"; rootfs = \"$T/running\"; cmdline = \"$word\"; }, { name = \"b\"; rootfs = \"$L\"; });"
	echo app=old >env/bootenv
	printf '#!/bin/sh\nmv %s/env %s/away\n' "$T" "$T" >away.sh
	printf 'software = { version = "2.0"; scripts: ({ filename = "away.sh"; type = "postinstall"; },
		{ type = "gptswap"; slot = "rootfs"; properties: { swap-0 = [ "one", "two" ]; }; }); };\n' >sw-description
	bundle
	fails 0 swinstall -f device.cfg demo.swu
	says 'its marks could not be written'
	mv away env
	fails 0 swctl -f device.cfg recover
	says finished
	[ "$(names)" = 'two one data ' ]
	grep -qx ustate=1 env/bootenv
}

@test "lint and the list of handlers know it" {
	keys
	printf 'software = { version = "2.0"; scripts: ({ type = "gptswap"; properties: { swop-0 = [ "one", "two" ]; }; }); };\n' >sw-description
	fails 3 swbundle lint sw-description
	says 'has no device'
	says 'swap-N'
	swinstall --handlers | grep -A 3 '^gptswap' | grep -q swap-N
}
