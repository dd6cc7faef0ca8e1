/*
 * What the real swinstall-unpack may do while it reads an archive: the kernel is asked, and system
 * calls are put into the process as if its parser had been taken over. T48, T54, T62.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "corelib/stream/archive.h"
#include "corelib/process/sandbox.h"
#include "corelib/stream/stage_process.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "corelib/stream/worker.h"
#include "tests/unit/kit/archives.h"

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

static void skip_for(const char *why)
{
	print_message("SKIP: %s\n", why);
	skip();
}

/* ---- what the kernel says ---- */

static void the_child_has_the_descriptors_of_its_work_and_no_other(void **state)
{
	struct blob in;
	struct err e = {0};
	AUTO_STREAM struct stream *s = archives_half_way(&in, &e);
	char path[64], target[256];

	(void)state;
	for (int fd = 0; fd < 256; fd++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", stage_process_pid(s), fd);
		n = readlink(path, target, sizeof(target) - 1);
		if (n < 0 && errno == EACCES)
			skip_for("only root looks into this process");
		target[n < 0 ? 0 : n] = '\0';
		if (fd < WORKER_RING && n >= 0 && strcmp(target, "/dev/null") != 0)
			fail_msg("%d is %s", fd, target);
		if (fd >= WORKER_RING && fd < WORKER_FDS && !strstr(target, "memfd:") &&
		    !strstr(target, "eventfd") && !strstr(target, "pipe:"))
			fail_msg("%d is %s", fd, target);
		if (fd >= WORKER_FDS && n >= 0)
			fail_msg("%d is %s", fd, target);
	}
	blob_clear(&in);
}

/* the number in the second column of /proc/PID/limits */
static uint64_t limit_of(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	assert_non_null(at);
	at += 26; /* the width of the names */
	return strncmp(at, "unlimited", 9) == 0 ? UINT64_MAX : strtoull(at, NULL, 10);
}

static void the_child_has_limits(void **state)
{
	static const struct {
		const char *name;
		uint64_t most;
	} rows[] = {{"Max open files", WORKER_FDS},
		    {"Max processes", 0},
		    {"Max core file size", 0},
		    {"Max file size", 0},
		    {"Max address space", 256u << 20}};
	struct blob in;
	struct err e = {0};
	AUTO_STREAM struct stream *s = archives_half_way(&in, &e);
	AUTO_FREE char *text = NULL;
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "/proc/%d/limits", stage_process_pid(s));
	assert_int_equal(sys_read_file(AT_FDCWD, path, 65536, &text, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows) - (SANITIZED ? 1 : 0); i++)
		if (limit_of(text, rows[i].name) > rows[i].most)
			fail_msg("%s is more than %llu in %s", rows[i].name,
				 (unsigned long long)rows[i].most, text);
	blob_clear(&in);
}

/* ---- what a parser that was taken over would try ---- */

#if defined(__x86_64__)

#define TEXT UINT64_C(0) /* stands for a place in the child's memory with the row's text */

struct attempt {
	const char *what;
	long call;
	uint64_t args[6];
	const char *text; /* goes into the child; its address takes the place 'at' */
	unsigned at;
};

static const struct attempt attempts[] = {
	{"open /etc/shadow", SYS_open, {TEXT, O_RDONLY}, "/etc/shadow", 0},
	{"openat /dev/sda", SYS_openat, {(uint64_t)AT_FDCWD, TEXT, O_RDWR}, "/dev/sda", 1},
	{"create a file",
	 SYS_openat,
	 {(uint64_t)AT_FDCWD, TEXT, O_CREAT | O_WRONLY, 0600},
	 "/tmp/evil",
	 1},
	{"unlink", SYS_unlink, {TEXT}, "/tmp/evil", 0},
	{"rename", SYS_rename, {TEXT, TEXT}, "/tmp/evil", 0},
	{"stat", SYS_newfstatat, {(uint64_t)AT_FDCWD, TEXT}, "/etc/passwd", 1},
	{"socket AF_INET", SYS_socket, {AF_INET, SOCK_STREAM}, NULL, 0},
	{"socket AF_UNIX", SYS_socket, {AF_UNIX, SOCK_STREAM}, NULL, 0},
	{"execve", SYS_execve, {TEXT}, "/bin/sh", 0},
	{"fork", SYS_fork, {0}, NULL, 0},
	{"clone3", SYS_clone3, {0, 88}, NULL, 0},
	{"unshare", SYS_unshare, {0x10000000}, NULL, 0},
	{"kill the parent", SYS_kill, {1, SIGTERM}, NULL, 0},
	{"ptrace the parent", SYS_ptrace, {PTRACE_ATTACH, 1}, NULL, 0},
	{"mount", SYS_mount, {TEXT, TEXT}, "/tmp", 0},
	{"chroot", SYS_chroot, {TEXT}, "/", 0},
	{"setuid 0", SYS_setuid, {0}, NULL, 0},
	{"setresuid 0", SYS_setresuid, {0, 0, 0}, NULL, 0},
	{"prlimit", SYS_prlimit64, {0, 6}, NULL, 0},
	{"bpf", SYS_bpf, {0}, NULL, 0},
	{"userfaultfd", SYS_userfaultfd, {0}, NULL, 0},
	{"io_uring_setup", SYS_io_uring_setup, {8}, NULL, 0},
	{"keyctl", SYS_keyctl, {0}, NULL, 0},
	{"memfd_create", SYS_memfd_create, {TEXT}, "x", 0},
	{"process_vm_readv", SYS_process_vm_readv, {1}, NULL, 0},
	{"executable memory",
	 SYS_mmap,
	 {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1},
	 NULL,
	 0},
	{"map the ring again",
	 SYS_mmap,
	 {0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, WORKER_RING},
	 NULL,
	 0},
	{"write the ring's descriptor", SYS_write, {WORKER_RING, 0, 1}, NULL, 0},
	{"fcntl", SYS_fcntl, {WORKER_RING, F_DUPFD, 0}, NULL, 0},
	{"a call of x32", 0x40000000 + SYS_read, {0}, NULL, 0},
};

static int poke(pid_t pid, uint64_t at, const char *text)
{
	char room[64] = "";

	snprintf(room, sizeof(room), "%s", text);
	for (size_t i = 0; i < sizeof(room); i += sizeof(long)) {
		long word;

		memcpy(&word, room + i, sizeof(word));
		if (ptrace(PTRACE_POKEDATA, pid, (void *)(uintptr_t)(at + i), (void *)word) < 0)
			return -1;
	}
	return 0;
}

/* it sleeps in a call: its instruction is done again, with another number */
static int put_call(pid_t pid, const struct attempt *a)
{
	struct user_regs_struct r;
	uint64_t args[6];

	if (ptrace(PTRACE_GETREGS, pid, NULL, &r) < 0)
		return -1;
	memcpy(args, a->args, sizeof(args));
	if (a->text && poke(pid, r.rsp - 512, a->text) < 0)
		return -1;
	if (a->text)
		args[a->at] = r.rsp - 512;
	r.rip -= 2;
	r.rax = (uint64_t)a->call;
	r.orig_rax = UINT64_MAX; /* nothing to begin again */
	r.rdi = args[0];
	r.rsi = args[1];
	r.rdx = args[2];
	r.r10 = args[3];
	r.r8 = args[4];
	r.r9 = args[5];
	return ptrace(PTRACE_SETREGS, pid, NULL, &r) < 0 ||
			       ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) < 0
		       ? -1
		       : 0;
}

/* the signal that ended it, 0 = it goes on; it is not reaped, the stage does that */
static int ended_by(pid_t pid)
{
	siginfo_t si = {0};

	if (waitid(P_PID, (id_t)pid, &si, WEXITED | WSTOPPED | WNOWAIT) < 0)
		return -errno;
	return si.si_code == CLD_KILLED || si.si_code == CLD_DUMPED ? si.si_status : 0;
}

/* stopped while it waits in poll(); it may still be busy with the first block */
static int catch_waiting(pid_t pid)
{
	struct user_regs_struct r;
	int status;

	for (unsigned i = 0; i < 10000; i++) {
		if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) < 0)
			return -errno;
		if (waitpid(pid, &status, __WALL) != pid ||
		    ptrace(PTRACE_GETREGS, pid, NULL, &r) < 0)
			return -EIO;
		if (r.orig_rax == SYS_poll || r.orig_rax == SYS_ppoll)
			return 0;
		ptrace(PTRACE_DETACH, pid, NULL, NULL);
		poll(NULL, 0, 1);
	}
	return -ETIMEDOUT;
}

static int try_one(const struct attempt *a)
{
	struct blob in;
	struct err e = {0};
	struct stream *s = archives_half_way(&in, &e);
	pid_t pid = stage_process_pid(s);
	int by = catch_waiting(pid);

	if (by == 0)
		by = put_call(pid, a) < 0 ? -EIO : ended_by(pid);
	stream_close(s);
	blob_clear(&in);
	return by;
}

static void t48_a_call_that_a_parser_has_no_need_of_ends_swinstall_unpack(void **state)
{
	(void)state;
	if (SANITIZED)
		skip_for("the runtime of the sanitizer needs more calls; the plain build is tried");
	if (sandbox_missing() & SANDBOX_SECCOMP)
		skip_for("this kernel has no seccomp");
	for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
		int by = try_one(&attempts[i]);

		if (by == -EPERM && i == 0)
			skip_for("ptrace is not allowed here");
		if (by != SIGSYS)
			fail_msg("%s: ended by %d", attempts[i].what, by);
	}
}

/* the harness itself: a call that is allowed does not end it */
static void a_call_of_its_work_goes_on(void **state)
{
	static const struct attempt a = {"munmap", SYS_munmap, {0, 4096}, NULL, 0};
	int by;

	(void)state;
	if (SANITIZED)
		skip_for("only the plain build is tried");
	by = try_one(&a);
	if (by == -EPERM)
		skip_for("ptrace is not allowed here");
	assert_int_equal(by, 0);
}

#else

static void t48_a_call_that_a_parser_has_no_need_of_ends_swinstall_unpack(void **state)
{
	(void)state;
	skip_for("calls are put into another process on x86_64 only");
}

static void a_call_of_its_work_goes_on(void **state)
{
	t48_a_call_that_a_parser_has_no_need_of_ends_swinstall_unpack(state);
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_child_has_the_descriptors_of_its_work_and_no_other),
		cmocka_unit_test(the_child_has_limits),
		cmocka_unit_test(t48_a_call_that_a_parser_has_no_need_of_ends_swinstall_unpack),
		cmocka_unit_test(a_call_of_its_work_goes_on),
	};

	archive_warm_up();
	return cmocka_run_group_tests(tests, archives_load, archives_forget);
}
