/* process_run: what the program gets, what it can hold back from us, and what is left of it. */
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
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
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
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
