/* stage_guess: a payload that says by its first bytes how it is compressed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/stream/archive.h"
#include "corelib/stream/codec.h"
#include "corelib/stream/stages.h"
#include "corelib/base/text.h"

/* lends the bytes that were looked at again, then the upstream's */
struct again {
	struct stream stream;
	uint8_t head[PEEK_MAX];
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

int stage_peek_open(struct stream **s, uint8_t head[PEEK_MAX], size_t *n, struct err *e)
{
	struct again *a = calloc(1, sizeof(*a));
	ssize_t r = 1;

	if (!a)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a stage");
	while (a->len < PEEK_MAX && r > 0) {
		r = stream_read(*s, a->head + a->len, PEEK_MAX - a->len, e);
		if (r > 0)
			a->len += (size_t)r;
	}
	if (r < 0) {
		free(a);
		return (int)r;
	}
	memcpy(head, a->head, a->len);
	*n = a->len;
	stream_init(&a->stream, &again_ops, *s);
	a->stream.has_size = (*s)->has_size;
	a->stream.size = (*s)->size;
	*s = &a->stream;
	return 0;
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
	if (codec_is_bzip2(head, len))
		return CODEC_BZIP2;
	return magic == 0xfd2fb528u || codec_is_skippable(magic) ? CODEC_ZSTD : CODEC_NONE;
}

int stage_guess_open(struct stream **s, uint64_t mem_max, struct err *e)
{
	uint8_t head[PEEK_MAX];
	size_t n;
	int rc = stage_peek_open(s, head, &n, e);
	enum codec c = rc < 0 ? CODEC_NONE : guess(head, n);

	return c == CODEC_NONE ? rc : stage_decompress_open(s, c, mem_max, e);
}
