#include "corelib/files/nature.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

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

static int copy_rights(int from, int to)
{
	struct stat st;
	int rc;

	if (fstat(from, &st) < 0)
		return -errno;
	rc = sys_fchown(to, st.st_uid, st.st_gid);
	return rc < 0 ? rc : sys_fchmod(to, st.st_mode & 07777); /* the owner takes set-uid away */
}

int nature_copy(int from, int to)
{
	int rc = copy_rights(from, to);

	return rc < 0 ? rc : copy_attrs(from, to);
}

/* ---- folders that stay ---- */

static const char *const acls[] = {"system.posix_acl_access", "system.posix_acl_default"};

struct acl {
	ssize_t len; /* 0 = there is none */
	char bytes[4096];
};

static int acl_read(int fd, const char *name, struct acl *a)
{
	a->len = fgetxattr(fd, name, a->bytes, sizeof(a->bytes));
	if (a->len >= 0)
		return 0;
	a->len = 0;
	return errno == ENODATA || errno == ENOTSUP ? 0 : -errno;
}

static int acl_write(int fd, const char *name, const struct acl *a)
{
	int rc = a->len ? fsetxattr(fd, name, a->bytes, (size_t)a->len, 0) : fremovexattr(fd, name);

	return rc == 0 || errno == ENODATA || errno == ENOTSUP ? 0 : -errno;
}

/* ACLs come after the mode, which changes them */
int nature_of_folder_copy(int from, int to)
{
	int rc = copy_rights(from, to);

	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(acls); i++) {
		struct acl a;

		rc = acl_read(from, acls[i], &a);
		if (rc == 0)
			rc = acl_write(to, acls[i], &a);
	}
	return rc;
}

int nature_of_folder_same(int a, int b)
{
	struct stat x, y;

	if (fstat(a, &x) < 0 || fstat(b, &y) < 0)
		return -errno;
	if (x.st_uid != y.st_uid || x.st_gid != y.st_gid || x.st_mode != y.st_mode)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(acls); i++) {
		struct acl k, l;
		int rc = acl_read(a, acls[i], &k);

		if (rc == 0)
			rc = acl_read(b, acls[i], &l);
		if (rc != 0)
			return rc;
		if (k.len != l.len || memcmp(k.bytes, l.bytes, (size_t)k.len) != 0)
			return 0;
	}
	return 1;
}
