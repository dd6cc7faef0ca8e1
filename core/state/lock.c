#include "core/state/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/session.h"
#include "core/state/statedir.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define LOCK_NAME  "lock"
#define POLL_MS	   50
#define HOLDER_MAX 64

struct lock {
	int fd;
};

/* where both can be used the state directory decides, for every process alike */
static int open_folder(const struct settings *cfg, struct err *e)
{
	int fd = statedir_open(cfg->state_dir, e);

	if (fd >= 0 && faccessat(fd, ".", W_OK, AT_EACCESS) < 0) {
		err_sys(e, E_STATE_DIR, errno, "'%s' cannot be written", cfg->state_dir);
		sys_close(&fd);
		fd = -EROFS;
	}
	if (fd >= 0 || !cfg->run_dir)
		return fd;
	struct err second = {0};
	int run = statedir_open(cfg->run_dir, &second);
	if (run >= 0)
		err_clear(e);
	return run >= 0 ? run : fd;
}

/* what the holder wrote: "1234 (swinstall)"; it may be writing just now */
static void read_holder(int fd, char *out, size_t n)
{
	char raw[HOLDER_MAX];
	ssize_t len = sys_pread(fd, raw, sizeof(raw), 0);

	if (len > 0 && raw[len - 1] == '\n')
		len--;
	if (len > 0)
		text_printable(raw, (size_t)len, out, n);
	else
		text_copy(out, n, "another process");
}

static void write_holder(int fd)
{
	char text[HOLDER_MAX];
	int n = snprintf(text, sizeof(text), "%ld (%.40s)\n", (long)getpid(),
			 program_invocation_short_name);

	/* for messages only: a full disk does not matter */
	if (n > 0 && sys_ftruncate(fd, 0) == 0)
		sys_pwrite(fd, text, (size_t)n, 0);
}

/* whoever removed the file while we waited must not make two locks of one */
static bool still_there(int dirfd, int fd)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && fstatat(dirfd, LOCK_NAME, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* 1 = ours, 0 = not free */
static int try_lock(int dirfd, int *fd, struct err *e)
{
	if (*fd < 0) {
		*fd = statedir_file(dirfd, LOCK_NAME, E_STATE_DIR, e);
		if (*fd < 0)
			return *fd;
	}
	if (flock(*fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK || errno == EINTR)
			return 0;
		return err_sys(e, E_STATE_DIR, errno, "locking '" LOCK_NAME "'");
	}
	if (still_there(dirfd, *fd))
		return 1;
	sys_close(fd);
	return 0;
}

static int busy(int fd, uint64_t timeout, struct err *e)
{
	char holder[HOLDER_MAX * 4];

	read_holder(fd, holder, sizeof(holder));
	return err_set(e, E_BUSY, EBUSY, "process %s holds the install lock for more than %llu s",
		       holder, (unsigned long long)timeout);
}

static void tell(const struct session *s, int fd)
{
	char holder[HOLDER_MAX * 4];

	read_holder(fd, holder, sizeof(holder));
	reporter_info(s->reporter, "waiting for another installation to end (%s)", holder);
}

static int wait_lock(const struct session *s, int dirfd, int *fd, struct err *e)
{
	const uint64_t timeout = s->cfg->lock_timeout;
	uint64_t until = sys_now_ms() + (timeout > UINT32_MAX ? UINT32_MAX : timeout) * 1000;
	bool told = false;

	for (;;) {
		int rc = try_lock(dirfd, fd, e);
		if (rc != 0)
			return rc < 0 ? rc : 0;
		if (flag_is_set(s->cancel))
			return err_set(e, E_CANCELED, ECANCELED,
				       "cancelled while another installation was running");
		if (sys_now_ms() >= until)
			return busy(*fd, timeout, e);
		if (!told && *fd >= 0) {
			tell(s, *fd);
			told = true;
		}
		poll(NULL, 0, POLL_MS);
	}
}

int lock_take(struct lock **l, const struct session *s, struct err *e)
{
	AUTO_CLOSE int fd = -1, dirfd = -1;

	*l = NULL;
	dirfd = open_folder(s->cfg, e);
	if (dirfd < 0)
		return err_while(e, dirfd, "taking the install lock");
	int rc = wait_lock(s, dirfd, &fd, e);
	if (rc < 0)
		return err_while(e, rc, "taking the install lock");
	*l = calloc(1, sizeof(**l));
	if (!*l)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the install lock");
	write_holder(fd);
	(*l)->fd = fd;
	fd = -1;
	return 0;
}

struct lock *lock_release(struct lock *l)
{
	if (l) {
		/* the description may be shared with a child that still runs: unlock, not only
		 * close */
		sys_ftruncate(l->fd, 0);
		flock(l->fd, LOCK_UN);
		sys_close(&l->fd);
		free(l);
	}
	return NULL;
}
