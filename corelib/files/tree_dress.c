/* Owner, mode, attributes and times of what a tree has; of folders when all is in them. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "corelib/files/nature.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "corelib/files/tree_private.h"

#define LATER_MAX (32u * 1024 * 1024)

struct tree_later {
	struct tree_later *next;
	struct record rec; /* its strings and attributes lie behind */
};

static void times_of(const struct record *rec, struct timespec out[2])
{
	out[0].tv_sec = out[1].tv_sec = (time_t)rec->mtime;
	out[0].tv_nsec = out[1].tv_nsec = (long)rec->mtime_ns;
}

/* a file system without attributes is no failure, but told */
static int keep_attr(int rc, bool *lost)
{
	if (rc == 0)
		return 0;
	*lost |= errno == ENOTSUP;
	return errno == ENOTSUP ? 0 : -errno;
}

/* the owner first, which takes set-uid and capabilities away; ACLs after the mode, which changes
 * them */
int tree_dress(struct tree *t, const struct record *rec, int fd)
{
	struct timespec times[2];
	bool lost = rec->attrs_lost;
	struct stat st;
	int rc = fstat(fd, &st) < 0 ? -errno : 0;

	if (!t->o->preserve) {
		if (rc == 0 && (st.st_mode & 07777) != (rec->mode & 0755))
			rc = sys_fchmod(fd, rec->mode & 0755);
		return rc < 0 ? tree_failed(t, rec, rc, "its mode cannot be set") : 0;
	}
	if (rc == 0 && (st.st_uid != rec->uid || st.st_gid != rec->gid))
		rc = sys_fchown(fd, rec->uid, rec->gid);
	if (rc == 0)
		rc = sys_fchmod(fd, rec->mode);
	for (size_t i = 0; rc == 0 && i < rec->xattr_count; i++) {
		const struct record_xattr *x = &rec->xattrs[i];

		rc = keep_attr(fsetxattr(fd, x->name, x->value, x->len, 0), &lost);
	}
	times_of(rec, times);
	if (rc == 0 && futimens(fd, times) < 0)
		rc = -errno;
	t->n->attrs_lost += lost;
	return rc < 0 ? tree_failed(t, rec, rc, "owner, mode and attributes cannot be set") : 0;
}

/* of links and nodes, which are not opened: 'dir' holds them and nobody else writes there */
int tree_dress_at(struct tree *t, const struct record *rec, int dir, const char *name)
{
	char path[RECORD_NAME_MAX + 64];
	struct timespec times[2];
	bool lost = rec->attrs_lost;
	int rc = 0;

	if (!t->o->preserve)
		return 0;
	if (fchownat(dir, name, rec->uid, rec->gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    (rec->kind != RECORD_SYMLINK && fchmodat(dir, name, (mode_t)rec->mode, 0) < 0))
		rc = -errno;
	text_print(path, sizeof(path), "/proc/self/fd/%d/%s", dir, name);
	for (size_t i = 0; rc == 0 && i < rec->xattr_count; i++) {
		const struct record_xattr *x = &rec->xattrs[i];

		rc = keep_attr(lsetxattr(path, x->name, x->value, x->len, 0), &lost);
	}
	times_of(rec, times);
	if (rc == 0 && utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		rc = -errno;
	t->n->attrs_lost += lost;
	return rc < 0 ? tree_failed(t, rec, rc, "owner, mode and attributes cannot be set") : 0;
}

int tree_dress_like(struct tree *t, const char *path, size_t n, int fd)
{
	char own[RECORD_PATH_MAX + 1];
	const char *name;
	int dir, rc;

	if (!t->o->like || n >= sizeof(own))
		return 0;
	memcpy(own, path, n);
	own[n] = '\0';
	dir = beneath_parent(&t->like, own, &name);

	AUTO_CLOSE int from = dir < 0 ? dir : beneath_open_dir(dir, name);

	/* links and files in its way are told when it is put there */
	if (from == -ENOENT || from == -ELOOP || from == -ENOTDIR)
		return 0;
	rc = from < 0 ? from : nature_of_folder_copy(from, fd);
	return rc < 0 ? rc : 1;
}

/* ---- folders, in the end: what is put in changes their times, and a default ACL what is put in
 * ---- */

static size_t space_of(const struct record *rec)
{
	size_t n = sizeof(struct tree_later) + strlen(rec->path) + 1;

	for (size_t i = 0; i < rec->xattr_count; i++)
		n += sizeof(struct record_xattr) + strlen(rec->xattrs[i].name) + 1 +
		     rec->xattrs[i].len;
	return n;
}

static char *append(char **to, const void *from, size_t n)
{
	char *out = *to;

	memcpy(out, from, n);
	*to += n;
	return out;
}

static void fill(struct tree_later *l, const struct record *rec)
{
	struct record_xattr *x = (struct record_xattr *)(l + 1);
	char *text = (char *)(x + rec->xattr_count);

	l->next = NULL;
	l->rec = *rec;
	l->rec.xattrs = x;
	l->rec.target = "";
	for (size_t i = 0; i < rec->xattr_count; i++) {
		const struct record_xattr *from = &rec->xattrs[i];

		x[i].len = from->len;
		x[i].name = append(&text, from->name, strlen(from->name) + 1);
		x[i].value = (uint8_t *)append(&text, from->value, from->len);
	}
	l->rec.path = append(&text, rec->path, strlen(rec->path) + 1);
}

int tree_later(struct tree *t, const struct record *rec)
{
	size_t n = space_of(rec);
	struct tree_later *l;

	if (n > LATER_MAX - t->later_bytes)
		return err_set(t->e, E_LIMIT_MEM, ENOMEM,
			       "the archive has more folders than can be remembered (32 MiB)");
	l = malloc(n);
	if (!l)
		return err_set(t->e, E_MEMORY, ENOMEM, "no memory for the folders of the archive");
	fill(l, rec);
	t->later_bytes += n;
	if (t->last)
		t->last->next = l;
	else
		t->first = l;
	t->last = l;
	return 0;
}

int tree_dress_later(struct tree *t)
{
	int rc = 0;

	for (const struct tree_later *l = t->first; rc == 0 && l; l = l->next) {
		AUTO_CLOSE int fd = beneath_open_dir(t->root, l->rec.path);

		rc = fd < 0 ? tree_failed(t, &l->rec, fd, "the folder cannot be opened again")
			    : tree_dress(t, &l->rec, fd);
	}
	return rc;
}

void tree_forget(struct tree *t)
{
	while (t->first) {
		struct tree_later *l = t->first;

		t->first = l->next;
		free(l);
	}
	t->last = NULL;
}
