/* The shape of a record's head: for the reader, the writer and their tests. */
#ifndef CORELIB_RECORDS_PRIVATE_H
#define CORELIB_RECORDS_PRIVATE_H

#include "corelib/stream/records.h"

#define RECORD_MAGIC	  0x31726273u /* "sbr1" */
#define RECORD_FLAG_LOST  1u
#define RECORD_XATTR_HEAD 8u

enum record_at {
	RECORD_AT_MAGIC = 0,
	RECORD_AT_KIND = 4,  /* u8 */
	RECORD_AT_FLAGS = 5, /* u8 */
	RECORD_AT_PATH = 6,  /* u16 length */
	RECORD_AT_TARGET = 8,
	RECORD_AT_XATTRS = 10, /* u16 count */
	RECORD_AT_MODE = 12,
	RECORD_AT_UID = 16,
	RECORD_AT_GID = 20,
	RECORD_AT_SIZE = 24,  /* u64 */
	RECORD_AT_MTIME = 32, /* i64 */
	RECORD_AT_MTIME_NS = 40,
	RECORD_AT_MAJOR = 44,
	RECORD_AT_MINOR = 48,
	RECORD_AT_XATTR_SPACE = 52,
	RECORD_AT_ZERO = 56, /* to the end */
};

struct record_lengths {
	size_t path, target, xattrs;
};

/* what is wrong with a record whose paths are right, or NULL */
const char *record_fault(const struct record *rec);

#endif
