/* See fake_stream.h. */
#include "tests/unit/kit/fake_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct fake_source {
	struct stream s;
	struct fake *f;
	uint32_t random;
	uint8_t *piece; /* what next lends, of the exact size, so that a sanitizer sees a step too
			   far */
};

static uint32_t roll(uint32_t *state)
{
	uint32_t x = *state ? *state : 0x9e3779b9u;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return *state = x;
}

void fake_bytes(uint8_t *buf, size_t n, uint32_t seed)
{
	uint32_t state = seed * 2654435761u + 1;

	for (size_t i = 0; i < n; i++)
		buf[i] = (uint8_t)(roll(&state) >> 11);
}

static void hang(struct stream *s)
{
	const struct timespec pause = {0, 5 * 1000 * 1000};

	while (!atomic_load_explicit(&s->stop, memory_order_relaxed))
		nanosleep(&pause, NULL);
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* how many bytes the next call gives, at most n; 0 at the end; < 0 as told */
static ssize_t piece_size(struct fake_source *src, size_t n, struct err *e)
{
	struct fake *f = src->f;
	uint64_t stop = f->ends ? min_u64(f->end_at, f->size) : f->size;

	atomic_fetch_add(&f->calls, 1);
	if (f->fails && f->at >= f->fail_at)
		return err_set(e, f->fail_code ? f->fail_code : E_IO,
			       f->fail_sys ? f->fail_sys : EIO,
			       "the fake fails at byte %llu as it was told",
			       (unsigned long long)f->at);
	if (f->hangs && f->at >= f->hang_at) {
		hang(&src->s);
		return err_set(e, E_CANCELED, ECANCELED, "the fake was stopped");
	}
	if (f->fails)
		stop = min_u64(stop, f->fail_at);
	if (f->hangs)
		stop = min_u64(stop, f->hang_at);
	if (f->max_piece && f->max_piece < n)
		n = f->max_piece;
	if (f->seed && n > 0)
		n = 1 + roll(&src->random) % n;
	return (ssize_t)(f->at >= stop ? 0 : min_u64(n, stop - f->at));
}

static ssize_t fake_next(struct stream *s, const uint8_t **buf, struct err *e)
{
	struct fake_source *src = (struct fake_source *)s;
	ssize_t n = piece_size(src, STREAM_BLOCK, e);

	if (n <= 0)
		return n;
	free(src->piece);
	src->piece = malloc((size_t)n);
	if (!src->piece)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the fake");
	memcpy(src->piece, src->f->data + src->f->at, (size_t)n);
	src->f->at += (uint64_t)n;
	*buf = src->piece;
	return n;
}

static ssize_t fake_read(struct stream *s, uint8_t *buf, size_t n, struct err *e)
{
	struct fake_source *src = (struct fake_source *)s;
	ssize_t r = piece_size(src, n, e);

	if (r > 0) {
		memcpy(buf, src->f->data + src->f->at, (size_t)r);
		src->f->at += (uint64_t)r;
	}
	return r;
}

static int fake_seek(struct stream *s, uint64_t off, struct err *e)
{
	struct fake *f = ((struct fake_source *)s)->f;

	atomic_fetch_add(&f->seeks, 1);
	if (off > f->size)
		return err_set(e, E_TRUNCATED, ENODATA, "behind the end of the fake");
	f->at = off;
	return 0;
}

static void fake_close(struct stream *s)
{
	struct fake_source *src = (struct fake_source *)s;

	atomic_fetch_add(&src->f->closed, 1);
	free(src->piece);
	free(src);
}

#define FAKE_OPS(n, r, k)                                                                          \
	{                                                                                          \
		.name = "fake", .next = n, .read = r, .seek = k, .close = fake_close               \
	}
static const struct stream_ops ways[][2] = {
	[FAKE_BOTH] = {FAKE_OPS(fake_next, fake_read, NULL),
		       FAKE_OPS(fake_next, fake_read, fake_seek)},
	[FAKE_NEXT] = {FAKE_OPS(fake_next, NULL, NULL), FAKE_OPS(fake_next, NULL, fake_seek)},
	[FAKE_READ] = {FAKE_OPS(NULL, fake_read, NULL), FAKE_OPS(NULL, fake_read, fake_seek)},
};

int fake_stream_open(struct stream **s, struct fake *f, struct err *e)
{
	struct fake_source *src = calloc(1, sizeof(*src));

	if (!src)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the fake");
	stream_init(&src->s, &ways[f->way][f->seekable], NULL);
	src->s.proof = f->proof;
	src->s.has_size = !f->no_size;
	src->s.size = f->no_size ? 0 : f->size;
	src->f = f;
	src->random = f->seed;
	f->at = 0;
	*s = &src->s;
	return 0;
}

int fake_take_all(struct stream *s, uint8_t *out, size_t room, size_t *n, uint32_t seed,
		  struct err *e)
{
	uint8_t spare[1];

	for (*n = 0;;) {
		const uint8_t *buf = spare;
		size_t left = room - *n;
		ssize_t r;

		if (seed == 0 || roll(&seed) % 2) {
			r = stream_next(s, &buf, e);
			if (r > 0 && (size_t)r <= left)
				memcpy(out + *n, buf, (size_t)r);
		} else if (left > 0) {
			r = stream_read(s, out + *n, 1 + roll(&seed) % left, e);
		} else {
			r = stream_read(s, spare, 1, e);
		}
		if (r <= 0)
			return (int)r;
		if ((size_t)r > left)
			return err_set(e, E_INTERNAL, EOVERFLOW,
				       "the stream gave more than was expected");
		*n += (size_t)r;
	}
}

int fake_run(struct fake_run *r, struct err *e)
{
	AUTO_STREAM struct stream *s = NULL;
	int rc = fake_stream_open(&s, r->fake, e);

	r->n = 0;
	if (rc == 0)
		rc = r->stage(&s, r->arg, e);
	if (rc == 0)
		rc = fake_take_all(s, r->out, r->room, &r->n, r->seed, e);
	return rc;
}
