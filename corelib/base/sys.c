/* Calls to the kernel that hide EINTR and short counts, clocks, randomness, the root of tests. */
#include "corelib/base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include "corelib/base/text.h"

#define CALL_MAX (1u << 30) /* no call moves more than 2 GiB; stay below on every system */
#ifndef SYS_openat2	    /* headers of before Linux 5.6 */
#define SYS_openat2 437
#endif

#define RETRY(call) TEMP_FAILURE_RETRY(call)

/* of tests; one per program because /proc and /sys are (never set by the product) */
static char root_dir[PATH_MAX];

static size_t part(size_t done, size_t n)
{
	return n - done < CALL_MAX ? n - done : CALL_MAX;
}

ssize_t sys_read(int fd, void *buf, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = RETRY(read(fd, (char *)buf + done, part(done, n)));

		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		done += (size_t)r;
	}
	return (ssize_t)done;
}

ssize_t sys_pread(int fd, void *buf, size_t n, uint64_t off)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r =
			RETRY(pread(fd, (char *)buf + done, part(done, n), (off_t)(off + done)));

		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		done += (size_t)r;
	}
	return (ssize_t)done;
}

int sys_write(int fd, const void *buf, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t r = RETRY(write(fd, (const char *)buf + done, part(done, n)));

		if (r < 0)
			return -errno;
		if (r == 0)
			return -EIO; /* a place that takes nothing and says nothing would loop for
					ever */
		done += (size_t)r;
	}
	return 0;
}

int sys_pwrite(int fd, const void *buf, size_t n, uint64_t off)
{
	for (size_t done = 0; done < n;) {
		ssize_t r = RETRY(
			pwrite(fd, (const char *)buf + done, part(done, n), (off_t)(off + done)));

		if (r < 0)
			return -errno;
		if (r == 0)
			return -EIO;
		done += (size_t)r;
	}
	return 0;
}

static int result(long rc)
{
	return rc < 0 ? -errno : (int)rc;
}

int sys_fsync(int fd)
{
	return result(RETRY(fsync(fd)));
}

int sys_fdatasync(int fd)
{
	return result(RETRY(fdatasync(fd)));
}

int sys_syncfs(int fd)
{
	return result(RETRY(syncfs(fd)));
}

int sys_openat(int dirfd, const char *path, int flags, unsigned mode)
{
	return result(RETRY(openat(dirfd, path, flags | O_CLOEXEC, (mode_t)mode)));
}

/* the C library does not offer it yet; weak, so that tests can stand for an old kernel */
__attribute__((weak)) int sys_openat2(int dirfd, const char *path, int flags, uint64_t resolve)
{
	const struct {
		uint64_t flags, mode, resolve;
	} how = {.flags = (uint64_t)(flags | O_CLOEXEC), .resolve = resolve};

	return result(RETRY(syscall(SYS_openat2, dirfd, path, &how, sizeof(how))));
}

int sys_renameat(int olddir, const char *old, int newdir, const char *new, unsigned flags)
{
	if (flags == 0)
		return result(RETRY(renameat(olddir, old, newdir, new)));
	return result(RETRY(renameat2(olddir, old, newdir, new, flags)));
}

int sys_linkat(int olddir, const char *old, int newdir, const char *new, int flags)
{
	return result(RETRY(linkat(olddir, old, newdir, new, flags)));
}

int sys_unlinkat(int dirfd, const char *path, int flags)
{
	return result(RETRY(unlinkat(dirfd, path, flags)));
}

int sys_mkdirat(int dirfd, const char *path, unsigned mode)
{
	return result(RETRY(mkdirat(dirfd, path, (mode_t)mode)));
}

int sys_symlinkat(const char *target, int dirfd, const char *path)
{
	return result(RETRY(symlinkat(target, dirfd, path)));
}

int sys_mknodat(int dirfd, const char *path, unsigned mode, dev_t dev)
{
	return result(RETRY(mknodat(dirfd, path, (mode_t)mode, dev)));
}

int sys_fchmod(int fd, unsigned mode)
{
	return result(RETRY(fchmod(fd, (mode_t)mode)));
}

int sys_fchown(int fd, uint32_t uid, uint32_t gid)
{
	return result(RETRY(fchown(fd, uid, gid)));
}

int sys_ftruncate(int fd, uint64_t size)
{
	return size > INT64_MAX ? -EFBIG : result(RETRY(ftruncate(fd, (off_t)size)));
}

int sys_fallocate(int fd, int mode, uint64_t off, uint64_t len)
{
	if (off > INT64_MAX || len > INT64_MAX - off)
		return -EFBIG;
	return result(RETRY(fallocate(fd, mode, (off_t)off, (off_t)len)));
}

int sys_mount(const char *source, const char *point, const char *type, unsigned long flags)
{
	return result(mount(source, point, type, flags, NULL));
}

int sys_umount(const char *point, int flags)
{
	return result(umount2(point, flags));
}

int sys_close(int *fd)
{
	int rc = *fd >= 0 ? close(*fd) : 0;

	*fd = -1;
	/* Linux has freed the number even then: a second close could hit another's descriptor */
	return rc < 0 && errno != EINTR ? -errno : 0;
}

uint64_t sys_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int64_t sys_now_real(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec;
}

int sys_random(void *buf, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t r = RETRY(getrandom((char *)buf + done, n - done, 0));

		if (r < 0)
			return -errno;
		done += (size_t)r;
	}
	return 0;
}

bool sys_is_small(void)
{
	struct sysinfo i;

	return sysinfo(&i) == 0 && (uint64_t)i.totalram * i.mem_unit < 128u << 20;
}

void sys_set_root(const char *root)
{
	if (text_copy(root_dir, sizeof(root_dir), root ? root : "") < 0)
		root_dir[0] = '\0';
}

int sys_path(const char *path, char *out, size_t n)
{
	if (path[0] != '/') {
		if (n > 0)
			out[0] = '\0';
		return -EINVAL;
	}
	return text_print(out, n, "%s%s", root_dir, path);
}
