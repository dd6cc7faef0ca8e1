/* SHA-256 over OpenSSL, and CRC32C for records of our own. Contexts live in the caller's memory. */
#ifndef CORELIB_DIGEST_H
#define CORELIB_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "corelib/base/err.h"

#define SHA256_LEN 32

struct sha256 {
	void *ctx;
};
int sha256_init(struct sha256 *h, struct err *e);
int sha256_again(struct sha256 *h, struct err *e); /* after final: a new message, same context */
int sha256_update(struct sha256 *h, const void *buf, size_t n, struct err *e);
int sha256_final(struct sha256 *h, uint8_t out[SHA256_LEN], struct err *e);
void sha256_clear(struct sha256 *h);
int sha256_once(const void *buf, size_t n, uint8_t out[SHA256_LEN], struct err *e);

struct bytes {
	const void *at;
	size_t n;
};
int hmac_sha256(const struct bytes *key, const struct bytes *text, uint8_t out[SHA256_LEN],
		struct err *e);

#endif
