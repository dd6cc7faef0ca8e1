/*
 * A payload that is read twice: the first pass notes a GMAC of each block under a random key, the
 * second compares before it lends, so that what was verified is what is used (L2).
 */
#include "corelib/stream/stages.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define NOTE_BLOCK (256u * 1024)
#define TAG_LEN	   16
#define NONCE_LEN  12

struct notes {
	uint8_t key[32];
	uint64_t size, count;
	bool complete;
	bool proven; /* by the end of the first pass: all bytes are the signed ones */
	uint8_t tags[][TAG_LEN];
};

struct notes *notes_new(uint64_t size, struct err *e)
{
	uint64_t count = size / NOTE_BLOCK + (size % NOTE_BLOCK != 0);
	struct notes *n = NULL;

	if (count <= (SIZE_MAX / 2 - sizeof(*n)) / TAG_LEN)
		n = calloc(1, sizeof(*n) + (size_t)count * TAG_LEN);
	if (!n) {
		err_set(e, E_MEMORY, ENOMEM, "no memory for notes of %" PRIu64 " bytes", size);
		return NULL;
	}
	n->size = size;
	n->count = count;
	int rc = sys_random(n->key, sizeof(n->key));
	if (rc < 0) {
		err_sys(e, E_NONE, rc, "drawing a random key");
		notes_free(n);
		return NULL;
	}
	return n;
}

void notes_free(struct notes *n)
{
	if (n)
		secure_zero(n->key, sizeof(n->key));
	free(n);
}

/* ---- GMAC of one block -------------------------------------------------------------------------
 */

static int mac_failed(struct err *e)
{
	return err_set(e, E_MEMORY, ENOMEM, "the AES-GCM of the crypto library is not to be had");
}

static EVP_CIPHER_CTX *mac_new(const uint8_t *key, struct err *e)
{
	EVP_CIPHER *gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	EVP_CIPHER_CTX *mac = gcm ? EVP_CIPHER_CTX_new() : NULL;

	if (!mac || !EVP_EncryptInit_ex2(mac, gcm, key, NULL, NULL)) {
		EVP_CIPHER_CTX_free(mac);
		mac = NULL;
		mac_failed(e);
	}
	EVP_CIPHER_free(gcm); /* the context holds it */
	return mac;
}

/* each block has a nonce of its own: its number */
static int mac_start(EVP_CIPHER_CTX *mac, uint64_t block, struct err *e)
{
	uint8_t nonce[NONCE_LEN] = {0};

	memcpy(nonce, &block, sizeof(block));
	return EVP_EncryptInit_ex2(mac, NULL, NULL, nonce, NULL) ? 0 : mac_failed(e);
}

static int mac_add(EVP_CIPHER_CTX *mac, const uint8_t *buf, size_t n, struct err *e)
{
	int len;

	return EVP_EncryptUpdate(mac, NULL, &len, buf, (int)n) ? 0 : mac_failed(e);
}

static int mac_end(EVP_CIPHER_CTX *mac, uint8_t tag[TAG_LEN], struct err *e)
{
	uint8_t none[TAG_LEN];
	int len;

	if (!EVP_EncryptFinal_ex(mac, none, &len) ||
	    !EVP_CIPHER_CTX_ctrl(mac, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, tag))
		return mac_failed(e);
	return 0;
}

/* ---- first pass --------------------------------------------------------------------------------
 */

struct note {
	struct stream s;
	struct notes *notes;
	EVP_CIPHER_CTX *mac;
	uint64_t done;
};

static int note_bytes(struct note *n, const uint8_t *buf, size_t len, struct err *e)
{
	while (len > 0) {
		uint64_t block = n->done / NOTE_BLOCK;
		size_t used = (size_t)(n->done % NOTE_BLOCK);
		size_t part = len < NOTE_BLOCK - used ? len : NOTE_BLOCK - used;
		int rc = used == 0 ? mac_start(n->mac, block, e) : 0;

		if (rc == 0)
			rc = mac_add(n->mac, buf, part, e);
		n->done += part;
		if (rc == 0 && (used + part == NOTE_BLOCK || n->done == n->notes->size))
			rc = mac_end(n->mac, n->notes->tags[block], e);
		if (rc < 0)
			return rc;
		buf += part;
		len -= part;
	}
	return 0;
}

static ssize_t note_count(struct note *n, const uint8_t *buf, ssize_t r, struct err *e)
{
	int rc;

	if (r < 0)
		return r;
	if ((uint64_t)r > n->notes->size - n->done)
		return err_set(e, E_SOURCE_CHANGED, EFBIG, "more than %" PRIu64 " bytes came",
			       n->notes->size);
	if (r == 0 && n->done < n->notes->size)
		return err_set(e, E_TRUNCATED, ENODATA,
			       "%" PRIu64 " of %" PRIu64 " bytes are there", n->done,
			       n->notes->size);
	rc = note_bytes(n, buf, (size_t)r, e);
	if (rc < 0)
		return rc;
	n->notes->complete = r == 0;
	return r;
}

static ssize_t note_next(struct stream *s, const uint8_t **buf, struct err *e)
{
	ssize_t r = stream_next(s->up, buf, e);

	return note_count((struct note *)s, *buf, r, e);
}

static ssize_t note_read(struct stream *s, uint8_t *buf, size_t n, struct err *e)
{
	return note_count((struct note *)s, buf, stream_read(s->up, buf, n, e), e);
}

static void note_close(struct stream *s)
{
	struct note *n = (struct note *)s;

	EVP_CIPHER_CTX_free(n->mac);
	free(n);
}

static const struct stream_ops note_ops = {
	.name = "note",
	.next = note_next,
	.read = note_read,
	.close = note_close,
};

int stage_note_open(struct stream **s, struct notes *notes, struct err *e)
{
	struct note *n = calloc(1, sizeof(*n));

	if (!n)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a stage");
	n->mac = mac_new(notes->key, e);
	if (!n->mac) {
		free(n);
		return -ENOMEM;
	}
	notes->complete = false;
	notes->proven = (*s)->end_proves || (*s)->proof != PROOF_NONE;
	n->notes = notes;
	stream_init(&n->s, &note_ops, *s);
	n->s.has_size = true;
	n->s.size = notes->size;
	*s = &n->s;
	return 0;
}

/* ---- second pass -------------------------------------------------------------------------------
 */

struct proven {
	struct stream s;
	const struct notes *notes;
	EVP_CIPHER_CTX *mac;
	uint8_t *block; /* holds 'held' bytes, 'lent' of them are taken */
	size_t held, lent;
	uint64_t done;
};

static int changed_at(const struct proven *p, struct err *e)
{
	return err_set(e, E_SOURCE_CHANGED, EBADMSG,
		       "the bytes from %" PRIu64 " on are not those that were verified", p->done);
}

/* nothing may follow the last block */
static int proven_end(const struct proven *p, struct err *e)
{
	uint8_t more;
	ssize_t r = stream_read(p->s.up, &more, 1, e);

	return r > 0 ? changed_at(p, e) : (int)r;
}

static int fill_proven(struct proven *p, uint8_t *buf, size_t n, struct err *e)
{
	for (size_t done = 0; done < n;) {
		ssize_t r = stream_read(p->s.up, buf + done, n - done, e);

		if (r < 0)
			return (int)r;
		if (r == 0)
			return changed_at(p, e);
		done += (size_t)r;
	}
	return 0;
}

static int compare_note(const struct proven *p, const uint8_t *buf, size_t n, struct err *e)
{
	uint64_t block = p->done / NOTE_BLOCK;
	uint8_t tag[TAG_LEN];
	int rc = mac_start(p->mac, block, e);

	if (rc == 0)
		rc = mac_add(p->mac, buf, n, e);
	if (rc == 0)
		rc = mac_end(p->mac, tag, e);
	if (rc == 0 && CRYPTO_memcmp(tag, p->notes->tags[block], TAG_LEN) != 0)
		return changed_at(p, e);
	return rc;
}

/* the next block into buf, or nothing at the end */
static ssize_t proven_block(struct proven *p, uint8_t *buf, size_t n, struct err *e)
{
	int rc = n == 0 ? proven_end(p, e) : fill_proven(p, buf, n, e);

	if (rc == 0 && n > 0)
		rc = compare_note(p, buf, n, e);
	if (rc < 0)
		return rc;
	p->done += n;
	return (ssize_t)n;
}

static size_t proven_len(const struct proven *p)
{
	uint64_t left = p->notes->size - p->done;

	return left < NOTE_BLOCK ? (size_t)left : NOTE_BLOCK;
}

static ssize_t proven_next(struct stream *s, const uint8_t **buf, struct err *e)
{
	struct proven *p = (struct proven *)s;
	size_t n = proven_len(p);

	*buf = p->block + p->lent;
	if (p->lent < p->held) {
		n = p->held - p->lent;
		p->lent = p->held;
		return (ssize_t)n;
	}
	*buf = p->block;
	p->lent = p->held = n;
	return proven_block(p, p->block, n, e);
}

/* whole blocks go straight into the caller's memory */
static ssize_t proven_read(struct stream *s, uint8_t *buf, size_t n, struct err *e)
{
	struct proven *p = (struct proven *)s;
	const uint8_t *from = NULL;
	ssize_t r;

	if (p->lent == p->held && n >= proven_len(p))
		return proven_block(p, buf, proven_len(p), e);
	r = proven_next(s, &from, e);
	if (r > 0 && (size_t)r > n) {
		p->lent -= (size_t)r - n;
		r = (ssize_t)n;
	}
	if (r > 0)
		memcpy(buf, from, (size_t)r);
	return r;
}

static void proven_close(struct stream *s)
{
	struct proven *p = (struct proven *)s;

	EVP_CIPHER_CTX_free(p->mac);
	free(p->block);
	free(p);
}

static const struct stream_ops proven_ops = {
	.name = "proven",
	.next = proven_next,
	.read = proven_read,
	.close = proven_close,
};

int stage_proven_open(struct stream **s, const struct notes *notes, struct err *e)
{
	struct proven *p;
	void *mem = NULL;

	if (!notes->complete)
		return err_set(e, E_INTERNAL, EINVAL, "the first pass has not come to its end");
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a stage");
	stream_init(&p->s, &proven_ops, *s);
	p->mac = mac_new(notes->key, e);
	if (!p->mac || posix_memalign(&mem, STREAM_ALIGN, NOTE_BLOCK) != 0) {
		proven_close(&p->s);
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a block of %u bytes",
			       NOTE_BLOCK);
	}
	p->block = mem;
	p->notes = notes;
	if (notes->proven)
		p->s.proof = PROOF_WHOLE;
	p->s.has_size = true;
	p->s.size = notes->size;
	*s = &p->s;
	return 0;
}
