/*
 * Records: what an archive holds, as a stream of bytes between a process that parses archives and
 * the job that creates files.
 *
 * Nobody vouches for these bytes: the process that wrote them may have been taken over by what it
 * parsed (T54). The reader copies the head of each record before it judges it, bounds each length,
 * and refuses what cannot be with E_WORKER and what leads out of the tree with E_ARCHIVE_PATH. It
 * knows names only: whoever creates files still walks each component without following links.
 *
 *   record = head, path, target, xattrs; a file's data behind it
 *   xattr  = u16 length of the name, u16 0, u32 length of the value, name, value
 *   data   = extents (u64 offset, u64 length, bytes), ascending; the last is (size, 0)
 *   stream = records until its proven end; numbers are little-endian
 */
#ifndef CORELIB_RECORDS_H
#define CORELIB_RECORDS_H

#include "corelib/stream/stream.h"

#define RECORD_PATH_MAX	   4095u /* bytes of a path or target */
#define RECORD_NAME_MAX	   255u	 /* of one component, or the name of an xattr */
#define RECORD_XATTRS_MAX  64u
#define RECORD_XATTR_SPACE (128u * 1024) /* of all xattrs of a record as they are written */
#define RECORD_FIXED	   64u
#define RECORD_HEAD_MAX	   (RECORD_FIXED + 2 * RECORD_PATH_MAX + RECORD_XATTR_SPACE)
#define RECORD_EXTENT	   16u

enum record_kind {
	RECORD_FILE = 1,
	RECORD_DIR,
	RECORD_SYMLINK,
	RECORD_HARDLINK,
	RECORD_CHAR,
	RECORD_BLOCK,
	RECORD_FIFO,
	RECORD_KINDS,
};

struct record_xattr {
	const char
		*name; /* "user.comment"; ACLs as the kernel has them, "system.posix_acl_access" */
	const uint8_t *value;
	size_t len;
};

/* strings end with NUL and have none inside; lent until the next call of records_next() */
struct record {
	enum record_kind kind;
	bool attrs_lost;  /* the archive has an attribute that is not told here */
	const char *path; /* "a/b": relative, no empty, "." or ".." part; "." is the root itself */
	const char *target; /* symlink: any text; hardlink: a path as above; "" otherwise */
	uint32_t mode;	    /* 07777 at most */
	uint32_t uid, gid;
	uint64_t size; /* of a file; 0 otherwise */
	int64_t mtime;
	uint32_t mtime_ns;
	uint32_t major, minor; /* of a device */
	size_t xattr_count;
	const struct record_xattr *xattrs;
};

/* bytes of a file; what lies between two pieces, or behind the last, is a hole of zeros */
struct record_piece {
	const uint8_t *buf; /* lent until the next call */
	size_t len;
	uint64_t offset;
};

/*
 * The writer: bytes put into buf, or -EINVAL when the record is not one that the reader takes,
 * -ENOSPC when there is not enough room (RECORD_HEAD_MAX always suffices).
 */
ssize_t record_write(const struct record *rec, uint8_t *buf, size_t room);
void record_write_extent(uint64_t offset, uint64_t len, uint8_t buf[RECORD_EXTENT]);

/* why a path must not be taken, or NULL; the root's "." is a path */
const char *record_path_fault(const char *path);

/* the reader; the stream is lent to it until records_free() */
struct records;
struct records *records_new(struct stream *s, struct err *e);
void records_free(struct records *r);
void cleanup_records(struct records **r);
#define AUTO_RECORDS __attribute__((unused, cleanup(cleanup_records)))

/* 1 and the next record (what is left of the data before it is read past), 0 = the proven end */
int records_next(struct records *r, const struct record **rec, struct err *e);
/* of the file that records_next() told: 1 and a piece, 0 = no more bytes, all of them came */
int records_data(struct records *r, struct record_piece *p, struct err *e);

#endif
