# Scripts in Lua: when they run, what they may say and change, that they are ended.
# Why: they are the default type of the list scripts, and may hold the whole library.
# shellcheck disable=SC2154,SC2016 # set by bats and device.bash; texts for scripts are not expanded here
load device

setup_file() { make_bundle; }
setup() {
	swinstall --handlers | grep -q '^lua' || skip 'SKIP: this build has no Lua'
	make_device
	mkdir src
	cp "$BATS_FILE_TMPDIR/src/rootfs.img" src/
}

script() { cat >"src/$1"; }
build() {
	cat >src/sw-description <<-D
	software = {
		version = "2.0";
		images: ({ filename = "rootfs.img"; slot = "rootfs"; });
		scripts: ( $1 );
	};
	D
	swbundle build src/sw-description -I src --key "$BATS_FILE_TMPDIR/keys/test.key.pem" \
		--cert "$BATS_FILE_TMPDIR/keys/test.cert.pem" -o one.swu >/dev/null
}
install() { run timeout $HANG swinstall -f device.cfg -l 5 "$@" one.swu; }
says() { [[ $output == *"$1"* ]] || { echo "'$1' is not in:"; echo "$output"; return 1; }; }
nothing_left() { [ ! -e state/scripts ]; }

@test "phases run in the order of the list, beside programs; type lua is the default" {
	script a.lua <<-S
	local function note(w) local f = io.open("$PWD/out", "a") f:write(w, "\n") f:close() return true end
	function preinst(d) return note("a pre " .. d) end
	function postinst(d) return note("a post " .. d) end
	function postfailure(d) return note("a failure " .. d) end
	S
	script b.sh <<-S
	#!/bin/sh
	echo "b \$1" >>$PWD/out
	S
	build '{ filename = "a.lua"; data = "x $(id)"; }, { filename = "b.sh"; type = "shellscript"; }'
	install
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	is_new
	[ "$(cat out)" = 'a pre x $(id)
b preinst
a post x $(id)
b postinst' ]
	nothing_left
}

@test "what a script says is told; its boot variables are in the one commit" {
	script a.lua <<-'S'
	require("swupdate")
	function preinst()
		swupdate.info("board %s", swupdate.get_hw().boardname)
		swupdate.set_bootenv("from_lua", "yes")
		print("printed", swupdate.get_bootenv("from_lua"))
		return true, "well begun"
	end
	S
	build '{ filename = "a.lua"; type = "lua"; }'
	install
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	says 'well begun'
	says 'board '
	says 'yes'
	is_new
	grep -rq 'from_lua=yes' . || { ls; false; }
	nothing_left
}

@test "false and a text: the install fails with it, postfailure runs, nothing is activated" {
	script a.lua <<-S
	function postinst() return false, "the pump does not answer" end
	function postfailure() io.open("$PWD/out", "w"):close() return true end
	S
	build '{ filename = "a.lua"; type = "lua"; }'
	install
	[ "$status" -eq 1 ]
	says E_LUA
	says 'the pump does not answer'
	[ -e out ]
	grep -q '^bootslot=a$' bootenv
	nothing_left
}

@test "an error of the script names its line" {
	printf 'x = 1\nfunction preinst()\n\treturn x.y.z\nend\n' | script a.lua
	build '{ filename = "a.lua"; type = "lua"; }'
	install
	[ "$status" -eq 1 ]
	says "a.lua:3: "
	is_old
}

@test "t64 a script that blocks is ended at its deadline with what it started" {
	own=$(printf '9%07d' $$) # other runs of this test may be on the machine
	printf 'function preinst() os.execute("setsid sleep %s & sleep %s") end\n' "$own" "$own" | script a.lua
	build '{ filename = "a.lua"; type = "lua"; properties: { timeout = "1"; }; }'
	install
	[ "$status" -eq 1 ]
	says E_DEADLINE
	[ -z "$(pgrep -f "sleep [9]${own#9}")" ]
	is_old
	nothing_left
}

@test "T60: the environment of what a script runs has our list only" {
	printf 'function preinst() os.execute("env") return true end\n' | script a.lua
	build '{ filename = "a.lua"; type = "lua"; }'
	LD_PRELOAD=/none.so IFS=x LUA_INIT='error()' BASH_ENV=/none http_proxy=x install
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	[[ $output != *http_proxy* && $output != *LUA_INIT* && $output != *BASH_ENV* ]]
	is_new
}

@test "a check runs no script" {
	printf 'error("ran")\n' | script a.lua
	build '{ filename = "a.lua"; type = "lua"; }'
	install --check
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	is_old
}
