/*
 * Signing where the private key is out of reach: an external program or a token signs a digest.
 *
 * OpenSSL builds CMS only around a private key. So a stand-in of the same kind signs first, under
 * the name of the real certificate; then its signature is replaced by the external one, which is
 * made of the same signed attributes. Only public interfaces are used, and what comes out is
 * checked with the certificate.
 */
#include "corelib/sign/keyring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/cms.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "corelib/sign/pkcs11.h"
#include "corelib/sign/sig_command.h"
#include "corelib/base/text.h"

#define RAW_MAX 1025 /* RSA of 8192 bits, and one to see more */

struct external {
	const struct sig_signer *how;
	struct pkcs11_key *token;
	X509 *cert;
	STACK_OF(X509) * chain;
	EVP_PKEY *stand_in;
	X509 *twin; /* the certificate with the key of the stand-in */
	enum key_kind kind;
	const EVP_MD *md;
	CMS_ContentInfo *cms;
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned digest_len;
	uint8_t raw[RAW_MAX];
	size_t raw_len;
};

static void external_clear(struct external *x)
{
	pkcs11_close(x->token);
	X509_free(x->cert);
	sk_X509_pop_free(x->chain, X509_free);
	EVP_PKEY_free(x->stand_in);
	X509_free(x->twin);
	CMS_ContentInfo_free(x->cms);
}

static int load_certs(struct external *x, struct err *e)
{
	AUTO(BIO_free_all) BIO *in = BIO_new_mem_buf(x->how->cert_pem, -1);
	X509 *cert;

	x->chain = sk_X509_new_null();
	x->cert = in ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
	if (!x->cert || !x->chain)
		return sig_openssl_err(e, E_KEY_FILE, "there is no certificate in PEM form");
	while ((cert = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL)
		if (sk_X509_push(x->chain, cert) <= 0) {
			X509_free(cert);
			return sig_openssl_err(e, E_MEMORY, "the certificates cannot be stored");
		}
	ERR_clear_error();
	return key_check(X509_get0_pubkey(x->cert), &x->kind, e);
}

/* is the key of the certificate one for the scheme? */
static int check_kind(const struct external *x, struct err *e)
{
	bool rsa = x->kind == KEY_RSA;
	bool wants_rsa = x->how->scheme == SIG_RSA_PKCS1 || x->how->scheme == SIG_RSA_PSS;

	if (x->kind == KEY_ED25519)
		return err_set(e, E_SIG_KEY, ENOTSUP,
			       "an external signer is given a digest; Ed25519 signs no digests");
	if ((wants_rsa && !rsa) || (x->how->scheme == SIG_ECDSA && rsa))
		return err_set(e, E_SIG_KEY, EINVAL, "the key cannot sign as %s",
			       sig_scheme_name(x->how->scheme));
	return 0;
}

/* r and s, each half of what the token made, become DER */
static int dress_ecdsa(struct external *x, struct err *e)
{
	size_t half = x->raw_len / 2;
	BIGNUM *r = BN_bin2bn(x->raw, (int)half, NULL);
	BIGNUM *s = BN_bin2bn(x->raw + half, (int)half, NULL);
	ECDSA_SIG *pair = ECDSA_SIG_new();
	unsigned char *to = x->raw;
	int n = 0;

	if (pair && r && s && ECDSA_SIG_set0(pair, r, s) == 1) {
		n = i2d_ECDSA_SIG(pair, NULL) <= RAW_MAX ? i2d_ECDSA_SIG(pair, &to) : 0;
	} else {
		BN_free(r);
		BN_free(s);
	}
	ECDSA_SIG_free(pair);
	x->raw_len = n > 0 ? (size_t)n : 0;
	return n > 0 ? 0 : sig_openssl_err(e, E_MEMORY, "the signature cannot be stored");
}

static int ask_token(struct external *x, struct err *e)
{
	struct pkcs11_text text = {PKCS11_ECDSA, x->digest, x->digest_len};
	int rc;

	if (x->kind == KEY_RSA)
		text.how = x->how->scheme == SIG_RSA_PSS ? PKCS11_PSS : PKCS11_PKCS1;
	rc = pkcs11_sign(x->token, &text, x->raw, &x->raw_len, e);
	return rc < 0 || x->kind == KEY_RSA ? rc : dress_ecdsa(x, e);
}

static int ask(struct external *x, struct err *e)
{
	x->raw_len = sizeof(x->raw);
	if (x->token)
		return ask_token(x, e);
	return sig_command(x->how->command, x->digest, x->digest_len, x->raw, &x->raw_len, e);
}

/* ---- CMS -------------------------------------------------------------------------------- */

static int make_stand_in(struct external *x, struct err *e)
{
	x->stand_in = x->kind == KEY_RSA ? EVP_RSA_gen(2048)
					 : EVP_EC_gen(x->kind == KEY_EC_P256 ? "P-256" : "P-384");
	x->twin = X509_dup(x->cert);
	if (!x->stand_in || !x->twin || X509_set_pubkey(x->twin, x->stand_in) != 1)
		return sig_openssl_err(e, E_SIG_KEY, "the signature cannot be prepared");
	return 0;
}

static int add_signer(struct external *x)
{
	CMS_SignerInfo *si = CMS_add1_signer(x->cms, x->twin, x->stand_in, x->md,
					     CMS_BINARY | CMS_NOSMIMECAP | CMS_NOCERTS);
	ASN1_TIME *t = ASN1_TIME_set(NULL, (time_t)x->how->time);
	int ok = si && t && CMS_add1_cert(x->cms, x->cert) == 1 &&
		 CMS_signed_add1_attr_by_NID(si, NID_pkcs9_signingTime, ASN1_STRING_type(t), t,
					     -1) == 1;

	ASN1_TIME_free(t);
	return ok;
}

struct der {
	unsigned char *at;
	int n;
};

static int compare(const void *a, const void *b)
{
	const struct der *x = a, *y = b;
	int least = x->n < y->n ? x->n : y->n, d = memcmp(x->at, y->at, (size_t)least);

	return d ? d : x->n - y->n;
}

/* DER of a SET OF: its members in order of their bytes */
static int digest_set(struct external *x, struct der *parts, int count)
{
	AUTO(EVP_MD_CTX_free) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char head[16], *p = head;
	int total = 0, ok;

	for (int i = 0; i < count; i++)
		total += parts[i].n;
	qsort(parts, (size_t)count, sizeof(*parts), compare);
	ASN1_put_object(&p, 1, total, V_ASN1_SET, V_ASN1_UNIVERSAL);
	ok = ctx && EVP_DigestInit_ex(ctx, x->md, NULL) == 1 &&
	     EVP_DigestUpdate(ctx, head, (size_t)(p - head)) == 1;
	for (int i = 0; ok && i < count; i++)
		ok = EVP_DigestUpdate(ctx, parts[i].at, (size_t)parts[i].n) == 1;
	return ok && EVP_DigestFinal_ex(ctx, x->digest, &x->digest_len) == 1;
}

/* what is signed: the attributes, not the content itself */
static int digest_attributes(struct external *x, const CMS_SignerInfo *si)
{
	struct der parts[8] = {{NULL, 0}};
	int count = CMS_signed_get_attr_count(si), ok = count > 0 && count <= 8;

	for (int i = 0; ok && i < count; i++) {
		parts[i].n = i2d_X509_ATTRIBUTE(CMS_signed_get_attr(si, i), &parts[i].at);
		ok = parts[i].n > 0;
	}
	ok = ok && digest_set(x, parts, count);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		OPENSSL_free(parts[i].at);
	return ok;
}

static int frame(struct external *x, const struct sig_input *in)
{
	const unsigned flags = CMS_DETACHED | CMS_BINARY | CMS_NOSMIMECAP;
	AUTO(BIO_free_all) BIO *data = BIO_new_mem_buf(in->data, (int)in->n);

	x->cms = CMS_sign(NULL, NULL, x->chain, NULL, flags | CMS_PARTIAL);
	return data && x->cms && add_signer(x) && CMS_final(x->cms, data, NULL, flags) == 1;
}

static int sign_cms(struct external *x, const struct sig_input *in, struct err *e)
{
	CMS_SignerInfo *si;
	int rc = make_stand_in(x, e);

	if (rc < 0)
		return rc;
	if (!frame(x, in))
		return sig_openssl_err(e, E_SIG_KEY, "signing failed");
	si = sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(x->cms), 0);
	if (!si || !digest_attributes(x, si))
		return sig_openssl_err(e, E_SIG_KEY, "the signed attributes cannot be read");
	rc = ask(x, e);
	if (rc == 0 &&
	    ASN1_OCTET_STRING_set(CMS_SignerInfo_get0_signature(si), x->raw, (int)x->raw_len) != 1)
		rc = sig_openssl_err(e, E_MEMORY, "the signature cannot be stored");
	return rc;
}

/* ---- either ----------------------------------------------------------------------------- */

static int open_token(struct external *x, struct err *e)
{
	static const enum key_kind kinds[] = {
		[PKCS11_RSA] = KEY_RSA, [PKCS11_P256] = KEY_EC_P256, [PKCS11_P384] = KEY_EC_P384};
	int rc = pkcs11_open(&x->token, x->how->token, e);

	if (rc < 0)
		return rc;
	x->kind = kinds[pkcs11_kind(x->token)];
	x->md = key_digest(x->kind);
	return check_kind(x, e);
}

static int open_cert(struct external *x, struct err *e)
{
	enum key_kind held = x->kind;
	int rc = load_certs(x, e);

	if (rc == 0)
		rc = check_kind(x, e);
	if (rc == 0 && x->token && x->kind != held)
		err_fix(e, "give by --cert the certificate of this key, first in its file");
	if (rc == 0 && x->token && x->kind != held)
		rc = err_set(e, E_KEY_FILE, EINVAL,
			     "the first certificate is not that of the key in the token");
	x->md = key_digest(x->kind);
	return rc;
}

static int prepare(struct external *x, struct err *e)
{
	bool bare = x->how->scheme == SIG_RSA_PKCS1 || x->how->scheme == SIG_RSA_PSS ||
		    x->how->scheme == SIG_ECDSA;
	int rc = sig_openssl_init(e);

	x->md = EVP_sha256();
	if (rc == 0 && !bare && x->how->scheme == SIG_ED25519)
		rc = err_set(e, E_SIG_KEY, ENOTSUP,
			     "an external signer is given a digest; Ed25519 signs no digests");
	if (rc == 0 && !bare && !x->how->cert_pem)
		rc = err_set(e, E_KEY_FILE, EINVAL, "signing as cms needs the certificate");
	if (rc == 0 && x->how->token)
		rc = open_token(x, e);
	return rc < 0 || !x->how->cert_pem ? rc : open_cert(x, e);
}

/* without a certificate nobody here knows the public part */
static int check(const struct external *x, struct sig_input in, const uint8_t *sig, size_t n,
		 struct err *e)
{
	const struct sig_made made = {.scheme = x->cms ? SIG_CMS : x->how->scheme,
				      .key = x->cert ? X509_get0_pubkey(x->cert) : NULL,
				      .cert = x->cert,
				      .away = true};

	in.sig = sig;
	in.sig_len = n;
	return x->cert ? sig_made_check(&made, &in, e) : 0;
}

static int take(const struct external *x, uint8_t **sig, size_t *n, struct err *e)
{
	unsigned char *der = NULL;
	int len = x->cms ? i2d_CMS_ContentInfo(x->cms, &der) : (int)x->raw_len;

	*sig = len > 0 ? malloc((size_t)len) : NULL;
	if (*sig)
		memcpy(*sig, der ? der : x->raw, (size_t)len);
	OPENSSL_free(der);
	*n = (size_t)(len > 0 ? len : 0);
	return *sig ? 0 : err_set(e, E_MEMORY, ENOMEM, "no memory for the signature");
}

int sig_sign_external(const struct sig_signer *how, const struct sig_input *in, uint8_t **sig,
		      size_t *sig_len, struct err *e)
{
	struct external x __attribute__((cleanup(external_clear))) = {.how = how};
	bool cms = how->scheme == SIG_CMS || how->scheme == SIG_ANY;
	int rc = prepare(&x, e);

	*sig = NULL;
	if (rc == 0 && cms)
		rc = sign_cms(&x, in, e);
	else if (rc == 0 && EVP_Digest(in->data, in->n, x.digest, &x.digest_len, x.md, NULL) != 1)
		rc = sig_openssl_err(e, E_SYS, "the digest cannot be made");
	else if (rc == 0)
		rc = ask(&x, e);
	if (rc == 0)
		rc = take(&x, sig, sig_len, e);
	if (rc == 0)
		rc = check(&x, *in, *sig, *sig_len, e);
	if (rc < 0) {
		free(*sig);
		*sig = NULL;
	}
	return rc;
}
