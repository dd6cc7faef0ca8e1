/*
 * The names in a disk's partition table (GPT): read, and changed so that a cut leaves the old
 * table, the new one, or a whole copy of one of them.
 *
 * A table stands twice on its disk. The copy that does not count is written and flushed before the
 * one that counts; readers take the second copy where the first is damaged. Whoever lays out a disk
 * makes its table anew (corelib/device/parttable.h); here every byte but the names stays, and which
 * copy is whole is known, which libfdisk mends while it reads.
 */
#ifndef CORELIB_GPT_H
#define CORELIB_GPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "corelib/base/err.h"

enum { GPT_NAME = 72, GPT_ID = 16 }; /* bytes of a name (UTF-16) and of a partition's own number */

/* one partition that gets another name */
struct gpt_change {
	uint8_t id[GPT_ID], old_name[GPT_NAME], new_name[GPT_NAME];
};

struct gpt;
/* 'fd' is lent. E_TARGET: no such table, or neither copy is whole */
int gpt_open(struct gpt **g, int fd, struct err *e);
struct gpt *gpt_close(struct gpt *g);

/* the partition of this name gets 'name', in memory only. E_TARGET: none has it, or several */
int gpt_swap(struct gpt *g, const char *a, const char *b, struct err *e);
/* what gpt_swap() did since the table was opened: how many changes, at most 'most' of them in 'out'
 */
size_t gpt_changes(const struct gpt *g, struct gpt_change *out, size_t most);

/* which names do these partitions have? Neither: somebody else made another table */
enum gpt_names { GPT_OLD, GPT_NEW, GPT_OTHER };
enum gpt_names gpt_look(const struct gpt *g, const struct gpt_change *c, size_t n);
/* the old or the new names, on the medium, both copies whole, read back. Writes nothing where all
 * of it is so already. E_TARGET_WRITE, E_TARGET_FLUSH */
int gpt_set(struct gpt *g, const struct gpt_change *c, size_t n, enum gpt_names which,
	    struct err *e);

#endif
