#include "corelib/files/beneath.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

enum { DEPTH_MAX = 512 };

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

static int walk(int root, const char *path, size_t n)
{
	AUTO_CLOSE int dir = sys_openat(root, ".", O_PATH | O_DIRECTORY, 0);
	int out = dir;

	for (size_t at = 0; out >= 0 && at < n;) {
		char name[256];
		size_t len = strcspn(path + at, "/");

		if (len >= sizeof(name))
			return -ENAMETOOLONG;
		memcpy(name, path + at, len);
		name[len] = '\0';
		out = sys_openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
		sys_close(&dir);
		dir = out;
		at += len + 1;
	}
	dir = -1;
	return out;
}

int beneath_parent(struct beneath *b, const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;

	*name = slash ? slash + 1 : path;
	if (n >= sizeof(b->path))
		return -ENAMETOOLONG;
	if (b->fd >= 0 && n == b->len && memcmp(b->path, path, n) == 0)
		return b->fd;
	sys_close(&b->fd);
	b->fd = walk(b->root, path, n);
	memcpy(b->path, path, n);
	b->len = n;
	return b->fd;
}

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int remove_in(int dir, const char *name, unsigned depth);

static int empty(int dir, const char *name, unsigned depth)
{
	int fd = sys_openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
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
