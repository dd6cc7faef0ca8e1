/*
 * What the running system uses: mounts, swap, the root device and all below it, holders.
 *
 * A snapshot of /proc and /sys; the kernel's own answer (an exclusive open) comes on top of it,
 * because mounts of other namespaces are in no list.
 */
#ifndef CORE_INUSE_H
#define CORE_INUSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "corelib/base/err.h"
#include "corelib/device/extent.h"
#include "corelib/device/mountinfo.h"

#define INUSE_ROOTS 32

/* names of swap devices and files */
struct inuse_swaps {
	char *text;
	const char **at;
	size_t count;
};

/* a loop device that shows something: its bytes are those of x */
struct inuse_loop {
	char name[32];
	dev_t dev;
	struct extent x;
};

struct inuse {
	struct mountinfo_list mounts;
	struct inuse_swaps swaps;
	dev_t roots[INUSE_ROOTS]; /* the root device and what it is made of */
	size_t root_count;
	struct inuse_loop *loops;
	size_t loop_count;
	int loops_rc; /* < 0: they could not be looked at; no file counts as unused then */
	int watch[2]; /* the kernel's lists, which tell that they have changed */
	uint64_t read_at;
	const char *aside; /* mounts beneath this folder are not counted; NULL: all are */
};
int inuse_read(struct inuse *u, struct err *e);
void inuse_clear(struct inuse *u);
/* looks again where the lists have changed or are old: 1 = it is not what it was, 0, or -errno */
int inuse_renew(struct inuse *u, struct err *e);

bool inuse_is_root(const struct inuse *u, dev_t dev);
/* true and a few words ("is mounted on /data") when the device itself is in use; 'listed': without
 * the exclusive open, which fails for a disk of which any partition is in use */
bool inuse_listed(const struct inuse *u, dev_t dev, char *why, size_t n);
bool inuse_device(const struct inuse *u, dev_t dev, char *why, size_t n);
/* the same for its partitions */
bool inuse_partitions(const struct inuse *u, dev_t disk, char *why, size_t n);
/* the same for a regular file: swap, or behind a loop device that is in use */
bool inuse_file(const struct inuse *u, const struct stat *st, char *why, size_t n);
/* the same for what a loop device shows (x, of extent_of_device), by another loop device or by the
 * device below; false for all other disks */
bool inuse_backing(const struct inuse *u, dev_t loop, const struct extent *x, char *why, size_t n);
/* the same for a character device of flash: an MTD that is mounted or attached to UBI, a UBI volume
 * that is mounted */
bool inuse_flash(const struct inuse *u, dev_t dev, char *why, size_t n);

/* "is mounted on /data" */
void inuse_say_mounted(const struct mountinfo *m, char *why, size_t n);

/* calls f with each partition of a disk until it returns something else than 0, and returns that */
int inuse_each_partition(dev_t disk, int (*f)(dev_t part, void *arg), void *arg);
/* the kernel's name: "mmcblk0boot0"; -ENOENT */
int inuse_name(dev_t dev, char *name, size_t n);

#endif
