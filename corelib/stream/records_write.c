/* The writer of records. */
#include "corelib/stream/records_private.h"

#include <errno.h>
#include <string.h>

static void put16(uint8_t *p, uint64_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *p, uint64_t v)
{
	put16(p, v);
	put16(p + 2, v >> 16);
}

static void put64(uint8_t *p, uint64_t v)
{
	put32(p, v);
	put32(p + 4, v >> 32);
}

/* how long each part becomes; -EINVAL where the reader would refuse it */
static int measure(const struct record *rec, struct record_lengths *len)
{
	*len = (struct record_lengths){.path = strlen(rec->path), .target = strlen(rec->target)};
	if (len->path > RECORD_PATH_MAX || len->target > RECORD_PATH_MAX ||
	    rec->xattr_count > RECORD_XATTRS_MAX || record_fault(rec))
		return -EINVAL;
	for (size_t i = 0; i < rec->xattr_count; i++) {
		const struct record_xattr *x = &rec->xattrs[i];
		size_t name = strlen(x->name);

		if (name == 0 || name > RECORD_NAME_MAX || x->len > RECORD_XATTR_SPACE)
			return -EINVAL;
		len->xattrs += RECORD_XATTR_HEAD + name + x->len;
		if (len->xattrs > RECORD_XATTR_SPACE)
			return -EINVAL;
	}
	return 0;
}

static void write_fixed(const struct record *rec, const struct record_lengths *len, uint8_t *buf)
{
	memset(buf, 0, RECORD_FIXED);
	put32(buf + RECORD_AT_MAGIC, RECORD_MAGIC);
	buf[RECORD_AT_KIND] = (uint8_t)rec->kind;
	buf[RECORD_AT_FLAGS] = rec->attrs_lost ? RECORD_FLAG_LOST : 0;
	put16(buf + RECORD_AT_PATH, len->path);
	put16(buf + RECORD_AT_TARGET, len->target);
	put16(buf + RECORD_AT_XATTRS, rec->xattr_count);
	put32(buf + RECORD_AT_MODE, rec->mode);
	put32(buf + RECORD_AT_UID, rec->uid);
	put32(buf + RECORD_AT_GID, rec->gid);
	put64(buf + RECORD_AT_SIZE, rec->size);
	put64(buf + RECORD_AT_MTIME, (uint64_t)rec->mtime);
	put32(buf + RECORD_AT_MTIME_NS, rec->mtime_ns);
	put32(buf + RECORD_AT_MAJOR, rec->major);
	put32(buf + RECORD_AT_MINOR, rec->minor);
	put32(buf + RECORD_AT_XATTR_SPACE, len->xattrs);
}

static uint8_t *put_bytes(uint8_t *at, const void *data, size_t n)
{
	if (n)
		memcpy(at, data, n);
	return at + n;
}

static uint8_t *write_xattr(const struct record_xattr *x, uint8_t *at)
{
	size_t name = strlen(x->name);

	put16(at, name);
	put16(at + 2, 0);
	put32(at + 4, x->len);
	at = put_bytes(at + RECORD_XATTR_HEAD, x->name, name);
	return put_bytes(at, x->value, x->len);
}

ssize_t record_write(const struct record *rec, uint8_t *buf, size_t room)
{
	struct record_lengths len;
	uint8_t *at = buf + RECORD_FIXED;
	int rc = measure(rec, &len);

	if (rc < 0)
		return rc;
	if (RECORD_FIXED + len.path + len.target + len.xattrs > room)
		return -ENOSPC;
	write_fixed(rec, &len, buf);
	at = put_bytes(at, rec->path, len.path);
	at = put_bytes(at, rec->target, len.target);
	for (size_t i = 0; i < rec->xattr_count; i++)
		at = write_xattr(&rec->xattrs[i], at);
	return at - buf;
}

void record_write_extent(uint64_t offset, uint64_t len, uint8_t buf[RECORD_EXTENT])
{
	put64(buf, offset);
	put64(buf + 8, len);
}
