#!/usr/bin/env bats
# Descriptions that a key has vouched for and that are wrong all the same: a build machine makes mistakes, and a stolen key makes worse.
load helper

refused() { # refused CODE: the description at hand, signed; nothing of the device changes
	local old
	old=$(device_sum)
	by_hand "${@:2}"
	fails 1 timeout $HANG swinstall -f device.cfg demo.swu
	says "$1"
	[ "$(device_sum)" = "$old" ] || { echo 'the device has changed'; return 1; }
	tidy
}

image_with() { printf 'software = { version = "2"; images: ({ filename = "rootfs.img"; slot = "rootfs"; sha256 = "%s"; %s }); };\n' "$(sha rootfs.img)" "$1" >sw-description; }

# T33: three spellings; the file named must not even be opened
@test "T33: @include reads no file" {
	need strace
	keys; slots; payload rootfs.img 1000
	echo 'version = "9";' >included.txt; mkdir folder; cp included.txt folder
	for form in "@include \"$T/included.txt\"" "@include \"$T/folder\"" "@INCLUDE \"$T/included.txt\"" "	 @include	\"$T/included.txt\""; do
		image_with ''
		{ printf '%s\n' "$form"; cat sw-description; } >d; mv d sw-description
		by_hand rootfs.img
		strace -f -qq -e trace=open,openat,openat2,stat,newfstatat -o trace swinstall -f device.cfg demo.swu >log 2>&1 && { cat log; return 1; }
		fails 1 grep -E 'included|folder' trace
		grep -qE 'E_DESC_(INCLUDE|SYNTAX)' log
	done
	boots a
}

# generated giants in little stack and memory
@test "T34: depth, counts and lengths end at their limits with 256 KiB of stack" {
	keys; slots; payload rootfs.img 1000
	python3 - <<-'P'
		import os
		def put(name, text):
		    os.makedirs(name, exist_ok=True)
		    open(name + "/sw-description", "w").write(text)
		put("deep", "software = { version = \"1\"; x = " + "{ a = " * 100000 + "1;" + " };" * 100000 + " };")
		put("deeplist", "software = { version = \"1\"; x = " + "( " * 60000 + ")" * 60000 + "; };")
		put("deepjson", '{"software": ' + '{"a": ' * 100000 + "1" + "}" * 100000 + "}")
		put("many", "software = { version = \"1\"; x = [ " + "1, " * 200000 + "1 ]; };")
		put("long", "software = { version = \"" + "x" * 200000 + "\"; };")
		put("big", "software = { version = \"1\"; # " + "x" * 3000000 + "\n };")
		put("keys", "software = { version = \"1\"; " + "".join("k%d = 1;" % i for i in range(90000)) + " };")
		put("links", "software = { version = \"1\"; " + "".join("l%d = { ref = \"#./l%d\"; };" % (i, (i + 1) % 40) for i in range(40)) + " stable: { one: { ref = \"#../../l0\"; }; }; };")
	P
	for d in deep deeplist deepjson many long big keys; do
		cp $d/sw-description .
		by_hand
		for run in "swinstall -f device.cfg demo.swu" "cat demo.swu | swinstall -f device.cfg -i -"; do
			fails 1 bash -c "ulimit -s 256; ulimit -v 600000; timeout $HANG sh -c '$run'"
			[[ $output == *E_DESC_LIMIT* || $output == *E_CPIO* ]] || { echo "$d: $output"; return 1; }
		done
	done
	cp links/sw-description .
	by_hand
	fails 1 bash -c "ulimit -s 256; timeout $HANG swinstall -f device.cfg -e stable,one demo.swu"
	[[ $output == *E_DESC_LINK* || $output == *E_DESC_LIMIT* ]] || { echo "$output"; return 1; }
}

@test "T35: values of the wrong type are told with their line" {
	keys; slots; payload rootfs.img 1000
	while read -r line; do
		image_with "$line"
		refused E_DESC rootfs.img || { echo "$line"; return 1; }
	done <<-'L'
		compressed = 5;
		offset = { };
		installed-directly = 7;
		properties = "x";
		version = [ 1 ];
		compressed = "rar";
		encrypted = "perhaps";
		type = 1.5;
	L
	printf 'software = { version = "2"; images = "x"; };\n' >sw-description; refused E_DESC
	printf 'software = { version = "2"; images = { filename = "x"; }; };\n' >sw-description; refused E_DESC
	printf 'software = { version = 2; images: ( 5 ); };\n' >sw-description; refused E_DESC
}

@test "T36, T37, T38: bytes that are not allowed, keys twice, a text that is two syntaxes" {
	keys; slots; payload rootfs.img 1000
	h=$(sha rootfs.img)
	for bad in '\x00' '\x01' '\x1b' '\xc0\xaf' '\xed\xa0\x80' '\xff'; do
		printf "software = { version = \"2$bad\"; images: ({ filename = \"rootfs.img\"; slot = \"rootfs\"; sha256 = \"$h\"; }); };\n" >sw-description
		refused E_DESC rootfs.img || { echo "$bad"; return 1; }
	done
	printf '{"software": {"version": "2\\u0000", "images": [{"filename": "rootfs.img", "slot": "rootfs", "sha256": "%s"}]}}' "$h" >sw-description
	refused E_DESC rootfs.img
	printf 'software = { version = "2"; version = "3"; images: ({ filename = "rootfs.img"; slot = "rootfs"; sha256 = "%s"; }); };\n' "$h" >sw-description
	refused E_DESC_DUP rootfs.img
	printf '{"software": {"version": "2", "version": "3", "images": [{"filename": "rootfs.img", "slot": "rootfs", "sha256": "%s"}]}}' "$h" >sw-description
	refused E_DESC_DUP rootfs.img
	printf '{"software": {"version": "2"}} software = { version = "3"; images: ({ filename = "rootfs.img"; slot = "rootfs"; sha256 = "%s"; }); };\n' "$h" >sw-description
	refused E_DESC rootfs.img
}

@test "T39: numbers that do not fit" {
	keys; slots; payload rootfs.img 1000
	while read -r line; do
		image_with "$line"
		by_hand rootfs.img
		old=$(device_sum)
		fails 1 swinstall -f device.cfg demo.swu
		[[ $output == *E_DESC_NUMBER* || $output == *E_RANGE* || $output == *E_DESC_TYPE* || $output == *E_TARGET_SMALL* || $output == *E_DESC_SYNTAX* ]] || { echo "$line: $output"; return 1; }
		[ "$(device_sum)" = "$old" ]
	done <<-'L'
		offset = "-1";
		offset = "18446744073709551616";
		offset = "18446744073709551615";
		offset = "9223372036854775807";
		offset = "17179869184G";
		offset = "1e3";
		offset = "4GG";
		offset = " ";
		offset = "0x";
		offset = "1M ";
		offset = 1e30;
		offset = 99999999999999999999;
		size = -5;
		offset = "1G";
		offset = "524288";
		offset = "523500";
	L
}

@test "T40: places that are no target" {
	keys; slots; payload rootfs.img 1000
	[ "$(id -u)" -eq 0 ] || skip 'SKIP: owners of links need root'
	h=$(sha rootfs.img)
	mkfifo fifo; mkdir open; chmod 777 open; payload victim 2000; cp victim kept
	ln -s "$T/victim" open/theirs; chown -h 65534 open/theirs
	ln -s "$T/victim" ours
	for place in ../victim victim "$T/../$(basename "$T")/victim" "$T/fifo" "$T" /dev/mem /dev/null/x /dev/tty "$T/open/theirs" "$T/missing"; do
		printf 'software = { version = "2"; images: ({ filename = "rootfs.img"; device = "%s"; sha256 = "%s"; }); };\n' "$place" "$h" >sw-description
		refused E_TARGET rootfs.img || { echo "$place"; return 1; }
	done
	cmp victim kept
	printf 'software = { version = "2"; images: ({ filename = "rootfs.img"; device = "%s"; sha256 = "%s"; }); };\n' "$T/ours" "$h" >sw-description
	by_hand rootfs.img
	swinstall -f device.cfg demo.swu
	cmp -n 1000 rootfs.img victim
}

@test "T40: the installer's own places and keys are never a target" {
	keys; payload rootfs.img 100
	slots
	for place in "$T/state/journal" "$T/demo.cert.pem" "$T/device.cfg"; do
		[ -e "$place" ] || touch "$place"
		s=$(sha "$place")
		printf 'software = { version = "2"; files: ({ filename = "rootfs.img"; path = "%s"; type = "rawfile"; sha256 = "%s"; }); };\n' "$place" "$(sha rootfs.img)" >sw-description
		refused E_TARGET_PROTECTED rootfs.img || { echo "$place"; return 1; }
		[ "$(sha "$place")" = "$s" ]
		rm -f state/journal
	done
}

# T41, T43: no attribute of a bundle is text for an interpreter
@test "T41, T43: nothing of a description runs: no shell, no Lua, no program" {
	need strace
	keys; slots; payload rootfs.img 1000
	for line in 'data = "$(touch PWN); touch PWN";' 'preinstall = "touch PWN";' 'filesystem = "$(touch PWN)";' 'name = "`touch PWN`"; version = "$(touch PWN)";' 'properties = { x = "; touch PWN"; };'; do
		image_with "$line"
		by_hand rootfs.img
		strace -f -qq -e trace=execve -o trace swinstall -f device.cfg demo.swu >log 2>&1 || true
		# a function that nobody defined is looked for in our own process, which has no rights
		[ "$(grep execve trace | grep -vc '/swinstall-lua", .* "confined"')" -eq 1 ] || { cat trace; return 1; }
		[ ! -e PWN ]
	done
	printf 'software = { version = "2"; embedded-script = "os.execute(\\"touch PWN\\")"; images: ({ filename = "rootfs.img"; slot = "rootfs"; sha256 = "%s"; hook = "f"; }); };\n' "$(sha rootfs.img)" >sw-description
	by_hand rootfs.img
	strace -f -qq -e trace=execve -o trace swinstall -f device.cfg demo.swu >log 2>&1 || true
	[ "$(grep execve trace | grep -vc '/swinstall-lua", .* "confined"')" -eq 1 ]
	[ ! -e PWN ]
}

# an entry that this build cannot run must stop the install, not be left out
@test "T43: an embedded script or hook that this build cannot run is a refusal" {
	swinstall --handlers | grep -q '^lua' && skip 'SKIP: this build has Lua'
	keys; slots; payload rootfs.img 1000
	printf 'software = { version = "2"; embedded-script = "x = 1"; images: ({ filename = "rootfs.img"; slot = "rootfs"; sha256 = "%s"; }); };\n' "$(sha rootfs.img)" >sw-description
	refused E_NOT_BUILT rootfs.img
	image_with 'hook = "f";'
	refused E_NOT_BUILT rootfs.img
	printf 'software = { version = "2"; images: ({ filename = "rootfs.img"; slot = "rootfs"; sha256 = "%s"; }); scripts: ({ filename = "a.lua"; type = "lua"; sha256 = "%s"; }); };\n' "$(sha rootfs.img)" "$(sha rootfs.img)" >sw-description
	cp rootfs.img a.lua
	refused E_HANDLER rootfs.img a.lua
}

@test "T42: versions that no one should write do not confuse the limits" {
	keys; slots; payload rootfs.img 1000
	for v in '' "$(printf '%0300d' 1)" '1.0-99999999999999999999999999999999999999999' '日本' '1.2.3.4.5.6.7.8'; do
		printf 'software = { version = "%s"; images: ({ filename = "rootfs.img"; slot = "rootfs"; sha256 = "%s"; }); };\n' "$v" "$(sha rootfs.img)" >sw-description
		by_hand rootfs.img
		run timeout $HANG swinstall -f device.cfg -c -N 1.0 demo.swu
		[ "$status" -le 1 ]
	done
	printf 'software = { version = "0.99999999999999999999999999999999999999999"; images: ({ filename = "rootfs.img"; slot = "rootfs"; sha256 = "%s"; }); };\n' "$(sha rootfs.img)" >sw-description
	by_hand rootfs.img
	fails 1 swinstall -f device.cfg -N 1.0 demo.swu
	says E_VERSION
}

@test "T44: a pattern that would search for ever ends at once" {
	keys; slots; payload rootfs.img 1000
	printf 'software = { version = "2"; hardware-compatibility: [ "#RE:^(a+)+(a+)+(a+)+(a+)+(a+)+$" ]; images: ({ filename = "rootfs.img"; slot = "rootfs"; sha256 = "%s"; }); };\n' "$(sha rootfs.img)" >sw-description
	by_hand rootfs.img
	fails 1 bash -c 'ulimit -t 5; exec swinstall -f device.cfg -H "$1" demo.swu' bash "b:$(head -c 100 /dev/zero | tr '\0' a)!"
	says E_
	boots a
}

@test "T47: bombs: output beyond the target, windows beyond mem-max, in little memory" {
	need zstd xz gzip
	keys; slots
	head -c 200000000 /dev/zero | zstd -q -c >packed
	printf 'software = { version = "2"; images: ({ filename = "packed"; slot = "rootfs"; compressed = "zstd"; sha256 = "%s"; }); };\n' "$(sha packed)" >sw-description
	by_hand packed
	fails 1 bash -c 'ulimit -v 400000; timeout $HANG swinstall -f device.cfg demo.swu'
	[[ $output == *E_TARGET_SMALL* || $output == *E_LIMIT_OUTPUT* ]]
	boots a
	head -c 30000000 /dev/urandom | zstd -q --long=27 -1 -c >packed
	printf 'software = { version = "2"; images: ({ filename = "packed"; slot = "rootfs"; compressed = "zstd"; sha256 = "%s"; }); };\n' "$(sha packed)" >sw-description
	by_hand packed
	fails 1 timeout $HANG swinstall -f device.cfg demo.swu
	[[ $output == *E_LIMIT_MEM* || $output == *E_TARGET_SMALL* ]]
	head -c 1000 /dev/zero | xz -c --lzma2=dict=1536MiB >packed 2>/dev/null || skip 'SKIP: xz cannot make a dictionary of 1536 MiB here'
	printf 'software = { version = "2"; images: ({ filename = "packed"; slot = "rootfs"; compressed = "xz"; sha256 = "%s"; }); };\n' "$(sha packed)" >sw-description
	by_hand packed
	fails 1 bash -c 'ulimit -v 600000; timeout $HANG swinstall -f device.cfg demo.swu'
	says E_LIMIT_MEM
	boots a
}

@test "T49: one changed byte of an encrypted payload is a wrong hash, never a wrong padding" {
	keys; slots; payload plain 20000
	key=$(printf '%064d' 7) iv=$(printf '%032d' 9)
	echo "$key $iv" >aes; chmod 600 aes
	openssl enc -aes-256-cbc -in plain -out secret -K "$key" -iv "$iv"
	n=$(stat -c %s secret)
	printf 'software = { version = "2"; images: ({ filename = "secret"; slot = "rootfs"; encrypted = true; sha256 = "%s"; }); };\n' "$(sha secret)" >sw-description
	by_hand secret
	at=$(($(grep -abo secret demo.swu | tail -n 1 | cut -d: -f1)))
	begin=$(((at + 7 + 3) / 4 * 4))
	old=$(device_sum)
	for i in 0 1 16 1000 $((n - 17)) $((n - 16)) $((n - 1)); do
		cp demo.swu bad.swu
		b=$(od -An -tu1 -j$((begin + i)) -N1 demo.swu)
		# shellcheck disable=SC2059
		printf "\\x$(printf %02x $((b ^ 1)))" | dd of=bad.swu bs=1 seek=$((begin + i)) conv=notrunc status=none
		fails 1 swinstall -f device.cfg -K aes bad.swu
		says E_PAYLOAD_HASH
	done
	[ "$(device_sum)" = "$old" ]
	swinstall -f device.cfg -K aes demo.swu
	slot_holds b plain
}
