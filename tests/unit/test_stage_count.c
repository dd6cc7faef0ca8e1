/* The meter: every byte once, seldom told, a cancel ends the stream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "corelib/stream/stages.h"
#include "tests/unit/kit/fake_stream.h"

#define SIZE (3u << 20)
static uint8_t *data;

struct told {
	unsigned times;
	uint64_t last;
	uint64_t cancel_at; /* 0 = never */
	volatile bool cancel;
};

static void moved(void *arg, uint64_t bytes)
{
	struct told *t = arg;

	assert_true(bytes > t->last);
	t->last = bytes;
	t->times++;
	if (t->cancel_at && bytes >= t->cancel_at)
		t->cancel = true;
}

static int open_counted(struct stream **s, struct fake *f, struct meter *m, struct err *e)
{
	int rc = fake_stream_open(s, f, e);

	return rc < 0 ? rc : stage_count_open(s, m, e);
}

static void count_every_byte_once_and_tells_seldom(void **state)
{
	(void)state;
	for (uint32_t seed = 0; seed < 6; seed++) {
		struct told t = {0};
		struct meter m = {.moved = moved, .arg = &t};
		struct fake f = {.data = data,
				 .size = SIZE,
				 .way = (enum fake_way)(seed % 3),
				 .seed = seed,
				 .max_piece = seed * 10000};
		struct err e = {0};
		AUTO_STREAM struct stream *s = NULL;

		assert_int_equal(open_counted(&s, &f, &m, &e), 0);
		assert_int_equal(stream_drain(s, &e), 0);
		assert_int_equal(m.bytes, SIZE);
		assert_int_equal(t.last, SIZE);
		assert_true(t.times <= 13);
		assert_int_equal(s->size, SIZE);
	}
}

static void count_without_a_listener_still_counts(void **state)
{
	struct meter m = {0};
	struct fake f = {.data = data, .size = 1000};
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL;

	(void)state;
	assert_int_equal(open_counted(&s, &f, &m, &e), 0);
	assert_int_equal(stream_drain(s, &e), 0);
	assert_int_equal(m.bytes, 1000);
}

static void count_cancel_ends_the_stream_with_canceled_for_ever(void **state)
{
	(void)state;
	for (uint64_t at = 1; at < SIZE - (1u << 20); at += SIZE / 7) {
		struct told t = {.cancel_at = at};
		struct meter m = {.moved = moved, .arg = &t, .cancel = &t.cancel};
		struct fake f = {.data = data, .size = SIZE, .max_piece = 100000};
		struct err e = {0};
		AUTO_STREAM struct stream *s = NULL;

		assert_int_equal(open_counted(&s, &f, &m, &e), 0);
		assert_int_equal(stream_drain(s, &e), -ECANCELED);
		assert_int_equal(e.code, E_CANCELED);
		assert_true(m.bytes < at + STREAM_BLOCK);
		t.cancel = false;
		err_clear(&e);
		assert_int_equal(stream_drain(s, &e), -ECANCELED);
		assert_int_equal(e.code, E_CANCELED);
	}
}

static void count_reads_into_the_memory_of_the_taker(void **state)
{
	volatile bool cancel = false;
	struct meter m = {.cancel = &cancel};
	struct fake f = {.data = data, .size = 1000, .way = FAKE_READ};
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL;
	uint8_t buf[700];

	(void)state;
	assert_int_equal(open_counted(&s, &f, &m, &e), 0);
	assert_int_equal(stream_read_all(s, buf, sizeof(buf), &e), 0);
	assert_int_equal(m.bytes, 700);
	cancel = true;
	assert_int_equal(stream_read(s, buf, 300, &e), -ECANCELED);
	assert_int_equal(e.code, E_CANCELED);
}

static void count_tells_what_came_before_an_error(void **state)
{
	struct told t = {0};
	struct meter m = {.moved = moved, .arg = &t};
	struct fake f = {.data = data, .size = SIZE, .fails = true, .fail_at = 777};
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL;

	(void)state;
	assert_int_equal(open_counted(&s, &f, &m, &e), 0);
	assert_int_equal(stream_drain(s, &e), -EIO);
	assert_int_equal(t.last, 777);
}

static int make_data(void **state)
{
	(void)state;
	data = calloc(1, SIZE);
	return data ? 0 : -1;
}

static int free_data(void **state)
{
	(void)state;
	free(data);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(count_every_byte_once_and_tells_seldom),
		cmocka_unit_test(count_without_a_listener_still_counts),
		cmocka_unit_test(count_cancel_ends_the_stream_with_canceled_for_ever),
		cmocka_unit_test(count_reads_into_the_memory_of_the_taker),
		cmocka_unit_test(count_tells_what_came_before_an_error),
	};
	return cmocka_run_group_tests(tests, make_data, free_data);
}
