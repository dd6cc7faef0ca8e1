/*
 * New keys for signing bundles.
 *
 * The usual pair is RSA-3072 with a certificate signed by itself, because bundles signed by CMS
 * install everywhere; "rsa", "ecdsa" and "ed25519" make bare keys. The private half is PEM without
 * a password and is wiped by keygen_clear().
 */
#ifndef CORE_BUILD_KEYGEN_H
#define CORE_BUILD_KEYGEN_H

#include "corelib/base/err.h"

struct keygen_pair {
	char *key_pem;
	char *cert_pem; /* NULL for bare keys */
	char *pub_pem;
};

/* type NULL or "cms": key and certificate, whose common name is 'name' */
int keygen_make(struct keygen_pair *p, const char *type, const char *name, struct err *e);
void keygen_clear(struct keygen_pair *p);

/* NAME.aes (0600): KEY IV as devices have it, AES-256; an existing file is never touched */
int keygen_aes(const char *dir, const char *name, struct err *e);

/* NAME.key.pem (0600), NAME.cert.pem or NAME.pub.pem in dir, which is made when absent; an existing
 * file is never touched */
int keygen_write(const struct keygen_pair *p, const char *dir, const char *name, struct err *e);

#endif
