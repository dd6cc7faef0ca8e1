#include "tests/unit/kit/chunks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct source {
	struct stream stream;
	struct chunks c;
	size_t pos;
	uint8_t *piece; /* what was lent is overwritten, so that nobody may keep it */
};

static ssize_t source_next(struct stream *s, const uint8_t **buf, struct err *e)
{
	struct source *src = (struct source *)s;
	size_t left = src->c.bytes.len - src->pos;
	size_t n = src->c.max ? 1 + tool_random(&src->c.seed) % src->c.max : left;

	if (!left)
		return src->c.at_end ? err_set(e, src->c.at_end, EIO, "told so by the test") : 0;
	if (n > left)
		n = left;
	free(src->piece);
	src->piece = malloc(n);
	if (!src->piece)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the test");
	memcpy(src->piece, src->c.bytes.data + src->pos, n);
	src->pos += n;
	*buf = src->piece;
	return (ssize_t)n;
}

static void source_close(struct stream *s)
{
	struct source *src = (struct source *)s;

	if (src->c.closed)
		++*src->c.closed;
	free(src->piece);
	free(src);
}

static const struct stream_ops source_ops = {
	.name = "chunks",
	.next = source_next,
	.close = source_close,
};

struct stream *chunks_open(const struct chunks *c)
{
	struct source *src = calloc(1, sizeof(*src));

	if (!src)
		exit(99);
	stream_init(&src->stream, &source_ops, NULL);
	src->c = *c;
	return &src->stream;
}

int chunks_read(struct stream *s, size_t max, struct blob *out, struct err *e)
{
	unsigned seed = (unsigned)max + 7;
	const uint8_t *lent;
	uint8_t *buf = malloc(max + 1);
	ssize_t n;

	if (!buf)
		exit(99);
	do {
		size_t want = max ? 1 + tool_random(&seed) % max : 0;

		n = max ? stream_read(s, buf, want, e) : stream_next(s, &lent, e);
		if (n > 0)
			blob_add(out, max ? buf : lent, (size_t)n);
	} while (n > 0);
	free(buf);
	return (int)n;
}
