/*
 * What parsers of tar have stumbled over, made byte by byte: each is an error or an archive, here
 * where the sanitizers look on, and the same in swinstall-unpack. T48, T62.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "corelib/stream/archive.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/archives.h"
#include "tests/unit/kit/chunks.h"

/* those of which the format says what they mean, and it is harmless */
static bool may_be_taken(enum errcode code)
{
	return code == E_NONE || code == E_ARCHIVE || code == E_ARCHIVE_PATH;
}

static void t48_broken_archives_are_told_and_harm_nobody(void **state)
{
	unsigned count, refused = 0;
	struct blob in;
	const char *name;

	(void)state;
	for (count = 0; (name = archives_at("broken", count, &in)); count++) {
		struct archives_look l = {.here = true};
		enum errcode code = archives_code_of(&in, &l);

		if (!may_be_taken(code))
			fail_msg("%s: %d", name, code);
		if (l.bytes > in.len)
			fail_msg("%s: %llu bytes of %zu", name, (unsigned long long)l.bytes,
				 in.len);
		refused += code != E_NONE;
		blob_clear(&in);
	}
	assert_true(count >= 80);
	assert_true(refused >= 40);
}

/* which of two faults is told may differ: the child reads ahead of the record that has the first */
static void t48_swinstall_unpack_takes_of_them_what_is_taken_here(void **state)
{
	struct blob in;
	const char *name;

	(void)state;
	for (unsigned at = 0; (name = archives_at("broken", at, &in)); at++) {
		struct archives_look here = {.here = true}, child = {.max = 777};
		enum errcode code = archives_code_of(&in, &here);
		enum errcode other = archives_code_of(&in, &child);

		if (!may_be_taken(other) || (code == E_NONE) != (other == E_NONE))
			fail_msg("%s: %d and %d", name, code, other);
		if (code == E_NONE && strcmp(here.text, child.text) != 0)
			fail_msg("%s: '%s' and '%s'", name, here.text, child.text);
		blob_clear(&in);
	}
}

/* cut where a parser waits for more of a head, a map or a name */
static void t48_broken_archives_that_are_cut_are_told(void **state)
{
	struct blob in;

	(void)state;
	for (unsigned at = 0; archives_at("broken", at, &in); at++) {
		const size_t step = in.len / 20 + 1;

		for (size_t n = 0; n < in.len && n < 65536; n += step) {
			const struct blob cut = {in.data, n};
			struct archives_look l = {.here = true};

			assert_true(may_be_taken(archives_code_of(&cut, &l)));
		}
		blob_clear(&in);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t48_broken_archives_are_told_and_harm_nobody),
		cmocka_unit_test(t48_swinstall_unpack_takes_of_them_what_is_taken_here),
		cmocka_unit_test(t48_broken_archives_that_are_cut_are_told),
	};

	archive_warm_up();
	return cmocka_run_group_tests(tests, archives_load, archives_forget);
}
