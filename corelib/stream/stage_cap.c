/* At most so many bytes. */
#include "corelib/stream/stages.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

struct cap {
	struct stream s;
	uint64_t max, done;
};

static ssize_t cap_count(struct cap *c, ssize_t r, struct err *e)
{
	if (r <= 0)
		return r;
	if ((uint64_t)r > c->max - c->done)
		return err_set(e, E_LIMIT_OUTPUT, EFBIG, "more than %" PRIu64 " bytes came",
			       c->max);
	c->done += (uint64_t)r;
	return r;
}

static ssize_t cap_next(struct stream *s, const uint8_t **buf, struct err *e)
{
	return cap_count((struct cap *)s, stream_next(s->up, buf, e), e);
}

static ssize_t cap_read(struct stream *s, uint8_t *buf, size_t n, struct err *e)
{
	return cap_count((struct cap *)s, stream_read(s->up, buf, n, e), e);
}

static void cap_close(struct stream *s)
{
	free(s);
}

static const struct stream_ops cap_ops = {
	.name = "cap",
	.next = cap_next,
	.read = cap_read,
	.close = cap_close,
};

int stage_cap_open(struct stream **s, uint64_t max, struct err *e)
{
	struct cap *c = calloc(1, sizeof(*c));

	if (!c)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a stage");
	stream_init(&c->s, &cap_ops, *s);
	c->s.has_size = (*s)->has_size;
	c->s.size = (*s)->size;
	c->max = max;
	*s = &c->s;
	return 0;
}
