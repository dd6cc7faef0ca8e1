/* Streams: any way of taking gives the same bytes; ends and errors stay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "corelib/stream/stream.h"
#include "corelib/base/sys.h"
#include "tests/unit/kit/fake_stream.h"

#define SIZE 100000u
static uint8_t data[SIZE], got[SIZE + 10];

static void stream_any_way_of_taking_gives_the_same_bytes(void **state)
{
	(void)state;
	for (uint32_t seed = 0; seed < 60; seed++) {
		struct fake f = {.data = data,
				 .size = SIZE,
				 .way = (enum fake_way)(seed % 3),
				 .seed = seed,
				 .max_piece = 1 + seed * 977};
		struct err e = {0};
		struct stream *s;
		size_t n;

		assert_int_equal(fake_stream_open(&s, &f, &e), 0);
		assert_int_equal(fake_take_all(s, got, sizeof(got), &n, seed / 3, &e), 0);
		assert_int_equal(n, SIZE);
		assert_memory_equal(got, data, SIZE);
		assert_int_equal(s->pos, SIZE);
		s = stream_close(s);
		assert_null(s);
		assert_int_equal(f.closed, 1);
	}
}

static void stream_end_is_sticky_and_asks_the_stage_no_more(void **state)
{
	for (int way = FAKE_BOTH; way <= FAKE_READ; way++) {
		struct fake f = {.data = data, .size = 10, .way = (enum fake_way)way};
		struct err e = {0};
		AUTO_STREAM struct stream *s = NULL;
		const uint8_t *buf;
		unsigned calls;

		(void)state;
		assert_int_equal(fake_stream_open(&s, &f, &e), 0);
		assert_int_equal(stream_drain(s, &e), 0);
		calls = f.calls;
		f.size = 20;
		assert_int_equal(stream_next(s, &buf, &e), 0);
		assert_int_equal(stream_read(s, got, 5, &e), 0);
		assert_int_equal(stream_drain(s, &e), 0);
		assert_int_equal(f.calls, calls);
	}
}

static void stream_error_is_sticky_with_its_cause(void **state)
{
	for (int way = FAKE_BOTH; way <= FAKE_READ; way++) {
		struct fake f = {.data = data,
				 .size = SIZE,
				 .way = (enum fake_way)way,
				 .fails = true,
				 .fail_at = 7,
				 .fail_code = E_BLOCK_HASH,
				 .fail_sys = EBADMSG};
		struct err e = {0}, again = {0};
		AUTO_STREAM struct stream *s = NULL;
		const uint8_t *buf;

		(void)state;
		assert_int_equal(fake_stream_open(&s, &f, &e), 0);
		assert_int_equal(stream_read_all(s, got, 7, &e), 0);
		assert_int_equal(stream_read(s, got, 7, &e), -EBADMSG);
		f.fails = false;
		assert_int_equal(stream_next(s, &buf, &again), -EBADMSG);
		assert_int_equal(again.code, E_BLOCK_HASH);
		assert_string_equal(again.why, e.why);
		err_clear(&again);
		assert_int_equal(stream_drain(s, &again), -EBADMSG);
		assert_int_equal(stream_seek(s, 0, &again), -EBADMSG);
		assert_int_equal(again.code, E_BLOCK_HASH);
	}
}

static void stream_read_all_says_what_is_missing(void **state)
{
	struct fake f = {.data = data, .size = 10, .max_piece = 3};
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL;

	(void)state;
	assert_int_equal(fake_stream_open(&s, &f, &e), 0);
	assert_int_equal(stream_read_all(s, got, 4, &e), 0);
	assert_int_equal(stream_read_all(s, got, 0, &e), 0);
	assert_int_equal(stream_read_all(s, got, 7, &e), -ENODATA);
	assert_int_equal(e.code, E_TRUNCATED);
	assert_string_equal(e.why, "6 of 7 bytes are there");
	assert_memory_equal(got, data + 4, 6);
}

static void stream_next_max_keeps_the_rest_for_the_next_call(void **state)
{
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL;
	const uint8_t *buf;

	(void)state;
	assert_int_equal(stream_mem_open(&s, data, 10, &e), 0);
	assert_int_equal(stream_next_max(s, 3, &buf, &e), 3);
	assert_ptr_equal(buf, data);
	assert_int_equal(stream_read(s, got, 2, &e), 2);
	assert_memory_equal(got, data + 3, 2);
	assert_int_equal(stream_next(s, &buf, &e), 5);
	assert_ptr_equal(buf, data + 5);
	assert_int_equal(stream_next_max(s, 0, &buf, &e), -EINVAL);
}

static void stream_seek_makes_an_ended_stream_go_on(void **state)
{
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL;

	(void)state;
	assert_int_equal(stream_mem_open(&s, data, 10, &e), 0);
	assert_int_equal(stream_drain(s, &e), 0);
	assert_int_equal(stream_seek(s, 8, &e), 0);
	assert_int_equal(stream_read_all(s, got, 2, &e), 0);
	assert_memory_equal(got, data + 8, 2);
	assert_int_equal(stream_seek(s, 11, &e), -ENODATA);
	assert_int_equal(e.code, E_TRUNCATED);
}

static void stream_one_way_stage_refuses_to_seek(void **state)
{
	struct fake f = {.data = data, .size = 10};
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL;

	(void)state;
	assert_int_equal(fake_stream_open(&s, &f, &e), 0);
	assert_false(stream_can_seek(s));
	assert_int_equal(stream_seek(s, 0, &e), -ESPIPE);
}

static void stream_stop_ends_every_call_with_canceled(void **state)
{
	struct fake f = {.data = data, .size = SIZE, .max_piece = 10};
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL;

	(void)state;
	assert_int_equal(fake_stream_open(&s, &f, &e), 0);
	assert_int_equal(stream_read(s, got, 5, &e), 5);
	stream_stop(s);
	assert_int_equal(stream_read(s, got, 5, &e), -ECANCELED);
	assert_int_equal(e.code, E_CANCELED);
}

static ssize_t lying_read(struct stream *s, uint8_t *buf, size_t n, struct err *e)
{
	(void)s;
	(void)buf;
	(void)e;
	return (ssize_t)n + 1;
}

static ssize_t silent_read(struct stream *s, uint8_t *buf, size_t n, struct err *e)
{
	(void)s;
	(void)buf;
	(void)n;
	(void)e;
	return -EBADMSG;
}

static void keep_struct(struct stream *s)
{
	(void)s;
}

static void stream_faulty_stage_is_an_internal_error_never_a_step_too_far(void **state)
{
	static const struct stream_ops lying = {
		.name = "liar", .read = lying_read, .close = keep_struct};
	static const struct stream_ops silent = {
		.name = "mute", .read = silent_read, .close = keep_struct};
	struct stream s;
	struct err e = {0};

	(void)state;
	stream_init(&s, &lying, NULL);
	assert_int_equal(stream_read(&s, got, 10, &e), -EOVERFLOW);
	assert_int_equal(e.code, E_INTERNAL);
	stream_close(&s);
	err_clear(&e);
	stream_init(&s, &silent, NULL);
	assert_int_equal(stream_drain(&s, &e), -EBADMSG);
	assert_int_equal(e.code, E_INTERNAL);
	assert_non_null(strstr(e.why, "mute"));
	stream_close(&s);
}

static void stream_close_takes_nothing(void **state)
{
	(void)state;
	assert_null(stream_close(NULL));
}

static int make_data(void **state)
{
	(void)state;
	fake_bytes(data, SIZE, 3);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stream_any_way_of_taking_gives_the_same_bytes),
		cmocka_unit_test(stream_end_is_sticky_and_asks_the_stage_no_more),
		cmocka_unit_test(stream_error_is_sticky_with_its_cause),
		cmocka_unit_test(stream_read_all_says_what_is_missing),
		cmocka_unit_test(stream_next_max_keeps_the_rest_for_the_next_call),
		cmocka_unit_test(stream_seek_makes_an_ended_stream_go_on),
		cmocka_unit_test(stream_one_way_stage_refuses_to_seek),
		cmocka_unit_test(stream_stop_ends_every_call_with_canceled),
		cmocka_unit_test(stream_faulty_stage_is_an_internal_error_never_a_step_too_far),
		cmocka_unit_test(stream_close_takes_nothing),
	};
	return cmocka_run_group_tests(tests, make_data, NULL);
}
