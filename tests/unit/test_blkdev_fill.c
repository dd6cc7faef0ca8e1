/* The fill: the right bytes at the right place, in the right sizes, and no more than needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/device/blkdev.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/fail_malloc.h"
#include "tests/unit/kit/fake_blkdev.h"
#include "tests/unit/kit/fake_stream.h"

#define KiB 1024u
#define MiB (1024u * 1024)

static uint8_t *image; /* aligned for O_DIRECT */

static uint8_t *aligned(size_t n)
{
	void *p = NULL;

	assert_int_equal(posix_memalign(&p, 4096, n), 0);
	return p;
}

static int setup(void **state)
{
	(void)state;
	image = aligned(16 * MiB);
	fake_bytes(image, 16 * MiB, 7);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(image);
	return 0;
}

/* one fill of what 'src' says */
static int run(struct fakedev *f, struct fake *src, const struct fill *how, struct err *e)
{
	struct stream *s;
	int rc;

	memset(e, 0, sizeof(*e));
	rc = fake_stream_open(&s, src, e);
	assert_int_equal(rc, 0);
	rc = blkdev_fill(&f->d, s, how, e);
	stream_close(s);
	assert_int_equal(f->misaligned, 0);
	return rc;
}

static int run_bytes(struct fakedev *f, const uint8_t *data, size_t n, const struct fill *how,
		     struct err *e)
{
	struct fake src = {.data = data, .size = n, .max_piece = MiB};

	return run(f, &src, how, e);
}

static bool is_all(const uint8_t *p, size_t n, uint8_t byte)
{
	return n == 0 || (p[0] == byte && memcmp(p, p + 1, n - 1) == 0);
}

static void assert_filled(const struct fakedev *f, uint64_t off, const uint8_t *data, size_t n,
			  uint8_t around)
{
	assert_memory_equal(f->mem + off, data, n);
	assert_true(is_all(f->mem, off, around));
	assert_true(is_all(f->mem + off + n, f->room - off - n, around));
}

/* ---- the right bytes ---- */

struct shape {
	uint32_t mem, io;
	uint64_t off;
	size_t size, piece;
	uint32_t seed;
};

static void try_shape(const struct shape *s, enum blkdev_compare compare)
{
	struct fake src = {.data = image + s->seed % 3,
			   .size = s->size,
			   .max_piece = s->piece,
			   .seed = s->seed,
			   .no_size = s->seed & 1};
	struct fakedev f;
	struct err e;

	assert_int_equal(fakedev_init(&f, 3 * MiB, 0xa5), 0);
	f.d.mem_align = s->mem;
	f.d.io_align = s->io;
	assert_int_equal(run(&f, &src, &(struct fill){.offset = s->off, .compare = compare}, &e),
			 0);
	assert_filled(&f, s->off, src.data, s->size, 0xa5);
	assert_int_equal(f.d.written + f.d.skipped + f.d.zeroed, s->size);
	assert_int_equal(fakedev_count(&f, FAKEDEV_FLUSH), 0);
	fakedev_clear(&f);
}

static void fill_writes_the_stream_for_any_alignment_offset_and_piece(void **state)
{
	static const uint32_t aligns[][2] = {{1, 1}, {4, 512}, {512, 512}, {4096, 4096}};
	static const uint64_t offs[] = {0,    1,      511,     512, 4095,
					4096, 300000, MiB - 1, MiB, MiB + 4096};
	static const size_t sizes[] = {0, 1, 511, 512, 4096, 5000, MiB - 1, MiB, MiB + 513};
	static const size_t pieces[] = {0, 700, 65536, 300 * KiB, MiB};
	uint32_t seed = 0;

	(void)state;
	for (size_t a = 0; a < ARRAY_SIZE(aligns); a++)
		for (size_t o = 0; o < ARRAY_SIZE(offs); o++)
			for (size_t z = 0; z < ARRAY_SIZE(sizes); z++, seed++) {
				size_t piece = pieces[seed % ARRAY_SIZE(pieces)];
				struct shape s = {aligns[a][0], aligns[a][1], offs[o],
						  sizes[z],	piece,	      piece ? seed : 0};

				try_shape(&s, (enum blkdev_compare)(seed % 3));
			}
}

static void fill_takes_an_aligned_block_from_where_it_lies(void **state)
{
	AUTO_STREAM struct stream *s = NULL;
	struct err e = {0};
	struct fakedev f;

	(void)state;
	assert_int_equal(fakedev_init(&f, 4 * MiB, 0xff), 0);
	assert_int_equal(stream_mem_open(&s, image, 4 * MiB, &e), 0);
	assert_int_equal(blkdev_fill(&f.d, s, &(struct fill){.compare = COMPARE_NO}, &e), 0);
	assert_int_equal(f.count, 4 + 1); /* and finish */
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(f.log[i].op, FAKEDEV_WRITE);
		assert_ptr_equal(f.log[i].buf, image + i * MiB);
		assert_int_equal(f.log[i].len, MiB);
	}
	fakedev_clear(&f);
}

static void fill_gathers_small_pieces_into_whole_blocks(void **state)
{
	struct fake src = {.data = image, .size = 4 * MiB, .max_piece = 16 * KiB};
	struct fakedev f;
	struct err e;

	(void)state;
	assert_int_equal(fakedev_init(&f, 8 * MiB, 0xff), 0);
	assert_int_equal(run(&f, &src, &(struct fill){.compare = COMPARE_NO}, &e), 0);
	assert_int_equal(fakedev_count(&f, FAKEDEV_WRITE), 4);
	assert_filled(&f, 0, image, 4 * MiB, 0xff);
	fakedev_clear(&f);
}

static void fill_writes_only_the_odd_ends_unaligned(void **state)
{
	struct fakedev f;
	struct err e;

	(void)state;
	assert_int_equal(fakedev_init(&f, 8 * MiB, 0xff), 0);
	assert_int_equal(run_bytes(&f, image, 3 * MiB,
				   &(struct fill){.offset = 100, .compare = COMPARE_NO}, &e),
			 0);
	assert_int_equal(fakedev_count(&f, FAKEDEV_ANY), 2);
	assert_int_equal(fakedev_bytes(&f, FAKEDEV_ANY), (4096 - 100) + 100);
	assert_filled(&f, 100, image, 3 * MiB, 0xff);
	fakedev_clear(&f);
}

static void fill_of_a_sequential_device_is_one_row_of_bytes(void **state)
{
	struct fake src = {.data = image, .size = 3 * MiB + 77, .max_piece = 90000, .seed = 5};
	struct fakedev f;
	struct err e;
	uint64_t at = 0;

	(void)state;
	assert_int_equal(fakedev_init(&f, 4 * MiB, 0), 0);
	f.d.sequential = true;
	f.d.io_align = f.d.mem_align = 1;
	memset(image + MiB, 0, MiB);
	assert_int_equal(run(&f, &src, &(struct fill){.compare = COMPARE_YES}, &e), 0);
	for (size_t i = 0; i + 1 < f.count; i++) {
		assert_int_equal(f.log[i].op, FAKEDEV_WRITE);
		assert_int_equal(f.log[i].off, at);
		at += f.log[i].len;
	}
	assert_int_equal(at, src.size);
	assert_int_equal(run(&f, &src, &(struct fill){.offset = 1}, &e), -ESPIPE);
	assert_int_equal(e.code, E_RANGE);
	fake_bytes(image, 16 * MiB, 7);
	fakedev_clear(&f);
}

/* ---- what does not fit (T39) ---- */

static void t39_fill_that_does_not_fit_is_refused_before_the_first_write(void **state)
{
	static const struct {
		uint64_t off, limit;
		size_t size;
		enum errcode code;
	} rows[] = {
		{0, 0, 2 * MiB + 1, E_TARGET_SMALL},
		{MiB, 0, MiB + 1, E_TARGET_SMALL},
		{2 * MiB - 1, 0, 2, E_TARGET_SMALL},
		{2 * MiB, 0, 1, E_RANGE},
		{2 * MiB + 1, 0, 0, E_RANGE},
		{UINT64_MAX, 0, 4096, E_RANGE},
		{UINT64_MAX - 4095, 0, 4096, E_RANGE},
		{0, 4096, 4097, E_TARGET_SMALL},
		{MiB, UINT64_MAX, MiB + 1, E_TARGET_SMALL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fill how = {.offset = rows[i].off, .limit = rows[i].limit};
		struct fakedev f;
		struct err e;

		assert_int_equal(fakedev_init(&f, 2 * MiB, 1), 0);
		assert_int_equal(run_bytes(&f, image, rows[i].size, &how, &e), -ENOSPC);
		assert_int_equal(e.code, rows[i].code);
		assert_string_equal(e.object, "fake");
		assert_int_equal(f.count, 0);
		fakedev_clear(&f);
	}
}

static void fill_of_unknown_size_never_passes_the_end(void **state)
{
	(void)state;
	for (unsigned limited = 0; limited < 2; limited++) {
		struct fake src = {.data = image,
				   .size = 2 * MiB + 1,
				   .no_size = true,
				   .max_piece = 128 * KiB};
		struct fill how = {.offset = 4096, .limit = limited ? MiB : 0};
		struct fakedev f;
		struct err e;

		assert_int_equal(fakedev_init(&f, 2 * MiB, 1), 0);
		assert_int_equal(run(&f, &src, &how, &e), -ENOSPC);
		assert_int_equal(e.code, E_TARGET_SMALL);
		for (size_t i = 0; i < f.count; i++)
			assert_true(f.log[i].off + f.log[i].len <=
				    (limited ? MiB + 4096 : 2 * MiB));
		assert_int_equal(fakedev_count(&f, FAKEDEV_FINISH), 0);
		fakedev_clear(&f);
	}
}

static void fill_of_a_device_that_must_know_the_total_refuses_an_unknown_one(void **state)
{
	struct fake src = {.data = image, .size = 4096, .no_size = true};
	struct fakedev f;
	struct err e;

	(void)state;
	assert_int_equal(fakedev_init(&f, MiB, 1), 0);
	f.d.needs_total = true;
	assert_int_equal(run(&f, &src, &(struct fill){0}, &e), -EINVAL);
	assert_int_equal(e.code, E_TARGET);
	assert_int_equal(f.count, 0);
	fakedev_clear(&f);
}

/* ---- faults (T108, T109) ---- */

static void fill_of_a_truncated_stream_neither_finishes_nor_flushes(void **state)
{
	(void)state;
	for (uint64_t at = 0; at < 3 * MiB; at += 700001) {
		struct fake src = {.data = image,
				   .size = 3 * MiB,
				   .max_piece = 512 * KiB,
				   .fails = true,
				   .fail_at = at,
				   .fail_code = E_TRUNCATED,
				   .fail_sys = EPIPE};
		struct fakedev f;
		struct err e;

		assert_int_equal(fakedev_init(&f, 4 * MiB, 1), 0);
		assert_int_equal(run(&f, &src, &(struct fill){0}, &e), -EPIPE);
		assert_int_equal(e.code, E_TRUNCATED);
		assert_int_equal(fakedev_count(&f, FAKEDEV_FINISH), 0);
		assert_int_equal(fakedev_count(&f, FAKEDEV_FLUSH), 0);
		assert_true(f.d.written <= at);
		fakedev_clear(&f);
	}
}

static void t109_fill_stops_at_the_first_failure_of_each_kind(void **state)
{
	static const enum fakedev_op ops[] = {FAKEDEV_WRITE, FAKEDEV_ANY, FAKEDEV_ZERO,
					      FAKEDEV_FINISH};
	static const int errnos[] = {EIO, ENOSPC};

	(void)state;
	memset(image + MiB, 0, 2 * MiB);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		for (unsigned n = 1, more = 1; more; n++) {
			struct fakedev f;
			struct err e;
			int rc;

			assert_int_equal(fakedev_init(&f, 8 * MiB, 1), 0);
			f.fail_op = ops[i];
			f.fail_at = n;
			f.fail_errno = errnos[n % 2];
			rc = run_bytes(&f, image, 5 * MiB + 5, &(struct fill){.offset = 5}, &e);
			more = rc < 0;
			assert_true(more || n > 1);
			if (more) {
				assert_int_equal(rc, -f.fail_errno);
				assert_int_equal(e.code, E_TARGET_WRITE);
				assert_string_equal(e.object, "fake");
				assert_int_equal(f.log[f.count - 1].op, ops[i]);
			}
			fakedev_clear(&f);
		}
	}
	fake_bytes(image, 16 * MiB, 7);
}

static void t109_fill_writes_over_what_cannot_be_read(void **state)
{
	(void)state;
	for (unsigned n = 1; n < 6; n++) {
		struct fakedev f;
		struct err e;

		assert_int_equal(fakedev_init(&f, 5 * MiB, 1), 0);
		memcpy(f.mem, image, 5 * MiB);
		f.fail_op = FAKEDEV_READ;
		f.fail_at = n;
		f.fail_errno = EIO;
		assert_int_equal(run_bytes(&f, image, 5 * MiB, &(struct fill){0}, &e), 0);
		assert_int_equal(f.d.written, MiB);
		assert_false(err_is_set(&e));
		fakedev_clear(&f);
	}
}

static void fill_without_memory_says_so_and_loses_none(void **state)
{
	(void)state;
	if (!fail_malloc_works())
		skip();
	for (unsigned n = 1, more = 1; more; n++) {
		struct fakedev f;
		struct err e = {0};
		struct stream *s;
		long live;
		int rc;

		assert_int_equal(fakedev_init(&f, 4 * MiB, 1), 0);
		f.no_log = true;
		assert_int_equal(stream_mem_open(&s, image + 1, 3 * MiB + 5, &e), 0);
		live = fail_malloc_live();
		fail_malloc_at(n);
		rc = blkdev_fill(&f.d, s, &(struct fill){.offset = 5}, &e);
		more = fail_malloc_off();
		assert_int_equal(fail_malloc_live(), live);
		assert_int_equal(rc, more ? -ENOMEM : 0);
		assert_int_equal(e.code, more ? E_MEMORY : E_NONE);
		stream_close(s);
		fakedev_clear(&f);
	}
}

/* ---- zeros ---- */

static void fill_zeroes_without_writing_and_never_leaves_old_bytes(void **state)
{
	(void)state;
	memset(image + MiB, 0, 2 * MiB);
	for (unsigned way = 0; way < 3; way++) {
		struct fakedev f;
		struct err e;

		assert_int_equal(fakedev_init(&f, 4 * MiB, 0xee), 0);
		f.no_zero = way == 1;
		f.ops.zero = way == 2 ? NULL : f.ops.zero;
		assert_int_equal(run_bytes(&f, image, 4 * MiB,
					   &(struct fill){.compare = COMPARE_NO}, &e),
				 0);
		assert_memory_equal(f.mem, image, 4 * MiB);
		assert_int_equal(f.d.zeroed, way ? 0 : 2 * MiB);
		assert_int_equal(f.d.written, way ? 4 * MiB : 2 * MiB);
		assert_int_equal(fakedev_count(&f, FAKEDEV_ZERO), way == 0 ? 2 : way == 1);
		fakedev_clear(&f);
	}
	fake_bytes(image, 16 * MiB, 7);
}

static void fill_leaves_zeros_out_only_of_a_fresh_file(void **state)
{
	struct fakedev f;
	struct err e;

	(void)state;
	memset(image + 64 * KiB, 0, 3 * MiB);
	assert_int_equal(fakedev_init(&f, 4 * MiB, 0), 0);
	fakedev_grows(&f);
	assert_int_equal(run_bytes(&f, image, 3 * MiB, &(struct fill){0}, &e), 0);
	assert_int_equal(f.d.written, 64 * KiB);
	assert_int_equal(f.d.skipped, 3 * MiB - 64 * KiB);
	assert_int_equal(f.log[f.count - 1].op, FAKEDEV_FINISH);
	assert_int_equal(f.log[f.count - 1].off, 3 * MiB);
	assert_false(f.d.reads_zero); /* the second time it is not fresh */
	memset(f.mem, 0xaa, f.room);
	assert_int_equal(run_bytes(&f, image, 3 * MiB, &(struct fill){0}, &e), 0);
	assert_memory_equal(f.mem, image, 3 * MiB);
	fake_bytes(image, 16 * MiB, 7);
	fakedev_clear(&f);
}

/* ---- compare-before-write (T116, F7) ---- */

static void t116_same_image_again_writes_nothing(void **state)
{
	static const struct {
		uint64_t off;
		size_t size;
		size_t piece;
	} rows[] = {{0, 8 * MiB, MiB},
		    {0, 8 * MiB + 77, MiB},
		    {12345, 3 * MiB, 100000},
		    {4096, 5 * MiB, 300000},
		    {100, 10, 3}};

	(void)state;
	memset(image + 2 * MiB, 0, 2 * MiB);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fake src = {.data = image, .size = rows[i].size, .max_piece = rows[i].piece};
		struct fill how = {.offset = rows[i].off};
		struct fakedev f;
		struct err e;

		assert_int_equal(fakedev_init(&f, 9 * MiB, 0x33), 0);
		assert_int_equal(run(&f, &src, &how, &e), 0);
		fakedev_forget(&f);
		src.at = 0;
		assert_int_equal(run(&f, &src, &how, &e), 0);
		assert_int_equal(f.d.written + f.d.zeroed, 0);
		assert_int_equal(f.d.skipped, rows[i].size);
		assert_int_equal(fakedev_count(&f, FAKEDEV_WRITE) + fakedev_count(&f, FAKEDEV_ANY) +
					 fakedev_count(&f, FAKEDEV_ZERO),
				 0);
		fakedev_clear(&f);
	}
	fake_bytes(image, 16 * MiB, 7);
}

static void first_install_reads_next_to_nothing(void **state)
{
	struct fakedev f;
	struct err e;
	const size_t size = 128 * MiB;
	struct fake src = {.data = NULL, .size = size, .max_piece = MiB};
	uint8_t *big = aligned(size);

	(void)state;
	for (size_t i = 0; i < size; i += 16 * MiB)
		memcpy(big + i, image, 16 * MiB);
	src.data = big;
	assert_int_equal(fakedev_init(&f, size, 0), 0);
	assert_int_equal(run(&f, &src, &(struct fill){0}, &e), 0);
	assert_int_equal(f.d.written, size);
	assert_true(fakedev_bytes(&f, FAKEDEV_READ) <= size / 50); /* 2 % */
	free(big);
	fakedev_clear(&f);
}

/* change 'share' of 1000 bytes in rows of 'len', spread; returns how many */
static size_t change(uint8_t *data, size_t size, size_t len, unsigned share)
{
	const size_t step = len * 1000 / share / 4096 * 4096;
	size_t n = 0;

	for (size_t at = step / 4 / 4096 * 4096; at + len <= size; at += step, n += len)
		for (size_t i = 0; i < len; i++)
			data[at + i] ^= 0x5a;
	return n;
}

static void t116_next_release_writes_little_more_than_what_changed(void **state)
{
	static const size_t rows[] = {4096, 64 * KiB, MiB, 12 * MiB};
	const size_t size = 128 * MiB;
	uint8_t *big = aligned(size);

	(void)state;
	for (size_t r = 0; r < ARRAY_SIZE(rows); r++) {
		struct fakedev f;
		struct err e;
		size_t changed;

		for (size_t i = 0; i < size; i += 16 * MiB)
			memcpy(big + i, image, 16 * MiB);
		assert_int_equal(fakedev_init(&f, size, 0), 0);
		memcpy(f.mem, big, size);
		changed = change(big, size, rows[r], 50);
		assert_in_range(changed, size / 25, size / 10); /* about 5 % */
		assert_int_equal(run_bytes(&f, big, size, &(struct fill){0}, &e), 0);
		assert_memory_equal(f.mem, big, size);
		if (f.d.written * 10 > changed * 12)
			print_message("rows of %zu: %" PRIu64 " written, %zu changed\n", rows[r],
				      f.d.written, changed);
		assert_true(f.d.written * 10 <= changed * 12);
		fakedev_clear(&f);
	}
	free(big);
}

static void compare_costs_few_writes_where_changes_are_many_and_small(void **state)
{
	struct fakedev f;
	struct err e;

	(void)state;
	assert_int_equal(fakedev_init(&f, 16 * MiB, 0), 0);
	memcpy(f.mem, image, 16 * MiB);
	for (size_t i = 0; i < 16 * MiB; i += 8192)
		f.mem[i] ^= 1;
	assert_int_equal(run_bytes(&f, image, 16 * MiB, &(struct fill){0}, &e), 0);
	assert_memory_equal(f.mem, image, 16 * MiB);
	assert_int_equal(fakedev_count(&f, FAKEDEV_WRITE), 16);
	fakedev_clear(&f);
}

static void compare_is_never_done_where_it_must_not(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct fakedev f;
		struct err e;

		assert_int_equal(fakedev_init(&f, 2 * MiB, 0), 0);
		memcpy(f.mem, image, 2 * MiB);
		f.d.broken = i == 0;
		f.ops.pread = i == 1 ? NULL : f.ops.pread;
		f.d.compare = i == 2 ? COMPARE_NO : COMPARE_AUTO;
		assert_int_equal(
			run_bytes(&f, image, 2 * MiB,
				  &(struct fill){.compare = i == 3 ? COMPARE_NO : COMPARE_AUTO},
				  &e),
			0);
		assert_int_equal(f.d.written, 2 * MiB);
		assert_int_equal(fakedev_count(&f, FAKEDEV_READ), 0);
		fakedev_clear(&f);
	}
}

static void compare_of_each_block_when_told_so(void **state)
{
	struct fakedev f;
	struct err e;

	(void)state;
	assert_int_equal(fakedev_init(&f, 16 * MiB, 0), 0);
	memcpy(f.mem + 15 * MiB, image + 15 * MiB, MiB);
	f.d.compare = COMPARE_YES;
	assert_int_equal(run_bytes(&f, image, 16 * MiB, &(struct fill){0}, &e), 0);
	assert_int_equal(f.d.written, 15 * MiB);
	assert_int_equal(f.d.skipped, MiB);
	fakedev_clear(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fill_writes_the_stream_for_any_alignment_offset_and_piece),
		cmocka_unit_test(fill_takes_an_aligned_block_from_where_it_lies),
		cmocka_unit_test(fill_gathers_small_pieces_into_whole_blocks),
		cmocka_unit_test(fill_writes_only_the_odd_ends_unaligned),
		cmocka_unit_test(fill_of_a_sequential_device_is_one_row_of_bytes),
		cmocka_unit_test(t39_fill_that_does_not_fit_is_refused_before_the_first_write),
		cmocka_unit_test(fill_of_unknown_size_never_passes_the_end),
		cmocka_unit_test(fill_of_a_device_that_must_know_the_total_refuses_an_unknown_one),
		cmocka_unit_test(fill_of_a_truncated_stream_neither_finishes_nor_flushes),
		cmocka_unit_test(t109_fill_stops_at_the_first_failure_of_each_kind),
		cmocka_unit_test(t109_fill_writes_over_what_cannot_be_read),
		cmocka_unit_test(fill_without_memory_says_so_and_loses_none),
		cmocka_unit_test(fill_zeroes_without_writing_and_never_leaves_old_bytes),
		cmocka_unit_test(fill_leaves_zeros_out_only_of_a_fresh_file),
		cmocka_unit_test(t116_same_image_again_writes_nothing),
		cmocka_unit_test(first_install_reads_next_to_nothing),
		cmocka_unit_test(t116_next_release_writes_little_more_than_what_changed),
		cmocka_unit_test(compare_costs_few_writes_where_changes_are_many_and_small),
		cmocka_unit_test(compare_is_never_done_where_it_must_not),
		cmocka_unit_test(compare_of_each_block_when_told_so),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
