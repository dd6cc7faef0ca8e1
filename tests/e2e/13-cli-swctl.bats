# swctl without a daemon: what happened last, and tidying up.
# Why: it is the first command after a power cut, often on a serial console in rescue mode.
# shellcheck disable=SC2154 # set by bats and device.bash
load device

setup_file() { make_bundle; }
setup() { make_device; }

@test "status of a fresh device says so and makes nothing" {
	rmdir state
	run swctl -f device.cfg status
	[ "$status" -eq 0 ]
	[[ "$output" == *'nothing was installed'* ]]
	[[ "$output" == *'idle'* ]]
	[ ! -e state ]
}

@test "status tells the last success and the slots" {
	swinstall -f device.cfg "$good"
	run swctl -f device.cfg status
	[ "$status" -eq 0 ]
	[[ "$output" == *'success: release 2.0 of '* ]]
	[[ "$output" == *'boots next: b'* ]]
}

@test "status tells the last failure with its fields" {
	swinstall -f device.cfg "$bad" || true
	run swctl -f device.cfg status
	[ "$status" -eq 0 ]
	[[ "$output" == *'failure'* ]]
	for field in what where why fix code; do
		[[ "$output" == *$'\n'"  $field"* ]]
	done
}

@test "status --json is one object" {
	command -v jq >/dev/null || skip 'SKIP: there is no jq'
	swinstall -f device.cfg "$bad" || true
	swctl -f device.cfg --json status | jq -e '.v == 1 and .now == "idle" and .last.state == "failure" and
		(.last.error.name | startswith("E_")) and .slots.running == "a"'
}

@test "status while an installation runs says how far it is, and does not wait" {
	sed -i "s|^globals : {|&\n\trun-dir = \"$PWD/run\";|" device.cfg
	swinstall -f device.cfg "$bad" || true
	mkfifo fifo
	swinstall -f device.cfg -i - <fifo 2>log 3>&- &
	pid=$!
	{ head -c 600000 "$good" && exec sleep $HANG; } >fifo 3>&- &
	feeder=$!
	wait_for grep -q storing log
	run swctl -f device.cfg status
	[ "$status" -eq 0 ]
	[[ "$output" == *'an installation is running'* ]]
	[[ "$output" == *"$pid"* ]]
	kill -0 $feeder # nor did anybody else
	[[ "$output" == *"release 2.0 of 'standard input'"* ]]
	[[ "$output" == *'step 1 of 2: storing rootfs.img, '*% ]] || [[ "$output" == *'step 1 of 2: storing rootfs.img, '*%$'\n'* ]]
	[[ "$output" == *'last    failure: '* ]] # the one before, and not why
	[[ "$output" != *'  code  '* ]]
	swctl -f device.cfg --json status >json
	grep -q '"running":{"time":[0-9]*,"state":"check","version":"2.0","bundle":"standard input","step":1,"steps":2,"percent":[0-9]*,"action":"storing","name":"rootfs.img"}' json
	# another device of this machine may share run-dir, and is not what is asked for
	sed "s|$PWD/state|$PWD/other|" device.cfg >other.cfg
	mkdir -m 700 other
	[[ "$(swctl -f other.cfg status)" == *idle* ]]
	kill $pid
	wait $pid || true
	kill $feeder 2>/dev/null || true
	is_old
}

@test "after a kill status says interrupted or idle, recover tidies up, and then an install works" {
	mkfifo fifo
	swinstall -f device.cfg -i - <fifo 2>log 3>&- &
	pid=$!
	{ head -c 600000 "$good" && exec sleep $HANG; } >fifo 3>&- &
	feeder=$!
	wait_for grep -q storing log
	kill -KILL $pid
	wait $pid || true
	kill $feeder 2>/dev/null || true
	run swctl -f device.cfg status
	[ "$status" -eq 0 ]
	run swctl -f device.cfg recover
	[ "$status" -eq 0 ]
	is_old
	swinstall -f device.cfg "$good"
	is_new
}

@test "status says which release each slot holds, and what is not known any more" {
	run swctl -f device.cfg status
	[[ "$output" == *'a holds: not known'* && "$output" == *'b holds: not known'* ]]
	swinstall -f device.cfg "$good"
	run swctl -f device.cfg status
	[[ "$output" == *'b holds: release 2.0'* ]]
	[[ "$(swctl -f device.cfg --json status)" == *'"releases":{"b":"2.0"}'* ]]
	# nothing was written, so that b holds what it held
	swinstall -f device.cfg "$bad" || true
	[[ "$(swctl -f device.cfg status)" == *'b holds: release 2.0'* ]]
	# file slots: what boots next runs, so that the next one goes into a
	swinstall -f device.cfg "$good"
	[[ "$(swctl -f device.cfg status)" == *'a holds: release 2.0'*'b holds: release 2.0'* ]]
	mkdir broken
	printf '#!/bin/sh\n[ "$1" != postinst ]\n' >broken/act.sh
	cp "$BATS_FILE_TMPDIR/src/rootfs.img" broken/
	echo 'software = { version = "3.0"; images: ({ filename = "rootfs.img"; slot = "rootfs"; }); scripts: ({ filename = "act.sh"; type = "shellscript"; }); };' >broken/sw-description
	swbundle build broken/sw-description --key "$BATS_FILE_TMPDIR/keys/test.key.pem" --cert "$BATS_FILE_TMPDIR/keys/test.cert.pem" -o broken.swu >/dev/null
	swinstall -f device.cfg broken.swu || true
	[[ "$(swctl -f device.cfg status)" == *'a holds: release 2.0'*'b holds: not known'* ]]
}

@test "history lists the results, the newest first, at most 50, and is JSON when asked" {
	run swctl -f device.cfg history
	[ "$status" -eq 0 ]
	[[ "$output" == *'nothing was installed'* ]]
	swinstall -f device.cfg "$good"
	swinstall -f device.cfg "$bad" || true
	run swctl -f device.cfg history
	[ "${#lines[@]}" -eq 3 ]
	[[ "${lines[0]}" == *"  failure      release 2.0 of '$bad'" ]]
	[[ "${lines[1]}" == *'  E_PAYLOAD_HASH: '* ]]
	[[ "${lines[2]}" == *"  success      release 2.0 of '$good', slot b" ]]
	[[ "$(swctl -f device.cfg --json history)" == '{"v":1,"history":[{"time":'*'"state":"failure"'*'"state":"success"'*'"slot":"b"}]}' ]]
	for _ in $(seq 52); do echo x | swinstall -f device.cfg -i - 2>/dev/null || true; done
	[ "$(swctl -f device.cfg history | grep -c failure)" -eq 50 ]
	[ "$(swctl -f device.cfg history | grep -c success)" -eq 0 ]
}

@test "a history that cannot be written never fails an install" {
	mkdir state/history
	swinstall -f device.cfg "$good"
	is_new
	rmdir state/history
	head -c 300000 /dev/zero >state/history
	swctl -f device.cfg history || true
	swinstall -f device.cfg "$good"
	[[ "$(swctl -f device.cfg history)" == *success* ]]
	sed 's|^globals : {|&\n\trun-dir = "/nonexistent/run";|' device.cfg >norun.cfg
	swinstall -f norun.cfg "$good"
}

@test "recover with nothing to do says so" {
	run swctl -f device.cfg recover
	[ "$status" -eq 0 ]
	[[ "$output" == *'nothing to do'* ]]
}

@test "exit status: 2 for wrong use, 1 for what is not built in, 0 for help" {
	run swctl
	[ "$status" -eq 2 ]
	run swctl no-such-verb
	[ "$status" -eq 2 ]
	[[ "$output" == *E_USAGE* ]]
	run swctl status more
	[ "$status" -eq 2 ]
	run swctl --no-such
	[ "$status" -eq 2 ]
	for verb in install watch confirm rollback; do
		run swctl $verb
		[ "$status" -eq 1 ]
		[[ "$(last_line)" == '[ERROR] : E_NOT_BUILT' ]]
	done
	run swctl help
	[ "$status" -eq 0 ]
	run swctl -f none.cfg status
	[ "$status" -eq 1 ]
}

# cut_at CALL N: the program ends before its N-th call of this kind, as by a power cut
cut_at() {
	command -v strace >/dev/null || skip 'SKIP: there is no strace'
	strace -o /dev/null true 2>/dev/null || skip 'SKIP: strace may not trace here'
	rm -rf state bootenv ./*.img
	make_device
	run strace -f -qq -o /dev/null -e trace="$1" -e inject="$1:signal=KILL:when=$2" swinstall -f device.cfg "$good"
	[ "$status" -eq 137 ]
}

# interrupted_then TEXT: status says so in words and as JSON, recover says TEXT once, and then all is idle
interrupted_then() {
	run swctl -f device.cfg status
	[ "$status" -eq 0 ]
	[[ "$output" == *'an installation of release 2.0 was interrupted'* ]]
	if command -v jq >/dev/null; then
		swctl -f device.cfg --json status | jq -e '.v == 1 and .now == "interrupted" and .version == "2.0"'
	fi
	run swctl -f device.cfg recover
	[ "$status" -eq 0 ]
	[[ "$output" == *"$1"* ]]
	run swctl -f device.cfg recover
	[[ "$output" == *'nothing to do'* ]]
	run swctl -f device.cfg status
	[[ "$output" == *'now     idle'* ]]
}

@test "interrupted before commit 1: nothing was marked, recover undoes it" {
	cut_at renameat 1
	interrupted_then 'before its switch: undone, the old system is active'
	is_old
	[ "$(cat bootenv)" = 'bootslot=a' ]
}

@test "interrupted between commit 1 and commit 2: the old system boots, the mark becomes failed" {
	cut_at renameat 2
	grep -qx 'recovery_status=in_progress' bootenv
	interrupted_then 'before its switch: undone, the old system is active'
	[ "$(cat bootenv)" = $'bootslot=a\nrecovery_status=failed' ]
	run swctl -f device.cfg status
	[[ "$output" == *'interrupted: release 2.0'* ]]
	swinstall -f device.cfg "$good"
	is_new
}

@test "interrupted after commit 2: the new system is active, recover only finishes" {
	cut_at fsync 6
	is_new
	interrupted_then 'after its switch: finished, the new system is active'
	is_new
	run swctl -f device.cfg status
	[[ "$output" == *'success: release 2.0'* ]]
}

@test "a damaged journal blocks in words and as JSON; recover does not guess, --forget puts it aside" {
	cut_at renameat 2
	printf X | dd of=state/journal bs=1 seek=20 conv=notrunc status=none
	cp state/journal damaged
	run swctl -f device.cfg status
	[ "$status" -eq 0 ]
	[[ "$output" == *'blocked'*'damaged'*'--forget'* ]]
	if command -v jq >/dev/null; then
		swctl -f device.cfg --json status | jq -e '.now == "blocked" and (.why | contains("damaged"))'
	fi
	run swctl -f device.cfg recover
	[ "$status" -eq 1 ]
	[[ "$output" == *E_JOURNAL* ]]
	cmp state/journal damaged
	run swinstall -f device.cfg "$good"
	[ "$status" -eq 1 ]
	[[ "$output" == *E_JOURNAL* ]]
	swctl -f device.cfg recover --forget
	cmp state/journal.forgotten damaged
	grep -qx 'bootslot=a' bootenv
	swinstall -f device.cfg "$good"
	is_new
}

# one record of an open transaction, of version 9
newer_journal() {
	python3 - >state/journal <<-'PY' || skip 'no python3'
	import struct, sys
	t = [0] * 256
	for i in range(256):
	    c = i
	    for _ in range(8): c = (c >> 1) ^ (0x82F63B78 if c & 1 else 0)
	    t[i] = c
	def crc(b):
	    c = 0xFFFFFFFF
	    for x in b: c = t[(c ^ x) & 255] ^ (c >> 8)
	    return c ^ 0xFFFFFFFF
	r = b"SWJL" + struct.pack("<HHI", 9, 1, 3) + b"0123456789abcdef" + b"9.0\0"
	sys.stdout.buffer.write(r + struct.pack("<I", crc(r)))
	PY
}

@test "a journal of a newer program blocks, status says so, and recover --forget is the way out" {
	newer_journal
	run swctl -f device.cfg status
	[[ "$output" == *'blocked'*'newer version'*'--forget'* ]]
	run swinstall -f device.cfg "$good"
	[ "$status" -eq 1 ]
	[[ "$output" == *E_JOURNAL* ]]
	is_old
	run swctl -f device.cfg status --forget
	[ "$status" -eq 2 ]
	run swctl -f device.cfg recover
	[ "$status" -eq 1 ]
	run swctl -f device.cfg recover --forget
	echo "$output"
	[ "$status" -eq 0 ]
	[[ "$output" == *'neither undone nor finished'* ]]
	[ -s state/journal.forgotten ]
	swinstall -f device.cfg "$good"
	is_new
}
