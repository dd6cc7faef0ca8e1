#!/usr/bin/env bats
# Archives: into a live folder, staged and undone whole; into a mounted device, straight. T45, T46, L3.
# shellcheck disable=SC2154 # bats sets status, output

load device
load archives

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return 1
	swbundle keygen --dir keys --name test >/dev/null
	gcc -shared -fPIC -O1 -o libfault.so "$BATS_TEST_DIRNAME/../fault/libfault.c" -ldl || true
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	make_device
	make_live
}

teardown() {
	umount mnt 2>/dev/null
	[ -z "$loop" ] || losetup -d "$loop"
}

@test "an archive goes into a live folder: what it names is new, all else stays" {
	archive "path = \"$PWD/live\";"
	run swinstall -f device.cfg app.swu
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	live_is_new
	swinstall -f device.cfg app.swu
	live_is_new
}

@test "the alias tar, a compressed archive, from a pipe, into a folder that is made" {
	gzip -k app.tar && mv app.tar.gz app.tar
	archive "path = \"$PWD/made/here\"; properties: { create-destination = \"true\"; }; "
	sed -i 's/"archive"/"tar"/' sw-description
	swinstall -f device.cfg -i - <app.swu
	[ "$(cat made/here/sub/file)" = new ]
}

@test "an archive that was made with bzip2 is unpacked with a warning; lint and verify --strict name it; a cut one is refused everywhere" {
	command -v bzip2 >/dev/null || skip 'bzip2 is not installed'
	bzip2 app.tar && mv app.tar.bz2 app.tar
	archive "path = \"$PWD/live\";"
	run swinstall -f device.cfg app.swu
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	[[ "$output" == *'WARN'*bzip2* ]]
	live_is_new
	run swbundle lint app.swu
	[[ "$output" == *'warning'*bzip2* ]] || { echo "$output"; false; }
	run swbundle verify --strict -k "$BATS_FILE_TMPDIR/keys/test.cert.pem" app.swu
	[[ "$output" == *bzip2* ]] || { echo "$output"; false; }
	head -c 200 app.tar >cut && mv cut app.tar
	run archive "path = \"$PWD/live\";"
	[ "$status" -ne 0 ]
	[[ "$output" == *'cannot be decompressed'* ]] || { echo "$output"; false; }
}

@test "a later step fails: the folder is as it was, byte for byte" {
	printf '#!/bin/sh\nexit 1\n' >fail.sh
	archive "path = \"$PWD/live\";" 'scripts: ({ filename = "fail.sh"; type = "postinstall"; });'
	run swinstall -f device.cfg app.swu
	[ "$status" -ne 0 ]
	live_is_old
	! find . -name '.swinstall-*' | grep .
}

@test "a damaged archive changes nothing" {
	head -c 3000 app.tar >cut.tar && mv cut.tar app.tar
	archive "path = \"$PWD/live\";"
	run swinstall -f device.cfg app.swu
	[ "$status" -ne 0 ]
	live_is_old
	! find . -name '.swinstall-*' | grep .
}

@test "t45: a link in the archive, or on the device, is never gone through" {
	mkdir outside && echo safe >outside/file
	python3 - <<-'PY'
	import io, tarfile
	t = tarfile.open("app.tar", "w")
	i = tarfile.TarInfo("a"); i.type = tarfile.SYMTYPE; i.linkname = "../outside"; t.addfile(i)
	i = tarfile.TarInfo("a/file"); i.size = 4; t.addfile(i, io.BytesIO(b"evil"))
	t.close()
	PY
	archive "path = \"$PWD/live\";"
	run swinstall -f device.cfg app.swu
	[ "$status" -ne 0 ] && [[ $output == *E_ARCHIVE_PATH* ]]
	ln -s "$PWD/outside" live/dir
	mkdir -p x/dir && echo evil >x/dir/file && tar -C x -cf app.tar .
	archive "path = \"$PWD/live\";"
	run swinstall -f device.cfg app.swu
	[ "$status" -ne 0 ] && [[ $output == *'there is a link where the archive has a folder'* ]]
	[ "$(cat outside/file)" = safe ] && [ "$(ls outside)" = file ]
}

@test "t17: an archive for / or a folder above does not reach the installer's own files" {
	mkdir -p x/state && echo evil >x/state/journal && tar -C x -cf app.tar .
	archive "path = \"$PWD\";"
	run swinstall -f device.cfg app.swu
	[ "$status" -ne 0 ] && [[ $output == *E_TARGET_PROTECTED* ]]
	no_line evil state/journal || true
}

@test "t103: killed at every rename and every flush, the folder is old or new after recovery" {
	[ -e "$BATS_FILE_TMPDIR/libfault.so" ] || skip 'no compiler for the fault library'
	archive "path = \"$PWD/live\";"
	cp -a live live.before
	local call n
	for call in rename link mkdir syncfs unlink; do
		for n in 1 2 3 4 5 6 7 8 9 10; do
			rm -rf live && cp -a live.before live && echo 'bootslot=a' >bootenv
			LD_PRELOAD="$BATS_FILE_TMPDIR/libfault.so" FAULT_CALL=$call FAULT_N=$n FAULT_ERR=kill \
				swinstall -f device.cfg app.swu >/dev/null 2>&1 || true
			run swctl -f device.cfg recover
			[ "$status" -eq 0 ] || { echo "$call $n: $output"; false; }
			live_is_old || live_is_new || { echo "$call $n"; find live; false; }
		done
	done
}

@test "into a device that is mounted for it: old content stays, nothing is left mounted; t46" {
	[ "$(id -u)" -eq 0 ] || skip 'only root mounts'
	command -v mkfs.ext4 >/dev/null || skip 'mkfs.ext4 is not installed'
	truncate -s 16M disk.img && mkfs.ext4 -q -F disk.img
	loop=$(losetup -f --show disk.img) || skip 'no loop devices here'
	blockdev --setrw "$loop"
	mkdir mnt run
	mount "$loop" mnt || skip 'nothing can be mounted here'
	mkdir -p mnt/app/sub && echo kept >mnt/app/kept && echo old >mnt/app/replaced
	umount mnt
	chmod 6755 new/replaced && chown 12:34 new/sub/file && mkfifo new/pipe && tar -C new -cf app.tar .
	archive "device = \"$loop\"; filesystem = \"ext4\"; path = \"/app\";"
	run swinstall -f device.cfg app.swu
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	[[ $output == *'1 devices and pipes'* ]]
	mount -o ro "$loop" mnt
	[ "$(cat mnt/app/kept mnt/app/replaced mnt/app/sub/file)" = "$(printf 'kept\nnew\nnew')" ]
	[ "$(stat -c %a:%u mnt/app/replaced)" = 755:0 ] && [ "$(stat -c %u mnt/app/sub/file)" = 0 ] && [ ! -e mnt/app/pipe ]
	[ ! -e "$(echo mnt/app/.swinstall-*)" ]
	umount mnt
	archive "device = \"$loop\"; filesystem = \"ext4\"; path = \"/app\"; preserve-attributes = true;"
	run swinstall -f device.cfg app.swu
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	mount -o ro "$loop" mnt
	[ "$(stat -c %a mnt/app/replaced)" = 6755 ] && [ "$(stat -c %u:%g mnt/app/sub/file)" = 12:34 ] && [ -p mnt/app/pipe ]
}
