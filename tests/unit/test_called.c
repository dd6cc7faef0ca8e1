/* call_handler: steps that Lua code asks for while the update runs; what stays refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "corelib/base/sys.h"
#include "tests/unit/kit/luajob.h"

#define CALL "swupdate.call_handler('raw', i)"
#define COPY "local f = swupdate.tmpdirscripts() .. 'copy' i:copy2file(f) i.filename = f "

static void called(const char *body, enum errcode code, bool written)
{
	char lua[1024];

	snprintf(lua, sizeof(lua), LUAJOB_REGISTER "function(i) %s end)", body);
	luajob_install(lua, LUAJOB_OWN, code, written);
}

static void call_handler_hands_the_payload_on(void **state)
{
	(void)state;
	called("return " CALL, E_NONE, true);
	called("i.size = 5 i.compressed = true i.sha256 = 'ab' local rc, text = " CALL
	       " assert(rc == 1 and text:find('sha256')) i.sha256 = '' return " CALL,
	       E_NONE, true);
	called(COPY "i.sha256 = '' return " CALL, E_NONE, true);
	called(COPY "return " CALL, E_NONE, true);
	/* by way of another one in Lua, which reads on where the first one stopped */
	luajob_install("swupdate.register_handler('inner', function(i) return " CALL
		       " end) " LUAJOB_REGISTER
		       "function(i) return swupdate.call_handler('inner', i) end)",
		       LUAJOB_OWN, E_NONE, true);
}

static void what_call_handler_may_not_do_is_answered_with_the_reason(void **state)
{
	static const struct {
		const char *body, *code;
	} no[] = {
		{"i.type = 'raw' local rc, text = swupdate.call_handler('nothing', i)",
		 "E_HANDLER"},
		{"local rc, text = swupdate.call_handler('shellscript', i)", "E_HANDLER"},
		{"i.offset = 500 * 1024 local rc, text = " CALL, "E_TARGET_SMALL"},
		{"i.device = '/dev/mem' i.slot = '' local rc, text = " CALL, "E_TARGET"},
		{"i.path = '/tmp/x' i.slot = '' i.properties = { ['create-destination'] = 'x' } "
		 "local rc, text = swupdate.call_handler('rawfile', i)",
		 "E_PROPERTY"},
		{COPY "i.sha256 = string.rep('ab', 32) local rc, text = " CALL, "E_PAYLOAD_HASH"},
		{COPY "i.size = 7 local rc, text = " CALL, "E_MEMBER_SIZE"},
		{"i.filename = '/etc/passwd' local rc, text = " CALL, "E_LUA"},
		{"i.filename = swupdate.tmpdirscripts() .. '../x' local rc, text = " CALL, "E_LUA"},
		{"i.filename = swupdate.tmpdirscripts() .. '..' local rc, text = " CALL, "E_LUA"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(no); i++) {
		char body[800];

		/* refused before it wrote: the code may go on */
		snprintf(body, sizeof(body),
			 "%s if rc ~= 1 or not text:find('(%s)', 1, true) then error(rc .. "
			 "(text or '')) end return 0",
			 no[i].body, no[i].code);
		called(body, E_NONE, false);
	}
}

/* its place is judged as that of any entry */
static void t40_call_handler_does_not_write_where_the_installer_lives(void **state)
{
	(void)state;
	called("i.slot = '' i.path = swupdate.tmpdirscripts() .. '../status' local rc, text = "
	       "swupdate.call_handler('rawfile', i) assert(rc == 1, rc) "
	       "assert(text:find('E_TARGET_PROTECTED') or text:find('E_FILE'), text) return 0",
	       E_NONE, false);
}

static void a_called_step_that_broke_off_fails_the_update_whatever_the_code_says(void **state)
{
	(void)state;
	called(COPY "i.sha256 = '' i.compressed = 'zlib' assert(" CALL " == 1) return 0",
	       E_DECOMPRESS, false);
}

static void two_steps_do_not_write_the_same_bytes_also_when_one_is_called(void **state)
{
	(void)state;
	called(COPY "assert(" CALL " == 0) local rc, text = " CALL
		    " assert(rc == 1 and text:find('E_RANGE'), text) return 0",
	       E_NONE, true);
}

static void a_slot_that_no_entry_named_is_not_taken_by_a_call(void **state)
{
	(void)state;
	luajob_install("function f(i) i.slot = '' return true, i end " LUAJOB_REGISTER
		       "function(i) i.slot = 'rootfs' local rc, text = " CALL
		       " assert(rc == 1 and text:find('E_SLOT'), text) return 1 end)",
		       LUAJOB_OWN "hook = \"f\";", E_LUA, false);
}

static void calls_do_not_go_on_for_ever(void **state)
{
	(void)state;
	called("local rc, text for n = 1, 70 do rc, text = swupdate.call_handler('dummy', "
	       "{ filename = 'none', slot = '' }) end assert(rc == 1 and text:find('64 steps'), "
	       "text) return 0",
	       E_NONE, false);
	called("return swupdate.call_handler('mine', i)", E_LUA, false);
}

static void call_handler_is_refused_before_the_plan(void **state)
{
	(void)state;
	luajob_install(
		"local rc, text = swupdate.call_handler('raw', { filename = 'x', slot = 'rootfs' }) "
		"assert(rc == 1 and text:find('while entries are installed'), text)",
		"", E_NONE, true);
	luajob_install("function f(i) local rc, text = " CALL " assert(rc == 1) return true, i end",
		       "hook = \"f\";", E_NONE, true);
}

/* a file of a call is in the journal: an update that fails later takes it back */
static void a_called_file_is_put_in_place_and_taken_back(void **state)
{
	const struct jobkit_part part = {"rootfs.img", luajob_image(), LUAJOB_IMAGE};
	static const char *const ends[] = {"", "assert(rc ~= 0)"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		char text[4096], file[256];
		struct jobkit k;
		struct stat st;

		jobkit_make(&k, "file");
		snprintf(
			text, sizeof(text),
			"software = {\nversion = \"2.0\";\nembedded-script = \"" LUAJOB_REGISTER
			"function(i) i.path = '%s/new' i.slot = '' local rc, text = "
			"swupdate.call_handler('rawfile', i) assert(rc == 0, text) %s return rc "
			"end)\";\nimages: ( { filename = \"rootfs.img\"; type = \"mine\"; sha256 = "
			"\"@rootfs.img@\"; } );\n};\n",
			k.app, ends[i]);
		jobkit_bundle(&k, text, &part, 1);
		jobkit_install(&k, JOB_INSTALL);
		if (k.e.code != (i ? E_LUA : E_NONE))
			fail_msg("%s (%s)", k.e.why, k.e.where);
		snprintf(file, sizeof(file), "%s/new", k.app);
		assert_true(i == 0 ? jobkit_holds(file, luajob_image(), LUAJOB_IMAGE)
				   : stat(file, &st) < 0);
		unlink(file);
		assert_int_equal(jobkit_leftovers(&k), 0);
		jobkit_remove(&k);
	}
}

/* ---- handlers of the device ---- */

static const char mine[] =
	"swupdate.register_handler('mine', function(i) assert(io and os) return "
	"swupdate.call_handler('raw', i) end) swupdate.register_handler('other', print)";

/* the file has these rights; it is named by the configuration or found in the Lua path */
static void device(unsigned mode, bool named, const char *lua, enum errcode code)
{
	const struct jobkit_part part = {"rootfs.img", luajob_image(), LUAJOB_IMAGE};
	char file[256], text[1024];
	struct jobkit k;

	jobkit_make(&k, "file");
	snprintf(file, sizeof(file), "%s/swupdate_handlers.lua", k.dir);
	assert_int_equal(sys_replace_file(file, mine, sizeof(mine) - 1, mode), 0);
	assert_int_equal(chmod(file, mode), 0);
	if (named)
		snprintf(k.globals + strlen(k.globals), sizeof(k.globals) - strlen(k.globals),
			 "\tlua-handlers = \"%s\";\n", file);
	snprintf(text, sizeof(text), "%s/?.lua", k.dir);
	setenv("LUA_PATH", named ? "/nowhere/?.lua" : text, 1);
	jobkit_configure(&k);
	snprintf(text, sizeof(text),
		 "software = {\nversion = \"2.0\";\n%simages: ( { filename = \"rootfs.img\"; slot "
		 "= \"rootfs\"; sha256 = \"@rootfs.img@\"; type = \"mine\"; } );\n};\n",
		 lua);
	jobkit_bundle(&k, text, &part, 1);
	jobkit_install(&k, JOB_INSTALL);
	if (k.e.code != code)
		fail_msg("%o: %s (%s) %s", mode, k.e.why, k.e.where, k.notes);
	assert_true(jobkit_holds(k.slot[1], luajob_image(), LUAJOB_IMAGE) == !code);
	assert_string_equal(jobkit_var(&k, "boot_slot"), code ? "a" : "b");
	if (!named && code)
		assert_non_null(strstr(k.notes, "others than root may change it"));
	unsetenv("LUA_PATH");
	unlink(file);
	assert_int_equal(jobkit_leftovers(&k), 0);
	jobkit_remove(&k);
}

static void handlers_of_the_device_are_loaded_from_the_lua_path_or_a_named_file(void **state)
{
	(void)state;
	device(0644, true, "", E_NONE);
	device(0644, false, "", E_NONE);
}

/* beside confined code of the bundle, and before what that registers */
static void handlers_of_the_device_come_first(void **state)
{
	(void)state;
	device(0644, true,
	       "embedded-script = \"assert(not io) swupdate.register_handler('mine', function() "
	       "error('the bundle') end)\";\n",
	       E_NONE);
}

static void t43_a_file_that_others_may_change_is_not_run(void **state)
{
	(void)state;
	device(0666, true, "", E_LUA);
	device(0664, false, "", E_HANDLER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			handlers_of_the_device_are_loaded_from_the_lua_path_or_a_named_file),
		cmocka_unit_test(handlers_of_the_device_come_first),
		cmocka_unit_test(t43_a_file_that_others_may_change_is_not_run),
		cmocka_unit_test(call_handler_hands_the_payload_on),
		cmocka_unit_test(what_call_handler_may_not_do_is_answered_with_the_reason),
		cmocka_unit_test(t40_call_handler_does_not_write_where_the_installer_lives),
		cmocka_unit_test(
			a_called_step_that_broke_off_fails_the_update_whatever_the_code_says),
		cmocka_unit_test(two_steps_do_not_write_the_same_bytes_also_when_one_is_called),
		cmocka_unit_test(a_slot_that_no_entry_named_is_not_taken_by_a_call),
		cmocka_unit_test(calls_do_not_go_on_for_ever),
		cmocka_unit_test(call_handler_is_refused_before_the_plan),
		cmocka_unit_test(a_called_file_is_put_in_place_and_taken_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
