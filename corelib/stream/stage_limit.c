/* Lengths: exactly so many bytes (limit), at most so many (cap). */
#include "corelib/stream/stages.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>

struct limit {
	struct stream s;
	uint64_t size, done;
};

static void limit_close(struct stream *s)
{
	free(s);
}

/* ---- exactly -----------------------------------------------------------------------------------
 */

static size_t left_of(const struct limit *l, size_t n)
{
	return l->size - l->done < n ? (size_t)(l->size - l->done) : n;
}

static ssize_t limit_count(struct limit *l, ssize_t r, struct err *e)
{
	if (r == 0)
		return err_set(e, E_TRUNCATED, ENODATA,
			       "%" PRIu64 " of %" PRIu64 " bytes are there", l->done, l->size);
	if (r > 0)
		l->done += (uint64_t)r;
	return r;
}

static ssize_t limit_next(struct stream *s, const uint8_t **buf, struct err *e)
{
	struct limit *l = (struct limit *)s;
	size_t n = left_of(l, SSIZE_MAX);

	return n == 0 ? 0 : limit_count(l, stream_next_max(s->up, n, buf, e), e);
}

static ssize_t limit_read(struct stream *s, uint8_t *buf, size_t n, struct err *e)
{
	struct limit *l = (struct limit *)s;

	n = left_of(l, n);
	return n == 0 ? 0 : limit_count(l, stream_read(s->up, buf, n, e), e);
}

static const struct stream_ops limit_ops = {
	.name = "limit",
	.next = limit_next,
	.read = limit_read,
	.close = limit_close,
};

/* ---- at most -----------------------------------------------------------------------------------
 */

static ssize_t cap_count(struct limit *l, ssize_t r, struct err *e)
{
	if (r <= 0)
		return r;
	if ((uint64_t)r > l->size - l->done)
		return err_set(e, E_LIMIT_OUTPUT, EFBIG, "more than %" PRIu64 " bytes came",
			       l->size);
	l->done += (uint64_t)r;
	return r;
}

static ssize_t cap_next(struct stream *s, const uint8_t **buf, struct err *e)
{
	return cap_count((struct limit *)s, stream_next(s->up, buf, e), e);
}

static ssize_t cap_read(struct stream *s, uint8_t *buf, size_t n, struct err *e)
{
	return cap_count((struct limit *)s, stream_read(s->up, buf, n, e), e);
}

static const struct stream_ops cap_ops = {
	.name = "cap",
	.next = cap_next,
	.read = cap_read,
	.close = limit_close,
};

/* ---- open --------------------------------------------------------------------------------------
 */

static struct limit *limit_new(struct stream **s, const struct stream_ops *ops, uint64_t size,
			       struct err *e)
{
	struct limit *l = calloc(1, sizeof(*l));

	if (!l) {
		err_set(e, E_MEMORY, ENOMEM, "no memory for a stage");
		return NULL;
	}
	stream_init(&l->s, ops, *s);
	l->size = size;
	*s = &l->s;
	return l;
}

int stage_limit_open(struct stream **s, uint64_t size, struct err *e)
{
	struct limit *l = limit_new(s, &limit_ops, size, e);

	if (!l)
		return -ENOMEM;
	l->s.has_size = true;
	l->s.size = size;
	return 0;
}

int stage_cap_open(struct stream **s, uint64_t max, struct err *e)
{
	struct stream *up = *s;
	struct limit *l = limit_new(s, &cap_ops, max, e);

	if (!l)
		return -ENOMEM;
	l->s.has_size = up->has_size;
	l->s.size = up->size;
	return 0;
}
