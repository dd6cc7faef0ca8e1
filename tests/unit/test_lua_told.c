/* Records of a Lua script's process: whatever it sends, the job gets well-formed texts or a
 * failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "corelib/base/text.h"
#include "handlers/lua_told.h"
#include "tests/unit/kit/fake_host.h"

static struct fake_host host;
static struct err e;

static int setup(void **state)
{
	(void)state;
	fake_host_init(&host);
	err_clear(&e);
	return 0;
}

static void lua_records_set_variables_say_and_tell(void **state)
{
	(void)state;
	lua_told(&host.h, &e, "Sname\0a value", 14);
	lua_told(&host.h, &e, "Uold\0", 6);
	lua_told(&host.h, &e, "Scut", 5);
	lua_told(&host.h, &e, "L3a line", 9);
	lua_told(&host.h, &e, "T done", 7);
	assert_int_equal(e.code, E_NONE);
	assert_string_equal(fake_host_value(&host, "name"), "a value");
	assert_string_equal(fake_host_value(&host, "old"), "");
	assert_true(host.vars[1].unset);
	assert_true(host.vars[2].unset); /* "cut" has no value */
	assert_string_equal(host.said[0], "3 a line");
	assert_string_equal(host.told[0], "done");
}

static void lua_record_that_cannot_be_read_is_a_failure(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} rows[] = {{"", 0},	   {"S", 1},	  {"Sname", 5}, {"L3text", 6}, {"L0text", 7},
		    {"L6text", 7}, {"L3", 2},	  {"T", 2},	{"F", 1},      {"Fail", 5},
		    {"X1text", 7}, {"\0\0\0", 3}, {"Sa\0b", 4}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		setup(state);
		lua_told(&host.h, &e, rows[i].bytes, rows[i].n);
		assert_int_equal(e.code, E_LUA);
		assert_int_equal(e.sys, EPROTO);
	}
	assert_int_equal(host.var_count + host.told_count + host.said_count, 0);
}

static void lua_failure_comes_with_code_and_texts(void **state)
{
	struct err his = {0};
	char record[1 + sizeof(his)] = "F";

	(void)state;
	err_at(&his, err_set(&his, E_ENV_BIG, E2BIG, "too long"), "here");
	memcpy(record + 1, &his, sizeof(his));
	lua_told(&host.h, &e, record, sizeof(record));
	assert_memory_equal(&e, &his, sizeof(his));
	his.code = E_LUA;
	memcpy(record + 1, &his, sizeof(his));
	lua_told(&host.h, &e, record, sizeof(record));
	assert_int_equal(e.code, E_ENV_BIG); /* the first stays */
}

/* a code of nothing or an errno of 0 would make a success of it */
static void lua_failure_stays_one_whatever_its_bytes_are(void **state)
{
	static const int codes[] = {E_NONE, -1, 7, 65535}, causes[] = {0, -EIO, INT32_MIN, 70000};
	char record[1 + sizeof(struct err)];
	struct err his;

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		setup(state);
		memset(&his, 0x1b, sizeof(his));
		his.code = (enum errcode)codes[i];
		his.sys = causes[i];
		record[0] = 'F';
		memcpy(record + 1, &his, sizeof(his));
		lua_told(&host.h, &e, record, sizeof(record));
		assert_int_equal(e.code, E_LUA);
		assert_int_equal(e.sys, EINVAL);
		assert_true(strlen(e.why) < sizeof(e.why) && strlen(e.fix) < sizeof(e.fix));
		assert_memory_equal(e.what, "\\x1b\\x1b", 8);
	}
}

static void lua_variable_that_is_refused_is_the_failure(void **state)
{
	(void)state;
	host.fail_at = 1;
	lua_told(&host.h, &e, "Sa\0b", 5);
	assert_int_equal(e.code, E_ENV_NAME);
}

static void a_call_is_three_texts_or_it_is_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} bad[] = {
		{"C", 1},	   {"Craw", 4},		  {"Craw\0", 5},	  {"Craw\0f\0", 7},
		{"Craw\0f\0t", 8}, {"Craw\0f\0t\0x", 10}, {"Craw\0f\0t\0x\0", 11}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		err_clear(&e);
		lua_told_call(&host.h, bad[i].bytes, bad[i].n, &e);
		assert_int_equal(e.code, E_LUA);
	}
	assert_int_equal(host.calls, 0);
	err_clear(&e);
	lua_told_call(&host.h, "Craw\0\0t", 8, &e);
	assert_int_equal(e.code, E_NONE);
	assert_string_equal(host.call_type, "raw");
	assert_string_equal(host.call_file, "");
	assert_string_equal(host.call_text, "t");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup(f, setup)
		T(lua_records_set_variables_say_and_tell),
		T(lua_record_that_cannot_be_read_is_a_failure),
		T(lua_failure_comes_with_code_and_texts),
		T(lua_failure_stays_one_whatever_its_bytes_are),
		T(lua_variable_that_is_refused_is_the_failure),
		T(a_call_is_three_texts_or_it_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
