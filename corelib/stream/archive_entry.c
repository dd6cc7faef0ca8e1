/* One entry of libarchive becomes one record. */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "corelib/stream/archive_private.h"
#include "corelib/base/text.h"

/* ---- paths --------------------------------------------------------------------------------------
 */

/*
 * "./a//b/" is "a/b", "./" is ".". Only spellings are evened out: what leads out of the tree stays
 * as it is, and the reader refuses it.
 */
static int even_path(const char *in, char *out, size_t room)
{
	size_t n = 0;

	if (in[0] == '/' || in[0] == '\0')
		return text_copy(out, room, in);
	for (size_t len; *in; in += len + (in[len] == '/')) {
		len = strcspn(in, "/");
		if (len == 0 || (len == 1 && in[0] == '.'))
			continue;
		if (n + len + 2 > room)
			return -ENAMETOOLONG;
		if (n)
			out[n++] = '/';
		memcpy(out + n, in, len);
		n += len;
	}
	out[n] = '\0';
	return n ? 0 : text_copy(out, room, ".");
}

static int take_path(const char *in, char *out, struct err *e)
{
	if (!in)
		return err_set(e, E_ARCHIVE, EILSEQ, "an entry has a name that cannot be read");
	if (even_path(in, out, RECORD_PATH_MAX + 1) < 0)
		return err_set(e, E_ARCHIVE_PATH, ENAMETOOLONG,
			       "the path '%.60s...' is longer than 4095 bytes", in);
	return 0;
}

/* ---- kinds --------------------------------------------------------------------------------------
 */

static enum record_kind kind_of(struct archive_entry *entry)
{
	if (archive_entry_hardlink(entry))
		return RECORD_HARDLINK;
	switch (archive_entry_filetype(entry)) {
	case AE_IFREG:
		return RECORD_FILE;
	case AE_IFDIR:
		return RECORD_DIR;
	case AE_IFLNK:
		return RECORD_SYMLINK;
	case AE_IFCHR:
		return RECORD_CHAR;
	case AE_IFBLK:
		return RECORD_BLOCK;
	case AE_IFIFO:
		return RECORD_FIFO;
	default:
		return RECORD_KINDS;
	}
}

static int take_target(struct archive_draft *d, struct archive_entry *entry, enum record_kind kind,
		       struct err *e)
{
	const char *target;

	d->target[0] = '\0';
	if (kind == RECORD_HARDLINK)
		return take_path(archive_entry_hardlink(entry), d->target, e);
	if (kind != RECORD_SYMLINK)
		return 0;
	target = archive_entry_symlink(entry);
	if (!target || !target[0] || text_copy(d->target, sizeof(d->target), target) < 0)
		return err_set(e, E_ARCHIVE, EILSEQ, "the symbolic link '%s' has no usable target",
			       d->path);
	return 0;
}

uint64_t archive_draft_size(struct archive_entry *entry)
{
	int64_t size = archive_entry_size(entry);

	return kind_of(entry) == RECORD_FILE && size > 0 ? (uint64_t)size : 0;
}

/* ---- attributes ---------------------------------------------------------------------------------
 */

static void add_xattr(struct archive_draft *d, struct record *rec, const struct record_xattr *x)
{
	size_t name = strlen(x->name);
	size_t space = name + x->len + 8;

	if (name == 0 || name > RECORD_NAME_MAX || rec->xattr_count == RECORD_XATTRS_MAX ||
	    x->len > RECORD_XATTR_SPACE || space > RECORD_XATTR_SPACE - d->xattr_space) {
		rec->attrs_lost = true;
		return;
	}
	d->xattr_space += space;
	d->xattrs[rec->xattr_count++] = *x;
}

static void take_xattrs(struct archive_draft *d, struct record *rec, struct archive_entry *entry)
{
	const void *value;
	struct record_xattr x;

	archive_entry_xattr_reset(entry);
	while (archive_entry_xattr_next(entry, &x.name, &value, &x.len) == ARCHIVE_OK) {
		x.value = value;
		add_xattr(d, rec, &x);
	}
}

/* ---- ACLs, in the kernel's form: version 2, then (tag, rights, id) in the order of tags ---------
 */

static const struct acl_tag {
	int theirs;
	uint8_t ours;
	bool has_id;
} acl_tags[] = {
	{ARCHIVE_ENTRY_ACL_USER_OBJ, 0x01, false},  {ARCHIVE_ENTRY_ACL_USER, 0x02, true},
	{ARCHIVE_ENTRY_ACL_GROUP_OBJ, 0x04, false}, {ARCHIVE_ENTRY_ACL_GROUP, 0x08, true},
	{ARCHIVE_ENTRY_ACL_MASK, 0x10, false},	    {ARCHIVE_ENTRY_ACL_OTHER, 0x20, false},
};

struct acl {
	uint8_t *buf;
	size_t len, room;
	int type;
};

/* an id of -1: the archive names a user whose number only the system that made it knew */
static int put_acl(struct acl *a, const struct acl_tag *tag, int rights, int id)
{
	uint32_t n = tag->has_id ? (uint32_t)id : UINT32_MAX;

	if (a->len + 8 > a->room || (tag->has_id && id < 0))
		return -1;

	uint8_t *p = a->buf + a->len;

	p[0] = tag->ours;
	p[1] = 0;
	p[2] = (uint8_t)(rights & 7);
	p[3] = 0;
	for (unsigned i = 0; i < 4; i++)
		p[4 + i] = (uint8_t)(n >> 8 * i);
	a->len += 8;
	return 0;
}

static int put_acl_tag(struct acl *a, const struct acl_tag *want, struct archive_entry *entry)
{
	int type, rights, tag, id, rc = 0;
	const char *name;

	archive_entry_acl_reset(entry, a->type);
	while (rc == 0 && archive_entry_acl_next(entry, a->type, &type, &rights, &tag, &id,
						 &name) == ARCHIVE_OK)
		if (tag == want->theirs)
			rc = put_acl(a, want, rights, id);
	return rc;
}

static void take_acl(struct archive_draft *d, struct record *rec, struct archive_entry *entry,
		     bool is_default)
{
	struct acl a = {.buf = d->acl[is_default],
			.len = 4,
			.room = sizeof(d->acl[0]),
			.type = is_default ? ARCHIVE_ENTRY_ACL_TYPE_DEFAULT
					   : ARCHIVE_ENTRY_ACL_TYPE_ACCESS};
	int rc = 0;

	if (!(archive_entry_acl_types(entry) & a.type))
		return;
	memcpy(a.buf, "\2\0\0\0", 4);
	for (size_t i = 0; i < ARRAY_SIZE(acl_tags) && rc == 0; i++)
		rc = put_acl_tag(&a, &acl_tags[i], entry);

	const struct record_xattr x = {
		is_default ? "system.posix_acl_default" : "system.posix_acl_access", a.buf, a.len};

	if (rc == 0)
		add_xattr(d, rec, &x);
	else
		rec->attrs_lost = true;
}

/* ---- all of it ----------------------------------------------------------------------------------
 */

static bool is_id(int64_t id)
{
	return id >= 0 && id < UINT32_MAX;
}

static int take_numbers(struct record *rec, struct archive_entry *entry, struct err *e)
{
	int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry);
	long ns = archive_entry_mtime_nsec(entry);

	if (rec->kind == RECORD_KINDS)
		return err_set(e, E_ARCHIVE, ENOTSUP, "'%s' is of a kind that is not supported",
			       rec->path);
	if (!is_id(uid) || !is_id(gid) || archive_entry_size(entry) < 0)
		return err_set(e, E_ARCHIVE, ERANGE, "'%s' has an owner or a size that cannot be",
			       rec->path);
	rec->mode = (uint32_t)archive_entry_perm(entry) & 07777;
	rec->uid = (uint32_t)uid;
	rec->gid = (uint32_t)gid;
	rec->size = archive_draft_size(entry);
	rec->mtime = archive_entry_mtime(entry);
	rec->mtime_ns = ns >= 0 && ns < 1000000000 ? (uint32_t)ns : 0;
	if (rec->kind == RECORD_CHAR || rec->kind == RECORD_BLOCK) {
		rec->major = (uint32_t)archive_entry_rdevmajor(entry);
		rec->minor = (uint32_t)archive_entry_rdevminor(entry);
	}
	return 0;
}

ssize_t archive_draft_write(struct archive_draft *d, struct archive_entry *entry, struct err *e)
{
	struct record rec = {
		.kind = kind_of(entry), .path = d->path, .target = d->target, .xattrs = d->xattrs};
	int rc = take_path(archive_entry_pathname(entry), d->path, e);

	if (rc == 0)
		rc = take_target(d, entry, rec.kind, e);
	if (rc == 0)
		rc = take_numbers(&rec, entry, e);
	if (rc < 0)
		return rc;
	d->xattr_space = 0;
	take_xattrs(d, &rec, entry);
	take_acl(d, &rec, entry, false);
	take_acl(d, &rec, entry, true);
	if (archive_entry_acl_types(entry) & ARCHIVE_ENTRY_ACL_TYPE_NFS4)
		rec.attrs_lost = true;

	ssize_t n = record_write(&rec, d->head, sizeof(d->head));

	return n < 0 ? err_set(e, E_ARCHIVE, EBADMSG, "the entry '%s' makes no sense", d->path) : n;
}
