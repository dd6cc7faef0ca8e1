#include "corelib/process/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "corelib/process/childenv.h"
#include "corelib/process/sandbox.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define END_WAIT_MS 5000

static const char *const default_env[] = {CHILDENV_ALWAYS, NULL};

/* what the child tells when it cannot become the program */
struct failure {
	int sys;
	char step[60];
};

/* ---- in the child: nothing here may allocate, lock or return to the caller ----------------------
 */

static _Noreturn void child_fail(int fd, const char *step)
{
	struct failure f = {.sys = errno};
	ssize_t n;

	text_copy(f.step, sizeof(f.step), step);
	do
		n = write(fd, &f, sizeof(f));
	while (n < 0 && errno == EINTR);
	_exit(127);
}

static void child_signals(void)
{
	const unsigned long zeros[8] = {
		0}; /* the kernel's struct sigaction, of every architecture */
	sigset_t none;

	/* the raw call: libc keeps two signals to itself, which an ancestor may have ignored (T61)
	 */
	for (int sig = 1; sig < NSIG; sig++)
		syscall(SYS_rt_sigaction, sig, zeros, NULL, NSIG / 8);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* a copy out of the way of those that are about to be placed */
static int child_lift(int fd, unsigned above, int report)
{
	int copy = fd < 0 ? open("/dev/null", O_RDWR | O_CLOEXEC) : fd;

	copy = copy < 0 ? -1 : fcntl(copy, F_DUPFD_CLOEXEC, (int)above);
	if (copy < 0)
		child_fail(report, "dup");
	return copy;
}

/* a script's interpreter opens the descriptor once more by its number */
static bool child_is_script(int fd)
{
	char start[2];

	return pread(fd, start, 2, 0) == 2 && start[0] == '#' && start[1] == '!';
}

struct placed {
	int report, exec;
};

/* 0.. as named, then the pipe of failures, then the program's own descriptor; nothing else */
static struct placed child_place(const struct spawn *sp, int report)
{
	unsigned count = sp->fd_count, above = count + 2;
	int lifted[SPAWN_FDS_MAX];
	struct placed p = {.exec = -1};
	int exec = -1;

	report = child_lift(report, above, report);
	if (sp->exec_fd >= 0)
		exec = child_lift(sp->exec_fd, above, report);
	for (unsigned i = 0; i < count; i++)
		lifted[i] = child_lift(sp->fds[i], above, report);
	for (unsigned i = 0; i < count; i++)
		if (dup2(lifted[i], (int)i) < 0)
			child_fail(report, "dup2");
	p.report = dup3(report, (int)count, O_CLOEXEC);
	if (exec >= 0)
		p.exec = dup3(exec, (int)count + 1, child_is_script(exec) ? 0 : O_CLOEXEC);
	if (p.report < 0 || (exec >= 0 && p.exec < 0))
		child_fail(report, "dup3");
	sys_close_from(count + (exec >= 0 ? 2 : 1));
	return p;
}

/* a parent that ended before the signal was asked for has another process in its place by now */
static void child_dies_with(pid_t parent, int report)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		child_fail(report, "PR_SET_PDEATHSIG");
	if (getppid() != parent)
		_exit(127);
}

/* until the parent has noted that we run; it says nothing when it has died, or could not */
static void child_wait(int go)
{
	char byte;
	ssize_t n;

	do
		n = read(go, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		_exit(127);
}

struct ends {
	int report, go; /* the child's ends of two pipes */
	pid_t parent;
};

static _Noreturn void child_run(const struct spawn *sp, const struct ends *ends)
{
	const char *step = "";
	char *const *argv = (char *const *)sp->argv;
	char *const *env = (char *const *)(sp->env ? sp->env : default_env);
	int report = ends->report;

	child_signals();
	umask(077);
	if (setsid() < 0)
		child_fail(report, "setsid");
	child_dies_with(ends->parent, report);
	child_wait(ends->go);

	struct placed p = child_place(sp, report);

	if (sp->drop && sandbox_drop(sp->uid, sp->gid, &step) < 0)
		child_fail(p.report, step);
	if (sp->drop) /* a change of user forgets it */
		child_dies_with(ends->parent, p.report);
	if (p.exec >= 0)
		syscall(SYS_execveat, p.exec, "", argv, env, AT_EMPTY_PATH);
	else
		execve(sp->argv[0], argv, env);
	child_fail(p.report, "execve");
}

/* ---- in the parent ------------------------------------------------------------------------------
 */

/* The child waits at 'go': note it, then let it become the program. We have the reading end open
 * too, so that a child which died meanwhile is no SIGPIPE. */
static int let_go(const struct spawn *sp, pid_t pid, int go, struct err *e)
{
	int rc = sp->born ? sp->born(sp->arg, pid, e) : 0;

	if (rc < 0)
		return rc;
	rc = sys_write(go, "", 1);
	return rc < 0 ? err_sys(e, E_NONE, -rc, "starting %s", sp->argv[0]) : 0;
}

pid_t spawn_start(const struct spawn *sp, struct err *e)
{
	int pair[2], second[2];

	if (sp->fd_count < 3 || sp->fd_count > SPAWN_FDS_MAX)
		return err_set(e, E_INTERNAL, EINVAL, "%u descriptors for a program", sp->fd_count);
	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(e, E_NONE, errno, "pipe2");

	AUTO_CLOSE int from = pair[0];
	AUTO_CLOSE int to = pair[1];

	if (pipe2(second, O_CLOEXEC) < 0)
		return err_sys(e, E_NONE, errno, "pipe2");

	AUTO_CLOSE int go_read = second[0];
	AUTO_CLOSE int go = second[1];
	struct ends ends = {.report = to, .go = go_read, .parent = getpid()};
	pid_t pid = fork();

	if (pid < 0)
		return err_sys(e, E_NONE, errno, "clone for %s", sp->argv[0]);
	if (pid == 0) {
		close(go); /* else it would wait for itself */
		child_run(sp, &ends);
	}
	sys_close(&to);

	struct failure f;
	int rc = let_go(sp, pid, go, e);

	if (rc < 0) {
		spawn_end(pid);
		return rc;
	}
	ssize_t n = sys_read(from, &f, sizeof(f));

	if (n == 0)
		return pid;
	spawn_end(pid);
	if (n != (ssize_t)sizeof(f))
		return err_set(e, E_SYS, EIO, "%s could not be started", sp->argv[0]);
	f.step[sizeof(f.step) - 1] = '\0';
	return err_sys(e, E_NONE, f.sys, "%s: %s", sp->argv[0], f.step);
}

pid_t spawn_function(void (*child)(void *arg, int fd), void *arg, int fd, struct err *e)
{
	pid_t parent = getpid(), pid;
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid == 0) {
		if (dup2(fd, 3) < 0)
			_exit(127);
		sys_close_from(4);
		child_dies_with(parent, 3);
		child(arg, 3);
		_exit(0);
	}
	if (pid < 0)
		err_sys(e, E_NONE, errno, "fork");
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return pid < 0 ? -e->sys : pid;
}

int spawn_poll(pid_t pid, int *status)
{
	pid_t rc;

	do
		rc = waitpid(pid, status, WNOHANG);
	while (rc < 0 && errno == EINTR);
	if (rc < 0)
		*status = -1;
	return rc != 0;
}

int spawn_end(pid_t pid)
{
	const struct timespec ms = {.tv_nsec = 1000000};
	uint64_t until = sys_now_ms() + END_WAIT_MS;
	int status = -1;

	kill(-pid, SIGKILL);
	kill(pid, SIGKILL); /* before it leads its group */
	while (!spawn_poll(pid, &status)) {
		if (sys_now_ms() > until)
			return -1; /* stuck in the kernel: nobody can wait for that */
		nanosleep(&ms, NULL);
	}
	return status;
}

void spawn_tell(int status, char *text, size_t n)
{
	if (status < 0)
		text_print(text, n, "did not end");
	else if (WIFSIGNALED(status))
		text_print(text, n, "was ended by signal %d (%s)", WTERMSIG(status),
			   strsignal(WTERMSIG(status)));
	else
		text_print(text, n, "ended with status %d", WEXITSTATUS(status));
}
