/* Descriptions that are encrypted as a whole are named as such; damaged and foreign texts are not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "corelib/base/digest.h"
#include "corelib/base/text.h"
#include "parser/manifest.h"
#include "parser/encrypted_text.h"

static int explain(const void *text, size_t n, enum errcode before, struct err *e)
{
	int rc;

	err_clear(e);
	rc = err_set(e, before, 0, "before");
	return encrypted_text_explain(text, n, rc, e);
}

static void random_bytes_of_each_length_are_taken_for_encrypted(void **state)
{
	uint8_t bytes[512];
	struct err e;

	(void)state;
	for (uint8_t k = 0; k < 16; k++) /* digests are as random as what AES makes */
		assert_int_equal(sha256_once(&k, 1, bytes + k * SHA256_LEN, &e), 0);
	for (size_t n = 32; n <= sizeof(bytes); n += 16) {
		assert_true(explain(bytes, n, E_SIG_BAD, &e) < 0);
		assert_int_equal(e.code, E_DESC_SEALED);
	}
}

static void texts_in_any_language_damaged_or_not_keep_their_own_error(void **state)
{
	static const char *const texts[] = {
		"software = { version = \"1.0\"; };",
		("# \xe5\x8f\x91\xe5\xb8\x83\xe8\xaf\xb4\xe6\x98\x8e\xef\xbc\x9a"
		 "\xe5\x8f\x91\xe5\xb8\x83\xe8\xaf\xb4\xe6\x98\x8e\n"),
		"software = {\r\n\tversion = \"\xff\x01\";\r\n};",
		"{\"software\": {}}",
		"short",
		"",
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_true(explain(texts[i], strlen(texts[i]), E_SIG_BAD, &e) < 0);
		assert_int_equal(e.code, E_SIG_BAD);
	}
}

static void success_and_lack_of_memory_stay_what_they_are(void **state)
{
	uint8_t bytes[64];
	struct err e;

	(void)state;
	memset(bytes, 0x01, sizeof(bytes));
	err_clear(&e);
	assert_int_equal(encrypted_text_explain(bytes, sizeof(bytes), 0, &e), 0);
	assert_false(err_is_set(&e));
	assert_true(explain(bytes, sizeof(bytes), E_MEMORY, &e) < 0);
	assert_int_equal(e.code, E_MEMORY);
}

static void the_reader_of_descriptions_names_it(void **state)
{
	const struct manifest_options o = {.hash_required = true};
	struct manifest *m = NULL;
	uint8_t bytes[SHA256_LEN];
	struct err e;

	(void)state;
	err_clear(&e);
	assert_int_equal(sha256_once("x", 1, bytes, &e), 0);
	assert_true(manifest_parse(&m, bytes, sizeof(bytes), &o, &e) < 0);
	assert_int_equal(e.code, E_DESC_SEALED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_bytes_of_each_length_are_taken_for_encrypted),
		cmocka_unit_test(texts_in_any_language_damaged_or_not_keep_their_own_error),
		cmocka_unit_test(success_and_lack_of_memory_stay_what_they_are),
		cmocka_unit_test(the_reader_of_descriptions_names_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
