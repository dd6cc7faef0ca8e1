#include "corelib/process/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "corelib/base/lines.h"
#include "corelib/process/childenv.h"
#include "corelib/process/orphans.h"
#include "corelib/process/running.h"
#include "corelib/process/spawn.h"
#include "corelib/base/flag.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define DEADLINE_MS (10u * 60 * 1000)
#define EXTRA_MAX   4u
#define READ_ONCE   (64u * 1024)
#define LAST_READS  16 /* a grandchild that goes on writing is not listened to for ever */
#define TICK_MS	    50

struct run;

struct source {
	int fd, from;
	struct run *r;
	struct lines lines;
};

struct run {
	const struct process *p;
	pid_t pid;
	int status;
	uint64_t until;
	struct running note;
	int feed;	     /* where the child's input is written; -1 = nowhere any more */
	const uint8_t *lent; /* of the input */
	size_t lent_len;
	bool unread; /* the child has closed its input before the end */
	size_t told; /* bytes of text from 1 and 2 */
	unsigned count;
	struct source sources[2 + EXTRA_MAX];
	char buf[READ_ONCE];
};

/* ---- lines --------------------------------------------------------------------------------------
 */

static void hand_on(const struct source *s, const char *text)
{
	const struct process *p = s->r->p;
	const struct process_line l = {.from = s->from, .text = text};

	if (p->line)
		p->line(p->arg, &l);
}

static void take_line(void *arg, const char *text)
{
	struct source *s = arg;
	struct run *r = s->r;

	if (s->from <= 2) /* T120: of both together */
		text = lines_bounded(&r->told, text);
	if (text)
		hand_on(s, text);
}

static void source_end(struct source *s)
{
	if (s->fd < 0)
		return;
	sys_close(&s->fd);
	lines_end(&s->lines);
}

/* true when there may be more at once */
static bool source_read(struct run *r, struct source *s)
{
	ssize_t n = s->fd < 0 ? 0 : read(s->fd, r->buf, sizeof(r->buf));

	if (n > 0) {
		lines_take(&s->lines, r->buf, (size_t)n);
		return true;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		source_end(s);
	return n < 0 && errno == EINTR;
}

/* what was written before the program ended; a grandchild may hold the pipe open for ever (T64) */
static void read_last(struct run *r)
{
	for (unsigned i = 0; i < r->count; i++) {
		for (int n = 0; n < LAST_READS && source_read(r, &r->sources[i]); n++)
			;
		source_end(&r->sources[i]);
	}
}

static const char *name_of(const struct process *p)
{
	return p->name ? p->name : p->argv[0];
}

/* ---- its input ---------------------------------------------------------------------------------
 */

/* 1 = there may be more to give at once, 0 = it cannot take more now, or nothing is left */
static int feed_some(struct run *r, struct err *e)
{
	ssize_t n;

	if (r->feed < 0)
		return 0;
	if (r->lent_len == 0) {
		n = r->p->input(r->p->arg, &r->lent, e);
		if (n < 0)
			return (int)n;
		if (n == 0) {
			sys_close(&r->feed);
			return 0;
		}
		r->lent_len = (size_t)n;
	}
	n = write(r->feed, r->lent, r->lent_len);
	if (n < 0 && errno == EPIPE) {
		r->unread = true; /* how it ends says more */
		sys_close(&r->feed);
		return 0;
	}
	if (n < 0)
		return errno == EAGAIN || errno == EINTR
			       ? 0
			       : err_sys(e, E_NONE, errno, "writing to %s", name_of(r->p));
	r->lent += n;
	r->lent_len -= (size_t)n;
	return 1;
}

/* it has ended: had it got all of it, and is that proven? */
static int feed_end(struct run *r, struct err *e)
{
	if (r->feed >= 0 && r->lent_len == 0) {
		ssize_t n = r->p->input(r->p->arg, &r->lent, e);

		if (n < 0)
			return (int)n;
		r->unread = n > 0;
	} else if (r->feed >= 0) {
		r->unread = true;
	}
	return 0;
}

/* ---- running ------------------------------------------------------------------------------------
 */

static void wait_a_little(struct run *r, int ms)
{
	struct pollfd fds[3 + EXTRA_MAX];
	unsigned n = 0;

	if (r->feed >= 0)
		fds[n++] = (struct pollfd){.fd = r->feed, .events = POLLOUT};

	for (unsigned i = 0; i < r->count; i++)
		if (r->sources[i].fd >= 0)
			fds[n++] = (struct pollfd){.fd = r->sources[i].fd, .events = POLLIN};
	if (poll(fds, n, ms) <= 0)
		return;
	for (unsigned i = 0; i < r->count; i++)
		source_read(r, &r->sources[i]);
}

static int stopped(struct run *r, struct err *e)
{
	const char *name = name_of(r->p);

	if (flag_is_set(r->p->cancel))
		return err_set(e, E_CANCELED, ECANCELED, "%s was ended because of a cancel", name);
	if (sys_now_ms() >= r->until)
		return err_set(e, E_DEADLINE, ETIMEDOUT, "%s did not end within %llu ms", name,
			       (unsigned long long)(r->p->deadline_ms ?: DEADLINE_MS));
	return 0;
}

/* until the program has ended, or must end */
static int run_on(struct run *r, struct err *e)
{
	int rc = 0;

	/* a short program is not made to wait for a whole tick after it closed its output */
	for (int ms = 1; !spawn_poll(r->pid, &r->status);
	     ms = ms * 2 < TICK_MS ? ms * 2 : TICK_MS) {
		rc = stopped(r, e);
		if (rc == 0)
			rc = feed_some(r, e);
		if (rc < 0) {
			r->status = spawn_end(r->pid);
			break;
		}
		wait_a_little(r, rc > 0 ? 0 : ms);
	}
	if (rc >= 0)
		rc = feed_end(r, e);
	read_last(r);
	return rc;
}

static int judge(const struct run *r, struct err *e)
{
	char how[80];

	if (r->status == 0 && r->unread)
		return err_set(e, E_PROCESS, EPIPE, "%s ended without reading its input to the end",
			       name_of(r->p));
	if (r->status == 0)
		return 0;
	spawn_tell(r->status, how, sizeof(how));
	return err_set(e, E_PROCESS, ECHILD, "%s %s", name_of(r->p), how);
}

/* pipes of output; the ends for the program go to theirs[] */
static int make_pipes(struct run *r, int *theirs, struct err *e)
{
	for (r->count = 0; r->count < 2 + r->p->extra; r->count++) {
		struct source *s = &r->sources[r->count];
		int ends[2];

		if (pipe2(ends, O_CLOEXEC) < 0)
			return err_sys(e, E_NONE, errno, "pipe2");
		s->fd = ends[0];
		s->from = (int)r->count + 1;
		s->r = r;
		s->lines.line = take_line;
		s->lines.arg = s;
		theirs[s->from] = ends[1];
		if (fcntl(s->fd, F_SETFL, O_NONBLOCK) < 0)
			return err_sys(e, E_NONE, errno, "fcntl");
	}
	return 0;
}

static int make_input(struct run *r, int *theirs, struct err *e)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, E_NONE, errno, "pipe2");
	*theirs = ends[0];
	r->feed = ends[1];
	return fcntl(r->feed, F_SETFL, O_NONBLOCK) < 0 ? err_sys(e, E_NONE, errno, "fcntl") : 0;
}

static int start(struct run *r, struct err *e)
{
	const struct process *p = r->p;
	AUTO_FREE const char **env = NULL;
	int fds[3 + EXTRA_MAX] = {p->stdin_fd, -1, -1, -1, -1, -1, -1};
	struct spawn sp = {
		.argv = p->argv,
		.exec_fd = p->exec_fd,
		.fds = fds,
		.fd_count = 3 + p->extra,
		.drop = p->drop,
		.uid = p->uid,
		.gid = p->gid,
		.born = running_note,
		.arg = &r->note,
	};
	int rc = running_open(&r->note, p->noted_in, e);

	if (rc == 0)
		rc = running_environment(&r->note, p->env, &env, e);
	if (rc < 0)
		return rc;
	sp.env = env;
	rc = make_pipes(r, fds, e);
	if (rc == 0 && p->input)
		rc = make_input(r, &fds[0], e);
	if (rc == 0)
		rc = spawn_start(&sp, e);
	for (unsigned i = p->input ? 0 : 1; i < sp.fd_count; i++)
		if (fds[i] >= 0)
			sys_close(&fds[i]);
	if (rc > 0)
		r->pid = rc;
	return rc;
}

/* a child that closes its input is no SIGPIPE of ours */
static void pipe_signal(bool block, sigset_t *before)
{
	const struct timespec now = {0};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	if (block) {
		pthread_sigmask(SIG_BLOCK, &set, before);
		return;
	}
	if (!sigismember(before, SIGPIPE))
		while (sigtimedwait(&set, NULL, &now) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

static int run_through(struct run *r, struct err *e)
{
	int rc = start(r, e);

	if (rc <= 0) {
		read_last(r);
		return rc;
	}
	r->until = sys_now_ms() + (r->p->deadline_ms ?: DEADLINE_MS);
	rc = run_on(r, e);
	return rc < 0 ? rc : judge(r, e);
}

int process_run(const struct process *p, struct err *e)
{
	if (p->extra > EXTRA_MAX)
		return err_set(e, E_INTERNAL, EINVAL, "%u further pipes", p->extra);

	AUTO_FREE struct run *r = calloc(1, sizeof(*r));

	if (!r)
		return err_set(e, E_MEMORY, ENOMEM, "no memory to run %s", p->argv[0]);
	r->p = p;
	for (unsigned i = 0; i < 2 + EXTRA_MAX; i++)
		r->sources[i].fd = -1;
	r->feed = -1;

	struct orphans o = {.watching = false};

	if (p->whole)
		orphans_watch(&o);
	sigset_t before;

	if (p->input)
		pipe_signal(true, &before);
	int rc = run_through(r, e);

	if (p->input)
		pipe_signal(false, &before);
	if (r->feed >= 0)
		sys_close(&r->feed);
	if (rc < 0)
		orphans_end(&o);
	orphans_release(&o);
	if (r->status != -1) /* one that hangs in the kernel stays noted */
		running_forget(&r->note);
	return rc;
}

/* ---- helpers ------------------------------------------------------------------------------------
 */

int process_helper(const char *name, char *path, size_t n)
{
	static const char *const folders[] = {"", "../libexec/swinstall/"};
	char self[4096];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (len < 0)
		return -errno;
	self[len] = '\0';

	char *slash = strrchr(self, '/');

	if (!slash)
		return -ENOENT;
	slash[1] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (text_print(path, n, "%s%s%s", self, folders[i], name) == 0 &&
		    access(path, X_OK) == 0)
			return 0;
	return -ENOENT;
}
