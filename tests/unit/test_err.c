/* Errors: the first cause stays, places and activity are added, nothing unprintable survives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "corelib/base/err.h"

static struct err e;

static int clean(void **state)
{
	(void)state;
	err_clear(&e);
	return 0;
}

static void err_first_cause_stays(void **state)
{
	(void)state;
	assert_int_equal(err_set(&e, E_TARGET_SMALL, ENOSPC, "%d bytes too few", 3), -ENOSPC);
	assert_int_equal(err_set(&e, E_IO, EIO, "later"), -ENOSPC);
	assert_int_equal(err_sys(&e, E_IO, EIO, "later"), -ENOSPC);
	assert_int_equal(e.code, E_TARGET_SMALL);
	assert_string_equal(e.why, "3 bytes too few");
}

static void err_without_errno_is_einval_and_negative_errno_is_taken(void **state)
{
	(void)state;
	assert_int_equal(err_set(&e, E_USAGE, 0, "x"), -EINVAL);
	err_clear(&e);
	assert_int_equal(err_set(&e, E_USAGE, -EIO, "x"), -EIO);
	err_clear(&e);
	assert_int_equal(err_set(&e, E_NONE, EIO, "x"), -EIO);
	assert_true(err_is_set(&e));
	assert_int_equal(e.code, E_INTERNAL);
}

static void err_sys_names_the_call_and_the_reason(void **state)
{
	(void)state;
	assert_int_equal(err_sys(&e, E_NONE, EACCES, "opening '%s'", "/dev/x"), -EACCES);
	assert_int_equal(e.code, E_SYS);
	assert_string_equal(e.why, "opening '/dev/x': Permission denied");
}

static void err_places_go_from_the_inside_out(void **state)
{
	(void)state;
	assert_int_equal(err_at(&e, 0, "never"), 0);
	assert_string_equal(e.where, "");
	int rc = err_set(&e, E_IO, EIO, "x");
	assert_int_equal(err_at(&e, rc, "%s", "/dev/mmcblk0p3"), -EIO);
	assert_int_equal(err_at(&e, rc, "handler raw"), -EIO);
	assert_string_equal(e.where, "/dev/mmcblk0p3, handler raw");
	assert_string_equal(e.object, "/dev/mmcblk0p3");
}

/* two rooms may both name the place that they know */
static void err_at_tells_a_place_once(void **state)
{
	int rc = err_set(&e, E_IO, EIO, "x");

	(void)state;
	err_at(&e, rc, "sw-description, line 3");
	err_at(&e, rc, "sw-description");
	err_at(&e, rc, "a");
	err_at(&e, rc, "a");
	err_at(&e, rc, "line 3");
	assert_string_equal(e.where, "sw-description, line 3, a");
	err_at(&e, rc, "line");
	err_at(&e, rc, "description");
	assert_string_equal(e.where, "sw-description, line 3, a, line, description");
}

static void err_innermost_activity_stays(void **state)
{
	(void)state;
	int rc = err_set(&e, E_IO, EIO, "x");
	assert_int_equal(err_while(&e, 5, "never"), 5);
	assert_string_equal(e.what, "");
	err_while(&e, rc, "write of %d bytes", 5);
	err_while(&e, rc, "installing");
	assert_string_equal(e.what, "write of 5 bytes");
}

static void err_fix_of_the_place_beats_the_catalogue(void **state)
{
	(void)state;
	err_set(&e, E_IO, EIO, "x");
	assert_string_equal(err_fix_text(&e), err_info(E_IO)->fix);
	err_fix(&e, "use %s", "a");
	err_fix(&e, "use b");
	assert_string_equal(err_fix_text(&e), "use a");
}

static void t118_err_foreign_text_is_printable_everywhere(void **state)
{
	const char *evil = "a\n<0>\x1b[2J\xc2\x9b\x7f%n%s";
	const char *safe = "a\\x0a<0>\\x1b[2J\\xc2\\x9b\\x7f%n%s";

	(void)state;
	int rc = err_set(&e, E_IO, EIO, "%s", evil);
	err_at(&e, rc, "%s", evil);
	err_while(&e, rc, "%s", evil);
	err_fix(&e, "%s", evil);
	assert_string_equal(e.why, safe);
	assert_string_equal(e.where, safe);
	assert_string_equal(e.object, safe);
	assert_string_equal(e.what, safe);
	assert_string_equal(e.fix, safe);
}

static void err_long_texts_are_cut_visibly_and_never_overflow(void **state)
{
	char big[3000];

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	int rc = err_sys(&e, E_IO, EIO, "%s", big);
	for (int i = 0; i < 20; i++)
		err_at(&e, rc, "%d%.*s", i, 100, big);
	err_while(&e, rc, "%s", big);
	assert_true(strlen(e.where) < sizeof(e.where));
	assert_string_equal(e.where + strlen(e.where) - 3, "...");
	assert_string_equal(e.what + sizeof(e.what) - 4, "...");
	assert_non_null(strstr(e.why, "...: Input/output error"));
}

static void err_catalogue_rows_are_complete_ordered_and_unique(void **state)
{
	const struct errinfo *row;
	int last = 0;

	(void)state;
	for (size_t i = 0; (row = err_row(i)); i++) {
		assert_true((int)row->code > last);
		last = (int)row->code;
		assert_true(strlen(row->title) > 5 && strlen(row->fix) > 5);
		assert_int_equal(strncmp(row->name, "E_", 2), 0);
		assert_ptr_equal(err_info(row->code), row);
	}
	assert_true(last > 0);
	assert_int_equal(err_info((enum errcode)9999)->code, E_INTERNAL);
	assert_int_equal(err_info(E_NONE)->code, E_INTERNAL);
}

#define T(f) cmocka_unit_test_setup(f, clean)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(err_first_cause_stays),
		T(err_without_errno_is_einval_and_negative_errno_is_taken),
		T(err_sys_names_the_call_and_the_reason),
		T(err_places_go_from_the_inside_out),
		T(err_at_tells_a_place_once),
		T(err_innermost_activity_stays),
		T(err_fix_of_the_place_beats_the_catalogue),
		T(t118_err_foreign_text_is_printable_everywhere),
		T(err_long_texts_are_cut_visibly_and_never_overflow),
		T(err_catalogue_rows_are_complete_ordered_and_unique),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
