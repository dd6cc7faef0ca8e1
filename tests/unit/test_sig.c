/* Signatures: what the openssl program signs is accepted by its own key only; all else is refused
 * for its reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "corelib/sign/sig.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/sig_fixtures.h"

#define DAY 86400

static struct sig_fixtures fx;
static struct sig_info info; /* of the last verdict() */

struct question {
	const char *key, *sig, *data; /* names of fixtures; data NULL = "data" */
	const char *crl;
	struct keyring_options o;
};

static int ask(const struct question *q, const struct sig_blob *sig, struct err *e)
{
	struct sig_blob key = sig_fixture(&fx, q->key),
			data = sig_fixture(&fx, q->data ? q->data : "data");
	struct sig_blob crl = {0};
	struct keyring_options o = q->o;
	struct keyring *k;
	int rc;

	memset(&info, 0, sizeof(info));
	if (!o.now)
		o.now = time(NULL);
	if (q->crl)
		crl = sig_fixture(&fx, q->crl);
	rc = keyring_parse(&k, key.at, key.n, q->crl ? crl.at : NULL, crl.n, &o, e);
	if (rc == 0)
		rc = sig_verify(k, data.at, data.n, sig->at, sig->n, &info, e);
	keyring_free(k);
	return rc;
}

/* E_NONE when accepted */
static enum errcode verdict(const struct question *q)
{
	struct sig_blob sig = sig_fixture(&fx, q->sig);
	struct err e;
	int rc;

	err_clear(&e);
	rc = ask(q, &sig, &e);
	assert_int_equal(rc == 0, !err_is_set(&e));
	if (rc < 0) {
		assert_true(e.why[0] != '\0');
		assert_int_equal(info.signer[0], 0);
	}
	return e.code;
}

#define assert_code(want, ...)                                                                     \
	assert_string_equal(err_info(verdict(&(struct question){__VA_ARGS__}))->name,              \
			    err_info(want)->name)
#define accepts(...) assert_int_equal(verdict(&(struct question){__VA_ARGS__}), E_NONE)

/* ---- bare keys -------------------------------------------------------------------------- */

static void sig_of_each_kind_is_accepted_by_its_key(void **state)
{
	static const struct {
		const char *key, *sig;
		enum sig_scheme scheme;
	} rows[] = {
		{"rsa.pub", "rsa.sig", SIG_RSA_PKCS1},
		{"rsa.rsapub", "rsa.sig", SIG_RSA_PKCS1},
		{"rsa.pub", "pss32.sig", SIG_RSA_PSS},
		{"p256.pub", "ecdsa.sig", SIG_ECDSA},
		{"p384.pub", "ecdsa384.sig", SIG_ECDSA},
		{"ed25519.pub", "ed25519.sig", SIG_ED25519},
		{"mail.pem", "mail.cms", SIG_CMS},
		{"rsa.pem", "rsa.cms", SIG_CMS},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		accepts(.key = rows[i].key, .sig = rows[i].sig);
		assert_int_equal(info.scheme, rows[i].scheme);
		assert_true(info.signer[0] != '\0');
	}
}

static void sig_over_other_bytes_is_bad(void **state)
{
	static const char *const rows[][2] = {
		{"rsa.pub", "rsa.sig"},	  {"rsa.pub", "pss32.sig"},	  {"p256.pub", "ecdsa.sig"},
		{"mail.pem", "mail.cms"}, {"ed25519.pub", "ed25519.sig"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_code(E_SIG_BAD, .key = rows[i][0], .sig = rows[i][1], .data = "other");
	assert_code(E_SIG_BAD, .key = "mail.pem", .sig = "othercontent.cms");
}

static void sig_by_another_key_is_bad(void **state)
{
	(void)state;
	assert_code(E_SIG_BAD, .key = "rsab.pub", .sig = "rsa.sig");
	assert_code(E_SIG_BAD, .key = "p384.pub", .sig = "ecdsa.sig");
}

static void sig_one_of_several_keys_is_enough(void **state)
{
	(void)state;
	accepts(.key = "two.pub", .sig = "rsa.sig");
	accepts(.key = "twoec.pub", .sig = "ecdsa.sig");
	accepts(.key = "twoec.pub", .sig = "ecdsa384.sig");
	assert_code(E_SIG_BAD, .key = "two.pub", .sig = "ecdsa.sig");
}

static void t7_only_the_diagonal_of_keys_and_signatures_accepts(void **state)
{
	static const struct {
		const char *key, *sig;
		enum sig_scheme scheme;
	} rows[] = {
		{"rsa.pub", "rsa.sig", SIG_RSA_PKCS1}, {"rsa.pub", "pss32.sig", SIG_RSA_PSS},
		{"p256.pub", "ecdsa.sig", SIG_ECDSA},  {"ed25519.pub", "ed25519.sig", SIG_ED25519},
		{"rsa.pem", "rsa.cms", SIG_CMS},
	};

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(rows); k++) {
		for (size_t s = 0; s < ARRAY_SIZE(rows); s++) {
			enum errcode c = verdict(&(struct question){.key = rows[k].key,
								    .sig = rows[s].sig,
								    .o.pinned = rows[k].scheme});

			if (k == s)
				assert_int_equal(c, E_NONE);
			else
				assert_true(c == E_SIG_FORMAT || c == E_SIG_BAD);
		}
	}
}

static void t7_a_method_that_the_key_cannot_have_is_refused_with_the_key(void **state)
{
	(void)state;
	assert_code(E_KEY_FILE, .key = "rsa.pub", .sig = "rsa.sig", .o.pinned = SIG_CMS);
	assert_code(E_KEY_FILE, .key = "p256.pub", .sig = "ecdsa.sig", .o.pinned = SIG_ED25519);
	assert_code(E_KEY_FILE, .key = "rsa.pem", .sig = "rsa.cms", .o.pinned = SIG_RSA_PKCS1);
}

static void t8_pss_takes_any_salt_from_32_bytes_on(void **state)
{
	(void)state;
	accepts(.key = "rsa.pub", .sig = "pss32.sig");
	accepts(.key = "rsa.pub", .sig = "pss33.sig");
	accepts(.key = "rsa.pub", .sig = "pssmax.sig");
	assert_code(E_SIG_FORMAT, .key = "rsa.pub", .sig = "pss0.sig");
	assert_code(E_SIG_FORMAT, .key = "rsa.pub", .sig = "pss20.sig");
	assert_code(E_SIG_FORMAT, .key = "rsa.pub", .sig = "pss31.sig");
}

static void t8_other_digests_are_refused(void **state)
{
	(void)state;
	assert_code(E_SIG_BAD, .key = "rsa.pub", .sig = "pssmgf1.sig");
	assert_code(E_SIG_BAD, .key = "rsa.pub", .sig = "pss512.sig");
	assert_code(E_SIG_BAD, .key = "rsa.pub", .sig = "rsasha1.sig");
	assert_code(E_SIG_BAD, .key = "rsa.pub", .sig = "rsasha512.sig");
	assert_code(E_SIG_BAD, .key = "p384.pub", .sig = "ecdsa384sha256.sig");
}

static void t6_an_empty_signature_is_missing(void **state)
{
	struct sig_blob none = {.n = 0};
	struct err e;

	(void)state;
	err_clear(&e);
	assert_true(ask(&(struct question){.key = "rsa.pub"}, &none, &e) < 0);
	assert_int_equal(e.code, E_SIG_MISSING);
}

static void refuse_altered(const char *key, const char *sig, size_t step)
{
	struct sig_blob b = sig_fixture(&fx, sig);
	struct err e;

	for (size_t i = 0; i < 8 * b.n; i += step) {
		b.at[i / 8] ^= (uint8_t)(1u << (i % 8));
		err_clear(&e);
		assert_true(ask(&(struct question){.key = key}, &b, &e) < 0);
		assert_true(e.code == E_SIG_BAD || e.code == E_SIG_FORMAT);
		b.at[i / 8] ^= (uint8_t)(1u << (i % 8));
	}
}

static void sig_with_any_bit_flipped_is_refused(void **state)
{
	(void)state;
	refuse_altered("p256.pub", "ecdsa.sig", 1);
	refuse_altered("ed25519.pub", "ed25519.sig", 1);
	refuse_altered("rsa.pub", "rsa.sig", 5);
	refuse_altered("rsa.pub", "pss32.sig", 11);
}

static void sig_cut_anywhere_or_with_bytes_behind_is_refused(void **state)
{
	static const char *const rows[][2] = {
		{"rsa.pub", "rsa.sig"},
		{"p256.pub", "ecdsa.sig"},
		{"ed25519.pub", "ed25519.sig"},
		{"mail.pem", "mail.cms"},
	};
	struct err e;

	(void)state;
	for (size_t r = 0; r < ARRAY_SIZE(rows); r++) {
		struct sig_blob b = sig_fixture(&fx, rows[r][1]);
		size_t whole = b.n;

		for (b.n = 1; b.n <= whole + 2; b.n++) {
			err_clear(&e);
			if (b.n == whole)
				continue;
			assert_true(ask(&(struct question){.key = rows[r][0]}, &b, &e) < 0);
			assert_int_equal(e.code, E_SIG_FORMAT);
		}
	}
}

/* a changed CMS may still be good where the change is not covered (a version number); it must not
 * crash */
static void cms_with_any_byte_changed_vouches_for_nothing_else(void **state)
{
	struct sig_blob b = sig_fixture(&fx, "leaf.cms");
	struct err e;

	(void)state;
	for (size_t i = 0; i < b.n; i++) {
		b.at[i] ^= 0xff;
		err_clear(&e);
		assert_true(ask(&(struct question){.key = "root.pem", .data = "other"}, &b, &e) <
			    0);
		b.at[i] ^= 0xff;
	}
}

/* ---- CMS -------------------------------------------------------------------------------- */

static void t11_cms_must_be_detached_with_signed_attributes(void **state)
{
	(void)state;
	assert_code(E_SIG_FORMAT, .key = "mail.pem", .sig = "noattr.cms");
	assert_code(E_SIG_FORMAT, .key = "mail.pem", .sig = "embedded.cms");
	assert_code(E_SIG_FORMAT, .key = "mail.pem", .sig = "typed.cms");
	assert_code(E_SIG_FORMAT, .key = "mail.pem", .sig = "encrypted.cms");
	assert_code(E_SIG_FORMAT, .key = "mail.pem", .sig = "pem.cms");
}

/* the outer type is changed to plain data afterwards; the signed one still says what was signed */
static void t11_the_signed_content_type_counts(void **state)
{
	static const uint8_t digested[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x05};
	struct sig_blob b = sig_fixture(&fx, "digested.cms");
	uint8_t *outer = memmem(b.at, b.n, digested, sizeof(digested));
	struct err e;

	(void)state;
	err_clear(&e);
	assert_non_null(outer);
	outer[sizeof(digested) - 1] = 1;
	assert_true(ask(&(struct question){.key = "mail.pem"}, &b, &e) < 0);
	assert_int_equal(e.code, E_SIG_FORMAT);
	assert_non_null(strstr(e.why, "content type"));
}

static void t8_cms_digests_and_salts_have_a_floor(void **state)
{
	(void)state;
	assert_code(E_SIG_FORMAT, .key = "mail.pem", .sig = "sha1.cms");
	accepts(.key = "mail.pem", .sig = "sha512.cms");
	assert_code(E_SIG_FORMAT, .key = "rsa.pem", .sig = "pss20.cms");
	accepts(.key = "rsa.pem", .sig = "pss32.cms");
}

static void cms_signer_may_be_known_to_the_device_only(void **state)
{
	(void)state;
	accepts(.key = "mail.pem", .sig = "nocerts.cms");
	accepts(.key = "anchors.pem", .sig = "mail.cms");
	assert_code(E_CERT_CHAIN, .key = "root.pem", .sig = "nocerts.cms");
}

static void cms_chain_leads_to_an_anchor(void **state)
{
	(void)state;
	accepts(.key = "root.pem", .sig = "leaf.cms");
	assert_string_equal(info.signer, "CN=leaf");
	accepts(.key = "i1.pem", .sig = "leaf.cms");
	accepts(.key = "i1.pem", .sig = "alone.cms");
	accepts(.key = "leaf.pem", .sig = "alone.cms");
	assert_code(E_CERT_CHAIN, .key = "root.pem", .sig = "alone.cms");
	assert_code(E_CERT_CHAIN, .key = "mail.pem", .sig = "leaf.cms");
	assert_code(E_CERT_CHAIN, .key = "root.pem", .sig = "mail.cms");
}

static void t12_every_signer_must_pass(void **state)
{
	(void)state;
	accepts(.key = "mail.pem", .sig = "mail.cms");
	/* whichever of the two signers stands first, the other one spoils it */
	assert_code(E_CERT_CHAIN, .key = "mail.pem", .sig = "twice.cms");
	assert_code(E_CERT_CHAIN, .key = "release.pem", .sig = "twice.cms");
	assert_code(E_CERT_CHAIN, .key = "root.pem", .sig = "guestfirst.cms");
	for (int i = 0; i < 2; i++) {
		enum errcode c =
			verdict(&(struct question){.key = "root.pem",
						   .sig = i ? "guestfirst.cms" : "guestlast.cms",
						   .o.signer_name = "release"});

		assert_true(c == E_CERT_CHAIN || c == E_CERT_NAME);
	}
}

static void t12_a_certificate_of_the_same_name_and_number_does_not_stand_in(void **state)
{
	(void)state;
	accepts(.key = "guestself.pem", .sig = "impostor.cms", .o.signer_name = "release");
	assert_code(E_CERT_CHAIN, .key = "release.pem", .sig = "impostor.cms");
	assert_code(E_CERT_CHAIN, .key = "release.pem", .sig = "impostor.cms",
		    .o.signer_name = "release");
}

static void t12_the_demanded_name_is_that_of_the_signer(void **state)
{
	(void)state;
	accepts(.key = "root.pem", .sig = "leaf.cms", .o.signer_name = "leaf");
	assert_code(E_CERT_NAME, .key = "root.pem", .sig = "leaf.cms", .o.signer_name = "lea");
	assert_code(E_CERT_NAME, .key = "root.pem", .sig = "leaf.cms", .o.signer_name = "root");
	assert_code(E_CERT_NAME, .key = "root.pem", .sig = "leaf.cms", .o.signer_name = "");
	assert_code(E_KEY_FILE, .key = "rsa.pub", .sig = "rsa.sig", .o.signer_name = "leaf");
}

static void t13_a_certificate_for_another_purpose_signs_nothing(void **state)
{
	static const struct {
		const char *cert, *purpose;
		enum errcode want;
	} rows[] = {
		{"mail", NULL, E_NONE},		  {"mail", "emailProtection", E_NONE},
		{"mail", "any", E_NONE},	  {"mail", "codeSigning", E_CERT_PURPOSE},
		{"code", NULL, E_CERT_PURPOSE},	  {"code", "codeSigning", E_NONE},
		{"both", NULL, E_NONE},		  {"both", "codeSigning", E_NONE},
		{"tls", NULL, E_CERT_PURPOSE},	  {"tls", "codeSigning", E_CERT_PURPOSE},
		{"tls", "any", E_NONE},		  {"plain", NULL, E_NONE},
		{"crypt", NULL, E_CERT_PURPOSE},  {"crypt", "any", E_CERT_PURPOSE},
		{"mail", "serverAuth", E_CONFIG},
	};
	char key[32], sig[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		text_print(key, sizeof(key), "%s.pem", rows[i].cert);
		text_print(sig, sizeof(sig), "%s.cms", rows[i].cert);
		assert_code(rows[i].want, .key = key, .sig = sig, .o.purpose = rows[i].purpose);
	}
	assert_code(E_CERT_PURPOSE, .key = "root.pem", .sig = "www.cms");
}

static void t14_certificate_time_is_the_time_given(void **state)
{
	int64_t now = time(NULL);

	(void)state;
	accepts(.key = "root.pem", .sig = "leaf.cms", .o.now = now + 29 * DAY);
	assert_code(E_CERT_TIME, .key = "root.pem", .sig = "leaf.cms", .o.now = now + 31 * DAY);
	assert_code(E_CERT_TIME, .key = "root.pem", .sig = "leaf.cms", .o.now = 1);
	assert_code(E_CERT_TIME, .key = "mail.pem", .sig = "mail.cms", .o.now = now - DAY);
	assert_code(E_CERT_TIME, .key = "mail.pem", .sig = "mail.cms",
		    .o.now = 2556143999); /* 2050 */
}

static void cms_unknown_critical_extension_is_refused(void **state)
{
	(void)state;
	assert_code(E_CERT_CHAIN, .key = "odd.pem", .sig = "odd.cms");
}

static void cms_revoked_certificates_are_refused(void **state)
{
	(void)state;
	accepts(.key = "root.pem", .sig = "leaf.cms", .crl = "i1.crl");
	accepts(.key = "root.pem", .sig = "leaf.cms", .crl = "i1.der");
	accepts(.key = "root.pem", .sig = "leaf.cms", .crl = "fine.crl");
	assert_code(E_CERT_REVOKED, .key = "root.pem", .sig = "leaf2.cms", .crl = "i1.crl");
	assert_code(E_CERT_REVOKED, .key = "root.pem", .sig = "leaf2.cms", .crl = "i1.der");
	assert_code(E_CERT_REVOKED, .key = "root.pem", .sig = "leaf.cms", .crl = "both.crl");
	/* a list that says nothing of the signer's issuer does not clear the signer */
	assert_code(E_CERT_CHAIN, .key = "root.pem", .sig = "leaf.cms", .crl = "rootgood.crl");
	assert_code(E_CERT_TIME, .key = "root.pem", .sig = "leaf.cms", .crl = "i1.crl",
		    .o.now = time(NULL) + 30 * DAY + DAY / 2);
	assert_code(E_KEY_FILE, .key = "root.pem", .sig = "leaf.cms", .crl = "data");
	assert_code(E_KEY_FILE, .key = "root.pem", .sig = "leaf.cms", .crl = "root.pem");
}

static void t18_chains_and_certificates_have_a_limit(void **state)
{
	(void)state;
	accepts(.key = "root.pem", .sig = "fits.cms");
	assert_code(E_SIG_LIMIT, .key = "root.pem", .sig = "long.cms");
	assert_code(E_SIG_LIMIT, .key = "mail.pem", .sig = "many.cms");
}

static void t18_weak_certificate_keys_are_refused(void **state)
{
	(void)state;
	assert_code(E_SIG_KEY, .key = "rsa1024.pem", .sig = "rsa1024.cms");
	assert_code(E_SIG_KEY, .key = "p521.pem", .sig = "p521.cms");
}

static void t18_large_and_deep_signatures_end_at_once(void **state)
{
	struct sig_blob key = sig_fixture(&fx, "mail.pem");
	struct keyring_options o = {.now = time(NULL)};
	uint8_t *deep = malloc(SIG_MAX + 1);
	struct keyring *k;
	struct err e;

	(void)state;
	err_clear(&e);
	assert_non_null(deep);
	for (size_t i = 0; i <= SIG_MAX; i++)
		deep[i] = i % 2 ? 0x80 : 0x30;
	assert_int_equal(keyring_parse(&k, key.at, key.n, NULL, 0, &o, &e), 0);
	assert_true(sig_verify(k, "x", 1, deep, SIG_MAX, &info, &e) < 0);
	assert_int_equal(e.code, E_SIG_FORMAT);
	err_clear(&e);
	assert_true(sig_verify(k, "x", 1, deep, SIG_MAX + 1, &info, &e) < 0);
	assert_int_equal(e.code, E_SIG_LIMIT);
	keyring_free(k);
	free(deep);
}

static void sig_guess_tells_what_a_blob_looks_like(void **state)
{
	static const struct {
		const char *name;
		enum sig_scheme want;
	} rows[] = {{"rsa.sig", SIG_RSA_PKCS1},	 {"ecdsa.sig", SIG_ECDSA},
		    {"ecdsa384.sig", SIG_ECDSA}, {"ed25519.sig", SIG_ED25519},
		    {"leaf.cms", SIG_CMS},	 {"data", SIG_ANY}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sig_blob b = sig_fixture(&fx, rows[i].name);

		assert_int_equal(sig_guess(b.at, b.n), rows[i].want);
	}
	assert_int_equal(sig_guess("", 0), SIG_ANY);
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
		cmocka_unit_test(sig_of_each_kind_is_accepted_by_its_key),
		cmocka_unit_test(sig_over_other_bytes_is_bad),
		cmocka_unit_test(sig_by_another_key_is_bad),
		cmocka_unit_test(sig_one_of_several_keys_is_enough),
		cmocka_unit_test(t7_only_the_diagonal_of_keys_and_signatures_accepts),
		cmocka_unit_test(t7_a_method_that_the_key_cannot_have_is_refused_with_the_key),
		cmocka_unit_test(t8_pss_takes_any_salt_from_32_bytes_on),
		cmocka_unit_test(t8_other_digests_are_refused),
		cmocka_unit_test(t6_an_empty_signature_is_missing),
		cmocka_unit_test(sig_with_any_bit_flipped_is_refused),
		cmocka_unit_test(sig_cut_anywhere_or_with_bytes_behind_is_refused),
		cmocka_unit_test(cms_with_any_byte_changed_vouches_for_nothing_else),
		cmocka_unit_test(t11_cms_must_be_detached_with_signed_attributes),
		cmocka_unit_test(t11_the_signed_content_type_counts),
		cmocka_unit_test(t8_cms_digests_and_salts_have_a_floor),
		cmocka_unit_test(cms_signer_may_be_known_to_the_device_only),
		cmocka_unit_test(cms_chain_leads_to_an_anchor),
		cmocka_unit_test(t12_every_signer_must_pass),
		cmocka_unit_test(t12_a_certificate_of_the_same_name_and_number_does_not_stand_in),
		cmocka_unit_test(t12_the_demanded_name_is_that_of_the_signer),
		cmocka_unit_test(t13_a_certificate_for_another_purpose_signs_nothing),
		cmocka_unit_test(t14_certificate_time_is_the_time_given),
		cmocka_unit_test(cms_unknown_critical_extension_is_refused),
		cmocka_unit_test(cms_revoked_certificates_are_refused),
		cmocka_unit_test(t18_chains_and_certificates_have_a_limit),
		cmocka_unit_test(t18_weak_certificate_keys_are_refused),
		cmocka_unit_test(t18_large_and_deep_signatures_end_at_once),
		cmocka_unit_test(sig_guess_tells_what_a_blob_looks_like),
	};
	return cmocka_run_group_tests(tests, make, clean);
}
