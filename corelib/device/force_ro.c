/* The write protection of eMMC boot partitions. */
#include "corelib/device/force_ro.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

static int write_switch(const char *path, bool on, struct err *e)
{
	AUTO_CLOSE int fd = sys_openat(AT_FDCWD, path, O_WRONLY, 0);
	int rc = fd < 0 ? fd : sys_write(fd, on ? "1" : "0", 1);

	if (rc < 0) {
		err_sys(e, E_TARGET, -rc, "the write protection cannot be switched");
		err_at(e, rc, "%s", path);
	}
	return rc;
}

int force_ro_set(dev_t dev, bool on, bool *was, struct err *e)
{
	AUTO_FREE char *text = NULL;
	char name[64], path[4096];
	size_t len;
	int rc;

	*was = false;
	text_print(name, sizeof(name), "/sys/dev/block/%u:%u/force_ro", major(dev), minor(dev));
	if (sys_path(name, path, sizeof(path)) < 0)
		return err_set(e, E_SYS, ENAMETOOLONG, "the path of /sys is too long");
	rc = sys_read_file(AT_FDCWD, path, 64, &text, &len);
	if (rc == -ENOENT)
		return 0;
	if (rc < 0) {
		err_sys(e, E_TARGET, -rc, "the write protection cannot be read");
		return err_at(e, rc, "%s", path);
	}
	*was = text[0] == '1';
	return *was == on ? 0 : write_switch(path, on, e);
}

static int set_fd(int fd, bool on, bool *was, struct err *e)
{
	struct stat st;

	*was = false;
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISBLK(st.st_mode))
		return 0;
	return force_ro_set(st.st_rdev, on, was, e);
}

int force_ro_lift(int fd, bool *lifted, struct err *e)
{
	return set_fd(fd, false, lifted, e);
}

int force_ro_restore(int fd, struct err *e)
{
	bool was;

	return set_fd(fd, true, &was, e);
}
