/* stage_ahead: the same bytes, ends and errors through a thread; a close at any time is prompt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "corelib/stream/stages.h"
#include "corelib/base/sys.h"
#include "tests/unit/kit/fake_stream.h"
#include "tests/unit/kit/hang.h"

#define BLOCK 4096u
#define SIZE  (10 * BLOCK + 123)
static uint8_t data[SIZE], got[SIZE + 100];

struct shape {
	unsigned depth;
	size_t block;
};

static int stack(struct stream **s, void *arg, struct err *e)
{
	const struct shape *shape = arg;

	return stage_ahead_open(s, shape->depth, shape->block, e);
}

static struct fake any_fake(uint32_t seed)
{
	return (struct fake){.data = data,
			     .size = SIZE,
			     .way = (enum fake_way)(seed % 3),
			     .seed = seed,
			     .max_piece = 1 + seed * 397};
}

static int run(struct fake *f, struct shape shape, uint32_t seed, size_t *n, struct err *e)
{
	struct fake_run r = {.fake = f,
			     .stage = stack,
			     .arg = &shape,
			     .out = got,
			     .room = sizeof(got),
			     .seed = seed};
	int rc;

	memset(got, 0, sizeof(got));
	err_clear(e);
	rc = fake_run(&r, e);
	*n = r.n;
	assert_int_equal(f->closed, 1);
	assert_memory_equal(got, data, r.n);
	return rc;
}

static void ahead_gives_the_same_bytes_in_any_shape(void **state)
{
	struct err e = {0};
	size_t n;

	(void)state;
	for (uint32_t seed = 0; seed < 40; seed++) {
		struct fake f = any_fake(seed);
		struct shape shape = {seed % 5, (seed % 4) * 3000};

		assert_int_equal(run(&f, shape, seed / 3, &n, &e), 0);
		assert_int_equal(n, SIZE);
	}
}

static void ahead_lends_full_aligned_blocks(void **state)
{
	struct fake f = any_fake(7);
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL;
	const uint8_t *buf;

	(void)state;
	assert_int_equal(fake_stream_open(&s, &f, &e), 0);
	assert_int_equal(stage_ahead_open(&s, 3, BLOCK, &e), 0);
	assert_true(s->has_size && s->size == SIZE);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(stream_next(s, &buf, &e), BLOCK);
		assert_int_equal((uintptr_t)buf % STREAM_ALIGN, 0);
	}
	assert_int_equal(stream_next(s, &buf, &e), 123);
	assert_int_equal(stream_next(s, &buf, &e), 0);
}

static void ahead_error_comes_after_the_bytes_before_it(void **state)
{
	struct err e = {0};
	size_t n;

	(void)state;
	for (uint64_t at = 0; at <= SIZE; at += 1 + SIZE / 13) {
		struct fake f = any_fake((uint32_t)at);

		f.fails = true;
		f.fail_at = at;
		f.fail_code = E_PAYLOAD_HASH;
		f.fail_sys = EBADMSG;
		assert_int_equal(run(&f, (struct shape){3, BLOCK}, (uint32_t)at, &n, &e), -EBADMSG);
		assert_int_equal(e.code, E_PAYLOAD_HASH);
		assert_int_equal(n, at);
	}
}

static void ahead_error_and_end_are_sticky(void **state)
{
	for (int fails = 0; fails < 2; fails++) {
		struct fake f = {.data = data, .size = 100, .fails = fails, .fail_at = 50};
		struct err e = {0};
		AUTO_STREAM struct stream *s = NULL;

		(void)state;
		assert_int_equal(fake_stream_open(&s, &f, &e), 0);
		assert_int_equal(stage_ahead_open(&s, 2, BLOCK, &e), 0);
		for (int i = 0; i < 3; i++) {
			err_clear(&e);
			assert_int_equal(stream_drain(s, &e), fails ? -EIO : 0);
			assert_int_equal(e.code, fails ? E_IO : E_NONE);
		}
	}
}

static void ahead_close_after_any_number_of_blocks_is_prompt(void **state)
{
	(void)state;
	for (unsigned taken = 0; taken <= 12; taken++)
		for (uint32_t seed = 0; seed < 6; seed++) {
			struct fake f = any_fake(seed * 31);
			struct err e = {0};
			struct stream *s;
			const uint8_t *buf;
			uint64_t start = sys_now_ms();

			assert_int_equal(fake_stream_open(&s, &f, &e), 0);
			assert_int_equal(stage_ahead_open(&s, 2 + seed % 3, BLOCK, &e), 0);
			for (unsigned i = 0; i < taken; i++)
				if (stream_next(s, &buf, &e) <= 0)
					break;
			assert_null(stream_close(s));
			assert_int_equal(f.closed, 1);
			assert_true(sys_now_ms() - start < HANG_MS);
		}
}

static void ahead_close_ends_an_upstream_that_waits(void **state)
{
	(void)state;
	for (uint64_t at = 0; at < SIZE; at += 3 * BLOCK) {
		struct fake f = any_fake(0);
		struct err e = {0};
		struct stream *s;
		uint64_t start = sys_now_ms();

		f.hangs = true;
		f.hang_at = at;
		assert_int_equal(fake_stream_open(&s, &f, &e), 0);
		assert_int_equal(stage_ahead_open(&s, 2, BLOCK, &e), 0);
		if (at > BLOCK)
			assert_int_equal(stream_read_all(s, got, BLOCK, &e), 0);
		assert_null(stream_close(s));
		assert_true(sys_now_ms() - start < HANG_MS);
	}
}

/* a payload borrows the bundle's source, and the next payload needs it: see stream_ops.stop */
struct borrower {
	struct stream s;
	bool *stopped;
};

static void note_stop(struct stream *s)
{
	*((struct borrower *)s)->stopped = true;
}

static ssize_t end_at_once(struct stream *s, const uint8_t **buf, struct err *e)
{
	(void)s;
	(void)buf;
	(void)e;
	return 0;
}

static void free_struct(struct stream *s)
{
	free(s);
}

static void ahead_and_blocks_closed_behind_the_end_stop_nobody(void **state)
{
	static const struct stream_ops ops = {
		.name = "borrower", .next = end_at_once, .stop = note_stop, .close = free_struct};
	const struct block_hashes none = {.block = 64u * 1024};

	(void)state;
	for (int blocks = 0; blocks < 2; blocks++) {
		struct borrower *b = calloc(1, sizeof(*b));
		struct err e = {0};
		struct stream *s = &b->s;
		bool stopped = false;

		assert_non_null(b);
		stream_init(s, &ops, NULL);
		b->stopped = &stopped;
		if (blocks)
			assert_int_equal(stage_blocks_open(&s, &none, 3, &e), 0);
		else
			assert_int_equal(stage_ahead_open(&s, 2, BLOCK, &e), 0);
		assert_int_equal(stream_drain(s, &e), 0);
		assert_null(stream_close(s));
		assert_false(stopped);
	}
}

static void ahead_close_ends_a_wait_on_a_silent_pipe(void **state)
{
	struct err e = {0};
	struct stream *s;
	int fds[2];
	uint64_t start = sys_now_ms();

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(stream_fd_open(&s, fds[0], NULL, &e), 0);
	assert_int_equal(stage_ahead_open(&s, 2, BLOCK, &e), 0);
	usleep(20000);
	assert_null(stream_close(s));
	assert_true(sys_now_ms() - start < HANG_MS);
	close(fds[0]);
	close(fds[1]);
}

static void ahead_cancel_flag_of_the_source_wakes_the_taker(void **state)
{
	static volatile bool cancel;
	struct stream_fd_options o = {.size = UINT64_MAX, .cancel = &cancel};
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL;
	int fds[2];
	uint64_t start = sys_now_ms();

	(void)state;
	assert_int_equal(pipe(fds), 0);
	cancel = true;
	assert_int_equal(stream_fd_open(&s, fds[0], &o, &e), 0);
	assert_int_equal(stage_ahead_open(&s, 2, BLOCK, &e), 0);
	assert_int_equal(stream_drain(s, &e), -ECANCELED);
	assert_int_equal(e.code, E_CANCELED);
	assert_true(sys_now_ms() - start < HANG_MS);
	close(fds[0]);
	close(fds[1]);
}

static sigset_t seen_mask;

static ssize_t mask_next(struct stream *s, const uint8_t **buf, struct err *e)
{
	(void)s;
	(void)buf;
	(void)e;
	pthread_sigmask(SIG_BLOCK, NULL, &seen_mask);
	return 0;
}

static void mask_close(struct stream *s)
{
	free(s);
}

static void ahead_thread_takes_no_signals(void **state)
{
	static const struct stream_ops ops = {
		.name = "mask", .next = mask_next, .close = mask_close};
	struct stream *s = calloc(1, sizeof(*s));
	struct err e = {0};

	(void)state;
	assert_non_null(s);
	stream_init(s, &ops, NULL);
	assert_int_equal(stage_ahead_open(&s, 2, BLOCK, &e), 0);
	assert_int_equal(stream_drain(s, &e), 0);
	assert_null(stream_close(s));
	assert_true(sigismember(&seen_mask, SIGTERM) && sigismember(&seen_mask, SIGINT) &&
		    sigismember(&seen_mask, SIGCHLD) && sigismember(&seen_mask, SIGPIPE));
}

static void ahead_refuses_shapes_that_no_memory_holds(void **state)
{
	struct fake f = any_fake(0);
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL;
	struct stream *before;

	(void)state;
	assert_int_equal(fake_stream_open(&s, &f, &e), 0);
	before = s;
	assert_int_equal(stage_ahead_open(&s, 1000, BLOCK, &e), -EINVAL);
	err_clear(&e);
	assert_int_equal(stage_ahead_open(&s, 2, SIZE_MAX - 1, &e), -EINVAL);
	assert_ptr_equal(s, before);
}

static int make_data(void **state)
{
	(void)state;
	fake_bytes(data, SIZE, 8);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ahead_gives_the_same_bytes_in_any_shape),
		cmocka_unit_test(ahead_lends_full_aligned_blocks),
		cmocka_unit_test(ahead_error_comes_after_the_bytes_before_it),
		cmocka_unit_test(ahead_error_and_end_are_sticky),
		cmocka_unit_test(ahead_close_after_any_number_of_blocks_is_prompt),
		cmocka_unit_test(ahead_close_ends_an_upstream_that_waits),
		cmocka_unit_test(ahead_and_blocks_closed_behind_the_end_stop_nobody),
		cmocka_unit_test(ahead_close_ends_a_wait_on_a_silent_pipe),
		cmocka_unit_test(ahead_cancel_flag_of_the_source_wakes_the_taker),
		cmocka_unit_test(ahead_thread_takes_no_signals),
		cmocka_unit_test(ahead_refuses_shapes_that_no_memory_holds),
	};
	return cmocka_run_group_tests(tests, make_data, NULL);
}
