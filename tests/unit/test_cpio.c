/* A member's header and name: what is taken and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "corelib/base/text.h"
#include "parser/bundle.h"

/* field 6 is the size, 11 the length of the name, 12 the checksum */
static void head_make(uint8_t out[CPIO_HEAD], const char *magic, size_t field, const char *text)
{
	char head[CPIO_HEAD + 1];

	snprintf(head, sizeof(head), "%s%s%s%s%s%s%s%s%s%s%s%s%s%s", magic, "00000001", "000081A4",
		 "00000000", "00000000", "00000001", "00000000", "0000000a", "00000000", "00000000",
		 "00000000", "00000000", "00000005", "000003Fe");
	memcpy(out, head, CPIO_HEAD);
	if (text)
		memcpy(out + 6 + 8 * field, text, 8);
}

static enum errcode parse(const char *magic, size_t field, const char *text, bool loose)
{
	uint8_t head[CPIO_HEAD];
	struct cpio_head h;
	struct err e = {0};

	head_make(head, magic, field, text);
	return cpio_head_parse(&h, head, loose, &e) == 0 ? E_NONE : e.code;
}

static void cpio_reads_both_formats_and_both_cases(void **state)
{
	uint8_t head[CPIO_HEAD];
	struct cpio_head h;
	struct err e = {0};

	(void)state;
	head_make(head, "070702", 0, NULL);
	assert_int_equal(cpio_head_parse(&h, head, false, &e), 0);
	assert_int_equal(h.size, 10);
	assert_int_equal(h.sum, 0x3fe);
	assert_int_equal(h.mode, 0100644);
	assert_int_equal(h.namesize, 5);
	assert_true(h.has_sum);
	head_make(head, "070701", 6, "fFfFfFfF");
	assert_int_equal(cpio_head_parse(&h, head, false, &e), 0);
	assert_true(h.size == 0xffffffff);
	assert_false(h.has_sum);
}

static void t20_name_sizes_are_2_to_256(void **state)
{
	static const struct {
		const char *text;
		enum errcode code;
	} rows[] = {
		{"00000000", E_CPIO_NAME}, {"00000001", E_CPIO_NAME}, {"00000002", E_NONE},
		{"000000ff", E_NONE},	   {"00000100", E_NONE},      {"00000101", E_CPIO_NAME},
		{"00001000", E_CPIO_NAME}, {"FFFFFFFF", E_CPIO_NAME},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(parse("070702", 11, rows[i].text, false), rows[i].code);
}

static void t23_only_eight_hexadecimal_digits_are_a_number(void **state)
{
	static const char *const bad[] = {
		"0000000g", "-0000001", "0x00000a",  "+0000001",
		"0000 001", "000000a ", "0000000\0", "\0\0\0\0\0\0\0a",
		"0000000.", "G0000000", "0000000h",  "@0000000",
		"`0000000", "/0000000", ":0000000",  "\t000000a",
		"        ", "1,000000", "0000000\n", "\xff\xff\xff\xff\xff\xff\xff\xff",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		for (size_t field = 0; field < 13; field++) {
			assert_int_equal(parse("070702", field, bad[i], false), E_CPIO_HEADER);
			assert_int_equal(parse("070702", field, bad[i], true), E_CPIO_HEADER);
		}
}

static void t23_leading_blanks_pass_only_when_loose(void **state)
{
	(void)state;
	assert_int_equal(parse("070702", 6, "       a", false), E_CPIO_HEADER);
	assert_int_equal(parse("070702", 6, "       a", true), E_NONE);
	assert_int_equal(parse("070702", 6, "  123456", true), E_NONE);
}

static void t30_other_formats_are_refused_with_a_hint(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		const char *hint;
	} rows[] = {
		{"070707000001", 12, "odc"},
		{"\xc7\x71\0\0", 4, "binary"},
		{"\x71\xc7\0\0", 4, "binary"},
		{"\x1f\x8b\x08\0", 4, "gzip"},
		{"\xfd"
		 "7zXZ",
		 5, "xz"},
		{"\x28\xb5\x2f\xfd", 4, "zstd"},
		{"PK\x03\x04", 4, "zip"},
		{"-----BEGIN CMS", 14, "PEM"},
		{"\x7f"
		 "ELF",
		 4, "program"},
		{"<html>", 6, "web page"},
		{"sw-description", 14, "not a cpio"},
		{"070703", 6, "not a cpio"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t head[CPIO_HEAD] = {0};
		struct cpio_head h;
		struct err e = {0};

		memcpy(head, rows[i].bytes, rows[i].n);
		assert_true(cpio_head_parse(&h, head, false, &e) < 0);
		assert_int_equal(e.code, E_CPIO_MAGIC);
		assert_non_null(strstr(e.why, rows[i].hint));
	}
}

static enum errcode name(const char *bytes, size_t n)
{
	struct err e = {0};

	return cpio_name_check(bytes, n, &e) == 0 ? E_NONE : e.code;
}
#define NAME(s) name(s, sizeof(s))

static void t21_names_have_one_nul_no_control_bytes_and_are_utf8(void **state)
{
	char longest[CPIO_NAME_MAX + 1];

	(void)state;
	memset(longest, 'a', sizeof(longest));
	longest[CPIO_NAME_MAX - 1] = '\0';
	assert_int_equal(name(longest, CPIO_NAME_MAX), E_NONE); /* 255 bytes and NUL */
	longest[CPIO_NAME_MAX] = '\0';
	assert_int_equal(name(longest, CPIO_NAME_MAX + 1), E_CPIO_NAME);
	assert_int_equal(name("a", 1), E_CPIO_NAME);
	assert_int_equal(NAME(""), E_CPIO_NAME);
	assert_int_equal(NAME("a"), E_NONE);
	assert_int_equal(NAME("rootfs \xc3\xa4.ext4"), E_NONE);
	assert_int_equal(NAME("a\0../../x"), E_CPIO_NAME);
	assert_int_equal(name("abcd", 4), E_CPIO_NAME);	   /* no NUL */
	assert_int_equal(name("abc\0\0", 5), E_CPIO_NAME); /* two */
	assert_int_equal(NAME("a\xff"), E_CPIO_NAME);
	assert_int_equal(NAME("a\xc0\xaf"), E_CPIO_NAME);     /* '/' in a longer form */
	assert_int_equal(NAME("a\xed\xa0\x80"), E_CPIO_NAME); /* half of a pair */
	assert_int_equal(NAME("a\xc2\x9b"
			      "31m"),
			 E_CPIO_NAME); /* C1 */
	assert_int_equal(NAME("a\x7f"), E_CPIO_NAME);
	/* what a description may not ask for still is a name: the member is stepped over */
	assert_int_equal(NAME("../../etc/passwd"), E_NONE);
	assert_int_equal(NAME("/etc/passwd"), E_NONE);
	assert_int_equal(NAME("."), E_NONE);
}

static void t21_t118_no_control_byte_passes_or_is_shown(void **state)
{
	(void)state;
	for (int c = 1; c < 0x20; c++) {
		char text[] = {'a', (char)c, 'b', '\0'};
		struct err e = {0};

		assert_true(cpio_name_check(text, sizeof(text), &e) < 0);
		assert_int_equal(e.code, E_CPIO_NAME);
		assert_null(strchr(e.why, c));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cpio_reads_both_formats_and_both_cases),
		cmocka_unit_test(t20_name_sizes_are_2_to_256),
		cmocka_unit_test(t23_only_eight_hexadecimal_digits_are_a_number),
		cmocka_unit_test(t23_leading_blanks_pass_only_when_loose),
		cmocka_unit_test(t30_other_formats_are_refused_with_a_hint),
		cmocka_unit_test(t21_names_have_one_nul_no_control_bytes_and_are_utf8),
		cmocka_unit_test(t21_t118_no_control_byte_passes_or_is_shown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
