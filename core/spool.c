#include "core/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include <unistd.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define SPOOL_ALIGN 4096u

const char *spool_folder(const struct settings *cfg)
{
	const char *tmp;

	if (cfg->spool_dir)
		return cfg->spool_dir;
	tmp = getenv("TMPDIR");
	if (tmp && tmp[0] == '/' && sys_path_is_safe(tmp))
		return tmp;
	return cfg->state_dir;
}

/* a name that nobody knows, gone before the first byte: for file systems without O_TMPFILE */
static int open_and_unlink(const char *folder)
{
	uint8_t random[16];
	char hex[33], path[4096];
	int fd, rc = sys_random(random, sizeof(random));

	if (rc < 0)
		return rc;
	text_hex(random, sizeof(random), hex);
	if (text_print(path, sizeof(path), "%s/.swinstall-%s", folder, hex) < 0)
		return -ENAMETOOLONG;
	fd = sys_openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0)
		sys_unlinkat(AT_FDCWD, path, 0);
	return fd;
}

static int open_folder_file(const char *folder, struct err *e)
{
	int fd = sys_openat(AT_FDCWD, folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd == -EOPNOTSUPP || fd == -EISDIR)
		fd = open_and_unlink(folder);
	if (fd < 0)
		return err_sys(e, fd == -ENOSPC ? E_NO_SPACE : E_SPOOL, -fd,
			       "making a file in the spool directory %s", folder);
	return fd;
}

static int no_room(const char *folder, uint64_t size, uint64_t free_bytes, struct err *e)
{
	return err_set(e, E_NO_SPACE, ENOSPC,
		       "the payload has %" PRIu64 " bytes; the spool directory "
		       "%s has %" PRIu64 " free",
		       size, folder, free_bytes);
}

static int check_space(const struct spool *s, const char *folder, uint64_t size, struct err *e)
{
	struct statvfs st;
	uint64_t free_bytes = 0;
	bool known = fstatvfs(s->fd, &st) == 0 && !u64_mul(st.f_bavail, st.f_frsize, &free_bytes);

	if (size == 0)
		return 0;
	if (known && free_bytes < size)
		return no_room(folder, size, free_bytes, e);
	if (sys_fallocate(s->fd, FALLOC_FL_KEEP_SIZE, s->end, size) == -ENOSPC)
		return no_room(folder, size, free_bytes, e);
	return 0; /* without reservation a later write tells */
}

int spool_reserve(struct spool *s, const struct settings *cfg, uint64_t size, uint64_t *at,
		  struct err *e)
{
	const char *folder = spool_folder(cfg);
	int rc;

	if (!folder)
		return err_set(e, E_SPOOL, ENOENT, "there is no spool directory: set spool-dir");
	if (s->fd < 0)
		s->fd = open_folder_file(folder, e);
	if (s->fd < 0)
		return s->fd;
	rc = check_space(s, folder, size, e);
	if (rc < 0)
		return rc;
	if (lseek(s->fd, (off_t)s->end, SEEK_SET) < 0)
		return err_sys(e, E_SPOOL, errno, "using the file in the spool directory %s",
			       folder);
	*at = s->end;
	s->end += (size + SPOOL_ALIGN - 1) / SPOOL_ALIGN * SPOOL_ALIGN;
	return 0;
}

bool spool_in_memory(int fd)
{
	struct statfs st;

	return fstatfs(fd, &st) == 0 && (st.f_type == TMPFS_MAGIC || st.f_type == RAMFS_MAGIC);
}
