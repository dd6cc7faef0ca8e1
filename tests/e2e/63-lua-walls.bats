# Lua lives in processes of its own: what it waits for or loops in is ended with the lock free, nothing of the job
# goes along, and scripts as public descriptions have them work behind the wall.
# Why: three one-liners once kept the install lock for ever, deaf to SIGTERM.
# shellcheck disable=SC2154,SC2016 # set by bats and device.bash; texts for scripts are not expanded here
load device

setup_file() { make_bundle; }
setup() {
	swinstall --handlers | grep -q '^lua' || skip 'SKIP: this build has no Lua'
	make_device
	mkdir src
	cp "$BATS_FILE_TMPDIR/src/rootfs.img" src/
}

# bundle [MORE]: the image, src/embedded.lua as the embedded script, more lists
bundle() {
	{
		echo 'software = {'
		echo '	version = "2.0";'
		printf '	embedded-script = "%s";\n' "$(sed 's/[\\"]/\\&/g' src/embedded.lua)"
		printf '	images: ({ filename = "rootfs.img"; slot = "rootfs"; %s });\n' "${2-}"
		echo "	${1-}"
		echo '};'
	} >src/sw-description
	swbundle build src/sw-description -I src --key "$BATS_FILE_TMPDIR/keys/test.key.pem" \
		--cert "$BATS_FILE_TMPDIR/keys/test.cert.pem" -o one.swu >/dev/null
}
full() { sed -i 's|^globals : {|&\n\tlua-trust = "full";|' device.cfg; }
install() { run timeout 60 swinstall -f device.cfg -l 5 "$@" one.swu; }
good() { [ "$status" -eq 0 ] || { echo "$output"; return 1; }; }
says() { [[ $output == *"$1"* ]] || { echo "'$1' is not in:"; echo "$output"; return 1; }; }
# the lock is free, and the device as it was takes the next update
goes_on() {
	is_old
	run timeout 60 swinstall -f device.cfg "$good"
	good
	is_new
	rm -rf state ./*.img bootenv && make_device
}
loops=("string.rep('', math.maxinteger)"
	"local t = {} for i = 62, 0, -1 do t[1 << i] = 1 end table.insert(t, 1, 1)"
	"local s = ('x'):rep(1000000) while true do s:gsub('', '') end"
	"while true do end")

@test "T131: code that no counter stops is ended at its deadline, the lock free: confined, before the plan" {
	for loop in "${loops[@]}"; do
		echo "$loop" >src/embedded.lua
		bundle
		install
		[ "$status" -eq 1 ]
		says E_DEADLINE
		goes_on
	done
}

@test "T131: the same for both trusts while it installs, and for what a full state waits for" {
	mkfifo fifo
	: >src/embedded.lua
	for trust in confined full; do
		[ $trust = confined ] || full
		for loop in "${loops[@]}" "io.popen('sleep 60'):read('a')" "io.open('$PWD/fifo'):read('a')"; do
			if [ $trust = confined ] && [[ $loop == io* ]]; then continue; fi
			echo "function preinst() $loop return true end" >src/s.lua
			bundle 'scripts: ({ filename = "s.lua"; type = "lua"; properties: { global-state = "true"; timeout = "1"; }; });'
			install
			[ "$status" -eq 1 ]
			says E_DEADLINE
			goes_on
			[ $trust = confined ] || full
		done
	done
}

@test "T131: SIGTERM ends an update whatever its Lua code waits for" {
	mkfifo fifo
	for code in "string.rep('', math.maxinteger)" "io.popen('echo begun >&2; sleep 60'):read('a')" "io.open('$PWD/fifo'):read('a')"; do
		full
		echo "print('begun') $code" >src/embedded.lua
		bundle
		timeout 60 swinstall -f device.cfg -l 5 one.swu >out 2>&1 &
		local job=$!
		for _ in $(seq 300); do
			if grep -q begun out; then break; fi
			sleep 0.1
		done
		pkill -TERM -P $job
		if wait $job; then false; fi
		grep -q E_CANCELED out || { cat out; false; }
		goes_on
	done
}

@test "T130: no program of Lua has the lock or the socket, and recovery after a killed job ends it" {
	own=$(printf '8%07d' $$)
	: >src/embedded.lua
	echo "function preinst() os.execute('ls -l /proc/self/fd >$PWD/fds; sleep $own') return true end" >src/s.lua
	bundle 'scripts: ({ filename = "s.lua"; type = "lua"; });'
	swinstall -f device.cfg one.swu >out 2>&1 &
	local job=$!
	for _ in $(seq 300); do
		if pgrep -f "sleep [8]${own#8}" >/dev/null; then break; fi
		sleep 0.1
	done
	! grep -q 'lock\|swinstall-lua' fds || { cat fds; false; }
	kill -KILL $job
	wait $job || true
	run timeout 60 swctl -f device.cfg recover
	good
	[ -z "$(pgrep -f "sleep [8]${own#8}")" ]
	goes_on
}

@test "T43: call_handler of executor is no way around the wall: no program runs for confined code" {
	cat >src/embedded.lua <<-L
	swupdate.register_handler("mine", function(i)
		local rc, why = swupdate.call_handler("executor", { properties = { cmd = "/usr/bin/touch $PWD/out" } })
		return rc, why
	end, swupdate.HANDLER_MASK.IMAGE_HANDLER)
	L
	for trust in confined full; do
		[ $trust = confined ] || full
		bundle '' 'type = "mine";'
		install
		[ "$status" -eq 1 ]
		[ ! -e out ]
		says 'cannot be called'
		goes_on
	done
}

# a message of the job was freed by the next one while its values were still read: at first by finalizers, then by the
# metamethods of the globals
@test "T43: code that asks while a message is taken apart reads that message to its end" {
	cat >src/embedded.lua <<-'L'
	local function arm() setmetatable({}, { __gc = function() arm() swupdate.get_hw() end }) end
	for i = 1, 4 do arm() end
	collectgarbage("setpause", 0)
	collectgarbage("setstepmul", 10000)
	local first = swupdate.get_hw()
	for i = 1, 200 do
		local hw = swupdate.get_hw()
		assert(hw.boardname == first.boardname and hw.revision == first.revision)
	end
	setmetatable(_G, { __index = function(_, name)
		for i = 1, 20 do swupdate.get_hw() end
		if name == "f" then return function(i) return i.filename == "rootfs.img" and i.version == "7", i end end
	end })
	L
	bundle '' 'version = "7"; preinstall = "f"; hook = "f";'
	install
	good
	is_new
}

@test "the job links no Lua; its process is where make install puts it" {
	command -v readelf >/dev/null || skip 'SKIP: there is no readelf'
	for p in swinstall swctl swbundle; do
		[ -z "$(readelf -d "$BIN/$p" | grep -i 'NEEDED.*lua')" ]
		[ -z "$(readelf -Ws "$BIN/$p" | grep ' lua_[a-z]*@\| luaL_[a-z]*@')" ]
	done
	readelf -Ws "$BIN/swinstall-lua" | grep -q ' lua_[a-z]*@'
	run "$BIN/swinstall-lua"
	[ "$status" -eq 2 ]
	says 'not by hand'
}

# helpers with string, table, print and pcall; a hook that looks at board and set; variables; a local module
@test "an embedded script in the style of public descriptions runs behind the wall" {
	cat >src/embedded.lua <<-'L'
	require("swupdate")
	local M = {}
	function M.trim(s) return (s:gsub("^%s*(.-)%s*$", "%1")) end
	function M.split(s, sep)
		local t = {}
		for w in string.gmatch(s, "([^" .. sep .. "]+)") do table.insert(t, M.trim(w)) end
		return t
	end
	function M.dump(t, depth)
		local keys = {}
		for k in pairs(t) do keys[#keys + 1] = tostring(k) end
		table.sort(keys, function(a, b) return a < b end)
		for i, k in ipairs(keys) do
			local v = t[k]
			if type(v) == "table" then v = M.dump(v, (depth or 0) + 1) end
			keys[i] = string.format("%s=%s", k, tostring(v))
		end
		return table.concat(keys, ",")
	end
	function M.version(s)
		local a, b, c = s:match("^(%d+)%.(%d+)%.?(%d*)")
		return tonumber(a) * 10000 + tonumber(b) * 100 + (tonumber(c) or 0)
	end
	local copies = { a = "1", b = "2" }
	function pick(image)
		print("image " .. M.dump(image))
		local ok, why = pcall(function()
			local hw = swupdate.get_hw()
			swupdate.trace("board %s revision %s", hw.boardname, hw.revision)
			if hw.boardname:lower() ~= "lamp" then error("wrong board", 0) end
		end)
		if not ok then return false, why end
		local set, mode = swupdate.get_selection()
		swupdate.info(string.format("set '%s' mode '%s', boots %s", set, mode, swupdate.get_bootenv("bootslot")))
		local words = M.split(" one, two ,three", ",")
		assert(#words == 3 and table.remove(words) == "three" and table.unpack(words) == "one")
		assert(M.version("1.20.3") > M.version("1.9") and string.rep("x", 3, ",") == "x,x,x")
		assert(select("#", string.byte("abc", 1, -1)) == 3 and ("%5.2f"):format(math.pi) == " 3.14")
		swupdate.set_bootenv("picked", copies[swupdate.get_bootenv("bootslot")])
		image.name = ("%s-%s"):format("rootfs", mode ~= "" and mode or "none")
		return true, image
	end
	function before(image) swupdate.progress("about to write " .. image.filename) return true, image end
	function after(image) swupdate.notify(swupdate.RECOVERY_STATUS.RUN, 0, "wrote " .. image.name) return true end
	L
	bundle 'hardware-compatibility: [ "3" ];' 'hook = "pick"; preinstall = "before"; postinstall = "after";'
	for trust in confined full; do
		[ $trust = confined ] || full
		install -H lamp:3
		good
		is_new
		says 'image aes-key=,'
		says "boots a"
		says 'about to write rootfs.img'
		says 'wrote rootfs-none'
		grep -q '^picked=1$' bootenv
		rm -rf state ./*.img bootenv && make_device
	done
}

@test "io in a full state, as descriptions for existing configurations use it" {
	printf 'rev-b\n' >board
	cat >src/embedded.lua <<-L
	function read(p) local f = io.open(p, "r") if not f then return nil end local s = f:read("*l") f:close() return s end
	function pick(image)
		assert(read("$PWD/board") == "rev-b" and read("/nowhere/x") == nil)
		local p = io.popen("echo of a program") local s = p:read("*a") p:close()
		assert(s == "of a program\n" and os.execute("true") and os.getenv("HOME") == "/")
		for l in io.lines("$PWD/board") do print("line " .. l) end
		io.write("written ", s)
		return true, image
	end
	L
	bundle '' 'hook = "pick";'
	cp device.cfg swupdate.cfg
	install
	[ "$status" -eq 1 ]
	says "lua-trust = \"full\""
	is_old
	run timeout 60 swinstall -f swupdate.cfg -l 5 --check one.swu
	good
	says W_LUA_FULL
	run timeout 60 swinstall -f swupdate.cfg -l 5 one.swu
	good
	says 'line rev-b'
	says 'written of a program'
	is_new
}
