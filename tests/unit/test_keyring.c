/* Key files: what may be in them, and who may have written them (T17). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "corelib/sign/sig.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/sig_fixtures.h"

static struct sig_fixtures fx;

static enum errcode parse(const void *pem, size_t n)
{
	const struct keyring_options o = {.now = time(NULL)};
	struct keyring *k;
	struct err e;
	int rc;

	err_clear(&e);
	rc = keyring_parse(&k, pem, n, NULL, 0, &o, &e);
	assert_int_equal(rc == 0, !err_is_set(&e));
	assert_int_equal(rc == 0, k != NULL);
	keyring_free(k);
	return e.code;
}

static enum errcode parse_fixture(const char *name)
{
	struct sig_blob b = sig_fixture(&fx, name);

	return parse(b.at, b.n);
}

static enum errcode open_file(const char *path, const char *crl, struct err *e)
{
	const struct keyring_options o = {.now = time(NULL), .crl_file = crl};
	struct keyring *k;

	err_clear(e);
	keyring_open(&k, path, &o, e);
	keyring_free(k);
	return e->code;
}

static const char *path_of(const char *name)
{
	static char path[2][256];
	static int turn;

	turn = !turn;
	text_print(path[turn], sizeof(path[turn]), "%s/%s", fx.dir, name);
	return path[turn];
}

static void keyring_takes_one_or_several_keys_of_one_kind(void **state)
{
	static const char *const good[] = {"rsa.pub",  "rsa.rsapub",  "p256.pub",  "p384.pub",
					   "two.pub",  "ed25519.pub", "twoec.pub", "mail.pem",
					   "root.pem", "anchors.pem"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(parse_fixture(good[i]), E_NONE);
	assert_int_equal(parse_fixture("mixed.pub"), E_KEY_FILE);
}

static void t8_weak_or_unknown_keys_are_refused(void **state)
{
	static const char *const bad[] = {"rsa1024.pub", "rsae3.pub", "p521.pub", "k1.pub",
					  "ed448.pub"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(parse_fixture(bad[i]), E_SIG_KEY);
}

static void keyring_refuses_what_is_no_public_key(void **state)
{
	static const char *const bad[] = {"rsa.key",  "data",	"rsa.sig",
					  "mail.cms", "i1.crl", "i1.der"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(parse_fixture(bad[i]), E_KEY_FILE);
	assert_int_equal(parse("", 0), E_KEY_FILE);
	assert_int_equal(parse("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n", 53),
			 E_KEY_FILE);
}

static void keyring_mixed_keys_and_certificates_are_refused(void **state)
{
	struct sig_blob a = sig_fixture(&fx, "mail.pem"), b = sig_fixture(&fx, "rsa.pub");

	(void)state;
	memcpy(a.at + a.n, b.at, b.n);
	assert_int_equal(parse(a.at, a.n + b.n), E_KEY_FILE);
}

static void keyring_cut_at_any_byte_is_refused_or_holds_whole_keys(void **state)
{
	struct sig_blob b = sig_fixture(&fx, "rsa.pub");

	(void)state;
	for (size_t n = 0; n + 1 < b.n; n++)
		if (b.at[n] != '\n') /* the last line end may be missing */
			assert_int_equal(parse(b.at, n), E_KEY_FILE);
	b = sig_fixture(&fx, "anchors.pem");
	for (size_t n = b.n - 40; n + 1 < b.n; n++)
		assert_int_equal(parse(b.at, n), E_KEY_FILE);
}

static void keyring_text_around_blocks_is_skipped(void **state)
{
	struct sig_blob b = sig_fixture(&fx, "mail.pem");
	char text[4096];

	(void)state;
	text_print(text, sizeof(text), "Certificate of the build machine\n%.*s\nend\n", (int)b.n,
		   b.at);
	assert_int_equal(parse(text, strlen(text)), E_NONE);
}

static void keyring_has_a_size_limit(void **state)
{
	size_t n = 1024 * 1024 + 1;
	char *big = calloc(1, n);

	(void)state;
	assert_non_null(big);
	assert_int_equal(parse(big, n), E_KEY_FILE);
	free(big);
}

static void keyring_opens_a_safe_file_and_names_a_missing_one(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(open_file(path_of("rsa.pub"), NULL, &e), E_NONE);
	assert_int_equal(open_file(path_of("root.pem"), path_of("i1.crl"), &e), E_NONE);
	assert_int_equal(open_file(path_of("no.pem"), NULL, &e), E_KEY_FILE);
	assert_non_null(strstr(e.where, "no.pem"));
	assert_non_null(strstr(e.why, "No such file"));
	assert_int_equal(open_file(path_of("root.pem"), path_of("no.crl"), &e), E_KEY_FILE);
	assert_non_null(strstr(e.where, "no.crl"));
	assert_int_equal(open_file(fx.dir, NULL, &e), E_KEY_FILE);
	assert_int_equal(open_file("/dev/null", NULL, &e), E_KEY_FILE);
}

static void t17_a_file_that_others_can_write_is_refused(void **state)
{
	static const mode_t bad[] = {0666, 0664, 0602};
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(chmod(path_of("rsa.pub"), bad[i]), 0);
		assert_int_equal(open_file(path_of("rsa.pub"), NULL, &e), E_KEY_FILE);
		assert_int_equal(chmod(path_of("i1.crl"), bad[i]), 0);
		assert_int_equal(open_file(path_of("root.pem"), path_of("i1.crl"), &e), E_KEY_FILE);
	}
	assert_int_equal(chmod(path_of("rsa.pub"), 0644), 0);
	assert_int_equal(chmod(path_of("i1.crl"), 0644), 0);
	assert_int_equal(open_file(path_of("rsa.pub"), NULL, &e), E_NONE);
}

static void t17_a_folder_that_others_can_write_is_refused(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(chmod(fx.dir, 0777), 0);
	assert_int_equal(open_file(path_of("rsa.pub"), NULL, &e), E_KEY_FILE);
	assert_int_equal(chmod(fx.dir, 0700), 0);
	assert_int_equal(open_file(path_of("rsa.pub"), NULL, &e), E_NONE);
}

static void t17_links_and_owners_count(void **state)
{
	struct err e;

	(void)state;
	if (geteuid() != 0) {
		printf("SKIP: other owners can be tested by root only\n");
		skip();
	}
	assert_int_equal(symlink("rsa.pub", path_of("link.pub")), 0);
	assert_int_equal(open_file(path_of("link.pub"), NULL, &e), E_NONE);
	assert_int_equal(lchown(path_of("link.pub"), 65534, 65534), 0);
	assert_int_equal(open_file(path_of("link.pub"), NULL, &e), E_KEY_FILE);
	assert_int_equal(chown(path_of("two.pub"), 65534, 65534), 0);
	assert_int_equal(open_file(path_of("two.pub"), NULL, &e), E_KEY_FILE);
	assert_non_null(strstr(e.where, "two.pub"));
}

static int make(void **state)
{
	(void)state;
	return sig_fixtures_make(&fx);
}

static int clean(void **state)
{
	(void)state;
	sig_fixtures_remove(&fx);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keyring_takes_one_or_several_keys_of_one_kind),
		cmocka_unit_test(t8_weak_or_unknown_keys_are_refused),
		cmocka_unit_test(keyring_refuses_what_is_no_public_key),
		cmocka_unit_test(keyring_mixed_keys_and_certificates_are_refused),
		cmocka_unit_test(keyring_cut_at_any_byte_is_refused_or_holds_whole_keys),
		cmocka_unit_test(keyring_text_around_blocks_is_skipped),
		cmocka_unit_test(keyring_has_a_size_limit),
		cmocka_unit_test(keyring_opens_a_safe_file_and_names_a_missing_one),
		cmocka_unit_test(t17_a_file_that_others_can_write_is_refused),
		cmocka_unit_test(t17_a_folder_that_others_can_write_is_refused),
		cmocka_unit_test(t17_links_and_owners_count),
	};
	return cmocka_run_group_tests(tests, make, clean);
}
