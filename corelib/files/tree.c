/* Files, folders and links beneath one folder, made of records. */
#include "corelib/files/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "corelib/base/crc32c.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "corelib/files/tree_private.h"

#define READ_BACK (64u * 1024)

/* ---- errors ---- */

/* ENOSPC also stands for 'no more files' */
static bool inodes_are_gone(const struct tree *t)
{
	struct statvfs fs;

	return fstatvfs(t->root, &fs) == 0 && fs.f_files && !fs.f_favail;
}

int tree_failed(const struct tree *t, const struct record *rec, int rc, const char *what)
{
	char shown[160];
	const enum errcode code = rc == -ENOSPC || rc == -EDQUOT ? E_NO_SPACE
				  : rc == -ENOMEM		 ? E_MEMORY
								 : E_FILE;

	if (rc == -ENOSPC && inodes_are_gone(t))
		err_set(t->e, code, ENOSPC, "%s: the file system holds no more files (inodes)",
			what);
	else
		err_sys(t->e, code, -rc, "%s", what);
	text_printable(rec->path, strlen(rec->path), shown, sizeof(shown));
	return err_at(t->e, rc, "'%s' of the archive", shown);
}

static int refuse(const struct tree *t, const struct record *rec, const char *why)
{
	char shown[160];
	int rc = err_set(t->e, E_ARCHIVE_PATH, ELOOP, "%s", why);

	text_printable(rec->path, strlen(rec->path), shown, sizeof(shown));
	return err_at(t->e, rc, "'%s' of the archive", shown);
}

/* ---- folders on the way ---- */

/* a part that nobody named by itself, the last one in 'n' bytes of path: its descriptor */
static int make_part(struct tree *t, const char *path, size_t n, int dir, const char *name)
{
	int fd, rc = sys_mkdirat(dir, name, 0755);

	fd = rc < 0 ? rc : beneath_open_dir(dir, name);
	if (fd < 0)
		return fd;
	rc = tree_dress_like(t, path, n, fd);
	if (rc == 0)
		rc = sys_fchmod(fd, 0755); /* the umask took something away */
	if (rc < 0)
		sys_close(&fd);
	return rc < 0 ? rc : fd;
}

/* the folders in 'n' bytes of path, those that are missing */
static int make_parts(struct tree *t, const char *path, size_t n)
{
	AUTO_CLOSE int dir = beneath_open_dir(t->root, ".");

	for (size_t at = 0; dir >= 0 && at < n;) {
		char name[RECORD_NAME_MAX + 1];
		size_t len = strcspn(path + at, "/");
		int next;

		if (len >= sizeof(name))
			return -ENAMETOOLONG;
		memcpy(name, path + at, len);
		name[len] = '\0';
		next = beneath_open(dir, name, O_PATH | O_DIRECTORY);
		if (next == -ENOENT)
			next = make_part(t, path, at + len, dir, name);
		sys_close(&dir);
		dir = next;
		at += len + 1;
	}
	return dir < 0 ? dir : 0;
}

static unsigned depth_of(const char *path)
{
	unsigned n = 0;

	for (; *path; path++)
		n += *path == '/';
	return n;
}

/* the folder that holds the last part of the path, kept for the next one */
static int parent_of(struct tree *t, const struct record *rec, const char **name)
{
	int rc = 0, fd = depth_of(rec->path) > TREE_DEPTH_MAX
				 ? -ENAMETOOLONG
				 : beneath_parent(&t->at, rec->path, name);

	if (fd == -ENOENT) {
		rc = make_parts(t, rec->path, t->at.len);
		fd = rc < 0 ? rc : beneath_parent(&t->at, rec->path, name);
	}
	if (fd == -ELOOP || fd == -ENOTDIR)
		return refuse(t, rec,
			      "a part of its path is a link or no folder; links are not followed");
	if (fd == -ENAMETOOLONG)
		return refuse(t, rec, "it lies deeper than 128 folders, or a name is too long");
	return fd < 0 ? tree_failed(t, rec, fd, "its folder cannot be opened") : fd;
}

/* ---- what stands there already ---- */

static int make_room(const struct tree *t, const struct record *rec, int dir, const char *name)
{
	struct stat st;
	int rc;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT
			       ? 0
			       : tree_failed(t, rec, -errno, "the place cannot be examined");
	if (S_ISDIR(st.st_mode))
		return refuse(t, rec,
			      "a folder stands there, and only a folder may take its place");
	rc = sys_unlinkat(dir, name, 0);
	return rc < 0 ? tree_failed(t, rec, rc, "what stands there cannot be removed") : 0;
}

/* ---- each kind ---- */

static int too_much(const struct tree *t)
{
	const uint64_t max = t->o->max_bytes;

	if (t->o->declared)
		return err_set(t->e, E_LIMIT_OUTPUT, EFBIG,
			       "the files of the archive are larger than the %" PRIu64
			       " bytes that it may have",
			       max);
	return err_set(t->e, E_NO_SPACE, ENOSPC,
		       "the files of the archive are larger than the %" PRIu64
		       " bytes that its file system had left",
		       max);
}

/* of the zeros of a hole */
static uint32_t sum_hole(uint32_t sum, uint64_t n)
{
	static const uint8_t zeros[4096];

	for (; n > 0; n -= n < sizeof(zeros) ? n : sizeof(zeros))
		sum = crc32c(sum, zeros, n < sizeof(zeros) ? (size_t)n : sizeof(zeros));
	return sum;
}

/* what the medium holds, not the memory that was just filled */
static int read_back(struct tree *t, const struct record *rec, int fd, uint32_t want)
{
	AUTO_FREE uint8_t *buf = malloc(READ_BACK);
	int rc = sys_fdatasync(fd);
	uint32_t sum = 0;

	if (!buf)
		return err_set(t->e, E_MEMORY, ENOMEM, "no memory to read a file back");
	if (rc < 0)
		return tree_failed(t, rec, rc, "its content cannot be flushed");
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	for (uint64_t at = 0; at < rec->size;) {
		ssize_t n = sys_pread(fd, buf, READ_BACK, at);

		if (n < 0)
			return tree_failed(t, rec, (int)n, "its content cannot be read back");
		if (n == 0)
			break;
		sum = crc32c(sum, buf, (size_t)n);
		at += (uint64_t)n;
	}
	if (sum == want)
		return 0;
	rc = err_set(t->e, E_VERIFY_WRITES, EIO, "the medium holds other bytes than were written");
	return err_at(t->e, rc, "%s", rec->path);
}

static int write_pieces(struct tree *t, const struct record *rec, int fd)
{
	struct record_piece p;
	uint64_t end = 0;
	uint32_t sum = 0;
	int rc;

	while ((rc = records_data(t->records, &p, t->e)) > 0) {
		if (u64_add(t->n->bytes, p.len, &t->n->bytes) || t->n->bytes > t->o->max_bytes)
			return too_much(t);
		rc = sys_pwrite(fd, p.buf, p.len, p.offset);
		if (rc < 0)
			return tree_failed(t, rec, rc, "its content cannot be written");
		if (t->o->read_back)
			sum = crc32c(sum_hole(sum, p.offset - end), p.buf, p.len);
		end = p.offset + p.len;
	}
	if (rc == 0 && end < rec->size) {
		rc = sys_ftruncate(fd, rec->size);
		if (rc < 0)
			return tree_failed(t, rec, rc, "its hole cannot be made");
	}
	if (rc < 0)
		return rc;
	if (t->o->read_back)
		rc = read_back(t, rec, fd, sum_hole(sum, rec->size > end ? rec->size - end : 0));
	return rc;
}

static int make_file(struct tree *t, const struct record *rec, int dir, const char *name)
{
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW;
	/* mode and owner are looked at when it is dressed: mostly nothing is left to change */
	const unsigned mode = t->o->preserve ? 0600 : rec->mode & 0755;
	AUTO_CLOSE int fd = sys_openat(dir, name, flags, mode);
	int rc;

	if (fd == -EEXIST) {
		rc = make_room(t, rec, dir, name);
		if (rc < 0)
			return rc;
		fd = sys_openat(dir, name, flags, mode);
	}
	if (fd < 0)
		return tree_failed(t, rec, fd, "it cannot be made");
	rc = write_pieces(t, rec, fd);
	if (rc == 0)
		rc = tree_dress(t, rec, fd);
	if (rc < 0)
		return rc;
	rc = sys_close(&fd);
	return rc < 0 ? tree_failed(t, rec, rc, "its content cannot be written") : 0;
}

/* one that was there, here or where it will be put, keeps its nature unless the archive says it */
static int dress_dir(struct tree *t, const struct record *rec, int dir, bool made)
{
	const char *slash = strrchr(rec->path, '/');
	int rc = 0;

	if (t->o->preserve)
		return tree_later(t, rec);
	if (made && t->o->like) {
		AUTO_CLOSE int fd = beneath_open_dir(dir, slash ? slash + 1 : rec->path);

		rc = fd < 0 ? fd : tree_dress_like(t, rec->path, strlen(rec->path), fd);
	}
	if (rc < 0)
		return tree_failed(t, rec, rc, "the folder cannot be made as it is there");
	return made && rc == 0 ? tree_later(t, rec) : 0;
}

static int make_dir(struct tree *t, const struct record *rec, int dir, const char *name)
{
	AUTO_CLOSE int fd = -1;
	bool made = true;
	int rc = sys_mkdirat(dir, name, 0700);

	if (rc == -EEXIST) {
		fd = beneath_open(dir, name, O_PATH | O_DIRECTORY);
		if (fd == -ELOOP || fd == -ENOTDIR) {
			rc = make_room(t, rec, dir, name);
			if (rc < 0)
				return rc;
			rc = sys_mkdirat(dir, name, 0700);
		} else {
			rc = fd < 0 ? fd : 0;
			made = false;
		}
	}
	if (rc < 0)
		return tree_failed(t, rec, rc, "the folder cannot be made");
	return dress_dir(t, rec, dir, made);
}

static int make_symlink(struct tree *t, const struct record *rec, int dir, const char *name)
{
	int rc = make_room(t, rec, dir, name);

	if (rc < 0)
		return rc;
	rc = sys_symlinkat(rec->target, dir, name);
	return rc < 0 ? tree_failed(t, rec, rc, "the link cannot be made")
		      : tree_dress_at(t, rec, dir, name);
}

static int make_hardlink(struct tree *t, const struct record *rec, int dir, const char *name)
{
	const char *last;
	AUTO_CLOSE int from = beneath_open_parent(t->root, rec->target, &last);
	struct stat st, own;
	int rc;

	if (from < 0 || fstatat(from, last, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISDIR(st.st_mode))
		return refuse(t, rec, "it is a hard link to what the archive has not made before");
	if (fstatat(dir, name, &own, AT_SYMLINK_NOFOLLOW) == 0 && own.st_ino == st.st_ino &&
	    own.st_dev == st.st_dev)
		return 0;
	rc = make_room(t, rec, dir, name);
	if (rc < 0)
		return rc;
	rc = sys_linkat(from, last, dir, name, 0);
	return rc < 0 ? tree_failed(t, rec, rc, "the hard link cannot be made") : 0;
}

static int make_node(struct tree *t, const struct record *rec, int dir, const char *name)
{
	unsigned type = rec->kind == RECORD_CHAR    ? S_IFCHR
			: rec->kind == RECORD_BLOCK ? S_IFBLK
						    : S_IFIFO;
	int rc = make_room(t, rec, dir, name);

	if (rc < 0)
		return rc;
	rc = sys_mknodat(dir, name, type | 0600, makedev(rec->major, rec->minor));
	return rc < 0 ? tree_failed(t, rec, rc, "the node cannot be made")
		      : tree_dress_at(t, rec, dir, name);
}

/* ---- all ---- */

static bool is_node(const struct record *rec)
{
	return rec->kind == RECORD_CHAR || rec->kind == RECORD_BLOCK || rec->kind == RECORD_FIFO;
}

static bool is_ours(const char *path)
{
	static const char own[] = ".swinstall-";

	return strncmp(path, own, strlen(own)) == 0 || strstr(path, "/.swinstall-");
}

/* beneath a path of the installer, or that path itself, or (no folder) above it */
static bool touches(const struct record *rec, const char *closed)
{
	size_t n = strlen(closed), len = strlen(rec->path);

	if (strncmp(rec->path, closed, n) == 0 && (rec->path[n] == '/' || rec->path[n] == '\0'))
		return n < len || rec->kind != RECORD_DIR;
	return rec->kind != RECORD_DIR && strncmp(closed, rec->path, len) == 0 &&
	       closed[len] == '/';
}

static int check(const struct tree *t, const struct record *rec)
{
	if (++t->n->entries > TREE_ENTRIES_MAX)
		return err_set(t->e, E_LIMIT_OUTPUT, E2BIG, "the archive has more than %u entries",
			       TREE_ENTRIES_MAX);
	if (is_ours(rec->path))
		return refuse(t, rec, "names that begin with .swinstall- belong to the installer");
	for (size_t i = 0; i < t->o->closed_count; i++)
		if (touches(rec, t->o->closed[i]))
			return err_set(t->e, E_TARGET_PROTECTED, EPERM,
				       "'%s' belongs to the installer", t->o->closed[i]);
	return 0;
}

static int make(struct tree *t, const struct record *rec)
{
	const char *name;
	int dir;

	if (strcmp(rec->path, ".") == 0)
		return rec->kind == RECORD_DIR
			       ? (t->o->preserve ? tree_later(t, rec) : 0)
			       : refuse(t, rec, "the root of an archive is a folder");
	if (is_node(rec) && !t->o->preserve) {
		t->n->nodes_left_out++;
		return 0;
	}
	dir = parent_of(t, rec, &name);
	if (dir < 0)
		return dir;
	switch (rec->kind) {
	case RECORD_FILE:
		return make_file(t, rec, dir, name);
	case RECORD_DIR:
		return make_dir(t, rec, dir, name);
	case RECORD_SYMLINK:
		return make_symlink(t, rec, dir, name);
	case RECORD_HARDLINK:
		return make_hardlink(t, rec, dir, name);
	default:
		return make_node(t, rec, dir, name);
	}
}

int tree_write(int root, struct records *r, const struct tree_options *o, struct tree_count *n,
	       struct err *e)
{
	struct tree t = {.root = root, .records = r, .o = o, .n = n, .e = e};
	const struct record *rec;
	int rc;

	memset(n, 0, sizeof(*n));
	beneath_init(&t.at, root);
	beneath_init(&t.like, o->like ? *o->like : -1);
	while ((rc = records_next(r, &rec, e)) > 0) {
		rc = check(&t, rec);
		if (rc == 0)
			rc = make(&t, rec);
		if (rc < 0)
			break;
	}
	if (rc == 0)
		rc = tree_dress_later(&t);
	tree_forget(&t);
	beneath_clear(&t.at);
	beneath_clear(&t.like);
	return rc;
}
