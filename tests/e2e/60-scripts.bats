# Programs of the bundle: what they are given, when they run, what they cannot do to the install.
# Why: they run as root in the middle of an update, on devices that nobody stands beside.
# shellcheck disable=SC2154,SC2016 # set by bats and device.bash; texts for scripts are not expanded here
load device

setup_file() { make_bundle; }
setup() {
	make_device
	mkdir src
	cp "$BATS_FILE_TMPDIR/src/rootfs.img" src/
}

# script NAME: its text from standard input
script() { cat >"src/$1"; }

# build SCRIPTS [IMAGE-ATTRIBUTES]: one.swu with the image and these entries of the list scripts
build() {
	cat >src/sw-description <<-D
	software = {
		version = "2.0";
		images: ({ filename = "rootfs.img"; slot = "rootfs"; ${2-} });
		scripts: ( $1 );
	};
	D
	swbundle build src/sw-description -I src --key "$BATS_FILE_TMPDIR/keys/test.key.pem" \
		--cert "$BATS_FILE_TMPDIR/keys/test.cert.pem" -o one.swu >/dev/null
}

install() { run timeout $HANG swinstall -f device.cfg -l 5 "$@" one.swu; }
# the source must not be a file that can be read twice
piped() {
	local bundle=$1
	shift
	run bash -c 'cat "$0" | timeout $HANG swinstall -f device.cfg "$@" -i -' "$bundle" "$@"
}
says() { [[ $output == *"$1"* ]] || { echo "'$1' is not in:"; echo "$output"; return 1; }; }
failed_with() {
	[ "$status" -eq 1 ] || { echo "status $status"; echo "$output"; return 1; }
	[[ "$(last_line)" == "[ERROR] : $1"* ]] || { echo "$output"; return 1; }
}
nothing_left() { [ ! -e state/scripts ]; }

@test "t41 arguments are the phase and the words of data; nothing is expanded" {
	script args.sh <<-S
	#!/bin/sh
	for w; do printf '<%s>' "\$w"; done >>$PWD/out
	echo >>$PWD/out
	S
	build '{ filename = "args.sh"; type = "shellscript"; data = "a '"'b c'"' ; touch '"$PWD"'/PWN $(id) \"d  e\" *"; }'
	install
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	is_new
	[ "$(head -n 1 out)" = "<preinst><a><b c><;><touch><$PWD/PWN><\$(id)><d  e><*>" ]
	[ "$(sed -n 2p out)" = "<postinst><a><b c><;><touch><$PWD/PWN><\$(id)><d  e><*>" ]
	[ "$(wc -l <out)" -eq 2 ]
	[ ! -e PWN ]
	nothing_left
}

@test "t60 fifteen poisoned variables: the script sees our list only" {
	script env.sh <<-S
	#!/bin/sh
	env >$PWD/out
	S
	build '{ filename = "env.sh"; type = "preinstall"; }'
	run env LD_LIBRARY_PATH=/nowhere IFS=x BASH_ENV=/evil ENV=/evil LUA_INIT=x LUA_PATH=/evil/?.lua \
		OPENSSL_CONF=/evil OPENSSL_ENGINES=/evil http_proxy=evil https_proxy=evil PYTHONPATH=/evil \
		GCONV_PATH=/evil LD_BIND_NOW=1 TMPDIR=/evil CDPATH=/evil SWUPDATE_INFO_FD=77 SWINSTALL_X=kept \
		swinstall -f device.cfg one.swu
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	# what the shell sets by itself
	sed -i "s,^SWINSTALL_RUN=[0-9a-f]\{16\}$,SWINSTALL_RUN=word," out
	run grep -Ev '^(PWD|OLDPWD|_|SHLVL)=' out
	sorted=$(printf '%s\n' "${lines[@]}" | LC_ALL=C sort)
	[ "$sorted" = "HOME=/
PATH=/usr/sbin:/usr/bin:/sbin:/bin
SWINSTALL_RUN=word
SWINSTALL_X=kept
SWUPDATE_INFO_FD=3
SWUPDATE_WARN_FD=4" ] || { echo "$sorted"; false; }
}

@test "t118 output: descriptor 1 is traced, 2 an error, 3 and 4 are for people; control bytes are escaped" {
	script talk.sh <<-'S'
	#!/bin/sh
	echo to-out
	echo to-err >&2
	printf 'inf\033[31mo\n' >&$SWUPDATE_INFO_FD
	echo warning >&$SWUPDATE_WARN_FD
	S
	build '{ filename = "talk.sh"; type = "preinstall"; }'
	install
	[ "$status" -eq 0 ]
	says '[TRACE] : to-out'
	says '[ERROR] : to-err'
	says '[INFO ] : inf\x1b[31mo'
	says '[WARN ] : warning'
	[[ $output != *$'\033'* ]]
}

order_script() {
	script "$1" <<-S
	#!/bin/sh
	head -c 11 $PWD/slot-b.img | tr -d '\\0' >$PWD/seen
	echo "$1 \$1 \$(cat $PWD/seen) \$(grep bootslot $PWD/bootenv)" >>$PWD/out
	S
}

@test "order: each preinst, the images, each postinst, then the switch; the word of the phase only for shellscript" {
	order_script x.sh
	order_script y.sh
	order_script z.sh
	build '{ filename = "x.sh"; type = "shellscript"; }, { filename = "y.sh"; type = "postinstall"; data = "why"; },
		{ filename = "z.sh"; type = "preinstall"; }'
	for from in file pipe; do
		rm -f out
		if [ $from = file ]; then install; else piped one.swu; fi
		[ "$status" -eq 0 ] || { echo "$output"; false; }
		printf '%s\n' 'x.sh preinst  bootslot=a' 'z.sh   bootslot=a' \
			'x.sh postinst release 2.0 bootslot=a' 'y.sh why release 2.0 bootslot=a' | cmp - out ||
			{ cat out; false; }
		is_new
		rm -rf state ./*.img bootenv && make_device
	done
}

@test "order: an image that flows from a pipe waits for scripts that come behind it" {
	order_script x.sh
	build '{ filename = "x.sh"; type = "shellscript"; }' 'installed-directly = true;'
	(cd src && rm -f ./*.sig && mkdir ../raw && cd ../raw && cpio -i --quiet <../one.swu &&
		printf '%s\n' sw-description sw-description.sig rootfs.img x.sh | cpio -o -H crc --quiet >../late.swu)
	piped late.swu
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	printf '%s\n' 'x.sh preinst  bootslot=a' 'x.sh postinst release 2.0 bootslot=a' | cmp - out
	is_new
	rm -rf out state ./*.img bootenv && make_device
	piped one.swu
	[ "$status" -eq 0 ]
	printf '%s\n' 'x.sh preinst  bootslot=a' 'x.sh postinst release 2.0 bootslot=a' | cmp - out
}

failing() {
	script fail.sh <<-S
	#!/bin/sh
	echo "\$1" >>$PWD/out
	[ "\$1" != $1 ] || { echo "cannot do it" >&2; exit 3; }
	S
}

@test "a preinst that fails: nothing is written, postfailure has run" {
	failing preinst
	build '{ filename = "fail.sh"; type = "shellscript"; }'
	install
	failed_with E_PROCESS
	says 'fail.sh ended with status 3: cannot do it'
	is_old
	[ "$(tr '\n' ' ' <out)" = 'preinst postfailure ' ]
	grep -q '^recovery_status=failed$' bootenv
	nothing_left
}

@test "a postinst that fails: not switched, postfailure has run" {
	failing postinst
	build '{ filename = "fail.sh"; type = "shellscript"; }'
	install
	failed_with E_PROCESS
	grep -q '^bootslot=a$' bootenv
	[ "$(tr '\n' ' ' <out)" = 'preinst postinst postfailure ' ]
	nothing_left
}

@test "an image that breaks while it flows: postfailure runs too" {
	failing nothing
	build '{ filename = "fail.sh"; type = "shellscript"; }' 'installed-directly = true;'
	size=$(stat -c %s one.swu)
	head -c $((size - 600000)) one.swu >cut.swu
	piped cut.swu
	[ "$status" -eq 1 ]
	grep -q '^bootslot=a$' bootenv
	[ "$(tr '\n' ' ' <out)" = 'preinst postfailure ' ]
}

@test "a script whose bytes are not the signed ones never runs" {
	failing nothing
	build '{ filename = "fail.sh"; type = "shellscript"; }'
	at=$(grep -abo 'cannot do it' one.swu | head -n 1 | cut -d: -f1)
	printf X | dd of=one.swu bs=1 seek="$at" conv=notrunc status=none
	install
	[ "$status" -eq 1 ] || { echo "$output"; false; }
	[ ! -e out ]
	piped one.swu
	[ "$status" -eq 1 ] || { echo "$output"; false; }
	[ ! -e out ]
	is_old
}

@test "check and dry run run nothing" {
	failing nothing
	build '{ filename = "fail.sh"; type = "shellscript"; }'
	for mode in -c -n; do
		install $mode
		[ "$status" -eq 0 ] || { echo "$output"; false; }
		[ ! -e out ]
		piped one.swu $mode
		[ "$status" -eq 0 ] || { echo "$output"; false; }
		[ ! -e out ]
	done
	is_old
}

@test "install-if-different holds for scripts" {
	failing nothing
	echo 'tool 3' >versions
	sed -i "s|^globals : {|&\n\tversions-file = \"$PWD/versions\";|" device.cfg
	build '{ filename = "fail.sh"; type = "shellscript"; name = "tool"; version = "3"; install-if-different = true; }'
	install
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	[ ! -e out ]
}

@test "data with a quote that is not closed is refused before any write" {
	failing nothing
	build "{ filename = \"fail.sh\"; type = \"shellscript\"; data = \"it's\"; }"
	install
	failed_with E_DESC_VALUE
	is_old
	[ ! -e out ]
}

@test "t64 the timeout ends a script and what it started" {
	script hang.sh <<-S
	#!/bin/sh
	[ "\$1" = preinst ] || exit 0
	setsid sh -c 'echo \$\$ >$PWD/daemon; (sleep 987654 & wait)' &
	while [ ! -s $PWD/daemon ]; do sleep 0.01; done
	sleep 987654
	S
	build '{ filename = "hang.sh"; type = "shellscript"; properties: { timeout = "1"; }; }'
	start=$SECONDS
	install
	failed_with E_DEADLINE
	[ $((SECONDS - start)) -lt 100 ]
	is_old
	[ ! -e "/proc/$(cat daemon)" ]
}

@test "a daemon that holds the pipes does not hold the install, and lives on after a success" {
	script daemon.sh <<-S
	#!/bin/sh
	setsid sh -c 'echo \$\$ >$PWD/daemon; exec sleep 300' &
	while [ ! -s $PWD/daemon ]; do sleep 0.01; done
	S
	build '{ filename = "daemon.sh"; type = "postinstall"; }'
	start=$SECONDS
	install
	[ "$status" -eq 0 ]
	[ $((SECONDS - start)) -lt 100 ]
	is_new
	[ -e "/proc/$(cat daemon)" ]
	kill "$(cat daemon)"
}

@test "t58 no interpreter named: /bin/sh runs it" {
	echo "echo \$0 \$1 >>$PWD/out" | script bare
	build '{ filename = "bare"; type = "shellscript"; }'
	install
	[ "$status" -eq 0 ]
	[ "$(tr '\n' ' ' <out)" = "$PWD/state/scripts/bare preinst $PWD/state/scripts/bare postinst " ]
}

@test "T59: where the folder forbids execution a sealed copy in memory runs" {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	mount -t tmpfs -o noexec,mode=700 tmpfs state 2>/dev/null || skip "mounting is not possible here"
	echo "echo \$1 >>$PWD/out" | script bare
	printf '#!/bin/sh\necho with $1 >>%s/out\n' "$PWD" | script with
	build '{ filename = "bare"; type = "preinstall"; data = "x"; }, { filename = "with"; type = "preinstall"; data = "y"; }'
	install
	umount state
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	[ "$(tr '\n' ' ' <out)" = 'x with y ' ]
}

@test "what a killed job's script had mounted goes at the next start, through links and in run-dir too" {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	mv state real && ln -s real state && mkdir -m 700 run
	sed -i "s|^globals : {|& run-dir = \"$PWD/run\";|" device.cfg
	mkdir -p real/scripts/left run/scripts/left
	chmod 700 real real/scripts run run/scripts
	mount -t tmpfs tmpfs real/scripts/left 2>/dev/null || skip "mounting is not possible here"
	mount -t tmpfs tmpfs run/scripts/left
	swctl -f device.cfg recover
	run grep -F "$PWD" /proc/self/mountinfo
	[ "$status" -eq 1 ]
	[ ! -e real/scripts ]
	[ ! -e run/scripts ]
}

@test "five hundred descriptors of the caller do not reach a script" {
	printf '#!/bin/sh\nls /proc/$$/fd | tr "\\n" " " >%s/out\n' "$PWD" | script fds
	build '{ filename = "fds"; type = "preinstall"; }'
	run timeout $HANG bash -c 'for n in $(seq 20 520); do eval "exec $n</dev/null"; done; exec swinstall -f device.cfg one.swu'
	[ "$status" -eq 0 ]
	# 10 and above are the shell's own
	[[ "$(cat out)" =~ ^'0 1 '(10' ')?(11' ')?'2 3 4 '(5' ')?(255' ')?$ ]] || { cat out; false; }
}

@test "t120 floods of output are bounded" {
	printf '#!/bin/sh\nyes out | head -c 30000000\nyes info | head -c 5000000 >&3\nhead -c 5000000 /dev/zero >&2\n' | script flood
	build '{ filename = "flood"; type = "preinstall"; }'
	timeout $HANG swinstall -f device.cfg -l 5 one.swu >log 2>&1
	[ "$(stat -c %s log)" -lt 6000000 ]
	is_new
	grep -q 'more messages of this script are not shown' log
}

@test "preupdatecmd before the first write, postupdatecmd after a success" {
	sed -i "s|^globals : {|&\n\tpreupdatecmd = \"head -c 7 $PWD/slot-b.img \| tr -d '\\\\\\\\0' >$PWD/out; echo pre >>$PWD/out\"; postupdatecmd = \"echo post >>$PWD/out\";|" device.cfg
	run swinstall -f device.cfg "$good"
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	[ "$(tr '\n' ' ' <out)" = 'pre post ' ]
	rm -rf out state ./*.img bootenv && make_device
	sed -i 's|^globals : {|&\n\tpreupdatecmd = "echo busy >\&2; exit 4";|' device.cfg
	run swinstall -f device.cfg "$good"
	failed_with E_PROCESS
	says 'preupdatecmd ended with status 4'
	is_old
}

@test "what a killed job left is gone after recover and after the next install" {
	echo ': all is well' | script ok
	build '{ filename = "ok"; type = "shellscript"; }'
	mkdir -m 700 state/scripts state/scripts/deep && echo x >state/scripts/deep/x
	run swctl -f device.cfg recover
	[ "$status" -eq 0 ]
	nothing_left
	mkdir -m 700 state/scripts && echo x >state/scripts/ok
	install
	[ "$status" -eq 0 ]
	nothing_left
}

@test "swbundle build places scripts first; --handlers lists them" {
	echo : | script ok
	build '{ filename = "ok"; type = "shellscript"; }'
	[ "$(cpio -t --quiet <one.swu | tr '\n' ' ')" = 'sw-description sw-description.sig ok rootfs.img ' ]
	run swinstall --handlers
	says shellscript
	says preinstall
	says postinstall
	says timeout
}

@test "doc/scripts.md: its commands work as they are written" {
	awk '/^```sh$/ { on = 1; next } /^```/ { on = 0 } on' "$BATS_TEST_DIRNAME/../../doc/scripts.md" >commands
	[ -s commands ]
	run bash -e commands
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	says move-data.sh
	sed -i "s|$BATS_FILE_TMPDIR/keys/test|$PWD/demo/keys/demo|" device.cfg
	cp demo/demo.swu one.swu
	install
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	says '[INFO ] : about to install for living room'
	says '[TRACE] : moving the data of living room'
}
