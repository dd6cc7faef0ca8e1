# The ways of naming a bundle, and what is left behind.
# Why: callers are scripts, cron and udev; they see the exit status and the last line only.
# shellcheck disable=SC2154 # set by bats and device.bash
load device

setup_file() { make_bundle; }
setup() { make_device; }

@test "a bundle is installed into the slot that does not run" {
	run swinstall -f device.cfg "$good"
	[ "$status" -eq 0 ]
	is_new
	[[ "$(last_line)" == '[INFO ] : release 2.0 of '*' is installed; reboot to start it' ]]
}

# L4: opening it must not hold us up either
@test "a FIFO that nobody writes into ends with the idle-timeout" {
	sed -i 's/globals[ ]*:[ ]*{/& idle-timeout = 1;/' device.cfg
	grep -q idle-timeout device.cfg
	mkfifo fifo
	run timeout 100 swinstall -f device.cfg fifo
	[ "$status" -eq 1 ]
	[[ "$(last_line)" == *E_DEADLINE* ]]
	cat "$good" >fifo 3>&- &
	swinstall -f device.cfg fifo
	wait $!
	is_new
}

@test "-i FILE, and -i - from a pipe" {
	swinstall -f device.cfg -i "$good"
	is_new
	rm -rf state ./*.img bootenv
	make_device
	swinstall -f device.cfg -i - <"$good"
	is_new
	rm -rf state ./*.img bootenv
	make_device
	head -c 100000000 "$good" | swinstall -f device.cfg -i -
	is_new
}

@test "a relative name counts from where the caller stands" {
	cp "$good" here.swu
	run swinstall -f device.cfg here.swu
	[ "$status" -eq 0 ]
	is_new
}

@test "an altered bundle ends with 1, names the error last, changes nothing" {
	for way in file pipe; do
		if [ $way = file ]; then run swinstall -f device.cfg "$bad"; else run swinstall -f device.cfg -i - <"$bad"; fi
		[ "$status" -eq 1 ]
		[[ "$(last_line)" =~ ^'[ERROR] : E_'PAYLOAD_HASH: ]]
		is_old
	done
}

@test "each field of an error is one line with its level" {
	run swinstall -f device.cfg "$bad"
	for field in what where why fix; do
		[[ "$output" == *$'\n''[ERROR] : '"$field"* ]]
	done
	for line in "${lines[@]}"; do
		[[ "$line" =~ ^\[(ERROR|WARN |INFO |DEBUG|TRACE)\]\ :\  ]]
	done
}

@test "--check and --dry-run write nothing" {
	run swinstall -f device.cfg --check "$good"
	[ "$status" -eq 0 ]
	[[ "$output" == *'every check passed'* ]]
	is_old
	run swinstall -f device.cfg -n "$good"
	[ "$status" -eq 0 ]
	is_old
	run swinstall -f device.cfg -c "$bad"
	[ "$status" -eq 1 ]
	is_old
}

@test "a bundle that nobody vouches for needs --allow-unsigned, and is warned of" {
	(cd "$BATS_FILE_TMPDIR/src" && printf 'sw-description\nrootfs.img\n' |
		cpio -o -H crc --quiet >"$BATS_TEST_TMPDIR/plain.swu")
	run swinstall -f device.cfg plain.swu
	[ "$status" -eq 1 ]
	[[ "$(last_line)" == '[ERROR] : E_SIG_MISSING'* ]]
	is_old
	run swinstall -f device.cfg --allow-unsigned plain.swu
	[ "$status" -eq 0 ]
	[[ "$output" == *'[WARN ] : '* ]]
	is_new
}

@test "a selection that the device does not accept is refused" {
	run swinstall -f device.cfg -q stable,a -e stable,b "$good"
	[ "$status" -eq 1 ]
	[[ "$(last_line)" == '[ERROR] : E_SELECT'* ]]
	is_old
}

@test "a configuration that others can change is refused" {
	chmod 666 device.cfg
	run swinstall -f device.cfg "$good"
	[ "$status" -eq 1 ]
	[[ "$(last_line)" == '[ERROR] : E_CONFIG'* ]]
	is_old
}

@test "no configuration is fine when a key is given" {
	[ ! -e /etc/swinstall.cfg ] && [ ! -e /etc/swupdate.cfg ] || skip 'SKIP: this machine has a configuration of its own'
	cat >"$BATS_TEST_TMPDIR/d" <<-'DESC'
	software = { version = "1"; images: ({ filename = "rootfs.img"; type = "dummy"; }); };
	DESC
	mkdir s && mv d s/sw-description && cp "$BATS_FILE_TMPDIR/src/rootfs.img" s/
	swbundle build s/sw-description --key "$BATS_FILE_TMPDIR/keys/test.key.pem" --cert "$BATS_FILE_TMPDIR/keys/test.cert.pem" -o dummy.swu
	run swinstall -k "$BATS_FILE_TMPDIR/keys/test.cert.pem" -B none --check dummy.swu
	[ "$status" -eq 0 ]
	run swinstall --check dummy.swu
	[ "$status" -eq 1 ]
	[[ "$(last_line)" == '[ERROR] : E_CONFIG'* ]]
}

# -i must stay open while the signal arrives: the bundle comes through a FIFO that stalls
@test "SIGTERM and SIGINT in the middle leave the old state at once" {
	for sig in TERM INT HUP; do
		rm -f fifo log
		mkfifo fifo
		# an interactive shell would not do this: background jobs ignore SIGINT until the program resets it
		swinstall -f device.cfg -i - <fifo 2>log 3>&- &
		pid=$!
		{ head -c 600000 "$good" && exec sleep $HANG; } >fifo 3>&- &
		feeder=$!
		wait_for grep -q storing log
		kill -$sig $pid
		status=0
		wait $pid || status=$?
		[ "$status" -eq 1 ]
		kill -0 $feeder # it did not wait for the end of the pipe
		kill $feeder 2>/dev/null || true
		wait $feeder || true
		tail -n 1 log | grep -q 'E_CANCELED'
		is_old
	done
}
