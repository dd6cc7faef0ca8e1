/* stage_guess: a payload that says by its first bytes how it is compressed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/stream/archive.h"
#include "corelib/stream/codec.h"
#include "corelib/stream/stages.h"
#include "corelib/base/text.h"

#define HEAD 6u

/* lends the bytes that were looked at again, then the upstream's */
struct again {
	struct stream stream;
	uint8_t head[HEAD];
	size_t len;
	bool lent;
};

static ssize_t again_next(struct stream *s, const uint8_t **buf, struct err *e)
{
	struct again *a = (struct again *)s;

	if (a->lent || a->len == 0)
		return stream_next(s->up, buf, e);
	a->lent = true;
	*buf = a->head;
	return (ssize_t)a->len;
}

static void again_close(struct stream *s)
{
	free(s);
}

static const struct stream_ops again_ops = {
	.name = "again",
	.next = again_next,
	.close = again_close,
};

static int look(struct again *a, struct stream *up, struct err *e)
{
	ssize_t n = 1;

	while (a->len < HEAD && n > 0) {
		n = stream_read(up, a->head + a->len, HEAD - a->len, e);
		if (n > 0)
			a->len += (size_t)n;
	}
	return n < 0 ? (int)n : 0;
}

static enum codec guess(const uint8_t *head, size_t len)
{
	uint32_t magic = len >= 4 ? codec_le32(head) : 0;

	if (len >= 2 && head[0] == 0x1f && head[1] == 0x8b)
		return CODEC_GZIP;
	if (len >= 6 && !memcmp(head,
				"\xfd"
				"7zXZ\0",
				6))
		return CODEC_XZ;
	if (magic == 0x184d2204u)
		return CODEC_LZ4;
	return magic == 0xfd2fb528u || codec_is_skippable(magic) ? CODEC_ZSTD : CODEC_NONE;
}

int stage_guess_open(struct stream **s, uint64_t mem_max, struct err *e)
{
	AUTO_FREE struct again *a = calloc(1, sizeof(*a));
	enum codec c;
	int rc;

	if (!a)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a stage");
	rc = look(a, *s, e);
	if (rc < 0)
		return rc;
	c = guess(a->head, a->len);
	stream_init(&a->stream, &again_ops, *s);
	*s = &a->stream;
	a = NULL;
	return c == CODEC_NONE ? 0 : stage_decompress_open(s, c, mem_max, e);
}
