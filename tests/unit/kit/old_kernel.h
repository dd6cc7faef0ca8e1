/*
 * In the test program that includes it, this stands in front of the one call that walks a path
 * (openat2): the test may take it away, as kernels before 5.6 and old containers do, or let it
 * fail.
 */
#ifndef TESTS_OLD_KERNEL_H
#define TESTS_OLD_KERNEL_H

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "corelib/base/sys.h"

static int old_kernel;		    /* the errno of the call, or 0 = it is there */
static int (*before_openat2)(void); /* < 0: the call fails with errno */

int sys_openat2(int dirfd, const char *path, int flags, uint64_t resolve)
{
	const struct open_how how = {.flags = (unsigned)flags | O_CLOEXEC, .resolve = resolve};
	long fd;

	if (old_kernel)
		return -old_kernel;
	while (before_openat2 && before_openat2() < 0)
		if (errno != EINTR)
			return -errno;
	fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
	return fd < 0 ? -errno : (int)fd;
}

#endif
