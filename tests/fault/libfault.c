/*
 * A preloaded library that makes the N-th call of a kind fail.
 *
 *   FAULT_CALL=pwrite FAULT_N=3 FAULT_ERR=5    the third pwrite returns EIO
 *   FAULT_ERR=short      it does half of what was asked
 *   FAULT_ERR=kill       the process is killed at that call
 *   FAULT_FOREVER=1      and so do all after it
 *   FAULT_LOG=FILE       "call count" lines at the end; "died in OBJECT" lines, innermost first,
 *                        when it dies
 *   FAULT_COUNTS=FILE    the counters themselves, 32-bit numbers in the order of CALLS: they
 *                        survive a kill, and need no open where a sandbox forbids it
 *
 * Counters are shared with forked children; programs that are executed get a clean environment and
 * are left alone, unless a wrapper in their place preloads this library again.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>
#include <poll.h>

/* clang-format off */
#define CALLS(X) \
	X(open) X(read) X(pread) X(write) X(pwrite) X(fsync) X(fdatasync) X(syncfs) X(rename) \
	X(link) X(unlink) X(mkdir) X(ftruncate) X(fallocate) X(mmap) X(fork) X(pipe) X(memfd) \
	X(ioctl) X(flock) X(stat) X(poll) X(close) X(malloc) X(thread) X(random) X(mount) \
	X(umount) X(symlink) X(chmod) X(chown) X(xattr) X(utime) X(opendir) X(readdir) X(exec) \
	X(wait)
/* clang-format on */

enum call {
#define X(n) C_##n,
	CALLS(X)
#undef X
		C_COUNT
};

static const char *const names[] = {
#define X(n) #n,
	CALLS(X)
#undef X
};

static struct shared {
	atomic_uint count[C_COUNT];
} * shared;

static int want = -1, error_number, forever;
static unsigned want_n;
static enum { ERROR, SHORT, KILL } mode;
static char log_file[512];
static pid_t first;

static void map_counters(const char *file)
{
	int fd = file ? (int)syscall(SYS_openat, AT_FDCWD, file, O_RDWR | O_CREAT | O_CLOEXEC, 0600)
		      : -1;

	if (fd >= 0)
		syscall(SYS_ftruncate, fd, sizeof(*shared));
	shared = (void *)syscall(SYS_mmap, NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				 fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
	if (fd >= 0)
		syscall(SYS_close, fd);
}

__attribute__((constructor)) static void begin(void)
{
	const char *call = getenv("FAULT_CALL"), *n = getenv("FAULT_N"), *err = getenv("FAULT_ERR"),
		   *log = getenv("FAULT_LOG");

	void *frame[2];

	backtrace(frame, 2); /* loads what it needs, which it cannot do when memory has run out */
	map_counters(getenv("FAULT_COUNTS"));
	first = getpid();
	if (log)
		snprintf(log_file, sizeof(log_file), "%s", log);
	for (int i = 0; call && i < C_COUNT; i++)
		if (strcmp(call, names[i]) == 0)
			want = i;
	want_n = n ? (unsigned)strtoul(n, NULL, 10) : 0;
	forever = getenv("FAULT_FOREVER") != NULL;
	if (err && strcmp(err, "short") == 0)
		mode = SHORT;
	else if (err && strcmp(err, "kill") == 0)
		mode = KILL;
	else
		error_number = err ? atoi(err) : EIO;
}

static int open_log(int flags)
{
	return (int)syscall(SYS_openat, AT_FDCWD, log_file, O_WRONLY | O_CREAT | O_CLOEXEC | flags,
			    0600);
}

/* a death: say in whose code it was, outermost library that is not libc */
static void died(int sig)
{
	void *frame[48];
	int n = backtrace(frame, 48), fd = log_file[0] ? open_log(O_TRUNC) : -1;
	Dl_info info;

	for (int i = 0; fd >= 0 && i < n; i++)
		if (dladdr(frame[i], &info) && info.dli_fname)
			dprintf(fd, "died in %s\n", info.dli_fname);
	signal(sig, SIG_DFL);
	raise(sig);
}

__attribute__((destructor)) static void end(void)
{
	char line[64];
	int fd;

	if (!log_file[0] || getpid() != first)
		return;
	fd = open_log(O_TRUNC);
	for (int i = 0; i < C_COUNT; i++) {
		int n = snprintf(line, sizeof(line), "%s %u\n", names[i],
				 atomic_load(&shared->count[i]));

		syscall(SYS_write, fd, line, n);
	}
	syscall(SYS_close, fd);
}

/* does this call fail? 1 = yes (errno is set), 2 = do half */
static int strike(enum call c)
{
	unsigned n;

	if (!shared || shared == MAP_FAILED)
		return 0;
	n = atomic_fetch_add(&shared->count[c], 1) + 1;
	if ((int)c != want || (forever ? n < want_n : n != want_n))
		return 0;
	if (c == C_malloc)
		signal(SIGSEGV, died); /* the program sets its handlers back at its start */
	if (mode == KILL)
		syscall(SYS_kill, (int)syscall(SYS_getpid), SIGKILL);
	errno = error_number;
	return mode == SHORT ? 2 : 1;
}

/* the declarations of libc would forbid our aliases */
#define WRAP(type, fn, args, call, real_args, types, bad)                                          \
	type fn args;                                                                              \
	type fn args                                                                               \
	{                                                                                          \
		static type(*real) types;                                                          \
		if (!real)                                                                         \
			real = (type(*) types)dlsym(RTLD_NEXT, #fn);                               \
		if (strike(C_##call))                                                              \
			return bad;                                                                \
		return real real_args;                                                             \
	}

/* reads and writes know 'half' */
#define WRAP_IO(fn, call, buf_type, extra_decl, extra_use, extra_type)                             \
	ssize_t fn(int fd, buf_type buf, size_t n extra_decl);                                     \
	ssize_t fn(int fd, buf_type buf, size_t n extra_decl)                                      \
	{                                                                                          \
		static ssize_t (*real)(int, buf_type, size_t extra_type);                          \
		int hit;                                                                           \
		if (!real)                                                                         \
			real = (ssize_t(*)(int, buf_type, size_t extra_type))dlsym(RTLD_NEXT,      \
										   #fn);           \
		hit = strike(C_##call);                                                            \
		if (hit == 1)                                                                      \
			return -1;                                                                 \
		return real(fd, buf, hit == 2 && n > 1 ? n / 2 : n extra_use);                     \
	}
#define COMMA ,
WRAP_IO(read, read, void *, , , )
WRAP_IO(write, write, const void *, , , )
WRAP_IO(pread, pread, void *, COMMA off_t off, COMMA off, COMMA off_t)
WRAP_IO(pread64, pread, void *, COMMA off_t off, COMMA off, COMMA off_t)
WRAP_IO(pwrite, pwrite, const void *, COMMA off_t off, COMMA off, COMMA off_t)
WRAP_IO(pwrite64, pwrite, const void *, COMMA off_t off, COMMA off, COMMA off_t)

WRAP(int, fsync, (int fd), fsync, (fd), (int), -1)
WRAP(int, fdatasync, (int fd), fdatasync, (fd), (int), -1)
WRAP(int, syncfs, (int fd), syncfs, (fd), (int), -1)
WRAP(int, rename, (const char *a, const char *b), rename, (a, b), (const char *, const char *), -1)
WRAP(int, renameat, (int f, const char *a, int t, const char *b), rename, (f, a, t, b),
     (int, const char *, int, const char *), -1)
WRAP(int, renameat2, (int f, const char *a, int t, const char *b, unsigned g), rename,
     (f, a, t, b, g), (int, const char *, int, const char *, unsigned), -1)
WRAP(int, linkat, (int f, const char *a, int t, const char *b, int g), link, (f, a, t, b, g),
     (int, const char *, int, const char *, int), -1)
WRAP(int, unlinkat, (int f, const char *a, int g), unlink, (f, a, g), (int, const char *, int), -1)
WRAP(int, unlink, (const char *a), unlink, (a), (const char *), -1)
WRAP(int, mkdirat, (int f, const char *a, mode_t m), mkdir, (f, a, m), (int, const char *, mode_t),
     -1)
WRAP(int, mkdir, (const char *a, mode_t m), mkdir, (a, m), (const char *, mode_t), -1)
WRAP(int, ftruncate, (int fd, off_t n), ftruncate, (fd, n), (int, off_t), -1)
WRAP(int, ftruncate64, (int fd, off_t n), ftruncate, (fd, n), (int, off_t), -1)
WRAP(int, fallocate, (int fd, int m, off_t o, off_t n), fallocate, (fd, m, o, n),
     (int, int, off_t, off_t), -1)
WRAP(int, fallocate64, (int fd, int m, off_t o, off_t n), fallocate, (fd, m, o, n),
     (int, int, off_t, off_t), -1)
WRAP(void *, mmap, (void *a, size_t n, int p, int f, int fd, off_t o), mmap, (a, n, p, f, fd, o),
     (void *, size_t, int, int, int, off_t), MAP_FAILED)
WRAP(void *, mmap64, (void *a, size_t n, int p, int f, int fd, off_t o), mmap, (a, n, p, f, fd, o),
     (void *, size_t, int, int, int, off_t), MAP_FAILED)
WRAP(pid_t, fork, (void), fork, (), (void), -1)
WRAP(int, pipe2, (int p[2], int g), pipe, (p, g), (int[2], int), -1)
WRAP(int, socketpair, (int d, int t, int p, int s[2]), pipe, (d, t, p, s), (int, int, int, int[2]),
     -1)
WRAP(int, eventfd, (unsigned v, int g), pipe, (v, g), (unsigned, int), -1)
WRAP(int, memfd_create, (const char *n, unsigned g), memfd, (n, g), (const char *, unsigned), -1)
WRAP(int, flock, (int fd, int g), flock, (fd, g), (int, int), -1)
WRAP(int, fstat, (int fd, struct stat *s), stat, (fd, s), (int, struct stat *), -1)
WRAP(int, fstat64, (int fd, struct stat64 *s), stat, (fd, s), (int, struct stat64 *), -1)
WRAP(int, fstatat, (int fd, const char *p, struct stat *s, int g), stat, (fd, p, s, g),
     (int, const char *, struct stat *, int), -1)
WRAP(int, fstatat64, (int fd, const char *p, struct stat64 *s, int g), stat, (fd, p, s, g),
     (int, const char *, struct stat64 *, int), -1)
WRAP(int, poll, (struct pollfd * p, nfds_t n, int t), poll, (p, n, t),
     (struct pollfd *, nfds_t, int), -1)
WRAP(int, mount, (const char *s, const char *p, const char *t, unsigned long f, const void *d),
     mount, (s, p, t, f, d),
     (const char *, const char *, const char *, unsigned long, const void *), -1)
WRAP(int, umount2, (const char *p, int f), umount, (p, f), (const char *, int), -1)
WRAP(int, close, (int fd), close, (fd), (int), (syscall(SYS_close, fd), -1))
WRAP(int, symlinkat, (const char *t, int f, const char *p), symlink, (t, f, p),
     (const char *, int, const char *), -1)
WRAP(int, mknodat, (int f, const char *p, mode_t m, dev_t d), mkdir, (f, p, m, d),
     (int, const char *, mode_t, dev_t), -1)
WRAP(int, fchmod, (int fd, mode_t m), chmod, (fd, m), (int, mode_t), -1)
WRAP(int, fchmodat, (int f, const char *p, mode_t m, int g), chmod, (f, p, m, g),
     (int, const char *, mode_t, int), -1)
WRAP(int, fchown, (int fd, uid_t u, gid_t g), chown, (fd, u, g), (int, uid_t, gid_t), -1)
WRAP(int, fchownat, (int f, const char *p, uid_t u, gid_t g, int h), chown, (f, p, u, g, h),
     (int, const char *, uid_t, gid_t, int), -1)
WRAP(int, fsetxattr, (int fd, const char *k, const void *v, size_t n, int g), xattr,
     (fd, k, v, n, g), (int, const char *, const void *, size_t, int), -1)
WRAP(int, lsetxattr, (const char *p, const char *k, const void *v, size_t n, int g), xattr,
     (p, k, v, n, g), (const char *, const char *, const void *, size_t, int), -1)
WRAP(ssize_t, fgetxattr, (int fd, const char *k, void *v, size_t n), xattr, (fd, k, v, n),
     (int, const char *, void *, size_t), -1)
WRAP(ssize_t, flistxattr, (int fd, char *v, size_t n), xattr, (fd, v, n), (int, char *, size_t), -1)
WRAP(int, futimens, (int fd, const struct timespec t[2]), utime, (fd, t),
     (int, const struct timespec[2]), -1)
WRAP(int, utimensat, (int f, const char *p, const struct timespec t[2], int g), utime, (f, p, t, g),
     (int, const char *, const struct timespec[2], int), -1)
WRAP(DIR *, fdopendir, (int fd), opendir, (fd), (int), NULL)
WRAP(DIR *, opendir, (const char *p), opendir, (p), (const char *), NULL)
WRAP(struct dirent *, readdir, (DIR * d), readdir, (d), (DIR *), NULL)
WRAP(struct dirent64 *, readdir64, (DIR * d), readdir, (d), (DIR *), NULL)
WRAP(int, execve, (const char *p, char *const a[], char *const v[]), exec, (p, a, v),
     (const char *, char *const[], char *const[]), -1)
WRAP(pid_t, waitpid, (pid_t p, int *s, int g), wait, (p, s, g), (pid_t, int *, int), -1)
WRAP(ssize_t, getrandom, (void *b, size_t n, unsigned g), random, (b, n, g),
     (void *, size_t, unsigned), -1)
WRAP(int, pthread_create, (void *t, const void *a, void *(*f)(void *), void *x), thread,
     (t, a, f, x), (void *, const void *, void *(*)(void *), void *), error_number)

/* the variadic ones */
#define OPENS(fn, first_decl, first_use, first_type)                                               \
	int fn(first_decl const char *path, int flags, ...);                                       \
	int fn(first_decl const char *path, int flags, ...)                                        \
	{                                                                                          \
		static int (*real)(first_type const char *, int, ...);                             \
		mode_t m = 0;                                                                      \
		va_list ap;                                                                        \
		if (!real)                                                                         \
			real = (int (*)(first_type const char *, int, ...))dlsym(RTLD_NEXT, #fn);  \
		va_start(ap, flags);                                                               \
		if (flags & (O_CREAT | O_TMPFILE))                                                 \
			m = va_arg(ap, mode_t);                                                    \
		va_end(ap);                                                                        \
		if (strike(C_open))                                                                \
			return -1;                                                                 \
		return real(first_use path, flags, m);                                             \
	}
OPENS(open, , , )
OPENS(open64, , , )
OPENS(openat, int dir COMMA, dir COMMA, int COMMA)
OPENS(openat64, int dir COMMA, dir COMMA, int COMMA)

/* openat2, which has no function of its own; all others go on, also those of this file */
long syscall(long number, ...)
{
	static long (*real)(long, ...);
	long a[6];
	va_list ap;

	if (!real)
		real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_openat2 && strike(C_open))
		return -1;
	return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int ioctl(int fd, unsigned long req, ...);
int ioctl(int fd, unsigned long req, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, req);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (strike(C_ioctl))
		return -1;
	return (int)syscall(SYS_ioctl, fd, req, arg);
}

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t),
	*__libc_memalign(size_t, size_t);

void *malloc(size_t n)
{
	return strike(C_malloc) ? NULL : __libc_malloc(n);
}

void *calloc(size_t a, size_t b)
{
	return strike(C_malloc) ? NULL : __libc_calloc(a, b);
}

void *realloc(void *p, size_t n)
{
	return strike(C_malloc) ? NULL : __libc_realloc(p, n);
}

int posix_memalign(void **p, size_t align, size_t n)
{
	if (strike(C_malloc))
		return ENOMEM;
	*p = __libc_memalign(align, n);
	return *p ? 0 : ENOMEM;
}

void *aligned_alloc(size_t align, size_t n)
{
	return strike(C_malloc) ? NULL : __libc_memalign(align, n);
}
