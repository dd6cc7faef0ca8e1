/* process_run: what the program gets, what it can hold back from us, and what is left of it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "corelib/process/process.h"
#include "corelib/process/procs.h"
#include "corelib/process/running.h"
#include "corelib/process/spawn.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/envkit.h"
#include "tests/unit/kit/hang.h"
#include "tests/unit/kit/tool.h"

struct heard {
	struct blob text[8]; /* by descriptor, lines with their end */
	size_t lines, longest;
};

static void hear(void *arg, const struct process_line *l)
{
	struct heard *h = arg;
	size_t n = strlen(l->text);

	h->lines++;
	if (n > h->longest)
		h->longest = n;
	blob_add(&h->text[l->from], l->text, n);
	blob_add(&h->text[l->from], "\n", 1);
}

static const char *said(struct heard *h, int from)
{
	blob_add(&h->text[from], "", 1);
	h->text[from].len--;
	return (const char *)h->text[from].data;
}

static void forget(struct heard *h)
{
	for (size_t i = 0; i < ARRAY_SIZE(h->text); i++)
		blob_clear(&h->text[i]);
	*h = (struct heard){0};
}

static int run_with(struct process p, const char *script, struct heard *h, struct err *e)
{
	const char *const argv[] = {"/bin/sh", "-c", script, "sh", NULL};

	p.argv = argv;
	p.line = hear;
	p.arg = h;
	return process_run(&p, e);
}

static int run(const char *script, struct heard *h, struct err *e)
{
	return run_with((struct process){.exec_fd = -1, .stdin_fd = -1}, script, h, e);
}

static void nothing_is_left(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void lines_come_from_their_descriptor(void **state)
{
	struct heard h = {0};
	struct err e = {0};
	struct process p = {.exec_fd = -1, .stdin_fd = -1, .extra = 2};

	(void)state;
	assert_int_equal(
		run_with(p, "echo out; echo err >&2; echo three >&3; printf 'four\\r\\nend' >&4",
			 &h, &e),
		0);
	assert_string_equal(said(&h, 1), "out\n");
	assert_string_equal(said(&h, 2), "err\n");
	assert_string_equal(said(&h, 3), "three\n");
	assert_string_equal(said(&h, 4), "four\nend\n");
	forget(&h);
	nothing_is_left();
}

static void t118_output_is_made_printable(void **state)
{
	struct heard h = {0};
	struct err e = {0};

	(void)state;
	assert_int_equal(run("printf '\\033[31mred\\a\\377\\n'", &h, &e), 0);
	assert_string_equal(said(&h, 1), "\\x1b[31mred\\x07\\xff\n");
	forget(&h);
}

static void the_end_is_told_with_status_or_signal(void **state)
{
	struct heard h = {0};
	struct err e = {0};

	(void)state;
	assert_int_equal(run("exit 3", &h, &e), -ECHILD);
	assert_int_equal(e.code, E_PROCESS);
	assert_string_equal(e.why, "/bin/sh ended with status 3");
	err_clear(&e);
	assert_int_equal(run("kill -SEGV $$", &h, &e), -ECHILD);
	assert_int_equal(e.code, E_PROCESS);
	assert_non_null(strstr(e.why, "was ended by signal 11"));
	nothing_is_left();
}

static void a_program_that_is_not_there_or_none_is_named(void **state)
{
	static const char *const none[] = {"/no/such/program", NULL}, *const text[] = {
									      "/etc/passwd", NULL};
	struct process p = {.argv = none, .exec_fd = -1, .stdin_fd = -1};
	struct err e = {0};

	(void)state;
	assert_int_equal(process_run(&p, &e), -ENOENT);
	assert_int_equal(e.code, E_SYS);
	assert_non_null(strstr(e.why, "/no/such/program: execve"));
	err_clear(&e);
	p.argv = text;
	assert_int_equal(process_run(&p, &e), -EACCES);
	nothing_is_left();
}

static void t60_the_environment_is_only_what_is_named(void **state)
{
	static const char *const env[] = {"SWUPDATE_VERSION=1", "HOME=/x", NULL},
				 *const argv[] = {"/usr/bin/env", NULL};
	static const char *const poison[] = {"LD_PRELOAD", "IFS",	   "BASH_ENV",
					     "LUA_INIT",   "OPENSSL_CONF", "http_proxy"};
	struct heard h = {0};
	struct process p = {.argv = argv, .exec_fd = -1, .stdin_fd = -1, .line = hear, .arg = &h};
	struct err e = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(poison); i++)
		setenv(poison[i], "/nowhere", 1);
	assert_int_equal(process_run(&p, &e), 0);
	assert_string_equal(said(&h, 1), "PATH=/usr/sbin:/usr/bin:/sbin:/bin\nHOME=/\n");
	forget(&h);
	p.env = env;
	assert_int_equal(process_run(&p, &e), 0);
	assert_string_equal(said(&h, 1), "SWUPDATE_VERSION=1\nHOME=/x\n");
	forget(&h);
	for (size_t i = 0; i < ARRAY_SIZE(poison); i++)
		unsetenv(poison[i]);
}

static void t61_descriptors_umask_and_signals_are_clean(void **state)
{
	struct heard h = {0};
	struct err e = {0};
	int open_fds[500];
	mode_t old = umask(0);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(open_fds); i++)
		open_fds[i] = open("/dev/zero", O_RDONLY); /* no close-on-exec, on purpose */
	signal(SIGTERM, SIG_IGN);
	assert_int_equal(
		run("cd /proc/$$/fd; i=0; while [ $i -lt 600 ]; do [ ! -e $i ] || printf \"$i \"; "
		    "i=$((i+1)); done; echo; umask; readlink 0; while read -r l; do case $l in Sig[IB]*) echo \"$l\";; esac; done <../status",
		    &h, &e),
		0);
	signal(SIGTERM, SIG_DFL);
	umask(old);
	for (size_t i = 0; i < ARRAY_SIZE(open_fds); i++)
		close(open_fds[i]);
	assert_string_equal(said(&h, 1), "0 1 2 \n0077\n/dev/null\nSigBlk:\\x090000000000000000\n"
					 "SigIgn:\\x090000000000000000\n");
	forget(&h);
}

static void stdin_may_be_closed_here(void **state)
{
	struct heard h = {0};
	struct err e = {0};
	int keep = dup(0), rc;

	(void)state;
	close(0);
	rc = run("cat; echo done; echo err >&2", &h, &e);
	dup2(keep, 0);
	close(keep);
	assert_int_equal(rc, 0);
	assert_string_equal(said(&h, 1), "done\n");
	assert_string_equal(said(&h, 2), "err\n");
	forget(&h);
}

static bool runs(pid_t pid)
{
	char path[64], *text = NULL;
	size_t len = 0;

	/* the init of a container may be slow to reap: a zombie does not run */
	if (text_print(path, sizeof(path), "/proc/%d/stat", (int)pid) < 0 ||
	    sys_read_file(AT_FDCWD, path, 4096, &text, &len) < 0)
		return false;
	const char *p = strrchr(text, ')');
	bool alive = p && p[2] != 'Z' && p[2] != 'X';

	free(text);
	return alive;
}

static void t64_the_deadline_ends_the_whole_group(void **state)
{
	struct process p = {.exec_fd = -1, .stdin_fd = -1, .deadline_ms = 1500};
	struct heard h = {0};
	struct err e = {0};
	uint64_t start = sys_now_ms();
	int pids[3] = {0};

	(void)state;
	/* a child, and a grandchild whose parent is gone; both hold the pipes and ignore what may
	 * be ignored */
	assert_int_equal(run_with(p,
				  "trap '' TERM HUP INT; sleep 1000 & echo $!; "
				  "(sh -c 'sleep 1000 & echo $!' &); echo $$; wait; sleep 1000",
				  &h, &e),
			 -ETIMEDOUT);
	assert_int_equal(e.code, E_DEADLINE);
	assert_true(sys_now_ms() - start < HANG_MS);
	assert_int_equal(sscanf(said(&h, 1), "%d %d %d", &pids[0], &pids[1], &pids[2]), 3);
	for (size_t i = 0; i < 3; i++) {
		for (int n = 0; n < 1000 && runs(pids[i]); n++)
			usleep(1000);
		assert_false(runs(pids[i]));
	}
	forget(&h);
	nothing_is_left();
}

static void t64_a_grandchild_that_holds_the_pipe_does_not_hold_us(void **state)
{
	struct process p = {.exec_fd = -1, .stdin_fd = -1, .deadline_ms = 60000};
	struct heard h = {0};
	struct err e = {0};
	uint64_t start = sys_now_ms();
	int pid = 0;

	(void)state;
	assert_int_equal(run_with(p, "setsid sleep 1000 & echo $!; exit 0", &h, &e), 0);
	assert_true(sys_now_ms() - start < HANG_MS);
	assert_int_equal(sscanf(said(&h, 1), "%d", &pid), 1);
	kill(pid, SIGKILL);
	forget(&h);
}

static void a_grandchild_that_never_stops_writing_does_not_hold_us(void **state)
{
	struct heard h = {0};
	struct err e = {0};

	(void)state;
	assert_int_equal(run("yes & exit 0", &h, &e), 0); /* SIGPIPE ends it */
	forget(&h);
}

static volatile bool canceled; /* a signal sets it, as in the program */

static void cancel_now(int sig)
{
	(void)sig;
	canceled = true;
}

static void cancel_ends_it_soon(void **state)
{
	const struct itimerval soon = {.it_value = {.tv_usec = 50000}};
	struct process p = {.exec_fd = -1, .stdin_fd = -1, .cancel = &canceled};
	struct heard h = {0};
	struct err e = {0};
	uint64_t start = sys_now_ms();

	(void)state;
	signal(SIGALRM, cancel_now);
	assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
	assert_int_equal(run_with(p, "sleep 1000", &h, &e), -ECANCELED);
	signal(SIGALRM, SIG_DFL);
	assert_int_equal(e.code, E_CANCELED);
	assert_true(sys_now_ms() - start < HANG_MS);
	nothing_is_left();
}

static void t120_long_lines_and_floods_are_bounded(void **state)
{
	struct process p = {.exec_fd = -1, .stdin_fd = -1, .extra = 1};
	struct heard h = {0};
	struct err e = {0};

	(void)state;
	assert_int_equal(
		run_with(p, "head -c 5000 /dev/zero | tr '\\0' x; echo; echo next", &h, &e), 0);
	assert_int_equal(h.longest, 1000);
	assert_memory_equal(said(&h, 1) + 990, "xxxxxxx...\nnext\n", 16);
	forget(&h);
	assert_int_equal(run_with(p, "yes | head -c 8000000; echo last >&3", &h, &e), 0);
	assert_true(h.text[1].len <= (1 << 20) + 100);
	assert_non_null(strstr(said(&h, 1), "(more output of this program is not shown)\n"));
	assert_string_equal(said(&h, 3), "last\n");
	forget(&h);
}

static int memory_file(const void *data, size_t n)
{
	int fd = memfd_create("program", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(sys_write(fd, data, n), 0);
	return fd;
}

static void a_descriptor_can_be_the_program(void **state)
{
	static const char script[] =
		"#!/bin/sh\necho script $1; test ! -e /proc/$$/fd/3 || echo open";
	static const char *const argv[] = {"thing", "one", NULL};
	struct heard h = {0};
	struct process p = {.argv = argv, .stdin_fd = -1, .line = hear, .arg = &h};
	struct err e = {0};

	(void)state;
	p.exec_fd = memory_file(script, sizeof(script) - 1);
	assert_int_equal(process_run(&p, &e), 0);
	assert_string_equal(said(&h, 1), "script one\n");
	forget(&h);
	close(p.exec_fd);

	p.exec_fd = open("/bin/echo", O_RDONLY | O_CLOEXEC);
	assert_int_equal(process_run(&p, &e), 0);
	assert_string_equal(said(&h, 1), "one\n");
	forget(&h);
	close(p.exec_fd);
	nothing_is_left();
}

static void t62_dropped_rights_are_gone(void **state)
{
	static const char *const argv[] = {"/bin/cat", "/proc/self/status", NULL};
	const gid_t some[] = {1, 2};
	struct heard h = {0};
	struct process p = {.argv = argv,
			    .exec_fd = -1,
			    .stdin_fd = -1,
			    .drop = true,
			    .uid = 65534,
			    .gid = 65534,
			    .line = hear,
			    .arg = &h};
	struct err e = {0};
	static const char *const want[] = {"Uid:\\x0965534\\x0965534\\x0965534\\x0965534\n",
					   "Gid:\\x0965534\\x0965534\\x0965534\\x0965534\n",
					   "Groups:\\x09 \n",
					   "CapInh:\\x090000000000000000\n",
					   "CapPrm:\\x090000000000000000\n",
					   "CapEff:\\x090000000000000000\n",
					   "CapBnd:\\x090000000000000000\n",
					   "CapAmb:\\x090000000000000000\n",
					   "NoNewPrivs:\\x091\n"};

	(void)state;
	if (geteuid() != 0) {
		printf("SKIP: dropping rights needs root\n");
		skip();
	}
	assert_int_equal(setgroups(2, some), 0);
	assert_int_equal(process_run(&p, &e), 0);
	assert_int_equal(setgroups(0, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		if (!strstr(said(&h, 1), want[i]))
			fail_msg("no '%s' in:\n%s", want[i], said(&h, 1));
	forget(&h);
}

static int try_without_processes(void)
{
	const struct rlimit none = {0, 0};
	struct heard h = {0};
	struct err e = {0};

	if (setrlimit(RLIMIT_NPROC, &none) < 0 || syscall(SYS_setresuid, 65533, 65533, 65533) < 0)
		return 2;
	return run("true", &h, &e) == -EAGAIN && e.code == E_SYS && strstr(e.why, "clone") ? 0 : 1;
}

static void t63_a_failed_clone_is_a_failed_step(void **state)
{
	int status = -1;
	pid_t pid;

	(void)state;
	if (geteuid() != 0) {
		printf("SKIP: a user without processes needs root\n");
		skip();
	}
	pid = fork();
	if (pid == 0)
		_exit(try_without_processes());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void without_descriptors_it_is_an_error(void **state)
{
	struct rlimit old, few;
	struct heard h = {0};
	struct err e = {0};

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	for (rlim_t n = 3; n < 24; n++) {
		few = (struct rlimit){n, old.rlim_max};
		err_clear(&e);
		setrlimit(RLIMIT_NOFILE, &few);
		int rc = run("true", &h, &e);

		setrlimit(RLIMIT_NOFILE, &old);
		assert_true(rc == 0 || (rc == -EMFILE && e.code == E_SYS) ||
			    (rc == -EINVAL && e.code == E_SYS));
		nothing_is_left();
	}
	assert_int_equal(run("true", &h, &e), 0);
}

static void too_many_pipes_are_refused(void **state)
{
	struct process p = {.exec_fd = -1, .stdin_fd = -1, .extra = 5};
	struct heard h = {0};
	struct err e = {0};

	(void)state;
	assert_int_equal(run_with(p, "true", &h, &e), -EINVAL);
	assert_int_equal(e.code, E_INTERNAL);
}

static void a_helper_is_found_beside_the_program_or_in_libexec(void **state)
{
	char path[4096], small[8];

	(void)state;
	assert_int_equal(process_helper("no-such-helper", path, sizeof(path)), -ENOENT);
	assert_int_equal(process_helper("test_process", path, sizeof(path)), 0);
	assert_int_equal(access(path, X_OK), 0);
	assert_int_equal(process_helper("test_process", small, sizeof(small)), -ENOENT);
}

/* ---- what goes in ---- */

static struct {
	size_t left, piece;
	int error; /* instead of the end */
} input;

static ssize_t give(void *arg, const uint8_t **buf, struct err *e)
{
	static const uint8_t bytes[65536];
	size_t n = input.left < input.piece ? input.left : input.piece;

	(void)arg;
	*buf = bytes;
	input.left -= n;
	if (n == 0 && input.error)
		return err_set(e, E_PAYLOAD_HASH, input.error, "not what was signed");
	return (ssize_t)n;
}

static int run_fed(const char *script, size_t n, size_t piece, struct heard *h, struct err *e)
{
	struct process p = {.exec_fd = -1, .stdin_fd = -1, .input = give, .deadline_ms = 60000};

	forget(h);
	err_clear(e);
	input.left = n;
	input.piece = piece;
	return run_with(p, script, h, e);
}

static void input_reaches_the_program_to_its_end(void **state)
{
	static const size_t pieces[] = {1, 4096, 65536};
	struct heard h = {0};
	struct err e = {0};

	(void)state;
	input.error = 0;
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		assert_int_equal(run_fed("wc -c", 20000 * (i + 1), pieces[i], &h, &e), 0);
		assert_int_equal(strtol(said(&h, 1), NULL, 10), 20000 * (i + 1));
	}
	assert_int_equal(run_fed("wc -c; readlink /proc/self/fd/0 | cut -c 1-4", 0, 1, &h, &e), 0);
	assert_string_equal(said(&h, 1), "0\npipe\n");
	/* it talks and reads at once: neither waits for the other */
	assert_int_equal(run_fed("tr '\\0' '\\n' | tee /dev/stderr", 3000000, 65536, &h, &e), 0);
	forget(&h);
	nothing_is_left();
}

static void input_that_is_not_read_to_its_end_is_a_failure(void **state)
{
	struct heard h = {0};
	struct err e = {0};

	(void)state;
	input.error = 0;
	assert_int_equal(run_fed("exit 0", 3000000, 65536, &h, &e), -EPIPE);
	assert_int_equal(e.code, E_PROCESS);
	assert_int_equal(run_fed("exec <&-; sleep 0.1", 3000000, 65536, &h, &e), -EPIPE);
	assert_int_equal(run_fed("head -c 10", 3000000, 65536, &h, &e), -EPIPE);
	assert_int_equal(run_fed("head -c 10 >&2; exit 3", 3000000, 65536, &h, &e), -ECHILD);
	assert_non_null(strstr(e.why, "status 3"));
	forget(&h);
	nothing_is_left();
}

static void input_that_fails_ends_the_program(void **state)
{
	struct heard h = {0};
	struct err e = {0};

	(void)state;
	input.error = EBADMSG;
	assert_int_equal(run_fed("cat >/dev/null; echo end", 200000, 65536, &h, &e), -EBADMSG);
	assert_int_equal(e.code, E_PAYLOAD_HASH);
	assert_null(strstr(said(&h, 1), "end")); /* it never saw an end */
	/* also where the program has ended by itself just before */
	assert_int_equal(run_fed("head -c 10 >/dev/null", 10, 10, &h, &e), -EBADMSG);
	input.error = 0;
	forget(&h);
	nothing_is_left();
}

static void a_program_that_does_not_read_its_input_ends_at_the_deadline(void **state)
{
	struct process p = {.exec_fd = -1, .stdin_fd = -1, .input = give, .deadline_ms = 300};
	struct heard h = {0};
	struct err e = {0};
	sigset_t now;

	(void)state;
	input.left = 3000000;
	input.piece = 65536;
	assert_int_equal(run_with(p, "sleep 1000", &h, &e), -ETIMEDOUT);
	assert_int_equal(e.code, E_DEADLINE);
	assert_int_equal(sigprocmask(SIG_BLOCK, NULL, &now), 0);
	assert_false(sigismember(&now, SIGPIPE));
	forget(&h);
	nothing_is_left();
}

/* ---- a starter that is killed ---- */

static int notes_left(int dir)
{
	int n = 0;

	for (DIR *d = fdopendir(dup(dir)); d;) {
		const struct dirent *de = readdir(d);

		if (!de) {
			rewinddir(d);
			closedir(d);
			return n;
		}
		n += strncmp(de->d_name, "running-", 8) == 0;
	}
	return -1;
}

static int make_folder(char *path)
{
	int fd;

	strcpy(path, "/tmp/test-running-XXXXXX");
	assert_non_null(mkdtemp(path));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd > 0);
	return fd;
}

/* runs a script in a process that is killed as soon as it has said "ready"; its numbers come back
 */
static void run_and_kill(const char *script, int dir, const char *path, pid_t *pids, size_t count)
{
	struct process p = {.exec_fd = -1, .stdin_fd = -1, .noted_in = dir};
	char file[64], *text = NULL, *at;
	pid_t pid = fork();
	size_t len;

	if (pid == 0) {
		struct heard h = {0};
		struct err e = {0};

		if (chdir(path) < 0)
			_exit(1);
		_exit(run_with(p, script, &h, &e) < 0);
	}
	snprintf(file, sizeof(file), "%s/pids", path);
	while (sys_read_file(AT_FDCWD, file, 200, &text, &len) < 0 || !strstr(text, "ready")) {
		free(text);
		text = NULL;
		usleep(1000);
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	at = text;
	for (size_t i = 0; i < count; i++)
		pids[i] = (pid_t)strtol(at, &at, 10);
	free(text);
}

static bool ends(pid_t pid)
{
	for (int n = 0; n < 5000 && runs(pid); n++)
		usleep(1000);
	return !runs(pid);
}

static void t64_a_program_dies_with_the_process_that_started_it(void **state)
{
	char path[64];
	int dir = make_folder(path);
	pid_t pids[1];

	(void)state;
	run_and_kill("echo $$ ready >pids.new; mv pids.new pids; exec sleep 1000", dir, path, pids,
		     1);
	assert_true(ends(pids[0]));
	close(dir);
	assert_int_equal(envkit_remove_tree(path), 0);
}

static int die(void *arg, pid_t pid, struct err *e)
{
	(void)arg;
	(void)pid;
	(void)e;
	return kill(getpid(), SIGKILL);
}

/* the moment between fork and the request for the signal: the program never runs */
static void t64_a_process_killed_while_it_starts_a_program_starts_none(void **state)
{
	static const int fds[] = {-1, -1, -1};
	char path[64], made[80];
	int dir = make_folder(path);

	(void)state;
	snprintf(made, sizeof(made), "%s/made", path);
	const char *const argv[] = {"/bin/touch", made, NULL};
	const struct spawn sp = {
		.argv = argv, .exec_fd = -1, .fds = fds, .fd_count = 3, .born = die};
	struct err e = {0};
	int status, hold[2];
	char byte;

	for (int i = 0; i < 20; i++) {
		assert_int_equal(pipe(hold), 0); /* ends when all who have it have ended */
		pid_t pid = fork();

		if (pid == 0) {
			close(hold[0]);
			spawn_start(&sp, &e);
			_exit(0);
		}
		close(hold[1]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(read(hold[0], &byte, 1), 0);
		close(hold[0]);
		assert_int_equal(access(made, F_OK), -1);
	}
	close(dir);
	assert_int_equal(envkit_remove_tree(path), 0);
}

/* $1 in a session of its own, another in the group, both of which outlive the leader */
#define LEAVES                                                                                     \
	"setsid sleep 1000 & a=$!; sleep 1000 & echo $$ $a $! ready >pids.new; mv pids.new pids; wait"

static void t114_what_a_killed_process_left_running_is_ended(void **state)
{
	char path[64];
	int dir = make_folder(path);
	struct err e = {0};
	pid_t pids[3];

	(void)state;
	run_and_kill(LEAVES, dir, path, pids, 3);
	assert_true(ends(pids[0]));
	assert_true(runs(pids[1]) && runs(pids[2]));
	assert_int_equal(notes_left(dir), 1);
	assert_int_equal(running_end(dir, &e), 2);
	assert_false(runs(pids[1]) || runs(pids[2]));
	assert_int_equal(notes_left(dir), 0);
	assert_int_equal(running_end(dir, &e), 0);
	close(dir);
	assert_int_equal(envkit_remove_tree(path), 0);
}

static void t114_a_group_without_the_word_is_ended_while_its_leader_is_the_same(void **state)
{
	struct running r;
	char path[64];
	int dir = make_folder(path), ready[2];
	struct err e = {0};
	pid_t pid, second;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		setsid();
		second = fork();
		if (second > 0 && write(ready[1], &second, sizeof(second)) < 0)
			_exit(1);
		pause();
	}
	assert_int_equal(read(ready[0], &second, sizeof(second)), sizeof(second));
	assert_int_equal(running_open(&r, dir, &e), 0);
	assert_int_equal(running_note(&r, pid, &e), 0);
	assert_int_equal(running_end(dir, &e), 2);
	assert_false(runs(pid) || runs(second));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(ready[0]);
	close(ready[1]);
	close(dir);
	assert_int_equal(envkit_remove_tree(path), 0);
}

static void write_note(int dir, const char *text)
{
	int fd = openat(dir, "running-0123456789abcdef", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(sys_write(fd, text, strlen(text)), 0);
	close(fd);
}

static void a_process_that_only_has_the_id_of_another_is_never_ended(void **state)
{
	char path[64], text[6][128], *boot = NULL;
	int dir = make_folder(path);
	unsigned long long start;
	struct err e = {0};
	struct proc p;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		setsid();
		pause();
	}
	assert_int_equal(
		sys_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &boot, NULL), 0);
	boot[strcspn(boot, "\n")] = '\0';
	do
		assert_int_equal(procs_read(pid, &p), 0);
	while (p.session != pid);
	start = p.start;
	snprintf(text[0], sizeof(text[0]), "%d %llu 1 1 %s\n", (int)pid, start - 1, boot);
	snprintf(text[1], sizeof(text[1]), "%d %llu 1 1 another-boot\n", (int)pid, start);
	snprintf(text[2], sizeof(text[2]), "%d", (int)pid);
	snprintf(text[3], sizeof(text[3]), "%d %llu 1 1", (int)pid, start);
	snprintf(text[4], sizeof(text[4]), "-1 %llu 1 1 %s\n", start, boot);
	text[5][0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(text); i++) {
		write_note(dir, text[i]);
		assert_int_equal(running_end(dir, &e), 0);
		assert_true(runs(pid));
		assert_int_equal(notes_left(dir), 0);
	}
	snprintf(text[0], sizeof(text[0]), "%d %llu 1 1 %s\n", (int)pid, start, boot);
	write_note(dir, text[0]);
	assert_int_equal(running_end(dir, &e), 1); /* so it was the start that saved it */
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	free(boot);
	close(dir);
	assert_int_equal(envkit_remove_tree(path), 0);
}

static void what_a_program_leaves_running_after_a_good_end_lives_on(void **state)
{
	struct process p = {.exec_fd = -1, .stdin_fd = -1};
	char path[64];
	struct heard h = {0};
	struct err e = {0};
	int pid = 0;

	(void)state;
	p.noted_in = make_folder(path);
	assert_int_equal(run_with(p, "setsid sleep 1000 & echo $!", &h, &e), 0);
	assert_int_equal(notes_left(p.noted_in), 0);
	assert_int_equal(running_end(p.noted_in, &e), 0);
	assert_int_equal(sscanf(said(&h, 1), "%d", &pid), 1);
	assert_true(runs(pid));
	kill(pid, SIGKILL);
	forget(&h);
	/* nor does a note stay of one that failed, or of none */
	assert_int_equal(run_with(p, "exit 1", &h, &e), -ECHILD);
	err_clear(&e);
	p.argv = (const char *const[]){"/no/such/program", NULL};
	assert_int_equal(process_run(&p, &e), -ENOENT);
	assert_int_equal(notes_left(p.noted_in), 0);
	forget(&h);
	close(p.noted_in);
	assert_int_equal(envkit_remove_tree(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_come_from_their_descriptor),
		cmocka_unit_test(t118_output_is_made_printable),
		cmocka_unit_test(the_end_is_told_with_status_or_signal),
		cmocka_unit_test(a_program_that_is_not_there_or_none_is_named),
		cmocka_unit_test(t60_the_environment_is_only_what_is_named),
		cmocka_unit_test(t61_descriptors_umask_and_signals_are_clean),
		cmocka_unit_test(stdin_may_be_closed_here),
		cmocka_unit_test(t64_the_deadline_ends_the_whole_group),
		cmocka_unit_test(t64_a_grandchild_that_holds_the_pipe_does_not_hold_us),
		cmocka_unit_test(a_grandchild_that_never_stops_writing_does_not_hold_us),
		cmocka_unit_test(cancel_ends_it_soon),
		cmocka_unit_test(t120_long_lines_and_floods_are_bounded),
		cmocka_unit_test(a_descriptor_can_be_the_program),
		cmocka_unit_test(t62_dropped_rights_are_gone),
		cmocka_unit_test(t63_a_failed_clone_is_a_failed_step),
		cmocka_unit_test(without_descriptors_it_is_an_error),
		cmocka_unit_test(too_many_pipes_are_refused),
		cmocka_unit_test(a_helper_is_found_beside_the_program_or_in_libexec),
		cmocka_unit_test(input_reaches_the_program_to_its_end),
		cmocka_unit_test(input_that_is_not_read_to_its_end_is_a_failure),
		cmocka_unit_test(input_that_fails_ends_the_program),
		cmocka_unit_test(a_program_that_does_not_read_its_input_ends_at_the_deadline),
		cmocka_unit_test(t64_a_program_dies_with_the_process_that_started_it),
		cmocka_unit_test(t64_a_process_killed_while_it_starts_a_program_starts_none),
		cmocka_unit_test(t114_what_a_killed_process_left_running_is_ended),
		cmocka_unit_test(
			t114_a_group_without_the_word_is_ended_while_its_leader_is_the_same),
		cmocka_unit_test(a_process_that_only_has_the_id_of_another_is_never_ended),
		cmocka_unit_test(what_a_program_leaves_running_after_a_good_end_lives_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
