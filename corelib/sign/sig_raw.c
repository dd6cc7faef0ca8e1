/* Signatures by a bare key: RSA PKCS#1 v1.5 and PSS, ECDSA, Ed25519. */
#include "corelib/sign/keyring.h"

#include <errno.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/rsa.h>

#include "corelib/base/digest.h"
#include "corelib/base/text.h"

#define SALT_MIN 32 /* of PSS: the length of the digest (T8) */

struct attempt {
	EVP_PKEY *key;
	enum key_kind kind;
	const struct sig_input *in;
	int padding; /* of RSA */
	int salt;    /* of PSS */
};

static int set_padding(EVP_PKEY_CTX *p, const struct attempt *a)
{
	if (a->kind != KEY_RSA)
		return 1;
	if (EVP_PKEY_CTX_set_rsa_padding(p, a->padding) <= 0)
		return 0;
	if (a->padding != RSA_PKCS1_PSS_PADDING)
		return 1;
	return EVP_PKEY_CTX_set_rsa_pss_saltlen(p, a->salt) > 0 &&
	       EVP_PKEY_CTX_set_rsa_mgf1_md(p, EVP_sha256()) > 0;
}

/* 1 matches, 0 does not, -errno with *e only when it could not be tried */
static int try_key(const struct attempt *a, struct err *e)
{
	AUTO(EVP_MD_CTX_free) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *p = NULL; /* belongs to ctx */
	struct err ignored;
	int rc;

	if (!ctx || EVP_DigestVerifyInit(ctx, &p, key_digest(a->kind), NULL, a->key) <= 0 ||
	    !set_padding(p, a))
		return sig_openssl_err(e, E_SIG_KEY, "the key cannot be used to check a signature");
	rc = EVP_DigestVerify(ctx, a->in->sig, a->in->sig_len, a->in->data, a->in->n);
	if (rc == 1)
		return 1;
	err_clear(&ignored);
	sig_openssl_err(&ignored, E_SIG_BAD, "signature check");
	if (ignored.code == E_MEMORY)
		return err_set(e, E_MEMORY, ENOMEM, "signature check: no memory");
	return 0;
}

/*
 * OpenSSL accepts any salt when told to find its length out, and does not tell which it was. So the
 * two that signers use are tried first; for another one each length that is too short is tried by
 * itself.
 */
static int try_pss(struct attempt *a, struct err *e)
{
	int rc;

	a->padding = RSA_PKCS1_PSS_PADDING;
	for (int pass = 0; pass < 2; pass++) {
		a->salt = pass ? RSA_PSS_SALTLEN_MAX : SALT_MIN;
		rc = try_key(a, e);
		if (rc != 0)
			return rc;
	}
	a->salt = RSA_PSS_SALTLEN_AUTO;
	rc = try_key(a, e);
	if (rc <= 0)
		return rc;
	for (a->salt = 0; a->salt < SALT_MIN; a->salt++) {
		rc = try_key(a, e);
		if (rc < 0)
			return rc;
		if (rc == 1)
			return err_set(
				e, E_SIG_FORMAT, EBADMSG,
				"the salt of the PSS signature has %d bytes; at least %d are needed",
				a->salt, SALT_MIN);
	}
	return 1;
}

static int try_rsa(const struct keyring *k, struct attempt *a, enum sig_scheme *scheme,
		   struct err *e)
{
	size_t want = (size_t)EVP_PKEY_get_size(a->key);
	int rc = 0;

	if (a->in->sig_len != want)
		return err_set(e, E_SIG_FORMAT, EBADMSG,
			       "the signature has %zu bytes; one by this RSA key has %zu",
			       a->in->sig_len, want);
	if (k->pinned != SIG_RSA_PSS) {
		a->padding = RSA_PKCS1_PADDING;
		*scheme = SIG_RSA_PKCS1;
		rc = try_key(a, e);
	}
	if (rc == 0 && k->pinned != SIG_RSA_PKCS1) {
		*scheme = SIG_RSA_PSS;
		rc = try_pss(a, e);
	}
	return rc;
}

/* strict DER: what is decoded and encoded again must be the same bytes (T9) */
static int try_ecdsa(const struct attempt *a, struct err *e)
{
	const uint8_t *p = a->in->sig;
	ECDSA_SIG *parsed = d2i_ECDSA_SIG(NULL, &p, (long)a->in->sig_len);
	uint8_t *again = NULL;
	int n = parsed ? i2d_ECDSA_SIG(parsed, &again) : -1;
	bool same =
		n > 0 && (size_t)n == a->in->sig_len && memcmp(again, a->in->sig, (size_t)n) == 0;

	ECDSA_SIG_free(parsed);
	OPENSSL_free(again);
	if (!same)
		return sig_openssl_err(e, E_SIG_FORMAT,
				       "the signature is not an ECDSA signature in strict DER");
	return try_key(a, e);
}

static int try_one(const struct keyring *k, struct attempt *a, enum sig_scheme *scheme,
		   struct err *e)
{
	int rc = key_check(a->key, &a->kind, e);

	if (rc < 0)
		return rc;
	if (a->kind == KEY_RSA)
		return try_rsa(k, a, scheme, e);
	*scheme = k->kind;
	if (a->kind != KEY_ED25519)
		return try_ecdsa(a, e);
	if (a->in->sig_len != 64)
		return err_set(e, E_SIG_FORMAT, EBADMSG,
			       "the signature has %zu bytes; one by an Ed25519 key has 64",
			       a->in->sig_len);
	return try_key(a, e);
}

/* a key has no name: the digest of its public half stands for it */
static int name_key(const EVP_PKEY *key, char *out, size_t n, struct err *e)
{
	uint8_t sum[SHA256_LEN];
	char hex[2 * SHA256_LEN + 1];
	uint8_t *der = NULL;
	int len = i2d_PUBKEY(key, &der);
	int ok = len > 0 && EVP_Digest(der, (size_t)len, sum, NULL, EVP_sha256(), NULL) == 1;

	OPENSSL_free(der);
	if (!ok)
		return sig_openssl_err(e, E_INTERNAL, "the key has no fingerprint");
	text_hex(sum, sizeof(sum), hex);
	hex[16] = '\0';
	return text_copy(out, n, hex);
}

int sig_raw_verify(const struct keyring *k, const struct sig_input *in, struct sig_info *info,
		   struct err *e)
{
	const char *guess = sig_scheme_name(sig_guess(in->sig, in->sig_len));
	struct attempt a = {.in = in};
	struct err last;
	int rc;

	err_clear(&last);
	for (size_t i = 0; i < k->key_count; i++) {
		a.key = k->keys[i];
		err_clear(&last);
		rc = try_one(k, &a, &info->scheme, &last);
		if (rc == 1)
			return name_key(a.key, info->signer, sizeof(info->signer), e);
		if (rc < 0 && last.code == E_MEMORY)
			break;
	}
	info->scheme = SIG_ANY;
	if (k->key_count == 1 || last.code == E_MEMORY)
		if (err_is_set(&last))
			return *e = last, -last.sys;
	return err_set(e, E_SIG_BAD, EBADMSG, "%s %s does not match (the signature looks like: %s)",
		       k->key_count == 1 ? "the key" : "none of the keys", sig_scheme_name(k->kind),
		       guess);
}
