/* Lua with limits: what is not there, what is stopped, what it may use, how errors are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <string.h>

#include "corelib/luavm.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_name_script_line_and_message),
		cmocka_unit_test(a_function_is_called_with_arguments_and_results),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
