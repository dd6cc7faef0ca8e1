/* Lua in a process of its own: what is not there, what ends it, what it may use, how errors are
 * told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "corelib/lua/luaproc.h"
#include "corelib/process/sandbox.h"
#include "tests/unit/kit/fail_malloc.h"
#include "tests/unit/kit/hang.h"

enum { ENOUGH_MS = 20000 };

/* what a process said and asked */
struct heard {
	char said[64], line[64];
	unsigned lines;
};

static int serve(void *arg, enum lua_kind kind, const struct luaval *args, struct luabuf *answer,
		 struct err *e)
{
	struct heard *h = arg;

	switch (kind) {
	case LUA_SAY:
		return text_copy(h->said, sizeof(h->said), luaval_text(args, 1)) < 0 ? -EINVAL : 0;
	case LUA_SET_BOOTENV:
		return err_set(e, E_ENV_NAME, EPERM, "a name that cannot be");
	case LUA_GET_BOOTENV: /* slow: the program works for the script */
		for (uint64_t until = sys_now_ms() + 60; sys_now_ms() < until;)
			;
		luabuf_text(answer, "");
		return 0;
	default:
		return err_set(e, E_LUA, EPROTO, "a request that makes no sense");
	}
}

static void line(void *arg, const char *text)
{
	struct heard *h = arg;

	h->lines++;
	text_copy(h->line, sizeof(h->line), text);
}

static struct heard heard; /* of the last process */

static struct luaproc *start(bool full, const volatile bool *cancel)
{
	const struct luaproc_options o = {.name = "it",
					  .full = full,
					  .cancel = cancel,
					  .serve = serve,
					  .line = line,
					  .arg = &heard};
	struct luaproc *p = NULL;
	struct err e = {0};

	memset(&heard, 0, sizeof(heard));
	if (luaproc_start(&p, &o, &e) < 0)
		fail_msg("%s", e.why);
	return p;
}

static int load(struct luaproc *p, const void *text, size_t n, uint64_t ms, struct err *e)
{
	struct arena *a = arena_new(1 << 20);
	const struct luaval *results;
	struct luabuf b = {.n = 0};
	int rc;

	luabuf_text(&b, "test");
	luabuf_bytes(&b, text, n);
	rc = luaproc_ask(p, LUA_LOAD, &b, ms, a, &results, e);
	arena_free(a);
	return rc;
}

static int run(bool full, const char *text, uint64_t ms, struct err *e)
{
	struct luaproc *p = start(full, NULL);
	int rc;

	err_clear(e);
	rc = load(p, text, strlen(text), ms, e);
	luaproc_free(p);
	return rc;
}

static int confined(const char *text, struct err *e)
{
	return run(false, text, ENOUGH_MS, e);
}

static void errors_name_script_line_and_message(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(confined("local x = {}\nx.y.z = 2", &e), -EINVAL);
	assert_int_equal(e.code, E_LUA);
	assert_string_equal(e.why, "test:2: attempt to index a nil value (field 'y')");
	assert_true(confined("x = = 1", &e) < 0);
	assert_string_equal(e.why, "test:1: unexpected symbol near '='");
	assert_true(confined("error('a\\27b', 0)", &e) < 0);
	assert_string_equal(e.why, "a\\x1bb");
	assert_true(confined("error({})", &e) < 0);
	assert_int_equal(e.code, E_LUA);
	assert_true(confined("error(setmetatable({}, {__tostring = function() return 'mine' end}))",
			     &e) < 0);
	assert_string_equal(e.why, "mine");
	assert_true(confined("error()", &e) < 0);
	assert_string_equal(e.why, "nil");
}

/* ---- calls ---- */

static void a_function_is_called_with_arguments_and_results(void **state)
{
	static const char text[] = "function add(t, x) t[1] = x t.sum = t.a + t.list[2] + 0.5 "
				   "return true, t end";
	struct luaproc *p = start(false, NULL);
	struct arena *a = arena_new(1 << 20);
	const struct luaval *r, *t;
	struct luabuf b = {.n = 0};
	struct err e = {0};

	(void)state;
	assert_int_equal(load(p, text, sizeof(text) - 1, ENOUGH_MS, &e), 0);
	luabuf_text(&b, "add");
	luabuf_bool(&b, false);
	luabuf_int(&b, 0);
	luabuf_open(&b);
	luabuf_key(&b, "a", 1);
	luabuf_int(&b, 20);
	luabuf_key(&b, "list", 4);
	luabuf_open(&b);
	luabuf_key(&b, NULL, 0);
	luabuf_float(&b, 1.5);
	luabuf_key(&b, NULL, 0);
	luabuf_int(&b, 22);
	luabuf_close(&b);
	luabuf_close(&b);
	luabuf_bytes(&b, "x\0y", 3);
	assert_int_equal(luaproc_ask(p, LUA_CALL, &b, ENOUGH_MS, a, &r, &e), 0);
	assert_int_equal(r->type, LUAVAL_BOOL);
	t = luaval_at(r, 1);
	assert_int_equal(t->child->n, 3);
	assert_memory_equal(t->child->text, "x\0y", 3);
	assert_null(luaval_text(t->child, 0));
	assert_true(luaval_find(t, "sum")->number == 42.5);
	assert_int_equal(luaval_find(t, "list")->child->next->integer, 22);
	assert_null(luaval_find(t, "none"));
	b = (struct luabuf){.n = 0};
	luabuf_text(&b, "sub");
	luabuf_bool(&b, false);
	luabuf_int(&b, 0);
	assert_int_equal(luaproc_ask(p, LUA_CALL, &b, ENOUGH_MS, a, &r, &e), -EINVAL);
	assert_string_equal(e.why, "there is no function 'sub'");
	arena_free(a);
	luaproc_free(p);
}

/* ---- T43: what is not there ---- */

/* each is true when the attempt reached nothing */
static void t43_nothing_outside_can_be_named(void **state)
{
	static const char text[] =
		"for _, n in ipairs({'os', 'io', 'package', 'debug', 'dofile', 'loadfile', 'loadstring'}) do\n"
		"assert(_G[n] == nil and _ENV[n] == nil and load('return ' .. n)() == nil, n) end\n"
		"assert(string.dump == nil and ('').dump == nil)\n"
		"assert(not pcall(require, 'io') and not pcall(require, 'string'))\n"
		"assert(require('swupdate') == swupdate and swupdate == swinstall)\n"
		"assert(not (swupdate.mount or swupdate.umount or swupdate.stat or swupdate.emmcbootpart))\n"
		"assert(load('return x', 'n', 't', {x = 7})() == 7)\n"
		"assert(load('return 1', 'x', 'b')() == 1)\n"
		"local n = 0 assert(load(function() n = n + 1 return ({'return ', '5'})[n] end)() == 5)\n"
		"assert(not pcall(table.unpack, {}, 1, 1 << 30))\n"
		"assert(not pcall(string.rep, 'x', 1 << 40) and not pcall(string.rep, 'x', 9 << 20))\n"
		"math.randomseed() assert(math.random() < 1 and tostring({}) and tostring(print))";
	struct err e;

	(void)state;
	if (confined(text, &e) != 0)
		fail_msg("%s", e.why);
}

struct chunk {
	size_t n;
	char bytes[512];
};

static int keep_chunk(lua_State *L, const void *bytes, size_t n, void *arg)
{
	struct chunk *c = arg;

	(void)L;
	if (n > sizeof(c->bytes) - c->n)
		return 1;
	memcpy(c->bytes + c->n, bytes, n);
	c->n += n;
	return 0;
}

/* a chunk that every Lua of this version runs, where it may: what would get past the compiler */
static void t43_bytecode_is_refused_as_a_script_and_by_load(void **state)
{
	lua_State *L = luaL_newstate();
	struct luabuf text = {.n = 0};
	struct chunk c = {.n = 0};
	char escape[8];
	struct luaproc *p;
	struct err e = {0};

	(void)state;
	assert_int_equal(luaL_loadstring(L, "seen = 'by bytecode'"), LUA_OK);
	assert_int_equal(lua_dump(L, keep_chunk, &c, 1), 0);
	assert_int_equal(luaL_loadbufferx(L, c.bytes, c.n, "x", "b"), LUA_OK);
	lua_close(L);
	for (int full = 0; full < 2; full++) {
		p = start(full, NULL);
		err_clear(&e);
		assert_true(load(p, c.bytes, c.n, ENOUGH_MS, &e) < 0);
		assert_int_equal(e.code, E_LUA);
		assert_non_null(strstr(e.why, "attempt to load a binary chunk"));
		luaproc_free(p);
	}
	luabuf_raw(&text, "local c = '", 11);
	for (size_t i = 0; i < c.n; i++) {
		text_print(escape, sizeof(escape), "\\%03u", (uint8_t)c.bytes[i]);
		luabuf_raw(&text, escape, 4);
	}
	static const char end[] =
		"'\nlocal last for _, mode in ipairs({'b', 'bt', 't', ''}) do\n"
		"for _, from in ipairs({c, function() local x = last last = nil return x end}) do last = c\n"
		"assert(load(from, 'x', mode) == nil, mode) end end\n"
		"assert(load(c) == nil and not pcall(load(c) or error) and seen == nil)";

	luabuf_raw(&text, end, sizeof(end));
	if (run(false, (char *)text.at, ENOUGH_MS, &e) < 0)
		fail_msg("%s", e.why);
	/* root's own code may: what it loads is bytecode indeed */
	text.n = text.n - sizeof(end);
	luabuf_raw(&text, "' load(c)() assert(seen)", 25);
	if (run(true, (char *)text.at, ENOUGH_MS, &e) < 0)
		fail_msg("%s", e.why);
	free(text.at);
}

static bool proc_says(int pid, const char *file, const char *words)
{
	AUTO_FREE char *text = NULL;
	char path[64];
	size_t n;

	text_print(path, sizeof(path), "/proc/%d/%s", pid, file);
	assert_int_equal(sys_read_file(AT_FDCWD, path, 1 << 20, &text, &n), 0);
	return strstr(text, words);
}

static void t43_a_confined_process_has_no_rights_and_nothing_of_the_job(void **state)
{
	struct luaproc *p = start(false, NULL);
	AUTO_FREE char *text = NULL;
	char path[64], name[64];
	struct err e = {0};
	int pid = luaproc_pid(p);
	size_t n = 1;

	(void)state;
	assert_int_equal(load(p, "x = 1", 5, ENOUGH_MS, &e), 0);
	assert_true(proc_says(pid, "status", "NoNewPrivs:\t1"));
	assert_true(proc_says(pid, "status", "CapBnd:\t0000000000000000") || geteuid());
	assert_true(proc_says(pid, "status", "Uid:\t65534\t65534\t65534\t65534") || geteuid());
	assert_true(proc_says(pid, "status", "Seccomp:\t2") || sandbox_missing() & SANDBOX_SECCOMP);
	assert_true(proc_says(pid, "limits", "Max open files            4 "));
	text_print(path, sizeof(path), "/proc/%d/environ", pid);
	assert_int_equal(sys_read_file(AT_FDCWD, path, 1 << 20, &text, &n), 0);
	assert_int_equal(n, 0);
	text_print(path, sizeof(path), "/proc/%d/exe", pid);
	n = (size_t)readlink(path, name, sizeof(name) - 1);
	for (int fd = 4; fd < 64; fd++) {
		text_print(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
		assert_int_not_equal(faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW), 0);
	}
	luaproc_free(p);
}

/* ---- T43: what is stopped ---- */

static void t131_code_that_no_counter_stops_is_ended_at_its_deadline(void **state)
{
	static const char *const attempts[] = {
		/* what no count of instructions sees */
		"string.rep('', math.maxinteger)",
		"local t = {} for i = 62, 0, -1 do t[1 << i] = 1 end "
		"if #t > 1 << 60 then table.insert(t, 1, 1) end",
		"while true do (''):rep(1000000):gsub('', '') (('x'):rep(1000000)):gsub('', '') end",
		"local t = setmetatable({}, {__len = function() return 1 << 60 end}) table.concat(t, '')"
		" table.sort(t) table.remove(t, 1)",
		"table.move({}, 1, math.maxinteger - 1, 2)",
		"while true do pcall(error, setmetatable({}, {__gc = function() while true do end end})) end",
		"while true do end",
		"repeat until false",
		"::a:: goto a",
		"for i = 1, math.huge do end",
		"while true do pcall(function() while true do end end) end",
		"local function f() pcall(f) while true do pcall(f) end end f()",
		"xpcall(function() while true do end end, function() while true do end end)",
		"while true do xpcall(error, function() while true do end end) end",
		"coroutine.wrap(function() while true do end end)()",
		"coroutine.wrap(function()\n"
		"local x <close> = setmetatable({}, {__close = function() while true do end end})\n"
		"while true do end end)()",
		"while true do pcall(coroutine.wrap(function() while true do end end)) end",
		"local c = coroutine.wrap(function() while true do coroutine.yield() end end)\n"
		"while true do c() end",
		"local c = coroutine.create(function()\n"
		"local x <close> = setmetatable({}, {__close = function() while true do end end})\n"
		"while true do end end) while true do coroutine.resume(c) end",
		"local x <close> = setmetatable({}, {__close = function() while true do end end})\n"
		"while true do end",
		"local c = coroutine.wrap(function()\n"
		"local x <close> = setmetatable({}, {__close = function() while true do end end})\n"
		"error('x') end) pcall(c) while true do end",
		"local t = setmetatable({}, {__index = function(t, k) return t[k + 1] end})\n"
		"while true do pcall(function() return t[1] end) end",
		"while true do string.rep('x', 1 << 20) end",
		"while true do pcall(string.rep, 'x', 8 << 20) end",
		"local t = {} while true do t[#t + 1] = {} pcall(string.rep, 'x', 7 << 20) "
		"if #t > 30000 then t = {} end end",
		"('a'):rep(100000):find(('a*'):rep(30) .. 'b')",
		"('a'):rep(100000):match('.-.-.-.-.-b')",
		"('a'):rep(100000):gsub(('a-'):rep(30) .. 'b', '')",
		"for w in ('a'):rep(100000):gmatch('(a*)%1%1(a*)%2b') do end",
		"('('):rep(3000000):gsub('%b()', '')",
		"string.gsub(('x'):rep(100), 'x', function() while true do end end)",
		"table.sort({3, 2, 1, 4}, function() while true do end end)",
		"load(function() while true do end end)",
		"while true do collectgarbage() end",
		"print(setmetatable({}, {__tostring = function() while true do end end}))",
		"error(setmetatable({}, {__tostring = function() while true do end end}))",
		"local a = setmetatable({}, {__eq = function() while true do end end})\n"
		"return a == setmetatable({}, getmetatable(a))",
		"while true do pcall(load, ('('):rep(100000)) end",
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(attempts); i++) {
		const char *text = attempts[i / 2];
		uint64_t began = sys_now_ms();
		int rc = run(i % 2, text, 60, &e);

		if (rc >= 0 || (e.code != E_DEADLINE && e.code != E_LUA))
			fail_msg("%s: %d %s", text, rc, e.why);
		if (sys_now_ms() - began > HANG_MS)
			fail_msg("%s: %u ms", text, (unsigned)(sys_now_ms() - began));
	}
}

static void t43_memory_ends_at_the_cap(void **state)
{
	static const char *const attempts[] = {
		"local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end",
		"local s = 'x' while true do s = s .. s end",
		"local t = {} for i = 1, 1 << 30 do t[i] = i end",
		"local function f() return 1 + f() end f()",
		"local t = {} for i = 1, 1 << 30 do t[i] = coroutine.create(print) end",
		"return ('x'):rep(1 << 20):gsub('x', ('y'):rep(100))",
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
		assert_true(confined(attempts[i], &e) < 0);
		assert_int_equal(e.code, E_LUA);
		if (!strstr(e.why, "8192 KiB") && !strstr(e.why, "overflow"))
			fail_msg("%s: %s", attempts[i], e.why);
	}
}

static void a_process_that_was_ended_answers_no_more_and_says_why(void **state)
{
	struct luaproc *p = start(false, NULL);
	struct err e = {0};

	(void)state;
	assert_int_equal(load(p, "while true do end", 17, 30, &e), -ETIMEDOUT);
	assert_int_equal(e.code, E_DEADLINE);
	assert_string_equal(e.why, "it did not end within 30 ms");
	assert_int_equal(luaproc_pid(p), 0);
	assert_true(luaproc_used_ms(p) >= 30);
	err_clear(&e);
	assert_int_equal(load(p, "x = 1", 5, ENOUGH_MS, &e), -ETIMEDOUT);
	assert_int_equal(e.code, E_DEADLINE);
	luaproc_free(p);
}

static void a_request_that_makes_no_sense_ends_it(void **state)
{
	struct err e;

	(void)state;
	assert_true(confined("pcall(swupdate.get_hw) x = 1", &e) < 0);
	assert_string_equal(e.why, "a request that makes no sense");
}

/* ---- T43, T64: what a full state waits for ---- */

static volatile bool canceled; /* for a signal handler */

static void cancel_now(int sig)
{
	(void)sig;
	canceled = true;
}

/* at its deadline and by a cancel; with what it started, in whatever session */
static void is_ended(const char *text)
{
	const struct itimerval soon = {.it_value.tv_usec = 200000};
	int own = getpid(); /* other runs of this test may be on the machine */
	char code[512], look[64];

	snprintf(code, sizeof(code), "%s os.execute('sleep 60')", text);
	for (char *at; (at = strstr(code, "OWN"));) {
		char rest[512];

		text_copy(rest, sizeof(rest), at + 3);
		snprintf(at, sizeof(code) - (size_t)(at - code), "7%07d%s", own, rest);
	}
	snprintf(look, sizeof(look), "pgrep -f 'sleep [7]%07d' >/dev/null", own);
	for (int by_cancel = 0; by_cancel < 2; by_cancel++) {
		struct luaproc *p = start(true, &canceled);
		uint64_t began = sys_now_ms();
		struct err e = {0};

		canceled = false;
		signal(SIGALRM, cancel_now);
		if (by_cancel)
			assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
		assert_true(load(p, code, strlen(code), by_cancel ? 600000 : 300, &e) < 0);
		signal(SIGALRM, SIG_DFL);
		if (e.code != (by_cancel ? E_CANCELED : E_DEADLINE))
			fail_msg("%s: %s", code, e.why);
		assert_true(sys_now_ms() - began < HANG_MS);
		assert_int_not_equal(system(look), 0);
		luaproc_free(p);
	}
}

static void t64_t131_whatever_a_full_state_waits_for_it_is_ended_with_all_it_started(void **state)
{
	char fifo[] = "/tmp/swinstall-fifo-XXXXXX", code[128];

	(void)state;
	is_ended("os.execute('setsid sleep OWN & sleep OWN')");
	is_ended("os.execute('(setsid sleep OWN &) ; sleep OWN')");
	is_ended("io.popen('sleep OWN'):read('a')");
	is_ended("io.popen('sleep OWN'):close()");
	is_ended("pcall(os.execute, 'sleep OWN') while true do end");
	assert_non_null(mkdtemp(fifo));
	rmdir(fifo);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	snprintf(code, sizeof(code), "io.open('%s'):read('a')", fifo);
	is_ended(code);
	snprintf(code, sizeof(code), "io.open('%s', 'w')", fifo);
	is_ended(code);
	unlink(fifo);
}

static void a_program_that_a_full_state_left_open_does_not_keep_the_job(void **state)
{
	struct luaproc *p = start(true, NULL);
	static const char text[] = "f = io.popen('sleep 60')";
	struct err e = {0};

	(void)state;
	assert_int_equal(load(p, text, sizeof(text) - 1, ENOUGH_MS, &e), 0);
	assert_true(luaproc_finish(p, 100, &e) < 0);
	assert_int_equal(e.code, E_DEADLINE);
	luaproc_free(p);
}

static void an_end_of_the_process_is_told_with_its_cause(void **state)
{
	struct err e;

	(void)state;
	assert_true(run(true, "os.exit(0)", ENOUGH_MS, &e) < 0);
	assert_int_equal(e.code, E_LUA);
	assert_true(run(true, "os.execute('kill -9 $PPID')", ENOUGH_MS, &e) < 0);
	assert_int_equal(e.code, E_PROCESS);
	assert_string_equal(e.why, "it was ended by signal 9 (Killed)");
}

static void a_full_state_has_the_library_and_closes_what_it_opened(void **state)
{
	static const char text[] =
		"local function is(command, a, b, c)\n"
		"  local x, y, z = os.execute(command)\n"
		"  assert(x == a and y == b and z == c, command)\n"
		"end\n"
		"is('true', true, 'exit', 0) is('exit 3', nil, 'exit', 3)\n"
		"is('kill -9 $$', nil, 'signal', 9) is('read x', nil, 'exit', 1)\n"
		"is('test \"$SWINSTALL_TEST\" = mine', true, 'exit', 0)\n"
		"assert(package and debug and os.getenv('SWINSTALL_TEST') == 'mine')\n"
		"assert(io.popen('echo out'):read('l') == 'out')\n"
		"local dead = io.popen('true', 'w') os.execute('sleep 0.05')\n"
		"assert(dead:write(('x'):rep(1 << 20)) == nil)\n"
		"f = setmetatable({}, {__gc = function() io.write('at the end\\n') end})";
	struct luaproc *p;
	struct err e = {0};

	(void)state;
	assert_int_equal(setenv("SWINSTALL_TEST", "mine", 1), 0);
	p = start(true, NULL);
	if (load(p, text, sizeof(text) - 1, ENOUGH_MS, &e) < 0)
		fail_msg("%s", e.why);
	assert_int_equal(luaproc_finish(p, ENOUGH_MS, &e), 0);
	assert_string_equal(heard.line, "at the end");
	luaproc_free(p);
}

/* ---- what still works ---- */

static void ordinary_code_runs_confined(void **state)
{
	static const char text[] =
		"local t = {5, 3, 9} table.sort(t) table.insert(t, 1) table.remove(t, 1) table.move(t, 1, 2, 5)\n"
		"assert(table.concat(t, ',', 1, 3) == '5,9,1')\n"
		"assert(select('#', table.unpack({1, 2, 3})) == 3)\n"
		"assert(('x=%d'):format(7) == 'x=7' and ('abc'):upper() == 'ABC' and #('x'):rep(1000) == 1000)\n"
		"local ok, m = xpcall(function(a, b) error(a .. b, 0) end, function(m) return 'h:' .. m end, 'x', 'y')\n"
		"assert(not ok and m == 'h:xy')\n"
		"local k, v = (' key = value '):match('^%s*(%w+)%s*=%s*(.-)%s*$') assert(k == 'key' and v == 'value')\n"
		"assert(('a,b,,c'):gsub(',', ';', 2) == 'a;b;,c' and ('x1y22'):find('%d+', 3) == 4)\n"
		"local words = {} for w in ('one two'):gmatch('%a+') do words[#words + 1] = w end assert(#words == 2)\n"
		"assert(select(2, xpcall(function(...) return select('#', ...) end, print, 1, 2, 3)) == 3)\n"
		"local c = coroutine.wrap(function(a) local b = coroutine.yield(a + 1) return b * 2 end)\n"
		"assert(c(1) == 2 and c(21) == 42 and not pcall(c))\n"
		"assert(collectgarbage('count') > 1 and collectgarbage() == 0)\n"
		"local o = setmetatable({}, {__index = {f = function() return 'm' end}, __call = function() return 1 end})\n"
		"assert(o.f() == 'm' and o() == 1)\n"
		"assert(utf8.char(228) == '\\u{e4}' and math.max(1, 2) == 2)\n";
	struct err e;

	(void)state;
	if (confined(text, &e) != 0)
		fail_msg("%s", e.why);
}

static void print_is_handed_on_and_so_are_errors_of_the_job(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(confined("print('a', 1, nil)", &e), 0);
	assert_string_equal(heard.said, "a 1 nil");
	assert_int_equal(confined("swupdate.set_bootenv('a', 1)", &e), -EPERM);
	assert_int_equal(e.code, E_ENV_NAME);
	assert_int_equal(confined("pcall(swupdate.set_bootenv, 'a') error('other', 0)", &e),
			 -EINVAL);
	assert_int_equal(e.code, E_LUA);
	assert_int_equal(confined("assert(select(2, pcall(swupdate.set_bootenv, 'a')) == 'a name "
				  "that cannot be')",
				  &e),
			 0);
	assert_true(confined("swupdate.set_bootenv({})", &e) < 0);
	assert_non_null(strstr(e.why, "bad argument #1"));
}

static void what_the_job_does_for_the_script_is_not_its_time(void **state)
{
	static const char text[] = "swupdate.get_bootenv('x')";
	struct luaproc *p = start(false, NULL);
	struct err e = {0};

	(void)state;
	assert_int_equal(load(p, text, sizeof(text) - 1, 50, &e), 0);
	assert_true(luaproc_used_ms(p) < 50);
	luaproc_free(p);
}

static int all_once(struct err *e)
{
	const struct luaproc_options o = {.name = "it", .serve = serve, .arg = &heard};
	struct luaproc *p;
	struct arena *a = arena_new(1 << 20);
	const struct luaval *r;
	struct luabuf b = {.n = 0};
	int rc = a ? luaproc_start(&p, &o, e) : err_set(e, E_MEMORY, ENOMEM, "no arena");

	if (rc == 0) {
		luabuf_text(&b, "x");
		luabuf_text(&b, "swupdate.info('x') swupdate.get_bootenv('y') return {1, {2}}");
		rc = luaproc_ask(p, LUA_LOAD, &b, ENOUGH_MS, a, &r, e);
		luaproc_free(p);
	}
	arena_free(a);
	return rc;
}

static void every_allocation_of_the_job_may_fail_and_nothing_leaks(void **state)
{
	struct err e = {0};
	long before;
	unsigned n;

	(void)state;
	if (!fail_malloc_works())
		return;
	assert_int_equal(all_once(&e), 0);
	before = fail_malloc_live();
	for (n = 1;; n++) {
		int rc;

		err_clear(&e);
		fail_malloc_at(n);
		rc = all_once(&e);
		if (!fail_malloc_off())
			break;
		assert_true(rc == 0 || e.code == E_MEMORY);
	}
	assert_true(n > 5);
	assert_int_equal(fail_malloc_live(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_name_script_line_and_message),
		cmocka_unit_test(a_function_is_called_with_arguments_and_results),
		cmocka_unit_test(t43_nothing_outside_can_be_named),
		cmocka_unit_test(t43_bytecode_is_refused_as_a_script_and_by_load),
		cmocka_unit_test(t43_a_confined_process_has_no_rights_and_nothing_of_the_job),
		cmocka_unit_test(t131_code_that_no_counter_stops_is_ended_at_its_deadline),
		cmocka_unit_test(t43_memory_ends_at_the_cap),
		cmocka_unit_test(a_process_that_was_ended_answers_no_more_and_says_why),
		cmocka_unit_test(a_request_that_makes_no_sense_ends_it),
		cmocka_unit_test(
			t64_t131_whatever_a_full_state_waits_for_it_is_ended_with_all_it_started),
		cmocka_unit_test(a_program_that_a_full_state_left_open_does_not_keep_the_job),
		cmocka_unit_test(an_end_of_the_process_is_told_with_its_cause),
		cmocka_unit_test(a_full_state_has_the_library_and_closes_what_it_opened),
		cmocka_unit_test(ordinary_code_runs_confined),
		cmocka_unit_test(print_is_handed_on_and_so_are_errors_of_the_job),
		cmocka_unit_test(what_the_job_does_for_the_script_is_not_its_time),
		cmocka_unit_test(every_allocation_of_the_job_may_fail_and_nothing_leaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
