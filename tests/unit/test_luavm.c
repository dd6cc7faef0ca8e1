/* Lua with limits: what is not there, what is stopped, what it may use, how errors are told. */
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
#include <sys/time.h>
#include <unistd.h>

#include "corelib/lua/luavm.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/fail_malloc.h"
#include "tests/unit/kit/hang.h"

static int run(const struct luavm_options *o, const char *text, struct err *e)
{
	struct luavm *vm;
	int rc = luavm_new(&vm, o, e);

	assert_int_equal(rc, 0);
	rc = luavm_load(vm, "test", text, strlen(text), e);
	luavm_free(vm);
	return rc;
}

static int confined(const char *text, struct err *e)
{
	const struct luavm_options o = {.call_ms = 300};

	err_clear(e);
	return run(&o, text, e);
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

struct pair {
	lua_Integer a, b, sum;
};

static int push_pair(lua_State *L, void *arg)
{
	const struct pair *p = arg;

	lua_pushinteger(L, p->a);
	lua_pushinteger(L, p->b);
	return 2;
}

static void take_sum(lua_State *L, void *arg)
{
	((struct pair *)arg)->sum = luaL_checkinteger(L, 1);
}

static void a_function_is_called_with_arguments_and_results(void **state)
{
	static const char text[] = "function add(a, b) return a + b end";
	const struct luavm_options o = {.full = false};
	struct pair p = {20, 22, 0};
	struct luavm_call c = {"add", push_pair, take_sum, 1, &p};
	struct err e = {0};
	struct luavm *vm;

	(void)state;
	assert_int_equal(luavm_new(&vm, &o, &e), 0);
	assert_int_equal(luavm_load(vm, "test", text, sizeof(text) - 1, &e), 0);
	assert_int_equal(luavm_has(vm, "add", &e), 1);
	assert_int_equal(luavm_has(vm, "sub", &e), 0);
	assert_int_equal(luavm_call(vm, &c, &e), 0);
	assert_int_equal(p.sum, 42);
	c.name = "sub";
	assert_int_equal(luavm_call(vm, &c, &e), -EINVAL);
	assert_int_equal(e.code, E_LUA);
	assert_string_equal(e.why, "there is no function 'sub'");
	luavm_free(vm);
}

/* ---- T43: what is not there ---- */

/* each is true when the attempt reached nothing */
static void t43_nothing_outside_can_be_named(void **state)
{
	static const char *const attempts[] = {
		"os == nil",
		"io == nil",
		"package == nil",
		"debug == nil",
		"require == nil",
		"dofile == nil",
		"loadfile == nil",
		"loadstring == nil",
		"string.dump == nil",
		"coroutine.close == nil",
		"_G.os == nil and _ENV.io == nil",
		"load('return os')() == nil",
		"load('\27Lua') == nil",
		"load('return 1', 'x', 'b')() == 1",
		"not pcall(load, function() return '\27Lua' end)",
		"load('return x', 'n', 't', {x = 7})() == 7",
		"getmetatable('') == false",
		"not pcall(setmetatable, '', {})",
		"not pcall(function() getmetatable('').__index = {} end)",
		"not pcall(collectgarbage, 'stop')",
		"not pcall(collectgarbage, 'setpause', 1000000)",
		"not pcall(collectgarbage, 'generational')",
		"not pcall(setmetatable, {}, {__gc = function() end})",
		"not pcall(setmetatable, setmetatable({}, {__metatable = 1}), {})",
		"not pcall(table.insert, setmetatable({}, {__len = function() return 1 << 40 end}), 1, 1)",
		"not pcall(table.remove, setmetatable({}, {__len = function() return 1 << 40 end}), 1)",
		"not pcall(table.move, {}, 1, 1 << 40, 2)",
		"not pcall(table.concat, setmetatable({}, {__len = function() return 1 << 40 end}))",
		"not pcall(table.concat, {}, '', 1, 1 << 40)",
		"not pcall(table.sort, setmetatable({}, {__len = function() return 1 << 40 end}))",
		"not pcall(table.unpack, {}, 1, 1 << 30)",
		"not pcall(string.rep, 'x', 1 << 40)",
		"not pcall(string.rep, 'x', 9 << 20)",
		"not pcall(string.format, '%9999d', 1)",
		"select(2, pcall(error)) == nil",
	};
	char text[512];
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
		text_print(text, sizeof(text), "assert(%s)", attempts[i]);
		if (confined(text, &e) != 0)
			fail_msg("%s: %s", attempts[i], e.why);
	}
}

/* ---- T43: what is stopped ---- */

static void t43_whatever_runs_on_is_stopped(void **state)
{
	static const char *const attempts[] = {
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
	for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
		const struct luavm_options o = {.call_ms = 40};
		uint64_t began = sys_now_ms();
		int rc;

		err_clear(&e);
		rc = run(&o, attempts[i], &e);
		if (rc >= 0 || (e.code != E_DEADLINE && e.code != E_LUA))
			fail_msg("%s: %d %s", attempts[i], rc, e.why);
		if (sys_now_ms() - began >
		    20000) /* ten times what is promised: a guard, no measure */
			fail_msg("%s: %u ms", attempts[i], (unsigned)(sys_now_ms() - began));
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
	const struct luavm_options o = {.call_ms = 5000};
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
		err_clear(&e);
		assert_true(run(&o, attempts[i], &e) < 0);
		assert_int_equal(e.code, E_LUA);
		if (!strstr(e.why, "8192 KiB") && !strstr(e.why, "overflow"))
			fail_msg("%s: %s", attempts[i], e.why);
	}
}

static void a_cancel_stops_it(void **state)
{
	const volatile bool cancel = true;
	const struct luavm_options o = {.cancel = &cancel};
	struct luavm *vm;
	struct err e = {0};

	(void)state;
	/* already while the library is filled in, or with the first instructions */
	if (luavm_new(&vm, &o, &e) == 0) {
		assert_true(luavm_load(vm, "t", "while true do end", 17, &e) < 0);
		luavm_free(vm);
	}
	assert_int_equal(e.code, E_CANCELED);
}

static void a_stopped_state_can_be_called_again(void **state)
{
	const struct luavm_options o = {.call_ms = 30};
	static const char loop
		[] = "c = coroutine.create(function() while true do coroutine.yield(1) end end)\n"
		     "while true do coroutine.resume(c) end",
	    again[] = "local n = 0 for i = 1, 1000 do coroutine.resume(c) end done = true";
	struct luavm *vm;
	struct err e = {0};

	(void)state;
	assert_int_equal(luavm_new(&vm, &o, &e), 0);
	assert_int_equal(luavm_load(vm, "t", loop, sizeof(loop) - 1, &e), -ETIMEDOUT);
	assert_int_equal(e.code, E_DEADLINE);
	assert_true(luavm_used_ms(vm) >= 30);
	err_clear(&e);
	assert_int_equal(luavm_load(vm, "t", again, sizeof(again) - 1, &e), 0);
	luavm_free(vm);
}

/* ---- patterns are Lua's ---- */

static const char *const subjects[] = {
	"",	     "a",	   "hello world", "key = value  ", "  x  ", "THE (quick) fox",
	"a,b,,c",    "2024-01-31", "[[x]]",	  "((a)(b))",	   "%d^$",  "abcabc",
	"f(a(b)c)d", "aaa",	   "x\\0y",	  "1.2.3-rc4+5",
};
static const char *const patterns[] = {
	"",
	"a",
	"a*",
	"a-",
	"a+",
	"a?",
	".",
	".-",
	"^a",
	"a$",
	"^$",
	"%w+",
	"(%w+)",
	"^(%w+)%s*=%s*(.-)%s*$",
	"%f[%w]%w+%f[%W]",
	"%b()",
	"()",
	"()a()",
	"[^,]*",
	"[a-c]+",
	"[^%s]+",
	"[]]",
	"[%]%[]",
	"[a-]",
	"(%a)%1",
	"(a)(b)",
	"(((a)))",
	"%d+-(%d+)",
	"%%",
	"%^",
	"$x",
	"^",
	"$",
	"%z",
	"[%d.]+",
	"%x%X",
	"%S+%s",
	"%P",
	"(.)(.)",
	"(a*(.)%w(%s*))",
	"a",
	"%",
	"[a",
	"(",
	")",
	"(a",
	"%1",
	"%b",
	"%f",
	"(()",
	"[^]",
	"[a-",
	"*",
	"+a",
	"^^",
	"a$b",
};

/* a text of all that the four functions answer */
static const char compare[] =
	"local out = {}\n"
	"local function add(...) for i = 1, select('#', ...) do\n"
	"local v = select(i, ...) out[#out + 1] = type(v) .. ':' .. tostring(v) end end\n"
	"local function try(f, ...) local r = table.pack(pcall(f, ...))\n"
	"if r[1] then add(table.unpack(r, 1, r.n)) else out[#out + 1] = 'error' end end\n"
	"function all(s, p)\n"
	"out = {}\n"
	"try(string.find, s, p) try(string.find, s, p, 3) try(string.find, s, p, -2) try(string.find, s, p, 1, true)\n"
	"try(string.match, s, p) try(string.match, s, p, 2) try(string.match, s, p, 100)\n"
	"try(function() for a, b in s:gmatch(p) do add(a, b) end end)\n"
	"try(string.gsub, s, p, '<%0>') try(string.gsub, s, p, '<%1>', 2) try(string.gsub, s, p, '%')\n"
	"try(string.gsub, s, p, {a = 'x', b = false}) try(string.gsub, s, p, function(a, b) return b end)\n"
	"try(string.gsub, s, p, function() return {} end)\n"
	"return table.concat(out, '|') end\n";

struct comparison {
	const char *s, *p;
	char out[4096];
};

static int push_comparison(lua_State *L, void *arg)
{
	const struct comparison *c = arg;

	lua_pushstring(L, c->s);
	lua_pushstring(L, c->p);
	return 2;
}

static void take_comparison(lua_State *L, void *arg)
{
	struct comparison *c = arg;

	assert_int_equal(text_copy(c->out, sizeof(c->out), luaL_checkstring(L, 1)), 0);
}

static void answer(struct luavm *vm, struct comparison *c)
{
	const struct luavm_call call = {"all", push_comparison, take_comparison, 1, c};
	struct err e = {0};

	if (luavm_call(vm, &call, &e) < 0)
		fail_msg("'%s' in '%s': %s", c->p, c->s, e.why);
}

static void patterns_answer_as_those_of_the_library(void **state)
{
	struct luavm_options o = {.full = true};
	struct luavm *ours, *theirs;
	struct err e = {0};

	(void)state;
	assert_int_equal(luavm_new(&theirs, &o, &e), 0);
	o.full = false;
	assert_int_equal(luavm_new(&ours, &o, &e), 0);
	assert_int_equal(luavm_load(theirs, "t", compare, sizeof(compare) - 1, &e), 0);
	assert_int_equal(luavm_load(ours, "t", compare, sizeof(compare) - 1, &e), 0);
	for (size_t i = 0; i < ARRAY_SIZE(subjects); i++)
		for (size_t j = 0; j < ARRAY_SIZE(patterns); j++) {
			struct comparison a = {subjects[i], patterns[j], ""};
			struct comparison b = a;

			answer(theirs, &a);
			answer(ours, &b);
			if (strcmp(a.out, b.out) != 0)
				fail_msg("'%s' in '%s':\nLua  %s\nours %s", a.p, a.s, a.out, b.out);
		}
	luavm_free(ours);
	luavm_free(theirs);
}

/* ---- programs of a full state ---- */

static void programs_answer_as_those_of_the_library(void **state)
{
	static const char text[] =
		"local function is(command, a, b, c)\n"
		"  local x, y, z = os.execute(command)\n"
		"  assert(x == a and y == b and z == c, command)\n"
		"end\n"
		"is('true', true, 'exit', 0) is('exit 3', nil, 'exit', 3)\n"
		"is('kill -9 $$', nil, 'signal', 9) is('read x', nil, 'exit', 1)\n"
		"is('test \"$SWINSTALL_TEST\" = mine', true, 'exit', 0)\n"
		"assert(os.execute() == true and not pcall(os.execute, {}))";
	struct luavm_options o = {.full = true};
	struct err e = {0};

	(void)state;
	assert_int_equal(setenv("SWINSTALL_TEST", "mine", 1), 0);
	for (int i = 0; i < 2; i++) {
		int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

		assert_int_equal(dup2(null, 0), 0); /* Lua's own reads ours */
		close(null);
		o.bounded = i;
		if (run(&o, text, &e) < 0)
			fail_msg("bounded %d: %s", i, e.why);
	}
}

/* a shell, its child, and one that made a session of its own */
static void is_ended(const struct luavm_options *o, enum errcode code)
{
	int own = getpid(); /* other runs of this test may be on the machine */
	char text[128], look[64];
	uint64_t began = sys_now_ms();
	struct err e = {0};

	snprintf(text, sizeof(text),
		 "pcall(os.execute, 'setsid sleep 7%07d & sleep 7%07d') after = 1", own, own);
	snprintf(look, sizeof(look), "pgrep -f 'sleep [7]%07d' >/dev/null", own);
	assert_true(run(o, text, &e) < 0);
	assert_int_equal(e.code, code);
	assert_true(sys_now_ms() - began < HANG_MS);
	assert_int_not_equal(system(look), 0);
}

static volatile bool canceled; /* for a signal handler */

static void cancel_now(int sig)
{
	(void)sig;
	canceled = true;
}

static void t64_programs_end_with_the_time_of_the_call_and_by_a_cancel(void **state)
{
	const struct itimerval soon = {.it_value.tv_usec = 200000};
	struct luavm_options o = {.full = true, .bounded = true, .call_ms = 300};

	(void)state;
	is_ended(&o, E_DEADLINE);
	o.call_ms = 0;
	o.cancel = &canceled;
	canceled = false;
	signal(SIGALRM, cancel_now);
	assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
	is_ended(&o, E_CANCELED);
	signal(SIGALRM, SIG_DFL);
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

static void note(void *arg, const char *text)
{
	assert_int_equal(text_copy(arg, 64, text), 0);
}

static void print_is_handed_on(void **state)
{
	char line[64] = "";
	const struct luavm_options o = {.print = note, .arg = line};
	struct err e = {0};

	(void)state;
	assert_int_equal(run(&o, "print('a', 1, nil)", &e), 0);
	assert_string_equal(line, "a\t1\tnil");
}

/* ---- the program's part ---- */

static int raise_mine(lua_State *L)
{
	struct err e = {0};

	err_set(&e, E_ENV_NAME, EPERM, "a name that cannot be");
	return luavm_raise(L, &e);
}

static int slow(lua_State *L)
{
	uint64_t until = sys_now_ms() + 60;

	luavm_pause(L);
	while (sys_now_ms() < until)
		;
	luavm_resume(L);
	return 0;
}

static void add_functions(lua_State *L, void *arg)
{
	(void)arg;
	lua_register(L, "mine", raise_mine);
	lua_register(L, "slow", slow);
}

static int with_functions(const char *text, struct err *e)
{
	const struct luavm_options o = {.call_ms = 40};
	struct luavm *vm;
	int rc;

	err_clear(e);
	assert_int_equal(luavm_new(&vm, &o, e), 0);
	assert_int_equal(luavm_run(vm, add_functions, NULL, e), 0);
	rc = luavm_load(vm, "t", text, strlen(text), e);
	luavm_free(vm);
	return rc;
}

static void an_error_of_the_program_keeps_its_code(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(with_functions("mine()", &e), -EPERM);
	assert_int_equal(e.code, E_ENV_NAME);
	assert_int_equal(with_functions("pcall(mine) error('other', 0)", &e), -EINVAL);
	assert_int_equal(e.code, E_LUA);
	assert_int_equal(
		with_functions("assert(select(2, pcall(mine)) == 'a name that cannot be')", &e), 0);
}

static void the_program_s_own_work_is_not_counted(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(with_functions("slow() local x = 0 for i = 1, 1000 do x = x + i end", &e),
			 0);
	assert_int_equal(with_functions("slow() while true do end", &e), -ETIMEDOUT);
}

static int all_once(struct err *e)
{
	const struct luavm_options o = {.full = false};
	static const char text[] =
		"t = {} for i = 1, 20 do t[i] = ('x'):rep(i):gsub('x', 'y') end\n"
		"coroutine.wrap(function() xpcall(error, tostring) end)()";
	struct luavm *vm;
	int rc = luavm_new(&vm, &o, e);

	if (rc == 0)
		rc = luavm_load(vm, "t", text, sizeof(text) - 1, e);
	luavm_free(vm);
	return rc;
}

/* Lua tidies up and tries again: an allocation that fails once may do no harm */
static void every_allocation_may_fail_and_nothing_leaks(void **state)
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
	assert_true(n > 100);
	assert_int_equal(fail_malloc_live(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_name_script_line_and_message),
		cmocka_unit_test(a_function_is_called_with_arguments_and_results),
		cmocka_unit_test(t43_nothing_outside_can_be_named),
		cmocka_unit_test(t43_whatever_runs_on_is_stopped),
		cmocka_unit_test(t43_memory_ends_at_the_cap),
		cmocka_unit_test(a_cancel_stops_it),
		cmocka_unit_test(a_stopped_state_can_be_called_again),
		cmocka_unit_test(patterns_answer_as_those_of_the_library),
		cmocka_unit_test(ordinary_code_runs_confined),
		cmocka_unit_test(programs_answer_as_those_of_the_library),
		cmocka_unit_test(t64_programs_end_with_the_time_of_the_call_and_by_a_cancel),
		cmocka_unit_test(print_is_handed_on),
		cmocka_unit_test(an_error_of_the_program_keeps_its_code),
		cmocka_unit_test(the_program_s_own_work_is_not_counted),
		cmocka_unit_test(every_allocation_may_fail_and_nothing_leaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
