/*
 * The partition table of a disk as a value: read, made, compared, written.
 *
 * libfdisk never sees the disk. It works on a shadow: a file in memory, as long as the disk, with
 * copies of the places where tables lie. What it changed there goes to the disk in an order of our
 * own, with a flush after each part: of GPT the backup first, then the primary table, then the
 * protective record; of DOS the chain of logical partitions, then sector 0. A cut leaves the old
 * table, the new one, or (GPT) a damaged primary beside a whole backup.
 */
#ifndef CORELIB_PARTTABLE_H
#define CORELIB_PARTTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "corelib/base/err.h"
#include "corelib/device/blkdev.h"

enum { PARTTABLE_MAX = 128, PARTTABLE_HYBRID_MAX = 3 };
enum parttable_kind { PARTTABLE_NONE, PARTTABLE_GPT, PARTTABLE_DOS };

/* absent values are empty texts; start and size 0 = as the table has room */
struct partition {
	unsigned number;      /* from 1 */
	uint64_t start, size; /* bytes */
	char name[128];	      /* GPT */
	char type[48];	      /* GPT: a GUID; DOS: two hexadecimal digits */
	char uuid[48];
	char dos_type[8]; /* GPT: its type in a hybrid record too; "" = not in it */
	bool boot;	  /* DOS: the active one */
};

struct parttable {
	enum parttable_kind kind;
	char id[48];
	size_t count;
	struct partition parts[PARTTABLE_MAX]; /* by number, lowest first */
	/* kept by parttable.c: the shadow that the table was read from, or made in */
	int shadow;
	uint32_t sector;
	uint64_t size, usable, usable_end;
	uint32_t room; /* GPT: entries, used or not */
};

/* the kernel's sector size of 'd', for devices that have one, else 512 */
uint32_t parttable_sector(const struct blkdev *d);
/* the table that 'd' has now; PARTTABLE_NONE where there is none. Frees with parttable_free() */
int parttable_read(struct parttable **t, struct blkdev *d, uint32_t sector, struct err *e);
/*
 * The table that 'd' would have: kind and parts of 'wanted', in the place of 'old'. What 'wanted'
 * leaves open stays as it is in a partition of the same number and start (uuid), or is chosen by
 * libfdisk. E_TARGET_SMALL and E_PROPERTY say what does not fit.
 */
int parttable_make(struct parttable **t, const struct parttable *wanted,
		   const struct parttable *old, struct err *e);
bool parttable_same(const struct parttable *a, const struct parttable *b);
/* what 'new' has and 'old' has not, to the disk that both were made for */
int parttable_write(struct blkdev *d, const struct parttable *new, const struct parttable *old,
		    struct err *e);
/* tell the kernel which partitions of 'fd' went and came; 0 where it shows none at all */
int parttable_announce(int fd, const struct parttable *new, const struct parttable *old,
		       struct err *e);
const struct partition *parttable_find(const struct parttable *t, unsigned number);
struct parttable *parttable_free(struct parttable *t); /* returns NULL */
void cleanup_parttable(struct parttable **t);
#define AUTO_PARTTABLE __attribute__((unused, cleanup(cleanup_parttable)))

#endif
