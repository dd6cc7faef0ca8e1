/*
 * Encrypt a file for a bundle, with an initial vector of its own.
 *
 * The vector is made of key, cipher, name and content (HMAC-SHA-256), so that no two contents share
 * one, today or in later releases, and the same content gives the same bytes. Whoever sees two
 * bundles can tell that a payload did not change between them, and nothing else.
 */
#ifndef CORE_BUILD_ENCRYPT_H
#define CORE_BUILD_ENCRYPT_H

#include <stdint.h>

#include "corelib/base/digest.h"
#include "corelib/base/err.h"
#include "corelib/stream/stages.h"

struct encryption {
	const struct aes_key *key; /* its iv is not used */
	enum cipher cipher;
	const char *name; /* of the payload */
	/* found out by encrypt_vector() */
	uint8_t iv[16];
	uint8_t sha256[SHA256_LEN]; /* of the content that the vector belongs to */
};

/* reads 'in' from its beginning */
int encrypt_vector(struct encryption *x, int in, struct err *e);
/* reads 'in' again and writes 'out'; other content than that of the vector is E_BUILD (T50) */
int encrypt_file(struct encryption *x, int in, int out, struct err *e);
/* the key file of the build machine; wipe it after use */
int encrypt_read_key(struct aes_key *k, const char *path, struct err *e);

#endif
