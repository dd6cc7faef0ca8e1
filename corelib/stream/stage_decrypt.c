/*
 * stage_decrypt: AES of signed bytes.
 *
 * Whole blocks go straight into the caller's memory. With CBC the last block stays back until the
 * upstream has proven its end, so that padding is only looked at when the ciphertext is what
 * was signed (T49).
 */
#include "corelib/stream/stages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "corelib/base/text.h"

#define AES_BLOCK 16u
#define ONCE_MAX  (1u << 30) /* the library counts in int */

struct decrypt {
	struct stream stream;
	EVP_CIPHER_CTX *ctx;
	bool padded;
	const uint8_t *in; /* lent by the upstream */
	size_t in_len;
	uint8_t held[AES_BLOCK]; /* a block that is not complete, or may be the last one */
	size_t held_len;
	uint8_t spill[AES_BLOCK]; /* plain bytes that did not fit */
	size_t spill_pos, spill_len;
	bool ended;
};

/* one text for all: what exactly was wrong is of use only to who tries out ciphertexts */
static int decrypt_refuse(struct err *e)
{
	ERR_clear_error();
	return err_set(e, E_DECRYPT, EBADMSG, "the payload and the key do not belong together");
}

static int decrypt_blocks(struct decrypt *d, uint8_t *out, const uint8_t *in, size_t n,
			  struct err *e)
{
	int made = 0;

	if (EVP_DecryptUpdate(d->ctx, out, &made, in, (int)n) != 1 || (size_t)made != n)
		return decrypt_refuse(e);
	return 0;
}

static size_t decrypt_take_spill(struct decrypt *d, uint8_t *buf, size_t n)
{
	size_t left = d->spill_len - d->spill_pos;

	if (n > left)
		n = left;
	memcpy(buf, d->spill + d->spill_pos, n);
	d->spill_pos += n;
	return n;
}

/* the block in 'held' becomes plain text, in 'buf' when there is room for it */
static ssize_t decrypt_held(struct decrypt *d, uint8_t *buf, size_t n, struct err *e)
{
	bool fits = n >= d->held_len;
	size_t len = d->held_len;
	int rc = decrypt_blocks(d, fits ? buf : d->spill, d->held, len, e);

	if (rc < 0)
		return rc;
	d->held_len = 0;
	if (fits)
		return (ssize_t)len;
	d->spill_pos = 0;
	d->spill_len = len;
	return 0;
}

/* how much of the lent block may be decrypted at once: what may be the last block stays */
static size_t decrypt_bulk(const struct decrypt *d, size_t n)
{
	size_t most = d->in_len < n ? d->in_len : n;

	if (most > ONCE_MAX)
		most = ONCE_MAX;
	if (!d->padded)
		return most;
	if (most == d->in_len)
		most--;
	return most / AES_BLOCK * AES_BLOCK;
}

static void decrypt_hold(struct decrypt *d)
{
	size_t n = AES_BLOCK - d->held_len;

	if (n > d->in_len)
		n = d->in_len;
	memcpy(d->held + d->held_len, d->in, n);
	d->held_len += n;
	d->in += n;
	d->in_len -= n;
}

/* there is a lent block: plain bytes made (also 0) */
static ssize_t decrypt_some(struct decrypt *d, uint8_t *buf, size_t n, struct err *e)
{
	if (d->held_len == AES_BLOCK)
		return decrypt_held(d, buf, n, e);

	size_t bulk = d->held_len ? 0 : decrypt_bulk(d, n);

	if (!bulk) {
		decrypt_hold(d);
		return 0;
	}

	int rc = decrypt_blocks(d, buf, d->in, bulk, e);

	if (rc < 0)
		return rc;
	d->in += bulk;
	d->in_len -= bulk;
	return (ssize_t)bulk;
}

/* PKCS#7 without a branch on what is in it; the count of padding bytes, 0 = wrong */
static unsigned padding_of(const uint8_t block[AES_BLOCK])
{
	unsigned pad = block[AES_BLOCK - 1], bad = (pad - 1) / AES_BLOCK;

	for (unsigned i = 0; i < AES_BLOCK; i++) {
		unsigned in_pad = (AES_BLOCK - 1 - i - pad) >> 31; /* 1 within the padding */

		bad |= (0u - in_pad) & (block[i] ^ pad);
	}
	return bad ? 0 : pad;
}

/* the upstream has proven its end */
static int decrypt_finish(struct decrypt *d, struct err *e)
{
	d->ended = true;
	if (!d->padded)
		return 0;
	if (d->held_len != AES_BLOCK || decrypt_blocks(d, d->spill, d->held, AES_BLOCK, e) < 0)
		return decrypt_refuse(e);

	unsigned pad = padding_of(d->spill);

	if (!pad)
		return decrypt_refuse(e);
	d->spill_pos = 0;
	d->spill_len = AES_BLOCK - pad;
	return 0;
}

/* one move: plain bytes made (also 0), or -errno */
static ssize_t decrypt_move(struct decrypt *d, uint8_t *buf, size_t n, struct err *e)
{
	if (d->spill_pos < d->spill_len)
		return (ssize_t)decrypt_take_spill(d, buf, n);
	if (d->in_len)
		return decrypt_some(d, buf, n, e);

	ssize_t r = stream_next(d->stream.up, &d->in, e);

	if (r < 0)
		return r;
	d->in_len = (size_t)r;
	return r ? 0 : decrypt_finish(d, e);
}

static ssize_t decrypt_read(struct stream *s, uint8_t *buf, size_t n, struct err *e)
{
	struct decrypt *d = (struct decrypt *)s;
	size_t got = 0;

	while (got < n && (!d->ended || d->spill_pos < d->spill_len)) {
		ssize_t r = decrypt_move(d, buf + got, n - got, e);

		if (r < 0)
			return r;
		got += (size_t)r;
	}
	return (ssize_t)got;
}

static void decrypt_close(struct stream *s)
{
	struct decrypt *d = (struct decrypt *)s;

	EVP_CIPHER_CTX_free(d->ctx);
	secure_zero(d, sizeof(*d));
	free(d);
}

static const struct stream_ops decrypt_ops = {
	.name = "decrypt",
	.read = decrypt_read,
	.close = decrypt_close,
};

static const EVP_CIPHER *decrypt_cipher(const struct aes_key *k)
{
	bool cbc = k->cipher == CIPHER_AES_CBC;

	if (!cbc && k->cipher != CIPHER_AES_CTR)
		return NULL;
	switch (k->bits) {
	case 128:
		return cbc ? EVP_aes_128_cbc() : EVP_aes_128_ctr();
	case 192:
		return cbc ? EVP_aes_192_cbc() : EVP_aes_192_ctr();
	case 256:
		return cbc ? EVP_aes_256_cbc() : EVP_aes_256_ctr();
	default:
		return NULL;
	}
}

static EVP_CIPHER_CTX *decrypt_context(const EVP_CIPHER *cipher, const struct aes_key *k)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	if (ctx && EVP_DecryptInit_ex(ctx, cipher, NULL, k->key, k->iv) == 1 &&
	    EVP_CIPHER_CTX_set_padding(ctx, 0) == 1)
		return ctx;
	EVP_CIPHER_CTX_free(ctx);
	ERR_clear_error();
	return NULL;
}

int stage_decrypt_open(struct stream **s, const struct aes_key *k, struct err *e)
{
	const EVP_CIPHER *cipher = decrypt_cipher(k);

	if (!cipher)
		return err_set(e, E_KEY_AES, EINVAL, "AES has no mode %d with %u bits",
			       (int)k->cipher, k->bits);

	struct decrypt *d = calloc(1, sizeof(*d));

	if (!d)
		return err_set(e, E_MEMORY, ENOMEM, "no memory to decrypt");
	d->ctx = decrypt_context(cipher, k);
	d->padded = k->cipher == CIPHER_AES_CBC;
	if (!d->ctx) {
		free(d);
		return err_set(e, E_MEMORY, ENOMEM, "no memory for an AES decoder");
	}
	stream_init(&d->stream, &decrypt_ops, *s);
	d->stream.has_size = false;
	*s = &d->stream;
	return 0;
}
