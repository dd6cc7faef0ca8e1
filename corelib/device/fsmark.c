/* Which file system something lies on, in words that mean the same after a reboot. */
#include "corelib/device/fsmark.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "corelib/device/mountinfo.h"

#define FDINFO_MAX (64u * 1024)

/* Linux 6.9 and later; the headers of older ones do not know it */
#ifndef FS_IOC_GETFSUUID
struct fsuuid2 {
	uint8_t len, uuid[16];
};
#define FS_IOC_GETFSUUID _IOR(0x15, 0, struct fsuuid2)
#endif

#define UBIFS_MAGIC 0x24051905 /* in no header for programs */

/* ---- the id ---- */

/* these make it of the id on the medium; others of a device number, which is another one next time
 */
static bool has_lasting_id(long magic)
{
	return magic == EXT4_SUPER_MAGIC || magic == BTRFS_SUPER_MAGIC || magic == UBIFS_MAGIC;
}

static void take_id(int fd, struct fsmark *m)
{
	struct fsuuid2 u = {0};
	struct statfs fs;
	char hex[2 * sizeof(u.uuid) + 1];

	if (ioctl(fd, FS_IOC_GETFSUUID, &u) == 0 && u.len && u.len <= sizeof(u.uuid)) {
		text_hex(u.uuid, u.len, hex);
		text_print(m->id, sizeof(m->id), "uuid:%s", hex);
	} else if (fstatfs(fd, &fs) == 0 && has_lasting_id((long)fs.f_type)) {
		text_hex((const uint8_t *)&fs.f_fsid, sizeof(fs.f_fsid), hex);
		text_print(m->id, sizeof(m->id), "fsid:%s", hex);
	}
}

/* ---- the mount point ---- */

static int mount_id(int fd, int *id)
{
	AUTO_FREE char *text = NULL;
	char name[40], path[512];
	const char *at;
	int rc;

	text_print(name, sizeof(name), "/proc/self/fdinfo/%d", fd);
	rc = sys_path(name, path, sizeof(path));
	if (rc == 0)
		rc = sys_read_file(AT_FDCWD, path, FDINFO_MAX, &text, NULL);
	at = rc < 0 ? NULL : strstr(text, "mnt_id:");
	/* NOLINTNEXTLINE(cert-err34-c): a number of the kernel fits */
	if (at && sscanf(at, "mnt_id: %d", id) == 1)
		return 0;
	return rc < 0 ? rc : -ENOENT;
}

/* what is mounted above our root directory is not in the list: it is left to the id then */
static int find_point(int id, struct fsmark *m)
{
	struct mountinfo_list l;
	int rc = mountinfo_read(&l);

	if (rc < 0)
		return rc;
	rc = l.unread ? -EPROTO : 0;
	for (size_t i = 0; i < l.count; i++) {
		if (l.at[i].id != id)
			continue;
		/* one that is too long is left out, and the id is left */
		if (text_copy(m->type, sizeof(m->type), l.at[i].type) == 0)
			text_copy(m->point, sizeof(m->point), l.at[i].point_text);
		rc = 0;
	}
	mountinfo_clear(&l);
	return rc;
}

static bool is_memory(int fd, const char *type)
{
	struct statfs fs;

	if (!*type && fstatfs(fd, &fs) == 0)
		return fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC;
	return strcmp(type, "tmpfs") == 0 || strcmp(type, "ramfs") == 0;
}

int fsmark_of(int fd, struct fsmark *m)
{
	int id, rc;

	memset(m, 0, sizeof(*m));
	rc = mount_id(fd, &id);
	if (rc == 0)
		rc = find_point(id, m);
	if (rc < 0 || is_memory(fd, m->type))
		memset(m, 0, sizeof(*m));
	else
		take_id(fd, m);
	return rc;
}

/* ---- compared ---- */

bool fsmark_is_known(const struct fsmark *m)
{
	return m->point[0] || m->id[0];
}

/* both ids of one kind: a newer kernel may tell another one */
static bool comparable(const struct fsmark *a, const struct fsmark *b)
{
	return a->id[0] && b->id[0] && strncmp(a->id, b->id, strlen("uuid:")) == 0;
}

bool fsmark_same(const struct fsmark *noted, const struct fsmark *now)
{
	if (!fsmark_is_known(noted))
		return true;
	if (comparable(noted, now))
		return strcmp(noted->id, now->id) == 0;
	return strcmp(noted->point, now->point) == 0 && strcmp(noted->type, now->type) == 0;
}
