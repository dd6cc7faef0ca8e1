/* The plain environment: a text file that people edit too. */
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
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "corelib/bootenv/bootenv.h"
#include "kit/envkit.h"
#include "tests/unit/kit/fail_malloc.h"

static bool on_fat;
static char trace[64]; /* w: write, f: flush of a file, d: of a folder, r: rename */

int statfs(const char *path, struct statfs *st)
{
	int rc = (int)syscall(SYS_statfs, path, st);

	if (rc == 0 && on_fat)
		st->f_type = 0x2011bab0;
	return rc;
}

static void note(char what)
{
	size_t n = strlen(trace);

	if (n + 1 < sizeof(trace) && (!n || trace[n - 1] != what))
		trace[n] = what;
}

ssize_t write(int fd, const void *buf, size_t n)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		note('w');
	return syscall(SYS_write, fd, buf, n);
}

int fsync(int fd)
{
	struct stat st;

	note(fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) ? 'd' : 'f');
	return (int)syscall(SYS_fsync, fd);
}

int renameat(int olddir, const char *old, int newdir, const char *new)
{
	note('r');
	return (int)syscall(SYS_renameat2, olddir, old, newdir, new, 0);
}

int renameat2(int olddir, const char *old, int newdir, const char *new, unsigned flags)
{
	note('r');
	return (int)syscall(SYS_renameat2, olddir, old, newdir, new, flags);
}

/* ---- helpers ---- */

static char dir[64], path[96];
static struct bootenv_options options;
static struct bootenv *b;

static int setup(void **state)
{
	struct err e = {0};

	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test-envfile-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/env", dir);
	options = (struct bootenv_options){.kind = "file", .path = path};
	on_fat = false;
	return bootenv_open(&b, &options, &e);
}

static int teardown(void **state)
{
	(void)state;
	b = bootenv_close(b);
	return envkit_remove_tree(dir);
}

static enum errcode commit(const struct envset *s)
{
	struct err planned = {0}, e = {0};

	bootenv_check(b, s, &planned);
	bootenv_commit(b, s, &e);
	assert_int_equal(planned.code, e.code);
	return e.code;
}

static enum errcode change(const char *name, const char *value)
{
	struct envset s = {0};
	struct err e = {0};

	assert_int_equal(envset_put(&s, name, value, &e), 0);
	enum errcode code = commit(&s);
	envset_clear(&s);
	return code;
}

static void put(const char *text)
{
	envkit_write_file(path, text, strlen(text));
}

static void assert_text(const char *want)
{
	size_t n;
	char *text = envkit_read_file(path, &n);

	assert_string_equal(text, want);
	free(text);
}

static enum errcode load_code(void)
{
	struct envset all = {0};
	struct err e = {0};

	bootenv_load(b, &all, &e);
	envset_clear(&all);
	return e.code;
}

/* ---- promises ---- */

static void file_keeps_order_comments_and_empty_lines(void **state)
{
	struct envset s = {0};
	struct err e = {0};

	(void)state;
	put("# by hand\nslot=a\n\n  # indented\ntries=3\nlast=x");
	assert_int_equal(envset_put(&s, "slot", "b", &e), 0);
	assert_int_equal(envset_put(&s, "tries", NULL, &e), 0);
	assert_int_equal(envset_put(&s, "new", "#1 = x", &e), 0);
	assert_int_equal(commit(&s), E_NONE);
	envset_clear(&s);
	assert_text("# by hand\nslot=b\n\n  # indented\nlast=x\nnew=#1 = x\n");
}

static void file_name_that_begins_another_is_left_alone(void **state)
{
	(void)state;
	put("slot2=x\nslo=y\n#slot=z\nslot=a\n");
	assert_int_equal(change("slot", "b"), E_NONE);
	assert_text("slot2=x\nslo=y\n#slot=z\nslot=b\n");
}

static void file_variable_that_stands_twice_is_written_once(void **state)
{
	(void)state;
	put("a=1\nb=2\na=3\n");
	assert_int_equal(change("a", "4"), E_NONE);
	assert_text("a=4\nb=2\n");
}

static void file_that_is_missing_is_an_empty_environment(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(load_code(), E_NONE);
	assert_int_equal(change("a", "1"), E_NONE);
	assert_text("a=1\n");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
}

static void file_whose_folder_is_missing_is_refused(void **state)
{
	struct bootenv *none = NULL;
	struct err e = {0};
	char far[160];

	(void)state;
	snprintf(far, sizeof(far), "%s/no/env", dir);
	options.path = far;
	assert_true(bootenv_open(&none, &options, &e) < 0);
	assert_int_equal(e.code, E_ENV_READ);
}

static void file_with_a_line_that_says_nothing_is_refused_and_kept(void **state)
{
	static const char *const bad[] = {"slot\n", "a=1\n=b\n", "a b=1\n", "a=1\nx\x01=1\n",
					  "\x01"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		put(bad[i]);
		assert_int_equal(load_code(), E_ENV_READ);
		assert_int_equal(change("a", "2"), E_ENV_READ);
		assert_text(bad[i]);
	}
	envkit_write_file(path, "a=1\0b=2\n", 8);
	assert_int_equal(load_code(), E_ENV_READ);
	put("");
	assert_int_equal(truncate(path, 2 * 1024 * 1024), 0);
	assert_int_equal(load_code(), E_ENV_READ);
}

static void file_on_fat_is_refused_while_planning(void **state)
{
	(void)state;
	put("a=1\n");
	on_fat = true;
	assert_int_equal(change("a", "2"), E_ENV_TORN);
	assert_text("a=1\n");
	assert_int_equal(load_code(), E_NONE);
}

/* T104: the new bytes are on the medium before their name, and the name before success */
static void t104_file_flushes_before_and_after_the_rename(void **state)
{
	(void)state;
	put("a=1\n");
	memset(trace, 0, sizeof(trace));
	assert_int_equal(change("a", "2"), E_NONE);
	assert_string_equal(trace, "wfrd");
}

static void file_that_would_grow_too_large_is_refused(void **state)
{
	char *value = calloc(1, 65537);
	struct envset s = {0};
	struct err e = {0};

	(void)state;
	memset(value, 'v', 65536);
	for (int i = 0; i < 17; i++) {
		char name[16];

		snprintf(name, sizeof(name), "v%d", i);
		assert_int_equal(envset_put(&s, name, value, &e), 0);
	}
	assert_int_equal(commit(&s), E_ENV_BIG);
	assert_int_equal(access(path, F_OK), -1);
	envset_clear(&s);
	free(value);
}

/* T111 */
static void t111_file_commit_without_memory_changes_nothing_or_all(void **state)
{
	struct envset s = {0};
	struct err e = {0};

	(void)state;
	if (!fail_malloc_works())
		skip();
	put("a=1\nb=2\n");
	assert_int_equal(envset_put(&s, "a", "2", &e), 0);
	for (unsigned n = 1;; n++) {
		e = (struct err){0};
		fail_malloc_at(n);
		int rc = bootenv_commit(b, &s, &e);
		bool failed = fail_malloc_off();
		if (failed && rc < 0)
			assert_int_equal(e.sys, ENOMEM);
		assert_int_equal(load_code(), E_NONE);
		if (!failed) {
			assert_int_equal(rc, 0);
			break;
		}
		assert_true(n < 500);
		put("a=1\nb=2\n");
	}
	assert_text("a=2\nb=2\n");
	envset_clear(&s);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(file_keeps_order_comments_and_empty_lines),
		T(file_name_that_begins_another_is_left_alone),
		T(file_variable_that_stands_twice_is_written_once),
		T(file_that_is_missing_is_an_empty_environment),
		T(file_whose_folder_is_missing_is_refused),
		T(file_with_a_line_that_says_nothing_is_refused_and_kept),
		T(file_on_fat_is_refused_while_planning),
		T(t104_file_flushes_before_and_after_the_rename),
		T(file_that_would_grow_too_large_is_refused),
		T(t111_file_commit_without_memory_changes_nothing_or_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
