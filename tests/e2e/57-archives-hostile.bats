#!/usr/bin/env bats
# Archives that mean no good, through the whole program, from a file and from a pipe, into a live folder and onto a
# device: whatever becomes of them, nothing outside changes and nobody hangs. T40, T45, T48, T62.
# shellcheck disable=SC2154 # bats sets status, output

load device
load archives

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return 1
	swbundle keygen --dir keys --name test >/dev/null
	mkdir hostile
	python3 "$BATS_TEST_DIRNAME/../unit/kit/archives.py" hostile hostile
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	make_device
	make_live
	sed -i "s|state-dir|run-dir = \"$PWD/run\"; state-dir|" device.cfg
	mkdir -m 755 run
	mkdir around && echo safe >around/file && ln -s around around-link
	cp -a live live.before
	outside >outside.before
}

teardown() {
	umount mnt 2>/dev/null || true
	[ -z "${loop-}" ] || losetup -d "$loop"
}

# all but the target, what the installer notes, and the bundle
outside() {
	find . \( -path ./live -o -path ./state -o -path ./run -o -path ./disk.img -o -path ./member -o -path ./app.swu -o -path ./sw-description -o -path ./outside.before \) -prune -o \
		-mindepth 1 -printf '%p %y %m %U:%G %n %l\n' | sort
	{ cat around/file slot-?.img && grep '^bootslot=' bootenv; } | sha256sum
	ls -d /etc/evil /tmp/evil ../evil ../d ../s ../null ../x 2>/dev/null || true
	stat -c '%n %h' /etc/passwd /etc/shadow
}

unharmed() { outside | diff outside.before - || { echo "$1 reached out"; return 1; }; }

# a device with an ext4 that has /app
disk() {
	[ "$(id -u)" -eq 0 ] || skip 'only root mounts'
	command -v mkfs.ext4 >/dev/null || skip 'mkfs.ext4 is not installed'
	truncate -s 16M disk.img && mkfs.ext4 -q -F disk.img
	loop=$(losetup -f --show disk.img) || skip 'no loop devices here'
	blockdev --setrw "$loop"
	mkdir mnt
	mount "$loop" mnt || skip 'nothing can be mounted here'
	mkdir mnt/app && ln -s / mnt/way-out && ln -s app mnt/other-name
	umount mnt
	outside >outside.before
}

@test "t45 t48: hostile archives for a live folder change nothing outside, and nothing inside when they are refused" {
	local f n=0 how
	# each second one; tests/unit/test_archive_broken.c and test_archive.c read them all
	for f in $(find "$BATS_FILE_TMPDIR"/hostile -type f | sort | sed -n 1~2p); do
		cp "$f" member
		hostile "path = \"$PWD/live\"; $([ $((n % 3)) -ne 2 ] || echo 'preserve-attributes = true;')"
		how=app.swu
		[ $((n % 2)) -eq 0 ] || how='-i -'
		n=$((n + 1))
		# shellcheck disable=SC2086 # two words
		run timeout $HANG swinstall -f device.cfg -H board:1.0 $how <app.swu
		[ "$status" -eq 0 ] || [ "$status" -eq 1 ] || { echo "$f: $status $output"; false; }
		[ $((n % 9)) -ne 0 ] || unharmed "$f, or one of eight before,"
		if [ "$status" -eq 1 ]; then
			[[ $output == *E_ARCHIVE* ]] || [[ $output == *E_FILE* ]] || { echo "$f: $output"; false; }
			live_is_old || { echo "$f changed the folder"; false; }
		else
			rm -rf live && cp -a live.before live
		fi
		! find live -name '.swinstall-*' | grep . || { echo "$f: left behind"; false; }
	done
	[ "$n" -gt 50 ]
	unharmed "one of the last nine"
}

@test "t45 t48: hostile archives for a device that is mounted for them change nothing outside, streamed too" {
	local f n=0
	disk
	for f in symlink-empty dotdot-deep hardlink-deep pax-path pax-linkpath root-as-file links-in-a-circle folder-and-link-in-turn \
		sparse1-real-huge sparse-wraps longname-many deep pax-dotdot-deep prefix-dotdot hardlink-to-itself; do
		cp "$BATS_FILE_TMPDIR/hostile/$f" member
		hostile "device = \"$loop\"; filesystem = \"ext4\"; path = \"/app\"; installed-directly = true;"
		n=$((n + 1))
		if [ $((n % 2)) -eq 0 ]; then
			run timeout $HANG swinstall -f device.cfg -H board:1.0 app.swu
		else
			run timeout $HANG swinstall -f device.cfg -H board:1.0 -i - <app.swu
		fi
		[ "$status" -eq 0 ] || [[ $output == *E_ARCHIVE* ]] || [[ $output == *E_FILE* ]] || [[ $output == *E_NO_SPACE* ]] || { echo "$f: $status $output"; false; }
		unharmed "$f"
		grep -q "$PWD" /proc/self/mounts && { echo "$f: left mounted"; false; }
	done
	mount -o ro "$loop" mnt
	[ "$(find mnt -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | tr '\n' ' ')" = 'app lost+found other-name way-out ' ]
	[ "$(readlink mnt/way-out)" = / ]
}

@test "t40: on a device that is mounted for it a path goes through no link, and not up" {
	local path
	disk
	for path in /way-out/around /other-name /app/../app app ../app /way-out; do
		archive "device = \"$loop\"; filesystem = \"ext4\"; path = \"$path\";"
		run swinstall -f device.cfg -H board:1.0 app.swu
		[ "$status" -eq 1 ] && [[ $output =~ E_(FILE|TARGET|DESC_MISSING): ]] || { echo "$path: $status $output"; false; }
		unharmed "$path"
	done
	mount -o ro "$loop" mnt
	[ -z "$(ls mnt/app)" ]
}

@test "t40: a device that is in use, that is not listed, or that has the installer's own files, is refused" {
	disk
	archive "device = \"$loop\"; filesystem = \"ext4\"; path = \"/app\";"
	mount "$loop" mnt
	run swinstall -f device.cfg -H board:1.0 app.swu
	[ "$status" -eq 1 ] && [[ $output == *E_TARGET* ]] || { echo "$output"; false; }
	mkdir -m 700 mnt/state
	sed "s|$PWD/state|$PWD/mnt/state|" device.cfg >own.cfg
	run swinstall -f own.cfg -H board:1.0 app.swu
	[ "$status" -eq 1 ] && [[ $output == *E_TARGET* ]] || { echo "$output"; false; }
	[ -z "$(ls mnt/app)" ]
	umount mnt
	sed "s|state-dir|targets = [ \"$PWD/slot-b.img\" ]; state-dir|" device.cfg >listed.cfg
	run swinstall -f listed.cfg -H board:1.0 app.swu
	[ "$status" -eq 1 ] && [[ $output == *E_TARGET* ]] || { echo "$output"; false; }
	mount -o ro "$loop" mnt
	[ -z "$(ls mnt/app)" ]
}

@test "t40: names of the installer in an archive are refused, on a device as in a live folder" {
	disk
	mkdir x && mkdir x/.swinstall-0123456789abcdef && echo evil >x/.swinstall-0123456789abcdef/0.list
	tar -C x -cf app.tar .
	outside >outside.before
	archive "device = \"$loop\"; filesystem = \"ext4\"; path = \"/app\";"
	run swinstall -f device.cfg -H board:1.0 app.swu
	[ "$status" -eq 1 ] && [[ $output == *E_ARCHIVE_PATH* ]] || { echo "$output"; false; }
	archive "path = \"$PWD/live\";"
	refused E_ARCHIVE_PATH app.swu
	unharmed names
}
