#include "corelib/process/forked.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "corelib/base/lines.h"
#include "corelib/process/orphans.h"
#include "corelib/process/running.h"
#include "corelib/process/spawn.h"
#include "corelib/base/flag.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define TICK_MS	   50
#define LAST_READS 64 /* a grandchild that goes on writing is not listened to for ever */

struct run {
	const struct forked *f;
	int records, text, status;
	uint64_t until;
	pid_t pid;
	struct running note;
	size_t told; /* bytes of lines */
	struct lines lines;
	char buf[FORKED_RECORD];
};

static int send_record(int fd, const void *bytes, size_t n, int flags)
{
	ssize_t rc;

	if (n > FORKED_RECORD)
		return -EMSGSIZE;
	do
		rc = send(fd, bytes, n, MSG_NOSIGNAL | flags);
	while (rc < 0 && errno == EINTR);
	return rc < 0 ? -errno : 0;
}

int forked_tell(int fd, const void *bytes, size_t n)
{
	return send_record(fd, bytes, n, 0);
}

int forked_answer(int fd, const void *bytes, size_t n)
{
	return send_record(fd, bytes, n, MSG_DONTWAIT);
}

ssize_t forked_hear(int fd, void *bytes, size_t n)
{
	ssize_t rc;

	do
		rc = recv(fd, bytes, n, 0);
	while (rc < 0 && errno == EINTR);
	if (rc == 0)
		return -EPIPE;
	return rc < 0 ? -errno : rc;
}

/* ---- in the job ---- */

static void take_line(void *arg, const char *text)
{
	struct run *r = arg;

	text = lines_bounded(&r->told, text);
	if (text)
		r->f->line(r->f->arg, text);
}

static bool read_text(struct run *r)
{
	ssize_t n = read(r->text, r->buf, sizeof(r->buf));

	if (n > 0)
		lines_take(&r->lines, r->buf, (size_t)n);
	return n > 0;
}

static bool read_record(struct run *r)
{
	ssize_t n = recv(r->records, r->buf, sizeof(r->buf), MSG_DONTWAIT);
	uint64_t began = sys_now_ms();

	if (n > 0)
		r->f->record(r->f->arg, r->records, r->buf, (size_t)n);
	r->until += sys_now_ms() - began;
	return n > 0;
}

static bool read_both(struct run *r)
{
	bool record = read_record(r), text = read_text(r);

	return record || text;
}

static int stopped(const struct run *r, struct err *e)
{
	if (flag_is_set(r->f->cancel))
		return err_set(e, E_CANCELED, ECANCELED, "%s was ended because of a cancel",
			       r->f->name);
	if (sys_now_ms() >= r->until)
		return err_set(e, E_DEADLINE, ETIMEDOUT, "%s did not end within %llu ms",
			       r->f->name, (unsigned long long)r->f->deadline_ms);
	return 0;
}

static int follow(struct run *r, struct err *e)
{
	int rc = 0, ms = 1;

	r->until = sys_now_ms() + r->f->deadline_ms;
	while (!spawn_poll(r->pid, &r->status)) {
		struct pollfd fds[] = {{r->records, POLLIN, 0}, {r->text, POLLIN, 0}};

		rc = stopped(r, e);
		if (rc < 0) {
			r->status = spawn_end(r->pid);
			break;
		}
		if (poll(fds, 2, ms) <= 0 || !read_both(r)) {
			ms = ms * 2 < TICK_MS ? ms * 2 : TICK_MS;
			if (fds[0].revents & POLLHUP) /* closed: only its end is waited for */
				poll(NULL, 0, ms);
		}
	}
	for (int n = 0; n < 100000 && read_record(r); n++)
		;
	for (int n = 0; n < LAST_READS && read_text(r); n++)
		;
	lines_end(&r->lines);
	return rc;
}

static int judge(const struct run *r, struct err *e)
{
	char how[80];

	if (r->status == 0)
		return 0;
	spawn_tell(r->status, how, sizeof(how));
	return err_set(e, E_PROCESS, ECHILD, "%s %s", r->f->name, how);
}

/* ---- in the child ---- */

static void be_child(struct run *r, int records, int text, pid_t parent)
{
	const struct forked *f = r->f;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	char go;

	setsid();
	/* a parent that ended before the signal was asked for has another in its place by now */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent)
		_exit(127);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	if (dup2(null, 0) < 0 || dup2(text, 1) < 0 || dup2(text, 2) < 0)
		_exit(127);
	/* no descriptor of the job goes along, above all not that of the install lock */
	if (records != 3 && dup2(records, 3) < 0)
		_exit(127);
	records = 3;
	sys_close_from(4);
	if (forked_hear(records, &go, 1) != 1) /* it is noted that we run */
		_exit(127);
	if (r->note.dir > 0)
		putenv(r->note.variable);
	f->child(records, f->arg);
	fflush(NULL);
	_exit(0);
}

/* ---- both ---- */

static int start(struct run *r, struct err *e)
{
	int pair[2], ends[2], rc = running_open(&r->note, r->f->noted_in, e);
	pid_t parent = getpid();

	if (rc < 0)
		return rc;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, E_NONE, errno, "socketpair");
	r->records = pair[0];
	AUTO_CLOSE int theirs = pair[1];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, E_NONE, errno, "pipe2");
	r->text = ends[0];
	AUTO_CLOSE int out = ends[1];

	fcntl(r->text, F_SETFL, O_NONBLOCK);
	fflush(NULL);
	r->pid = fork();
	if (r->pid == 0)
		be_child(r, theirs, out, parent);
	if (r->pid < 0)
		return err_sys(e, E_NONE, errno, "fork");
	rc = running_note(&r->note, r->pid, e);
	if (rc == 0)
		rc = forked_tell(r->records, "", 1);
	if (rc < 0)
		spawn_end(r->pid);
	return rc < 0 && !err_is_set(e) ? err_sys(e, E_NONE, -rc, "starting %s", r->f->name) : rc;
}

int forked_run(const struct forked *f, struct err *e)
{
	AUTO_FREE struct run *r = calloc(1, sizeof(*r));
	struct orphans o = {.watching = false};
	int rc;

	if (!r)
		return err_set(e, E_MEMORY, ENOMEM, "no memory to run %s", f->name);
	r->f = f;
	r->records = r->text = -1;
	r->lines.line = take_line;
	r->lines.arg = r;
	orphans_watch(&o);
	rc = start(r, e);
	if (rc == 0)
		rc = follow(r, e);
	if (rc == 0)
		rc = judge(r, e);
	if (rc < 0)
		orphans_end(&o);
	orphans_release(&o);
	if (r->status != -1) /* one that hangs in the kernel stays noted */
		running_forget(&r->note);
	sys_close(&r->records);
	sys_close(&r->text);
	return rc;
}
