#include "core/build/output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

static int open_folder(struct output *o, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char folder[PATH_MAX];

	if (text_copy(o->name, sizeof(o->name), name) < 0 || !*name ||
	    text_print(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path + 1) : 1,
		       slash ? path : ".") < 0)
		return err_set(e, E_USAGE, EINVAL, "this is no name for a file");
	o->folder = sys_openat(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (o->folder < 0)
		return err_sys(e, E_BUILD, -o->folder, "opening its folder failed");
	return 0;
}

static int open_hidden(const struct output *o, char *temp, size_t n, unsigned mode)
{
	uint64_t random;
	int rc = sys_random(&random, sizeof(random));

	if (rc < 0)
		return rc;
	if (text_print(temp, n, ".%.200s.%016" PRIx64, o->name, random) < 0)
		return -ENAMETOOLONG;
	return sys_openat(o->folder, temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
			  mode);
}

/* nameless where possible: then *temp stays "" */
static int open_temp(const struct output *o, char *temp, size_t n, unsigned mode)
{
	int fd = sys_openat(o->folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode);

	temp[0] = '\0';
	if (fd >= 0 || fd == -EACCES || fd == -ENOSPC || fd == -EROFS)
		return fd;
	fd = open_hidden(o, temp, n, mode);
	if (fd < 0)
		temp[0] = '\0';
	return fd;
}

int output_open(struct output *o, const char *path, struct err *e)
{
	int rc;

	*o = (struct output){.fd = -1, .folder = -1};
	rc = open_folder(o, path, e);
	if (rc < 0)
		return err_at(e, rc, "%s", path);
	o->fd = open_temp(o, o->temp, sizeof(o->temp), 0644);
	if (o->fd < 0)
		return err_at(e, err_sys(e, E_BUILD, -o->fd, "creating it failed"), "%s", path);
	return 0;
}

/* give a nameless file a hidden name: only a name can be renamed over another */
static int name_it(struct output *o)
{
	char self[64];
	uint64_t random;
	int rc = sys_random(&random, sizeof(random));

	if (rc < 0)
		return rc;
	if (text_print(self, sizeof(self), "/proc/self/fd/%d", o->fd) < 0 ||
	    text_print(o->temp, sizeof(o->temp), ".%.200s.%016" PRIx64, o->name, random) < 0)
		return -ENAMETOOLONG;
	rc = sys_linkat(AT_FDCWD, self, o->folder, o->temp, AT_SYMLINK_FOLLOW);
	if (rc < 0)
		o->temp[0] = '\0';
	return rc;
}

int output_commit(struct output *o, struct err *e)
{
	int rc = sys_fsync(o->fd);

	if (rc == 0 && !o->temp[0])
		rc = name_it(o);
	if (rc == 0)
		rc = sys_renameat(o->folder, o->temp, o->folder, o->name, 0);
	if (rc < 0)
		return err_sys(e, E_BUILD, -rc, "putting %s in place failed", o->name);
	o->temp[0] = '\0';
	rc = sys_fsync(o->folder);
	return rc < 0 ? err_sys(e, E_BUILD, -rc, "flushing the folder of %s failed", o->name) : 0;
}

void output_close(struct output *o)
{
	if (o->temp[0])
		sys_unlinkat(o->folder, o->temp, 0);
	o->temp[0] = '\0';
	if (o->fd >= 0)
		sys_close(&o->fd);
	if (o->folder >= 0)
		sys_close(&o->folder);
}

int output_scratch(const struct output *o, struct err *e)
{
	char temp[300];
	int fd = open_temp(o, temp, sizeof(temp), 0600);

	if (fd >= 0 && temp[0])
		sys_unlinkat(o->folder, temp, 0);
	return fd < 0 ? err_sys(e, E_BUILD, -fd, "creating a temporary file failed") : fd;
}
