/* At most means at most, in any cutting. */
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

static int stack(struct stream **s, void *arg, struct err *e)
{
	return stage_cap_open(s, *(const uint64_t *)arg, e);
}

static int run(struct fake *f, uint64_t max, uint32_t seed, size_t *n, struct err *e)
{
	struct fake_run r = {.fake = f,
			     .stage = stack,
			     .arg = &max,
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

static void cap_keeps_size_and_proof(void **state)
{
	struct fake f = {.data = data, .size = SIZE, .no_size = true, .proof = PROOF_BLOCK};
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL;

	(void)state;
	assert_int_equal(fake_stream_open(&s, &f, &e), 0);
	assert_int_equal(stage_cap_open(&s, 100, &e), 0);
	assert_false(s->has_size);
	assert_int_equal(s->proof, PROOF_BLOCK);
}

static void cap_takes_what_fits_and_refuses_one_byte_more(void **state)
{
	struct err e = {0};
	size_t n;

	(void)state;
	for (uint32_t seed = 0; seed < 60; seed++) {
		struct fake f = any_fake(seed);

		assert_int_equal(run(&f, SIZE, seed / 3, &n, &e), 0);
		assert_int_equal(n, SIZE);
		assert_int_equal(run(&f, UINT64_MAX, seed / 3, &n, &e), 0);
		assert_int_equal(n, SIZE);
		assert_int_equal(run(&f, SIZE - 1, seed / 3, &n, &e), -EFBIG);
		assert_int_equal(e.code, E_LIMIT_OUTPUT);
		assert_true(n < SIZE);
		assert_int_equal(run(&f, 0, seed / 3, &n, &e), -EFBIG);
		assert_int_equal(n, 0);
	}
}

static void cap_hands_on_an_error_from_above(void **state)
{
	struct err e = {0};
	size_t n;

	(void)state;
	for (uint64_t at = 0; at < SIZE; at += 333) {
		struct fake f = any_fake((uint32_t)at);

		f.fails = true;
		f.fail_at = at;
		assert_int_equal(run(&f, SIZE, (uint32_t)at, &n, &e), -EIO);
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
		cmocka_unit_test(cap_keeps_size_and_proof),
		cmocka_unit_test(cap_takes_what_fits_and_refuses_one_byte_more),
		cmocka_unit_test(cap_hands_on_an_error_from_above),
	};
	return cmocka_run_group_tests(tests, make_data, NULL);
}
