/* Signed block hashes: each block is compared before it is lent, on one thread or on several. */
#include "corelib/stream/stages.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/digest.h"
#include "corelib/base/text.h"
#include "corelib/base/thread.h"

#define BLOCK_MIN   (64u * 1024)
#define BLOCK_MAX   (1024u * 1024)
#define THREADS_MAX 16u

struct slot {
	uint8_t *mem;
	size_t len;
	int rc;
	struct err err;
	bool ready; /* guarded by the lock; while it is false the slot belongs to one worker */
};

struct blocks;
struct worker {
	struct blocks *b;
	struct sha256 hash;
	pthread_t thread;
};

struct blocks {
	struct stream s;
	struct block_hashes h;
	unsigned threads, running, nslots;
	struct slot *slots;
	struct worker *workers;
	uint8_t *mem;
	uint64_t lend; /* number of the next block to lend */

	pthread_mutex_t pull; /* who holds it reads from the upstream, block 'pulled' */
	uint64_t pulled;
	bool dry; /* nothing more to read */

	pthread_mutex_t lock; /* guards what follows and slot.ready */
	pthread_cond_t moved;
	uint64_t freed; /* blocks before this one are given back */
	bool quit;
};

/* ---- one block ---------------------------------------------------------------------------------
 */

/* number 'count' stands for the end: nothing may follow the last block */
static size_t block_len(const struct block_hashes *h, uint64_t number)
{
	uint64_t left;

	if (number >= h->count)
		return 0;
	left = h->size - number * h->block;
	return left < h->block ? (size_t)left : h->block;
}

static int check_end(struct stream *up, struct err *e)
{
	uint8_t more;
	ssize_t r = stream_read(up, &more, 1, e);

	if (r > 0)
		return err_set(e, E_BLOCK_HASH, EFBIG, "bytes follow behind the last block");
	return (int)r;
}

static int read_block(struct blocks *b, struct slot *slot, uint64_t number, struct err *e)
{
	size_t n = block_len(&b->h, number);
	int rc;

	slot->len = n;
	if (n == 0)
		return check_end(b->s.up, e);
	rc = stream_read_all(b->s.up, slot->mem, n, e);
	return err_at(e, rc, "block %" PRIu64 " of %" PRIu64, number, b->h.count);
}

static int check_block(const struct blocks *b, struct sha256 *hash, struct slot *slot,
		       uint64_t number)
{
	uint8_t got[SHA256_LEN];
	struct err *e = &slot->err;
	int rc = sha256_again(hash, e);

	if (rc == 0)
		rc = sha256_update(hash, slot->mem, slot->len, e);
	if (rc == 0)
		rc = sha256_final(hash, got, e);
	if (rc == 0 && memcmp(got, b->h.digests + number * SHA256_LEN, SHA256_LEN) != 0)
		rc = err_set(e, E_BLOCK_HASH, EBADMSG,
			     "block %" PRIu64 " of %" PRIu64 " (from byte %" PRIu64
			     ") has another sha256 than the signed list",
			     number, b->h.count, number * b->h.block);
	return rc;
}

static ssize_t slot_result(const struct slot *slot, const uint8_t **buf, struct err *e)
{
	if (slot->rc < 0) {
		*e = slot->err;
		return slot->rc;
	}
	*buf = slot->mem;
	return (ssize_t)slot->len;
}

static ssize_t next_alone(struct stream *s, const uint8_t **buf, struct err *e)
{
	struct blocks *b = (struct blocks *)s;
	struct slot *slot = b->slots;

	slot->rc = read_block(b, slot, b->lend, &slot->err);
	if (slot->rc == 0 && slot->len > 0)
		slot->rc = check_block(b, &b->workers->hash, slot, b->lend++);
	return slot_result(slot, buf, e);
}

/* ---- several threads ----------------------------------------------------------------------------
 */

static bool wait_for_slot(struct blocks *b, uint64_t number)
{
	bool go_on;

	pthread_mutex_lock(&b->lock);
	while (number - b->freed >= b->nslots && !b->quit)
		pthread_cond_wait(&b->moved, &b->lock);
	go_on = !b->quit;
	pthread_mutex_unlock(&b->lock);
	return go_on;
}

/* the next block, read but not checked; NULL when this worker may go home */
static struct slot *pull_block(struct blocks *b, uint64_t *number)
{
	struct slot *slot = NULL;

	pthread_mutex_lock(&b->pull);
	if (!b->dry && wait_for_slot(b, b->pulled)) {
		*number = b->pulled++;
		slot = &b->slots[*number % b->nslots];
		slot->rc = read_block(b, slot, *number, &slot->err);
		b->dry = slot->rc < 0 || slot->len == 0;
	}
	pthread_mutex_unlock(&b->pull);
	return slot;
}

static void *worker_run(void *arg)
{
	struct worker *w = arg;
	struct blocks *b = w->b;
	struct slot *slot;
	uint64_t number;

	while ((slot = pull_block(b, &number))) {
		if (slot->rc == 0 && slot->len > 0)
			slot->rc = check_block(b, &w->hash, slot, number);
		pthread_mutex_lock(&b->lock);
		slot->ready = true;
		pthread_cond_broadcast(&b->moved);
		pthread_mutex_unlock(&b->lock);
	}
	return NULL;
}

/* gives the lent block back and waits for block 'lend' */
static ssize_t next_of_many(struct stream *s, const uint8_t **buf, struct err *e)
{
	struct blocks *b = (struct blocks *)s;
	struct slot *slot = &b->slots[b->lend % b->nslots];

	pthread_mutex_lock(&b->lock);
	if (b->lend > 0)
		b->slots[(b->lend - 1) % b->nslots].ready = false;
	b->freed = b->lend;
	pthread_cond_broadcast(&b->moved);
	while (!slot->ready)
		pthread_cond_wait(&b->moved, &b->lock);
	pthread_mutex_unlock(&b->lock);
	b->lend++;
	return slot_result(slot, buf, e);
}

/* ---- open and close
 * ------------------------------------------------------------------------------ */

static void stop_workers(struct blocks *b)
{
	/* behind the end no worker reads, and a source that is borrowed serves others after us */
	if (b->running > 0 && !b->s.ended)
		stream_stop(b->s.up);
	pthread_mutex_lock(&b->lock);
	b->quit = true;
	pthread_cond_broadcast(&b->moved);
	pthread_mutex_unlock(&b->lock);
	for (unsigned i = 0; i < b->running; i++)
		pthread_join(b->workers[i].thread, NULL);
}

static void blocks_close(struct stream *s)
{
	struct blocks *b = (struct blocks *)s;

	stop_workers(b);
	for (unsigned i = 0; b->workers && i < b->threads; i++)
		sha256_clear(&b->workers[i].hash);
	pthread_cond_destroy(&b->moved);
	pthread_mutex_destroy(&b->lock);
	pthread_mutex_destroy(&b->pull);
	free(b->workers);
	free(b->slots);
	free(b->mem);
	free(b);
}

static const struct stream_ops alone_ops = {
	.name = "blocks",
	.next = next_alone,
	.close = blocks_close,
};

static const struct stream_ops many_ops = {
	.name = "blocks",
	.next = next_of_many,
	.close = blocks_close,
};

static int list_check(const struct block_hashes *h, struct err *e)
{
	if (h->block < BLOCK_MIN || h->block > BLOCK_MAX || (h->block & (h->block - 1)))
		return err_set(
			e, E_HASH_LIST, EINVAL,
			"blocks of %u bytes: they must be a power of two from 64 KiB to 1 MiB",
			h->block);
	if (h->count != h->size / h->block + (h->size % h->block != 0))
		return err_set(e, E_HASH_LIST, EINVAL,
			       "%" PRIu64 " digests do not fit %" PRIu64 " bytes in blocks of %u",
			       h->count, h->size, h->block);
	return 0;
}

static int blocks_memory(struct blocks *b, struct err *e)
{
	void *mem = NULL;

	b->slots = calloc(b->nslots, sizeof(*b->slots));
	b->workers = calloc(b->threads, sizeof(*b->workers));
	if (!b->slots || !b->workers ||
	    posix_memalign(&mem, STREAM_ALIGN, (size_t)b->nslots * b->h.block) != 0)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for %u blocks of %u bytes",
			       b->nslots, b->h.block);
	b->mem = mem;
	for (unsigned i = 0; i < b->nslots; i++)
		b->slots[i].mem = b->mem + (size_t)i * b->h.block;
	for (unsigned i = 0; i < b->threads; i++) {
		int rc = sha256_init(&b->workers[i].hash, e);

		if (rc < 0)
			return rc;
		b->workers[i].b = b;
	}
	return 0;
}

/* fewer threads than wished are enough, one is needed */
static int start_workers(struct blocks *b, struct err *e)
{
	struct err ignored;
	int rc = thread_start(&b->workers[0].thread, worker_run, &b->workers[0], e);

	if (rc < 0)
		return rc;
	for (b->running = 1; b->running < b->threads; b->running++) {
		err_clear(&ignored);
		if (thread_start(&b->workers[b->running].thread, worker_run,
				 &b->workers[b->running], &ignored) < 0)
			break;
	}
	return 0;
}

static struct blocks *blocks_new(struct stream *up, const struct block_hashes *h, unsigned threads)
{
	struct blocks *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->h = *h;
	b->threads = threads < 1 ? 1 : threads > THREADS_MAX ? THREADS_MAX : threads;
	b->nslots = b->threads == 1 ? 1 : b->threads + 2;
	stream_init(&b->s, b->threads == 1 ? &alone_ops : &many_ops, up);
	if (b->s.proof == PROOF_NONE)
		b->s.proof = PROOF_BLOCK;
	b->s.has_size = true;
	b->s.size = h->size;
	pthread_mutex_init(&b->pull, NULL);
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->moved, NULL);
	return b;
}

int stage_blocks_open(struct stream **s, const struct block_hashes *h, unsigned threads,
		      struct err *e)
{
	struct blocks *b;
	int rc = list_check(h, e);

	if (rc < 0)
		return rc;
	b = blocks_new(*s, h, threads);
	if (!b)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a stage");
	rc = blocks_memory(b, e);
	if (rc == 0 && b->threads > 1)
		rc = start_workers(b, e);
	if (rc < 0) {
		blocks_close(&b->s);
		return rc;
	}
	*s = &b->s;
	return 0;
}
