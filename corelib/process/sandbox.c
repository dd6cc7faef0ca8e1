#include "corelib/process/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

/*
 * The one place that knows of sanitizers: their shadow memory does not fit below RLIMIT_AS, and
 * their runtime asks for its ids, its stack and its maps.
 */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* numbers of Linux 5.13, equal on all architectures, for headers that are older */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_restrict_self  446
#endif
#define LANDLOCK_ASK_VERSION 1u

/* 32-bit ids where an architecture still has both */
#ifdef SYS_setresuid32
#define CALL_setresuid SYS_setresuid32
#define CALL_setresgid SYS_setresgid32
#define CALL_setgroups SYS_setgroups32
#else
#define CALL_setresuid SYS_setresuid
#define CALL_setresgid SYS_setresgid
#define CALL_setgroups SYS_setgroups
#endif

/* ---- user, groups, capabilities -----------------------------------------------------------------
 */

static int drop_bounding_set(void)
{
	for (int cap = 0; cap < 64; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return errno == EINVAL && cap > 0 ? 0 : -1; /* past the last one */
	return 0;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[2] = {{0}, {0}};

	return (int)syscall(SYS_capset, &head, none);
}

static int ids_are(uid_t uid, gid_t gid)
{
	uid_t r, e, s;
	gid_t gr, ge, gs;

	if (getresuid(&r, &e, &s) < 0 || getresgid(&gr, &ge, &gs) < 0)
		return -1;
	errno = EPERM;
	return r == uid && e == uid && s == uid && gr == gid && ge == gid && gs == gid &&
			       getgroups(0, NULL) == 0
		       ? 0
		       : -1;
}

static int drop_step(const char **step, const char *name, long rc)
{
	*step = name;
	return rc < 0 ? -errno : 0;
}

/* the raw calls: libc's would signal all threads of a process that may be half of a fork */
static int drop_user(uid_t uid, gid_t gid, const char **step)
{
	int rc = drop_step(step, "PR_CAPBSET_DROP", drop_bounding_set());

	if (!rc)
		rc = drop_step(step, "setgroups", syscall(CALL_setgroups, 0, NULL));
	if (!rc)
		rc = drop_step(step, "setresgid", syscall(CALL_setresgid, gid, gid, gid));
	if (!rc)
		rc = drop_step(step, "setresuid", syscall(CALL_setresuid, uid, uid, uid));
	if (!rc)
		rc = drop_step(step, "getresuid", ids_are(uid, gid));
	return rc;
}

int sandbox_drop(uid_t uid, gid_t gid, const char **step)
{
	int rc = geteuid() == 0 ? drop_user(uid, gid, step) : 0;

	if (!rc)
		rc = drop_step(step, "capset", drop_capabilities());
	if (!rc)
		rc = drop_step(step, "PR_SET_NO_NEW_PRIVS", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	return rc;
}

/* ---- limits -------------------------------------------------------------------------------------
 */

static uint64_t mapped_now(void)
{
	AUTO_FREE char *text = NULL;
	size_t len = 0;

	if (sys_read_file(AT_FDCWD, "/proc/self/statm", 256, &text, &len) < 0)
		return UINT64_C(64) << 20;
	return strtoull(text, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int limit(int what, rlim_t n)
{
	const struct rlimit r = {n, n};

	return setrlimit(what, &r);
}

static int limit_all(const struct sandbox *s, uint64_t mapped)
{
	uint64_t memory;

	/* a descriptor number at or above the limit cannot be made any more */
	if (limit(RLIMIT_NOFILE, s->keep_fds) < 0 || limit(RLIMIT_NPROC, 0) < 0 ||
	    limit(RLIMIT_CORE, 0) < 0 || limit(RLIMIT_FSIZE, 0) < 0)
		return -1;
	if (SANITIZED || u64_add(mapped, s->memory, &memory) || memory > LONG_MAX)
		return 0;
	return limit(RLIMIT_AS, (rlim_t)memory);
}

/* ---- Landlock: a set of rules without a rule ----------------------------------------------------
 */

struct landlock_attr {
	uint64_t fs, net, scoped;
};

/* every right that this version of the kernel's interface knows */
static size_t landlock_rights(long version, struct landlock_attr *a)
{
	const unsigned fs_bits = version >= 5 ? 16 : version >= 3 ? 15 : version == 2 ? 14 : 13;

	a->fs = (UINT64_C(1) << fs_bits) - 1;
	a->net = 3;
	a->scoped = 3;
	return version >= 6 ? 24 : version >= 4 ? 16 : 8;
}

/* of the kernel's interface; 0 = it has none */
static long landlock_version(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_ASK_VERSION);

	return version < 1 && (errno == ENOSYS || errno == EOPNOTSUPP) ? 0 : version;
}

/* 1 = done, 0 = this kernel has none */
static int landlock_enter(void)
{
	struct landlock_attr a;
	long version = landlock_version();

	if (version < 1)
		return (int)version;

	size_t size = landlock_rights(version, &a);
	AUTO_CLOSE int fd = (int)syscall(SYS_landlock_create_ruleset, &a, size, 0);

	if (fd < 0 || syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		return -1;
	return 1;
}

/* ---- seccomp: a list of what may be called ------------------------------------------------------
 */

static const int calls_free[] = {
	SCMP_SYS(munmap),	 SCMP_SYS(brk),
	SCMP_SYS(mremap),	 SCMP_SYS(madvise),
	SCMP_SYS(futex),	 SCMP_SYS(rt_sigreturn),
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_gettime64),
	SCMP_SYS(poll),		 SCMP_SYS(ppoll),
	SCMP_SYS(ppoll_time64),	 SCMP_SYS(restart_syscall),
	SCMP_SYS(exit),		 SCMP_SYS(exit_group),
	SCMP_SYS(futex_time64),
};

static const int calls_of_sanitizers[] = {
	SCMP_SYS(getpid),	SCMP_SYS(gettid),      SCMP_SYS(sigaltstack),
	SCMP_SYS(rt_sigaction), SCMP_SYS(sched_yield), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(getrusage),	SCMP_SYS(nanosleep),   SCMP_SYS(clock_nanosleep),
	SCMP_SYS(readlink),	SCMP_SYS(openat),      SCMP_SYS(close),
	SCMP_SYS(tgkill),	SCMP_SYS(mincore),
};

static int allow_list(scmp_filter_ctx c, const int *calls, size_t n)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = seccomp_rule_add(c, SCMP_ACT_ALLOW, calls[i], 0);
	return rc;
}

static int allow_fds(scmp_filter_ctx c, int call, const int *fds)
{
	int rc = 0;

	for (; *fds >= 0 && rc == 0; fds++)
		rc = seccomp_rule_add(c, SCMP_ACT_ALLOW, call, 1,
				      SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)*fds, 0));
	return rc;
}

/* memory that is never executable and, when it is new, never a file */
static int allow_memory(scmp_filter_ctx c)
{
	const struct scmp_arg_cmp anonymous[] = {
		SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
		SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS),
	};
	int rc = seccomp_rule_add_array(c, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2, anonymous);

	if (rc == 0) /* what 32-bit systems have in its place */
		rc = seccomp_rule_add_array(c, SCMP_ACT_ALLOW, SCMP_SYS(mmap2), 2, anonymous);
	if (rc == 0)
		rc = seccomp_rule_add(c, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				      SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return rc;
}

static int allow_all(scmp_filter_ctx c, const struct sandbox *s)
{
	int rc = allow_list(c, calls_free, ARRAY_SIZE(calls_free));

	if (rc == 0 && SANITIZED)
		rc = allow_list(c, calls_of_sanitizers, ARRAY_SIZE(calls_of_sanitizers));
	if (rc == 0)
		rc = allow_fds(c, SCMP_SYS(read), s->read_fds);
	if (rc == 0)
		rc = allow_fds(c, SCMP_SYS(write), s->write_fds);
	return rc == 0 ? allow_memory(c) : rc;
}

static bool has_seccomp(void)
{
	return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0 || errno != EINVAL;
}

/* 1 = done, 0 = this kernel has none */
static int seccomp_enter(const struct sandbox *s)
{
	if (!has_seccomp())
		return 0;

	scmp_filter_ctx c = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int rc = c ? allow_all(c, s) : -ENOMEM;

	if (rc == 0)
		rc = seccomp_load(c);
	seccomp_release(c);
	errno = -rc;
	return rc < 0 ? -1 : 1;
}

/* ---- all of it ----------------------------------------------------------------------------------
 */

static int refuse(struct err *e, const char *what)
{
	return err_sys(e, E_WORKER, errno, "giving up rights: %s", what);
}

int sandbox_enter(struct sandbox *s, struct err *e)
{
	const char *step = "";
	uint64_t mapped = mapped_now();

	s->missing = 0;
	sys_close_from(s->keep_fds);
	if (chdir("/") < 0)
		return refuse(e, "chdir");
	if (sandbox_drop(SANDBOX_NOBODY, SANDBOX_NOBODY, &step) < 0)
		return refuse(e, step);
	/* a change of user forgets both of these: they come after it */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return refuse(e, "prctl");

	int landlock = landlock_enter();

	if (landlock < 0)
		return refuse(e, "Landlock");
	if (limit_all(s, mapped) < 0)
		return refuse(e, "setrlimit");

	int seccomp = seccomp_enter(s);

	if (seccomp < 0)
		return refuse(e, "seccomp");
	s->missing = (landlock ? 0 : SANDBOX_LANDLOCK) | (seccomp ? 0 : SANDBOX_SECCOMP);
	return 0;
}

unsigned sandbox_missing(void)
{
	return (landlock_version() == 0 ? SANDBOX_LANDLOCK : 0) |
	       (has_seccomp() ? 0 : SANDBOX_SECCOMP);
}
