# What an install touches, seen from outside by strace.
# Why: names of members must never become paths (T21), unlisted members reach nothing (T3), and a
# read from a file writes to the target, the state directory and the boot environment only.
# shellcheck disable=SC2154 # set by bats and device.bash
load device

setup_file() { make_bundle; }
setup() {
	command -v strace >/dev/null || skip 'SKIP: there is no strace'
	strace -o /dev/null true 2>/dev/null || skip 'SKIP: strace may not trace here'
	make_device
}

trace() { strace -f -y -s 4096 -e trace=open,openat,openat2,creat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat -o trace "$@"; }

@test "no member name is ever opened, written or removed" {
	trace swinstall -f device.cfg "$good" 2>/dev/null
	is_new
	no_line 'rootfs\.img|sw-description' trace
	rm -rf state bootenv ./*.img
	make_device
	trace swinstall -f device.cfg -i - <"$good" 2>/dev/null
	is_new
	no_line 'rootfs\.img|sw-description' trace
}

@test "an install from a file writes to target, state and boot environment only" {
	trace swinstall -f device.cfg "$good" 2>/dev/null
	is_new
	grep -E 'O_WRONLY|O_RDWR|O_CREAT|rename|unlink|mkdir|creat\(' trace |
		grep -v -e "$PWD/state" -e "<$PWD>, \"\.bootenv\.new\"" -e "\"${PWD#/}/slot-b\.img\"" \
			-e '/run/swinstall[>/]' \
			-e '"/dev/null"' -e '"/proc/self/fd/2"' >elsewhere || true
	[ ! -s elsewhere ] || { cat elsewhere; false; }
}

@test "a check and a dry run open nothing for writing, from a file and from a pipe" {
	for how in --check --dry-run; do
		for from in file pipe; do
			if [ $from = file ]; then
				trace swinstall -f device.cfg $how "$good" 2>/dev/null
			else
				trace swinstall -f device.cfg $how -i - <"$good" 2>/dev/null
			fi
			grep -q 'slot-b.img' trace
			grep -E 'O_WRONLY|O_RDWR|O_CREAT|rename|unlink|mkdir|creat\(' trace |
				grep -v -e '"/dev/null"' -e '"/proc/self/fd/2"' >elsewhere || true
			[ ! -s elsewhere ] || { echo "$how $from"; cat elsewhere; false; }
			is_old
		done
	done
}

@test "members that the description does not name reach nothing" {
	(
		cd "$BATS_FILE_TMPDIR" && mkdir -p more && cd more && cpio -i --quiet <../good.swu
		echo 'touch /tmp/owned' >sw-description.sh
		echo 'os.execute()' >foo.lua
		printf '%s\n' sw-description sw-description.sig sw-description.sh foo.lua rootfs.img | cpio -o -H crc --quiet >"$BATS_TEST_TMPDIR/more.swu"
	)
	trace swinstall -f device.cfg more.swu 2>/dev/null
	is_new
	no_line 'foo\.lua|sw-description' trace
	sed -i 's/globals : {/&\n\tstrict-members = true;/' device.cfg
	run swinstall -f device.cfg more.swu
	[ "$status" -eq 1 ]
	[[ "$(last_line)" == '[ERROR] : E_MEMBER_UNLISTED'* ]]
}
