/*
 * A private key in a token (hardware module, smart card, SoftHSM), named by a pkcs11: URI (RFC
 * 7512).
 *
 * Modules are those that p11-kit knows, or the one of module-path in the URI. The PIN is that of
 * pin-value, or of the file that pin-source names. It is told only to a token that the URI names
 * alone, and once, because tokens lock themselves after some wrong ones. Nobody is asked at a
 * terminal.
 */
#ifndef CORELIB_PKCS11_H
#define CORELIB_PKCS11_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "corelib/base/err.h"

enum pkcs11_kind { PKCS11_RSA, PKCS11_P256, PKCS11_P384 };
enum pkcs11_how { PKCS11_PKCS1, PKCS11_PSS, PKCS11_ECDSA }; /* PSS: salt as long as the digest */

/* what is signed. RSA: digests of SHA-256 only */
struct pkcs11_text {
	enum pkcs11_how how;
	const uint8_t *digest;
	size_t digest_len;
};

struct pkcs11_key;

bool pkcs11_is_uri(const char *name);
/* the URI without what follows '?': fit for messages, because the PIN may stand there */
void pkcs11_name(const char *uri, char *out, size_t n);

int pkcs11_open(struct pkcs11_key **key, const char *uri, struct err *e);
enum pkcs11_kind pkcs11_kind(const struct pkcs11_key *key);
/* ECDSA: r and s, each half of the result. *n: room, then length */
int pkcs11_sign(struct pkcs11_key *key, const struct pkcs11_text *text, uint8_t *sig, size_t *n,
		struct err *e);
void pkcs11_close(struct pkcs11_key *key);

#endif
