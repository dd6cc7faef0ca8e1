/* The registry: what the Makefile lists is what can be found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "handlers/handler.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registry_finds_nothing_for_an_unknown_name),
		cmocka_unit_test(registry_finds_every_listed_handler_by_its_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
