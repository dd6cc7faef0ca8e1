/* Hardware compatibility: text and patterns, and what a pattern may cost (T44). */
#include "parse_help.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "corelib/sys.h"
#include "fail_malloc.h"
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

static void t44_pattern_that_backtracks_elsewhere_ends_in_time(void **state)
{
	static const char *const patterns[] = {
		"#RE:(a+)+$",
		"#RE:^(a|a)*$",
		"#RE:^(a|aa)+$",
		"#RE:(.*)*(.*)*(.*)*x",
		"#RE:^(([a-z])+.)+[A-Z]([a-z])+$",
		"#RE:(x+x+)+y",
		"#RE:(a|b)*a(a|b){100}",
		"#RE:[ab]{0,255}[ab]{0,250}c",
		"#RE:(.?.?.?.?){90}c",
		"#RE:(a?){200}c",
		"#RE:((a+)+)$",
		"#RE:(.?)*(.?)*(.?)*(.?)*(((.?)?)?)*c",
		"#RE:(a{1,16}){1,16}c",
	};
	char revision[257];

	(void)state;
	memset(revision, 'a', 256);
	revision[255] = '!';
	revision[256] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(patterns); i++) {
		uint64_t begin = sys_now_ms(), took;
		struct err e = {0};

		if (hardware_matches(patterns[i], revision, &e) < 0)
			fail_msg("%s: %s", patterns[i], e.why);
		took = sys_now_ms() - begin;
		/* 100 ms, and patience for a machine under sanitizers that is shared */
		assert_true(took < 1000);
	}
}

static void t44_pattern_that_refers_back_is_refused(void **state)
{
	(void)state;
	refused("#RE:(a*)*\\1$", "aaaa", "refers back");
	refused("#RE:(a)\\9", "a", "refers back");
}

static void t44_pattern_that_grows_is_refused(void **state)
{
	char deep[200] = "#RE:";

	(void)state;
	/* first one that ends even where the bound is lost */
	refused("#RE:((((((((((((a+)+)+)+)+)+)+)+)+)+)+)+)+", "a", "deep");
	memset(deep + 4, '(', 40);
	deep[44] = 'a';
	for (int i = 0; i < 40; i++)
		memcpy(deep + 45 + 2 * i, "+)", 2);
	refused(deep, "a", "deep");
	refused("#RE:a{513}", "a", "unfolds");
	refused("#RE:a{600,}", "a", "unfolds");
	refused("#RE:a{1,99999999999999999999}", "a", "unfolds");
	refused("#RE:(a{100}){100}", "a", "unfolds");
	refused("#RE:((a{11}){11}){11}", "a", "unfolds");
	refused("#RE:[ab]{0,255}[ab]{0,255}[ab]{0,250}c", "a", "unfolds");
	refused("#RE:((abcdefgh){8}){9}", "a", "unfolds");
	refused("#RE:a{100}{100}", "a", "unfolds");
	refused("#RE:a{100", "a", "cannot be used");
	refused("#RE:((abcdefgh){8}*){9}", "a", "unfolds");
	refused("#RE:(abcdefgh)*{65}", "a", "unfolds");
	fits("#RE:^[A-Z]{3}-[0-9]{4}-[0-9]{2,}$", "ABC-1234-567", 1);
	fits("#RE:^[[:alnum:]]{1,64}(-rev[0-9]{1,8})?$", "board-rev12", 1);
}

/* glibc's compiler takes hours for what the first one stands for */
static void t44_optional_parts_deep_in_repetitions_are_refused(void **state)
{
	(void)state;
	refused("#RE:1.$.????.????**********************?.??????,?????**********************", "1",
		"deep");
	refused("#RE:(((((a)?)?)*)*)*", "a", "deep");
	refused("#RE:x(((((a?)b)*c)*d|e)*f)*", "a", "deep");
	refused("#RE:a{1}{1}{1}{1}{1}", "a", "deep");
	refused("#RE:x**{1,64}y**{1,64}z**{1,64}", "1", "deep");
	refused("#RE:((x*)*){1,20}{1,6}", "1", "deep");
	refused("#RE:(((a?+)?)+)", "a", "deep");
	fits("#RE:(((a?)?)*)*.*?$", "aab", 1);
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
	refused("#RE:a\\", "a", "cannot be used");
	refused("#RE:[[:nothing:]]", "a", "cannot be used");
}

static void hardware_match_survives_every_failed_allocation(void **state)
{
	(void)state;
	if (!fail_malloc_works())
		skip();
	for (unsigned n = 1;; n++) {
		struct err e = {0};
		int rc;

		fail_malloc_at(n);
		rc = hardware_matches("#RE:^(a|b)*c[[:digit:]]{2,5}(xy)?$", "ababc123", &e);
		if (!fail_malloc_off()) {
			assert_int_equal(rc, 1);
			break;
		}
		/* glibc can do without some of them */
		assert_true(rc == 1 || (rc == -ENOMEM && e.code == E_MEMORY));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hardware_text_is_compared_whole),
		cmocka_unit_test(hardware_pattern_is_a_posix_extended_expression),
		cmocka_unit_test(t44_pattern_that_backtracks_elsewhere_ends_in_time),
		cmocka_unit_test(t44_pattern_that_refers_back_is_refused),
		cmocka_unit_test(t44_pattern_that_grows_is_refused),
		cmocka_unit_test(t44_optional_parts_deep_in_repetitions_are_refused),
		cmocka_unit_test(t44_lengths_are_bounded),
		cmocka_unit_test(hardware_pattern_that_is_no_expression_is_refused),
		cmocka_unit_test(hardware_match_survives_every_failed_allocation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
