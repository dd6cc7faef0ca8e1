/* The end is only an end when the bytes have the SHA-256 of the signed description. */
#include "corelib/stream/stages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/digest.h"
#include "corelib/base/text.h"

struct verify {
	struct stream s;
	struct sha256 hash;
	uint8_t want[SHA256_LEN];
	uint64_t seen;
};

static ssize_t verify_end(struct verify *v, struct err *e)
{
	char want[2 * SHA256_LEN + 1], have[2 * SHA256_LEN + 1];
	uint8_t got[SHA256_LEN];
	int rc = sha256_final(&v->hash, got, e);

	if (rc < 0 || memcmp(got, v->want, sizeof(got)) == 0)
		return rc;
	text_hex(v->want, sizeof(v->want), want);
	text_hex(got, sizeof(got), have);
	return err_set(e, E_PAYLOAD_HASH, EBADMSG, "sha256 is %s, the signed description says %s",
		       have, want);
}

/* cpio's checksum fails behind the last byte: only the signed digest knows whether one was changed
 */
static ssize_t verify_failed(struct verify *v, ssize_t r, struct err *e)
{
	uint8_t got[SHA256_LEN];
	struct err sum = *e, other = {0};

	/* the digest of a part alone would tell nothing */
	if (e->code != E_CPIO_SUM || !v->s.has_size || v->seen != v->s.size ||
	    sha256_final(&v->hash, got, &other) < 0 || memcmp(got, v->want, sizeof(got)) == 0)
		return r;
	err_clear(e);
	r = err_set(e, E_PAYLOAD_HASH, EBADMSG,
		    "the signed digest differs, and so does the checksum of the archive");
	return err_at(e, (int)r, "%s", sum.where);
}

static ssize_t verify_count(struct verify *v, const uint8_t *buf, ssize_t r, struct err *e)
{
	int rc;

	if (r < 0)
		return verify_failed(v, r, e);
	if (r == 0)
		return verify_end(v, e);
	v->seen += (uint64_t)r;
	rc = sha256_update(&v->hash, buf, (size_t)r, e);
	return rc < 0 ? rc : r;
}

static ssize_t verify_next(struct stream *s, const uint8_t **buf, struct err *e)
{
	ssize_t r = stream_next(s->up, buf, e);

	return verify_count((struct verify *)s, *buf, r, e);
}

static ssize_t verify_read(struct stream *s, uint8_t *buf, size_t n, struct err *e)
{
	return verify_count((struct verify *)s, buf, stream_read(s->up, buf, n, e), e);
}

static void verify_close(struct stream *s)
{
	struct verify *v = (struct verify *)s;

	sha256_clear(&v->hash);
	free(v);
}

static const struct stream_ops verify_ops = {
	.name = "verify",
	.next = verify_next,
	.read = verify_read,
	.close = verify_close,
};

int stage_verify_open(struct stream **s, const uint8_t sha256[32], struct err *e)
{
	struct verify *v = calloc(1, sizeof(*v));
	int rc;

	if (!v)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a stage");
	rc = sha256_init(&v->hash, e);
	if (rc < 0) {
		free(v);
		return rc;
	}
	stream_init(&v->s, &verify_ops, *s);
	v->s.end_proves = true;
	v->s.has_size = (*s)->has_size;
	v->s.size = (*s)->size;
	memcpy(v->want, sha256, SHA256_LEN);
	*s = &v->s;
	return 0;
}
