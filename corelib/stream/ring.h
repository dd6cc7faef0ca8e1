/*
 * Two rings of blocks in memory that two processes share: one in, one out.
 *
 * The other side is not trusted: each word of the shared page is read once, copied and judged; what
 * cannot be is -EBADMSG. The memory is sealed in its size, so that no access can fault. Bytes that
 * were lent from a ring may still change under the reader, because the other side can write them:
 * decide nothing by reading them twice. One thread on each side.
 */
#ifndef CORELIB_RING_H
#define CORELIB_RING_H

#include <stddef.h>
#include <stdint.h>

#include "corelib/base/err.h"

#define RING_SLOTS 4u

/* sizes of a slot, multiples of a page; the product chooses them by its memory */
struct ring_shape {
	uint32_t in, out;
};

struct ring_lane;

/* one direction, as one side sees it; counts are our own, the shared ones are only hints */
struct ring {
	struct ring_lane *lane;
	uint8_t *slots;
	uint32_t slot_size;
	uint32_t count; /* blocks that this side has put in or taken out */
};

struct ring_pair {
	void *base;
	size_t size;
	struct ring in, out;
};

/* a new sealed memory; *fd belongs to the caller */
int ring_pair_make(struct ring_pair *p, const struct ring_shape *shape, int *fd, struct err *e);
/* the memory that the other side made */
int ring_pair_join(struct ring_pair *p, const struct ring_shape *shape, int fd, struct err *e);
void ring_pair_clear(struct ring_pair *p);

/* for the side that fills: 1 and a free slot, 0 = none is free, -EBADMSG */
int ring_room(const struct ring *r, uint8_t **slot);
void ring_put(struct ring *r, uint32_t len); /* 0 = the end */

/* for the side that takes: 1 and the oldest block (len 0 = the end), 0 = none, -EBADMSG */
int ring_peek(const struct ring *r, const uint8_t **block, uint32_t *len);
void ring_drop(struct ring *r);

/* an eventfd that does not block: wake the other side; forget what woke us */
void ring_wake(int eventfd);
void ring_awake(int eventfd);

#endif
