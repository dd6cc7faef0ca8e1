/*
 * A place where bytes go at an offset: file, block device, or a fake in tests.
 *
 * The device tells what it is (size, alignment, sequential, readable); blkdev_fill() alone knows
 * how to write it well. pwrite on a 'direct' device takes only memory, length and offset that are
 * multiples of its alignments; tail() takes the unaligned rest without O_DIRECT on the same place.
 * A device whose flush failed is never trusted again: 'broken' stays set and every later flush
 * fails.
 *
 * A regular file that has bytes is a slot: its size is as fixed as a partition's. An empty one
 * grows and ends with exactly the length that was written.
 */
#ifndef CORELIB_BLKDEV_H
#define CORELIB_BLKDEV_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "corelib/stream/stream.h"

enum blkdev_direct { DIRECT_AUTO, DIRECT_YES, DIRECT_NO };
enum blkdev_compare { COMPARE_AUTO, COMPARE_YES, COMPARE_NO };

struct blkdev;

struct blkdev_ops {
	int (*pwrite)(struct blkdev *d, const void *buf, size_t n, uint64_t off, struct err *e);
	/* unaligned heads and tails; NULL = pwrite takes them */
	int (*pwrite_any)(struct blkdev *d, const void *buf, size_t n, uint64_t off, struct err *e);
	/* reads the medium, not a cache; aligned as pwrite. NULL = not readable */
	ssize_t (*pread)(struct blkdev *d, void *buf, size_t n, uint64_t off, struct err *e);
	/* make the range read as zero without sending zeros; -EOPNOTSUPP = write them */
	int (*zero)(struct blkdev *d, uint64_t off, uint64_t len, struct err *e);
	int (*flush)(struct blkdev *d, struct err *e); /* returns only when the medium has it */
	int (*finish)(struct blkdev *d, uint64_t end,
		      struct err *e); /* exact length of files; may be NULL */
	void (*close)(struct blkdev *d);
};

struct blkdev {
	const struct blkdev_ops *ops;
	char name[192];
	int fd;	       /* -1 for fakes */
	bool has_size; /* false: a file that grows */
	uint64_t size;
	uint32_t mem_align; /* 1 when any memory will do */
	uint32_t io_align;  /* of length and offset for pwrite/pread; 1 when any will do */
	bool direct;
	bool sequential;  /* only ever the next byte: no compare, no zero, no offset */
	bool needs_total; /* must know the total beforehand */
	bool reads_zero;  /* a fresh range reads as zero (new file) */
	bool broken;
	enum blkdev_compare compare; /* what a fill does that says AUTO */
	/* what the last fills did */
	uint64_t written, skipped, zeroed;
};

struct blkdev_options {
	enum blkdev_direct direct; /* AUTO: asked of the device and tried with its first block,
				      never assumed */
	enum blkdev_compare compare;
};

/* over an open descriptor of a block device or regular file, which it owns from now on (also on
 * failure) */
int blkdev_open(struct blkdev **d, int fd, const char *name, const struct blkdev_options *o,
		struct err *e);
struct blkdev *blkdev_close(struct blkdev *d); /* returns NULL; does not flush */

/* do len bytes fit at off? E_RANGE when not even the offset does, else E_TARGET_SMALL */
int blkdev_range(const struct blkdev *d, uint64_t off, uint64_t len, struct err *e);

/*
 * Write the whole stream at offset. The one place that knows O_DIRECT, alignment, heads and odd
 * tails, zero blocks, compare-before-write, early writeback. The lent block is taken as it is when
 * aligned. Ends with the stream's proven end; does not flush.
 */
struct fill {
	uint64_t offset;
	enum blkdev_compare
		compare; /* AUTO: as the device says; AUTO there: while it finds equal blocks */
	uint64_t limit;	 /* bytes that may be written from offset; 0 = to the device's end */
};
int blkdev_fill(struct blkdev *d, struct stream *in, const struct fill *f, struct err *e);

int blkdev_flush(struct blkdev *d, struct err *e);

/* compare what the medium holds with the digest (verify-writes): E_VERIFY_WRITES */
int blkdev_check(struct blkdev *d, uint64_t off, uint64_t len, const uint8_t sha256[32],
		 struct err *e);

#endif
