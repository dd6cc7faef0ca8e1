/* Versions are ordered as COMPAT 12 says; within a class the order is total (T42). */
#include "kit/parse_help.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit/fail_malloc.h"
#include "parser/version.h"

static int sign(int d)
{
	return (d > 0) - (d < 0);
}

static void ordered(const char *a, const char *b, int want)
{
	if (sign(version_compare(a, b)) != want || sign(version_compare(b, a)) != -want)
		fail_msg("'%s' and '%s': %d, not %d", a, b, version_compare(a, b), want);
}

static void version_class_is_seen(void **state)
{
	static const struct {
		const char *v;
		enum version_class want;
	} rows[] = {
		{"1", VERSION_NUMBERS},
		{"1.2.3.4", VERSION_NUMBERS},
		{"65535.65535.65535.65535", VERSION_NUMBERS},
		{"1.2.3.4.99999", VERSION_NUMBERS},
		{"", VERSION_NUMBERS},
		{"000000000000000000000001", VERSION_NUMBERS},
		{"65536", VERSION_SEMVER},
		{"1.2.3-rc1", VERSION_SEMVER},
		{"1.2.3+build", VERSION_SEMVER},
		{"1-a", VERSION_SEMVER},
		{"1.2.3-rc.1+b-7", VERSION_SEMVER},
		{"1.2.3+", VERSION_SEMVER},
		{"v1", VERSION_TEXT},
		{"1.2.3-", VERSION_TEXT},
		{"1.2a", VERSION_TEXT},
		{"1.0_1", VERSION_TEXT},
		{"1.0-\xc3\xa9", VERSION_TEXT},
		{"-1", VERSION_TEXT},
		{"99999..1", VERSION_TEXT},
		{"1. 2", VERSION_TEXT},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (version_class(rows[i].v) != rows[i].want)
			fail_msg("'%s' is %d", rows[i].v, version_class(rows[i].v));
}

static void version_numbers_are_four_fields_of_16_bits(void **state)
{
	(void)state;
	ordered("1.0", "2.0", -1);
	ordered("1.10", "1.9", 1);
	ordered("1.2", "1.2.0.0", 0);
	ordered("1.2.3.4.5", "1.2.3.4.9", 0);
	ordered("0.0.0.1", "0.0.0.0", 1);
	ordered("65535", "65534.65535.65535.65535", 1);
	ordered("1..2", "1.1.9", 1); /* as seen: empty fields are left out */
	ordered("01.002", "1.2", 0);
	ordered("", "0", 0);
}

/* the rows were compared with what SWUpdate 2022.12 decides, but for those marked */
static void version_semver_orders_prereleases(void **state)
{
	(void)state;
	ordered("1.2-rc1", "1.2", -1);
	ordered("1.2.0-rc1", "1.2.0", -1);
	ordered("1-rc1", "1-rc2", -1);
	ordered("1.0.0-alpha", "1.0.0-alpha.1", -1);
	ordered("1.0.0-9", "1.0.0-a", -1);
	ordered("1.0.0-rc10", "1.0.0-rc9", -1);
	ordered("70000.9", "70000.10", -1);
	ordered("70000.0.9", "70000.0.10", -1);
	ordered("70000.0.0.9", "70000.0.0.10", 0);
	ordered("1.0.0-rc1+z", "1.0.0-rc1+a", 0);
	ordered("01.2.9-rc1", "01.2.10-rc1", -1);
	ordered("1.2.3", "1.2.4-rc1", -1);
	ordered("1.0.0-alpha.9", "1.0.0-alpha.10", -1); /* equal there */
	ordered("1.0.0-9", "1.0.0-10", -1);		/* equal there */
	ordered("99999999998.0.0", "99999999999.0.0", -1);
}

static void version_text_is_compared_by_bytes(void **state)
{
	(void)state;
	ordered("abc", "abd", -1);
	ordered("v1.9", "v1.10", 1);
	ordered("1.0_1", "1.0_2", -1);
	ordered("1.2.9a", "1.2.10a", 1);
	ordered("1.2.3", "v1.2.3", -1); /* across classes: text */
}

static void t42_numbers_of_any_length_do_not_wrap(void **state)
{
	static const char low[] = "1.0.0-1234567890123456789012345678901234567890";
	static const char high[] = "1.0.0-1234567890123456789012345678901234567891";
	char a[400], b[400];

	(void)state;
	ordered(low, high, -1);
	ordered("1.0.0-18446744073709551616", "1.0.0-0", 1);
	ordered("18446744073709551617.0.0", "1.0.0", 1);
	memset(a, '9', sizeof(a));
	memset(b, '9', sizeof(b));
	a[300] = '\0';
	b[301] = '\0';
	ordered(a, b, -1);
	ordered("", b, -1);
}

/* a version made of few letters, so that equal ones and neighbours are met */
static void any_version(char *out, size_t size)
{
	static const char *const tail[] = {"",	   "-a",   "-b",   "-1",
					   "-01",  "-2",   "-10",  "-a.1",
					   "-a.b", "-a.",  "-1.1", "-99999999999999999999",
					   "+x",   "-a+y", "v",	   "_",
					   "v1",   "_a"};
	int n = 0;

	out[0] = '\0';
	for (long i = random() % 5; i > 0; i--)
		n += snprintf(out + n, size - (size_t)n, "%ld%s",
			      random() % 3 + (i > 1 || random() % 4 ? 0 : 65536), i > 1 ? "." : "");
	if (random() % 3)
		(void)snprintf(out + n, size - (size_t)n, "%s",
			       tail[random() % (long)ARRAY_SIZE(tail)]);
}

static void random_version(char *out, size_t size, enum version_class class)
{
	do {
		any_version(out, size);
	} while (version_class(out) != class);
}

static void t42_order_is_total_within_each_class(void **state)
{
	(void)state;
	srandom(42);
	for (int i = 0; i < 210000; i++) {
		enum version_class class = (enum version_class)(i % 3);
		char v[3][128];
		int ab, bc, ac;

		for (int k = 0; k < 3; k++)
			random_version(v[k], sizeof(v[k]), class);
		ab = sign(version_compare(v[0], v[1]));
		bc = sign(version_compare(v[1], v[2]));
		ac = sign(version_compare(v[0], v[2]));
		if (ab != -sign(version_compare(v[1], v[0])) || version_compare(v[0], v[0]) ||
		    (ab <= 0 && bc <= 0 && ac > 0) || (ab >= 0 && bc >= 0 && ac < 0) ||
		    (!ab && ac != bc))
			fail_msg("%s, %s, %s: %d %d %d", v[0], v[1], v[2], ab, bc, ac);
	}
}

static struct version_list list_of(const char *text)
{
	struct version_list l;
	struct err e = {0};

	assert_int_equal(version_list_parse(&l, text, strlen(text), &e), 0);
	return l;
}

static void version_list_reads_what_devices_have(void **state)
{
	struct version_list l = list_of("# made by hand\n\nboot\t\t2016.03\nkernel 4.4 more\r\n"
					"broken\n  app   1.0-rc1");

	(void)state;
	assert_int_equal(l.count, 3);
	assert_string_equal(version_list_find(&l, "boot"), "2016.03");
	assert_string_equal(version_list_find(&l, "kernel"), "4.4");
	assert_string_equal(version_list_find(&l, "app"), "1.0-rc1");
	assert_null(version_list_find(&l, "broken"));
	version_list_clear(&l);
	assert_int_equal(l.count, 0);
	l = list_of("");
	assert_int_equal(l.count, 0);
	assert_null(version_list_find(&l, ""));
	version_list_clear(&l);
}

static void version_list_put_replaces_or_appends(void **state)
{
	struct version_list l = list_of("a 1\na 2\nb 3\n");

	(void)state;
	assert_int_equal(version_list_put(&l, "a", "5"), 0);
	assert_int_equal(version_list_put(&l, "c", "6"), 0);
	assert_string_equal(version_list_find(&l, "a"), "5");
	assert_string_equal(version_list_find(&l, "c"), "6");
	assert_int_equal(l.count, 4);
	version_list_clear(&l);
}

static void version_list_refuses_nul_and_excess(void **state)
{
	struct version_list l;
	struct err e = {0};
	static char many[5000 * 4 + 1];

	(void)state;
	assert_int_equal(version_list_parse(&l, "a 1\nb\0 2\n", 9, &e), -EINVAL);
	assert_int_equal(e.code, E_CONFIG);
	assert_non_null(strstr(e.why, "line 2"));
	assert_int_equal(l.count, 0);
	for (int i = 0; i < 5000; i++)
		memcpy(many + i * 4, "a 1\n", 4);
	err_clear(&e);
	assert_int_equal(version_list_parse(&l, many, 5000 * 4, &e), -EINVAL);
	assert_int_equal(e.code, E_CONFIG);
}

static void version_list_survives_every_failed_allocation(void **state)
{
	(void)state;
	if (!fail_malloc_works())
		skip();
	for (unsigned n = 1;; n++) {
		struct version_list l;
		struct err e = {0};
		int rc;

		fail_malloc_at(n);
		rc = version_list_parse(&l, "a 1\nb 2\n", 8, &e);
		if (rc == 0)
			rc = version_list_put(&l, "a", "3");
		if (rc == 0)
			rc = version_list_put(&l, "c", "4");
		if (!fail_malloc_off()) {
			assert_int_equal(rc, 0);
			version_list_clear(&l);
			break;
		}
		assert_int_equal(rc, -ENOMEM);
		if (l.count) /* what was there stays */
			assert_string_equal(version_list_find(&l, "b"), "2");
		else
			assert_int_equal(e.code, E_MEMORY);
		version_list_clear(&l);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_class_is_seen),
		cmocka_unit_test(version_numbers_are_four_fields_of_16_bits),
		cmocka_unit_test(version_semver_orders_prereleases),
		cmocka_unit_test(version_text_is_compared_by_bytes),
		cmocka_unit_test(t42_numbers_of_any_length_do_not_wrap),
		cmocka_unit_test(t42_order_is_total_within_each_class),
		cmocka_unit_test(version_list_reads_what_devices_have),
		cmocka_unit_test(version_list_put_replaces_or_appends),
		cmocka_unit_test(version_list_refuses_nul_and_excess),
		cmocka_unit_test(version_list_survives_every_failed_allocation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
