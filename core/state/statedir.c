#include "core/state/statedir.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

/* without its entry in the parent the folder is gone after a power cut */
static int flush_parent(const char *path)
{
	char parent[512];
	const char *slash = strrchr(path, '/');
	int len = slash ? (int)(slash - path) : 0;

	int rc = len ? text_print(parent, sizeof(parent), "%.*s", len, path)
		     : text_copy(parent, sizeof(parent), slash ? "/" : ".");
	if (rc < 0)
		return rc;
	AUTO_CLOSE int fd = sys_openat(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	return fd < 0 ? fd : sys_fsync(fd);
}

static int open_or_make(const char *path)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	int fd = sys_openat(AT_FDCWD, path, flags, 0);

	if (fd != -ENOENT)
		return fd;
	int rc = sys_mkdirat(AT_FDCWD, path, 0700);
	if (rc == 0)
		rc = flush_parent(path);
	else if (rc == -EEXIST)
		rc = 0;
	return rc < 0 ? rc : sys_openat(AT_FDCWD, path, flags, 0);
}

int statedir_open(const char *path, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct stat st;
	int out, rc;

	if (!path || !*path)
		return err_set(e, E_STATE_DIR, EINVAL, "there is no state directory");
	fd = open_or_make(path);
	if (fd < 0 || fstat(fd, &st) < 0) {
		rc = err_sys(e, E_STATE_DIR, fd < 0 ? -fd : errno, "opening '%s'", path);
		return err_at(e, rc, "%s", path);
	}
	if (st.st_uid != geteuid()) {
		rc = err_set(e, E_STATE_DIR, EPERM, "'%s' belongs to user %u, not to user %u", path,
			     (unsigned)st.st_uid, (unsigned)geteuid());
		if (geteuid() != 0)
			err_fix(e, "run it as root: only root installs updates");
		return rc;
	}
	if (st.st_mode & 022)
		return err_set(e, E_STATE_DIR, EPERM, "'%s' can be written by others (mode %04o)",
			       path, st.st_mode & 07777);
	out = fd;
	fd = -1;
	return out;
}

int statedir_file(int dirfd, const char *name, enum errcode code, struct err *e)
{
	int fd = sys_openat(dirfd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
			    0600);
	struct stat st;

	if (fd == -EROFS || fd == -EACCES || fd == -EPERM)
		return err_sys(e, E_STATE_DIR, -fd, "the file '%s' in it cannot be written", name);
	if (fd < 0)
		return err_sys(e, code, -fd, "opening '%s'", name);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		sys_close(&fd);
		return err_set(e, code, EINVAL, "'%s' is not a plain file", name);
	}
	return fd;
}
