#include "corelib/files/beneath.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

enum { DEPTH_MAX = 512 };

#ifndef RESOLVE_BENEATH /* <linux/openat2.h>, which headers of before Linux 5.6 do not have */
#define RESOLVE_NO_SYMLINKS 0x04
#define RESOLVE_BENEATH	    0x08
#endif

/* ---- one path ---- */

bool beneath_leads_up(const char *path)
{
	for (const char *p = path; (p = strstr(p, "..")); p += 2)
		if ((p == path || p[-1] == '/') && (p[2] == '/' || !p[2]))
			return true;
	return false;
}

/* a link would be opened itself when nothing but its place is asked for */
static int open_last(int dir, const char *name, int flags)
{
	AUTO_CLOSE int fd = sys_openat(dir, name, flags | O_NOFOLLOW, 0);
	struct stat st;
	int out = fd;

	if (fd >= 0 && (flags & O_PATH) && (fstat(fd, &st) < 0 || S_ISLNK(st.st_mode)))
		return -ELOOP;
	fd = -1;
	return out;
}

/* part by part, as kernels before 5.6 need it */
static int walk(int root, const char *path, int flags)
{
	AUTO_CLOSE int dir = sys_openat(root, ".", O_PATH | O_DIRECTORY, 0);

	while (dir >= 0) {
		size_t len = strcspn(path, "/"), next = len + strspn(path + len, "/");
		char name[NAME_MAX + 1];
		int fd;

		if (len >= sizeof(name))
			return -ENAMETOOLONG;
		memcpy(name, path, len);
		name[len] = '\0';
		if (!path[next])
			return open_last(dir, name, flags | (next > len ? O_DIRECTORY : 0));
		fd = sys_openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
		sys_close(&dir);
		dir = fd;
		path += next;
	}
	return dir;
}

int beneath_open(int root, const char *path, int flags)
{
	int fd;

	path += strspn(path, "/");
	if (!*path)
		path = ".";
	if (beneath_leads_up(path))
		return -EXDEV;
	fd = sys_openat2(root, path, flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	/* EPERM: sandboxes of before the call refuse it so; the walk finds out what is really wrong
	 */
	return fd == -ENOSYS || fd == -EPERM ? walk(root, path, flags) : fd;
}

int beneath_open_dir(int root, const char *path)
{
	return beneath_open(root, path, O_RDONLY | O_DIRECTORY);
}

int beneath_open_parent(int root, const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX];

	*name = slash ? slash + 1 : path;
	if (!slash)
		return beneath_open(root, ".", O_PATH | O_DIRECTORY);
	if ((size_t)(slash - path) >= sizeof(folder))
		return -ENAMETOOLONG;
	memcpy(folder, path, (size_t)(slash - path));
	folder[slash - path] = '\0';
	return beneath_open(root, folder, O_PATH | O_DIRECTORY);
}

int beneath_has(int dir, const char *name)
{
	struct stat st;

	if (dir < 0)
		return dir == -ENOENT ? 0 : dir;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	return errno == ENOENT ? 0 : -errno;
}

/* ---- the last folder ---- */

void beneath_init(struct beneath *b, int root)
{
	b->root = root;
	b->fd = -1;
	b->len = 0;
}

void beneath_clear(struct beneath *b)
{
	sys_close(&b->fd);
}

int beneath_parent(struct beneath *b, const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;

	if (b->fd >= 0 && n == b->len && memcmp(b->path, path, n) == 0) {
		*name = slash ? slash + 1 : path;
		return b->fd;
	}
	sys_close(&b->fd);
	b->fd = beneath_open_parent(b->root, path, name);
	b->len = n < sizeof(b->path) ? n : 0;
	memcpy(b->path, path, b->len);
	return b->fd;
}

/* ---- removed ---- */

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int remove_in(int dir, const char *name, unsigned depth);

static int empty(int dir, const char *name, unsigned depth)
{
	int fd = beneath_open_dir(dir, name);
	const struct dirent *at;
	int rc = 0;
	DIR *d;

	if (fd < 0)
		return fd;
	d = fdopendir(fd);
	if (!d) {
		rc = -errno;
		sys_close(&fd);
		return rc;
	}
	while (rc == 0 && (at = readdir(d)))
		if (!is_dots(at->d_name))
			rc = remove_in(fd, at->d_name, depth + 1);
	closedir(d);
	return rc;
}

/* the depth is bounded by its own check */
static int remove_in(int dir, const char *name, unsigned depth) // NOLINT(misc-no-recursion)
{
	int rc = sys_unlinkat(dir, name, 0);

	if (rc != -EISDIR && rc != -EPERM)
		return rc == -ENOENT ? 0 : rc;
	if (depth > DEPTH_MAX)
		return -ELOOP;
	rc = empty(dir, name, depth);
	if (rc == 0)
		rc = sys_unlinkat(dir, name, AT_REMOVEDIR);
	return rc == -ENOENT ? 0 : rc;
}

int beneath_remove(int dir, const char *name)
{
	return remove_in(dir, name, 0);
}
