/*
 * Who vouches for a description: keys and the signatures they make.
 *
 * The kind of signature is a property of the key, never of the blob (T7): a bare RSA key
 * accepts PKCS#1 v1.5 and PSS unless one is pinned, an EC key ECDSA (DER), an Ed25519 key 64 raw
 * bytes, certificates accept CMS. Limits and profiles of T8-T14, T18 live here. Verification only
 * reads memory. Signing serves the builder and tests.
 */
#ifndef CORELIB_SIG_H
#define CORELIB_SIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "corelib/base/err.h"

#define SIG_MAX (64 * 1024)

enum sig_scheme { SIG_ANY, SIG_RSA_PKCS1, SIG_RSA_PSS, SIG_ECDSA, SIG_ED25519, SIG_CMS };
const char *sig_scheme_name(enum sig_scheme s); /* "rsa", "rsa-pss", "ecdsa", "ed25519", "cms" */

struct keyring; /* PEM public keys or certificates of one kind */

struct keyring_options {
	enum sig_scheme pinned;	 /* SIG_ANY: whatever suits the key */
	const char *purpose;	 /* "emailProtection" (NULL), "codeSigning", "any" */
	const char *signer_name; /* forced CN, or NULL */
	const char *crl_file;	 /* or NULL */
	int64_t now;		 /* certificate time: the later of build stamp and clock */
};

/* from PEM text; crl as PEM or DER may be NULL */
int keyring_parse(struct keyring **k, const void *pem, size_t n, const void *crl, size_t crl_len,
		  const struct keyring_options *o, struct err *e);
/* reads the files after checking that only root (or we) can change them (T17) */
int keyring_open(struct keyring **k, const char *file, const struct keyring_options *o,
		 struct err *e);
void keyring_free(struct keyring *k);

struct sig_info {
	enum sig_scheme scheme;
	char signer[256]; /* subject of the certificate, or the key's SHA-256 (first 16 hex digits)
			   */
};

/* 0 only when a key of the ring vouches for exactly these bytes */
int sig_verify(const struct keyring *k, const void *data, size_t n, const void *sig, size_t sig_len,
	       struct sig_info *info, struct err *e);

/* what the blob looks like, for inspect only: never used to choose a check */
enum sig_scheme sig_guess(const void *sig, size_t n);
/* whom a CMS signature names as its signer, unproven, for inspect only; -errno when it names nobody
 */
int sig_claimed_signer(const void *sig, size_t n, char *name, size_t size);

/* builder: sign with a PEM private key (and certificate chain for CMS); *sig is malloc'ed */
struct sig_signer {
	enum sig_scheme scheme; /* SIG_ANY: CMS when cert_pem is given, else what suits the key */
	const char *key_pem;
	const char *command;  /* instead of key_pem: a program signs (sig_command.h), not Ed25519;
				 with cert_pem what it wrote is checked */
	const char *token;    /* instead of key_pem: a pkcs11: URI (pkcs11.h), the same rules */
	const char *cert_pem; /* signer's certificate first, then its chain; NULL for bare keys */
	int64_t time; /* of signing, noted in CMS: the same time gives the same bytes (RSA) */
};
/* what is handed out was checked by its public part, where that is known; else E_SIG_BAD */
int sig_sign(const struct sig_signer *s, const void *data, size_t n, uint8_t **sig, size_t *sig_len,
	     struct err *e);

#endif
