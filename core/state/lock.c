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
#include "corelib/base/crc32c.h"
#include "corelib/base/flag.h"
#include "corelib/process/running.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define LOCK_NAME  "lock"
#define POLL_MS	   50
#define HOLDER_MAX 64

struct held {
	int dir, fd; /* the folder, the lock file in it */
	bool locked;
	char name[24];
};

struct lock {
	struct held in[2]; /* the state directory, the run directory; -1 where there is none */
};

static int open_writable(const char *path, int *fd, struct err *e)
{
	*fd = statedir_open(path, e);
	if (*fd >= 0 && faccessat(*fd, ".", W_OK, AT_EACCESS) < 0)
		return err_sys(e, E_STATE_DIR, errno, "'%s' cannot be written", path);
	return *fd < 0 ? *fd : 0;
}

/*
 * Both where both can be used: an installer that cannot write to the state directory, while another
 * can, meets it in the run directory.
 */
static int open_folders(struct lock *l, bool usable[2], const struct settings *cfg, struct err *e)
{
	const char *state = cfg->state_dir ? cfg->state_dir : "";
	struct err second = {0};
	int rc = open_writable(cfg->state_dir, &l->in[0].dir, e);

	text_copy(l->in[0].name, sizeof(l->in[0].name), LOCK_NAME);
	/* other state directories, of other devices that are simulated here, share the folder */
	text_print(l->in[1].name, sizeof(l->in[1].name), LOCK_NAME "-%08x",
		   crc32c(0, state, strlen(state)));

	usable[0] = rc == 0;
	usable[1] = cfg->run_dir && open_writable(cfg->run_dir, &l->in[1].dir, &second) == 0;
	if (usable[1])
		err_clear(e);
	return usable[1] ? 0 : rc;
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
static bool still_there(const struct held *h)
{
	struct stat a, b;

	return fstat(h->fd, &a) == 0 && fstatat(h->dir, h->name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* 1 = ours, 0 = not free */
static int try_lock(struct held *h, struct err *e)
{
	if (h->fd < 0) {
		h->fd = statedir_file(h->dir, h->name, E_STATE_DIR, e);
		if (h->fd < 0)
			return h->fd;
	}
	if (flock(h->fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK || errno == EINTR)
			return 0;
		return err_sys(e, E_STATE_DIR, errno, "locking '" LOCK_NAME "'");
	}
	if (still_there(h))
		return 1;
	sys_close(&h->fd);
	return 0;
}

static int busy(int fd, uint64_t timeout, struct err *e)
{
	char holder[HOLDER_MAX * 4];

	read_holder(fd, holder, sizeof(holder));
	if (timeout == 0)
		return err_set(e, E_BUSY, EBUSY, "process %s holds the install lock", holder);
	return err_set(e, E_BUSY, EBUSY, "process %s holds the install lock for more than %llu s",
		       holder, (unsigned long long)timeout);
}

static void lock_tell(const struct session *s, int fd)
{
	char holder[HOLDER_MAX * 4], text[HOLDER_MAX * 4 + 64];

	read_holder(fd, holder, sizeof(holder));
	text_print(text, sizeof(text), "waiting for another installation to end (%s)", holder);
	reporter_output(s->reporter, LOG_LEVEL_INFO, text);
}

static int wait_lock(const struct session *s, struct held *h, uint64_t until, bool *told,
		     struct err *e)
{
	for (;;) {
		int rc = try_lock(h, e);
		if (rc != 0)
			return rc < 0 ? rc : 0;
		if (flag_is_set(s->cancel))
			return err_set(e, E_CANCELED, ECANCELED,
				       "cancelled while another installation was running");
		if (sys_now_ms() >= until)
			return busy(h->fd, s->cfg->lock_timeout, e);
		if (!*told && h->fd >= 0) {
			lock_tell(s, h->fd);
			*told = true;
		}
		poll(NULL, 0, POLL_MS);
	}
}

static int take(struct lock *l, const struct session *s, struct err *e)
{
	const struct settings *cfg = s->cfg;
	uint64_t timeout = cfg->lock_timeout > UINT32_MAX ? UINT32_MAX : cfg->lock_timeout;
	unsigned ended = 0;
	uint64_t until = sys_now_ms() + timeout * 1000;
	bool usable[2], told = false;
	int rc = open_folders(l, usable, cfg, e);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < ARRAY_SIZE(l->in); i++) {
		struct err why = {0};

		rc = usable[i] ? wait_lock(s, &l->in[i], until, &told, &why) : 0;
		if (rc < 0 && !(i == 1 && usable[0] && why.code == E_STATE_DIR)) {
			*e = why;
			return rc;
		}
		if (usable[i] && rc == 0) {
			l->in[i].locked = true;
			write_holder(l->in[i].fd);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(l->in); i++) {
		rc = l->in[i].dir >= 0 && session_writes(s) ? running_end(l->in[i].dir, e) : 0;
		if (rc < 0)
			return rc;
		ended += (unsigned)rc;
	}
	if (ended)
		reporter_warn(
			s->reporter,
			"an installation was killed: %u processes that it had started were ended",
			ended);
	return 0;
}

int lock_take(struct lock **out, const struct session *s, struct err *e)
{
	struct lock *l = calloc(1, sizeof(*l));
	int rc;

	*out = NULL;
	if (!l)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the install lock");
	for (size_t i = 0; i < ARRAY_SIZE(l->in); i++)
		l->in[i].dir = l->in[i].fd = -1;
	rc = take(l, s, e);
	if (rc < 0) {
		lock_release(l);
		return err_while(e, rc, "taking the install lock");
	}
	*out = l;
	return 0;
}

int lock_folder(const struct lock *l)
{
	return l->in[0].locked ? l->in[0].dir : l->in[1].dir;
}

struct lock *lock_release(struct lock *l)
{
	for (size_t i = 0; l && i < ARRAY_SIZE(l->in); i++) {
		struct held *h = &l->in[i];

		if (h->locked) {
			sys_ftruncate(h->fd, 0);
			if (i == 1)
				sys_unlinkat(h->dir, h->name, 0);
			/* the description may be shared with a child that still runs: unlock, not
			 * only close */
			flock(h->fd, LOCK_UN);
		}
		if (h->fd >= 0)
			sys_close(&h->fd);
		if (h->dir >= 0)
			sys_close(&h->dir);
	}
	free(l);
	return NULL;
}
