#include "core/readback.h"

#include <errno.h>
#include <stdlib.h>

#include "corelib/base/digest.h"
#include "corelib/device/blkdev.h"
#include "corelib/files/staged.h"

struct readback {
	struct stream s;
	struct sha256 hash;
	uint64_t bytes;
};

static ssize_t readback_next(struct stream *s, const uint8_t **buf, struct err *e)
{
	struct readback *t = (struct readback *)s;
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

static void readback_close(struct stream *s)
{
	struct readback *t = (struct readback *)s;

	sha256_clear(&t->hash);
	free(t);
}

static const struct stream_ops readback_ops = {
	.name = "readback", .next = readback_next, .close = readback_close};

int readback_open(struct stream **s, struct readback **out, struct err *e)
{
	struct readback *t = calloc(1, sizeof(*t));
	int rc;

	if (!t)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the hash of what is written");
	rc = sha256_init(&t->hash, e);
	if (rc < 0) {
		free(t);
		return rc;
	}
	stream_init(&t->s, &readback_ops, *s);
	*s = &t->s;
	*out = t;
	return 0;
}

static int check_device(struct readback *t, struct blkdev *d, uint64_t offset, const uint8_t *sum,
			struct err *e)
{
	int rc = blkdev_flush(d, e);

	return rc < 0 ? rc : blkdev_check(d, offset, t->bytes, sum, e);
}

/* a file that is not in its place yet is read as a device without an offset */
static int check_file(struct readback *t, struct staged *file, const uint8_t *sum, struct err *e)
{
	struct blkdev *d = NULL;
	int fd = staged_content(file, e), rc;

	if (fd < 0)
		return fd;
	rc = blkdev_open(&d, fd, file->address.name, NULL, e);
	if (rc < 0)
		return rc;
	rc = check_device(t, d, 0, sum, e);
	blkdev_close(d);
	return rc;
}

int readback_check(struct readback *t, const struct step *st, struct err *e)
{
	uint8_t sum[SHA256_LEN];
	int rc = sha256_final(&t->hash, sum, e);

	if (rc < 0)
		return rc;
	return st->dev ? check_device(t, st->dev, st->entry->offset, sum, e)
		       : check_file(t, st->file, sum, e);
}
