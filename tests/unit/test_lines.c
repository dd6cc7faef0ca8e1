/* Output of programs in lines: whole, printable, bounded (T120). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "corelib/base/lines.h"

struct heard {
	char text[8192];
};

static void hear(void *arg, const char *text)
{
	struct heard *h = arg;
	size_t n = strlen(h->text);

	snprintf(h->text + n, sizeof(h->text) - n, "<%s>", text);
}

static void told(const char *bytes, size_t n, const char *want)
{
	for (size_t piece = 1; piece <= n; piece++) {
		struct heard h = {""};
		struct lines l = {.line = hear, .arg = &h};

		for (size_t at = 0; at < n; at += piece)
			lines_take(&l, bytes + at, piece < n - at ? piece : n - at);
		lines_end(&l);
		lines_end(&l);
		assert_string_equal(h.text, want);
	}
}

static void lines_are_the_same_in_any_pieces(void **state)
{
	(void)state;
	told("one\ntwo\n", 8, "<one><two>");
	told("one\r\n\r\n\nlast", 12, "<one><><><last>");
	told("a\rb\r", 4, "<a\\x0db>");
}

static void t120_lines_are_printable(void **state)
{
	(void)state;
	told("\x1b[31m\t\0x\n", 9, "<\\x1b[31m\\x09\\x00x>");
	told("\xff\xc3\xa9\xc2\x9b\n", 6, "<\\xff\xc3\xa9\\xc2\\x9b>");
}

static void t120_line_that_is_too_long_is_cut_and_says_so(void **state)
{
	struct heard h = {""};
	struct lines l = {.line = hear, .arg = &h};
	char bytes[3000];

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	lines_take(&l, bytes, LINES_BYTES);
	lines_take(&l, "\n", 1);
	assert_int_equal(strlen(h.text), LINES_BYTES + 2);
	assert_null(strstr(h.text, "..."));
	h.text[0] = '\0';
	lines_take(&l, bytes, LINES_BYTES + 1);
	lines_take(&l, "\nshort\n", 7);
	assert_int_equal(strlen(h.text), LINES_BYTES + 2 + 7);
	assert_string_equal(h.text + LINES_BYTES - 2, "...><short>");
	h.text[0] = '\0';
	memset(bytes, '\x1b', sizeof(bytes));
	lines_take(&l, bytes, sizeof(bytes));
	lines_end(&l);
	assert_true(strlen(h.text) <= LINES_BYTES + 2);
	assert_non_null(strstr(h.text, "...>"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_the_same_in_any_pieces),
		cmocka_unit_test(t120_lines_are_printable),
		cmocka_unit_test(t120_line_that_is_too_long_is_cut_and_says_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
