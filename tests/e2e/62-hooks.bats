# Lua code of the description and of the device: embedded-script, hook, preinstall and postinstall of an entry,
# postfailure, global-state, register_handler, call_handler. Why: bundles and devices have such code today; each is
# shown from bundle to slot, and beside the peer where its build runs it (Debian's has Lua).
# shellcheck disable=SC2154,SC2016 # set by bats and device.bash; texts for scripts are not expanded here
load device

setup_file() { make_bundle; }
setup() {
	swinstall --handlers | grep -q '^lua' || skip 'SKIP: this build has no Lua'
	make_device
	mkdir src
	cp "$BATS_FILE_TMPDIR/src/rootfs.img" src/
}

# bundle LUA ATTRIBUTES [MORE]: the image with these attributes, the embedded script, more lists
bundle() {
	{
		echo 'software = {'
		echo '	version = "2.0";'
		printf '	embedded-script = "%s";\n' "$1"
		printf '	images: ({ filename = "rootfs.img"; slot = "rootfs"; %s });\n' "$2"
		echo "	${3-}"
		echo '};'
	} >src/sw-description
	swbundle build src/sw-description -I src --key "$BATS_FILE_TMPDIR/keys/test.key.pem" \
		--cert "$BATS_FILE_TMPDIR/keys/test.cert.pem" -o one.swu >/dev/null
}
full() { sed -i 's|^globals : {|&\n\tlua-trust = "full";|' device.cfg; }
install() { run timeout $HANG swinstall -f device.cfg -l 5 "$@" one.swu; }
good() { [ "$status" -eq 0 ] || { echo "$output"; return 1; }; }
says() { [[ $output == *"$1"* ]] || { echo "'$1' is not in:"; echo "$output"; return 1; }; }
nothing_left() { [ ! -e state/scripts ] && ! grep -q " $PWD/" /proc/self/mounts; }

@test "embedded-script and hook: an entry is changed, one is left out" {
	bundle 'seen = 0 function f(i) seen = seen + 1 i.data = \"changed\" return true, i end
		function away(i) return true, nil end' 'hook = "f";' \
		'files: ({ filename = "rootfs.img"; path = "/nowhere/x"; hook = "away"; });'
	install
	good
	is_new
}

@test "a hook sees set and mode, board and boot environment" {
	bundle 'function f(i) local hw = swupdate.get_hw() assert(hw.boardname == \"lamp\" and hw.revision == \"3\")
		assert(swupdate.get_bootenv(\"bootslot\") == \"a\")
		swupdate.set_bootenv(\"from_hook\", \"yes\") return true, i end' 'hook = "f";' \
		'hardware-compatibility: [ "3" ];'
	install -H lamp:3
	good
	is_new
	grep -q '^from_hook=yes$' bootenv
}

@test "preinstall and postinstall of an entry frame it; what is not true stops the install" {
	bundle 'function before(i) swupdate.info(\"before \" .. i.filename) return true end
		function after(i) swupdate.info(\"after \" .. i.filename) return true end' \
		'preinstall = "before"; postinstall = "after";'
	install
	good
	[[ $output == *'before rootfs.img'*'after rootfs.img'* ]] || { echo "$output"; false; }
	is_new
	rm -rf state ./*.img bootenv && make_device
	bundle 'function before(i) return false, \"the valve is open\" end' 'preinstall = "before";'
	install
	[ "$status" -eq 1 ]
	says 'the valve is open'
	is_old
}

@test "global-state: a lua script works on what the embedded script left" {
	printf 'function postinst() swupdate.info("counted " .. count) return count == 1 end\n' >src/s.lua
	bundle 'count = 0 function f(i) count = count + 1 return true, i end' 'hook = "f";' \
		'scripts: ({ filename = "s.lua"; type = "lua"; properties: { global-state = "true"; }; });'
	install
	good
	says 'counted 1'
	is_new
}

@test "register_handler and call_handler: a handler in Lua looks and hands on" {
	bundle 'swupdate.register_handler(\"mine\", function(i)
			swupdate.info(\"for \" .. i.slot_device .. i.properties.why)
			return swupdate.call_handler(\"raw\", i) end, swupdate.HANDLER_MASK.IMAGE_HANDLER)' \
		'type = "mine"; properties: { why = " because"; };'
	for from in file pipe; do
		if [ $from = file ]; then install; else run bash -c "cat one.swu | timeout $HANG swinstall -f device.cfg -l 5 -i -"; fi
		good
		says "for $PWD/slot-b.img because"
		is_new
		nothing_left
		rm -rf state ./*.img bootenv && make_device
	done
	for mode in --check --dry-run; do
		install $mode
		good
		is_old
	done
}

@test "call_handler of a lua script: a file that it made goes into the slot that an image names, or not" {
	cat >src/s.lua <<-'S'
	function postinst(data)
		local path = swupdate.tmpdirscripts() .. "made"
		local f = assert(io.open(path, "w"))
		f:write(string.rep("made by a script\n", 64))
		f:close()
		local rc, text = swupdate.call_handler("rawfile", { filename = path, path = data })
		if rc == 0 then return true end
		return false, text
	end
	S
	bundle 'x = 1' '' "scripts: ({ filename = \"s.lua\"; type = \"lua\"; data = \"$PWD/made\"; });"
	install
	good
	is_new
	[ "$(head -n 1 made)" = 'made by a script' ]
	rm -rf state ./*.img bootenv made && make_device
	bundle 'x = 1' '' "scripts: ({ filename = \"s.lua\"; type = \"lua\"; data = \"$PWD/state/journal\"; });"
	install
	[ "$status" -eq 1 ]
	says E_TARGET_PROTECTED
	grep -q '^bootslot=a$' bootenv
	[ ! -e made ]
}

@test "postfailure of a lua script runs when a handler in Lua fails, and installs nothing any more" {
	cat >src/s.lua <<-S
	function postfailure()
		local rc, text = swupdate.call_handler("rawfile", { filename = swupdate.tmpdirscripts() .. "x", path = "$PWD/made" })
		local f = io.open("$PWD/out", "w")
		f:write(rc, " ", text)
		f:close()
		return true
	end
	S
	bundle 'swupdate.register_handler(\"mine\", function(i) return 1, \"no power\" end)' 'type = "mine";' \
		'scripts: ({ filename = "s.lua"; type = "lua"; });'
	install
	[ "$status" -eq 1 ]
	says 'no power'
	is_old
	grep -q 'has failed' out || { cat out; false; }
	[ ! -e made ]
}

@test "T43: a confined script has no files, no programs; full is root's choice" {
	bundle "assert(io == nil and os == nil and package == nil and not pcall(require, 'io'))" ''
	install
	good
	is_new
	rm -rf state ./*.img bootenv && make_device
	bundle "local f = io.open('$PWD/out', 'w') f:write('x') f:close()" ''
	install
	[ "$status" -eq 1 ]
	says E_LUA
	[ ! -e out ]
	full
	install
	good
	[ -e out ]
}

@test "what a hook of a full state mounted and left is gone, also after a failure" {
	[ "$(id -u)" -eq 0 ] || skip 'SKIP: needs root'
	full
	bundle 'function f(i) point = assert(swupdate.mount(\"none\", \"tmpfs\")) return true, i end
		function g(i) return ok end' 'hook = "f"; postinstall = "g";'
	install
	[ "$status" -eq 1 ]
	nothing_left
	rm -rf state ./*.img bootenv && make_device
	full
	bundle 'function f(i) assert(swupdate.mount(\"none\", \"tmpfs\")) return true, i end' 'hook = "f";'
	install
	if [[ $output == *'tmpfs'*'not permitted'* ]]; then skip 'SKIP: mounting is not possible here'; fi
	good
	is_new
	nothing_left
}

@test "what a killed job left mounted is unmounted by the next start" {
	[ "$(id -u)" -eq 0 ] || skip 'SKIP: needs root'
	mkdir -m 700 state/scripts state/scripts/mount-0
	mount -t tmpfs none state/scripts/mount-0 2>/dev/null || skip 'SKIP: mounting is not possible here'
	run swctl -f device.cfg recover
	good
	nothing_left
}

@test "handlers of the device: swupdate_handlers.lua of the Lua path, lua-handlers; only root may change it" {
	mkdir path
	echo 'swupdate.register_handler("board", function(i) return swupdate.call_handler("raw", i) end)' >path/swupdate_handlers.lua
	chmod 644 path/swupdate_handlers.lua
	bundle 'x = 1' 'type = "board";'
	install
	[ "$status" -eq 1 ]
	says E_HANDLER
	LUA_PATH="$PWD/path/?.lua" install
	good
	is_new
	rm -rf state ./*.img bootenv && make_device
	sed -i "s|^globals : {|&\n\tlua-handlers = \"$PWD/path/swupdate_handlers.lua\";|" device.cfg
	chmod 666 path/swupdate_handlers.lua
	install
	[ "$status" -eq 1 ]
	says 'others than root may change'
	is_old
	chmod 644 path/swupdate_handlers.lua
	install
	good
	is_new
}

# module STATE: the names that the module has there, one a line
module() {
	local lua='for k in pairs(require("swupdate")) do print("name " .. k) end'
	if [ "$1" = script ]; then
		echo "$lua" >src/s.lua
		bundle 'x = 1' '' 'scripts: ({ filename = "s.lua"; type = "lua"; });'
	else
		bundle "${lua//\"/\\\"}" ''
	fi
	install >&2
	printf '%s\n' "${lines[@]}" | sed -n 's/.*name \([A-Za-z_]*\)$/\1/p' | sort -u
}

@test "doc/migrating-from-swupdate.md, doc/scripts.md: the rows of the module are what a script and an embedded script have" {
	docs=$BATS_TEST_DIRNAME/../../doc
	awk -F'|' '/^\| in Lua / { on = 1 } on && !/^\|/ { exit } on { print $2 }' "$docs/migrating-from-swupdate.md" |
		grep -o '`[^`]*`' | tr -d '`' | sort >rows
	module script >have
	grep -vx 'register_handler\|HANDLER_MASK' rows | diff - have
	rm -rf state ./*.img bootenv && make_device
	module embedded >confined
	grep -vx 'mount\|umount\|stat\|emmcbootpart' rows | diff - confined
	while read -r name; do
		grep -q "\`${name}[(\`]\|swupdate\.${name}(\|\`${name}\`" "$docs/scripts.md" || { echo "scripts.md: $name"; false; }
	done <rows
}

@test "doc/scripts.md: its handler in Lua installs as it is written" {
	awk '/^```sh$/ { on = 1; next } /^```/ { on = 0 } on' "$BATS_TEST_DIRNAME/../../doc/scripts.md" >commands
	run bash -e commands
	good
	sed -i "s|$BATS_FILE_TMPDIR/keys/test|$PWD/demo/keys/demo|" device.cfg
	cp demo/logged.swu one.swu
	install
	good
	says "writing rootfs.img to $PWD/slot-b.img"
	cmp -n 65536 demo/rootfs.img slot-b.img
}

# the peer: no slots and, in an embedded script, no register_handler; what its build runs is the same here
@test "the same description beside the peer: embedded-script, hook, preinstall and postinstall, lua script" {
	command -v swupdate >/dev/null || skip 'SKIP: there is no swupdate'
	ldd "$(command -v swupdate)" | grep -q liblua || skip 'SKIP: this swupdate has no Lua'
	printf '%s\n' 'function preinst() return true, "begun" end' 'function postinst() return true end' >src/s.lua
	cat >src/sw-description <<-D
	software = {
		version = "2.0";
		hardware-compatibility: [ "1.0" ];
		embedded-script = "require('swupdate')
			order = ''
			function f(i) assert(i.path == '/nowhere/x') i.path = '$PWD/target' return true, i end
			function before(i) order = order .. 'before ' return true, i end
			function after(i) assert(order == 'before ') return true, i end";
		files: ({ filename = "rootfs.img"; type = "rawfile"; path = "/nowhere/x"; hook = "f";
			preinstall = "before"; postinstall = "after"; });
		scripts: ({ filename = "s.lua"; type = "lua"; });
	};
	D
	swbundle build src/sw-description -I src --key "$BATS_FILE_TMPDIR/keys/test.key.pem" \
		--cert "$BATS_FILE_TMPDIR/keys/test.cert.pem" -o one.swu >/dev/null
	install -H board:1.0
	good
	cmp target src/rootfs.img
	rm target
	run "$BATS_TEST_DIRNAME/../peers/swupdate-run" -H board:1.0 -k "$BATS_FILE_TMPDIR/keys/test.cert.pem" -i one.swu
	good
	cmp target src/rootfs.img
}
