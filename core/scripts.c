#include "core/scripts.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/plan/inuse.h"
#include "core/state/statedir.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define FOLDER "scripts"

/* ---- the folder ---- */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	sys_unlinkat(AT_FDCWD, path, kind == FTW_DP ? AT_REMOVEDIR : 0);
	return 0;
}

static int flush_mount(const char *point, struct err *e)
{
	AUTO_CLOSE int fd = sys_openat(AT_FDCWD, point, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	int rc;

	if (fd < 0) { /* covered by another mount, or a name that cannot be read: all of them */
		sync();
		return 0;
	}
	rc = sys_syncfs(fd);
	return rc < 0 ? err_sys(e, E_TARGET_FLUSH, -rc, "flushing what is mounted on %s", point)
		      : 0;
}

/* what code mounted here and left, also when it or a whole job was killed; the last one first */
static void unmount_all(const char *folder)
{
	struct inuse u = {.root_count = 0};
	struct err ignored = {0};
	size_t n = strlen(folder);

	if (inuse_read(&u, &ignored) < 0)
		return;
	for (size_t i = u.mounts.count; i-- > 0;) {
		const char *point = u.mounts.at[i].point;

		if (strncmp(point, folder, n) == 0 && point[n] == '/') {
			flush_mount(point, &ignored);
			sys_umount(point, MNT_DETACH | UMOUNT_NOFOLLOW);
		}
	}
	inuse_clear(&u);
}

void scripts_remove(const char *path)
{
	if (!*path)
		return;
	unmount_all(path);
	/* not into what could not be unmounted */
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static int make_in(const char *parent, char *path, size_t n, struct err *e)
{
	char real[PATH_MAX];
	AUTO_CLOSE int fd = statedir_open(parent, e);
	int rc;

	if (fd < 0)
		return fd;
	if (!realpath(parent, real) || text_print(path, n, "%s/" FOLDER, real) < 0) {
		*path = '\0';
		return err_set(e, E_STATE_DIR, ENAMETOOLONG, "the path '%s' is too long", parent);
	}
	scripts_remove(path);
	rc = sys_mkdirat(fd, FOLDER, 0700);
	if (rc == 0)
		return 0;
	rc = err_sys(e, E_STATE_DIR, -rc, "making the folder %s", path);
	*path = '\0';
	return rc;
}

int scripts_make(const struct settings *cfg, char *path, size_t n, struct err *e)
{
	struct err second = {0};
	int rc = make_in(cfg->state_dir, path, n, e);

	if (rc == 0 || !cfg->run_dir || make_in(cfg->run_dir, path, n, &second) < 0)
		return rc;
	err_clear(e);
	return 0;
}

/* the kernel's list of mounts has real names: a state directory may be reached through a link */
void scripts_tidy(const struct settings *cfg)
{
	const char *const parents[] = {cfg->state_dir, cfg->run_dir};

	for (size_t i = 0; i < ARRAY_SIZE(parents); i++) {
		char real[PATH_MAX], path[PATH_MAX];

		if (parents[i] && realpath(parents[i], real) &&
		    text_print(path, sizeof(path), "%s/" FOLDER, real) == 0 &&
		    access(path, F_OK) == 0)
			scripts_remove(path);
	}
}

/* ---- mounts ---- */

int scripts_flush(const struct steps *all, struct err *e)
{
	struct inuse u = {.root_count = 0};
	int rc;

	if (!steps_ran_code(all))
		return 0;
	rc = inuse_read(&u, e);
	for (size_t i = 0; rc == 0 && i < u.mounts.count; i++)
		if (places_hold(all->plan->places, u.mounts.at[i].dev))
			rc = flush_mount(u.mounts.at[i].point, e);
	inuse_clear(&u);
	return rc;
}
