#include "core/plan/space.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

struct space {
	struct space *next;
	dev_t dev;
	uint64_t wanted;
};

void space_free(struct space *s)
{
	while (s) {
		struct space *next = s->next;

		free(s);
		s = next;
	}
}

/* the folder, or the deepest one above it that is there; -1 where that cannot be said */
static int open_there(const struct staged *f)
{
	char path[PATH_MAX], *slash;
	int fd;

	if (f->folder_fd >= 0)
		return fcntl(f->folder_fd, F_DUPFD_CLOEXEC, 0);
	if (f->root_fd >= 0)
		return fcntl(f->root_fd, F_DUPFD_CLOEXEC, 0);
	if (f->address.device[0] || text_copy(path, sizeof(path), f->address.folder) < 0)
		return -1;
	while ((fd = sys_openat(AT_FDCWD, *path ? path : "/", O_PATH | O_CLOEXEC, 0)) == -ENOENT &&
	       (slash = strrchr(path, '/')))
		*slash = '\0';
	return fd;
}

static struct space *find(struct space **all, dev_t dev, struct err *e)
{
	struct space *s = *all;

	while (s && s->dev != dev)
		s = s->next;
	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s) {
		err_set(e, E_MEMORY, ENOMEM, "no memory for the room of a file system");
		return NULL;
	}
	s->dev = dev;
	s->next = *all;
	return *all = s;
}

/* a tree makes many files, so these are looked at more closely */
static int check_tree(const struct statvfs *fs, bool straight, struct err *e)
{
	if (fs->f_flag & ST_RDONLY)
		return err_set(e, E_FILE, EROFS, "its file system is mounted read-only");
	if (!straight && fs->f_files && !fs->f_favail)
		return err_set(e, E_NO_SPACE, ENOSPC,
			       "its file system holds no more files: all %" PRIu64
			       " inodes are taken",
			       (uint64_t)fs->f_files);
	return 0;
}

int space_claim(struct space **all, struct need *n, const struct staged *file, struct err *e)
{
	AUTO_CLOSE int fd = open_there(file);
	const uint64_t before = n->counted;
	struct statvfs fs;
	struct space *s;
	struct stat st;
	uint64_t room, need = n->bytes;
	int rc;

	if (fd < 0 || fstat(fd, &st) < 0 || fstatvfs(fd, &fs) < 0)
		return 0;
	rc = file->address.name[0] ? 0 : check_tree(&fs, n->straight, e);
	if (rc < 0 || u64_mul(n->straight ? fs.f_blocks : fs.f_bavail, fs.f_frsize, &room))
		return rc;
	if (n->straight && need > room)
		return err_set(e, E_NO_SPACE, ENOSPC,
			       "%" PRIu64 " bytes are all that its file system has, the archive "
			       "needs %" PRIu64,
			       room, need);
	s = n->straight ? NULL : find(all, st.st_dev, e);
	if (!s)
		return n->straight ? 0 : -ENOMEM;
	if (fs.f_frsize && need % fs.f_frsize && need < UINT64_MAX - fs.f_frsize)
		need += fs.f_frsize - need % fs.f_frsize;
	s->wanted -= n->on == s->dev ? before : 0;
	if (u64_add(s->wanted, need, &s->wanted))
		s->wanted = UINT64_MAX;
	n->on = s->dev;
	n->counted = need;
	if (s->wanted <= room)
		return 0;
	if (s->wanted == need)
		return err_set(e, E_NO_SPACE, ENOSPC,
			       "%" PRIu64 " bytes are free, %s needs %" PRIu64
			       " beside what is there",
			       room, file->address.name[0] ? "the file" : "the archive", need);
	return err_set(e, E_NO_SPACE, ENOSPC,
		       "%" PRIu64 " bytes are free; this and what other entries put on the same "
		       "file system need %" PRIu64 " beside what is there",
		       room, s->wanted);
}
