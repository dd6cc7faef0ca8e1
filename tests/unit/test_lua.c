/* Lua scripts of a bundle: phases, module swupdate, what comes back to the job, what is ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "corelib/base/lines.h"
#include "corelib/base/sys.h"
#include "handlers/handler.h"
#include "tests/unit/kit/fake_host.h"
#include "tests/unit/kit/fake_stream.h"
#include "tests/unit/kit/hang.h"

struct bench {
	struct fake_host host;
	struct entry entry;
	struct property prop;
	const char *value;
	struct step st;
	struct err e;
	const struct handler *h;
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	fake_host_init(&b->host);
	strcpy(b->host.folder, "/tmp");
	b->host.h.board = "lamp";
	b->host.h.revision = "1.2";
	b->host.h.select = "stable,copy2";
	b->entry.filename = "x.lua";
	b->entry.section = SECTION_SCRIPTS;
	b->prop.values = &b->value;
	b->prop.count = 1;
	b->st.entry = &b->entry;
	b->st.host = &b->host.h;
	b->h = handler_find("lua");
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	b->h->discard(&b->st);
	free(b);
	return 0;
}

static int run(struct bench *b, enum phase phase, const char *text)
{
	struct stream *s = NULL;
	int rc;

	err_clear(&b->e);
	b->h->discard(&b->st);
	assert_int_equal(stream_mem_open(&s, text, strlen(text), &b->e), 0);
	rc = b->h->install(&b->st, s, &b->e);
	stream_close(s);
	assert_int_equal(rc, 0);
	return b->h->run(&b->st, phase, &b->e);
}

static int pre(struct bench *b, const char *text)
{
	return run(b, PHASE_PREINSTALL, text);
}

static bool said(const struct bench *b, const char *line)
{
	for (unsigned i = 0; i < b->host.said_count && i < FAKE_HOST_MAX; i++)
		if (strcmp(b->host.said[i], line) == 0)
			return true;
	return false;
}

static void each_phase_calls_its_function_with_data(void **state)
{
	static const char text[] = "function preinst(d) return true, 'pre ' .. d end\n"
				   "function postinst(d) return true, 'post ' .. d end\n"
				   "function postfailure(d) return true, 'failed ' .. d end\n";
	struct bench *b = *state;

	b->entry.data = "a $(id)";
	for (enum phase p = PHASE_PREINSTALL; p <= PHASE_POSTFAILURE; p++)
		assert_int_equal(run(b, p, text), 0);
	assert_true(said(b, "3 pre a $(id)"));
	assert_true(said(b, "3 post a $(id)"));
	assert_true(said(b, "3 failed a $(id)"));
}

static void functions_may_be_named_by_properties_or_be_missing(void **state)
{
	struct bench *b = *state;

	assert_int_equal(pre(b, "x = 1"), 0);
	b->prop.name = "preinstall";
	b->value = "mine";
	b->entry.props = &b->prop;
	b->entry.prop_count = 1;
	assert_int_equal(pre(b, "function mine() return true, 'called' end"), 0);
	assert_true(said(b, "3 called"));
}

static void what_is_not_true_fails_with_the_text_of_the_script(void **state)
{
	struct bench *b = *state;

	assert_true(pre(b, "function preinst() return false, 'no power' end") < 0);
	assert_int_equal(b->e.code, E_LUA);
	assert_string_equal(b->e.why, "preinst: no power");
	assert_true(pre(b, "function preinst() end") < 0);
	assert_int_equal(b->e.code, E_LUA);
	assert_true(pre(b, "function preinst() local t; return t.x end") < 0);
	assert_non_null(strstr(b->e.why, "x.lua:1: attempt to index a nil value"));
	assert_true(pre(b, "\27Lua") < 0);
	assert_int_equal(b->e.code, E_LUA);
}

static void boot_variables_come_back_to_the_job(void **state)
{
	struct bench *b = *state;

	assert_int_equal(pre(b, "local s = require('swupdate')\n"
				"function preinst() s.set_bootenv('a', 'one two')\n"
				"assert(s.get_bootenv('a') == 'one two')\n"
				"assert(s.get_bootenv('none') == '')\n"
				"swinstall.set_bootenv('gone') return true end"),
			 0);
	assert_int_equal(b->host.var_count, 2);
	assert_string_equal(b->host.vars[0].value, "one two");
	assert_string_equal(b->host.vars[1].name, "gone");
	assert_true(b->host.vars[1].unset);
	b->host.fail_at = 3;
	assert_true(pre(b, "function preinst() swupdate.set_bootenv('b', '1') return true end") <
		    0);
	assert_int_equal(b->e.code, E_ENV_NAME);
}

static void messages_have_their_level(void **state)
{
	struct bench *b = *state;

	assert_int_equal(pre(b, "local s = swupdate\n"
				"s.error('%d of %s', 1, 'two') s.warn('100%') s.info('i')\n"
				"s.debug('d') s.trace('t') s.progress('half')\n"
				"s.notify(s.RECOVERY_STATUS.RUN, 0, 'told')\n"
				"s.progress_update(50) print('printed', 1)"),
			 0);
	assert_true(said(b, "1 1 of two"));
	assert_true(said(b, "2 100%"));
	assert_true(said(b, "3 i"));
	assert_true(said(b, "4 d"));
	assert_true(said(b, "5 t"));
	assert_true(said(b, "3 told"));
	assert_true(said(b, "5 printed\t1") || said(b, "5 printed 1"));
	assert_string_equal(b->host.told[0], "half");
}

static void the_module_knows_the_device(void **state)
{
	struct bench *b = *state;

	assert_int_equal(
		pre(b, "local s = swupdate\n"
		       "assert(s.get_hw().boardname == 'lamp' and s.get_hw().revision == '1.2')\n"
		       "local set, mode = s.get_selection()\n"
		       "assert(set == 'stable' and mode == 'copy2')\n"
		       "local v = s.getversion()\n"
		       "assert(v.version >= 2022 and v[1] == v.version and v[2] == v.patchlevel)\n"
		       "assert(type(v.swinstall) == 'string')\n"
		       "assert(s.handler.dummy == 1 and s.handler.nothing == nil)\n"
		       "assert(s.is_dryrun() == false)\n"
		       "assert(s.tmpdir() == '/tmp/' and s.tmpdirscripts() == '/tmp/')\n"
		       "assert(s.RECOVERY_STATUS.PROGRESS == 8)"),
		0);
}

/* T64, T61 */
static void t64_a_script_that_blocks_is_ended_with_what_it_started(void **state)
{
	struct bench *b = *state;
	uint64_t began = sys_now_ms();
	int own = getpid(); /* other runs of this test may be on the machine */
	char code[96], look[64];

	snprintf(code, sizeof(code), "os.execute('setsid sleep 7%07d & sleep 7%07d')", own, own);
	snprintf(look, sizeof(look), "pgrep -f 'sleep [7]%07d' >/dev/null", own);
	b->prop.name = "timeout";
	b->value = "1";
	b->entry.props = &b->prop;
	b->entry.prop_count = 1;
	assert_int_equal(pre(b, code), -ETIMEDOUT);
	assert_int_equal(b->e.code, E_DEADLINE);
	assert_true(sys_now_ms() - began < HANG_MS);
	assert_int_not_equal(system(look), 0);
}

static void the_whole_library_is_there_and_output_is_told(void **state)
{
	struct bench *b = *state;

	assert_int_equal(pre(b, "io.write('by io\\n') os.execute('echo by a shell')\n"
				"assert(package and debug and os.getenv)"),
			 0);
	assert_true(said(b, "5 by io"));
	assert_true(said(b, "5 by a shell"));
}

/* lines of 512 bytes with their end: 1 MiB and what says that there is more */
static void is_bounded(struct bench *b, const char *code)
{
	b->host.said_count = 0;
	assert_int_equal(pre(b, code), 0);
	assert_int_equal(b->host.said_count, LINES_TOTAL / 512 + 1);
	b->host.said_count = 0;
}

static void t120_floods_of_output_and_messages_are_bounded(void **state)
{
	struct bench *b = *state;

	is_bounded(b, "local x = ('x'):rep(511) .. '\\n'\n"
		      "for i = 1, 5000 do io.write(x) end");
	is_bounded(b, "local x = ('x'):rep(511)\n"
		      "for i = 1, 2500 do print(x) swupdate.error(x) end");
}

static void t120_a_script_fails_with_its_reason_behind_a_flood(void **state)
{
	struct bench *b = *state;

	assert_true(pre(b, "for i = 1, 3000 do swupdate.progress(('x'):rep(511)) end\n"
			   "swupdate.set_bootenv('behind', '1')\n"
			   "function preinst() return false, 'no power' end") < 0);
	assert_string_equal(b->e.why, "preinst: no power");
	assert_int_equal(b->host.var_count, 1);
	assert_true(said(b, "2 (more output of this program is not shown)"));
}

static void an_end_of_the_script_is_not_the_end_of_the_job(void **state)
{
	struct bench *b = *state;

	assert_true(pre(b, "os.exit(0)") < 0);
	assert_int_equal(b->e.code, E_LUA);
	assert_true(pre(b, "os.execute('kill -9 $PPID')") < 0);
	assert_int_equal(b->e.code, E_PROCESS);
}

static void the_root_device_is_told_as_the_kernel_was(void **state)
{
	char root[] = "/tmp/swinstall-lua-XXXXXX", path[64];
	struct bench *b = *state;
	int rc;

	assert_non_null(mkdtemp(root));
	snprintf(path, sizeof(path), "%s/proc", root);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/proc/cmdline", root);
	assert_int_equal(sys_replace_file(path, "quiet root=PARTUUID=12-3 rw\n", 28, 0600), 0);
	sys_set_root(root);
	rc = pre(b, "local r, k = swupdate.getroot(), swupdate.ROOT_DEVICE\n"
		    "assert(r.type == k.PARTUUID and r.value == '12-3')\n"
		    "assert(r.path == '/dev/disk/by-partuuid/12-3')\n"
		    "assert(swupdate.get_cmdline() == 'quiet root=PARTUUID=12-3 rw')");
	assert_int_equal(sys_replace_file(path, "root=/dev/sda1", 14, 0600), 0);
	if (rc == 0)
		rc = pre(
			b,
			"local r, k = swupdate.getroot(), swupdate.ROOT_DEVICE\n"
			"assert(r.type == k.PATH and r.path == '/dev/sda1' and r.value == r.path)");
	sys_set_root(NULL);
	unlink(path);
	snprintf(path, sizeof(path), "%s/proc", root);
	rmdir(path);
	rmdir(root);
	if (rc != 0)
		fail_msg("%s", b->e.why);
}

static void what_a_script_mounts_and_leaves_is_taken_away(void **state)
{
	char folder[] = "/tmp/swinstall-lua-XXXXXX";
	struct bench *b = *state;

	assert_non_null(mkdtemp(folder));
	if (mount("none", folder, "tmpfs", 0, NULL) < 0) {
		print_message("SKIP: mounting is not possible here\n");
		rmdir(folder);
		return;
	}
	assert_int_equal(umount(folder), 0);
	strcpy(b->host.folder, folder);
	assert_int_equal(
		pre(b,
		    "local p = assert(swupdate.mount('none', 'tmpfs'))\n"
		    "local q = assert(swupdate.mount('none', 'tmpfs'))\n"
		    "assert(p ~= q and io.open(p .. '/x', 'w')):close()\n"
		    "local seen = false\n"
		    "for l in io.lines('/proc/self/mounts') do\n"
		    "if l:find(p, 1, true) then assert(l:find('nosuid,nodev')) seen = true end end\n"
		    "assert(seen and swupdate.umount(p) == true)\n"
		    "assert(swupdate.umount(p) == nil and swupdate.umount('/tmp') == nil)\n"
		    "assert(select(2, swupdate.mount('/nowhere', 'ext4')))"),
		0);
	/* a mount that stayed would keep the folder */
	assert_int_equal(rmdir(folder), 0);
}

static void stat_tells_what_a_path_leads_to(void **state)
{
	struct bench *b = *state;
	char file[] = "/tmp/swinstall-lua-XXXXXX", text[1024];
	int fd = mkstemp(file), rc;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "12345", 5), 5);
	assert_int_equal(fchmod(fd, 0640), 0);
	close(fd);
	snprintf(text, sizeof(text),
		 "local s = swupdate.stat('%s')\n"
		 "assert(s.mode == 'regular file' and s.size == 5 and s.nlink == 1)\n"
		 "assert(s.permissions == 'rw-r-----' and s.uid == %u and s.ino > 0)\n"
		 "assert(s.dev.major and s.dev.minor and s.blksize > 0 and s.blocks)\n"
		 "assert(s.modification:find('^%%a+ %%a+ +%%d+ %%d+:%%d+:%%d+ %%d+$'))\n"
		 "assert(s.access and s.change)\n"
		 "local n = swupdate.stat('/dev/null')\n"
		 "assert(n.mode == 'char device' and n.rdev.major == 1 and n.rdev.minor == 3)\n"
		 "assert(swupdate.stat('/').mode == 'directory')\n"
		 "local none, why = swupdate.stat('/nowhere')\n"
		 "assert(none == nil and why:find('/nowhere', 1, true))",
		 file, (unsigned)getuid());
	rc = pre(b, text);
	unlink(file);
	if (rc != 0)
		fail_msg("%s", b->e.why);
}

static void emmcbootpart_of_what_is_no_emmc_is_minus_one_and_a_text(void **state)
{
	struct bench *b = *state;

	assert_int_equal(pre(b, "local n, why = swupdate.emmcbootpart('/dev/null')\n"
				"assert(n == -1 and why:find('/dev/null', 1, true))\n"
				"assert(swupdate.emmcbootpart('/nowhere') == -1)"),
			 0);
}

/* ---- call_handler, asked of the job by record ---- */

static void a_script_calls_a_handler_of_the_job_and_hears_how_it_ended(void **state)
{
	struct bench *b = *state;

	if (pre(b, "local image = { filename = '/tmp/x.img', slot = 'rootfs', offset = 4096,\n"
		   "compressed = 'zstd', properties = { one = '1', many = { 'a', 'b' } } }\n"
		   "function preinst() local rc, why = swupdate.call_handler('raw', image)\n"
		   "assert(rc == 0 and why == nil and image.filename == '/tmp/x.img')\n"
		   "rc, why = swupdate.call_handler('broken', { data = 'x' })\n"
		   "assert(rc == 1 and why:find('the fake is broken') and why:find('E_TARGET'))\n"
		   "return true end") != 0)
		fail_msg("%s", b->e.why);
	assert_int_equal(b->host.calls, 2);
	assert_string_equal(b->host.call_type, "broken");
	assert_string_equal(b->host.call_file, "");
	assert_int_equal(pre(b, "swupdate.call_handler('raw', { filename = '/tmp/x.img', slot = "
				"'rootfs', offset = 4096, properties = { one = '1' } })"),
			 0);
	assert_string_equal(b->host.call_file, "/tmp/x.img");
	assert_string_equal(b->host.call_text,
			    "entry = {\n\tfilename = \"x.img\";\n\ttype = \"raw\";\n"
			    "\tslot = \"rootfs\";\n\toffset = 4096;\n\tcompressed = false;\n"
			    "\tencrypted = false;\n\tinstalled-directly = false;\n"
			    "\tinstall-if-different = false;\n\tinstall-if-higher = false;\n"
			    "\tpreserve-attributes = false;\n"
			    "\tproperties = {\n\t\tone = \"1\";\n\t};\n};\n");
}

static void a_number_that_is_not_whole_is_asked_for_as_it_is(void **state)
{
	struct bench *b = *state;

	if (pre(b, "assert(swupdate.call_handler('raw', { offset = 0.5 }) == 0)") != 0)
		fail_msg("%s", b->e.why);
	assert_non_null(strstr(b->host.call_text, "offset = 0.5;"));
}

static void an_image_that_no_entry_can_be_is_refused_before_the_job_is_asked(void **state)
{
	static const char *const images[] = {
		"{ surprise = 'x' }",
		"{ device = {} }",
		"{ device = 'a\\0b' }",
		"{ properties = { ['a b'] = 'x' } }",
		"{ data = string.rep('x', 7000) }",
		"{ filename = '/tmp/' }",
		"nil",
	};
	struct bench *b = *state;
	char text[256];

	for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
		snprintf(text, sizeof(text), "swupdate.call_handler('raw', %s)", images[i]);
		assert_true(pre(b, text) < 0);
		assert_int_equal(b->e.code, E_LUA);
	}
	assert_int_equal(b->host.calls, 0);
}

static void global_state_is_refused_while_planning(void **state)
{
	struct bench *b = *state;

	b->prop.name = "global-state";
	b->value = "true";
	b->entry.props = &b->prop;
	b->entry.prop_count = 1;
	assert_int_equal(b->h->check(&b->st, &b->e), -ENOTSUP);
	assert_int_equal(b->e.code, E_NOT_BUILT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_phase_calls_its_function_with_data),
		TEST(functions_may_be_named_by_properties_or_be_missing),
		TEST(what_is_not_true_fails_with_the_text_of_the_script),
		TEST(boot_variables_come_back_to_the_job),
		TEST(messages_have_their_level),
		TEST(the_module_knows_the_device),
		TEST(t64_a_script_that_blocks_is_ended_with_what_it_started),
		TEST(the_whole_library_is_there_and_output_is_told),
		TEST(t120_floods_of_output_and_messages_are_bounded),
		TEST(t120_a_script_fails_with_its_reason_behind_a_flood),
		TEST(an_end_of_the_script_is_not_the_end_of_the_job),
		TEST(the_root_device_is_told_as_the_kernel_was),
		TEST(what_a_script_mounts_and_leaves_is_taken_away),
		TEST(stat_tells_what_a_path_leads_to),
		TEST(emmcbootpart_of_what_is_no_emmc_is_minus_one_and_a_text),
		TEST(a_script_calls_a_handler_of_the_job_and_hears_how_it_ended),
		TEST(a_number_that_is_not_whole_is_asked_for_as_it_is),
		TEST(an_image_that_no_entry_can_be_is_refused_before_the_job_is_asked),
		TEST(global_state_is_refused_while_planning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
