/*
 * The inside of a ring of keys, shared by keyring.c and sig_*.c only; all others use
 * corelib/sign/sig.h.
 *
 * A ring is const after keyring_parse(): one kind of key, each of them checked for strength. Errors
 * of OpenSSL are drained where they arise and never reach another call.
 */
#ifndef CORELIB_KEYRING_H
#define CORELIB_KEYRING_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "corelib/sign/sig.h"

#define KEYRING_MAX	 256 /* keys or certificates in one file */
#define KEYRING_FILE_MAX (1024 * 1024)
#define SIG_CERTS_MAX	 16 /* T18: certificates in a signature; signers too */
#define SIG_CHAIN_MAX	 6  /* certificates from the signer to the anchor, both counted */

enum key_kind { KEY_RSA, KEY_EC_P256, KEY_EC_P384, KEY_ED25519 };

struct keyring {
	enum sig_scheme kind;	     /* SIG_RSA_PKCS1 stands for both RSA schemes */
	enum sig_scheme pinned;	     /* SIG_ANY: all schemes of the kind */
	EVP_PKEY *keys[KEYRING_MAX]; /* bare keys */
	size_t key_count;
	STACK_OF(X509) * anchors; /* certificates; the store holds the same and the CRLs */
	X509_STORE *store;
	uint32_t purpose; /* bit of the extended key usage that a signer must have; 0 = any */
	char *signer_name;
	bool has_crl;
	int64_t now;
};

struct sig_input {
	const void *data;
	size_t n;
	const uint8_t *sig;
	size_t sig_len;
};

/* T8: RSA of 2048..8192 bits with e >= 65537, P-256, P-384, Ed25519; else E_SIG_KEY */
int key_check(const EVP_PKEY *key, enum key_kind *kind, struct err *e);
const EVP_MD *key_digest(enum key_kind kind); /* NULL for Ed25519 */

int sig_raw_verify(const struct keyring *k, const struct sig_input *in, struct sig_info *info,
		   struct err *e);
int sig_cms_verify(const struct keyring *k, const struct sig_input *in, struct sig_info *info,
		   struct err *e);

/* whose public part judges what was signed */
struct sig_made {
	enum sig_scheme scheme; /* which one it is, not SIG_ANY */
	EVP_PKEY *key;		/* bare schemes; the public part suffices */
	X509 *cert;		/* CMS */
	bool away;		/* a program or a token signed */
};
/* is in->sig good for in->data? E_SIG_BAD */
int sig_made_check(const struct sig_made *m, const struct sig_input *in, struct err *e);

/* sig_sign() with how->command or how->token */
int sig_sign_external(const struct sig_signer *how, const struct sig_input *in, uint8_t **sig,
		      size_t *sig_len, struct err *e);

/* before the first call of OpenSSL: neither its configuration file nor engines are loaded */
int sig_openssl_init(struct err *e);
/* "what: OpenSSL's first reason"; drains its queue; E_MEMORY when that was the cause */
int sig_openssl_err(struct err *e, enum errcode code, const char *what);

#define AUTO_EVP(type, free_fn)                                                                    \
	static inline void cleanup_##free_fn(type **p)                                             \
	{                                                                                          \
		free_fn(*p);                                                                       \
	}
AUTO_EVP(EVP_PKEY, EVP_PKEY_free)
AUTO_EVP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
AUTO_EVP(EVP_MD_CTX, EVP_MD_CTX_free)
AUTO_EVP(BIO, BIO_free_all)
AUTO_EVP(X509, X509_free)
#undef AUTO_EVP
#define AUTO(free_fn) __attribute__((cleanup(cleanup_##free_fn)))

#endif
