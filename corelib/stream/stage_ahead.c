/* All that is upstream runs in a thread of its own, a few blocks ahead of who takes them. */
#include "corelib/stream/stages.h"

#include <errno.h>
#include <stdlib.h>

#include "corelib/base/thread.h"

#define DEPTH_MIN 2 /* one to fill, one to lend */
#define DEPTH_MAX 64

struct ahead {
	struct stream s;
	unsigned depth;
	size_t block;
	uint8_t *mem;  /* depth blocks */
	size_t *len;   /* of each block; written before it counts as filled */
	unsigned lend; /* the next one to lend; only the taker moves it */
	bool lending;  /* block lend - 1 is with the taker */
	pthread_t thread;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t moved;
	unsigned filled; /* blocks that are filled, the lent one among them */
	bool done;	 /* no more blocks come; rc and err say why */
	bool quit;
	int rc;
	struct err err;
};

/* ---- the thread --------------------------------------------------------------------------------
 */

static bool wait_for_room(struct ahead *a)
{
	bool room;

	pthread_mutex_lock(&a->lock);
	while (a->filled == a->depth && !a->quit)
		pthread_cond_wait(&a->moved, &a->lock);
	room = !a->quit;
	pthread_mutex_unlock(&a->lock);
	return room;
}

/* fill a block to its end; what the upstream said last */
static ssize_t fill_block(struct ahead *a, unsigned slot, struct err *e)
{
	uint8_t *mem = a->mem + (size_t)slot * a->block;
	size_t n = 0;
	ssize_t r = 1;

	while (n < a->block && r > 0) {
		r = stream_read(a->s.up, mem + n, a->block - n, e);
		if (r > 0)
			n += (size_t)r;
	}
	a->len[slot] = n;
	return r;
}

static void hand_over(struct ahead *a, unsigned slot, ssize_t r, const struct err *e)
{
	pthread_mutex_lock(&a->lock);
	if (a->len[slot] > 0)
		a->filled++;
	if (r <= 0) {
		a->done = true;
		a->rc = (int)r;
		a->err = *e;
	}
	pthread_cond_signal(&a->moved);
	pthread_mutex_unlock(&a->lock);
}

static void *ahead_run(void *arg)
{
	struct ahead *a = arg;
	struct err e;
	ssize_t r = 1;

	err_clear(&e);
	for (unsigned slot = 0; r > 0 && wait_for_room(a); slot = (slot + 1) % a->depth) {
		r = fill_block(a, slot, &e);
		hand_over(a, slot, r, &e);
	}
	return NULL;
}

/* ---- who takes ---------------------------------------------------------------------------------
 */

/* gives the lent block back and waits for the next; false when none comes any more */
static bool take_block(struct ahead *a)
{
	bool there;

	pthread_mutex_lock(&a->lock);
	if (a->lending) {
		a->filled--;
		pthread_cond_signal(&a->moved);
	}
	while (a->filled == 0 && !a->done)
		pthread_cond_wait(&a->moved, &a->lock);
	there = a->filled > 0;
	pthread_mutex_unlock(&a->lock);
	a->lending = there;
	return there;
}

static ssize_t ahead_next(struct stream *s, const uint8_t **buf, struct err *e)
{
	struct ahead *a = (struct ahead *)s;
	unsigned slot = a->lend;

	if (!take_block(a)) {
		if (a->rc < 0)
			*e = a->err; /* the thread has said its last word */
		return a->rc;
	}
	a->lend = (slot + 1) % a->depth;
	*buf = a->mem + (size_t)slot * a->block;
	return (ssize_t)a->len[slot];
}

static void ahead_free(struct ahead *a)
{
	pthread_cond_destroy(&a->moved);
	pthread_mutex_destroy(&a->lock);
	free(a->mem);
	free(a->len);
	free(a);
}

static void ahead_close(struct stream *s)
{
	struct ahead *a = (struct ahead *)s;

	pthread_mutex_lock(&a->lock);
	/* a source that is borrowed serves others after us: stop it only while the thread may wait
	 * on it */
	if (!a->done)
		stream_stop(s->up);
	a->quit = true;
	pthread_cond_broadcast(&a->moved);
	pthread_mutex_unlock(&a->lock);
	pthread_join(a->thread, NULL);
	ahead_free(a);
}

static const struct stream_ops ahead_ops = {
	.name = "ahead",
	.next = ahead_next,
	.close = ahead_close,
};

/* ---- open --------------------------------------------------------------------------------------
 */

static int ahead_memory(struct ahead *a, struct err *e)
{
	void *mem = NULL;

	a->len = calloc(a->depth, sizeof(*a->len));
	if (!a->len || posix_memalign(&mem, STREAM_ALIGN, a->depth * a->block) != 0)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for %u blocks of %zu bytes",
			       a->depth, a->block);
	a->mem = mem;
	return 0;
}

int stage_ahead_open(struct stream **s, unsigned depth, size_t block, struct err *e)
{
	struct ahead *a;
	int rc;

	if (depth > DEPTH_MAX || block > SIZE_MAX / 2 / DEPTH_MAX)
		return err_set(e, E_INTERNAL, EINVAL, "%u blocks of %zu bytes are too many", depth,
			       block);
	a = calloc(1, sizeof(*a));
	if (!a)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a stage");
	stream_init(&a->s, &ahead_ops, *s);
	a->s.has_size = (*s)->has_size;
	a->s.size = (*s)->size;
	a->depth = depth < DEPTH_MIN ? DEPTH_MIN : depth;
	a->block = block == 0 ? STREAM_BLOCK
			      : (block + STREAM_ALIGN - 1) / STREAM_ALIGN * STREAM_ALIGN;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->moved, NULL);
	rc = ahead_memory(a, e);
	if (rc == 0)
		rc = thread_start(&a->thread, ahead_run, a, e);
	if (rc < 0) {
		ahead_free(a);
		return rc;
	}
	*s = &a->s;
	return 0;
}
