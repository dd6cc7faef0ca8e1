/* Signing, for the builder and for tests. */
#include "corelib/sign/keyring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#define RAW_MAX 1024 /* RSA of 8192 bits */

struct signing {
	EVP_PKEY *key;
	enum key_kind kind;
	X509 *cert;
	STACK_OF(X509) * chain; /* behind the signer's */
	enum sig_scheme scheme;
};

static void signing_clear(struct signing *s)
{
	EVP_PKEY_free(s->key);
	X509_free(s->cert);
	sk_X509_pop_free(s->chain, X509_free);
}

/* never ask at a terminal: builds run unattended */
static int no_password(char *buf, int size, int writing, void *arg)
{
	(void)buf, (void)size, (void)writing;
	*(bool *)arg = true;
	return -1;
}

static int load_key(struct signing *s, const char *pem, struct err *e)
{
	AUTO(BIO_free_all) BIO *in = BIO_new_mem_buf(pem, -1);
	bool asked = false;

	s->key = in ? PEM_read_bio_PrivateKey(in, NULL, no_password, &asked) : NULL;
	if (asked) {
		ERR_clear_error();
		return err_set(e, E_KEY_FILE, EACCES, "the private key is protected by a password");
	}
	if (!s->key)
		return sig_openssl_err(e, E_KEY_FILE, "there is no private key in PEM form");
	return key_check(s->key, &s->kind, e);
}

static int load_certs(struct signing *s, const char *pem, struct err *e)
{
	AUTO(BIO_free_all) BIO *in = BIO_new_mem_buf(pem, -1);
	X509 *cert;

	s->chain = sk_X509_new_null();
	s->cert = in ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
	if (!s->cert || !s->chain)
		return sig_openssl_err(e, E_KEY_FILE, "there is no certificate in PEM form");
	while ((cert = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL) {
		if (sk_X509_push(s->chain, cert) <= 0) {
			X509_free(cert);
			return sig_openssl_err(e, E_MEMORY, "the certificates cannot be stored");
		}
	}
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return sig_openssl_err(e, E_KEY_FILE, "a certificate cannot be read");
	ERR_clear_error();
	if (X509_check_private_key(s->cert, s->key) == 1)
		return 0;
	err_fix(e,
		"give by --cert the certificate of this key, first in its file, its chain behind it");
	return err_while(e,
			 sig_openssl_err(e, E_KEY_FILE,
					 "the first certificate is not that of the private key"),
			 "the private key and the certificate do not belong together");
}

/* does the scheme suit the key? SIG_ANY becomes the one that does */
static int choose(struct signing *s, enum sig_scheme asked, struct err *e)
{
	static const enum sig_scheme natural[] = {
		[KEY_RSA] = SIG_RSA_PKCS1,
		[KEY_EC_P256] = SIG_ECDSA,
		[KEY_EC_P384] = SIG_ECDSA,
		[KEY_ED25519] = SIG_ED25519,
	};

	s->scheme = asked;
	if (asked == SIG_ANY)
		s->scheme = s->cert ? SIG_CMS : natural[s->kind];
	if (s->scheme == SIG_CMS && !s->cert)
		return err_set(e, E_KEY_FILE, EINVAL,
			       "signing as cms needs the signer's certificate");
	if (s->scheme == SIG_CMS && s->kind == KEY_ED25519)
		return err_set(e, E_SIG_KEY, ENOTSUP,
			       "cms with an Ed25519 key is not read by existing devices; "
			       "sign as ed25519 with the bare key");
	if (s->scheme == SIG_CMS || s->scheme == natural[s->kind] ||
	    (s->scheme == SIG_RSA_PSS && s->kind == KEY_RSA))
		return 0;
	return err_set(e, E_SIG_KEY, EINVAL, "the key cannot sign as %s; it is for %s",
		       sig_scheme_name(s->scheme), sig_scheme_name(natural[s->kind]));
}

static int sign_raw(const struct signing *s, const struct sig_input *in, uint8_t made[RAW_MAX],
		    size_t *n)
{
	AUTO(EVP_MD_CTX_free) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *p = NULL; /* belongs to ctx */

	*n = RAW_MAX;
	if (!ctx || EVP_DigestSignInit(ctx, &p, key_digest(s->kind), NULL, s->key) <= 0)
		return 0;
	if (s->scheme == SIG_RSA_PSS &&
	    (EVP_PKEY_CTX_set_rsa_padding(p, RSA_PKCS1_PSS_PADDING) <= 0 ||
	     EVP_PKEY_CTX_set_rsa_pss_saltlen(p, RSA_PSS_SALTLEN_DIGEST) <= 0))
		return 0;
	return EVP_DigestSign(ctx, made, n, in->data, in->n) == 1;
}

/* the time of signing is an attribute: given, so that the same input makes the same bytes */
static int add_signer(CMS_ContentInfo *cms, const struct signing *s, int64_t when)
{
	CMS_SignerInfo *si = CMS_add1_signer(cms, s->cert, s->key, key_digest(s->kind),
					     CMS_BINARY | CMS_NOSMIMECAP);
	ASN1_TIME *t = ASN1_TIME_set(NULL, (time_t)when);
	int ok = si && t &&
		 CMS_signed_add1_attr_by_NID(si, NID_pkcs9_signingTime, ASN1_STRING_type(t), t,
					     -1) == 1;

	ASN1_TIME_free(t);
	return ok;
}

/* *der belongs to OpenSSL */
static int sign_cms(const struct signing *s, int64_t when, const struct sig_input *in,
		    unsigned char **der)
{
	const unsigned flags = CMS_DETACHED | CMS_BINARY | CMS_NOSMIMECAP;
	AUTO(BIO_free_all) BIO *data = BIO_new_mem_buf(in->data, (int)in->n);
	CMS_ContentInfo *cms = CMS_sign(NULL, NULL, s->chain, NULL, flags | CMS_PARTIAL);
	int n = -1;

	if (data && cms && add_signer(cms, s, when) && CMS_final(cms, data, NULL, flags) == 1)
		n = i2d_CMS_ContentInfo(cms, der);
	CMS_ContentInfo_free(cms);
	return n;
}

static int prepare(struct signing *s, const struct sig_signer *how, struct err *e)
{
	int rc = sig_openssl_init(e);

	if (rc == 0)
		rc = load_key(s, how->key_pem, e);
	if (rc == 0 && how->cert_pem)
		rc = load_certs(s, how->cert_pem, e);
	return rc == 0 ? choose(s, how->scheme, e) : rc;
}

struct made {
	uint8_t raw[RAW_MAX];
	unsigned char *der; /* instead of raw */
};

static void made_clear(struct made *m)
{
	OPENSSL_free(m->der);
}

static int make(const struct signing *s, int64_t when, struct sig_input *in, struct made *to,
		struct err *e)
{
	int len = 0;

	if (s->scheme == SIG_CMS)
		len = sign_cms(s, when, in, &to->der);
	else if (sign_raw(s, in, to->raw, &in->sig_len))
		len = (int)in->sig_len;
	if (len <= 0)
		return sig_openssl_err(e, E_SIG_KEY, "signing failed");
	in->sig = to->der ? to->der : to->raw;
	in->sig_len = (size_t)len;
	return 0;
}

int sig_sign(const struct sig_signer *how, const void *data, size_t n, uint8_t **sig,
	     size_t *sig_len, struct err *e)
{
	struct signing s __attribute__((cleanup(signing_clear))) = {0};
	struct made made __attribute__((cleanup(made_clear))) = {0};
	struct sig_input in = {.data = data, .n = n};
	int rc;

	if (how->command || how->token)
		return sig_sign_external(how, &in, sig, sig_len, e);
	rc = prepare(&s, how, e);
	*sig = NULL;
	if (rc == 0)
		rc = make(&s, how->time, &in, &made, e);
	if (rc == 0)
		rc = sig_made_check(
			&(struct sig_made){.scheme = s.scheme, .key = s.key, .cert = s.cert}, &in,
			e);
	if (rc != 0)
		return rc;
	*sig = in.sig && in.sig_len ? malloc(in.sig_len) : NULL;
	if (!*sig)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the signature");
	memcpy(*sig, in.sig, in.sig_len);
	*sig_len = in.sig_len;
	return 0;
}
