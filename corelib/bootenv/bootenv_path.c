/* The file of a GRUB block or a plain environment: where it really is and what may be done with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "corelib/bootenv/bootenv_private.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define FAT_MAGIC   0x4d44
#define EXFAT_MAGIC 0x2011bab0

static void folder_of(const char *path, char *dir, size_t n)
{
	const char *slash = strrchr(path, '/');

	if (!slash || slash == path)
		text_copy(dir, n, "/");
	else
		text_print(dir, n, "%.*s", (int)(slash - path), path);
}

/* realpath() of the folder, for a file that will be made there */
static int resolve_new(char *path, size_t n)
{
	AUTO_FREE char *real = NULL;
	char dir[512], name[256];

	folder_of(path, dir, sizeof(dir));
	int rc = text_copy(name, sizeof(name), strrchr(path, '/') + 1);
	if (rc < 0)
		return rc;
	real = realpath(dir, NULL);
	if (!real)
		return -errno;
	return text_print(path, n, "%s/%s", strcmp(real, "/") == 0 ? "" : real, name);
}

int bootenv_resolve(struct bootenv *b, const char *path, struct err *e)
{
	AUTO_FREE char *real = NULL;

	if (*path != '/')
		return err_set(e, E_ENV_READ, EINVAL, "the path '%s' is not absolute", path);
	int rc = sys_path(path, b->path, sizeof(b->path));
	if (rc < 0)
		return err_sys(e, E_ENV_READ, -rc, "the path '%s' cannot be used", path);
	real = realpath(b->path, NULL);
	if (real)
		rc = text_copy(b->path, sizeof(b->path), real);
	else if (errno == ENOENT)
		rc = resolve_new(b->path, sizeof(b->path));
	else
		rc = -errno;
	if (rc == 0)
		rc = text_copy(b->places[0].path, sizeof(b->places[0].path), b->path);
	b->place_count = 1;
	return rc < 0 ? err_sys(e, E_ENV_READ, -rc, "looking for '%s'", path) : 0;
}

int bootenv_read(const struct bootenv *b, char **text, size_t *n, struct err *e)
{
	int rc = sys_read_file(AT_FDCWD, b->path, BOOTENV_FILE_MAX, text, n);

	if (rc == -ENOENT)
		return rc;
	if (rc == -EFBIG)
		err_set(e, E_ENV_READ, EFBIG, "'%s' has more than %d bytes", b->path,
			BOOTENV_FILE_MAX);
	return rc < 0 ? err_sys(e, E_ENV_READ, -rc, "reading '%s'", b->path) : 0;
}

int bootenv_on_fat(const char *path, struct err *e)
{
	char dir[512];
	struct statfs st;

	folder_of(path, dir, sizeof(dir));
	if (statfs(dir, &st) < 0)
		return err_sys(e, E_ENV_READ, errno, "looking at the file system of '%s'", path);
	return st.f_type == FAT_MAGIC || (unsigned long)st.f_type == EXFAT_MAGIC;
}

int bootenv_writable(const struct bootenv *b, bool in_place, struct err *e)
{
	char dir[512];

	folder_of(b->path, dir, sizeof(dir));
	const char *what = in_place ? b->path : dir;
	if (access(what, W_OK) < 0)
		return err_sys(e, E_ENV_WRITE, errno, "'%s' cannot be written", what);
	return 0;
}
