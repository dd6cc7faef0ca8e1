/* What all streams share: the way of taking bytes that a stage lacks, sticky ends and errors. */
#include "corelib/stream/stream.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define READ_MAX ((size_t)1 << 30)

void stream_init(struct stream *s, const struct stream_ops *ops, struct stream *up)
{
	memset(s, 0, sizeof(*s));
	s->ops = ops;
	s->up = up;
	s->proof = up ? up->proof : PROOF_NONE;
	s->end_proves = up && up->end_proves;
}

/* ---- sticky states -----------------------------------------------------------------------------
 */

static ssize_t fail_again(struct stream *s, struct err *e)
{
	if (!err_is_set(e))
		*e = s->err;
	return s->rc;
}

static ssize_t fail_first(struct stream *s, ssize_t rc, struct err *e)
{
	if (!err_is_set(e))
		err_set(e, E_INTERNAL, (int)-rc, "stage %s failed without a reason", s->ops->name);
	s->rc = (int)rc;
	s->err = *e;
	s->lent_len = 0;
	return rc;
}

/* the count of a call into the stage, judged */
static ssize_t take_count(struct stream *s, ssize_t r, size_t max, struct err *e)
{
	if (r < 0)
		return fail_first(s, r, e);
	if ((size_t)r > max)
		return fail_first(s,
				  err_set(e, E_INTERNAL, EOVERFLOW,
					  "stage %s gave %zd of %zu bytes", s->ops->name, r, max),
				  e);
	if (r == 0)
		s->ended = true;
	return r;
}

static bool is_stopped(struct stream *s)
{
	return atomic_load_explicit(&s->stop, memory_order_relaxed);
}

static ssize_t stopped(struct stream *s, struct err *e)
{
	return fail_first(s, err_set(e, E_CANCELED, ECANCELED, "the stream was stopped"), e);
}

/* 1 = go on, 0 = the end was seen before, < 0 = an error */
static ssize_t may_go_on(struct stream *s, struct err *e)
{
	if (s->rc < 0)
		return fail_again(s, e);
	if (is_stopped(s))
		return stopped(s, e);
	return !s->ended || s->lent_len > 0;
}

/* ---- taking bytes ------------------------------------------------------------------------------
 */

static int own_buffer(struct stream *s, struct err *e)
{
	void *mem = NULL;

	if (s->own)
		return 0;
	if (posix_memalign(&mem, STREAM_ALIGN, STREAM_BLOCK) != 0)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a block of %u bytes",
			       STREAM_BLOCK);
	s->own = mem;
	s->own_size = STREAM_BLOCK;
	return 0;
}

static ssize_t next_of_stage(struct stream *s, const uint8_t **buf, struct err *e)
{
	int rc;

	if (s->ops->next)
		return take_count(s, s->ops->next(s, buf, e), SSIZE_MAX, e);
	rc = own_buffer(s, e);
	if (rc < 0)
		return fail_first(s, rc, e);
	*buf = s->own;
	return take_count(s, s->ops->read(s, s->own, s->own_size, e), s->own_size, e);
}

/* make bytes ready at lent: > 0, 0 at the end, < 0 */
static ssize_t fill_lent(struct stream *s, struct err *e)
{
	ssize_t r = may_go_on(s, e);

	if (r <= 0 || s->lent_len > 0)
		return r;
	r = next_of_stage(s, &s->lent, e);
	if (r > 0)
		s->lent_len = (size_t)r;
	return r;
}

static size_t take_lent(struct stream *s, size_t max)
{
	size_t n = s->lent_len < max ? s->lent_len : max;

	s->lent += n;
	s->lent_len -= n;
	s->pos += n;
	return n;
}

ssize_t stream_next_max(struct stream *s, size_t max, const uint8_t **buf, struct err *e)
{
	ssize_t r = max > 0 ? fill_lent(s, e)
			    : err_set(e, E_INTERNAL, EINVAL, "a read of no bytes says nothing");

	if (r <= 0)
		return r;
	*buf = s->lent;
	return (ssize_t)take_lent(s, max);
}

ssize_t stream_next(struct stream *s, const uint8_t **buf, struct err *e)
{
	return stream_next_max(s, SSIZE_MAX, buf, e);
}

static ssize_t read_direct(struct stream *s, uint8_t *buf, size_t n, struct err *e)
{
	ssize_t r = may_go_on(s, e);

	if (r <= 0)
		return r;
	if (n > READ_MAX)
		n = READ_MAX;
	r = take_count(s, s->ops->read(s, buf, n, e), n, e);
	if (r > 0)
		s->pos += (size_t)r;
	return r;
}

ssize_t stream_read(struct stream *s, void *buf, size_t n, struct err *e)
{
	const uint8_t *from = NULL;
	ssize_t r;

	if (s->ops->read && s->lent_len == 0 && n > 0)
		return read_direct(s, buf, n, e);
	r = stream_next_max(s, n, &from, e);
	if (r > 0)
		memcpy(buf, from, (size_t)r);
	return r;
}

int stream_read_all(struct stream *s, void *buf, size_t n, struct err *e)
{
	for (size_t done = 0; done < n;) {
		ssize_t r = stream_read(s, (uint8_t *)buf + done, n - done, e);

		if (r < 0)
			return (int)r;
		if (r == 0)
			return err_set(e, E_TRUNCATED, ENODATA, "%zu of %zu bytes are there", done,
				       n);
		done += (size_t)r;
	}
	return 0;
}

/* ---- moving ------------------------------------------------------------------------------------
 */

bool stream_can_seek(const struct stream *s)
{
	return s->ops->seek != NULL;
}

int stream_seek(struct stream *s, uint64_t off, struct err *e)
{
	int rc;

	if (s->rc < 0)
		return (int)fail_again(s, e);
	if (!s->ops->seek)
		return err_set(e, E_INTERNAL, ESPIPE, "stage %s goes one way only", s->ops->name);
	rc = s->ops->seek(s, off, e);
	if (rc < 0)
		return (int)fail_first(s, rc, e);
	s->lent_len = 0;
	s->ended = false;
	s->pos = off;
	return 0;
}

int stream_drain(struct stream *s, struct err *e)
{
	const uint8_t *buf;
	ssize_t r;

	do {
		r = stream_next(s, &buf, e);
	} while (r > 0);
	return (int)r;
}

/* ---- ending ------------------------------------------------------------------------------------
 */

void stream_stop(struct stream *s)
{
	for (; s; s = s->up) {
		atomic_store_explicit(&s->stop, true, memory_order_relaxed);
		if (s->ops->stop)
			s->ops->stop(s);
	}
}

struct stream *stream_close(struct stream *s)
{
	while (s) {
		struct stream *up = s->up;
		uint8_t *own = s->own;

		s->ops->close(s);
		free(own);
		s = up;
	}
	return NULL;
}

void cleanup_stream(struct stream **s)
{
	*s = stream_close(*s);
}
