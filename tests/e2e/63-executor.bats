#!/usr/bin/env bats
# A payload that goes to a program of the device. What the program does cannot be taken back: it sees proven bytes only,
# and only when nothing else can be refused any more.
# shellcheck disable=SC2154,SC2016 # set by bats and device.bash; texts for scripts are not expanded here
load device

setup_file() { make_bundle; }
setup() {
	make_device
	mkdir src
	cp "$BATS_FILE_TMPDIR/src/rootfs.img" src/
	{ head -c 3000000 /dev/urandom; echo end; } >src/data
	cat >take <<-'S'
		#!/bin/sh
		# words, then the payload; what has happened before
		dir=${0%/*}
		printf '%s|' "$@" >"$dir/words"
		grep -c . "$dir/marks" >"$dir/before" 2>/dev/null
		cat >"$dir/got"
		echo "took it" >&3
	S
	chmod 755 take
}

# build ENTRY [LISTS]: one.swu with the image and this entry behind it
build() {
	cat >src/sw-description <<-D
	software = {
		version = "2.0";
		images: ( $1, { filename = "rootfs.img"; slot = "rootfs"; } );
		${2-}
	};
	D
	swbundle build src/sw-description -I src --key "$BATS_FILE_TMPDIR/keys/test.key.pem" \
		--cert "$BATS_FILE_TMPDIR/keys/test.cert.pem" -o one.swu >/dev/null
}
properties() { echo "properties = { cmd = \"$T/take a 'b c'\"; parms = \"\$(id) d\"; ${1-} };"; }
entry() { echo "{ filename = \"data\"; type = \"executor\"; ${2-} $(properties "${1-}") }"; }

@test "the program gets the payload and its words, after images and scripts; no shell reads them" {
	T=$PWD
	printf '#!/bin/sh\necho $1 >>%s/marks\n' "$PWD" >src/mark.sh
	build "$(entry)" 'scripts: ( { filename = "mark.sh"; type = "shellscript"; } );'
	for way in file pipe; do
		rm -f got words before marks
		if [ $way = file ]; then run swinstall -f device.cfg one.swu; else run sh -c 'cat one.swu | swinstall -f device.cfg -i -'; fi
		[ "$status" -eq 0 ] || { echo "$output"; false; }
		cmp src/data got
		[ "$(cat words)" = 'a|b c|$(id)|d|' ]
		[ "$(cat before)" = 2 ] # preinst and postinst
		[[ "$output" == *'took it'* ]]
		grep -q bootslot=b bootenv || grep -q bootslot=a bootenv
	done
}

@test "a compressed and encrypted payload arrives as what it was" {
	T=$PWD
	openssl rand -hex 16 >key
	echo "$(openssl rand -hex 32) $(openssl rand -hex 16)" >key
	chmod 600 key
	sed -i "s|globals : {|& aes-key-file = \"$PWD/key\";|" device.cfg
	cat >src/sw-description <<-D
	software = { version = "2.0"; images: ( $(entry '' 'compressed = "zstd"; encrypted = true;') ); };
	D
	swbundle build src/sw-description -I src --key "$BATS_FILE_TMPDIR/keys/test.key.pem" \
		--cert "$BATS_FILE_TMPDIR/keys/test.cert.pem" -K key -o one.swu >/dev/null
	run swinstall -f device.cfg one.swu
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	cmp src/data got
}

@test "t1 the program does not run for bytes that are not the signed ones" {
	T=$PWD
	build "$(entry)"
	at=$(grep -abo 'data' one.swu | tail -n 1 | cut -d: -f1)
	printf '\377\000\377' | dd of=one.swu bs=1 seek=$((at + 2000)) conv=notrunc status=none
	for way in file pipe; do
		if [ $way = file ]; then run swinstall -f device.cfg one.swu; else run sh -c 'cat one.swu | swinstall -f device.cfg -i -'; fi
		[ "$status" -eq 1 ]
		[[ "$output" == *E_PAYLOAD_HASH* ]]
		[ ! -e words ]
	done
}

@test "it does not run where anything else failed: a script, the image; nor for --check and --dry-run" {
	T=$PWD
	printf '#!/bin/sh\n[ $1 != postinst ]\n' >src/no.sh
	build "$(entry)" 'scripts: ( { filename = "no.sh"; type = "shellscript"; } );'
	run swinstall -f device.cfg one.swu
	[ "$status" -eq 1 ]
	[[ "$output" == *E_PROCESS* ]]
	[ ! -e words ]
	build "$(entry)"
	swinstall -f device.cfg --check one.swu
	swinstall -f device.cfg --dry-run one.swu
	[ ! -e words ]
}

@test "a program that fails, stops reading or hangs fails the update and nothing is switched" {
	T=$PWD
	for how in 'cat >/dev/null; echo broken >&2; exit 3' 'exit 0' 'sleep 1000'; do
		printf '#!/bin/sh\n%s\n' "$how" >take
		build "$(entry 'timeout = "2";')"
		run swinstall -f device.cfg one.swu
		[ "$status" -eq 1 ]
		case $how in sleep*) want=E_DEADLINE ;; *) want=E_PROCESS ;; esac
		[[ "$output" == *$want* ]] || { echo "$output"; false; }
		case $how in *broken*) [[ "$output" == *'status 3: broken'* ]] ;; esac
		grep -q bootslot=a bootenv
	done
}

@test "a program that is missing, or no absolute path, is refused before anything is written" {
	before=$(cat slot-?.img bootenv | sha256sum)
	T=$PWD/nowhere
	build "$(entry)"
	run swinstall -f device.cfg one.swu
	[ "$status" -eq 1 ]
	[[ "$output" == *E_PROPERTY* && "$output" == *nowhere/take* ]]
	build '{ filename = "data"; type = "executor"; properties = { cmd = "take"; }; }'
	run swinstall -f device.cfg one.swu
	[[ "$output" == *E_PROPERTY* && "$output" == *'absolute'* ]]
	[ "$(cat slot-?.img bootenv | sha256sum)" = "$before" ]
}

@test "lint names an executor without cmd, and says that it cannot be undone" {
	printf 'software = { version = "1"; hardware-compatibility: [ "1" ];\nimages: ({ filename = "data"; type = "executor"; }); };\n' >src/sw-description
	run swbundle lint src/sw-description
	[ "$status" -ne 0 ]
	[[ "$output" == *'no property cmd'* ]]
	[[ "$output" == *'cannot be undone'* ]]
}
