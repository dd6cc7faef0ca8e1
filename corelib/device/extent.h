/*
 * Which bytes of which storage a descriptor's range really is.
 *
 * A partition is a range of its disk, a loop device a range of its file, an MTD character device
 * the same storage as its block device. Two extents that overlap must not be written independently.
 */
#ifndef CORELIB_EXTENT_H
#define CORELIB_EXTENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct extent {
	enum { EXTENT_FILE, EXTENT_DISK, EXTENT_CHAR } kind;
	dev_t dev;	   /* of the disk, the character device, or the file system of the file */
	ino_t ino;	   /* EXTENT_FILE */
	uint64_t off, end; /* end is behind the last byte; UINT64_MAX = not known */
};

/* The range that begins at 'off' in what 'fd' has open; a length of 0 reaches to the end. Returns
 * 0, -ENODEV for what is no storage, or -errno. */
int extent_of(int fd, uint64_t off, uint64_t len, struct extent *x);
/* The same for a block device by its number. extent_on_disk() stops at the disk, extent_of_device()
 * goes on to the file where that disk is a loop device. */
int extent_of_device(dev_t dev, uint64_t off, uint64_t len, struct extent *x);
int extent_on_disk(dev_t dev, uint64_t off, uint64_t len, struct extent *x);
/* what a loop device shows */
struct loop_back {
	bool is_block; /* dev is a block device; else ino is a file on dev */
	dev_t dev;
	ino_t ino;
	uint64_t off;
};
/* -ENOENT when it is no loop device, or shows nothing */
int extent_loop_back(dev_t loop, struct loop_back *b);
bool extent_overlaps(const struct extent *a, const struct extent *b);
bool extent_contains(const struct extent *outer, const struct extent *inner);

/* a number or line of /sys/dev/block/MAJOR:MINOR/'name'; -ENOENT when the device has none */
int extent_sysfs_u64(dev_t dev, const char *name, uint64_t *v);
int extent_sysfs_line(dev_t dev, const char *name, char *out, size_t n);

#endif
