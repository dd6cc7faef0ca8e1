/* dummy: reads to the proven end, and believes no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "handlers/handler.h"
#include "tests/unit/kit/fake_stream.h"

extern const struct handler handler_dummy;

static uint8_t data[70000];

static int install(struct fake *src, struct err *e)
{
	struct step st = {0};
	struct stream *s;
	int rc;

	assert_int_equal(fake_stream_open(&s, src, e), 0);
	rc = handler_dummy.install(&st, s, e);
	stream_close(s);
	return rc;
}

static void dummy_reads_all_of_the_payload(void **state)
{
	struct fake src = {.data = data, .size = sizeof(data), .max_piece = 1000, .seed = 2};
	struct err e = {0};

	(void)state;
	assert_int_equal(install(&src, &e), 0);
	assert_int_equal(src.at, sizeof(data));
}

static void dummy_fails_where_the_payload_does(void **state)
{
	struct fake src = {.data = data,
			   .size = sizeof(data),
			   .max_piece = 1000,
			   .fails = true,
			   .fail_at = sizeof(data) - 1,
			   .fail_code = E_PAYLOAD_HASH};
	struct err e = {0};

	(void)state;
	assert_true(install(&src, &e) < 0);
	assert_int_equal(e.code, E_PAYLOAD_HASH);
}

static void dummy_takes_every_section_that_has_payloads(void **state)
{
	(void)state;
	assert_int_equal(handler_dummy.sections,
			 SECTION_IMAGES | SECTION_FILES | SECTION_SCRIPTS | SECTION_PARTITIONS);
	assert_int_equal(handler_dummy.holds, HOLDS_NOTHING);
	assert_null(handler_dummy.commit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dummy_reads_all_of_the_payload),
		cmocka_unit_test(dummy_fails_where_the_payload_does),
		cmocka_unit_test(dummy_takes_every_section_that_has_payloads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
