/* Text: nothing is cut silently, numbers are whole, foreign bytes become printable. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/arena.h"
#include "corelib/base/text.h"

static void text_copy_never_cuts(void **state)
{
	char b[4] = "old";

	(void)state;
	assert_int_equal(text_copy(b, sizeof(b), "abc"), 0);
	assert_string_equal(b, "abc");
	assert_int_equal(text_copy(b, sizeof(b), "abcd"), -ENAMETOOLONG);
	assert_string_equal(b, "");
	assert_int_equal(text_copy(b, 0, ""), -ENAMETOOLONG);
	assert_int_equal(text_print(b, sizeof(b), "%d", 123), 0);
	assert_int_equal(text_print(b, sizeof(b), "%d", 1234), -ENAMETOOLONG);
	assert_string_equal(b, "");
}

static void text_unhex_takes_exactly_so_many_digits(void **state)
{
	uint8_t b[2];
	char hex[5];

	(void)state;
	assert_int_equal(text_unhex("aF09", 4, b, 2), 0);
	assert_int_equal(b[0], 0xaf);
	assert_int_equal(b[1], 0x09);
	text_hex(b, 2, hex);
	assert_string_equal(hex, "af09");
	static const char *const bad[] = {"",	    "a",    "af0",  "af090",
					  "af0900", "ag09", "af 9", "0xaf"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(text_unhex(bad[i], strlen(bad[i]), b, strlen(bad[i]) == 4 ? 1 : 2),
				 -EINVAL);
	assert_int_equal(text_unhex("ag09", 4, b, 2), -EINVAL);
	assert_int_equal(text_unhex("af 9", 4, b, 2), -EINVAL);
}

static void text_u64_is_a_whole_number_or_an_error(void **state)
{
	static const struct {
		const char *s;
		int rc;
		uint64_t v;
	} t[] = {
		{"0", 0, 0},
		{"007", 0, 7},
		{"18446744073709551615", 0, UINT64_MAX},
		{"0xFFFFFFFFFFFFFFFF", 0, UINT64_MAX},
		{"0x0", 0, 0},
		{"18446744073709551616", -ERANGE, 0},
		{"0x10000000000000000", -ERANGE, 0},
		{"99999999999999999999999", -ERANGE, 0},
		{"", -EINVAL, 0},
		{"0x", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"+1", -EINVAL, 0},
		{" 1", -EINVAL, 0},
		{"1 ", -EINVAL, 0},
		{"1k", -EINVAL, 0},
		{"1e3", -EINVAL, 0},
		{"f", -EINVAL, 0},
		{"1.0", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		uint64_t v = 42;

		assert_int_equal(text_u64(t[i].s, &v), t[i].rc);
		assert_true(v == (t[i].rc ? 42 : t[i].v));
	}
}

static void text_size_takes_units_and_refuses_overflow(void **state)
{
	static const struct {
		const char *s;
		int rc;
		uint64_t v;
	} t[] = {
		{"1", 0, 1},
		{"1k", 0, 1024},
		{"2M", 0, 2 << 20},
		{"3Gi", 0, 3ull << 30},
		{"4KiB", 0, 4096},
		{"0x10K", 0, 16384},
		{"17179869183G", 0, 17179869183ull << 30},
		{"17179869184G", -ERANGE, 0},
		{"1T", -EINVAL, 0},
		{"1KB", -EINVAL, 0},
		{"1 K", -EINVAL, 0},
		{"K", -EINVAL, 0},
		{"1Kix", -EINVAL, 0},
		{"1B", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		uint64_t v = 42;

		assert_int_equal(text_size(t[i].s, &v), t[i].rc);
		assert_true(v == (t[i].rc ? 42 : t[i].v));
	}
}

static void text_nearest_suggests_only_what_is_near(void **state)
{
	static const char *const words[] = {"filename",	  "device", "sha256",
					    "compressed", "path",   ""};

	(void)state;
	assert_string_equal(text_nearest("filenmae", words, 6), "filename");
	assert_string_equal(text_nearest("devise", words, 6), "device");
	assert_string_equal(text_nearest("compresed", words, 6), "compressed");
	assert_string_equal(text_nearest("pth", words, 6), "path");
	assert_null(text_nearest("zzz", words, 6));
	assert_null(text_nearest("", words, 6));
	assert_null(text_nearest("a-word-that-is-longer-than-any-word-of-ours-could-ever-be", words,
				 6));
	assert_null(text_nearest("x", words, 0));
}

static void t118_text_printable_lets_no_control_byte_through(void **state)
{
	char in[256], out[1200];
	size_t n = 0;

	(void)state;
	for (int c = 0; c < 256; c++)
		in[n++] = (char)c;
	text_printable(in, n, out, sizeof(out));
	assert_true(text_is_utf8(out, strlen(out)));
	for (const char *p = out; *p; p++)
		assert_true((uint8_t)*p >= 0x20 && (uint8_t)*p < 0x7f);
	text_printable("\xc2\x80\xc2\x9f\xc2\xa0\xc3\xa4", 8, out, sizeof(out));
	assert_string_equal(out, "\\xc2\\x80\\xc2\\x9f\xc2\xa0\xc3\xa4");
	text_printable("a\0b", 3, out, sizeof(out));
	assert_string_equal(out, "a\\x00b");
}

static void text_printable_cuts_visibly_and_never_inside_a_character(void **state)
{
	const char in[] = "ab\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\n\xc3\xa4zzzzzzzz";

	(void)state;
	for (size_t n = 0; n < 40; n++) {
		char *out = malloc(n ? n : 1);

		assert_non_null(out);
		text_printable(in, strlen(in), out, n);
		if (n > 0) {
			assert_true(strlen(out) < n);
			assert_true(text_is_utf8(out, strlen(out)));
			if (n >= 4 && n <= strlen(in) + 3)
				assert_string_equal(out + strlen(out) - 3, "...");
		}
		free(out);
	}
}

static void text_is_utf8_refuses_long_forms_surrogates_and_cuts(void **state)
{
	static const char *const bad[] = {"\x80",
					  "\xc0\x80",
					  "\xc1\xbf",
					  "\xe0\x80\x80",
					  "\xed\xa0\x80",
					  "\xf0\x80\x80\x80",
					  "\xf4\x90\x80\x80",
					  "\xf8\x88\x80\x80\x80",
					  "\xc3",
					  "\xe2\x82",
					  "\xff",
					  "a\xc3("};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(text_is_utf8(bad[i], strlen(bad[i])));
	assert_true(text_is_utf8("a\xc3\xa4\xed\x9f\xbf\xf4\x8f\xbf\xbf", 10));
	assert_true(text_is_utf8("", 0));
}

static void text_has_control_finds_c0_c1_del(void **state)
{
	(void)state;
	assert_false(text_has_control("a\tb\nc\r \xc3\xa4\xc2\xa0", 11));
	assert_true(text_has_control("\x1b", 1));
	assert_true(text_has_control("\x7f", 1));
	assert_true(text_has_control("a\0", 2));
	assert_true(text_has_control("\xc2\x85", 2));
	assert_false(text_has_control("\xc2", 1));
}

static void arena_gives_zeroed_aligned_memory_up_to_its_cap(void **state)
{
	struct arena *a = arena_new(100000);
	size_t total = 0;

	(void)state;
	assert_non_null(a);
	for (size_t n = 0; n < 300; n++) {
		char *p = arena_alloc(a, n);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, n);
		total += n;
	}
	assert_null(arena_alloc(a, 100000 - total + 1));
	assert_null(arena_alloc(a, SIZE_MAX));
	assert_null(arena_alloc(a, SIZE_MAX - 15));
	assert_non_null(arena_alloc(a, 20000));
	arena_free(a);
	arena_free(NULL);
}

static void arena_strndup_ends_the_text(void **state)
{
	struct arena *a = arena_new(64);

	(void)state;
	assert_non_null(a);
	assert_string_equal(arena_strndup(a, "abcdef", 3), "abc");
	assert_string_equal(arena_strndup(a, "ab", SIZE_MAX), "ab");
	assert_null(arena_strndup(a, "0123456789012345678901234567890123456789", 40));
	arena_free(a);
}

static void cleanup_helpers_free_and_close_once(void **state)
{
	AUTO_FREE char *p = malloc(3);
	AUTO_FREE char *none = NULL;
	int fd = -1;

	(void)state;
	(void)none;
	assert_non_null(p);
	cleanup_close(&fd);
	assert_int_equal(fd, -1);
	secure_zero(p, 3);
	assert_memory_equal(p, "\0\0\0", 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_copy_never_cuts),
		cmocka_unit_test(text_unhex_takes_exactly_so_many_digits),
		cmocka_unit_test(text_u64_is_a_whole_number_or_an_error),
		cmocka_unit_test(text_size_takes_units_and_refuses_overflow),
		cmocka_unit_test(text_nearest_suggests_only_what_is_near),
		cmocka_unit_test(t118_text_printable_lets_no_control_byte_through),
		cmocka_unit_test(text_printable_cuts_visibly_and_never_inside_a_character),
		cmocka_unit_test(text_is_utf8_refuses_long_forms_surrogates_and_cuts),
		cmocka_unit_test(text_has_control_finds_c0_c1_del),
		cmocka_unit_test(arena_gives_zeroed_aligned_memory_up_to_its_cap),
		cmocka_unit_test(arena_strndup_ends_the_text),
		cmocka_unit_test(cleanup_helpers_free_and_close_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
