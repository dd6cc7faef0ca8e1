#!/usr/bin/env bats
# Archives: each compression from a file and from a pipe, and what does not fit. T47, R42.
# shellcheck disable=SC2154 # bats sets status, output

load device
load archives

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return 1
	swbundle keygen --dir keys --name test >/dev/null
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	make_device
	make_live
}

teardown() {
	umount "$BATS_TEST_TMPDIR/small" 2>/dev/null || true
}

# a file system of its own with the live folder in it: small OPTIONS
small() {
	[ "$(id -u)" -eq 0 ] || skip 'only root mounts'
	mkdir small
	mount -t tmpfs -o "mode=755,$1" tmpfs small || skip 'nothing can be mounted here'
	mv live small/live
	ln -s small/live live
	find live/ -type f | sort | xargs sha256sum >before
}

live_is_old() { find live/ -type f | sort | xargs sha256sum | cmp - before; }

# each way in which a tar comes: as the attribute says, and told by its own first bytes
@test "none, gzip, xz, zstd and lz4, from a file and from a pipe" {
	local tool attr
	cp -a live live.before
	head -c 3000000 /dev/urandom >new/big
	tar -C new -cf app.tar .
	for tool in cat gzip xz zstd lz4; do
		command -v "$tool" >/dev/null || { echo "# SKIP: $tool is not installed" >&3; continue; }
		"$tool" <app.tar >"packed.$tool"
		for attr in '' attribute; do
			case $attr$tool in
			attributecat) continue ;;
			attributegzip) attr='compressed = "zlib";' ;;
			attribute*) attr="compressed = \"$tool\";" ;;
			esac
			MEMBER=packed.$tool archive "path = \"$PWD/live\"; $attr"
			installs app.swu || { echo "$tool $attr from a file"; false; }
			live_is_new && cmp new/big live/big
			rm -rf live && cp -a live.before live
			installs -i - <app.swu || { echo "$tool $attr from a pipe"; false; }
			live_is_new && cmp new/big live/big
			rm -rf live && cp -a live.before live
		done
	done
}

@test "an archive with large files that swbundle compressed fits into its decompressed-size" {
	head -c 12000000 /dev/urandom >new/big
	tar -C new -b1 -cf app.tar .
	archive "path = \"$PWD/live\"; compressed = \"zlib\";"
	grep -aq 'decompressed-size' app.swu
	installs app.swu
	cmp new/big live/big
	live_is_new
}

@test "t47: files that are larger than decompressed-size says are refused, and the folder is as it was" {
	head -c 2000000 /dev/zero >new/bomb
	tar -C new -cf app.tar . && gzip -k app.tar
	MEMBER=app.tar.gz archive "path = \"$PWD/live\"; compressed = \"zlib\"; properties: { decompressed-size = \"1000000\"; };"
	refused E_LIMIT_OUTPUT app.swu
	refused E_LIMIT_OUTPUT -i - <app.swu
}

@test "what cannot fit is told before the first byte is written, where the description says the size" {
	small size=2M
	head -c 3000000 /dev/zero >new/big
	tar -C new -cf app.tar . && gzip -k app.tar
	archive "path = \"$PWD/small/live\"; size = $(stat -c %s app.tar)L;"
	refused E_NO_SPACE --check app.swu
	[[ $output == *'bytes are free, the archive needs'* ]]
	refused E_NO_SPACE app.swu
	[[ $output != *'writing app.tar'* ]]
	refused E_NO_SPACE -i - <app.swu
	[[ $output != *'writing app.tar'* ]]
	MEMBER=app.tar.gz archive "path = \"$PWD/small/live\"; compressed = \"zlib\"; properties: { decompressed-size = \"$(stat -c %s app.tar)\"; };"
	refused E_NO_SPACE app.swu
	[[ $output != *'writing app.tar'* ]]
}

@test "what does not fit and says no size is told while it is written, and the folder is as it was" {
	small size=2M
	head -c 3000000 /dev/zero >new/big
	tar -C new -cf app.tar . && gzip -k app.tar
	MEMBER=app.tar.gz archive "path = \"$PWD/small/live\";"
	refused E_NO_SPACE app.swu
	[[ $output == *'its file system had left'* ]]
	head -c 1500000 /dev/zero >small/other
	head -c 1000000 /dev/zero >new/big
	tar -C new -cf app.tar . && gzip -kf app.tar
	MEMBER=app.tar.gz archive "path = \"$PWD/small/live\";"
	refused E_NO_SPACE app.swu
}

@test "a file system that holds no more files says so: before it, and in the middle" {
	local i
	for i in 1 2 3 4 5 6 7 8 9; do echo "$i" >"new/$i"; done
	tar -C new -cf app.tar .
	small size=4M,nr_inodes=14
	archive "path = \"$PWD/small/live\";"
	refused E_NO_SPACE app.swu
	[[ $output == *'holds no more files'* ]]
	for i in {10..40}; do echo 2>/dev/null >"small/$i" || break; done
	refused E_NO_SPACE app.swu
	[[ $output == *'inodes are taken'* ]]
	[[ $output != *'writing app.tar'* ]]
}

@test "a file system that is mounted read-only is told while planning" {
	small size=4M
	archive "path = \"$PWD/small/live\";"
	mount -o remount,ro small
	refused 'mounted read-only' app.swu
	[[ $output != *'writing app.tar'* ]]
}
