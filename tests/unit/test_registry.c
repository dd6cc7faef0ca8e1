/* The registry: what the Makefile lists is what can be found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "handlers/handler.h"
#include "handlers/props.h"

static void registry_finds_nothing_for_an_unknown_name(void **state)
{
	(void)state;
	assert_null(handler_find("no-such-handler"));
	assert_null(handler_find(""));
}

static void registry_finds_every_listed_handler_by_its_name(void **state)
{
	(void)state;
	for (size_t i = 0; handler_at(i); i++)
		assert_ptr_equal(handler_find(handler_at(i)->name), handler_at(i));
}

static void every_built_in_handler_is_a_type_of_the_format(void **state)
{
	(void)state;
	for (size_t i = 0; handler_at(i); i++)
		assert_non_null(handler_type_find(handler_at(i)->name));
}

static void a_type_is_found_whether_it_is_built_in_or_not(void **state)
{
	(void)state;
	assert_string_equal(handler_type_find("ubivol")->name, "ubivol");
	assert_null(handler_type_find("ubivo"));
	for (size_t i = 0; handler_type_at(i); i++) {
		assert_ptr_equal(handler_type_find(handler_type_at(i)->name), handler_type_at(i));
		assert_true(handler_type_at(i)->summary[0] != '\0');
	}
}

static void a_row_that_ends_in_n_stands_for_any_number(void **state)
{
	static const struct attr rows[] = {{.name = "labeltype"}, {.name = "partition-N"}};
	const struct handler h = {.props = rows, .prop_count = 2};

	(void)state;
	assert_ptr_equal(props_row(&h, "partition-1"), &rows[1]);
	assert_ptr_equal(props_row(&h, "partition-128"), &rows[1]);
	assert_ptr_equal(props_row(&h, "labeltype"), &rows[0]);
	assert_null(props_row(&h, "partition-"));
	assert_null(props_row(&h, "partition-1a"));
	assert_null(props_row(&h, "partition"));
	assert_null(props_row(&h, "labeltype-1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registry_finds_nothing_for_an_unknown_name),
		cmocka_unit_test(registry_finds_every_listed_handler_by_its_name),
		cmocka_unit_test(every_built_in_handler_is_a_type_of_the_format),
		cmocka_unit_test(a_type_is_found_whether_it_is_built_in_or_not),
		cmocka_unit_test(a_row_that_ends_in_n_stands_for_any_number),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
