/*
 * One table of promises, kept by every boot environment. Other programs (fw_setenv, fw_printenv,
 * grub-editenv) write what we read and read what we write.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "corelib/bootenv/bootenv.h"
#include "kit/envkit.h"
#include "tests/unit/kit/own_locks.h"
#include "tests/unit/kit/fail_malloc.h"

/* ---- the medium: calls that change it are counted, and the power is cut at one of them ---- */

static bool on_fat;
struct power {
	long events, cut_at; /* cut_at < 0: never */
	bool off;
};
static struct power *power; /* shared with the processes that write */
static bool lose;	    /* what changes a file says that it did, and does nothing */

static void power_event(void)
{
	if (power->off || power->events++ == power->cut_at) {
		power->off = true;
		_exit(99);
	}
}

static bool is_file(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static bool on_medium(int fd)
{
	return power && power->cut_at != -1 && is_file(fd);
}

ssize_t write(int fd, const void *buf, size_t n)
{
	size_t done = 0;

	if (lose && is_file(fd))
		return (ssize_t)n;
	if (!on_medium(fd))
		return syscall(SYS_write, fd, buf, n);
	while (done < n) {
		size_t now = n - done < 512 ? n - done : 512;
		power_event();
		ssize_t rc = syscall(SYS_write, fd, (const char *)buf + done, now);
		if (rc <= 0)
			return rc;
		done += (size_t)rc;
	}
	return (ssize_t)done;
}

ssize_t pwrite(int fd, const void *buf, size_t n, off_t off)
{
	size_t done = 0;

	if (lose && is_file(fd))
		return (ssize_t)n;
	while (on_medium(fd) && n - done > 512) {
		power_event();
		syscall(SYS_pwrite64, fd, (const char *)buf + done, 512, off + (off_t)done);
		done += 512;
	}
	if (on_medium(fd))
		power_event();
	ssize_t rc =
		syscall(SYS_pwrite64, fd, (const char *)buf + done, n - done, off + (off_t)done);
	return rc < 0 ? rc : (ssize_t)done + rc;
}

int fsync(int fd)
{
	if (on_medium(fd))
		power_event();
	return (int)syscall(SYS_fsync, fd);
}

int renameat2(int olddir, const char *old, int newdir, const char *new, unsigned flags)
{
	if (power && power->cut_at != -1)
		power_event();
	if (lose)
		return 0;
	return (int)syscall(SYS_renameat2, olddir, old, newdir, new, flags);
}

int renameat(int olddir, const char *old, int newdir, const char *new)
{
	return renameat2(olddir, old, newdir, new, 0);
}

int statfs(const char *path, struct statfs *st)
{
	int rc = (int)syscall(SYS_statfs, path, st);

	if (rc == 0 && on_fat)
		st->f_type = 0x4d44;
	return rc;
}

/* ---- small helpers ---- */

static struct bootenv *open_env(const struct envkit *k)
{
	struct bootenv *b = NULL;
	struct err e = {0};

	if (bootenv_open(&b, &k->options, &e) < 0)
		print_error("%s: %s\n", k->kind->label, e.why);
	assert_non_null(b);
	return b;
}

static void set(struct envset *s, const char *name, const char *value)
{
	struct err e = {0};

	assert_int_equal(envset_put(s, name, value, &e), 0);
}

static int commit(struct bootenv *b, const char *name, const char *value, struct err *e)
{
	struct envset s = {0};

	set(&s, name, value);
	int rc = bootenv_commit(b, &s, e);
	envset_clear(&s);
	return rc;
}

static void commit_ok(struct bootenv *b, const char *name, const char *value)
{
	struct err e = {0};

	if (commit(b, name, value, &e) < 0)
		fail_msg("%s: %s: %s", bootenv_kind(b), name, e.why);
}

/* "" stands for unset */
static void assert_value(struct bootenv *b, const char *name, const char *want)
{
	char *value = NULL;
	struct err e = {0};
	int rc = bootenv_get(b, name, &value, &e);

	if (rc < 0)
		fail_msg("%s: %s", bootenv_kind(b), e.why);
	assert_string_equal(rc ? value : "", want);
	free(value);
}

static void assert_they_read(const struct envkit *k, const char *line, bool there)
{
	char list[8192], want[256];
	size_t n = (size_t)snprintf(list, 2, "\n");

	if (k->kind->volatile_)
		return;
	assert_int_equal(envkit_foreign_list(k, list + n, sizeof(list) - n), 0);
	snprintf(want, sizeof(want), "\n%s\n", line);
	if ((strstr(list, want) != NULL) != there)
		fail_msg("%s: '%s' is %sin:%s", k->kind->label, line, there ? "not " : "", list);
}

/* ---- the promises ---- */

typedef void promise(struct envkit *k, struct bootenv *b);

static void seed(const struct envkit *k, struct bootenv *b)
{
	if (!k->kind->volatile_)
		return;
	commit_ok(b, "a", "1");
	commit_ok(b, "keep", "me");
	commit_ok(b, "zero", "0");
}

static void for_each_kind(promise *p)
{
	for (size_t i = 0; i < envkit_kind_count; i++) {
		struct envkit k;

		if (!envkit_make(&k, &envkit_kinds[i])) {
			print_message("SKIP: %s: %s is not installed\n", envkit_kinds[i].label,
				      envkit_kinds[i].program);
			continue;
		}
		on_fat = k.kind->fat;
		struct bootenv *b = open_env(&k);
		seed(&k, b);
		p(&k, b);
		bootenv_close(b);
		on_fat = false;
		envkit_remove(&k);
	}
}

static void promise_reads(struct envkit *k, struct bootenv *b)
{
	assert_string_equal(bootenv_kind(b), k->kind->backend);
	assert_int_equal(bootenv_is_switch(b), !k->kind->volatile_);
	assert_int_equal(bootenv_warning(b) != NULL, k->kind->single);
	assert_value(b, "a", "1");
	assert_value(b, "keep", "me");
	assert_value(b, "nothing", "");
}

static void bootenv_reads_what_other_programs_wrote(void **state)
{
	(void)state;
	for_each_kind(promise_reads);
}

static void promise_sets(struct envkit *k, struct bootenv *b)
{
	struct envset s = {0};
	struct err e = {0};

	set(&s, "a", "2");
	set(&s, "fresh", "two words = and \\ \"quotes\"");
	set(&s, "zero", NULL);
	set(&s, "never", NULL);
	set(&s, "twice", "x");
	set(&s, "twice", "y");
	assert_int_equal(bootenv_check(b, &s, &e), 0);
	assert_value(b, "a", "1");
	if (bootenv_commit(b, &s, &e) < 0)
		fail_msg("%s: %s", k->kind->label, e.why);
	envset_clear(&s);
	assert_value(b, "a", "2");
	assert_value(b, "fresh", "two words = and \\ \"quotes\"");
	assert_value(b, "zero", "");
	assert_value(b, "twice", "y");
	assert_value(b, "keep", "me");
	assert_they_read(k, "a=2", true);
	assert_they_read(k, "fresh=two words = and \\ \"quotes\"", true);
	assert_they_read(k, "zero=0", false);
	assert_they_read(k, "keep=me", true);
}

static void bootenv_sets_and_unsets_in_one_commit_that_others_read(void **state)
{
	(void)state;
	for_each_kind(promise_sets);
}

static void promise_same_length(struct envkit *k, struct bootenv *b)
{
	char value[64] = "";

	for (int i = 0; i < 40; i++) { /* every length: also the gap of one byte on FAT */
		commit_ok(b, "grow", value);
		assert_value(b, "grow", value);
		value[i] = (char)('a' + i % 26);
	}
	assert_value(b, "keep", "me");
	commit_ok(b, "grow", NULL);
	assert_they_read(k, "keep=me", true);
}

static void bootenv_values_of_every_length_read_back(void **state)
{
	(void)state;
	for_each_kind(promise_same_length);
}

static void promise_big(struct envkit *k, struct bootenv *b)
{
	char *value = calloc(1, 65538);
	struct envset s = {0};
	struct err e = {0};

	memset(value, 'v', 65537);
	set(&s, "big", value);
	assert_true(bootenv_check(b, &s, &e) < 0);
	assert_int_equal(e.code, E_ENV_BIG);
	value[5000] = '\0';
	set(&s, "big", value);
	e = (struct err){0};
	int rc = bootenv_check(b, &s, &e);
	assert_int_equal(e.code, k->kind->too_big);
	e = (struct err){0};
	assert_int_equal(bootenv_commit(b, &s, &e) < 0, rc < 0);
	assert_int_equal(e.code, k->kind->too_big);
	if (rc < 0)
		assert_value(b, "big", "");
	assert_value(b, "keep", "me");
	envset_clear(&s);
	free(value);
}

static void bootenv_too_big_is_refused_while_planning_and_changes_nothing(void **state)
{
	(void)state;
	for_each_kind(promise_big);
}

static void promise_noticed(struct envkit *k, struct bootenv *b)
{
	struct err e = {0};

	if (k->kind->volatile_)
		return;
	lose = true;
	int rc = commit(b, "a", "2", &e);
	lose = false;
	if (rc >= 0 || e.code != E_ENV_WRITE)
		fail_msg("%s: a write was lost, and nobody noticed: %s", k->kind->label, e.why);
	assert_non_null(strstr(e.why, "did not read back"));
	assert_value(b, "a", "1");
	commit_ok(b, "a", "2");
}

static void l3_bootenv_that_silently_loses_a_write_is_noticed(void **state)
{
	(void)state;
	for_each_kind(promise_noticed);
}

/* T30: a value cannot smuggle a second variable in */
static void promise_names(struct envkit *k, struct bootenv *b)
{
	static const char *const bad[][2] = {
		{"", "1"},     {"x=y", "1"},  {"x y", "1"},    {"x\ny", "1"},
		{"#x", "1"},   {"\x7f", "1"}, {"x", "1\na=2"}, {"x", "1\ra=2"},
		{"x", "\x01"}, {"\xff", "1"}, {"x\t", "1"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct err e = {0};

		assert_true(commit(b, bad[i][0], bad[i][1], &e) < 0);
		assert_int_equal(e.code, E_ENV_NAME);
	}
	assert_value(b, "a", "1");
	assert_value(b, "x", "");
	assert_they_read(k, "a=1", true);
}

static void t30_bootenv_name_or_value_with_control_bytes_is_refused(void **state)
{
	(void)state;
	for_each_kind(promise_names);
}

static void promise_foreign(struct envkit *k, struct bootenv *b)
{
	struct envset all = {0};
	struct err e = {0};

	if (k->kind->volatile_)
		return;
	assert_int_equal(bootenv_load(b, &all, &e), 0);
	envset_clear(&all);
	assert_int_equal(envkit_foreign_set(k, "theirs", "new"), 0);
	assert_int_equal(envkit_foreign_set(k, "keep", "changed"), 0);
	commit_ok(b, "a", "2");
	assert_value(b, "theirs", "new");
	assert_value(b, "keep", "changed");
	assert_value(b, "a", "2");
	assert_they_read(k, "theirs=new", true);
}

static void t65_bootenv_commit_keeps_what_another_program_wrote_since(void **state)
{
	(void)state;
	for_each_kind(promise_foreign);
}

/* ---- power cuts ---- */

static void fill_update(struct envset *s)
{
	set(s, "slot", "b");
	set(s, "ustate", "1");
	set(s, "a", "2");
	set(s, "zero", NULL);
}

/* in a process of its own, that the cut ends: true when it came to its end */
static bool commit_until_cut(const struct envkit *k, long cut_at)
{
	int status;
	pid_t pid;

	*power = (struct power){.cut_at = cut_at};
	pid = fork();
	if (pid == 0) {
		struct envset s = {0};
		struct bootenv *b = NULL;
		struct err e = {0};

		fill_update(&s);
		int rc = bootenv_open(&b, &k->options, &e);
		if (rc == 0)
			rc = bootenv_commit(b, &s, &e);
		_exit(rc < 0 ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	bool cut = power->off;
	power->cut_at = -1;
	assert_true(WIFEXITED(status));
	if (!cut)
		assert_int_equal(WEXITSTATUS(status), 0);
	return !cut;
}

/* 'o' old, 'n' new, 'x' not readable, '?' something between */
static char judge(const struct envkit *k)
{
	struct envset all = {0}, update = {0};
	struct bootenv *b = open_env(k);
	struct err e = {0};
	char verdict = '?';

	fill_update(&update);
	if (bootenv_load(b, &all, &e) < 0) {
		assert_int_equal(e.code, E_ENV_READ);
		verdict = 'x';
	} else {
		const struct envvar *a = envset_find(&all, "a"), *keep = envset_find(&all, "keep");
		const struct envvar *slot = envset_find(&all, "slot"),
				    *u = envset_find(&all, "ustate");
		bool zero = envset_find(&all, "zero") != NULL;

		if (!a || !keep || strcmp(keep->value, "me") != 0)
			verdict = '?';
		else if (strcmp(a->value, "1") == 0 && !slot && !u && zero)
			verdict = 'o';
		else if (strcmp(a->value, "2") == 0 && slot && u && !zero)
			verdict = 'n';
	}
	envset_clear(&all);
	envset_clear(&update);
	bootenv_close(b);
	return verdict;
}

static void promise_cut(struct envkit *k, struct bootenv *b)
{
	struct envkit_state before;
	unsigned seen_old = 0, seen_new = 0, torn = 0;
	bool whole = false;

	(void)b;
	if (k->kind->volatile_)
		return;
	envkit_save(k, &before);
	for (long cut = 0; !whole; cut++) {
		assert_true(cut < 1000);
		envkit_restore(k, &before);
		whole = commit_until_cut(k, cut);
		char v = judge(k);
		seen_old += v == 'o';
		seen_new += v == 'n';
		torn += v == 'x';
		if (v == '?' || (v == 'x' && !k->kind->single))
			fail_msg("%s: cut %ld leaves '%c'", k->kind->label, cut, v);
		if (v == 'x')
			continue;
		/* what the cut left behind does not hinder the next update */
		struct bootenv *again = open_env(k);
		commit_ok(again, "again", "yes");
		assert_value(again, "again", "yes");
		bootenv_close(again);
	}
	assert_true(seen_old > 0 && seen_new > 0);
	assert_int_equal(torn > 0, k->kind->single); /* T106: the window that is documented */
	envkit_state_free(&before);
}

static void t105_t106_bootenv_cut_at_every_512_bytes_is_whole_old_or_whole_new(void **state)
{
	(void)state;
	for_each_kind(promise_cut);
}

/* T111: each allocation fails once; leaks are seen by the build with ASan */
static void promise_no_memory(struct envkit *k, struct bootenv *b)
{
	struct envset update = {0};

	if (!fail_malloc_works())
		return;
	fill_update(&update);
	for (unsigned n = 1; n < 300; n++) {
		struct err e = {0};

		fail_malloc_at(n);
		int rc = bootenv_check(b, &update, &e);
		if (rc == 0)
			rc = bootenv_commit(b, &update, &e);
		bool failed = fail_malloc_off();
		assert_int_equal(rc < 0, e.code != E_NONE);
		if (k->kind->volatile_) {
			assert_value(b, "keep", "me");
		} else {
			char v = judge(k);
			if (v != 'n' && (v != 'o' || rc == 0))
				fail_msg("%s: without allocation %u: '%c'", k->kind->label, n, v);
		}
		if (!failed)
			break;
	}
	envset_clear(&update);
}

static void t111_bootenv_without_memory_is_whole_old_or_whole_new(void **state)
{
	(void)state;
	for_each_kind(promise_no_memory);
}

/* ---- choosing ---- */

static enum errcode open_code(const struct bootenv_options *o)
{
	struct bootenv *b = NULL;
	struct err e = {0};
	int rc = bootenv_open(&b, o, &e);

	assert_int_equal(rc < 0, e.code != E_NONE);
	assert_int_equal(rc < 0, b == NULL);
	bootenv_close(b);
	return e.code;
}

static void bootenv_open_names_what_it_cannot_open(void **state)
{
	(void)state;
	assert_int_equal(open_code(&(struct bootenv_options){.kind = "ebg"}), E_NOT_BUILT);
	assert_int_equal(open_code(&(struct bootenv_options){.kind = "cboot"}), E_NOT_BUILT);
	assert_int_equal(open_code(&(struct bootenv_options){.kind = "ubot"}), E_CONFIG);
	assert_int_equal(open_code(&(struct bootenv_options){.kind = "file"}), E_CONFIG);
	assert_int_equal(open_code(&(struct bootenv_options){.kind = "file", .path = "relative"}),
			 E_ENV_READ);
	assert_int_equal(open_code(&(struct bootenv_options){.kind = "none", .name_space = "x"}),
			 E_ENV_NAMESPACE);
	assert_int_equal(open_code(&(struct bootenv_options){0}), E_NONE);
}

static void bootenv_lists_its_backends_with_summaries(void **state)
{
	size_t i = 0;

	(void)state;
	for (; bootenv_backend(i); i++) {
		assert_non_null(bootenv_backend(i)->name);
		assert_non_null(bootenv_backend(i)->summary);
	}
	assert_true(i >= 1);
	assert_string_equal(bootenv_backend(0)->name, "none");
}

static void promise_overlap(struct envkit *k, struct bootenv *b)
{
	int fd = open(k->copies[0], O_RDONLY | O_CLOEXEC),
	    other = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (!k->kind->volatile_) {
		assert_true(bootenv_overlaps(b, fd, 0, 0));
		assert_true(bootenv_overlaps(b, fd, 0, 1));
		if (strcmp(k->kind->backend, "uboot") == 0)
			assert_false(bootenv_overlaps(b, fd, ENVKIT_UBOOT_SIZE, 10));
	}
	assert_false(bootenv_overlaps(b, other, 0, 0));
	close(fd);
	close(other);
}

static void bootenv_knows_the_bytes_it_lives_in(void **state)
{
	(void)state;
	for_each_kind(promise_overlap);
}

/* each look-up goes through all: a file of 43 000 names took seconds */
static void t30_bootenv_variables_are_bounded(void **state)
{
	struct envset s = {0};
	struct err e = {0};
	char name[16];

	(void)state;
	for (int i = 0; i < ENVSET_MOST; i++) {
		snprintf(name, sizeof(name), "v%d", i);
		set(&s, name, "1");
	}
	set(&s, "v7", "2");
	assert_int_equal(envset_put(&s, "more", "1", &e), -E2BIG);
	assert_int_equal(e.code, E_ENV_BIG);
	assert_string_equal(envset_find(&s, "v7")->value, "2");
	envset_clear(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bootenv_reads_what_other_programs_wrote),
		cmocka_unit_test(bootenv_sets_and_unsets_in_one_commit_that_others_read),
		cmocka_unit_test(bootenv_values_of_every_length_read_back),
		cmocka_unit_test(l3_bootenv_that_silently_loses_a_write_is_noticed),
		cmocka_unit_test(bootenv_too_big_is_refused_while_planning_and_changes_nothing),
		cmocka_unit_test(t30_bootenv_name_or_value_with_control_bytes_is_refused),
		cmocka_unit_test(t65_bootenv_commit_keeps_what_another_program_wrote_since),
		cmocka_unit_test(
			t105_t106_bootenv_cut_at_every_512_bytes_is_whole_old_or_whole_new),
		cmocka_unit_test(t111_bootenv_without_memory_is_whole_old_or_whole_new),
		cmocka_unit_test(t30_bootenv_variables_are_bounded),
		cmocka_unit_test(bootenv_open_names_what_it_cannot_open),
		cmocka_unit_test(bootenv_lists_its_backends_with_summaries),
		cmocka_unit_test(bootenv_knows_the_bytes_it_lives_in),
	};

	power = mmap(NULL, sizeof(*power), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	power->cut_at = -1;
	own_locks();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
