#!/usr/bin/env bats
# The runner of the unit tests: one that hangs must not hold up a check for ever, nor leave its processes behind.
load helper

RUNNER=$BATS_TEST_DIRNAME/../../scripts/run-unit

@test "a program that hangs is ended and has failed; what a program leaves running is ended and told" {
	cat >hangs <<-'S'
		#!/bin/sh
		sleep 1000 &
		echo $! >"$0.pid"
		echo '[       OK ] one'
		[ "${0##*/}" != hangs ] || wait
	S
	chmod +x hangs
	cp hangs leaves
	O=$T UNIT_LIMIT=1 fails 1 "$RUNNER" ./hangs
	says 'FAILED: hangs'
	says 'did not end within 1 s'
	O=$T fails 0 "$RUNNER" ./leaves
	says 'LEFT: process'
	for n in hangs leaves; do ! grep -qs '^State:.[^Z]' "/proc/$(cat $n.pid)/status" || { echo "$n left a process"; false; }; done
}
