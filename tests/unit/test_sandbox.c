/* sandbox_enter: each thing is tried in a process of its own, and the kernel is asked, not us. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "corelib/process/sandbox.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#define IN_FD  3
#define OUT_FD 4
#define MEMORY (16u << 20)

enum { DONE = 40, REFUSED = 41, NO_SANDBOX = 42 };

/* descriptors 0..2 null, 3 and 4 the two ends of a pipe, then locked up */
static void enter(struct sandbox *s)
{
	static const int reads[] = {IN_FD, -1}, writes[] = {OUT_FD, -1};
	struct err e = {0};
	int null = open("/dev/null", O_RDWR), ends[2];

	if (pipe(ends) < 0)
		_exit(NO_SANDBOX);
	int in = fcntl(ends[0], F_DUPFD, 20), out = fcntl(ends[1], F_DUPFD, 20);

	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	dup2(in, IN_FD);
	dup2(out, OUT_FD);
	*s = (struct sandbox){
		.keep_fds = 5, .read_fds = reads, .write_fds = writes, .memory = MEMORY};
	bool has_landlock = syscall(444, NULL, 0, 1) > 0; /* landlock_create_ruleset: version */

	if (sandbox_enter(s, &e) < 0 || (s->missing & SANDBOX_SECCOMP) ||
	    has_landlock == !!(s->missing & SANDBOX_LANDLOCK))
		_exit(NO_SANDBOX);
}

static int status_of(long (*act)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		struct sandbox s;

		enter(&s);
		_exit(act() < 0 ? REFUSED : DONE);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static long try_open(void)
{
	return syscall(SYS_openat, AT_FDCWD, "/etc/shadow", O_RDONLY);
}
static long try_open_device(void)
{
	return syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR);
}
static long try_create(void)
{
	return syscall(SYS_openat, AT_FDCWD, "/tmp/sandbox-test", O_CREAT | O_WRONLY, 0600);
}
static long try_unlink(void)
{
	return syscall(SYS_unlinkat, AT_FDCWD, "/tmp/sandbox-test", 0);
}
static long try_inet(void)
{
	return syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
}
static long try_unix(void)
{
	return syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
}
static long try_exec(void)
{
	static const char *const argv[] = {"sh", NULL};

	return syscall(SYS_execve, "/bin/sh", argv, NULL);
}
static long try_fork(void)
{
	return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}
static long try_userns(void)
{
	return syscall(SYS_unshare, CLONE_NEWUSER);
}
static long try_setuid(void)
{
	return syscall(SYS_setuid, 0);
}
static long try_ptrace(void)
{
	return syscall(SYS_ptrace, PTRACE_ATTACH, getppid(), 0, 0);
}
static long try_kill(void)
{
	return syscall(SYS_kill, getppid(), 0);
}
static long try_mount(void)
{
	return syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, NULL);
}
static long try_chroot(void)
{
	return syscall(SYS_chroot, "/tmp");
}
static long try_bpf(void)
{
	return syscall(SYS_bpf, 0, NULL, 0);
}
static long try_userfaultfd(void)
{
	return syscall(SYS_userfaultfd, 0);
}
static long try_io_uring(void)
{
	return syscall(SYS_io_uring_setup, 1, NULL);
}
static long try_keyctl(void)
{
	return syscall(SYS_keyctl, 0, -3, 1);
}
static long try_memfd(void)
{
	return syscall(SYS_memfd_create, "x", 0);
}
static long try_dumpable(void)
{
	return syscall(SYS_prctl, 4, 1, 0, 0, 0);
}
static long try_exec_memory(void)
{
	return syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);
}
static long try_exec_later(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return syscall(SYS_mprotect, p, 4096, PROT_READ | PROT_EXEC);
}
static long try_map_file(void)
{
	return syscall(SYS_mmap, NULL, 4096, PROT_READ, MAP_SHARED, IN_FD, 0);
}
static long try_read_other(void)
{
	char c;

	return syscall(SYS_read, 0, &c, 0);
}
static long try_write_other(void)
{
	return syscall(SYS_write, 2, "x", 1);
}
static long try_write_to_read_end(void)
{
	return syscall(SYS_write, IN_FD, "x", 1);
}

static const struct attempt {
	const char *name;
	long (*act)(void);
} attempts[] = {
	{"open /etc/shadow", try_open},
	{"open a device", try_open_device},
	{"create a file", try_create},
	{"unlink", try_unlink},
	{"socket(AF_INET)", try_inet},
	{"socket(AF_UNIX)", try_unix},
	{"execve /bin/sh", try_exec},
	{"fork", try_fork},
	{"new user namespace", try_userns},
	{"setuid(0)", try_setuid},
	{"ptrace the parent", try_ptrace},
	{"kill the parent", try_kill},
	{"mount", try_mount},
	{"chroot", try_chroot},
	{"bpf", try_bpf},
	{"userfaultfd", try_userfaultfd},
	{"io_uring_setup", try_io_uring},
	{"keyctl", try_keyctl},
	{"memfd_create", try_memfd},
	{"prctl dumpable", try_dumpable},
	{"executable memory", try_exec_memory},
	{"memory made executable", try_exec_later},
	{"map a descriptor", try_map_file},
	{"read another descriptor", try_read_other},
	{"write another descriptor", try_write_other},
	{"write the reading end", try_write_to_read_end},
};

static void t48_what_a_parser_has_no_need_of_ends_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
		int status = status_of(attempts[i].act);
		bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
		bool refused = WIFEXITED(status) && WEXITSTATUS(status) == REFUSED;

		if (WIFEXITED(status) && WEXITSTATUS(status) == NO_SANDBOX)
			fail_msg("sandbox_enter failed");
		/* a sanitizer's runtime keeps a few calls: those must be refused by another wall */
		if (!killed && !(SANITIZED && refused))
			fail_msg("%s: status %#x", attempts[i].name, (unsigned)status);
	}
}

static long do_allowed(void)
{
	struct timespec now;
	char buf[5] = "";
	void *p = malloc(4 << 20);

	if (!p || clock_gettime(CLOCK_MONOTONIC, &now) < 0)
		return -1;
	memset(p, 1, 4 << 20);
	p = realloc(p, 8 << 20);
	if (!p || write(OUT_FD, "bytes", 5) != 5 || read(IN_FD, buf, 5) != 5)
		return -1;
	free(p);
	return memcmp(buf, "bytes", 5) ? -1 : 0;
}

static void memory_and_its_own_descriptors_stay(void **state)
{
	(void)state;
	int status = status_of(do_allowed);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), DONE);
}

static long take_too_much(void)
{
	void *volatile p = malloc(MEMORY * 2);

	return p ? 0 : -1;
}

static void t47_memory_is_limited(void **state)
{
	(void)state;
	if (SANITIZED) {
		printf("SKIP: the shadow memory of sanitizers does not fit below RLIMIT_AS\n");
		skip();
	}
	int status = status_of(take_too_much);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), REFUSED);
}

/* the walls behind seccomp, each without it */
static void wall(int (*test)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(test());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* ---- one wall down: the other has to hold what it can ---- */

static bool no_seccomp, no_limits;

/* of the library, for sandbox_enter(): it says that it did */
int seccomp_load(const scmp_filter_ctx c)
{
	int (*real)(scmp_filter_ctx) = (int (*)(scmp_filter_ctx))dlsym(RTLD_NEXT, "seccomp_load");

	return no_seccomp ? 0 : real(c);
}

/* else no file can be opened because no descriptor is free */
int setrlimit(__rlimit_resource_t what, const struct rlimit *r)
{
	return no_limits ? 0 : (int)syscall(SYS_prlimit64, 0, what, r, NULL);
}

/* what an older kernel says */
static int without_landlock(void)
{
	scmp_filter_ctx c = seccomp_init(SCMP_ACT_ALLOW);
	int rc = c ? seccomp_rule_add(c, SCMP_ACT_ERRNO(ENOSYS), 444, 0) : -ENOMEM;

	if (rc == 0)
		rc = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : seccomp_load(c);
	seccomp_release(c);
	return rc;
}

static char open_folder[] = "/tmp/sandbox-walls-XXXXXX", open_file[64];

/* 0 = every one is refused by Landlock; else the number of the first that is not */
static int look_at_files(void)
{
	if (open("/etc/passwd", O_RDONLY) >= 0 || errno != EACCES)
		return 1;
	if (open(open_file, O_WRONLY) >= 0 || errno != EACCES)
		return 2;
	if (open(open_folder, O_RDONLY | O_DIRECTORY) >= 0 || errno != EACCES)
		return 3;
	if (unlink(open_file) == 0 || errno != EACCES)
		return 4;
	strcat(open_file, ".new");
	if (open(open_file, O_WRONLY | O_CREAT, 0600) >= 0 || errno != EACCES)
		return 5;
	return mkdir(open_file, 0700) == 0 || errno != EACCES ? 6 : 0;
}

static int behind_landlock(void)
{
	struct sandbox s;

	no_seccomp = no_limits = true;
	enter(&s);
	return look_at_files();
}

static int behind_nothing(void)
{
	struct sandbox s;
	struct err e = {0};
	static const int none[] = {-1};

	if (without_landlock() < 0)
		return 99;
	no_seccomp = no_limits = true;
	s = (struct sandbox){.keep_fds = 5, .read_fds = none, .write_fds = none, .memory = MEMORY};
	if (sandbox_enter(&s, &e) < 0 || s.missing != SANDBOX_LANDLOCK)
		return 98;
	return look_at_files() == 1 ? 0 : 97; /* else this test looks at no wall at all */
}

static void t48_landlock_holds_where_seccomp_does_not(void **state)
{
	int fd;

	(void)state;
	if (syscall(444, NULL, 0, 1) < 1) {
		printf("SKIP: this kernel has no Landlock\n");
		skip();
	}
	assert_non_null(mkdtemp(open_folder));
	assert_int_equal(chmod(open_folder, 0777), 0);
	snprintf(open_file, sizeof(open_file), "%s/file", open_folder);
	fd = open(open_file, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(fchmod(fd, 0666), 0);
	close(fd);
	wall(behind_landlock);
	wall(behind_nothing);
	unlink(open_file);
	rmdir(open_folder);
}

static void t48_seccomp_holds_where_landlock_does_not(void **state)
{
	(void)state;
	if (SANITIZED) {
		printf("SKIP: a sanitizer's runtime keeps some calls\n");
		skip();
	}
	for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
		int status = -1;
		pid_t pid = fork();

		if (pid == 0) {
			static const int reads[] = {IN_FD, -1}, writes[] = {OUT_FD, -1};
			struct sandbox s = {.keep_fds = 5,
					    .read_fds = reads,
					    .write_fds = writes,
					    .memory = MEMORY};
			struct err e = {0};

			no_limits = true;
			if (without_landlock() < 0 || sandbox_enter(&s, &e) < 0 ||
			    s.missing != SANDBOX_LANDLOCK)
				_exit(NO_SANDBOX);
			_exit(attempts[i].act() < 0 ? REFUSED : DONE);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			fail_msg("%s: status %#x", attempts[i].name, (unsigned)status);
	}
}

static int dropped(void)
{
	const gid_t some[] = {1, 2, 3};
	const char *step = "";

	if (syscall(SYS_setgroups, 3, some) < 0 || getgroups(0, NULL) != 3)
		return 9;
	if (sandbox_drop(SANDBOX_NOBODY, SANDBOX_NOBODY, &step) < 0)
		return 1;
	if (open("/etc/shadow", O_RDONLY) >= 0 || errno != EACCES)
		return 2;
	if (syscall(SYS_setuid, 0) == 0 || syscall(SYS_setgid, 0) == 0 ||
	    geteuid() != SANDBOX_NOBODY)
		return 3;
	if (kill(getppid(), 0) == 0 || errno != EPERM)
		return 4;
	return getgroups(0, NULL) == 0 ? 0 : 5;
}

static void t62_a_dropped_user_does_not_come_back(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		printf("SKIP: dropping rights needs root\n");
		skip();
	}
	wall(dropped);
}

static int stay_inside(void)
{
	struct sandbox s;
	char go;

	enter(&s);
	return read(IN_FD, &go, 1) >= 0; /* until it is killed */
}

static char *status_file(pid_t pid)
{
	char path[64], *text = NULL;
	size_t len;

	assert_int_equal(text_print(path, sizeof(path), "/proc/%d/status", (int)pid), 0);
	assert_int_equal(sys_read_file(AT_FDCWD, path, 65536, &text, &len), 0);
	return text;
}

static void t62_the_kernel_says_that_nothing_is_left(void **state)
{
	static const char *const want[] = {"\nUid:\t65534\t65534\t65534\t65534\n",
					   "\nGid:\t65534\t65534\t65534\t65534\n",
					   "\nGroups:\t \n",
					   "\nCapInh:\t0000000000000000\n",
					   "\nCapPrm:\t0000000000000000\n",
					   "\nCapEff:\t0000000000000000\n",
					   "\nCapBnd:\t0000000000000000\n",
					   "\nCapAmb:\t0000000000000000\n",
					   "\nNoNewPrivs:\t1\n",
					   "\nSeccomp:\t2\n"};
	size_t first = geteuid() == 0 ? 0 : 8;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(stay_inside());
	for (int n = 0; n < 2000; n++) {
		char *text = status_file(pid);
		bool in = strstr(text, "\nSeccomp:\t2\n");

		free(text);
		if (in)
			break;
		usleep(1000);
	}
	char *text = status_file(pid);

	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	for (size_t i = first; i < ARRAY_SIZE(want); i++)
		if (!strstr(text, want[i]))
			fail_msg("no '%s' in:%s", want[i], text);
	free(text);
}

static void it_dies_with_its_parent(void **state)
{
	int ends[2], pid = 0;
	char *text;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	pid_t parent = fork();

	if (parent == 0) {
		pid_t child = fork();

		if (child == 0)
			_exit(stay_inside());
		for (int n = 0; n < 2000; n++) {
			text = status_file(child);
			if (strstr(text, "\nSeccomp:\t2\n"))
				break;
			free(text);
			usleep(1000);
		}
		_exit(write(ends[1], &child, sizeof(child)) != (ssize_t)sizeof(child));
	}
	assert_int_equal(waitpid(parent, NULL, 0), parent);
	assert_int_equal(read(ends[0], &pid, sizeof(pid)), sizeof(pid));
	for (int n = 0; n < 2000; n++) {
		char path[64];
		size_t len;

		assert_int_equal(text_print(path, sizeof(path), "/proc/%d/status", pid), 0);
		text = NULL;
		if (sys_read_file(AT_FDCWD, path, 65536, &text, &len) < 0 ||
		    strstr(text, "\nState:\tZ") || strstr(text, "\nState:\tX")) {
			free(text);
			close(ends[0]);
			close(ends[1]);
			return;
		}
		free(text);
		usleep(1000);
	}
	fail_msg("the child outlived its parent");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t48_what_a_parser_has_no_need_of_ends_it),
		cmocka_unit_test(memory_and_its_own_descriptors_stay),
		cmocka_unit_test(t47_memory_is_limited),
		cmocka_unit_test(t48_landlock_holds_where_seccomp_does_not),
		cmocka_unit_test(t48_seccomp_holds_where_landlock_does_not),
		cmocka_unit_test(t62_a_dropped_user_does_not_come_back),
		cmocka_unit_test(t62_the_kernel_says_that_nothing_is_left),
		cmocka_unit_test(it_dies_with_its_parent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
