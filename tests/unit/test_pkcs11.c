/* pkcs11: URIs that name nothing are refused, and a PIN is in no message. Real tokens:
 * tests/e2e/25. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "corelib/sign/pkcs11.h"
#include "corelib/sign/sig.h"
#include "corelib/base/text.h"

static void only_the_scheme_makes_a_uri(void **state)
{
	(void)state;
	assert_true(pkcs11_is_uri("pkcs11:token=a"));
	assert_true(pkcs11_is_uri("PKCS11:token=a"));
	assert_false(pkcs11_is_uri("keys/pkcs11:a"));
	assert_false(pkcs11_is_uri("pkcs11.pem"));
	assert_false(pkcs11_is_uri(""));
}

static void the_name_of_a_uri_has_no_pin(void **state)
{
	char name[64], big[256];

	(void)state;
	pkcs11_name("pkcs11:token=a;object=b?pin-value=1234&module-path=/x", name, sizeof(name));
	assert_string_equal(name, "pkcs11:token=a;object=b");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	pkcs11_name(big, name, sizeof(name));
	assert_string_equal(name, "a pkcs11: URI");
}

static void a_uri_that_is_none_or_fits_nothing_is_e_token_and_tells_no_pin(void **state)
{
	static const char *const bad[] = {
		"pkcs11:token=%zz?pin-value=4711",
		"pkcs11:tokn=a?pin-value=4711",
		"pkcs11:token=a?pin-value=4711&module-path=/no/such/module.so",
		"pkcs11",
		"",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct pkcs11_key *k = (void *)&bad;
		struct err e;

		err_clear(&e);
		assert_true(pkcs11_open(&k, bad[i], &e) < 0);
		assert_null(k);
		assert_int_equal(e.code, E_TOKEN);
		assert_null(strstr(e.why, "4711"));
		assert_null(strstr(e.where, "4711"));
	}
	pkcs11_close(NULL);
}

static void signing_by_a_token_needs_what_signing_by_a_program_needs(void **state)
{
	struct sig_signer s = {.scheme = SIG_CMS, .token = "pkcs11:token=x"};
	uint8_t *sig = NULL;
	size_t n = 0;
	struct err e;

	(void)state;
	err_clear(&e);
	assert_true(sig_sign(&s, "a", 1, &sig, &n, &e) < 0);
	assert_int_equal(e.code, E_KEY_FILE);
	err_clear(&e);
	s.scheme = SIG_ED25519;
	assert_true(sig_sign(&s, "a", 1, &sig, &n, &e) < 0);
	assert_int_equal(e.code, E_SIG_KEY);
	assert_null(sig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_scheme_makes_a_uri),
		cmocka_unit_test(the_name_of_a_uri_has_no_pin),
		cmocka_unit_test(a_uri_that_is_none_or_fits_nothing_is_e_token_and_tells_no_pin),
		cmocka_unit_test(signing_by_a_token_needs_what_signing_by_a_program_needs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
