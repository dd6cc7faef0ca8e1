/* A script of a bundle: stored, run with words and a clean environment, ended in time, told in
 * lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "corelib/process/childenv.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "handlers/script.h"
#include "tests/unit/kit/fake_host.h"
#include "tests/unit/kit/fake_stream.h"

struct bench {
	struct fake_host host;
	struct entry entry;
	struct property prop;
	const char *value;
	struct step st;
	struct err e;
	char out[160];
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	fake_host_init(&b->host);
	strcpy(b->host.folder, "/tmp/swinstall-script-XXXXXX");
	assert_non_null(mkdtemp(b->host.folder));
	snprintf(b->out, sizeof(b->out), "%s/out", b->host.folder);
	b->entry.filename = "x.sh";
	b->entry.section = SECTION_SCRIPTS;
	b->prop.name = "timeout";
	b->prop.values = &b->value;
	b->prop.count = 1;
	b->st.entry = &b->entry;
	b->st.host = &b->host.h;
	*state = b;
	return 0;
}

static void drop(const char *folder, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	unlink(path);
}

static int teardown(void **state)
{
	struct bench *b = *state;

	script_discard(&b->st);
	drop(b->host.folder, "x.sh");
	drop(b->host.folder, "0-x.sh");
	drop(b->host.folder, "out");
	drop(b->host.folder, "pid");
	assert_int_equal(rmdir(b->host.folder), 0);
	free(b);
	return 0;
}

/* '@' becomes the folder */
static int store(struct bench *b, const char *text)
{
	char full[1024];
	size_t n = 0;
	struct stream *s = NULL;
	int rc;

	for (; *text; text++)
		n += (size_t)snprintf(full + n, sizeof(full) - n, *text == '@' ? "%s" : "%.1s",
				      *text == '@' ? b->host.folder : text);
	assert_int_equal(stream_mem_open(&s, full, n, &b->e), 0);
	rc = script_install(&b->st, s, &b->e);
	stream_close(s);
	return rc;
}

static bool wrote(const struct bench *b, const char *want)
{
	AUTO_FREE char *text = NULL;
	size_t n;

	assert_int_equal(sys_read_file(-100, b->out, 4096, &text, &n), 0);
	if (strcmp(text, want) != 0)
		print_message("'%s'\n", text);
	return strcmp(text, want) == 0;
}

static bool said(const struct bench *b, const char *line)
{
	for (unsigned i = 0; i < b->host.said_count && i < FAKE_HOST_MAX; i++)
		if (strcmp(b->host.said[i], line) == 0)
			return true;
	return false;
}

static void the_phase_is_the_first_argument_then_the_words_of_data(void **state)
{
	struct bench *b = *state;

	b->entry.data = "'a b' $(id)";
	assert_int_equal(store(b, "#!/bin/sh\nfor w; do printf '<%s>' \"$w\"; done >>@/out\n"), 0);
	assert_int_equal(script_run(&b->st, PHASE_PREINSTALL, &b->e), 0);
	assert_int_equal(script_run(&b->st, PHASE_POSTINSTALL, &b->e), 0);
	assert_int_equal(script_run(&b->st, PHASE_POSTFAILURE, &b->e), 0);
	assert_int_equal(script_run_plain(&b->st, PHASE_POSTINSTALL, &b->e), 0);
	assert_true(wrote(b, "<preinst><a b><$(id)><postinst><a b><$(id)><postfailure><a b><$(id)>"
			     "<a b><$(id)>"));
}

static void t58_the_file_is_for_its_owner_only_and_a_second_one_gets_its_own_name(void **state)
{
	struct bench *b = *state;
	char path[256];
	struct stat st;

	assert_int_equal(store(b, "echo 1 >>@/out\n"), 0);
	snprintf(path, sizeof(path), "%s/x.sh", b->host.folder);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	script_discard(&b->st);
	assert_int_equal(store(b, "echo 2 >>@/out\n"), 0);
	assert_int_equal(script_run(&b->st, PHASE_PREINSTALL, &b->e), 0);
	assert_true(wrote(b, "2\n")); /* which names no interpreter either */
}

static void a_folder_that_is_gone_is_named(void **state)
{
	struct bench *b = *state;
	struct stream *s = NULL;

	assert_int_equal(stream_mem_open(&s, "echo\n", 5, &b->e), 0);
	b->host.folder[5] ^= 1; /* no such folder */
	assert_true(script_install(&b->st, s, &b->e) < 0);
	assert_int_equal(b->e.code, E_SYS);
	assert_non_null(strstr(b->e.why, "x.sh"));
	b->host.folder[5] ^= 1;
	stream_close(s);
}

static void what_was_not_stored_does_not_run(void **state)
{
	struct bench *b = *state;

	assert_true(script_run(&b->st, PHASE_PREINSTALL, &b->e) < 0);
	assert_int_equal(b->e.code, E_INTERNAL);
}

static void a_failure_tells_the_last_line_of_standard_error(void **state)
{
	struct bench *b = *state;

	assert_int_equal(store(b, "#!/bin/sh\necho one >&2; echo two >&2; exit 7\n"), 0);
	assert_true(script_run(&b->st, PHASE_POSTINSTALL, &b->e) < 0);
	assert_int_equal(b->e.code, E_PROCESS);
	assert_string_equal(b->e.why, "x.sh ended with status 7: two");
	assert_string_equal(b->e.what, "running x.sh postinst");
}

static void lines_have_the_level_of_their_descriptor(void **state)
{
	struct bench *b = *state;

	assert_int_equal(
		store(b, "#!/bin/sh\necho a; echo b >&2; echo c >&3; printf 'd\\033' >&4\n"), 0);
	assert_int_equal(script_run(&b->st, PHASE_PREINSTALL, &b->e), 0);
	assert_true(said(b, "5 a"));
	assert_true(said(b, "1 b"));
	assert_true(said(b, "3 c"));
	assert_true(said(b, "2 d\\x1b"));
}

static void t120_messages_are_bounded(void **state)
{
	struct bench *b = *state;

	assert_int_equal(store(b,
			       "#!/bin/sh\nyes 12345678901234567890123456789012345678901234567 | "
			       "head -c 2000000 >&3\n"),
			 0);
	assert_int_equal(script_run(&b->st, PHASE_PREINSTALL, &b->e), 0);
	assert_true(b->host.said_count > 5000);
	assert_true(b->host.said_count < 6000); /* of 48 bytes, 256 KiB */
}

static void t64_the_deadline_ends_a_session_of_its_own_too(void **state)
{
	struct bench *b = *state;
	AUTO_FREE char *text = NULL;
	char path[256];
	uint64_t pid = 0;
	size_t n;

	b->value = "1";
	b->entry.props = &b->prop;
	b->entry.prop_count = 1;
	assert_int_equal(store(b, "#!/bin/sh\nsetsid sh -c 'echo $$ >@/pid; exec sleep 1000' &\n"
				  "sleep 1000\n"),
			 0);
	assert_true(script_run(&b->st, PHASE_PREINSTALL, &b->e) < 0);
	assert_int_equal(b->e.code, E_DEADLINE);
	snprintf(path, sizeof(path), "%s/pid", b->host.folder);
	assert_int_equal(sys_read_file(-100, path, 64, &text, &n), 0);
	text[strcspn(text, "\n")] = '\0';
	assert_int_equal(text_u64(text, &pid), 0);
	assert_int_equal(kill((pid_t)pid, 0), -1);
	assert_int_equal(errno, ESRCH);
}

static void a_cancel_ends_it_but_not_its_tidying_up(void **state)
{
	struct bench *b = *state;
	static const volatile bool yes = true;

	b->host.h.cancel = &yes;
	assert_int_equal(store(b, "#!/bin/sh\n[ $1 = postfailure ] || sleep 1000\n"), 0);
	assert_true(script_run(&b->st, PHASE_PREINSTALL, &b->e) < 0);
	assert_int_equal(b->e.code, E_CANCELED);
	err_clear(&b->e);
	assert_int_equal(script_run(&b->st, PHASE_POSTFAILURE, &b->e), 0);
}

static void t41_data_that_is_no_words_is_refused_while_planning(void **state)
{
	struct bench *b = *state;

	assert_int_equal(script_check(&b->st, &b->e), 0);
	b->entry.data = "it's";
	assert_true(script_check(&b->st, &b->e) < 0);
	assert_int_equal(b->e.code, E_DESC_VALUE);
}

static void t60_an_environment_holds_our_list_only(void **state)
{
	static const char *const more[] = {"SWUPDATE_X=mine", NULL};
	AUTO_FREE const char **env = NULL;
	struct err e = {0};
	size_t n = 0;

	(void)state;
	setenv("SWUPDATE_X", "theirs", 1);
	setenv("SWINSTALL_Y", "kept", 1);
	setenv("LD_BIND_NOW", "1", 1);
	setenv("SWUPDATEX", "no", 1);
	assert_int_equal(childenv_make(&env, more, &e), 0);
	for (; env[n]; n++)
		assert_true(strncmp(env[n], "PATH=/", 6) == 0 || strcmp(env[n], "HOME=/") == 0 ||
			    strcmp(env[n], "SWUPDATE_X=mine") == 0 ||
			    strcmp(env[n], "SWINSTALL_Y=kept") == 0);
	assert_int_equal(n, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(the_phase_is_the_first_argument_then_the_words_of_data),
		T(t58_the_file_is_for_its_owner_only_and_a_second_one_gets_its_own_name),
		T(a_folder_that_is_gone_is_named),
		T(what_was_not_stored_does_not_run),
		T(a_failure_tells_the_last_line_of_standard_error),
		T(lines_have_the_level_of_their_descriptor),
		T(t120_messages_are_bounded),
		T(t64_the_deadline_ends_a_session_of_its_own_too),
		T(a_cancel_ends_it_but_not_its_tidying_up),
		T(t41_data_that_is_no_words_is_refused_while_planning),
		cmocka_unit_test(t60_an_environment_holds_our_list_only),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
