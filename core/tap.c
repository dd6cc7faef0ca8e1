#include "core/tap.h"

#include <errno.h>
#include <stdlib.h>

#include "corelib/base/digest.h"

struct tap {
	struct stream s;
	struct sha256 hash;
	uint64_t bytes;
};

static ssize_t tap_next(struct stream *s, const uint8_t **buf, struct err *e)
{
	struct tap *t = (struct tap *)s;
	ssize_t n = stream_next(s->up, buf, e);
	int rc;

	if (n <= 0)
		return n;
	rc = sha256_update(&t->hash, *buf, (size_t)n, e);
	if (rc < 0)
		return rc;
	t->bytes += (uint64_t)n;
	return n;
}

static void tap_close(struct stream *s)
{
	struct tap *t = (struct tap *)s;

	sha256_clear(&t->hash);
	free(t);
}

static const struct stream_ops tap_ops = {.name = "tap", .next = tap_next, .close = tap_close};

int tap_open(struct stream **s, struct tap **out, struct err *e)
{
	struct tap *t = calloc(1, sizeof(*t));
	int rc;

	if (!t)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the hash of what is written");
	rc = sha256_init(&t->hash, e);
	if (rc < 0) {
		free(t);
		return rc;
	}
	stream_init(&t->s, &tap_ops, *s);
	*s = &t->s;
	*out = t;
	return 0;
}

int tap_check(struct tap *t, const struct step *st, struct err *e)
{
	uint8_t sum[SHA256_LEN];
	int rc = sha256_final(&t->hash, sum, e);

	if (rc == 0)
		rc = blkdev_flush(st->dev, e);
	if (rc == 0)
		rc = blkdev_check(st->dev, st->entry->offset, t->bytes, sum, e);
	return rc;
}
