/* The matcher of board patterns: a table, glibc's own beside it, and what a pattern may cost (T44).
 */
#include "kit/parse_help.h"

#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "corelib/base/text.h"
#include "parser/pattern.h"

/* ---- a table ---- */

struct row {
	const char *pattern, *text;
	int want;
};

static void look_up(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *why = "";
		int rc = pattern_matches(rows[i].pattern, rows[i].text, &why);

		if (rc != rows[i].want)
			fail_msg("%s against '%s': %d %s", rows[i].pattern, rows[i].text, rc, why);
	}
}

static void pattern_matches_any_part_of_the_text(void **state)
{
	static const struct row rows[] = {
		{"", "", 1},	      {"", "abc", 1},	   {"b", "abc", 1},
		{"bd", "abcd", 0},    {"a.c", "xabcx", 1}, {"a.c", "ac", 0},
		{".", "\n", 1},	      {".", "\xff", 1},	   {"a|b", "xb", 1},
		{"a|", "x", 1},	      {"|a", "x", 1},	   {"a(|b)c", "ac", 1},
		{"()", "", 1},	      {"a()b", "ab", 1},   {"(a|b|c)d", "cd", 1},
		{"(ab|c)d", "bd", 0}, {"a)", "a)", 1},	   {"a}", "a}", 1},
		{"a]", "a]", 1},      {")", "", 0},	   {"((a)(b))c", "abc", 1},
	};

	(void)state;
	look_up(rows, ARRAY_SIZE(rows));
}

static void pattern_repeats_what_stands_before(void **state)
{
	static const struct row rows[] = {
		{"^a*$", "", 1},
		{"^a*$", "aaa", 1},
		{"^a+$", "", 0},
		{"^a+$", "aaa", 1},
		{"^a?$", "a", 1},
		{"^a?$", "aa", 0},
		{"^a{2}$", "aa", 1},
		{"^a{2}$", "aaa", 0},
		{"^a{2,}$", "a", 0},
		{"^a{2,}$", "aaaa", 1},
		{"^a{1,2}$", "", 0},
		{"^a{1,2}$", "aa", 1},
		{"^a{1,2}$", "aaa", 0},
		{"^a{,2}$", "", 1},
		{"^a{,2}$", "aaa", 0},
		{"^a{,}$", "aaaa", 1},
		{"^a{0}b$", "b", 1},
		{"^a{0}b$", "ab", 0},
		{"^a{0}*b$", "b", 1},
		{"^(ab){2,3}$", "abab", 1},
		{"^(ab){2,3}$", "ababa", 0},
		{"^(a|bc)*$", "abcbca", 1},
		{"^(a*)*$", "aa", 1},
		{"^(a*)+b$", "aab", 1},
		{"^(a?){3}$", "aaaa", 0},
		{"^(a{1,2}){2}$", "aaaa", 1},
		{"^(a{1,2}){2}$", "aaaaa", 0},
		{"^ab{2}{2}$", "abbbb", 1},
		{"^a**$", "aa", 1},
		{"^(){9}$", "", 1},
		{"^((){255}){255}$", "", 1},
		{"a{1,2}{0,1}b", "b", 1},
		{"^a{3,5}{2}$", "aaaaaaa", 1},
	};

	(void)state;
	look_up(rows, ARRAY_SIZE(rows));
}

static void pattern_sets_are_those_of_the_c_locale(void **state)
{
	static const struct row rows[] = {
		{"[abc]", "b", 1},	  {"[abc]", "d", 0},
		{"[^abc]", "abc", 0},	  {"[^abc]", "d", 1},
		{"[^a]", "\xc3", 1},	  {"[a-c]", "c", 1},
		{"[a-c]", "d", 0},	  {"[a-]", "-", 1},
		{"[-a]", "-", 1},	  {"[^-a]", "-", 0},
		{"[+--]", ",", 1},	  {"[]a]", "]", 1},
		{"[^]a]", "]", 0},	  {"[\\]", "\\", 1},
		{"[\\n]", "n", 1},	  {"[[:digit:]x]", "7", 1},
		{"[^[:digit:]]", "7", 0}, {"[[:alpha:]]", "\xe4", 0},
		{"[[=a=]b]", "a", 1},	  {"[[.-.]a]", "-", 1},
		{"[[.].]]", "]", 1},	  {"[[.a.]-c]", "b", 1},
		{"[a-[.c.]]", "b", 1},	  {"[[]", "[", 1},
		{"[[a]", "[", 1},	  {"[*]", "*", 1},
		{"[a|b]", "|", 1},	  {"^[\x80-\xff]$", "\xc3", 1},
	};

	(void)state;
	look_up(rows, ARRAY_SIZE(rows));
}

static void pattern_anchors_and_escapes_are_those_of_gnu(void **state)
{
	static const struct row rows[] = {
		{"^a", "ba", 0},    {"a$", "ab", 0},	     {"a^b", "ab", 0},
		{"a$b", "ab", 0},   {"(^a|b$)", "cb", 1},    {"(^|x)a", "xa", 1},
		{"x(a|$)", "x", 1}, {"^^a$$", "a", 1},	     {"\\w+", "_", 1},
		{"^\\w$", "-", 0},  {"\\W", "a-b", 1},	     {"\\s", "a b", 1},
		{"^\\S$", " ", 0},  {"\\bab\\b", "x ab", 1}, {"\\bab\\b", "xab", 0},
		{"\\Bb", "ab", 1},  {"\\Bb", "b", 0},	     {"\\<b", "a b", 1},
		{"\\<b", "ab", 0},  {"a\\>", "a b", 1},	     {"a\\>", "ab", 0},
		{"\\`a", "ba", 0},  {"a\\'", "a", 1},	     {"\\.", "a", 0},
		{"\\.", ".", 1},    {"\\*\\(", "*(", 1},     {"\\x", "x", 1},
		{"\\0", "0", 1},    {"[\\1]", "1", 1},	     {"\\{1}", "{1}", 1},
	};

	(void)state;
	look_up(rows, ARRAY_SIZE(rows));
}

static void refused(const char *pattern, const char *want)
{
	const char *why = "";

	if (pattern_matches(pattern, "a", &why) != -EINVAL || !strstr(why, want))
		fail_msg("%s: %s, not %s", pattern, why, want);
}

static void pattern_that_is_no_expression_says_what_is_wrong(void **state)
{
	static const char *const rows[][2] = {
		{"(a", "'(' is not closed"},
		{"a|(", "'(' is not closed"},
		{"[a", "'[' is not closed"},
		{"[]", "'[' is not closed"},
		{"[^]", "'[' is not closed"},
		{"[a-", "'[' is not closed"},
		{"[[:alpha:", "'[' is not closed"},
		{"[[.", "'[' is not closed"},
		{"[[:no:]]", "known class"},
		{"[[:alphabet:]]", "known class"},
		{"[[.ab.]]", "one character"},
		{"[[==]]", "one character"},
		{"[b-a]", "later one"},
		{"[a-[:digit:]]", "later one"},
		{"[a-c-e]", "'-' in []"},
		{"[[:alpha:]-z]", "'-' in []"},
		{"*a", "nothing to repeat"},
		{"a|+", "nothing to repeat"},
		{"(?)", "nothing to repeat"},
		{"^*", "nothing to repeat"},
		{"\\b+", "nothing to repeat"},
		{"{1}", "nothing to repeat"},
		{"a{", "a count is"},
		{"a{}", "a count is"},
		{"a{x}", "a count is"},
		{"a{1", "a count is"},
		{"a{1,", "a count is"},
		{"a{2,1}", "a count is"},
		{"a{1,2,3}", "a count is"},
		{"a{-1}", "a count is"},
		{"a\\", "nothing stands behind"},
		{"\\1", "refers back"},
		{"(a)\\9", "refers back"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		refused(rows[i][0], rows[i][1]);
}

/* ---- glibc's own matcher, asked the same ---- */

struct dice {
	uint64_t seed;
};

static unsigned roll(struct dice *d, unsigned n)
{
	d->seed = d->seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(d->seed >> 33) % n;
}

static const char *text_of(struct dice *d, char text[8])
{
	unsigned n = roll(d, 7);

	for (unsigned i = 0; i < n; i++)
		text[i] = "aabb1_- \xc3%."[roll(d, 11)];
	text[n] = '\0';
	return text;
}

/* how many texts matched */
static unsigned compare(struct dice *d, const char *pattern)
{
	unsigned matched = 0;
	const char *why = "";
	char text[8];
	regex_t re;
	int rc = regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB);

	for (int i = 0; i < 8; i++) {
		int mine = pattern_matches(pattern, text_of(d, text), &why);
		int theirs = rc ? -EINVAL : regexec(&re, text, 0, NULL, 0) == 0;

		if (mine != theirs)
			fail_msg("%s against '%s': %d, glibc %d", pattern, text, mine, theirs);
		matched += mine == 1;
	}
	if (!rc)
		regfree(&re);
	return matched;
}

/* nine parts at most: even the worst of them is quick there */
static unsigned compare_many(uint64_t seed, const char *const *parts, unsigned n)
{
	struct dice d = {seed};
	unsigned matched = 0;

	for (int i = 0; i < 12000; i++) {
		char pattern[128] = "";

		for (unsigned left = 1 + roll(&d, 9), at = 0; left; left--)
			at += (unsigned)snprintf(pattern + at, sizeof(pattern) - at, "%s",
						 parts[roll(&d, n)]);
		matched += compare(&d, pattern);
	}
	return matched;
}

static void pattern_agrees_with_glibc_on_groups_and_repetitions(void **state)
{
	static const char *const parts[] = {
		"a",	 "b",	    "a",    "b",     "1",	    "-",	" ",
		".",	 "[ab]",    "[^a]", "(",     "(",	    "(",	")",
		")",	 ")",	    "|",    "|",     "*",	    "+",	"?",
		"{0}",	 "{1}",	    "{2}",  "{0,1}", "{1,2}",	    "{,2}",	"{1,}",
		"{0,}",	 "{,}",	    "\\w",  "\\W",   "\\s",	    "\\S",	"\\.",
		"{2,1}", "[[:x:]]", "{a}",  "}",     "[[:alpha:]]", "[[=a=]b]",
	};

	(void)state;
	assert_true(compare_many(1, parts, ARRAY_SIZE(parts)) > 10000);
}

/* anchors in repeated groups are left out: glibc finds (\B.a{,2})+[[:alpha:]] in " 1 a\xc3" "b" */
static void pattern_agrees_with_glibc_on_anchors_and_sets(void **state)
{
	static const char *const parts[] = {
		"a",
		"b",
		"1",
		"_",
		"-",
		" ",
		".",
		".*",
		"^",
		"$",
		"|",
		"\\w",
		"\\W",
		"\\b",
		"\\B",
		"\\<",
		"\\>",
		"\\`",
		"\\'",
		"[a-]",
		"[]a]",
		"[^]b]",
		"[a-b1]",
		"[+--]",
		"[[.-.]a]",
		"[b-a]",
		"[a-b-c]",
		"[",
		"]",
		"[^",
		"-b]",
		"[a[:]",
		"[[:digit:]_]",
		"a+",
		"b?",
		"\\",
		"[[:alpha:]-]",
		"[[.a.]-b]",
	};

	(void)state;
	assert_true(compare_many(2, parts, ARRAY_SIZE(parts)) > 10000);
}

/* ---- cost ---- */

static void t44_pattern_ends_in_time_whatever_it_is(void **state)
{
	static const char *const patterns[] = {
		"(a+)+$",
		"^(a|a)*$",
		"(.*)*(.*)*(.*)*x",
		"^(([a-z])+.)+[A-Z]([a-z])+$",
		"(a|b)*a(a|b){100}",
		"[ab]{0,255}[ab]{0,250}c",
		"(.?.?.?.?){90}c",
		"(.?)*(.?)*(.?)*(.?)*(((.?)?)?)*c",
		"(a{1,16}){1,16}c",
		"((((((((((((a+)+)+)+)+)+)+)+)+)+)+)+)+b",
		"1.$.????.????**********************?.??????,?????**********************",
		"x**{1,64}y**{1,64}z**{1,64}",
		"((x*)*){1,20}{1,6}",
		"(((((((a{0,2}){0,2}){0,2}){0,2}){0,2}){0,2}){0,2})b",
		"((((){32767}){32767}){32767}){32767}",
		"(a{0,1000}{0}){32767}(b{0,1000}{0}){32767}c",
	};
	char text[257];

	(void)state;
	memset(text, 'a', 256);
	text[256] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(patterns); i++) {
		clock_t begin = clock(); /* of this process, whatever else runs */
		const char *why = "";

		if (pattern_matches(patterns[i], text, &why) < 0)
			fail_msg("%s: %s", patterns[i], why);
		assert_true(clock() - begin < CLOCKS_PER_SEC);
	}
}

static void t44_pattern_as_deep_as_it_is_long_is_read(void **state)
{
	char deep[PATTERN_LENGTH + 2] = "";
	const char *why = "";

	(void)state;
	memset(deep, '(', PATTERN_LENGTH / 2);
	memset(deep + PATTERN_LENGTH / 2, ')', PATTERN_LENGTH / 2);
	assert_int_equal(pattern_matches(deep, "a", &why), 1);
	memset(deep, '(', PATTERN_LENGTH);
	refused(deep, "'(' is not closed");
	for (int i = 0; i < PATTERN_LENGTH; i += 2)
		memcpy(deep + i, "\\w", 2);
	assert_int_equal(pattern_matches(deep, "a", &why), 0);
	deep[PATTERN_LENGTH] = 'w';
	refused(deep, "more than 256 bytes");
}

static void t44_pattern_that_unfolds_too_far_is_refused(void **state)
{
	static const char *const rows[] = {
		"a{2048}",	     "a{2049,}",
		"a{0,1024}",	     "a{0,1024}*",
		"(a{100}){100}",     "((a{13}){13}){13}",
		"a{100}{100}",	     "a{1,99999999999999999999}",
		"(){32768}",	     "a{2047}b",
		"a{2047}|b",	     "a{2047}*",
		"a{2047}+",	     "a{2047}?",
		"a{2047}^",	     "a{2047}[b]",
		"a{2047}\\w",	     "(a{2046}|b)",
		"a{2046}|b|c",	     "a{2046}*",
		"((a|b){31}|c){31}",
	};
	const char *why = "";
	char text[2049];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		refused(rows[i], "unfolds to more than 2048");
	memset(text, 'a', 2047);
	text[2047] = '\0';
	assert_int_equal(pattern_matches("a{2047}", text, &why), 1);
	assert_int_equal(pattern_matches("a{2047}", text + 1, &why), 0);
	assert_int_equal(pattern_matches("^a{2045}$", text + 2, &why), 1);
	assert_int_equal(pattern_matches("^a{2045}$", text + 1, &why), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pattern_matches_any_part_of_the_text),
		cmocka_unit_test(pattern_repeats_what_stands_before),
		cmocka_unit_test(pattern_sets_are_those_of_the_c_locale),
		cmocka_unit_test(pattern_anchors_and_escapes_are_those_of_gnu),
		cmocka_unit_test(pattern_that_is_no_expression_says_what_is_wrong),
		cmocka_unit_test(pattern_agrees_with_glibc_on_groups_and_repetitions),
		cmocka_unit_test(pattern_agrees_with_glibc_on_anchors_and_sets),
		cmocka_unit_test(t44_pattern_ends_in_time_whatever_it_is),
		cmocka_unit_test(t44_pattern_as_deep_as_it_is_long_is_read),
		cmocka_unit_test(t44_pattern_that_unfolds_too_far_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
