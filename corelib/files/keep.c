#include "corelib/files/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "corelib/files/beneath.h"
#include "corelib/files/nature.h"

#define PIECE (64u * 1024)

/* what linkat() says where this file cannot have a second name: on FAT, across file systems */
static bool has_no_links(int rc)
{
	return rc == -EPERM || rc == -EOPNOTSUPP || rc == -ENOSYS || rc == -EMLINK || rc == -EXDEV;
}

static int copy_content(int from, int to)
{
	AUTO_FREE char *piece = malloc(PIECE);
	ssize_t n;

	if (!piece)
		return -ENOMEM;
	while ((n = sys_read(from, piece, PIECE)) > 0) {
		int rc = sys_write(to, piece, (size_t)n);

		if (rc < 0)
			return rc;
	}
	return (int)n;
}

static int copy_file(int from, const char *name, const struct stat *st, int to, const char *as)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	AUTO_CLOSE int in = sys_openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	AUTO_CLOSE int out = -1;
	int rc;

	if (in < 0)
		return in;
	out = sys_openat(to, as, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (out < 0)
		return out;
	rc = copy_content(in, out);
	if (rc < 0)
		return rc;
	rc = nature_copy(in, out);
	if (rc < 0)
		return rc;
	if (futimens(out, times) < 0)
		return -errno;
	return sys_fsync(out);
}

static int copy_link(int from, const char *name, int to, const char *as)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(from, name, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	return sys_symlinkat(target, to, as);
}

int keep_file(int from, const char *name, int to, const char *as)
{
	int rc = sys_linkat(from, name, to, as, 0);
	struct stat st;

	if (!has_no_links(rc))
		return rc;
	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISREG(st.st_mode))
		return copy_file(from, name, &st, to, as);
	return S_ISLNK(st.st_mode) ? copy_link(from, name, to, as) : rc;
}

int keep_is_same(int a, const char *name, int b, const char *other)
{
	struct stat x, y;

	if (a < 0 || b < 0)
		return 0;
	if (fstatat(a, name, &x, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fstatat(b, other, &y, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int keep_put_back(int from, const char *kept, int to, const char *name)
{
	char third[NAME_MAX + 1];
	int rc = keep_is_same(from, kept, to, name);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = text_print(third, sizeof(third), "%s.back", kept);
	if (rc < 0)
		return rc;
	rc = sys_unlinkat(from, third, 0); /* of a try that was cut */
	if (rc < 0 && rc != -ENOENT)
		return rc;
	rc = keep_file(from, kept, from, third);
	return rc < 0 ? rc : sys_renameat(from, third, to, name, 0);
}
