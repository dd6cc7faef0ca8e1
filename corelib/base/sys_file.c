/* Small files as a whole: read, replace without a torn state, write to a reader who may sleep. */
#include "corelib/base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "corelib/base/text.h"

#define FIRST_ROOM  4096u
#define LOCK_TRIES  25
#define LOCK_PAUSE  (40 * 1000 * 1000) /* ns: one second in all */
#define RETRY(call) TEMP_FAILURE_RETRY(call)
#define POLITE_PART 256u /* what a terminal, pipe or socket that is ready takes without waiting */

/* ---- read ------------------------------------------------------------------------------------ */

/* files of /proc and /sys do not tell their size: read until the end or past max */
static ssize_t read_growing(int fd, size_t max, char **buf)
{
	size_t room = max < FIRST_ROOM ? max : FIRST_ROOM, len = 0;
	AUTO_FREE char *mem = malloc(room + 2);

	if (!mem)
		return -ENOMEM;
	for (;;) {
		ssize_t r = sys_read(fd, mem + len, room + 1 - len);
		char *more;

		if (r < 0)
			return r;
		len += (size_t)r;
		if (len <= room)
			break;
		if (room == max)
			return -EFBIG;
		room = room > max / 2 ? max : room * 2;
		more = realloc(mem, room + 2);
		if (!more)
			return -ENOMEM;
		mem = more;
	}
	mem[len] = '\0';
	*buf = mem;
	mem = NULL;
	return (ssize_t)len;
}

static int open_to_read(int dirfd, const char *path)
{
	/* a FIFO in the place of the file must not hold us up */
	return sys_openat(dirfd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
}

static int read_all(int fd, size_t max, char **buf, size_t *len)
{
	struct stat st;
	ssize_t n;

	if (max > SSIZE_MAX - 2)
		return -EINVAL;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	n = read_growing(fd, max, buf);
	if (n < 0)
		return (int)n;
	if (len)
		*len = (size_t)n;
	return 0;
}

int sys_read_file(int dirfd, const char *path, size_t max, char **buf, size_t *len)
{
	AUTO_CLOSE int fd = open_to_read(dirfd, path);

	return fd < 0 ? fd : read_all(fd, max, buf, len);
}

int sys_read_safe_file(const char *path, size_t max, char **buf, size_t *len)
{
	AUTO_CLOSE int fd = open_to_read(AT_FDCWD, path);
	struct stat opened, named;

	if (fd < 0)
		return fd;
	/* the path is judged after it was opened, and must lead to what was opened still */
	if (!sys_path_is_safe(path) || fstat(fd, &opened) < 0 || stat(path, &named) < 0 ||
	    opened.st_dev != named.st_dev || opened.st_ino != named.st_ino)
		return -EPERM;
	return read_all(fd, max, buf, len);
}

/* ---- replace --------------------------------------------------------------------------------- */

struct replace {
	char target[PATH_MAX]; /* behind links */
	char temp[NAME_MAX + 1];
	const char *name; /* last component of target */
	int dirfd;
};

static int resolve_target(const char *path, struct replace *r)
{
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
		return realpath(path, r->target) ? 0 : -errno;
	return text_copy(r->target, sizeof(r->target), path);
}

static int open_folder(struct replace *r)
{
	char *slash = strrchr(r->target, '/');
	char folder[PATH_MAX] = ".";

	r->name = slash ? slash + 1 : r->target;
	if (slash)
		text_print(folder, sizeof(folder), "%.*s",
			   slash == r->target ? 1 : (int)(slash - r->target), r->target);
	if (!*r->name || text_print(r->temp, sizeof(r->temp), ".%s.new", r->name) < 0)
		return *r->name ? -ENAMETOOLONG : -EISDIR;
	r->dirfd = sys_openat(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, 0);
	return r->dirfd < 0 ? r->dirfd : 0;
}

/* is the locked file still the one of that name, and nobody else's? */
static bool is_ours(const struct replace *r, int fd)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && S_ISREG(a.st_mode) && a.st_nlink == 1 &&
	       fstatat(r->dirfd, r->temp, &b, AT_SYMLINK_NOFOLLOW) == 0 && a.st_ino == b.st_ino &&
	       a.st_dev == b.st_dev;
}

/*
 * One name for the temporary file, so that a power cut leaves at most one and the next
 * replacement takes it over; the lock keeps two writers apart.
 */
static int open_temp(struct replace *r, unsigned mode)
{
	const struct timespec pause = {0, LOCK_PAUSE};

	for (int i = 0; i < LOCK_TRIES; i++) {
		AUTO_CLOSE int fd = sys_openat(
			r->dirfd, r->temp, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, mode & 0600);
		int mine = fd;

		if (fd < 0)
			return fd;
		if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			nanosleep(&pause, NULL);
		} else if (is_ours(r, fd)) {
			fd = -1;
			return mine;
		}
	}
	return -EBUSY;
}

/* FAT knows neither owners nor modes and refuses; then there is nothing to keep either */
static int unless_refused(int rc)
{
	return rc < 0 && errno != EPERM ? -errno : 0;
}

/* an existing file keeps mode and owner */
static int copy_rights(const struct replace *r, int fd, unsigned mode)
{
	struct stat st;
	int rc;

	if (fstatat(r->dirfd, r->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? unless_refused(RETRY(fchmod(fd, mode))) : -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	rc = unless_refused(RETRY(fchown(fd, st.st_uid, st.st_gid)));
	return rc < 0 ? rc : unless_refused(RETRY(fchmod(fd, st.st_mode & 07777)));
}

static int fill_temp(const struct replace *r, int fd, const void *buf, size_t n)
{
	int rc = sys_ftruncate(fd, 0);

	if (rc == 0)
		rc = sys_write(fd, buf, n);
	if (rc == 0)
		rc = sys_fsync(fd);
	return rc == 0 ? sys_renameat(r->dirfd, r->temp, r->dirfd, r->name, 0) : rc;
}

int sys_replace_file(const char *path, const void *buf, size_t n, unsigned mode)
{
	struct replace r = {.dirfd = -1};
	int rc = resolve_target(path, &r);

	if (rc == 0)
		rc = open_folder(&r);
	AUTO_CLOSE int dirfd = r.dirfd;
	AUTO_CLOSE int fd = rc == 0 ? open_temp(&r, mode) : -1;
	if (rc < 0 || fd < 0)
		return rc < 0 ? rc : fd;
	rc = copy_rights(&r, fd, mode);
	if (rc == 0)
		rc = fill_temp(&r, fd, buf, n);
	if (rc < 0) {
		sys_unlinkat(r.dirfd, r.temp, 0);
		return rc;
	}
	return sys_fsync(r.dirfd);
}

/* ---- write to somebody who may not read --------------------------------------------------------
 */

static ssize_t write_part(int fd, const char *buf, size_t n)
{
	ssize_t r = send(fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (r < 0 && errno == ENOTSOCK)
		r = write(fd, buf, n < POLITE_PART ? n : POLITE_PART);
	if (r < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	return r;
}

static int write_until(int fd, const char *buf, size_t n, uint64_t end)
{
	while (n > 0) {
		uint64_t now = sys_now_ms();
		struct pollfd p = {.fd = fd, .events = POLLOUT};
		int rc = poll(&p, 1, now < end ? (int)(end - now) : 0);
		ssize_t r;

		if (rc < 0 && errno != EINTR)
			return -errno;
		if (rc == 0 || (rc < 0 && now >= end))
			return 1;
		if (rc < 0)
			continue;
		r = write_part(fd, buf, n);
		if (r < 0)
			return (int)r;
		if (r == 0 && now >= end)
			return 1;
		buf += r;
		n -= (size_t)r;
	}
	return 0;
}

/*
 * A second description of the same pipe or terminal can be non-blocking without
 * changing the one that another program shares with us. -1 where that cannot be.
 */
static int reopen_nonblocking(int fd)
{
	char path[40];
	struct stat st;

	if (fstat(fd, &st) < 0 || !(S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)))
		return -1;
	if (text_print(path, sizeof(path), "/proc/self/fd/%d", fd) < 0)
		return -1;
	return sys_openat(AT_FDCWD, path, O_WRONLY | O_NONBLOCK | O_NOCTTY, 0);
}

int sys_write_polite(int fd, const char *buf, size_t n, unsigned ms)
{
	const struct timespec none = {0, 0};
	AUTO_CLOSE int own = reopen_nonblocking(fd);
	sigset_t pipe_sig, old, pending;
	int rc;

	/* a reader that is gone must not end us: SIGPIPE is kept out of this call */
	sigemptyset(&pipe_sig);
	sigaddset(&pipe_sig, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &pipe_sig, &old);
	rc = write_until(own >= 0 ? own : fd, buf, n, sys_now_ms() + ms);
	if (rc == -EPIPE && !sigismember(&pending, SIGPIPE))
		while (sigtimedwait(&pipe_sig, NULL, &none) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}
