/* Each allocation of corelib's streams and stages may fail: an error, nothing lost, nothing leaked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "corelib/base/arena.h"
#include "corelib/base/digest.h"
#include "corelib/stream/stages.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/fail_malloc.h"
#include "tests/unit/kit/fake_stream.h"

#define BLOCK (64u * 1024)
#define SIZE  (3 * BLOCK)
static uint8_t data[SIZE], digests[3 * SHA256_LEN], whole[SHA256_LEN];
static struct block_hashes list = {.digests = digests, .count = 3, .block = BLOCK, .size = SIZE};

static int stack_all(struct stream **s, struct notes *notes, unsigned threads, struct err *e)
{
	struct meter m = {0};
	int rc = stage_cap_open(s, SIZE, e);

	if (rc == 0)
		rc = stage_note_open(s, notes, e);
	if (rc == 0)
		rc = stage_verify_open(s, whole, e);
	if (rc == 0)
		rc = stage_blocks_open(s, &list, threads, e);
	if (rc == 0)
		rc = stage_ahead_open(s, 2, BLOCK, e);
	if (rc == 0)
		rc = stage_count_open(s, &m, e);
	return rc == 0 ? stream_drain(*s, e) : rc;
}

/* everything at once, over memory; in the second pass the notes are compared */
static int run_all(unsigned threads, struct err *e)
{
	AUTO_STREAM struct stream *s = NULL, *t = NULL;
	struct notes *notes = notes_new(SIZE, e);
	int rc = notes ? stream_mem_open(&s, data, SIZE, e) : -ENOMEM;

	if (rc == 0)
		rc = stack_all(&s, notes, threads, e);
	if (rc == 0)
		rc = stream_mem_open(&t, data, SIZE, e);
	if (rc == 0)
		rc = stage_proven_open(&t, notes, e);
	if (rc == 0)
		rc = stream_drain(t, e);
	s = stream_close(s);
	t = stream_close(t);
	notes_free(notes);
	return rc;
}

/* the crypto library keeps its list of errors per thread */
static long live_now(void)
{
	OPENSSL_thread_stop();
	return fail_malloc_live();
}

static void memory_each_allocation_of_all_stages_may_fail(void **state)
{
	(void)state;
	if (!fail_malloc_works())
		skip();
	for (unsigned threads = 1; threads <= 3; threads += 2) {
		unsigned n, refused = 0;
		struct err warm = {0};

		assert_int_equal(run_all(threads, &warm), 0);
		for (n = 1;; n++) {
			struct err e = {0};
			long before = live_now();
			int rc;

			fail_malloc_at(n);
			rc = run_all(threads, &e);
			if (!fail_malloc_off()) {
				assert_int_equal(rc, 0);
				break;
			}
			assert_int_equal(live_now(), before);
			/* the crypto library gets along without a few of its own */
			if (rc == 0)
				continue;
			assert_int_equal(rc, -ENOMEM);
			assert_int_equal(e.code, E_MEMORY);
			refused++;
		}
		assert_true(n > 20 && refused > 15);
	}
}

static void memory_each_allocation_of_a_file_source_may_fail(void **state)
{
	(void)state;
	if (!fail_malloc_works())
		skip();
	for (unsigned n = 1;; n++) {
		AUTO_CLOSE int fd = sys_openat(AT_FDCWD, "/proc/self/exe", O_RDONLY, 0);
		AUTO_STREAM struct stream *s = NULL;
		struct err e = {0};
		int rc;

		assert_true(fd >= 0);
		fail_malloc_at(n);
		rc = stream_fd_open(&s, fd, NULL, &e);
		if (rc == 0)
			rc = stream_drain(s, &e);
		if (!fail_malloc_off()) {
			assert_int_equal(rc, 0);
			assert_int_equal(n, 3);
			return;
		}
		assert_int_equal(rc, -ENOMEM);
		assert_int_equal(e.code, E_MEMORY);
	}
}

static void memory_own_block_of_a_stage_that_only_reads_may_fail(void **state)
{
	struct fake f = {.data = data, .size = SIZE, .way = FAKE_READ};
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL;
	const uint8_t *buf;

	(void)state;
	if (!fail_malloc_works())
		skip();
	assert_int_equal(fake_stream_open(&s, &f, &e), 0);
	fail_malloc_at(1);
	assert_int_equal(stream_next(s, &buf, &e), -ENOMEM);
	assert_true(fail_malloc_off());
	assert_int_equal(e.code, E_MEMORY);
	/* the error stays, even when there is memory again */
	err_clear(&e);
	assert_int_equal(stream_next(s, &buf, &e), -ENOMEM);
}

static void memory_arena_without_memory_gives_null_and_goes_on(void **state)
{
	struct arena *a = arena_new(1 << 20);

	(void)state;
	if (!fail_malloc_works()) {
		arena_free(a);
		skip();
	}
	assert_non_null(a);
	fail_malloc_at(1);
	assert_null(arena_alloc(a, 10));
	assert_true(fail_malloc_off());
	assert_non_null(arena_alloc(a, 10));
	arena_free(a);
}

static void memory_each_allocation_of_small_things_may_fail(void **state)
{
	(void)state;
	if (!fail_malloc_works())
		skip();
	fail_malloc_at(1);
	assert_null(arena_new(100));
	assert_true(fail_malloc_off());
	for (unsigned n = 1;; n++) {
		AUTO_FREE char *buf = NULL;
		int rc;

		fail_malloc_at(n);
		rc = sys_read_file(AT_FDCWD, "/proc/self/exe", 64u << 20, &buf, NULL);
		if (!fail_malloc_off()) {
			assert_int_equal(rc, 0);
			break;
		}
		assert_int_equal(rc, -ENOMEM);
		assert_null(buf);
	}
}

static void memory_helper_counts_only_our_own_calls_when_told(void **state)
{
	(void)state;
	if (!fail_malloc_works())
		skip();
	fail_malloc_ours_at(1);
	char *copy = strdup("inside libc");
	char *volatile own = malloc(10);
	assert_true(fail_malloc_off());
	assert_non_null(copy);
	assert_null(own);
	free(copy);
}

static int make_data(void **state)
{
	struct err e = {0};
	int rc = sha256_once(data, SIZE, whole, &e);

	(void)state;
	for (int i = 0; i < 3 && rc == 0; i++)
		rc = sha256_once(data + (size_t)i * BLOCK, BLOCK, digests + (size_t)i * SHA256_LEN,
				 &e);
	return rc;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_each_allocation_of_all_stages_may_fail),
		cmocka_unit_test(memory_each_allocation_of_a_file_source_may_fail),
		cmocka_unit_test(memory_own_block_of_a_stage_that_only_reads_may_fail),
		cmocka_unit_test(memory_arena_without_memory_gives_null_and_goes_on),
		cmocka_unit_test(memory_each_allocation_of_small_things_may_fail),
		cmocka_unit_test(memory_helper_counts_only_our_own_calls_when_told),
	};
	return cmocka_run_group_tests(tests, make_data, NULL);
}
