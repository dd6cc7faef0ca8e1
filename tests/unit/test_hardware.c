/* Hardware compatibility: text and patterns, and what a pattern may cost (T44). */
#include "kit/parse_help.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kit/fail_malloc.h"
#include "parser/version.h"

static void fits(const char *pattern, const char *revision, int want)
{
	struct err e = {0};
	int rc = hardware_matches(pattern, revision, &e);

	if (rc != want)
		fail_msg("%s against %s: %d (%s)", pattern, revision, rc, e.why);
}

static void refused(const char *pattern, const char *revision, const char *why)
{
	struct err e = {0};

	assert_int_equal(hardware_matches(pattern, revision, &e), -EINVAL);
	assert_int_equal(e.code, E_HARDWARE);
	assert_non_null(strstr(e.why, why));
}

static void hardware_text_is_compared_whole(void **state)
{
	(void)state;
	fits("1.0", "1.0", 1);
	fits("1.0", "1.00", 0);
	fits("1.0", "11.0", 0);
	fits("1.", "1.0", 0);
	fits("", "", 1);
	fits("#re:1", "1", 0);
	fits("#RE", "#RE", 1);
}

static void hardware_pattern_is_a_posix_extended_expression(void **state)
{
	(void)state;
	fits("#RE:^1\\.[0-9]+$", "1.25", 1);
	fits("#RE:^1\\.[0-9]+$", "1x25", 0);
	fits("#RE:^rev(A|B)$", "revB", 1);
	fits("#RE:^rev(A|B)$", "revC", 0);
	fits("#RE:.", "x", 1);
	fits("#RE:2", "123", 1);
	fits("#RE:^a{2,3}$", "aaa", 1);
	fits("#RE:^a{2,3}$", "aaaa", 0);
	fits("#RE:^[]1]+[[:digit:]]{1,255}$", "]1234", 1);
	fits("#RE:^[^]a]$", "b", 1);
	fits("#RE:[\\1]", "1", 1);
	fits("#RE:[[.].]]", "]", 1);
}

static void t44_pattern_that_refers_back_is_refused(void **state)
{
	(void)state;
	refused("#RE:(a*)*\\1$", "aaaa", "refers back");
	refused("#RE:(a)\\9", "a", "refers back");
}

static void t44_pattern_that_grows_is_refused(void **state)
{
	(void)state;
	refused("#RE:a{2048}", "a", "the pattern #RE:a{2048} unfolds to more than");
	refused("#RE:(a{100}){100}", "a", "unfolds");
	fits("#RE:^[A-Z]{3}-[0-9]{4}-[0-9]{2,}$", "ABC-1234-567", 1);
	fits("#RE:^[[:alnum:]]{1,64}(-rev[0-9]{1,8})?$", "board-rev12", 1);
}

/* glibc's compiler takes hours for what the first ones stand for */
static void t44_optional_parts_deep_in_repetitions_end_in_time(void **state)
{
	(void)state;
	fits("#RE:1.$.????.????**********************?.??????,?????**********************", "1", 0);
	fits("#RE:x**{1,64}y**{1,64}z**{1,64}!", "1", 0);
	fits("#RE:^x**{1,64}y**{1,64}z**{1,64}$", "xyzz", 1);
	fits("#RE:^(((((a)?)?)*)*)*$", "aaa", 1);
	fits("#RE:^x(((((a?)b)*c)*d|e)*f)*$", "xbcdf", 1);
	fits("#RE:^(a?b?)*(c?)*(d?)*(e?)*(f?)*(g?)*$", "abcdefg", 1);
}

static void t44_lengths_are_bounded(void **state)
{
	char text[300];

	(void)state;
	memset(text, 'a', sizeof(text));
	text[257] = '\0';
	refused(text, "1", "longer than 256");
	refused("1", text, "longer than 256");
	text[256] = '\0';
	fits(text, text, 1);
}

static void hardware_pattern_that_is_no_expression_is_refused(void **state)
{
	(void)state;
	refused("#RE:(", "a", "cannot be used");
	refused("#RE:[a", "a", "cannot be used");
	refused("#RE:[[:", "a", "cannot be used");
	refused("#RE:a\\", "a", "the pattern #RE:a\\ cannot be used: nothing stands");
	refused("#RE:[[:nothing:]]", "a", "cannot be used");
}

static void hardware_match_needs_no_memory(void **state)
{
	struct err e = {0};
	int rc;

	(void)state;
	if (!fail_malloc_works())
		skip();
	fail_malloc_at(1);
	rc = hardware_matches("#RE:^(a|b)*c[[:digit:]]{2,5}(xy)?$", "ababc123", &e);
	assert_false(fail_malloc_off());
	assert_int_equal(rc, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hardware_text_is_compared_whole),
		cmocka_unit_test(hardware_pattern_is_a_posix_extended_expression),
		cmocka_unit_test(t44_pattern_that_refers_back_is_refused),
		cmocka_unit_test(t44_pattern_that_grows_is_refused),
		cmocka_unit_test(t44_optional_parts_deep_in_repetitions_end_in_time),
		cmocka_unit_test(t44_lengths_are_bounded),
		cmocka_unit_test(hardware_pattern_that_is_no_expression_is_refused),
		cmocka_unit_test(hardware_match_needs_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
