/* What archive.c and archive_entry.c share. */
#ifndef CORELIB_ARCHIVE_PRIVATE_H
#define CORELIB_ARCHIVE_PRIVATE_H

#include <archive.h>
#include <archive_entry.h>

#include "corelib/stream/records.h"

/* memory of one record while it is made */
struct archive_draft {
	char path[RECORD_PATH_MAX + 1], target[RECORD_PATH_MAX + 1];
	struct record_xattr xattrs[RECORD_XATTRS_MAX];
	size_t xattr_space;
	uint8_t acl[2][4096];
	uint8_t head[RECORD_HEAD_MAX];
};

/* the record of an entry, written into d->head: its length, E_ARCHIVE or E_ARCHIVE_PATH */
ssize_t archive_draft_write(struct archive_draft *d, struct archive_entry *entry, struct err *e);
/* the bytes of a file that follow its head */
uint64_t archive_draft_size(struct archive_entry *entry);

#endif
