/* Signing: what is signed here is accepted here; a key never signs in a way that is not its own. No
 * memory: never a yes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include <openssl/crypto.h>

#include "corelib/sign/sig.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/sig_fixtures.h"

static struct sig_fixtures fx;

/* OpenSSL 3.0 loses a BIO of its own where memory ends inside CMS_verify(); whatever else is lost
 * is ours. To tell them apart the whole stack is wanted */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "fast_unwind_on_malloc=0:malloc_context_size=8";
}

const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:CMS_verify\n";
}

/* ---- an allocator for OpenSSL that fails from the n-th call on ---------------------------- */

static long left = -1; /* -1: never fails */

static bool fails(void)
{
	return left >= 0 && left-- <= 0 ? (left = 0, true) : false;
}

static void *mem_alloc(size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return fails() ? NULL : malloc(n);
}

static void *mem_realloc(void *p, size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return fails() ? NULL : realloc(p, n);
}

static void mem_free(void *p, const char *file, int line)
{
	(void)file, (void)line;
	free(p);
}

/* ------------------------------------------------------------------------------------------ */

struct text {
	char at[8192];
};

static const char *text_of(const char *name, struct text *t)
{
	struct sig_blob b = sig_fixture(&fx, name);

	assert_true(b.n < sizeof(t->at));
	memcpy(t->at, b.at, b.n);
	t->at[b.n] = '\0';
	return t->at;
}

struct task {
	const char *key, *cert, *ring;
	enum sig_scheme scheme, made;
	int64_t time;
};

static int sign(const struct task *t, uint8_t **sig, size_t *n, struct err *e)
{
	struct text key, cert;
	const struct sig_signer s = {.scheme = t->scheme,
				     .key_pem = text_of(t->key, &key),
				     .cert_pem = t->cert ? text_of(t->cert, &cert) : NULL,
				     .time = t->time ? t->time : time(NULL)};

	err_clear(e);
	return sig_sign(&s, "hello", 5, sig, n, e);
}

static int check(const struct task *t, const uint8_t *sig, size_t n, struct err *e)
{
	const struct keyring_options o = {.now = time(NULL), .pinned = t->made};
	struct sig_blob ring = sig_fixture(&fx, t->ring);
	struct sig_info info;
	struct keyring *k;
	int rc;

	err_clear(e);
	rc = keyring_parse(&k, ring.at, ring.n, NULL, 0, &o, e);
	if (rc == 0)
		rc = sig_verify(k, "hello", 5, sig, n, &info, e);
	if (rc == 0)
		assert_int_equal(info.scheme, t->made);
	keyring_free(k);
	return rc;
}

static void sign_makes_what_verify_accepts(void **state)
{
	static const struct task tasks[] = {
		{"rsa.key", NULL, "rsa.pub", SIG_ANY, SIG_RSA_PKCS1, 0},
		{"rsa.key", NULL, "rsa.pub", SIG_RSA_PKCS1, SIG_RSA_PKCS1, 0},
		{"rsa.key", NULL, "rsa.pub", SIG_RSA_PSS, SIG_RSA_PSS, 0},
		{"p256.key", NULL, "p256.pub", SIG_ANY, SIG_ECDSA, 0},
		{"p384.key", NULL, "p384.pub", SIG_ECDSA, SIG_ECDSA, 0},
		{"ed25519.key", NULL, "ed25519.pub", SIG_ANY, SIG_ED25519, 0},
		{"rsa.key", "rsa.pem", "rsa.pem", SIG_ANY, SIG_CMS, 0},
		{"mail.key", "mail.pem", "mail.pem", SIG_CMS, SIG_CMS, 0},
		{"rsa.key", "rsa.pem", "rsa.pub", SIG_RSA_PSS, SIG_RSA_PSS, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tasks); i++) {
		AUTO_FREE uint8_t *sig = NULL;
		struct err e;
		size_t n;

		assert_int_equal(sign(&tasks[i], &sig, &n, &e), 0);
		assert_int_equal(check(&tasks[i], sig, n, &e), 0);
		assert_int_equal(sig_guess(sig, n),
				 tasks[i].made == SIG_RSA_PSS ? SIG_RSA_PKCS1 : tasks[i].made);
	}
}

static void sign_cms_carries_the_chain(void **state)
{
	const struct task t = {"leaf.key", "chain.pem", "root.pem", SIG_ANY, SIG_CMS, 0};
	struct sig_blob leaf = sig_fixture(&fx, "leaf.pem"), i1 = sig_fixture(&fx, "i1.pem");
	AUTO_FREE uint8_t *sig = NULL;
	char path[128];
	struct err e;
	size_t n;
	FILE *f;

	(void)state;
	text_print(path, sizeof(path), "%s/chain.pem", fx.dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fwrite(leaf.at, 1, leaf.n, f);
	fwrite(i1.at, 1, i1.n, f);
	fclose(f);
	assert_int_equal(sign(&t, &sig, &n, &e), 0);
	assert_int_equal(check(&t, sig, n, &e), 0);
}

static void sign_cms_at_a_given_time_repeats(void **state)
{
	const struct task t = {"rsa.key", "rsa.pem", "rsa.pem", SIG_CMS, SIG_CMS, 1700000000};
	const struct task later = {"rsa.key", "rsa.pem", "rsa.pem", SIG_CMS, SIG_CMS, 1700000001};
	uint8_t *sig[3];
	size_t n[3];
	struct err e;

	(void)state;
	assert_int_equal(sign(&t, &sig[0], &n[0], &e), 0);
	assert_int_equal(sign(&t, &sig[1], &n[1], &e), 0);
	assert_int_equal(sign(&later, &sig[2], &n[2], &e), 0);
	assert_int_equal(n[0], n[1]);
	assert_memory_equal(sig[0], sig[1], n[0]);
	assert_int_equal(n[0], n[2]);
	assert_memory_not_equal(sig[0], sig[2], n[0]);
	for (int i = 0; i < 3; i++)
		free(sig[i]);
}

static void sign_refuses_what_does_not_suit(void **state)
{
	static const struct {
		struct task t;
		enum errcode want;
	} rows[] = {
		{{"rsa.key", NULL, NULL, SIG_CMS, 0, 0}, E_KEY_FILE},
		{{"rsa.key", NULL, NULL, SIG_ECDSA, 0, 0}, E_SIG_KEY},
		{{"p256.key", NULL, NULL, SIG_RSA_PSS, 0, 0}, E_SIG_KEY},
		{{"ed25519.key", NULL, NULL, SIG_ECDSA, 0, 0}, E_SIG_KEY},
		{{"rsa1024.key", NULL, NULL, SIG_ANY, 0, 0}, E_SIG_KEY},
		{{"rsae3.key", NULL, NULL, SIG_ANY, 0, 0}, E_SIG_KEY},
		{{"rsab.key", "rsa.pem", NULL, SIG_ANY, 0, 0}, E_KEY_FILE},
		{{"rsa.key", "rsa.pub", NULL, SIG_ANY, 0, 0}, E_KEY_FILE},
		{{"rsa.pub", NULL, NULL, SIG_ANY, 0, 0}, E_KEY_FILE},
		{{"locked.key", NULL, NULL, SIG_ANY, 0, 0}, E_KEY_FILE},
		{{"locked1.key", NULL, NULL, SIG_ANY, 0, 0}, E_KEY_FILE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t *sig;
		struct err e;
		size_t n;

		assert_true(sign(&rows[i].t, &sig, &n, &e) < 0);
		assert_int_equal(e.code, rows[i].want);
		assert_null(sig);
	}
}

/* a key file that is damaged, or a signer that errs: nobody gets a signature that no device takes
 */
static void sign_hands_out_nothing_that_does_not_verify(void **state)
{
	static const struct task tasks[] = {
		{"mixedec.key", NULL, NULL, SIG_ECDSA, 0, 0},
		{"mixedec.key", "mail.pem", NULL, SIG_CMS, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tasks); i++) {
		uint8_t *sig;
		struct err e;
		size_t n;

		assert_true(sign(&tasks[i], &sig, &n, &e) < 0);
		assert_int_equal(e.code, E_SIG_BAD);
		assert_null(sig);
		assert_non_null(strstr(e.why, tasks[i].cert ? "key of the certificate"
							    : "public part of the key"));
		assert_non_null(strstr(err_fix_text(&e), "no bundle was written"));
	}
}

static void sign_by_a_program_that_lies_hands_out_nothing(void **state)
{
	static const struct {
		const char *cert;
		enum sig_scheme scheme;
	} rows[] = {
		{"rsa.pem", SIG_CMS},  {"rsa.pem", SIG_RSA_PKCS1}, {"rsa.pem", SIG_RSA_PSS},
		{"mail.pem", SIG_CMS}, {"mail.pem", SIG_ECDSA},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct text cert;
		const struct sig_signer s = {.scheme = rows[i].scheme,
					     .command = "/bin/echo no signature",
					     .cert_pem = text_of(rows[i].cert, &cert),
					     .time = time(NULL)};
		uint8_t *sig;
		struct err e;
		size_t n;

		err_clear(&e);
		assert_true(sig_sign(&s, "hello", 5, &sig, &n, &e) < 0);
		assert_int_equal(e.code, E_SIG_BAD);
		assert_null(sig);
		assert_non_null(strstr(err_fix_text(&e), "let the signer"));
	}
}

/* ring and signature are checked with memory running out at each allocation: an error or the right
 * answer */
static void sweep_verify(const char *ring, const char *sig_name, const char *data_name, long step)
{
	struct sig_blob sig = sig_fixture(&fx, sig_name), data = sig_fixture(&fx, data_name);
	struct sig_blob pem = sig_fixture(&fx, ring);
	const struct keyring_options o = {.now = time(NULL)};
	bool good = strcmp(data_name, "data") == 0, done = false;
	struct sig_info info;

	for (long n = 0; !done; n += step) {
		struct keyring *k;
		struct err e;
		int rc;

		err_clear(&e);
		left = n;
		rc = keyring_parse(&k, pem.at, pem.n, NULL, 0, &o, &e);
		if (rc == 0)
			rc = sig_verify(k, data.at, data.n, sig.at, sig.n, &info, &e);
		done = left > 0;
		keyring_free(k);
		left = -1;
		assert_int_equal(rc == 0, !err_is_set(&e));
		assert_true(rc < 0 || good);
		assert_true(!done || (rc == 0) == good);
		assert_true(n < 20000);
	}
}

static void sig_without_memory_never_vouches(void **state)
{
	(void)state;
	sweep_verify("rsa.pub", "pssmax.sig", "data", 1);
	sweep_verify("rsa.pub", "pss33.sig", "other", 5);
	sweep_verify("rsa.pub", "pss31.sig", "other", 7);
	sweep_verify("p256.pub", "ecdsa.sig", "data", 1);
	sweep_verify("ed25519.pub", "ed25519.sig", "data", 1);
	sweep_verify("root.pem", "leaf.cms", "data", 17);
	sweep_verify("root.pem", "leaf.cms", "other", 19);
}

static void sign_without_memory_is_an_error(void **state)
{
	static const struct task tasks[] = {
		{"rsa.key", NULL, "rsa.pub", SIG_RSA_PSS, SIG_RSA_PSS, 0},
		{"mail.key", "mail.pem", "mail.pem", SIG_CMS, SIG_CMS, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tasks); i++) {
		bool done = false;

		for (long n = 0; !done; n += 23) {
			AUTO_FREE uint8_t *sig = NULL;
			struct err e;
			size_t len = 0;
			int rc;

			left = n;
			rc = sign(&tasks[i], &sig, &len, &e);
			done = left > 0;
			left = -1;
			assert_int_equal(rc == 0, sig != NULL);
			assert_int_equal(rc == 0, !err_is_set(&e));
			if (rc == 0)
				assert_int_equal(check(&tasks[i], sig, len, &e), 0);
		}
	}
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
		cmocka_unit_test(sign_makes_what_verify_accepts),
		cmocka_unit_test(sign_cms_carries_the_chain),
		cmocka_unit_test(sign_cms_at_a_given_time_repeats),
		cmocka_unit_test(sign_refuses_what_does_not_suit),
		cmocka_unit_test(sign_hands_out_nothing_that_does_not_verify),
		cmocka_unit_test(sign_by_a_program_that_lies_hands_out_nothing),
		cmocka_unit_test(sig_without_memory_never_vouches),
		cmocka_unit_test(sign_without_memory_is_an_error),
	};
	if (CRYPTO_set_mem_functions(mem_alloc, mem_realloc, mem_free) != 1)
		return 1;
	return cmocka_run_group_tests(tests, make, clean);
}
