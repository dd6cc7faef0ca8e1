/* Which configuration counts, what the command line lays over it, and which root device there is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cli/configure.h"
#include "core/cli/rootdev.h"
#include "core/cli/swinstall_options.h"
#include "corelib/base/log.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

/* a root of our own, in the working folder's place for temporary things */
static char root[256];

static void put_file(const char *name, const char *text)
{
	char path[512];
	FILE *f;

	text_print(path, sizeof(path), "%s%s", root, name);
	for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
		*p = '/';
	}
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int setup(void **state)
{
	static const struct log_config quiet = {.level = LOG_LEVEL_ERROR, .fd = -1};

	(void)state;
	log_init(&quiet);
	umask(022);
	text_copy(root, sizeof(root), "/tmp/swinstall-test-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	sys_set_root(root);
	return 0;
}

static int teardown(void **state)
{
	static const char *const files[] = {
		"/etc/swinstall.cfg",
		"/etc/swupdate.cfg",
		"/etc",
		"/proc/self/mountinfo",
		"/proc/self",
		"/proc/cmdline",
		"/proc",
		"/sys/dev/block/179:2/uevent",
		"/sys/dev/block/179:2",
		"/sys/dev/block",
		"/sys/dev",
		"/sys",
		"/own.cfg",
		"",
	};
	char path[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		text_print(path, sizeof(path), "%s%s", root, files[i]);
		(void)remove(path);
	}
	sys_set_root(NULL);
	return 0;
}

static const char ours[] = "globals : { loglevel = 2; bootloader = \"grub\"; };";
static const char theirs[] = "globals : { loglevel = 4; bootloader = \"uboot\"; };";

static struct settings *read_with(const char *file, bool compat)
{
	const struct configure c = {.file = file, .compat = compat};
	struct settings *s = NULL;
	struct err e = {0};

	if (configure(&s, &c, &e) < 0)
		fail_msg("%s", e.why);
	return s;
}

static void our_file_goes_before_theirs(void **state)
{
	struct settings *s;

	(void)state;
	put_file("/etc/swupdate.cfg", theirs);
	s = read_with(NULL, false);
	assert_int_equal(s->loglevel, 4);
	assert_true(s->compat);
	assert_string_equal(s->file, "/etc/swupdate.cfg");
	settings_free(s);
	put_file("/etc/swinstall.cfg", ours);
	s = read_with(NULL, false);
	assert_int_equal(s->loglevel, 2);
	assert_false(s->compat);
	settings_free(s);
}

/* the trial of doc/migrating-from-swupdate.md must judge as plain swinstall does */
static void a_configuration_of_theirs_has_the_same_trust_found_and_named(void **state)
{
	struct settings *s;
	char path[512];

	(void)state;
	put_file("/etc/swupdate.cfg", theirs);
	s = read_with(NULL, false);
	assert_true(settings_lua_full(s));
	settings_free(s);
	assert_int_equal(sys_path("/etc/swupdate.cfg", path, sizeof(path)), 0);
	s = read_with(path, false);
	assert_true(settings_lua_full(s));
	settings_free(s);
	put_file("/etc/other.cfg", theirs);
	assert_int_equal(sys_path("/etc/other.cfg", path, sizeof(path)), 0);
	s = read_with(path, false);
	assert_false(settings_lua_full(s));
	settings_free(s);
	unlink(path);
}

static void a_program_called_swupdate_reads_only_its_file(void **state)
{
	struct settings *s;

	(void)state;
	put_file("/etc/swinstall.cfg", ours);
	put_file("/etc/swupdate.cfg", theirs);
	s = read_with(NULL, true);
	assert_int_equal(s->loglevel, 4);
	assert_true(s->compat);
	settings_free(s);
	assert_true(configure_is_compat("/usr/bin/swupdate"));
	assert_true(configure_is_compat("swupdate"));
	assert_false(configure_is_compat("/usr/bin/swinstall"));
	assert_false(configure_is_compat("/opt/swupdate/swinstall"));
}

static void a_named_file_counts_alone(void **state)
{
	char path[512];
	struct settings *s;

	(void)state;
	put_file("/etc/swinstall.cfg", ours);
	put_file("/own.cfg", "globals : { loglevel = 5; };");
	text_print(path, sizeof(path), "%s/own.cfg", root);
	s = read_with(path, false);
	assert_int_equal(s->loglevel, 5);
	assert_null(s->bootloader);
	settings_free(s);
}

static void refused(const struct configure *c, enum errcode code, const char *says)
{
	struct settings *s = NULL;
	struct err e = {0};

	assert_true(configure(&s, c, &e) < 0);
	assert_null(s);
	assert_int_equal(e.code, code);
	if (!strstr(e.why, says))
		fail_msg("'%s' does not say '%s'", e.why, says);
}

static void no_file_is_an_error_unless_a_key_is_given(void **state)
{
	struct configure c = {.compat = false};
	struct settings *s = NULL;
	struct err e = {0};

	(void)state;
	refused(&c, E_CONFIG, "neither /etc/swinstall.cfg nor /etc/swupdate.cfg");
	c.compat = true;
	refused(&c, E_CONFIG, "there is no /etc/swupdate.cfg");
	c.may_lack = true;
	assert_int_equal(configure(&s, &c, &e), 0);
	assert_null(s->file);
	settings_free(s);
	c.file = "/no/such/file";
	refused(&c, E_CONFIG, "No such file");
}

static void a_broken_file_names_its_line(void **state)
{
	struct configure c = {.compat = false};
	struct settings *s = NULL;
	struct err e = {0};

	(void)state;
	put_file("/etc/swinstall.cfg", "globals : {\n loglevel = \"x\";\n};");
	assert_true(configure(&s, &c, &e) < 0);
	assert_int_equal(e.code, E_CONFIG);
	assert_non_null(strstr(e.where, "/etc/swinstall.cfg"));
	assert_non_null(strstr(e.where, "2"));
}

/* T6, T17: it names commands and keys, so nobody else may be able to write it */
static void t06_a_file_that_others_can_change_is_refused(void **state)
{
	struct configure c = {.compat = false};
	char path[512];

	(void)state;
	put_file("/etc/swinstall.cfg", ours);
	text_print(path, sizeof(path), "%s/etc/swinstall.cfg", root);
	assert_int_equal(chmod(path, 0666), 0);
	refused(&c, E_CONFIG, "can change it");
	assert_int_equal(chmod(path, 0644), 0);
	text_print(path, sizeof(path), "%s/etc", root);
	assert_int_equal(chmod(path, 0777), 0);
	refused(&c, E_CONFIG, "can change it");
	assert_int_equal(chmod(path, 0755), 0);
}

static void the_command_line_wins_over_the_file(void **state)
{
	char *argv[] = {(char *)(uintptr_t) "swinstall", (char *)(uintptr_t) "-Bfile",
			(char *)(uintptr_t) "-l5",	 (char *)(uintptr_t) "-H",
			(char *)(uintptr_t) "brd:1.2",	 (char *)(uintptr_t) "a.swu"};
	struct swinstall_cli cli;
	struct options o;
	struct settings *s = NULL;
	struct err e = {0};
	struct configure c = {.options = &o};

	(void)state;
	put_file("/etc/swinstall.cfg", ours);
	assert_int_equal(swinstall_cli_parse(&cli, &o, ARRAY_SIZE(argv), argv, &e), 0);
	c.board = cli.board;
	assert_int_equal(configure(&s, &c, &e), 0);
	assert_string_equal(s->bootloader, "file");
	assert_int_equal(s->loglevel, 5);
	assert_string_equal(s->board, "brd");
	assert_string_equal(s->revision, "1.2");
	settings_free(s);
	options_clear(&o);
}

static void a_board_has_a_name_and_a_revision(void **state)
{
	static const char *const bad[] = {"board", ":1", "board:", ""};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct configure c = {.board = bad[i], .may_lack = true};

		refused(&c, E_USAGE, "BOARD:REVISION");
	}
}

static void a_selection_must_be_among_the_accepted_ones(void **state)
{
	static const struct {
		const char *select;
		const char *says; /* NULL = accepted */
	} rows[] = {
		{"stable,a", NULL},	{"stable,b", NULL}, {"main,a", "accepts"},
		{"stable", "SET,MODE"}, {",a", "SET,MODE"}, {"stable,", "SET,MODE"},
		{"a,b,c", "SET,MODE"},
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct configure c = {.compat = false};

		text_print(
			text, sizeof(text),
			"globals : { select = \"%s\"; accepted-select = (\"stable,a\", \"stable,b\"); };",
			rows[i].select);
		put_file("/etc/swinstall.cfg", text);
		if (rows[i].says)
			refused(&c, E_SELECT, rows[i].says);
		else
			settings_free(read_with(NULL, false));
	}
	put_file("/etc/swinstall.cfg", "globals : { select = \"any,thing\"; };");
	settings_free(read_with(NULL, false));
}

static void root_is(const char *mountinfo, const char *cmdline, const char *expected)
{
	char name[128] = "";
	struct err e = {0};

	put_file("/proc/self/mountinfo", mountinfo);
	put_file("/proc/cmdline", cmdline);
	put_file("/sys/dev/block/179:2/uevent",
		 "MAJOR=179\nMINOR=2\nDEVNAME=mmcblk0p2\nDEVTYPE=partition\n");
	if (!expected) {
		assert_true(rootdev_find(name, sizeof(name), &e) < 0);
		assert_int_equal(e.code, E_SLOT);
		return;
	}
	assert_int_equal(rootdev_find(name, sizeof(name), &e), 0);
	assert_string_equal(name, expected);
}

static void the_root_device_comes_from_mounts_then_from_the_kernel(void **state)
{
	(void)state;
	root_is("22 1 179:2 / / rw - ext4 /dev/root rw\n23 22 0:5 / /proc rw - proc proc rw\n",
		"quiet\n", "/dev/mmcblk0p2");
	root_is("1 1 0:2 / / rw - rootfs rootfs rw\n22 1 179:2 / / rw shared:1 - ext4 /dev/root rw\n",
		"", "/dev/mmcblk0p2");
	root_is("22 1 0:30 / / rw - btrfs /dev/sda2 rw\n", "", "/dev/sda2");
	root_is("22 1 0:30 / / rw - overlay overlay rw\n", "console=ttyS0 root=/dev/mmcblk1p3 ro\n",
		"/dev/mmcblk1p3");
	root_is("22 1 0:30 / / rw - overlay overlay rw\n", "root=PARTUUID=1 xroot=/dev/x\n", NULL);
	root_is("broken\n - \n", "", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(our_file_goes_before_theirs, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_configuration_of_theirs_has_the_same_trust_found_and_named, setup,
			teardown),
		cmocka_unit_test_setup_teardown(a_program_called_swupdate_reads_only_its_file,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_named_file_counts_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(no_file_is_an_error_unless_a_key_is_given, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_broken_file_names_its_line, setup, teardown),
		cmocka_unit_test_setup_teardown(t06_a_file_that_others_can_change_is_refused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_command_line_wins_over_the_file, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_board_has_a_name_and_a_revision, setup, teardown),
		cmocka_unit_test_setup_teardown(a_selection_must_be_among_the_accepted_ones, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			the_root_device_comes_from_mounts_then_from_the_kernel, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
