# What people see on a terminal and what programs read as JSON.
# Why: a person in the field has 80 columns and no manual; a program must never find half a line.
# shellcheck disable=SC2154 # set by bats and device.bash
load device

setup_file() { make_bundle; }
setup() { make_device; }

on_terminal() { TERM=xterm COLUMNS=80 script -qefc "$*" /dev/null </dev/null; }
need_terminal() {
	command -v script >/dev/null || skip 'SKIP: there is no script program (util-linux)'
	on_terminal true >/dev/null 2>&1 || skip 'SKIP: no terminal can be made here (is /dev/pts mounted?)'
}
need_jq() { command -v jq >/dev/null || skip 'SKIP: there is no jq'; }

@test "a terminal gets a bar, lines of what was done, and one sentence" {
	need_terminal
	run on_terminal swinstall -f device.cfg "$good"
	[ "$status" -eq 0 ]
	[[ "$output" == *'1/2 checked rootfs.img  1.0 MB'* ]]
	[[ "$output" == *'2/2 written rootfs.img  1.0 MB'* ]]
	[[ "$output" == *"release 2.0 of '$good' is installed; reboot to start it"* ]]
	[[ "$output" != *'[INFO ]'* ]]
}

@test "a terminal gets the error report of five fields within 80 columns" {
	need_terminal
	NO_COLOR=1 run on_terminal swinstall -f device.cfg bad-name.swu
	[ "$status" -eq 1 ]
	cp "$bad" b.swu
	NO_COLOR=1 run on_terminal swinstall -f device.cfg b.swu
	[ "$status" -eq 1 ]
	[[ "$output" == *"swinstall: 'b.swu' was not installed"* ]]
	for field in what where why fix code; do
		[[ "$output" == *$'\n'"  $field"* ]]
	done
	[[ "$output" == *'doc/errors.md#swi-'* ]]
	[ -z "$(printf '%s\n' "$output" | tr -d '\r' | sed 's/.*\x1b\[K//' | awk 'length($0) > 80')" ]
}

@test "color only where it is wanted" {
	need_terminal
	run on_terminal swinstall -f device.cfg none.swu
	[[ "$output" == *$'\033[1;31m'* ]]
	NO_COLOR=1 run on_terminal swinstall -f device.cfg none.swu
	[[ "$output" != *$'\033[1;31m'* ]]
	run swinstall -f device.cfg none.swu
	[[ "$output" != *$'\033'* ]]
}

@test "--json gives one object a line, in order, the verdict last" {
	need_jq
	swinstall -f device.cfg --json "$good" >events 2>log
	is_new
	jq -es 'map(.v) | all(. == 1)' events
	jq -es '[.[].seq] == [range(1; length + 1)]' events
	jq -es 'last | .type == "result" and .result == "success" and .version == "2.0" and .reboot == true' events
	jq -es '[.[] | select(.type == "state") | .state] == ["check", "install", "activate", "success"]' events
	jq -es '[.[] | select(.type == "step") | .action] == ["checking", "writing"]' events
	grep -q '^\[INFO \] : ' log
}

@test "--json tells failures with the fields of the report, also those before any bundle is read" {
	need_jq
	status=0
	swinstall -f device.cfg --json "$bad" >events 2>/dev/null || status=$?
	[ "$status" -eq 1 ]
	jq -es 'last.error | (.code | startswith("SWI-")) and (.name | startswith("E_")) and .what and .where and .why and .fix' events
	for line in '--json -f none.cfg x.swu' '--json' "--json -f device.cfg none.swu" '--json --no-such'; do
		# shellcheck disable=SC2086
		swinstall $line >events 2>/dev/null && false
		[ "$(wc -l <events)" -eq 1 ]
		jq -e '.type == "result" and .result == "failure" and .error.name' events
	done
	is_old
}

# people who look on see what a script has to say, above the bar; its chatter stays in the log
@test "a terminal shows the lines that scripts write to SWUPDATE_INFO_FD" {
	need_terminal
	mkdir said
	printf '#!/bin/sh\necho "the battery is full" >&3\necho chatter\n' >said/act.sh
	echo 'software = { version = "3.0"; scripts: ({ filename = "act.sh"; type = "preinstall"; }); };' >said/sw-description
	swbundle build said/sw-description --key "$BATS_FILE_TMPDIR/keys/test.key.pem" --cert "$BATS_FILE_TMPDIR/keys/test.cert.pem" -o said.swu >/dev/null
	run on_terminal swinstall -f device.cfg said.swu
	[ "$status" -eq 0 ]
	[ "$(printf '%s\n' "$output" | grep -c 'the battery is full')" -eq 1 ]
	[[ "$output" != *chatter* && "$output" != *'signed by'* ]]
	run on_terminal swinstall -f device.cfg -l 2 said.swu
	[[ "$output" != *'the battery is full'* ]]
	run on_terminal swinstall -f device.cfg -l 3 said.swu
	[ "$(printf '%s\n' "$output" | grep -c 'the battery is full')" -eq 1 ]
}

@test "--verbose says which stages the bytes of each entry pass" {
	run swinstall -f device.cfg --verbose "$good"
	[ "$status" -eq 0 ]
	[[ "$output" =~ "images 'rootfs.img': raw to "[^$'\n']*": count, same"[^$'\n']*"cap " ]]
}

# the document is what programs are written by: no member or word that it does not have, and all that it has is told
@test "--json says what doc/json.md says, in every type of event" {
	command -v python3 >/dev/null || skip 'SKIP: there is no python3'
	conforms() { python3 "$BATS_TEST_DIRNAME/events.py" "$BATS_TEST_DIRNAME/../../doc/json.md" seen "$@"; }
	swinstall -f device.cfg --json "$good" 2>/dev/null | conforms
	{ head -c 600000 "$good"; sleep 0.3; tail -c +600001 "$good"; } | swinstall -f device.cfg --json -i - 2>/dev/null | conforms
	swinstall -f device.cfg --json "$bad" 2>/dev/null | conforms
	swinstall -f device.cfg --json --no-such 2>/dev/null | conforms
	mkdir scripts && printf '#!/bin/sh\necho from the script\n' >scripts/act.sh
	cat >scripts/sw-description <<-'D'
	software = { version = "3.0"; scripts: ({ filename = "act.sh"; type = "shellscript"; }); };
	D
	swbundle build scripts/sw-description -I scripts --key "$BATS_FILE_TMPDIR/keys/test.key.pem" --cert "$BATS_FILE_TMPDIR/keys/test.cert.pem" -o act.swu >/dev/null
	swinstall -f device.cfg --json act.swu 2>/dev/null | conforms
	(cd scripts && cpio -iu --quiet <../act.swu && printf '%s\n' sw-description act.sh | cpio -o -H crc --quiet >../bare.swu)
	swinstall -f device.cfg --json --allow-unsigned bare.swu 2>/dev/null | conforms
	conforms --all
}

# L4: whoever starts us with a pipe and does not read it must not stop the install
@test "a reader of --json that sleeps does not make the install wait" {
	mkfifo pipe
	# shellcheck disable=SC2217 # it holds the pipe and never reads
	sleep $HANG <pipe 3>&- &
	sleeper=$!
	swinstall -f device.cfg --json "$good" >pipe 2>/dev/null
	kill $sleeper # which still sleeps
	is_new
}

@test "a reader that goes away does not end the install" {
	swinstall -f device.cfg --json "$good" 2>/dev/null | head -c 1 >/dev/null
	is_new
	swinstall -f device.cfg "$good" 2>&1 >/dev/null | head -c 1 >/dev/null
	[ "${PIPESTATUS[0]}" -eq 0 ]
}
