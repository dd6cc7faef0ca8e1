/* SHA-256 of OpenSSL, and the sum of bytes that cpio's crc format calls a checksum. */
#include "corelib/base/digest.h"

#include <errno.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "corelib/base/crc32c.h"

static int no_digest(struct err *e)
{
	return err_set(e, E_MEMORY, ENOMEM, "the SHA-256 of the crypto library is not to be had");
}

int sha256_init(struct sha256 *h, struct err *e)
{
	EVP_MD *md = EVP_MD_fetch(NULL, "SHA256", NULL);

	h->ctx = md ? EVP_MD_CTX_new() : NULL;
	if (!h->ctx || !EVP_DigestInit_ex2(h->ctx, md, NULL)) {
		sha256_clear(h);
		EVP_MD_free(md);
		return no_digest(e);
	}
	EVP_MD_free(md); /* the context holds it */
	return 0;
}

int sha256_again(struct sha256 *h, struct err *e)
{
	return EVP_DigestInit_ex2(h->ctx, NULL, NULL) ? 0 : no_digest(e);
}

int sha256_update(struct sha256 *h, const void *buf, size_t n, struct err *e)
{
	return EVP_DigestUpdate(h->ctx, buf, n) ? 0 : no_digest(e);
}

int sha256_final(struct sha256 *h, uint8_t out[SHA256_LEN], struct err *e)
{
	return EVP_DigestFinal_ex(h->ctx, out, NULL) ? 0 : no_digest(e);
}

void sha256_clear(struct sha256 *h)
{
	EVP_MD_CTX_free(h->ctx);
	h->ctx = NULL;
}

int sha256_once(const void *buf, size_t n, uint8_t out[SHA256_LEN], struct err *e)
{
	struct sha256 h;
	int rc = sha256_init(&h, e);

	if (rc == 0)
		rc = sha256_update(&h, buf, n, e);
	if (rc == 0)
		rc = sha256_final(&h, out, e);
	sha256_clear(&h);
	return rc;
}

int hmac_sha256(const struct bytes *key, const struct bytes *text, uint8_t out[SHA256_LEN],
		struct err *e)
{
	unsigned n = SHA256_LEN;

	return HMAC(EVP_sha256(), key->at, (int)key->n, text->at, text->n, out, &n) ? 0
										    : no_digest(e);
}

/* ---- sum of bytes -----------------------------------------------------------------------------
 */

typedef uint64_t lanes __attribute__((vector_size(16)));

#define EVEN_BYTES 0x00ff00ff00ff00ffu
#define EVEN_PAIRS 0x0000ffff0000ffffu
#define RUN	   128 /* a 16-bit lane takes so many pairs of bytes before it could wrap */

static uint32_t sum_lanes(lanes v)
{
	uint64_t total = 0;

	v = (v & EVEN_PAIRS) + ((v >> 16) & EVEN_PAIRS);
	for (int i = 0; i < 2; i++)
		total += (v[i] & 0xffffffffu) + (v[i] >> 32);
	return (uint32_t)total;
}

uint32_t bytesum(uint32_t sum, const void *buf, size_t n)
{
	const uint8_t *p = buf;

	while (n >= sizeof(lanes)) {
		size_t rounds = n / sizeof(lanes) < RUN ? n / sizeof(lanes) : RUN;
		lanes acc = {0};

		n -= rounds * sizeof(lanes);
		for (; rounds > 0; rounds--, p += sizeof(lanes)) {
			lanes v;

			memcpy(&v, p, sizeof(v));
			acc += (v & EVEN_BYTES) + ((v >> 8) & EVEN_BYTES);
		}
		sum += sum_lanes(acc);
	}
	while (n-- > 0)
		sum += *p++;
	return sum;
}
