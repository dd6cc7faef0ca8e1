/* T41: one text becomes the words that a shell would see, and nothing in it is run or expanded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "corelib/base/text.h"
#include "corelib/base/words.h"

/* words joined by '|'; NULL = refused */
static const struct {
	const char *text, *want;
} cases[] = {
	{"", ""},
	{"   ", ""},
	{"a", "a|"},
	{"a b", "a|b|"},
	{"  a\t\tb \n c\r\n", "a|b|c|"},
	{"a 'b c' ; touch /tmp/PWN $(id)", "a|b c|;|touch|/tmp/PWN|$(id)|"},
	{"''", "|"},
	{"\"\"", "|"},
	{"a '' b", "a||b|"},
	{"''a", "a|"},
	{"a''b", "ab|"},
	{"a'b c'd", "ab cd|"},
	{"'a'\"b\"c", "abc|"},
	{"'a b'\"c d\"", "a bc d|"},
	{"'it'\\''s'", "it's|"},
	{"\"it's\"", "it's|"},
	{"'say \"hi\"'", "say \"hi\"|"},
	{"\"say \\\"hi\\\"\"", "say \"hi\"|"},
	{"a\\ b", "a b|"},
	{"\\a\\b", "ab|"},
	{"a\\\\b", "a\\b|"},
	{"\\'a", "'a|"},
	{"\\\"a", "\"a|"},
	{"'a\\b'", "a\\b|"},
	{"\"a\\b\"", "a\\b|"},
	{"\"a\\\\b\"", "a\\b|"},
	{"\"\\$HOME \\`id\\`\"", "$HOME `id`|"},
	{"$HOME ${IFS} `id`", "$HOME|${IFS}|`id`|"},
	{"*.img [a-z] ? {a,b} ~", "*.img|[a-z]|?|{a,b}|~|"},
	{"a;b|c&d>e<f", "a;b|c&d>e<f|"},
	{"# not a comment", "#|not|a|comment|"},
	{"a\\\nb", "ab|"},
	{"a \\\n b", "a|b|"},
	{"\"a\\\nb\"", "ab|"},
	{"'a\nb'", "a\nb|"},
	{"\\ ", " |"},
	{"A=b --x=\"1 2\"", "A=b|--x=1 2|"},
	{"\xc3\xa4 '\xe2\x82\xac 5'", "\xc3\xa4|\xe2\x82\xac 5|"},
	{"'", NULL},
	{"a 'b", NULL},
	{"\"a", NULL},
	{"it's", NULL},
	{"a\\", NULL},
	{"\"a\\", NULL},
	{"\"a\\\"", NULL},
};

static void t41_words_are_those_of_a_shell_that_expands_nothing(void **state)
{
	(void)state;
	assert_true(ARRAY_SIZE(cases) >= 40);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err e = {0};
		struct words w;
		char got[256] = "";
		int rc = words_split(&w, cases[i].text, &e);

		if (!cases[i].want) {
			assert_true(rc < 0);
			assert_int_equal(e.code, E_DESC_VALUE);
			assert_null(w.at);
			continue;
		}
		assert_int_equal(rc, 0);
		assert_null(w.at[w.count]);
		for (size_t k = 0; k < w.count; k++) {
			strcat(got, w.at[k]);
			strcat(got, "|");
		}
		assert_string_equal(got, cases[i].want);
		words_clear(&w);
	}
}

static void no_text_is_no_words(void **state)
{
	struct err e = {0};
	struct words w;

	(void)state;
	assert_int_equal(words_split(&w, NULL, &e), 0);
	assert_int_equal(w.count, 0);
	words_clear(&w);
	words_clear(&w);
}

static void more_words_than_the_bound_are_refused(void **state)
{
	char text[2 * (WORDS_MAX + 2)];
	struct err e = {0};
	struct words w;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 2 ? ' ' : 'a';
	text[2 * WORDS_MAX] = '\0';
	assert_int_equal(words_split(&w, text, &e), 0);
	assert_int_equal(w.count, WORDS_MAX);
	words_clear(&w);
	text[2 * WORDS_MAX] = 'a';
	text[2 * WORDS_MAX + 1] = '\0';
	assert_true(words_split(&w, text, &e) < 0);
	assert_int_equal(e.code, E_DESC_VALUE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t41_words_are_those_of_a_shell_that_expands_nothing),
		cmocka_unit_test(no_text_is_no_words),
		cmocka_unit_test(more_words_than_the_bound_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
