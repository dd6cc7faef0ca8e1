/* Signed block hashes: a block is lent only when it is the signed one, on one thread or several. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/digest.h"
#include "corelib/stream/stages.h"
#include "corelib/base/sys.h"
#include "tests/unit/kit/fake_stream.h"
#include "tests/unit/kit/hang.h"

#define BLOCK  (64u * 1024)
#define BLOCKS 9u
#define SIZE   (8 * BLOCK + 1234)
static uint8_t data[SIZE + 1], bad[SIZE + 1], got[SIZE + 100], digests[BLOCKS * SHA256_LEN];
static struct block_hashes list = {
	.digests = digests, .count = BLOCKS, .block = BLOCK, .size = SIZE};

static int stack(struct stream **s, void *arg, struct err *e)
{
	return stage_blocks_open(s, &list, *(unsigned *)arg, e);
}

static int run(struct fake *f, unsigned threads, uint32_t seed, size_t *n, struct err *e)
{
	struct fake_run r = {.fake = f,
			     .stage = stack,
			     .arg = &threads,
			     .out = got,
			     .room = sizeof(got),
			     .seed = seed};
	int rc;

	err_clear(e);
	rc = fake_run(&r, e);
	*n = r.n;
	assert_int_equal(f->closed, 1);
	assert_memory_equal(got, data, r.n);
	return rc;
}

static struct fake any_fake(const uint8_t *bytes, uint32_t seed)
{
	return (struct fake){.data = bytes,
			     .size = SIZE,
			     .way = (enum fake_way)(seed % 3),
			     .seed = seed,
			     .max_piece = 1000 + seed * 9973};
}

static void blocks_give_the_same_bytes_in_order_on_any_threads(void **state)
{
	struct err e = {0};
	size_t n;

	(void)state;
	for (uint32_t seed = 0; seed < 18; seed++)
		for (unsigned threads = 0; threads <= 5; threads++) {
			struct fake f = any_fake(data, seed);

			assert_int_equal(run(&f, threads, seed / 3, &n, &e), 0);
			assert_int_equal(n, SIZE);
		}
}

static void t1_blocks_one_flipped_bit_stops_before_its_block(void **state)
{
	struct err e = {0};
	size_t n;

	(void)state;
	for (size_t at = 0; at < SIZE; at += SIZE / 23)
		for (unsigned threads = 1; threads <= 4; threads += 3) {
			struct fake f = any_fake(bad, (uint32_t)at);

			memcpy(bad, data, SIZE);
			bad[at] ^= (uint8_t)(1 << at % 8);
			assert_int_equal(run(&f, threads, (uint32_t)at, &n, &e), -EBADMSG);
			assert_int_equal(e.code, E_BLOCK_HASH);
			assert_int_equal(n, at / BLOCK * BLOCK);
		}
}

static void blocks_early_end_is_truncated_instead_of_the_end(void **state)
{
	struct err e = {0};
	size_t n;

	(void)state;
	for (size_t cut = 0; cut < SIZE; cut += SIZE / 19)
		for (unsigned threads = 1; threads <= 4; threads += 3) {
			struct fake f = any_fake(data, (uint32_t)cut);

			f.ends = true;
			f.end_at = cut;
			assert_int_equal(run(&f, threads, (uint32_t)cut, &n, &e), -ENODATA);
			assert_int_equal(e.code, E_TRUNCATED);
			assert_int_equal(n, cut / BLOCK * BLOCK);
		}
}

static void blocks_one_byte_behind_the_last_block_is_refused(void **state)
{
	struct err e = {0};
	size_t n;

	(void)state;
	for (unsigned threads = 1; threads <= 4; threads += 3) {
		struct fake f = any_fake(data, 0);

		f.size = SIZE + 1;
		assert_int_equal(run(&f, threads, 0, &n, &e), -EFBIG);
		assert_int_equal(e.code, E_BLOCK_HASH);
		assert_int_equal(n, SIZE);
	}
}

static void blocks_error_from_above_keeps_its_code_and_stays(void **state)
{
	(void)state;
	for (unsigned threads = 1; threads <= 4; threads += 3)
		for (uint64_t at = 0; at <= SIZE; at += BLOCK) {
			struct fake f = any_fake(data, (uint32_t)at);
			struct err e = {0};
			AUTO_STREAM struct stream *s = NULL;

			f.fails = true;
			f.fail_at = at;
			assert_int_equal(fake_stream_open(&s, &f, &e), 0);
			assert_int_equal(stage_blocks_open(&s, &list, threads, &e), 0);
			for (int i = 0; i < 3; i++) {
				err_clear(&e);
				assert_int_equal(stream_drain(s, &e), -EIO);
				assert_int_equal(e.code, E_IO);
			}
		}
}

static void t1_blocks_swapped_blocks_are_refused(void **state)
{
	struct fake f = any_fake(bad, 0);
	struct err e = {0};
	size_t n;

	(void)state;
	memcpy(bad, data, SIZE);
	memcpy(bad + BLOCK, data + 2 * BLOCK, BLOCK);
	memcpy(bad + 2 * BLOCK, data + BLOCK, BLOCK);
	assert_int_equal(run(&f, 4, 0, &n, &e), -EBADMSG);
	assert_int_equal(n, BLOCK);
	assert_int_equal(e.code, E_BLOCK_HASH);
	assert_non_null(strstr(e.why, "block 1 of 9 (from byte 65536)"));
}

static void blocks_lists_that_do_not_fit_are_refused_at_open(void **state)
{
	static const struct {
		uint64_t count, size;
		uint32_t block;
	} t[] = {
		{8, SIZE, BLOCK},	{10, SIZE, BLOCK},
		{0, SIZE, BLOCK},	{1, 0, BLOCK},
		{9, SIZE, BLOCK + 1},	{9, SIZE, 0},
		{17, SIZE, BLOCK / 2},	{1, SIZE, 2u << 20},
		{9, UINT64_MAX, BLOCK}, {UINT64_MAX, SIZE, BLOCK},
		{6, SIZE, 96u * 1024},
	};
	struct fake f = any_fake(data, 0);
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL;
	struct stream *before;

	(void)state;
	assert_int_equal(fake_stream_open(&s, &f, &e), 0);
	before = s;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct block_hashes h = {digests, t[i].count, t[i].block, t[i].size};

		err_clear(&e);
		assert_int_equal(stage_blocks_open(&s, &h, 1, &e), -EINVAL);
		assert_int_equal(e.code, E_HASH_LIST);
		assert_ptr_equal(s, before);
	}
}

static void blocks_of_an_empty_payload_end_at_once(void **state)
{
	(void)state;
	for (unsigned threads = 1; threads <= 3; threads++) {
		struct block_hashes h = {.digests = NULL, .count = 0, .block = BLOCK, .size = 0};
		struct fake f = {.data = data, .size = 0};
		struct err e = {0};
		AUTO_STREAM struct stream *s = NULL;

		assert_int_equal(fake_stream_open(&s, &f, &e), 0);
		assert_int_equal(stage_blocks_open(&s, &h, threads, &e), 0);
		assert_int_equal(stream_drain(s, &e), 0);
	}
}

static void blocks_are_lent_aligned_and_proven(void **state)
{
	(void)state;
	for (unsigned threads = 1; threads <= 3; threads += 2) {
		struct fake f = any_fake(data, 3);
		struct err e = {0};
		AUTO_STREAM struct stream *s = NULL;
		const uint8_t *buf;

		assert_int_equal(fake_stream_open(&s, &f, &e), 0);
		assert_int_equal(stage_blocks_open(&s, &list, threads, &e), 0);
		assert_int_equal(s->proof, PROOF_BLOCK);
		assert_true(s->has_size && s->size == SIZE);
		for (int i = 0; i < 8; i++) {
			assert_int_equal(stream_next(s, &buf, &e), BLOCK);
			assert_int_equal((uintptr_t)buf % STREAM_ALIGN, 0);
			assert_memory_equal(buf, data + (size_t)i * BLOCK, BLOCK);
		}
		assert_int_equal(stream_next(s, &buf, &e), 1234);
		assert_int_equal(stream_next(s, &buf, &e), 0);
	}
}

static void blocks_close_after_any_block_is_prompt_even_when_the_upstream_hangs(void **state)
{
	(void)state;
	for (unsigned taken = 0; taken <= BLOCKS; taken++)
		for (unsigned threads = 1; threads <= 4; threads++)
			for (int hangs = 0; hangs < 2; hangs++) {
				struct fake f = any_fake(data, 0);
				struct err e = {0};
				struct stream *s;
				const uint8_t *buf;
				uint64_t start = sys_now_ms();

				f.hangs = hangs;
				f.hang_at = taken * BLOCK;
				assert_int_equal(fake_stream_open(&s, &f, &e), 0);
				assert_int_equal(stage_blocks_open(&s, &list, threads, &e), 0);
				for (unsigned i = 0; i < taken && f.hang_at <= SIZE; i++)
					assert_true(stream_next(s, &buf, &e) > 0);
				assert_null(stream_close(s));
				assert_int_equal(f.closed, 1);
				assert_true(sys_now_ms() - start < HANG_MS);
			}
}

static int make_data(void **state)
{
	struct err e = {0};
	int rc = 0;

	(void)state;
	fake_bytes(data, SIZE + 1, 9);
	for (unsigned i = 0; i < BLOCKS && rc == 0; i++)
		rc = sha256_once(data + (size_t)i * BLOCK, i < 8 ? BLOCK : 1234,
				 digests + (size_t)i * 32, &e);
	return rc;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_give_the_same_bytes_in_order_on_any_threads),
		cmocka_unit_test(t1_blocks_one_flipped_bit_stops_before_its_block),
		cmocka_unit_test(blocks_early_end_is_truncated_instead_of_the_end),
		cmocka_unit_test(blocks_one_byte_behind_the_last_block_is_refused),
		cmocka_unit_test(blocks_error_from_above_keeps_its_code_and_stays),
		cmocka_unit_test(t1_blocks_swapped_blocks_are_refused),
		cmocka_unit_test(blocks_lists_that_do_not_fit_are_refused_at_open),
		cmocka_unit_test(blocks_of_an_empty_payload_end_at_once),
		cmocka_unit_test(blocks_are_lent_aligned_and_proven),
		cmocka_unit_test(
			blocks_close_after_any_block_is_prompt_even_when_the_upstream_hangs),
	};
	return cmocka_run_group_tests(tests, make_data, NULL);
}
