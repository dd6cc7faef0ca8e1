/* The folder of a staged file: reached, made and taken away again. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "corelib/files/beneath.h"
#include "corelib/files/staged_private.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define PATH_ROOM sizeof(((struct staged_address *)0)->folder)

/* the part of a path that ends at 'n' */
static void part_to(char out[PATH_ROOM], const char *path, size_t n)
{
	memcpy(out, path, n);
	out[n] = '\0';
}

/* where the component behind 'n' ends */
static size_t next_part(const char *path, size_t n)
{
	n += strspn(path + n, "/");
	return n + strcspn(path + n, "/");
}

static int reach(int root, const char *path)
{
	if (root >= 0)
		return beneath_open_dir(root, path);
	return sys_openat(AT_FDCWD, *path ? path : "/", O_RDONLY | O_DIRECTORY, 0);
}

/* which part is the link, for somebody who has to name the real folder */
static int is_link(const struct staged_address *p, int root, struct err *e)
{
	char path[PATH_ROOM];
	size_t n = 0;
	int rc = 0;

	while (p->folder[n] && rc >= 0) {
		AUTO_CLOSE int fd = -1;

		n = next_part(p->folder, n);
		part_to(path, p->folder, n);
		rc = fd = beneath_open_dir(root, path);
	}
	return err_set(e, E_FILE, ELOOP,
		       "'%s' is a link, or no folder; on a file system that is mounted for this "
		       "links are not followed: name the folder that it leads to",
		       path);
}

static int open_live(const struct staged_address *p, struct err *e)
{
	struct stat st;

	if (!sys_path_is_safe(p->folder) && stat(p->folder, &st) < 0)
		return -errno;
	if (!sys_path_is_safe(p->folder))
		return err_set(e, E_TARGET, EPERM, "others than root may change what '%s' leads to",
			       p->folder);
	return reach(-1, p->folder);
}

/* on the live system links are normal: they were judged by sys_path_is_safe */
int staged_folder_open(const struct staged_address *p, int root, struct err *e)
{
	int fd = root < 0 ? open_live(p, e) : beneath_open_dir(root, p->folder);

	if (root >= 0 && (fd == -ELOOP || fd == -ENOTDIR))
		return is_link(p, root, e);
	return fd;
}

/* ---- made ---- */

/* the folder that holds the last part of 'path' */
static int parent_of(int root, char *path, const char **name)
{
	char *slash = strrchr(path, '/');
	int fd;

	*slash = '\0';
	fd = reach(root, path);
	if (fd >= 0 && root < 0 && !sys_path_is_safe(*path ? path : "/")) {
		sys_close(&fd);
		fd = -EPERM;
	}
	*slash = '/';
	*name = slash + 1;
	return fd;
}

/* durable when done; the umask took something away */
static int make_one(int root, char *path)
{
	AUTO_CLOSE int parent = -1, dir = -1;
	const char *name;
	int rc = parent = parent_of(root, path, &name);

	if (rc >= 0)
		rc = sys_mkdirat(parent, name, 0755);
	if (rc < 0)
		return rc == -EEXIST ? 0 : rc;
	dir = beneath_open_dir(parent, name);
	if (dir < 0)
		return dir;
	return fchmod(dir, 0755) < 0 ? -errno : sys_fsync(parent);
}

/* 1, 0, or -errno */
static int is_there(int root, const char *path)
{
	AUTO_CLOSE int fd = -1;
	struct stat st;

	if (root < 0)
		return stat(path, &st) == 0 ? 1 : errno == ENOENT ? 0 : -errno;
	fd = beneath_open_dir(root, path);
	return fd >= 0 ? 1 : fd == -ENOENT ? 0 : fd;
}

int staged_folder_make(const struct staged_address *p, int root, struct err *e)
{
	char path[PATH_ROOM];
	size_t n = 0;
	int rc = 1;

	while (p->folder[n] && rc >= 0) {
		n = next_part(p->folder, n);
		part_to(path, p->folder, n);
		rc = is_there(root, path);
		if (rc == 0)
			rc = make_one(root, path);
	}
	if (root >= 0 && (rc == -ELOOP || rc == -ENOTDIR))
		return is_link(p, root, e);
	return rc < 0 ? rc : 0;
}

int staged_folder_kept(const struct staged_address *p, int root)
{
	char path[PATH_ROOM];
	size_t n = 0, kept = 1; /* the root is always there */
	int rc = 1;

	while (p->folder[n] && rc > 0) {
		n = next_part(p->folder, n);
		part_to(path, p->folder, n);
		rc = is_there(root, path);
		if (rc > 0)
			kept = n;
	}
	return rc < 0 ? rc : rc ? 0 : (int)kept;
}

int staged_folder_mark(const struct staged_address *p, struct fsmark *m)
{
	char path[PATH_ROOM];
	int kept = staged_folder_kept(p, -1);
	AUTO_CLOSE int fd = -1;

	if (kept < 0)
		return kept;
	part_to(path, p->folder, kept ? (size_t)kept : strlen(p->folder));
	fd = reach(-1, path);
	return fd < 0 ? fd : fsmark_of(fd, m);
}

/* ---- and taken away ---- */

/* 1 when it is gone, 0 when it holds something */
static int unmake_one(int root, char *path)
{
	AUTO_CLOSE int parent = -1;
	const char *name;
	int rc = parent = parent_of(root, path, &name);

	if (rc >= 0)
		rc = sys_unlinkat(parent, name, AT_REMOVEDIR);
	if (rc == -ENOTEMPTY || rc == -EEXIST || rc == -EBUSY || rc == -ENOTDIR)
		return 0;
	if (rc == -ENOENT)
		return 1;
	if (rc < 0)
		return rc;
	rc = sys_fsync(parent);
	return rc < 0 ? rc : 1;
}

int staged_unmake(const struct staged_address *p, int root, struct err *e)
{
	char path[PATH_ROOM];
	size_t n = strlen(p->folder);
	int rc = 1;

	while (p->kept && n > p->kept && rc > 0) {
		part_to(path, p->folder, n);
		rc = unmake_one(root, path);
		while (n > 0 && p->folder[n - 1] != '/')
			n--;
		while (n > 0 && p->folder[n - 1] == '/')
			n--;
	}
	if (rc < 0)
		return err_at(e,
			      err_sys(e, E_FILE, -rc, "a folder that was made cannot be removed"),
			      "%s", p->folder);
	return 0;
}
