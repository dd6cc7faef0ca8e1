# Command lines of existing callers: spelling, rules, exit status.
# Why: update scripts in the field call 'swupdate' and look at its status; 2 or 127 would be a third answer.
# shellcheck disable=SC2154 # set by bats and device.bash
load device

setup_file() { make_bundle; }
setup() { make_device; }

@test "called as swupdate it installs, and reads only /etc/swupdate.cfg unless -f names one" {
	ln -s "$BIN/swinstall" swupdate
	run ./swupdate -v -f device.cfg -i "$good"
	[ "$status" -eq 0 ]
	is_new
	[ -e /etc/swupdate.cfg ] && skip 'SKIP: this machine has an /etc/swupdate.cfg of its own'
	run ./swupdate -i "$good"
	[ "$status" -eq 1 ]
	[[ "$output" == *'there is no /etc/swupdate.cfg'* ]]
}

# callers look for these words in the log; Debian's 2022.12 prints them so
@test "called as swupdate its lines have the words of swupdate" {
	ln -s "$BIN/swinstall" swupdate
	run ./swupdate -v -f device.cfg -i "$good"
	[ "$status" -eq 0 ]
	[[ "$(last_line)" == '[INFO ] : SWUPDATE running :  SWUPDATE successful !' ]]
	[ -z "$(printf '%s\n' "${lines[@]}" | grep -vE '^\[(INFO |WARN |DEBUG|TRACE)\] : SWUPDATE running :  ')" ]
	run ./swupdate -f device.cfg -i "$bad"
	[ "$status" -eq 1 ]
	[[ "$(last_line)" == '[ERROR] : SWUPDATE failed [0] ERROR : E_PAYLOAD_HASH'* ]]
	run ./swupdate -f nowhere.cfg -i "$good"
	[[ "$(last_line)" == '[ERROR] : SWUPDATE failed [0] ERROR : E_CONFIG'* ]]
	run swinstall -f device.cfg -i "$bad"
	[[ "$(last_line)" == '[ERROR] : E_PAYLOAD_HASH'* ]]
}

# callers pipe it: swupdate ... | grep "SWUPDATE successful"
@test "called as swupdate, lines that are no errors go to standard output, and never with --json" {
	ln -s "$BIN/swinstall" swupdate
	./swupdate -f device.cfg -i "$good" 2>err | grep -q 'SWUPDATE successful !'
	[ ! -s err ]
	./swupdate -f device.cfg -i "$bad" >out 2>err && false
	grep -q '^\[INFO \] : ' out
	no_line '^\[ERROR\]' out
	grep -q '^\[ERROR\] : SWUPDATE failed' err
	no_line '^\[INFO \]' err
	./swupdate -f device.cfg --json -i "$good" >out 2>err
	no_line '^[^{]' out
	grep -q '^\[INFO \] : ' err
	swinstall -f device.cfg "$good" >out 2>err
	[ ! -s out ]
}

@test "called as swupdate on a terminal, a pipe from its standard output still gets the lines" {
	command -v script >/dev/null || skip 'SKIP: there is no script program (util-linux)'
	ln -s "$BIN/swinstall" swupdate
	TERM=xterm script -qefc "./swupdate -f device.cfg -i $good | grep -c 'SWUPDATE successful' >count" /dev/null </dev/null
	[ "$(cat count)" -eq 1 ]
}

@test "called as swupdate, a postupdate command that fails ends it with 1, and the update stays" {
	ln -s "$BIN/swinstall" swupdate
	run ./swupdate -f device.cfg -p 'exit 3' -i "$good"
	[ "$status" -eq 1 ]
	is_new
	[[ "$output" == *'SWUPDATE successful !'* ]]
	[[ "$output" == *'[WARN ]'*postupdatecmd* ]]
	grep -q '^state=success$' state/status
	run swinstall -f device.cfg -p 'exit 3' "$good"
	[ "$status" -eq 0 ]
}

@test "-l filters, -v shows all" {
	run swinstall -f device.cfg -l 1 "$good"
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	run swinstall -f device.cfg -l 3 -c "$good"
	[[ "$output" == *'[INFO ] : '* ]]
	[[ "$output" != *'[TRACE] : '* ]]
	run swinstall -f device.cfg -v -c "$good"
	[ "$status" -eq 0 ]
}

@test "a key of the configuration that has no effect here is named with what to do, and the update runs" {
	sed 's|^globals : {|&\n\tdecryption-key-file = "k"; gpg-home-dir = "/g";\n\tgpgme-protocol = "cms"; namespace-vars = "ns";|' device.cfg >theirs.cfg
	run swinstall -f theirs.cfg "$good"
	[ "$status" -eq 0 ]
	is_new
	for key in decryption-key-file gpg-home-dir gpgme-protocol namespace-vars; do
		[ "$(grep -c "^\[WARN \] : theirs.cfg: line [23]: globals.$key is not used by this program: .*, and remove this key$" <<<"$output")" -eq 1 ]
	done
}

@test "options of later parts are told as not built in, with status 1" {
	for o in '-w x' '-u x' '-d x' '--daemon' '--gpg-home-dir x' '-E /dev/mmcblk0'; do
		# shellcheck disable=SC2086
		run swinstall -f device.cfg $o
		[ "$status" -eq 1 ]
		[[ "$(last_line)" == '[ERROR] : E_NOT_BUILT' ]]
		[[ "$output" == *CONFIG_* ]]
	done
	run swinstall -f device.cfg -u '-t default -u http://x -i 25' -w '-r /www -p 8080'
	[ "$status" -eq 1 ]
	[[ "$(last_line)" == '[ERROR] : E_NOT_BUILT' ]]
}

@test "wrong command lines end with 1, nothing else" {
	for o in '' '-i' '-i -v' '-k -c' '-i a -o b' '-i a -u x' '-c -u x' '-c' '--no-such' '-X' '-l 100' 'a b' '-H board'; do
		# shellcheck disable=SC2086
		run swinstall -f device.cfg $o
		[ "$status" -eq 1 ]
		[[ "$(last_line)" == '[ERROR] : E_USAGE'* ]]
	done
}

@test "questions are answered on standard output" {
	[[ "$(swinstall --version 2>/dev/null)" =~ ^'swinstall '[0-9]+\.[0-9]+\.[0-9]+$ ]]
	[[ "$(swinstall --help 2>/dev/null)" == *'--no-transaction-marker'* ]]
	[[ "$(swinstall --handlers 2>/dev/null)" == *'raw: '* ]]
	run swinstall -g
	[ "$status" -eq 0 ] || [[ "$(last_line)" == '[ERROR] : E_SLOT' ]]
}

@test "--explain prints the section of doc/errors.md, by number or name" {
	for word in SWI-210 swi-210 210 E_TARGET_SMALL e_target_small; do
		[[ "$(swinstall --explain "$word")" == 'SWI-210 E_TARGET_SMALL: the target is too small'$'\n\n''What to do: enlarge the partition'* ]]
	done
	# each section of the page, word by word
	while IFS= read -r code; do
		swinstall --explain "$code" | tr '\n' ' ' | sed 's/  */ /g' >told
		sed -n "/^### $code\$/,/^###* /p" "$BATS_TEST_DIRNAME/../../doc/errors.md" | sed '1d;/^#/d' | tr '\n' ' ' | sed 's/[*]//g; s/  */ /g' >section
		[ "$code $(sed 's/\.  *What/ What/' section)" = "$(cat told)" ]
	done < <(sed -n 's/^### \(SWI-1.*\)/\1/p' "$BATS_TEST_DIRNAME/../../doc/errors.md")
	run swinstall --explain E_TARGET_SMAL
	[ "$status" -eq 1 ]
	[[ "$output" == *'did you mean E_TARGET_SMALL?'* ]]
	run swinstall --explain
	[ "$status" -eq 1 ]
}

@test "--help fits into 80 columns" {
	for p in swinstall swctl; do
		[ -z "$("$p" --help | awk 'length($0) > 80')" ]
	done
}

@test "a full or closed standard output is an error of the answer, not a crash" {
	[ -c /dev/full ] || skip 'SKIP: there is no /dev/full'
	status=0
	swinstall --help >/dev/full 2>err || status=$?
	[ "$status" -eq 1 ]
	swinstall --version >&- 2>/dev/null || true
	swinstall -f device.cfg "$good" <&- >&- 2>&-
	is_new
}

# T61: what a caller leaves open or sets does not reach the work
@test "many inherited descriptors and umask 0 do no harm" {
	(
		umask 0
		for i in $(seq 10 200); do eval "exec $i</dev/null"; done
		swinstall -f device.cfg "$good"
	)
	is_new
	[ -z "$(find state -type f -perm /022)" ]
}

# T60: poisoned surroundings
@test "poisoned variables change nothing" {
	LD_LIBRARY_PATH=/tmp OPENSSL_CONF=/nonexistent IFS=/ BASH_ENV=/tmp/x LUA_INIT=@/tmp/x PATH="$BIN:/usr/bin:/bin" \
		TMPDIR=/nonexistent http_proxy=x swinstall -f device.cfg "$good"
	is_new
}
