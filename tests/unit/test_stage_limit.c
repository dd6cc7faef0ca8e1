/* Lengths: exactly means exactly, at most means at most, in any cutting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "corelib/stream/stages.h"
#include "tests/unit/kit/fake_stream.h"

#define SIZE 5000u
static uint8_t data[SIZE], got[SIZE + 100];

struct lengths {
	uint64_t size;
	bool cap;
};

static int stack(struct stream **s, void *arg, struct err *e)
{
	const struct lengths *l = arg;

	return l->cap ? stage_cap_open(s, l->size, e) : stage_limit_open(s, l->size, e);
}

static int run(struct fake *f, struct lengths l, uint32_t seed, size_t *n, struct err *e)
{
	struct fake_run r = {.fake = f,
			     .stage = stack,
			     .arg = &l,
			     .out = got,
			     .room = sizeof(got),
			     .seed = seed};
	int rc;

	memset(got, 0, sizeof(got));
	err_clear(e);
	rc = fake_run(&r, e);
	*n = r.n;
	assert_int_equal(f->closed, 1);
	f->closed = 0;
	assert_memory_equal(got, data, r.n);
	return rc;
}

static struct fake any_fake(uint32_t seed)
{
	return (struct fake){.data = data,
			     .size = SIZE,
			     .way = (enum fake_way)(seed % 3),
			     .seed = seed,
			     .max_piece = 1 + seed * 97};
}

static void limit_gives_exactly_so_many_in_any_cutting(void **state)
{
	static const uint64_t sizes[] = {0, 1, 2, 511, 4096, SIZE - 1, SIZE};
	struct err e = {0};
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (uint32_t seed = 0; seed < 30; seed++) {
			struct fake f = any_fake(seed);

			assert_int_equal(
				run(&f, (struct lengths){sizes[i], false}, seed / 3, &n, &e), 0);
			assert_int_equal(n, sizes[i]);
		}
}

static void t22_limit_cut_anywhere_is_truncated_instead_of_the_end(void **state)
{
	struct err e = {0};
	size_t n;

	(void)state;
	for (uint64_t cut = 0; cut < SIZE; cut += 1 + cut / 7) {
		struct fake f = any_fake((uint32_t)cut);

		f.ends = true;
		f.end_at = cut;
		assert_int_equal(run(&f, (struct lengths){SIZE, false}, (uint32_t)cut, &n, &e),
				 -ENODATA);
		assert_int_equal(e.code, E_TRUNCATED);
		assert_int_equal(n, cut);
	}
}

static void limit_leaves_the_rest_unread_for_the_next_taker(void **state)
{
	(void)state;
	for (uint32_t seed = 0; seed < 30; seed++) {
		struct fake f = any_fake(seed);
		struct err e = {0};
		struct stream *up, *top;
		size_t n;

		/* a bundle's members share the stream below: the limit is taken off by hand here */
		assert_int_equal(fake_stream_open(&up, &f, &e), 0);
		top = up;
		assert_int_equal(stage_limit_open(&top, 1000, &e), 0);
		assert_int_equal(fake_take_all(top, got, sizeof(got), &n, seed, &e), 0);
		assert_int_equal(n, 1000);
		assert_int_equal(up->pos, 1000);
		assert_int_equal(fake_take_all(up, got, sizeof(got), &n, seed, &e), 0);
		assert_int_equal(n, SIZE - 1000);
		assert_memory_equal(got, data + 1000, n);
		stream_close(top);
	}
}

static void limit_tells_its_size(void **state)
{
	struct fake f = {.data = data, .size = SIZE, .no_size = true, .proof = PROOF_BLOCK};
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL;

	(void)state;
	assert_int_equal(fake_stream_open(&s, &f, &e), 0);
	assert_int_equal(stage_cap_open(&s, 100, &e), 0);
	assert_false(s->has_size);
	assert_int_equal(stage_limit_open(&s, 100, &e), 0);
	assert_true(s->has_size);
	assert_int_equal(s->size, 100);
	assert_int_equal(s->proof, PROOF_BLOCK);
}

static void cap_takes_what_fits_and_refuses_one_byte_more(void **state)
{
	struct err e = {0};
	size_t n;

	(void)state;
	for (uint32_t seed = 0; seed < 60; seed++) {
		struct fake f = any_fake(seed);

		assert_int_equal(run(&f, (struct lengths){SIZE, true}, seed / 3, &n, &e), 0);
		assert_int_equal(n, SIZE);
		assert_int_equal(run(&f, (struct lengths){UINT64_MAX, true}, seed / 3, &n, &e), 0);
		assert_int_equal(n, SIZE);
		assert_int_equal(run(&f, (struct lengths){SIZE - 1, true}, seed / 3, &n, &e),
				 -EFBIG);
		assert_int_equal(e.code, E_LIMIT_OUTPUT);
		assert_true(n < SIZE);
		assert_int_equal(run(&f, (struct lengths){0, true}, seed / 3, &n, &e), -EFBIG);
		assert_int_equal(n, 0);
	}
}

static void lengths_hand_on_an_error_from_above(void **state)
{
	struct err e = {0};
	size_t n;

	(void)state;
	for (uint64_t at = 0; at < SIZE; at += 333)
		for (int cap = 0; cap < 2; cap++) {
			struct fake f = any_fake((uint32_t)at);

			f.fails = true;
			f.fail_at = at;
			assert_int_equal(run(&f, (struct lengths){SIZE, cap == 1}, (uint32_t)at, &n,
					     &e),
					 -EIO);
			assert_int_equal(e.code, E_IO);
			assert_int_equal(n, at);
		}
}

static int make_data(void **state)
{
	(void)state;
	fake_bytes(data, SIZE, 5);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limit_gives_exactly_so_many_in_any_cutting),
		cmocka_unit_test(t22_limit_cut_anywhere_is_truncated_instead_of_the_end),
		cmocka_unit_test(limit_leaves_the_rest_unread_for_the_next_taker),
		cmocka_unit_test(limit_tells_its_size),
		cmocka_unit_test(cap_takes_what_fits_and_refuses_one_byte_more),
		cmocka_unit_test(lengths_hand_on_an_error_from_above),
	};
	return cmocka_run_group_tests(tests, make_data, NULL);
}
