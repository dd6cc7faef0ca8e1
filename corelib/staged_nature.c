/* What a new file takes over from the one that it replaces. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "corelib/staged_private.h"
#include "corelib/text.h"

#define ATTRS 4096u

static int copy_attr(int from, int to, const char *name)
{
	AUTO_FREE char *value = NULL;
	ssize_t n;

	/* those two speak about the content, which is another one now */
	if (strcmp(name, "security.ima") == 0 || strcmp(name, "security.evm") == 0)
		return 0;
	n = fgetxattr(from, name, NULL, 0);
	if (n < 0)
		return errno == ENODATA ? 0 : -errno;
	value = malloc((size_t)n + 1);
	if (!value)
		return -ENOMEM;
	n = fgetxattr(from, name, value, (size_t)n);
	if (n < 0 || fsetxattr(to, name, value, (size_t)n, 0) < 0)
		return -errno;
	return 0;
}

static int copy_attrs(int from, int to)
{
	AUTO_FREE char *names = malloc(ATTRS);
	ssize_t n;

	if (!names)
		return -ENOMEM;
	n = flistxattr(from, names, ATTRS);
	if (n < 0)
		return errno == ENOTSUP ? 0 : -errno;
	for (char *p = names; p < names + n; p += strlen(p) + 1) {
		int rc = copy_attr(from, to, p);

		if (rc < 0 && rc != -ENOTSUP && rc != -EPERM)
			return rc;
	}
	return 0;
}

int staged_copy_nature(int from, int to)
{
	struct stat st;

	if (fstat(from, &st) < 0 || fchown(to, st.st_uid, st.st_gid) < 0 ||
	    fchmod(to, st.st_mode & 07777) < 0) /* after the owner, which takes set-uid away */
		return -errno;
	return copy_attrs(from, to);
}
