#include "core/state/awaited.h"

#include <errno.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "corelib/device/mountinfo.h"

static bool is_expected(const struct mntent *m)
{
	return m->mnt_dir[0] == '/' && !hasmntopt(m, "noauto") && !hasmntopt(m, "nofail");
}

static bool is_beneath(const char *path, const char *point)
{
	size_t n = strlen(point);

	return strncmp(path, point, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* the longest mount point of the list above 'path'; empty when it lies on the root */
static void find_point(FILE *list, const char *path, char out[PATH_MAX])
{
	struct mntent m;
	char text[2 * PATH_MAX];

	*out = '\0';
	while (getmntent_r(list, &m, text, sizeof(text))) {
		size_t n = strlen(m.mnt_dir);

		while (n && m.mnt_dir[n - 1] == '/')
			m.mnt_dir[--n] = '\0';
		if (n > strlen(out) && is_expected(&m) && is_beneath(path, m.mnt_dir))
			text_copy(out, PATH_MAX, m.mnt_dir);
	}
}

static bool is_mounted(const struct mountinfo_list *mounts, const char *point)
{
	for (size_t i = 0; i < mounts->count; i++)
		if (strcmp(mounts->at[i].point, point) == 0)
			return true;
	return false;
}

static int refuse(const char *path, const char *point, struct err *e)
{
	err_set(e, E_NOT_MOUNTED, EAGAIN,
		"not yet: '%s' lies in '%s', for which /etc/fstab has a file system, and none is "
		"mounted there",
		path, point);
	err_fix(e, "mount it; if it is gone for ever, take its line out of /etc/fstab or give it "
		   "the option nofail");
	return -EAGAIN;
}

int awaited_check(const char *path, struct err *e)
{
	char table[PATH_MAX], real[PATH_MAX], point[PATH_MAX];
	struct mountinfo_list mounts;
	FILE *list =
		sys_path("/etc/fstab", table, sizeof(table)) < 0 ? NULL : setmntent(table, "re");
	int rc;

	if (!list)
		return 0;
	find_point(list, realpath(path, real) ? real : path, point);
	endmntent(list);
	if (!*point)
		return 0;
	rc = mountinfo_read(&mounts);
	if (rc < 0)
		return err_sys(e, E_SYS, -rc, "reading the list of mounts");
	if (!is_mounted(&mounts, point))
		rc = refuse(path, point, e);
	mountinfo_clear(&mounts);
	return rc;
}
