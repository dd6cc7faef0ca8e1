/* Progress and cancel: bytes are counted as they pass, a wish to cancel ends the stream. */
#include "corelib/stream/stages.h"

#include <errno.h>
#include <stdlib.h>

#define STEP (256u * 1024) /* the meter is told no more often than this */

struct count {
	struct stream s;
	struct meter *m;
	uint64_t done, told;
};

static int count_canceled(const struct count *c, struct err *e)
{
	if (!flag_is_set(c->m->cancel))
		return 0;
	return err_set(e, E_CANCELED, ECANCELED, "cancelled after %llu bytes",
		       (unsigned long long)c->done);
}

static void count_tell(struct count *c)
{
	if (c->m->moved && c->told != c->done)
		c->m->moved(c->m->arg, atomic_load_explicit(&c->m->bytes, memory_order_relaxed));
	c->told = c->done;
}

static ssize_t count_moved(struct count *c, ssize_t r)
{
	if (r > 0) {
		c->done += (uint64_t)r;
		atomic_fetch_add_explicit(&c->m->bytes, (uint_fast64_t)r, memory_order_relaxed);
	}
	if (r <= 0 || c->done - c->told >= STEP)
		count_tell(c);
	return r;
}

static ssize_t count_next(struct stream *s, const uint8_t **buf, struct err *e)
{
	struct count *c = (struct count *)s;
	int rc = count_canceled(c, e);

	return rc < 0 ? rc : count_moved(c, stream_next(s->up, buf, e));
}

static ssize_t count_read(struct stream *s, uint8_t *buf, size_t n, struct err *e)
{
	struct count *c = (struct count *)s;
	int rc = count_canceled(c, e);

	return rc < 0 ? rc : count_moved(c, stream_read(s->up, buf, n, e));
}

static void count_close(struct stream *s)
{
	free(s);
}

static const struct stream_ops count_ops = {
	.name = "count",
	.next = count_next,
	.read = count_read,
	.close = count_close,
};

int stage_count_open(struct stream **s, struct meter *m, struct err *e)
{
	struct count *c = calloc(1, sizeof(*c));

	if (!c)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a stage");
	stream_init(&c->s, &count_ops, *s);
	c->s.has_size = (*s)->has_size;
	c->s.size = (*s)->size;
	c->m = m;
	*s = &c->s;
	return 0;
}
