/* The reader of records, and what both sides know of their shape. */
#include "corelib/stream/records_private.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/text.h"

struct records {
	struct stream *s;
	struct record rec;
	struct record_xattr xattrs[RECORD_XATTRS_MAX];
	uint8_t *text; /* path, target, xattrs of this record, each string with NUL */
	size_t room;
	bool in_data;
	uint64_t at;   /* where the next extent may begin at the earliest */
	uint64_t left; /* of this extent */
};

/* ---- what is allowed ----------------------------------------------------------------------------
 */

static const char *part_fault(const char *part, size_t len)
{
	if (len == 0)
		return "has an empty part";
	if (len == 1 && part[0] == '.')
		return "has a part '.'";
	if (len == 2 && part[0] == '.' && part[1] == '.')
		return "has a part '..'";
	return len > RECORD_NAME_MAX ? "has a part of more than 255 bytes" : NULL;
}

const char *record_path_fault(const char *path)
{
	const char *fault = NULL;

	if (!strcmp(path, "."))
		return NULL;
	if (path[0] == '\0')
		return "is empty";
	if (path[0] == '/')
		return "is absolute";
	if (strlen(path) > RECORD_PATH_MAX)
		return "is longer than 4095 bytes";
	while (!fault) {
		size_t len = strcspn(path, "/");

		fault = part_fault(path, len);
		if (!path[len])
			break;
		path += len + 1;
	}
	return fault;
}

static const char *number_fault(const struct record *rec)
{
	if (rec->kind < RECORD_FILE || rec->kind >= RECORD_KINDS)
		return "a record of an unknown kind";
	if (rec->mode > 07777)
		return "a mode that cannot be";
	if (rec->mtime_ns >= 1000000000)
		return "a time that cannot be";
	if (rec->kind != RECORD_FILE ? rec->size != 0 : rec->size > INT64_MAX)
		return "a size that cannot be";
	if (rec->kind != RECORD_CHAR && rec->kind != RECORD_BLOCK && (rec->major || rec->minor))
		return "a device number that belongs to no device";
	return NULL;
}

static bool has_target(const struct record *rec)
{
	return rec->kind == RECORD_SYMLINK || rec->kind == RECORD_HARDLINK;
}

const char *record_fault(const struct record *rec)
{
	const char *fault = number_fault(rec);

	if (!fault && has_target(rec) != (rec->target[0] != '\0'))
		fault = "a link without a target, or a target without a link";
	if (!fault && rec->kind != RECORD_DIR && !strcmp(rec->path, "."))
		fault = "a root that is no folder";
	if (!fault && rec->kind == RECORD_HARDLINK && !strcmp(rec->target, "."))
		fault = "a hard link to a folder";
	return fault;
}

/* ---- numbers ------------------------------------------------------------------------------------
 */

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) | (uint32_t)get16(p + 2) << 16;
}

static uint64_t get64(const uint8_t *p)
{
	return (uint64_t)get32(p) | (uint64_t)get32(p + 4) << 32;
}

/* ---- reading a head -----------------------------------------------------------------------------
 */

static int nonsense(struct err *e, const char *what)
{
	return err_set(e, E_WORKER, EBADMSG, "swinstall-unpack sent %s", what);
}

/* all of n bytes; a shorter stream is no end of records */
static int take(struct records *r, void *buf, size_t n, struct err *e)
{
	for (size_t got = 0; got < n;) {
		ssize_t k = stream_read(r->s, (uint8_t *)buf + got, n - got, e);

		if (k < 0)
			return (int)k;
		if (k == 0)
			return nonsense(e, "a part of a record");
		got += (size_t)k;
	}
	return 0;
}

/* 1 = the fixed part is there, 0 = the proven end of the stream */
static int take_fixed(struct records *r, uint8_t *head, struct err *e)
{
	ssize_t n = stream_read(r->s, head, RECORD_FIXED, e);
	int rc;

	if (n <= 0)
		return (int)n;
	rc = take(r, head + n, RECORD_FIXED - (size_t)n, e);
	return rc < 0 ? rc : 1;
}

static int parse_fixed(struct records *r, const uint8_t *h, struct record_lengths *len,
		       struct err *e)
{
	struct record *rec = &r->rec;

	if (get32(h + RECORD_AT_MAGIC) != RECORD_MAGIC)
		return nonsense(e, "something that is no record");
	*rec = (struct record){
		.kind = (enum record_kind)h[RECORD_AT_KIND],
		.attrs_lost = h[RECORD_AT_FLAGS] & RECORD_FLAG_LOST,
		.mode = get32(h + RECORD_AT_MODE),
		.uid = get32(h + RECORD_AT_UID),
		.gid = get32(h + RECORD_AT_GID),
		.size = get64(h + RECORD_AT_SIZE),
		.mtime = (int64_t)get64(h + RECORD_AT_MTIME),
		.mtime_ns = get32(h + RECORD_AT_MTIME_NS),
		.major = get32(h + RECORD_AT_MAJOR),
		.minor = get32(h + RECORD_AT_MINOR),
		.xattr_count = get16(h + RECORD_AT_XATTRS),
		.xattrs = r->xattrs,
	};
	*len = (struct record_lengths){
		.path = get16(h + RECORD_AT_PATH),
		.target = get16(h + RECORD_AT_TARGET),
		.xattrs = get32(h + RECORD_AT_XATTR_SPACE),
	};
	if (h[RECORD_AT_FLAGS] & ~RECORD_FLAG_LOST || get64(h + RECORD_AT_ZERO) ||
	    len->path > RECORD_PATH_MAX || len->target > RECORD_PATH_MAX ||
	    len->xattrs > RECORD_XATTR_SPACE || rec->xattr_count > RECORD_XATTRS_MAX)
		return nonsense(e, "a length that cannot be");
	return 0;
}

static int make_room(struct records *r, size_t n, struct err *e)
{
	uint8_t *more;

	if (n <= r->room)
		return 0;
	more = realloc(r->text, n);
	if (!more)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a record of an archive");
	r->text = more;
	r->room = n;
	return 0;
}

/* n bytes that are a string: *next moves behind its NUL */
static int take_string(struct records *r, size_t n, uint8_t **next, const char **out, struct err *e)
{
	uint8_t *at = *next;
	int rc = take(r, at, n, e);

	if (rc < 0)
		return rc;
	if (memchr(at, '\0', n))
		return nonsense(e, "a name with a zero byte in it");
	at[n] = '\0';
	*next = at + n + 1;
	*out = (const char *)at;
	return 0;
}

static int take_xattr(struct records *r, struct record_xattr *x, size_t *left, uint8_t **next,
		      struct err *e)
{
	uint8_t head[RECORD_XATTR_HEAD];
	size_t name, value;
	int rc;

	if (*left < sizeof(head))
		return nonsense(e, "an attribute that does not fit");
	rc = take(r, head, sizeof(head), e);
	if (rc < 0)
		return rc;
	*left -= sizeof(head);
	name = get16(head);
	value = get32(head + 4);
	if (get16(head + 2) || name == 0 || name > RECORD_NAME_MAX || name > *left ||
	    value > *left - name)
		return nonsense(e, "an attribute that does not fit");
	*left -= name + value;
	rc = take_string(r, name, next, &x->name, e);
	if (rc == 0)
		rc = take(r, *next, value, e);
	x->value = *next;
	x->len = value;
	*next += value;
	return rc;
}

static int take_xattrs(struct records *r, size_t left, uint8_t *next, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < r->rec.xattr_count && rc == 0; i++)
		rc = take_xattr(r, &r->xattrs[i], &left, &next, e);
	return rc == 0 && left ? nonsense(e, "bytes behind the last attribute") : rc;
}

static int take_names(struct records *r, const struct record_lengths *len, struct err *e)
{
	size_t need = len->path + len->target + len->xattrs + 2 + r->rec.xattr_count;
	uint8_t *next;
	int rc = make_room(r, need, e);

	next = r->text;
	if (rc == 0)
		rc = take_string(r, len->path, &next, &r->rec.path, e);
	if (rc == 0)
		rc = take_string(r, len->target, &next, &r->rec.target, e);
	return rc == 0 ? take_xattrs(r, len->xattrs, next, e) : rc;
}

static int judge_path(const char *what, const char *path, struct err *e)
{
	const char *fault = record_path_fault(path);

	return fault ? err_set(e, E_ARCHIVE_PATH, EXDEV, "the %s '%s' %s", what, path, fault) : 0;
}

static int judge(const struct record *rec, struct err *e)
{
	int rc = judge_path("path", rec->path, e);

	if (rc == 0 && rec->kind == RECORD_HARDLINK && rec->target[0])
		rc = judge_path("target of a hard link", rec->target, e);
	if (rc < 0)
		return rc;

	const char *fault = record_fault(rec);

	return fault ? nonsense(e, fault) : 0;
}

/* ---- the file's bytes ---------------------------------------------------------------------------
 */

/* 1 = an extent with bytes begins, 0 = the last one */
static int begin_extent(struct records *r, struct err *e)
{
	uint8_t head[RECORD_EXTENT];
	uint64_t offset, len;
	int rc = take(r, head, sizeof(head), e);

	if (rc < 0)
		return rc;
	offset = get64(head);
	len = get64(head + 8);
	if (offset < r->at || offset > r->rec.size || len > r->rec.size - offset)
		return nonsense(e, "bytes that lie outside their file");
	if (len == 0 && offset != r->rec.size)
		return nonsense(e, "the end of a file before its end");
	r->at = offset;
	r->left = len;
	r->in_data = len > 0;
	return len > 0;
}

int records_data(struct records *r, struct record_piece *p, struct err *e)
{
	ssize_t n;

	if (r->left == 0) {
		int rc = r->in_data ? begin_extent(r, e) : 0;

		if (rc <= 0)
			return rc;
	}
	n = stream_next_max(r->s, r->left < SSIZE_MAX ? (size_t)r->left : SSIZE_MAX, &p->buf, e);
	if (n < 0)
		return (int)n;
	if (n == 0)
		return nonsense(e, "a part of a file");
	p->len = (size_t)n;
	p->offset = r->at;
	r->at += (uint64_t)n;
	r->left -= (uint64_t)n;
	return 1;
}

static int skip_data(struct records *r, struct err *e)
{
	struct record_piece p;
	int rc;

	do
		rc = records_data(r, &p, e);
	while (rc > 0);
	return rc;
}

/* ---- life ---------------------------------------------------------------------------------------
 */

struct records *records_new(struct stream *s, struct err *e)
{
	struct records *r = calloc(1, sizeof(*r));

	if (r)
		r->s = s;
	else
		err_set(e, E_MEMORY, ENOMEM, "no memory to read an archive");
	return r;
}

void records_free(struct records *r)
{
	if (r)
		free(r->text);
	free(r);
}

void cleanup_records(struct records **r)
{
	records_free(*r);
}

int records_next(struct records *r, const struct record **rec, struct err *e)
{
	uint8_t head[RECORD_FIXED] = {0};
	struct record_lengths len = {0};
	int rc = skip_data(r, e);

	if (rc == 0)
		rc = take_fixed(r, head, e);
	if (rc <= 0)
		return rc;
	rc = parse_fixed(r, head, &len, e);
	if (rc == 0)
		rc = take_names(r, &len, e);
	if (rc == 0)
		rc = judge(&r->rec, e);
	if (rc < 0)
		return rc;
	r->in_data = r->rec.kind == RECORD_FILE;
	r->at = r->left = 0;
	*rec = &r->rec;
	return 1;
}
