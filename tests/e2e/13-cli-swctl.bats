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

@test "status while an installation runs names it and does not wait" {
	mkfifo fifo
	swinstall -f device.cfg -i - <fifo 2>log 3>&- &
	pid=$!
	{ head -c 600000 "$good" && exec sleep 20; } >fifo 3>&- &
	feeder=$!
	for _ in $(seq 100); do grep -q storing log && break; sleep 0.05; done
	run timeout 5 swctl -f device.cfg status
	[ "$status" -eq 0 ]
	[[ "$output" == *'an installation is running'* ]]
	[[ "$output" == *"$pid"* ]]
	kill $pid
	wait $pid || true
	kill $feeder 2>/dev/null || true
	is_old
}

@test "after a kill status says interrupted or idle, recover tidies up, and then an install works" {
	mkfifo fifo
	swinstall -f device.cfg -i - <fifo 2>log 3>&- &
	pid=$!
	{ head -c 600000 "$good" && exec sleep 20; } >fifo 3>&- &
	feeder=$!
	for _ in $(seq 100); do grep -q storing log && break; sleep 0.05; done
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
	for verb in install watch confirm rollback history; do
		run swctl $verb
		[ "$status" -eq 1 ]
		[[ "$(last_line)" == '[ERROR] : E_NOT_BUILT' ]]
	done
	run swctl help
	[ "$status" -eq 0 ]
	run swctl -f none.cfg status
	[ "$status" -eq 1 ]
}
