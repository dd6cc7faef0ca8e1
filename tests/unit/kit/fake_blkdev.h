/*
 * A device for tests: memory that is as strict as O_DIRECT, fails when it is told to, and keeps a
 * log of what was done to it. Nothing here asserts.
 */
#ifndef TESTS_UNIT_FAKE_BLKDEV_H
#define TESTS_UNIT_FAKE_BLKDEV_H

#include "corelib/device/blkdev.h"

enum fakedev_op {
	FAKEDEV_NOTHING,
	FAKEDEV_WRITE,
	FAKEDEV_ANY,
	FAKEDEV_READ,
	FAKEDEV_ZERO,
	FAKEDEV_FLUSH,
	FAKEDEV_FINISH
};

struct fakedev_entry {
	enum fakedev_op op;
	uint64_t off, len;
	const void *buf; /* of writes: where the bytes lay */
};

struct fakedev {
	struct blkdev d; /* size, alignments and kinds may be changed before use */
	uint8_t *mem;
	size_t room;
	bool no_zero; /* zero() is not supported */
	enum fakedev_op fail_op;
	bool no_log;	  /* allocate nothing */
	unsigned fail_at; /* the N-th of fail_op, from 1; with fail_on also all that follow */
	bool fail_on;
	int fail_errno;
	/* what was seen */
	struct fakedev_entry *log;
	size_t count;
	unsigned misaligned, closed;
	struct blkdev_ops ops;
};

/* size bytes of 'fill'; alignments 4096; 0 or -1 when there is no memory */
int fakedev_init(struct fakedev *f, size_t size, uint8_t fill);
void fakedev_clear(struct fakedev *f);
/* forget the log and the counters */
void fakedev_forget(struct fakedev *f);
unsigned fakedev_count(const struct fakedev *f, enum fakedev_op op);
uint64_t fakedev_bytes(const struct fakedev *f, enum fakedev_op op);
/* a file that grows: has no size, reads zero; it takes up to the size it was made with */
void fakedev_grows(struct fakedev *f);

#endif
