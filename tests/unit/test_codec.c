/* stage_decompress against what the real programs write, cut, flip and inflate. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "corelib/stream/codec.h"
#include "tests/unit/kit/chunks.h"
#include "tests/unit/kit/fail_malloc.h"

#define MEM_MAX	 (8u << 20)
#define SKIP_LEN 13

struct format {
	enum codec codec;
	const char *argv[4];
};

static const struct format formats[] = {
	{CODEC_GZIP, {"gzip", "-c", NULL}},   {CODEC_XZ, {"xz", "-c0", NULL}},
	{CODEC_ZSTD, {"zstd", "-qc", NULL}},  {CODEC_LZ4, {"lz4", "-qc", NULL}},
	{CODEC_BZIP2, {"bzip2", "-c", NULL}},
};
#define FORMATS (sizeof(formats) / sizeof(formats[0]))

static struct blob packed(const struct format *f, const struct blob *plain)
{
	struct blob out = {0};

	assert_int_equal(tool_filter(f->argv, plain, &out), 0);
	return out;
}

static struct blob packed_by(const struct blob *plain, const char *a, const char *b, const char *c)
{
	const struct format f = {CODEC_NONE, {a, b, c, NULL}};

	return packed(&f, plain);
}

struct run {
	struct blob in;
	size_t in_max, out_max;
	uint64_t mem_max;
	enum errcode at_end;
};

/* 0 and the plain bytes, or -errno */
static int unpack(enum codec c, const struct run *r, struct blob *out, struct err *e)
{
	const struct chunks src = {
		.bytes = r->in, .max = r->in_max, .seed = 1, .at_end = r->at_end};
	AUTO_STREAM struct stream *s = chunks_open(&src);
	int rc = stage_decompress_open(&s, c, r->mem_max ? r->mem_max : MEM_MAX, e);

	return rc < 0 ? rc : chunks_read(s, r->out_max, out, e);
}

static void expect_bytes(enum codec c, const struct run *r, const struct blob *want)
{
	struct blob got = {0};
	struct err e = {0};

	if (unpack(c, r, &got, &e) != 0)
		fail_msg("%s: %s", codec_name(c), e.why);
	assert_int_equal(got.len, want->len);
	if (want->len)
		assert_memory_equal(got.data, want->data, want->len);
	blob_clear(&got);
}

static void expect_code(enum codec c, const struct run *r, enum errcode code)
{
	struct blob got = {0};
	struct err e = {0};
	int rc = unpack(c, r, &got, &e);

	if (rc >= 0 || e.code != code)
		fail_msg("%s, %zu bytes: rc %d, %s instead of %s: %s", codec_name(c), r->in.len, rc,
			 err_info(e.code)->name, err_info(code)->name, e.why);
	assert_int_equal(rc, -e.sys);
	assert_true(e.why[0] != '\0');
	blob_clear(&got);
}

static void codec_reads_what_the_real_program_wrote(void **state)
{
	static const size_t sizes[] = {0, 1, 100, 65536, 700001, 3u << 20};

	(void)state;
	for (size_t f = 0; f < FORMATS; f++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			struct blob plain = blob_image(sizes[i], 3 + (unsigned)i);
			struct run r = {.in = packed(&formats[f], &plain)};

			expect_bytes(formats[f].codec, &r, &plain);
			r.in_max = 5000, r.out_max = 300000;
			expect_bytes(formats[f].codec, &r, &plain);
			blob_clear(&plain);
			blob_clear(&r.in);
		}
}

static void codec_takes_any_piece_sizes(void **state)
{
	static const size_t ins[] = {1, 2, 7, 0}, outs[] = {1, 3, 64, 40000};
	struct blob plain = blob_image(70000, 9);

	(void)state;
	for (size_t f = 0; f < FORMATS; f++) {
		struct run r = {.in = packed(&formats[f], &plain)};

		for (size_t i = 0; i < 16; i++) {
			r.in_max = ins[i / 4], r.out_max = outs[i % 4];
			expect_bytes(formats[f].codec, &r, &plain);
		}
		blob_clear(&r.in);
	}
	blob_clear(&plain);
}

static void members_follow_each_other(void **state)
{
	static const size_t piece[] = {0, 1, 5, 1000};
	struct blob a = blob_image(50000, 1), b = blob_image(0, 2), c = blob_image(777, 3);
	struct blob all = {0};

	(void)state;
	blob_add(&all, a.data, a.len);
	blob_add(&all, c.data, c.len);
	for (size_t f = 0; f < FORMATS; f++) {
		struct blob pa = packed(&formats[f], &a), pb = packed(&formats[f], &b);
		struct blob pc = packed(&formats[f], &c);
		struct run r = {.out_max = 4096};

		blob_add(&pa, pb.data, pb.len);
		blob_add(&pa, pc.data, pc.len);
		blob_add(&pa, pb.data, pb.len);
		r.in = pa;
		for (size_t i = 0; i < 4; i++) {
			r.in_max = piece[i];
			expect_bytes(formats[f].codec, &r, &all);
		}
		blob_clear(&pa);
		blob_clear(&pb);
		blob_clear(&pc);
	}
	blob_clear(&a);
	blob_clear(&b);
	blob_clear(&c);
	blob_clear(&all);
}

static void t47_many_empty_gzip_members_end(void **state)
{
	struct blob none = blob_image(0, 1), one = packed(&formats[0], &none);
	struct run r = {0};

	(void)state;
	for (int i = 0; i < 5000; i++)
		blob_add(&r.in, one.data, one.len);
	expect_bytes(CODEC_GZIP, &r, &none);
	blob_clear(&none);
	blob_clear(&one);
	blob_clear(&r.in);
}

static void skippable_frames_are_read_past(void **state)
{
	const uint8_t skip[SKIP_LEN] = {0x5a, 0x2a, 0x4d, 0x18, 5,   0,	 0,
					0,    'h',  'e',  'l',	'l', 'o'};
	struct blob plain = blob_image(3000, 1);

	(void)state;
	for (size_t f = 2; f < 4; f++) { /* zstd and lz4 have them */
		struct blob frame = packed(&formats[f], &plain);
		struct run r = {.out_max = 100};

		blob_add(&r.in, skip, sizeof(skip));
		blob_add(&r.in, frame.data, frame.len);
		blob_add(&r.in, skip, sizeof(skip));
		for (r.in_max = 0; r.in_max < 20; r.in_max++)
			expect_bytes(formats[f].codec, &r, &plain);
		for (size_t cut = 1; cut < sizeof(skip); cut++) {
			r.in.len--;
			expect_code(formats[f].codec, &r, E_DECOMPRESS);
		}
		blob_clear(&frame);
		blob_clear(&r.in);
	}
	blob_clear(&plain);
}

static void xz_padding_between_streams_is_part_of_the_format(void **state)
{
	struct blob plain = blob_image(3000, 1), one = packed(&formats[1], &plain), twice = {0};
	struct run r = {0};

	(void)state;
	blob_add(&twice, plain.data, plain.len);
	blob_add(&twice, plain.data, plain.len);
	blob_add(&r.in, one.data, one.len);
	blob_add(&r.in, "\0\0\0\0\0\0\0\0", 8);
	blob_add(&r.in, one.data, one.len);
	blob_add(&r.in, "\0\0\0\0", 4);
	expect_bytes(CODEC_XZ, &r, &twice);
	r.in.len -= 1;
	expect_code(CODEC_XZ, &r, E_DECOMPRESS);
	blob_clear(&plain);
	blob_clear(&one);
	blob_clear(&twice);
	blob_clear(&r.in);
}

/* RFC 1950, as zlib's own compress() makes it; stored block of "hello" */
static void a_bare_zlib_stream_is_taken_alone(void **state)
{
	static const uint8_t z[] = {0x78, 0x01, 1,   5,	  0,	0xfa, 0xff, 'h',
				    'e',  'l',	'l', 'o', 0x06, 0x2c, 0x02, 0x15};
	struct blob hello = {(uint8_t *)"hello", 5};
	struct run r = {0};

	(void)state;
	blob_add(&r.in, z, sizeof(z));
	for (r.in_max = 0; r.in_max < 8; r.in_max++)
		expect_bytes(CODEC_GZIP, &r, &hello);
	r.in.data[12] ^= 1;
	expect_code(CODEC_GZIP, &r, E_DECOMPRESS);
	r.in.data[12] ^= 1;
	blob_add(&r.in, z, sizeof(z));
	for (r.in_max = 0; r.in_max < 20; r.in_max++)
		expect_code(CODEC_GZIP, &r, E_DECOMPRESS);
	for (r.in.len = sizeof(z) + 1; r.in.len < sizeof(z) + 5; r.in.len++)
		expect_code(CODEC_GZIP, &r, E_DECOMPRESS);
	blob_clear(&r.in);
}

static void truncation_at_every_byte_is_an_error(void **state)
{
	struct blob plain = blob_image(2500, 4);

	(void)state;
	plain.data[2499] = 'x';
	for (size_t f = 0; f < FORMATS; f++) {
		struct blob whole = packed(&formats[f], &plain);

		for (size_t cut = 0; cut < whole.len; cut++) {
			struct run r = {.in = {whole.data, cut}, .out_max = 4096};

			expect_code(formats[f].codec, &r, E_DECOMPRESS);
			r.in_max = 3;
			expect_code(formats[f].codec, &r, E_DECOMPRESS);
		}
		blob_clear(&whole);
	}
	blob_clear(&plain);
}

static void bytes_behind_the_last_member_are_an_error(void **state)
{
	static const uint8_t tails[][9] = {
		"xxxxxxxx",	      {0}, {0x1f, 0x8b}, {0xfd, '7', 'z'}, {0x28, 0xb5, 0x2f, 0xfd},
		{4, 0x22, 0x4d, 0x18}};
	struct blob plain = blob_image(1000, 4);

	(void)state;
	for (size_t f = 0; f < FORMATS; f++)
		for (size_t t = 0; t < sizeof(tails) / sizeof(tails[0]); t++)
			for (size_t n = 1; n <= 8; n++) {
				struct run r = {.in = packed(&formats[f], &plain)};

				if (formats[f].codec == CODEC_XZ && t == 1 && n % 4 == 0)
					n++; /* that is xz's own padding */
				blob_add(&r.in, tails[t], n);
				expect_code(formats[f].codec, &r, E_DECOMPRESS);
				blob_clear(&r.in);
			}
	blob_clear(&plain);
}

static void data_of_another_format_is_refused(void **state)
{
	struct blob plain = blob_image(5000, 4);

	(void)state;
	for (size_t f = 0; f < FORMATS; f++) {
		struct run r = {.in = packed(&formats[f], &plain)};

		for (size_t g = 0; g < FORMATS; g++)
			if (g != f)
				expect_code(formats[g].codec, &r, E_DECOMPRESS);
		blob_clear(&r.in);
		expect_code(formats[f].codec, &(struct run){.in = plain}, E_DECOMPRESS);
	}
	blob_clear(&plain);
}

/* formats of zstd before 1.0 have no limit for their window; Debian's library still reads them */
static void t47_zstd_formats_before_1_0_are_refused(void **state)
{
	(void)state;
	for (unsigned v = 0x1e; v < 0x28; v++) {
		uint8_t magic[8] = {(uint8_t)v, 0xb5, 0x2f, 0xfd};
		struct run r = {.in = {magic, 8}};
		struct blob got = {0};
		struct err e = {0};

		expect_code(CODEC_ZSTD, &r, E_DECOMPRESS);
		assert_true(unpack(CODEC_ZSTD, &r, &got, &e) < 0);
		assert_non_null(strstr(e.why, "no frame of zstd begins here"));
		blob_clear(&got);
	}
}

/* with every bit flipped in turn */
static void flip_all(const struct format *f, enum errcode at_end)
{
	struct blob plain = blob_image(300, 5);
	struct run r = {.in = packed(f, &plain), .out_max = 500, .at_end = at_end};

	for (size_t bit = 0; bit < r.in.len * 8; bit++) {
		struct blob got = {0};
		struct err e = {0};

		r.in.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		int rc = unpack(f->codec, &r, &got, &e);

		r.in.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (at_end != E_NONE) {
			assert_true(rc < 0);
			assert_int_equal(e.code, at_end);
		} else if (rc == 0) {
			assert_int_equal(got.len, plain.len);
			assert_memory_equal(got.data, plain.data, plain.len);
		} else {
			assert_true(e.code == E_DECOMPRESS || e.code == E_LIMIT_MEM);
		}
		blob_clear(&got);
	}
	blob_clear(&plain);
	blob_clear(&r.in);
}

static void a_flipped_bit_is_told_by_the_hash_not_by_the_decoder(void **state)
{
	(void)state;
	for (size_t f = 0; f < FORMATS; f++)
		flip_all(&formats[f], E_PAYLOAD_HASH);
}

static void a_flipped_bit_never_gives_other_bytes(void **state)
{
	(void)state;
	for (size_t f = 0; f < FORMATS; f++)
		flip_all(&formats[f], E_NONE);
}

static void an_error_of_the_upstream_comes_instead_of_the_end(void **state)
{
	struct blob plain = blob_image(5000, 4);

	(void)state;
	for (size_t f = 0; f < FORMATS; f++) {
		struct run r = {.in = packed(&formats[f], &plain), .at_end = E_PAYLOAD_HASH};

		expect_code(formats[f].codec, &r, E_PAYLOAD_HASH);
		r.in_max = 10, r.at_end = E_TRUNCATED, r.in.len /= 2;
		expect_code(formats[f].codec, &r, E_TRUNCATED);
		blob_clear(&r.in);
	}
	blob_clear(&plain);
}

static void t47_a_window_above_mem_max_is_refused(void **state)
{
	struct blob plain = blob_image(100000, 4);
	static const struct bomb {
		enum codec codec;
		const char *argv[3];
		uint64_t mem_max;
	} bombs[] = {
		{CODEC_ZSTD, {"zstd", "-qc", "--long=27"}, MEM_MAX},
		{CODEC_ZSTD, {"zstd", "-qc", "--long=31"}, MEM_MAX},
		{CODEC_ZSTD, {"zstd", "-qc", "--long=24"}, (16u << 20) - 1},
		{CODEC_XZ, {"xz", "-c", "-9"}, MEM_MAX},
		{CODEC_XZ, {"xz", "-c", "-6"}, 6u << 20},
		{CODEC_LZ4,
		 {"lz4", "-qc", "-B7"},
		 256 * 1024 - 1}, /* it takes no larger block than it needs */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
		const char *const *a = bombs[i].argv;
		struct run r = {.in = packed_by(&plain, a[0], a[1], a[2]),
				.mem_max = bombs[i].mem_max};

		expect_code(bombs[i].codec, &r, E_LIMIT_MEM);
		r.mem_max = UINT64_MAX;
		expect_bytes(bombs[i].codec, &r, &plain);
		blob_clear(&r.in);
	}
	blob_clear(&plain);
}

static void a_window_of_exactly_mem_max_is_taken(void **state)
{
	struct blob plain = blob_image(100000, 4);
	static const struct fit {
		enum codec codec;
		const char *argv[3];
		uint64_t mem_max;
	} fits[] = {
		{CODEC_ZSTD, {"zstd", "-qc", "--long=23"}, MEM_MAX},
		{CODEC_ZSTD, {"zstd", "-qc", "-19"}, MEM_MAX},
		{CODEC_XZ, {"xz", "-c", "-6"}, MEM_MAX},
		{CODEC_LZ4, {"lz4", "-qc", "-B7"}, 256 * 1024},
		{CODEC_GZIP, {"gzip", "-c", "-9"}, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(fits) / sizeof(fits[0]); i++) {
		const char *const *a = fits[i].argv;
		struct run r = {.in = packed_by(&plain, a[0], a[1], a[2]),
				.mem_max = fits[i].mem_max};

		expect_bytes(fits[i].codec, &r, &plain);
		blob_clear(&r.in);
	}
	blob_clear(&plain);
}

static void the_stage_tells_its_proof_and_no_size(void **state)
{
	const struct chunks src = {.bytes = {(uint8_t *)"x", 1}};
	struct stream *up = chunks_open(&src);
	AUTO_STREAM struct stream *s = up;
	struct err e = {0};

	(void)state;
	up->proof = PROOF_BLOCK;
	up->has_size = true;
	assert_int_equal(stage_decompress_open(&s, CODEC_XZ, MEM_MAX, &e), 0);
	assert_int_equal(s->proof, PROOF_BLOCK);
	assert_false(s->has_size);
	assert_false(stream_can_seek(s));
}

static void an_unknown_codec_leaves_the_stream_to_the_caller(void **state)
{
	unsigned closed = 0;
	const struct chunks src = {.bytes = {(uint8_t *)"x", 1}, .closed = &closed};
	struct stream *up = chunks_open(&src), *s = up;
	struct err e = {0};

	(void)state;
	assert_int_equal(stage_decompress_open(&s, CODEC_COUNT, MEM_MAX, &e), -ENOTSUP);
	assert_int_equal(e.code, E_NOT_BUILT);
	assert_ptr_equal(s, up);
	assert_int_equal(closed, 0);
	assert_int_equal(stage_decompress_open(&s, CODEC_NONE, MEM_MAX, &e), 0);
	assert_ptr_equal(s, up);
	assert_null(stream_close(s));
	assert_int_equal(closed, 1);
}

static void names_are_those_of_the_attribute(void **state)
{
	(void)state;
	assert_int_equal(codec_parse("zlib"), CODEC_GZIP);
	assert_int_equal(codec_parse("none"), CODEC_NONE);
	assert_int_equal(codec_parse("gzip"), CODEC_NONE);
	for (int c = CODEC_GZIP; c < CODEC_COUNT; c++)
		assert_int_equal(codec_parse(codec_name((enum codec)c)), c);
	assert_string_equal(codec_name(CODEC_COUNT), "unknown");
}

/* to the end; no memory of the test's own is asked for */
static int unpack_plainly(enum codec c, const struct blob *in, size_t *len, struct err *e)
{
	static uint8_t buf[65536];
	AUTO_STREAM struct stream *s = NULL;
	ssize_t n;
	int rc = stream_mem_open(&s, in->data, in->len, e);

	if (rc == 0)
		rc = stage_decompress_open(&s, c, MEM_MAX, e);
	if (rc < 0)
		return rc;
	for (*len = 0; (n = stream_read(s, buf, sizeof(buf), e)) > 0;)
		*len += (size_t)n;
	return (int)n;
}

static void each_allocation_that_fails_is_told(void **state)
{
	struct blob plain = {0};

	(void)state;
	if (!fail_malloc_works())
		skip();
	plain = blob_image(100000, 5);
	for (size_t f = 0; f < FORMATS; f++) {
		struct blob in = packed(&formats[f], &plain);
		bool failed = true;
		size_t len = 0;

		for (unsigned n = 1; failed; n++) {
			struct err e = {0};
			long before = fail_malloc_live();

			fail_malloc_at(n);
			int rc = unpack_plainly(formats[f].codec, &in, &len, &e);

			failed = fail_malloc_off();
			assert_int_equal(fail_malloc_live(), before);
			if (failed && (rc != -ENOMEM || e.code != E_MEMORY))
				fail_msg("%s, allocation %u: %d, %s: %s", formats[f].argv[0], n, rc,
					 err_info(e.code)->name, e.why);
			if (!failed)
				assert_int_equal(rc, 0);
		}
		assert_int_equal(len, plain.len);
		blob_clear(&in);
	}
	blob_clear(&plain);
}

static void what_is_not_built_is_named(void **state)
{
	const struct chunks src = {.bytes = {(uint8_t *)"x", 1}};

	(void)state;
	for (int c = CODEC_GZIP; c < CODEC_COUNT; c++) {
		AUTO_STREAM struct stream *s = chunks_open(&src);
		struct err e = {0};
		int rc = stage_decompress_open(&s, (enum codec)c, MEM_MAX, &e);

		assert_int_equal(rc, codec_is_built((enum codec)c) ? 0 : -ENOTSUP);
		assert_int_equal(e.code, rc ? E_NOT_BUILT : E_NONE);
		assert_true(!rc || strstr(e.why, "Kconfig: "));
	}
}

static bool all_are_built(void)
{
	for (size_t f = 0; f < FORMATS; f++)
		if (!codec_is_built(formats[f].codec)) {
			printf("SKIP: %s is not built in\n", codec_name(formats[f].codec));
			return false;
		}
	return true;
}

int main(void)
{
	const struct CMUnitTest small[] = {
		cmocka_unit_test(what_is_not_built_is_named),
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codec_reads_what_the_real_program_wrote),
		cmocka_unit_test(codec_takes_any_piece_sizes),
		cmocka_unit_test(members_follow_each_other),
		cmocka_unit_test(t47_many_empty_gzip_members_end),
		cmocka_unit_test(skippable_frames_are_read_past),
		cmocka_unit_test(xz_padding_between_streams_is_part_of_the_format),
		cmocka_unit_test(a_bare_zlib_stream_is_taken_alone),
		cmocka_unit_test(truncation_at_every_byte_is_an_error),
		cmocka_unit_test(bytes_behind_the_last_member_are_an_error),
		cmocka_unit_test(data_of_another_format_is_refused),
		cmocka_unit_test(t47_zstd_formats_before_1_0_are_refused),
		cmocka_unit_test(a_flipped_bit_is_told_by_the_hash_not_by_the_decoder),
		cmocka_unit_test(a_flipped_bit_never_gives_other_bytes),
		cmocka_unit_test(an_error_of_the_upstream_comes_instead_of_the_end),
		cmocka_unit_test(t47_a_window_above_mem_max_is_refused),
		cmocka_unit_test(a_window_of_exactly_mem_max_is_taken),
		cmocka_unit_test(the_stage_tells_its_proof_and_no_size),
		cmocka_unit_test(an_unknown_codec_leaves_the_stream_to_the_caller),
		cmocka_unit_test(names_are_those_of_the_attribute),
		cmocka_unit_test(each_allocation_that_fails_is_told),
		cmocka_unit_test(what_is_not_built_is_named),
	};

	if (!all_are_built())
		return cmocka_run_group_tests(small, NULL, NULL);
	for (size_t f = 0; f < FORMATS; f++)
		if (!tool_there(formats[f].argv[0]))
			return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
