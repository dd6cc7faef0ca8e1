/* The end is proven or it is an error: SHA-256, also behind a checksum of cpio. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/crc32c.h"
#include "corelib/base/digest.h"
#include "corelib/stream/stages.h"
#include "tests/unit/kit/fake_stream.h"

#define SIZE 3000u
static uint8_t data[SIZE], bad[SIZE], got[SIZE + 100], want[SHA256_LEN];
static uint32_t want_sum;

static int stack(struct stream **s, void *arg, struct err *e)
{
	(void)arg;
	return stage_verify_open(s, want, e);
}

/* what a member with a checksum of cpio comes through */
struct sum {
	struct stream s;
	uint32_t have, want;
};

static ssize_t sum_next(struct stream *s, const uint8_t **buf, struct err *e)
{
	struct sum *c = (struct sum *)s;
	ssize_t r = stream_next(s->up, buf, e);

	if (r > 0)
		c->have = bytesum(c->have, *buf, (size_t)r);
	else if (r == 0 && c->have != c->want)
		return err_set(e, E_CPIO_SUM, EBADMSG, "another sum");
	return r;
}

static void sum_close(struct stream *s)
{
	free(s);
}

static const struct stream_ops sum_ops = {.name = "sum", .next = sum_next, .close = sum_close};

static void open_sum(struct stream **s, uint32_t sum)
{
	struct sum *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	stream_init(&c->s, &sum_ops, *s);
	c->s.has_size = (*s)->has_size;
	c->s.size = (*s)->size;
	c->want = sum;
	*s = &c->s;
}

static int run(struct fake *f, uint32_t seed, size_t *n, struct err *e)
{
	struct fake_run r = {
		.fake = f, .stage = stack, .out = got, .room = sizeof(got), .seed = seed};
	int rc;

	err_clear(e);
	rc = fake_run(&r, e);
	*n = r.n;
	return rc;
}

static struct fake any_fake(const uint8_t *bytes, uint32_t seed)
{
	return (struct fake){.data = bytes,
			     .size = SIZE,
			     .way = (enum fake_way)(seed % 3),
			     .seed = seed,
			     .max_piece = 1 + seed * 53};
}

static void verify_good_bytes_pass_unchanged_in_any_cutting(void **state)
{
	struct err e = {0};
	size_t n;

	(void)state;
	for (uint32_t seed = 0; seed < 60; seed++) {
		struct fake f = any_fake(data, seed);

		assert_int_equal(run(&f, seed / 3, &n, &e), 0);
		assert_int_equal(n, SIZE);
		assert_memory_equal(got, data, SIZE);
	}
}

static void t1_verify_one_flipped_bit_is_an_error_instead_of_the_end(void **state)
{
	struct err e = {0};
	size_t n;

	(void)state;
	for (uint32_t bit = 0; bit < SIZE * 8; bit += 1 + bit / 40) {
		struct fake f = any_fake(bad, bit);

		memcpy(bad, data, SIZE);
		bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(run(&f, bit, &n, &e), -EBADMSG);
		assert_int_equal(e.code, E_PAYLOAD_HASH);
	}
}

/* both stages, as a member with a checksum travels */
static enum errcode both(const uint8_t *bytes, uint64_t n, uint32_t sum, bool size_known)
{
	struct fake f = {.data = bytes, .size = n, .max_piece = 700};
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL;

	assert_int_equal(fake_stream_open(&s, &f, &e), 0);
	open_sum(&s, sum);
	s->has_size = size_known;
	assert_int_equal(stage_verify_open(&s, want, &e), 0);
	return stream_drain(s, &e) < 0 ? e.code : E_NONE;
}

static void t1_t49_of_two_wrong_sums_the_signed_one_is_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < SIZE; i = i < SIZE - 40 ? i + 97 : i + 1) {
		memcpy(bad, data, SIZE);
		bad[i] ^= 4;
		assert_int_equal(both(bad, SIZE, want_sum, true), E_PAYLOAD_HASH);
	}
	assert_int_equal(both(data, SIZE, want_sum, true), E_NONE);
	assert_int_equal(both(data, SIZE, want_sum + 1, true), E_CPIO_SUM);
	/* where more parts would follow, the digest so far says nothing */
	assert_int_equal(both(data, SIZE - 1, want_sum, false), E_CPIO_SUM);
}

static void verify_early_end_or_more_bytes_is_a_wrong_hash(void **state)
{
	struct err e = {0};
	size_t n;

	(void)state;
	for (uint64_t cut = 0; cut < SIZE; cut += 1 + cut / 7) {
		struct fake f = any_fake(data, (uint32_t)cut);

		f.ends = true;
		f.end_at = cut;
		assert_int_equal(run(&f, (uint32_t)cut, &n, &e), -EBADMSG);
		assert_int_equal(e.code, E_PAYLOAD_HASH);
	}
}

static void verify_error_names_both_digests(void **state)
{
	struct fake f = {.data = (const uint8_t *)"abc", .size = 3};
	struct err e = {0};
	size_t n;

	(void)state;
	assert_int_equal(run(&f, 0, &n, &e), -EBADMSG);
	assert_non_null(
		strstr(e.why, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
	assert_non_null(strstr(e.why, "the signed description says"));
}

static void verify_hands_on_an_error_from_above_with_its_own_code(void **state)
{
	struct err e = {0};
	size_t n;

	(void)state;
	for (uint64_t at = 0; at <= SIZE; at += 250) {
		struct fake f = any_fake(data, (uint32_t)at);

		f.fails = true;
		f.fail_at = at;
		assert_int_equal(run(&f, (uint32_t)at, &n, &e), -EIO);
		assert_int_equal(e.code, E_IO);
	}
}

static void verify_keeps_size_and_proof_and_error_is_sticky(void **state)
{
	struct fake f = {.data = data, .size = SIZE - 1};
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL;

	(void)state;
	assert_int_equal(fake_stream_open(&s, &f, &e), 0);
	open_sum(&s, want_sum - data[SIZE - 1]);
	assert_int_equal(stage_verify_open(&s, want, &e), 0);
	assert_true(s->has_size);
	assert_int_equal(s->size, SIZE - 1);
	assert_int_equal(s->proof, PROOF_NONE);
	for (int i = 0; i < 3; i++) {
		err_clear(&e);
		assert_int_equal(stream_drain(s, &e), -EBADMSG);
		assert_int_equal(e.code, E_PAYLOAD_HASH);
	}
}

static int make_data(void **state)
{
	struct err e = {0};

	(void)state;
	fake_bytes(data, SIZE, 6);
	want_sum = bytesum(0, data, SIZE);
	return sha256_once(data, SIZE, want, &e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verify_good_bytes_pass_unchanged_in_any_cutting),
		cmocka_unit_test(t1_verify_one_flipped_bit_is_an_error_instead_of_the_end),
		cmocka_unit_test(t1_t49_of_two_wrong_sums_the_signed_one_is_told),
		cmocka_unit_test(verify_early_end_or_more_bytes_is_a_wrong_hash),
		cmocka_unit_test(verify_error_names_both_digests),
		cmocka_unit_test(verify_hands_on_an_error_from_above_with_its_own_code),
		cmocka_unit_test(verify_keeps_size_and_proof_and_error_is_sticky),
	};
	return cmocka_run_group_tests(tests, make_data, NULL);
}
