/* bootenv, uboot, bootloader: lines of text become changes of the one commit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/text.h"
#include "handlers/handler.h"
#include "tests/unit/kit/fail_malloc.h"
#include "tests/unit/kit/fake_host.h"
#include "tests/unit/kit/fake_stream.h"

extern const struct handler handler_bootenv;

static struct fake_host host;

static int install_bytes(const void *text, size_t n, const char *nooverride, struct err *e)
{
	struct fake src = {.data = text, .size = n, .max_piece = 7, .seed = 1};
	const struct property prop = {"nooverride", &nooverride, 1};
	const struct entry en = {
		.filename = "vars.txt", .props = &prop, .prop_count = nooverride != NULL};
	struct step st = {.entry = &en, .host = &host.h};
	struct stream *s;
	int rc;

	memset(e, 0, sizeof(*e));
	rc = handler_bootenv.check(&st, e);
	if (rc < 0)
		return rc;
	assert_int_equal(fake_stream_open(&s, &src, e), 0);
	rc = handler_bootenv.install(&st, s, e);
	stream_close(s);
	return rc;
}

static int install(const char *text, const char *nooverride, struct err *e)
{
	return install_bytes(text, strlen(text), nooverride, e);
}

static int setup(void **state)
{
	(void)state;
	fake_host_init(&host);
	return 0;
}

static void bootenv_takes_lines_comments_blanks_and_carriage_returns(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(install("# a comment\n"
				 "a=1\r\n"
				 "\n"
				 "   \t\n"
				 "  b=two words = and more  \n"
				 "#c=3\n"
				 "d=\n"
				 "e=\r\n"
				 "a=4\n"
				 "last=x",
				 NULL, &e),
			 0);
	assert_int_equal(host.var_count, 6);
	assert_string_equal(fake_host_value(&host, "a"), "4");
	assert_string_equal(fake_host_value(&host, "b"), "two words = and more  ");
	assert_null(fake_host_value(&host, "c"));
	assert_true(host.vars[2].unset); /* d */
	assert_true(host.vars[3].unset); /* e */
	assert_string_equal(fake_host_value(&host, "last"), "x");
}

static void bootenv_empty_text_changes_nothing(void **state)
{
	static const char *const texts[] = {"", "\n", "\r\n\r\n", "#", "# a=b"};
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(install(texts[i], NULL, &e), 0);
	assert_int_equal(host.var_count, 0);
}

static void bootenv_line_that_is_none_names_its_number(void **state)
{
	static const char *const texts[] = {"a=1\nb\n", "a=1\n=b\n", "a=1\n  =\n"};
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_true(install(texts[i], NULL, &e) < 0);
		assert_int_equal(e.code, E_ENV_NAME);
		assert_string_equal(e.object, "line 2");
		assert_string_equal(e.where, "line 2, vars.txt");
	}
	assert_true(install_bytes("a=1\nb=\0c\n", 9, NULL, &e) < 0);
	assert_int_equal(e.code, E_ENV_NAME);
}

static void bootenv_line_has_at_most_1024_bytes(void **state)
{
	char text[1100];
	struct err e;

	(void)state;
	memset(text, 'v', sizeof(text));
	memcpy(text, "a=", 2);
	text[1024] = '\n';
	assert_int_equal(install_bytes(text, 1025, NULL, &e), 0);
	assert_int_equal(install_bytes(text, 1024, NULL, &e), 0);
	text[1024] = 'v';
	assert_true(install_bytes(text, 1025, NULL, &e) < 0);
	assert_int_equal(e.code, E_ENV_NAME);
	text[1025] = '\n';
	assert_true(install_bytes(text, 1026, NULL, &e) < 0);
	assert_int_equal(e.code, E_ENV_NAME);
}

static void bootenv_text_of_any_size_is_bounded(void **state)
{
	const size_t n = 256 * 1024;
	char *text = malloc(n + 1);
	struct err e;

	(void)state;
	assert_non_null(text);
	memset(text, '\n', n + 1);
	assert_int_equal(install_bytes(text, n, NULL, &e), 0);
	assert_true(install_bytes(text, n + 1, NULL, &e) < 0);
	assert_int_equal(e.code, E_ENV_BIG);
	free(text);
}

static void bootenv_size_that_is_known_is_refused_while_planning(void **state)
{
	const struct entry en = {.filename = "v"};
	struct step st = {.entry = &en, .host = &host.h, .has_size = true, .size = UINT64_MAX};
	struct err e = {0};

	(void)state;
	assert_true(handler_bootenv.check(&st, &e) < 0);
	assert_int_equal(e.code, E_ENV_BIG);
}

static void bootenv_nooverride_lets_the_description_win(void **state)
{
	struct err e = {0};

	(void)state;
	assert_int_equal(host.h.ops->set_variable(&host.h, "a", "signed", &e), 0);
	assert_int_equal(install("a=file\nb=file\n", "true", &e), 0);
	assert_string_equal(fake_host_value(&host, "a"), "signed");
	assert_string_equal(fake_host_value(&host, "b"), "file");
	assert_int_equal(install("a=file\n", "false", &e), 0);
	assert_string_equal(fake_host_value(&host, "a"), "file");
}

static void t47_bootenv_property_that_is_not_understood_is_refused(void **state)
{
	static const char *const values[] = {"yes", "TRUE", "1", ""};
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		assert_true(install("a=1\n", values[i], &e) < 0);
		assert_int_equal(e.code, E_PROPERTY);
	}
	assert_int_equal(host.var_count, 0);
}

static void bootenv_takes_nothing_from_a_text_whose_end_is_not_proven(void **state)
{
	static const char text[] = "a=1\nb=2\nc=3\n";
	struct fake src = {.data = (const uint8_t *)text,
			   .size = sizeof(text) - 1,
			   .max_piece = 2,
			   .fails = true,
			   .fail_at = sizeof(text) - 2,
			   .fail_code = E_PAYLOAD_HASH};
	const struct entry en = {.filename = "vars.txt"};
	struct step st = {.entry = &en, .host = &host.h};
	struct err e = {0};
	struct stream *s;

	(void)state;
	assert_int_equal(fake_stream_open(&s, &src, &e), 0);
	assert_true(handler_bootenv.install(&st, s, &e) < 0);
	assert_int_equal(e.code, E_PAYLOAD_HASH);
	assert_int_equal(host.var_count, 0);
	stream_close(s);
}

static void bootenv_variable_that_is_refused_names_line_and_file(void **state)
{
	struct err e;

	(void)state;
	host.fail_at = 2;
	assert_true(install("a=1\n\nb=2\n", NULL, &e) < 0);
	assert_int_equal(e.code, E_ENV_NAME);
	assert_string_equal(e.where, "line 3, vars.txt");
}

static void bootenv_without_memory_says_so(void **state)
{
	struct step st = {.entry = &(struct entry){.filename = "vars.txt"}, .host = &host.h};
	struct err e = {0};
	struct stream *s;

	(void)state;
	if (!fail_malloc_works())
		skip();
	assert_int_equal(stream_mem_open(&s, "a=1", 3, &e), 0);
	fail_malloc_at(1);
	assert_int_equal(handler_bootenv.install(&st, s, &e), -ENOMEM);
	assert_true(fail_malloc_off());
	assert_int_equal(e.code, E_MEMORY);
	stream_close(s);
}

static void bootenv_is_found_by_its_old_names(void **state)
{
	static const char *const names[] = {"bootenv", "uboot", "bootloader"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_ptr_equal(handler_find(names[i]), &handler_bootenv);
	assert_true(handler_bootenv.sections & SECTION_IMAGES);
	assert_true(handler_bootenv.sections & SECTION_BOOTENV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup(f, setup)
		T(bootenv_takes_lines_comments_blanks_and_carriage_returns),
		T(bootenv_empty_text_changes_nothing),
		T(bootenv_line_that_is_none_names_its_number),
		T(bootenv_line_has_at_most_1024_bytes),
		T(bootenv_text_of_any_size_is_bounded),
		T(bootenv_size_that_is_known_is_refused_while_planning),
		T(bootenv_nooverride_lets_the_description_win),
		T(t47_bootenv_property_that_is_not_understood_is_refused),
		T(bootenv_takes_nothing_from_a_text_whose_end_is_not_proven),
		T(bootenv_variable_that_is_refused_names_line_and_file),
		T(bootenv_without_memory_says_so),
		T(bootenv_is_found_by_its_old_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
