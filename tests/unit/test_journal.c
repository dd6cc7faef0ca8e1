/* The journal: what was begun survives a cut at every byte, and a failed call leaves no half
 * record. */
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
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/state/journal.h"
#include "corelib/base/crc32c.h"
#include "corelib/base/digest.h"
#include "corelib/base/text.h"
#include "kit/envkit.h"
#include "tests/unit/kit/fail_malloc.h"

/* ---- the N-th call that changes the medium fails ---- */

static long calls, fail_at = -1;
static int fail_with;

static bool fails(void)
{
	if (fail_at < 0 || calls++ != fail_at)
		return false;
	errno = fail_with;
	return true;
}

/* a write that fails has written half */
ssize_t pwrite(int fd, const void *buf, size_t n, off_t off)
{
	if (fails()) {
		syscall(SYS_pwrite64, fd, buf, n / 2, off);
		errno = fail_with;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, buf, n, off);
}

int ftruncate(int fd, off_t size)
{
	return fails() ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

int fdatasync(int fd)
{
	return fails() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

/* ---- helpers ---- */

static char dir[64], file[80];

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test-journal-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(file, sizeof(file), "%s/journal", dir);
	fail_at = -1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return envkit_remove_tree(dir);
}

static struct journal *open_ok(void)
{
	struct journal *j = NULL;
	struct err e = {0};

	if (journal_open(&j, dir, &e) < 0)
		fail_msg("%s", e.why);
	return j;
}

static enum errcode open_code(const char *path)
{
	struct journal *j = NULL;
	struct err e = {0};
	int rc = journal_open(&j, path, &e);

	assert_int_equal(rc < 0, e.code != E_NONE);
	journal_close(j);
	return e.code;
}

static void begin_ok(struct journal *j, char txn[17])
{
	struct err e = {0};

	if (journal_begin(j, "2.4.1", txn, &e) < 0)
		fail_msg("%s", e.why);
}

static void add_ok(struct journal *j, enum journal_type type, const char *payload)
{
	struct err e = {0};

	if (journal_add(j, type, payload, &e) < 0)
		fail_msg("%s", e.why);
}

static size_t count(const struct journal *j)
{
	size_t n = 0;

	while (journal_at(j, n))
		n++;
	return n;
}

static const char *const payloads[] = {"2.4.1", "/etc/a file=with\nanything", "", "name version"};
static const enum journal_type types[] = {JOURNAL_BEGIN, JOURNAL_FILE, JOURNAL_STAGED,
					  JOURNAL_AFTER};

/* four records; ends[i] = the size of the file behind the i-th */
static void write_four(size_t ends[4])
{
	struct journal *j = open_ok();
	struct stat st;
	char txn[17];

	for (size_t i = 0; i < 4; i++) {
		if (i == 0)
			begin_ok(j, txn);
		else
			add_ok(j, types[i], payloads[i]);
		assert_int_equal(stat(file, &st), 0);
		ends[i] = (size_t)st.st_size;
	}
	journal_close(j);
}

static void assert_prefix(const struct journal *j, size_t want)
{
	assert_int_equal(count(j), want);
	for (size_t i = 0; i < want; i++) {
		const struct journal_record *r = journal_at(j, i);

		assert_int_equal(r->type, types[i]);
		assert_string_equal(r->payload, payloads[i]);
		assert_int_equal(r->length, strlen(payloads[i]));
		assert_int_equal(strlen(r->txn), 16);
		assert_string_equal(r->txn, journal_at(j, 0)->txn);
	}
}

/* ---- promises ---- */

static void journal_gives_back_an_unfinished_transaction(void **state)
{
	size_t ends[4];

	(void)state;
	write_four(ends);
	struct journal *j = open_ok();
	assert_prefix(j, 4);
	journal_close(j);
}

static void journal_has_nothing_to_tell_after_done(void **state)
{
	struct err e = {0};
	size_t ends[4];

	(void)state;
	write_four(ends);
	struct journal *j = open_ok();
	assert_int_equal(journal_finish(j, &e), 0);
	assert_int_equal(count(j), 0);
	assert_int_equal(journal_finish(j, &e), 0);
	journal_close(j);
	j = open_ok();
	assert_int_equal(count(j), 0);
	journal_close(j);
}

static void journal_starts_anew_after_done(void **state)
{
	char first[17], second[17];
	struct err e = {0};
	struct stat st;

	(void)state;
	struct journal *j = open_ok();
	for (int i = 0; i < 50; i++) {
		begin_ok(j, i ? second : first);
		add_ok(j, JOURNAL_FILE, "something that takes a little room");
		assert_int_equal(journal_finish(j, &e), 0);
	}
	assert_string_not_equal(first, second);
	assert_int_equal(strspn(second, "0123456789abcdef"), 16);
	journal_close(j);
	assert_int_equal(stat(file, &st), 0);
	assert_true(st.st_size < 400);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void journal_begin_refuses_to_bury_an_interrupted_transaction(void **state)
{
	struct err e = {0};
	size_t ends[4];
	char txn[17];

	(void)state;
	write_four(ends);
	struct journal *j = open_ok();
	assert_true(journal_begin(j, "9", txn, &e) < 0);
	assert_int_equal(e.code, E_JOURNAL);
	assert_prefix(j, 4);
	journal_close(j);
}

static void journal_cut_at_every_byte_gives_exactly_the_whole_records(void **state)
{
	size_t ends[4], n;
	char *bytes;

	(void)state;
	write_four(ends);
	bytes = envkit_read_file(file, &n);
	assert_int_equal(n, ends[3]);
	for (size_t cut = 0; cut <= n; cut++) {
		struct err e = {0};
		struct stat st;
		size_t whole = 0;

		while (whole < 4 && ends[whole] <= cut)
			whole++;
		envkit_write_file(file, bytes, cut);
		struct journal *j = open_ok();
		assert_prefix(j, whole);
		assert_int_equal(stat(file, &st), 0);
		assert_int_equal(st.st_size, whole ? ends[whole - 1] : 0);
		if (whole) { /* and goes on behind them */
			assert_int_equal(journal_add(j, JOURNAL_STAGED, "on", &e), 0);
			journal_close(j);
			j = open_ok();
			assert_int_equal(count(j), whole + 1);
			assert_string_equal(journal_at(j, whole)->payload, "on");
		}
		journal_close(j);
	}
	free(bytes);
}

/* the last record: its prefix, then what the medium had before */
static void journal_torn_last_record_with_garbage_behind_is_ignored(void **state)
{
	size_t ends[4], n;
	char *bytes;

	(void)state;
	write_four(ends);
	bytes = envkit_read_file(file, &n);
	for (size_t cut = ends[2]; cut < n; cut++) {
		char *torn = malloc(n);

		memcpy(torn, bytes, n);
		memset(torn + cut, cut % 2 ? 0xff : 0, n - cut);
		if (memcmp(torn, bytes, n) == 0) {
			free(torn);
			continue;
		}
		envkit_write_file(file, torn, n);
		free(torn);
		struct journal *j = open_ok();
		assert_prefix(j, 3);
		journal_close(j);
	}
	free(bytes);
}

static void journal_every_flipped_bit_is_noticed(void **state)
{
	size_t ends[4], n;
	char *bytes;

	(void)state;
	write_four(ends);
	bytes = envkit_read_file(file, &n);
	for (size_t bit = 0; bit < n * 8; bit++) {
		struct journal *j = NULL;
		struct err e = {0};

		bytes[bit / 8] ^= (char)(1 << bit % 8);
		envkit_write_file(file, bytes, n);
		bytes[bit / 8] ^= (char)(1 << bit % 8);
		if (journal_open(&j, dir, &e) == 0) /* only the last one may be taken for torn */
			assert_prefix(j, 3);
		else
			assert_int_equal(e.code, E_JOURNAL);
		assert_true(j == NULL || bit / 8 >= ends[2]);
		journal_close(j);
	}
	free(bytes);
}

static void journal_damaged_in_the_middle_is_refused_and_kept(void **state)
{
	size_t ends[4], n, after;
	char *bytes, *still;

	(void)state;
	write_four(ends);
	bytes = envkit_read_file(file, &n);
	bytes[ends[0] + 30] ^= 1;
	envkit_write_file(file, bytes, n);
	assert_int_equal(open_code(dir), E_JOURNAL);
	still = envkit_read_file(file, &after);
	assert_int_equal(after, n);
	assert_memory_equal(bytes, still, n);
	free(bytes);
	free(still);
}

static void journal_of_a_newer_format_is_refused_and_kept(void **state)
{
	uint32_t crc;
	size_t ends[4], n, after;
	char *bytes, *still;

	(void)state;
	write_four(ends);
	bytes = envkit_read_file(file, &n);
	bytes[4] = 3; /* version */
	n = ends[0];
	crc = crc32c(0, bytes, n - 4);
	memcpy(bytes + n - 4, &crc, 4);
	envkit_write_file(file, bytes, n);
	assert_int_equal(open_code(dir), E_JOURNAL);
	still = envkit_read_file(file, &after);
	assert_int_equal(after, n);
	assert_memory_equal(bytes, still, n);
	free(bytes);
	free(still);
}

/* a return to the release before: its program finds what the newer one wrote and ended */
static void journal_that_ends_done_hinders_nobody_damaged_or_newer(void **state)
{
	const size_t flips[] = {4, 30}; /* version, payload */
	char txn[17];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(flips); i++) {
		struct journal *j = open_ok();
		struct err e = {0};
		size_t n;

		begin_ok(j, txn);
		add_ok(j, JOURNAL_FILE, "a file of it");
		assert_int_equal(journal_finish(j, &e), 0);
		journal_close(j);
		AUTO_FREE char *bytes = envkit_read_file(file, &n);
		bytes[flips[i]] ^= 3;
		envkit_write_file(file, bytes, n);
		assert_int_equal(journal_is_settled(dir, &e), 1);
		j = open_ok();
		assert_null(journal_at(j, 0));
		begin_ok(j, txn);
		journal_close(j);
		j = open_ok();
		assert_int_equal(count(j), 1);
		assert_int_equal(journal_finish(j, &e), 0);
		journal_close(j);
	}
}

static void journal_settled_or_not_is_told_without_writing(void **state)
{
	size_t ends[4], n;
	struct err e = {0};

	(void)state;
	assert_int_equal(journal_is_settled(dir, &e), 1);
	assert_int_equal(journal_is_settled("/proc/no-such-folder", &e), 1);
	assert_int_not_equal(access(file, F_OK), 0);
	write_four(ends);
	assert_int_equal(journal_is_settled(dir, &e), 0);
	AUTO_FREE char *bytes = envkit_read_file(file, &n);
	bytes[ends[0] + 30] ^= 1;
	envkit_write_file(file, bytes, n);
	assert_true(journal_is_settled(dir, &e) < 0);
	assert_int_equal(e.code, E_JOURNAL);
	assert_int_equal(journal_put_aside(dir, &e), 0);
	err_clear(&e);
	assert_int_equal(journal_is_settled(dir, &e), 1);
}

static void journal_of_random_bytes_never_crashes(void **state)
{
	char bytes[600];

	(void)state;
	srand(7);
	for (int round = 0; round < 300; round++) {
		size_t n = (size_t)rand() % sizeof(bytes);

		for (size_t i = 0; i < n; i++)
			bytes[i] = (char)rand();
		if (round % 3 == 0 && n > 8)
			memcpy(bytes, "\x53\x57\x4a\x4c\x01\x00\x01\x00", 8);
		envkit_write_file(file, bytes, n);
		open_code(dir);
	}
}

/* T108: what is told to have failed must not hide what comes later */
static void run_failing(long at, int with)
{
	struct err e = {0};
	char txn[17];
	size_t done = 0;
	bool finished = false;

	struct journal *j = open_ok();
	calls = 0;
	fail_at = at;
	fail_with = with;
	if (journal_begin(j, payloads[0], txn, &e) == 0) {
		done = 1;
		while (done < 4 && journal_add(j, types[done], payloads[done], &e) == 0)
			done++;
		if (done == 4)
			finished = journal_finish(j, &e) == 0;
	}
	if (e.code)
		assert_int_equal(e.code, E_JOURNAL);
	journal_close(j);
	fail_at = -1;
	j = open_ok();
	if (finished)
		assert_int_equal(count(j), 0);
	else if (done < 4) /* a failed flush may still have reached the medium */
		assert_true(count(j) == done || count(j) == done + 1);
	assert_prefix(j, count(j));
	assert_int_equal(journal_finish(j, &e), 0);
	journal_close(j);
}

static void t108_journal_failing_at_every_call_keeps_whole_records(void **state)
{
	static const int errors[] = {ENOSPC, EIO};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		long n = 0;

		do {
			run_failing(n, errors[i]);
		} while (calls > n++);
		assert_true(n > 8);
	}
}

static void t108_journal_finish_on_a_full_disk_empties_the_file(void **state)
{
	struct err e = {0};
	char txn[17];

	(void)state;
	struct journal *j = open_ok();
	begin_ok(j, txn);
	calls = 0;
	fail_at = 0;
	fail_with = ENOSPC;
	assert_int_equal(journal_finish(j, &e), 0);
	journal_close(j);
	fail_at = -1;
	j = open_ok();
	assert_int_equal(count(j), 0);
	journal_close(j);
}

static void journal_after_a_failed_flush_takes_no_more(void **state)
{
	struct err e = {0};
	char txn[17];

	(void)state;
	struct journal *j = open_ok();
	begin_ok(j, txn);
	calls = 0;
	fail_at = 1; /* the flush */
	fail_with = EIO;
	assert_true(journal_add(j, JOURNAL_FILE, "x", &e) < 0);
	assert_int_equal(e.code, E_JOURNAL);
	fail_at = -1;
	e = (struct err){0};
	assert_true(journal_add(j, JOURNAL_FILE, "y", &e) < 0);
	assert_int_equal(e.code, E_JOURNAL);
	journal_close(j);
}

/* T111 */
static void t111_journal_without_memory_keeps_whole_records(void **state)
{
	(void)state;
	if (!fail_malloc_works())
		skip();
	for (unsigned n = 1; n < 200; n++) {
		struct journal *j = NULL;
		struct err e = {0};
		char txn[17];

		fail_malloc_at(n);
		int rc = journal_open(&j, dir, &e);
		if (rc == 0 && !journal_at(j, 0))
			rc = journal_begin(j, payloads[0], txn, &e);
		for (size_t i = 1; rc == 0 && i < 4; i++)
			rc = journal_add(j, types[i], payloads[i], &e);
		bool failed = fail_malloc_off();
		assert_int_equal(rc < 0, e.code != E_NONE);
		journal_close(j);
		j = open_ok();
		assert_prefix(j, count(j));
		e = (struct err){0};
		assert_int_equal(journal_finish(j, &e), 0);
		journal_close(j);
		if (!failed)
			break;
	}
}

/* ---- the state directory ---- */

static void statedir_is_made_for_its_owner_only(void **state)
{
	char path[96];
	struct stat st;

	(void)state;
	snprintf(path, sizeof(path), "%s/state", dir);
	assert_int_equal(open_code(path), E_NONE);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	snprintf(path, sizeof(path), "%s/no/state", dir);
	assert_int_equal(open_code(path), E_STATE_DIR);
	assert_int_equal(open_code(""), E_STATE_DIR);
	envkit_write_file(file, "", 0);
	assert_int_equal(open_code(file), E_STATE_DIR);
}

static void statedir_that_others_can_write_is_refused(void **state)
{
	(void)state;
	assert_int_equal(chmod(dir, 0770), 0);
	assert_int_equal(open_code(dir), E_STATE_DIR);
	assert_int_equal(chmod(dir, 01777), 0);
	assert_int_equal(open_code(dir), E_STATE_DIR);
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(open_code(dir), E_NONE);
	if (geteuid() != 0) {
		print_message("SKIP: only root can give the folder to somebody else\n");
		skip();
	}
	assert_int_equal(chown(dir, 65534, 65534), 0);
	assert_int_equal(open_code(dir), E_STATE_DIR);
}

static void journal_that_is_no_plain_file_is_refused_without_waiting(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(file, 0600), 0);
	assert_int_equal(open_code(dir), E_JOURNAL);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(symlink("/etc/passwd", file), 0);
	assert_int_equal(open_code(dir), E_JOURNAL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(journal_gives_back_an_unfinished_transaction),
		T(journal_has_nothing_to_tell_after_done),
		T(journal_starts_anew_after_done),
		T(journal_begin_refuses_to_bury_an_interrupted_transaction),
		T(journal_cut_at_every_byte_gives_exactly_the_whole_records),
		T(journal_torn_last_record_with_garbage_behind_is_ignored),
		T(journal_every_flipped_bit_is_noticed),
		T(journal_damaged_in_the_middle_is_refused_and_kept),
		T(journal_of_a_newer_format_is_refused_and_kept),
		T(journal_that_ends_done_hinders_nobody_damaged_or_newer),
		T(journal_settled_or_not_is_told_without_writing),
		T(journal_of_random_bytes_never_crashes),
		T(t108_journal_failing_at_every_call_keeps_whole_records),
		T(t108_journal_finish_on_a_full_disk_empties_the_file),
		T(journal_after_a_failed_flush_takes_no_more),
		T(t111_journal_without_memory_keeps_whole_records),
		T(statedir_is_made_for_its_owner_only),
		T(statedir_that_others_can_write_is_refused),
		T(journal_that_is_no_plain_file_is_refused_without_waiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
