#include "corelib/device/mounts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

enum { LIST_MAX = 16 * 1024 * 1024 }; /* modules.alias has one or two */

#define PREFIX "mnt-"
#define DIGITS 16
#define TRIES  64 /* each is cheap, and each installer that starts may sweep once */

struct mount {
	struct mount *before;
	const struct mounts *all;
	char path[512], type[64];
	dev_t rdev;
	int device, root;
};

struct mounts {
	char folder[512];
	struct mount *last;
};

/* is there a line that ends with this word, of /proc/filesystems, or begins so, of modules.alias?
 */
static int file_has(const char *file, const char *before, const char *word, const char *behind)
{
	AUTO_FREE char *text = NULL;
	char path[512], form[128];
	size_t n;

	if (text_print(form, sizeof(form), "%s%s%s", before, word, behind) < 0)
		return 0;
	if (sys_path(file, path, sizeof(path)) < 0 ||
	    sys_read_file(AT_FDCWD, path, LIST_MAX, &text, &n) < 0)
		return -1;
	return strstr(text, form) != NULL;
}

bool mounts_knows(const char *filesystem)
{
	struct utsname u;
	char aliases[256];
	int listed = file_has("/proc/filesystems", "\t", filesystem, "\n");

	if (listed != 0)
		return true;
	/* the kernel asks for the module by this name */
	return uname(&u) == 0 &&
	       text_print(aliases, sizeof(aliases), "/lib/modules/%s/modules.alias", u.release) ==
		       0 &&
	       file_has(aliases, "alias fs-", filesystem, " ") > 0;
}

int mounts_new(struct mounts **out, const char *folder, struct err *e)
{
	struct mounts *m = calloc(1, sizeof(*m));

	*out = NULL;
	if (!m)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a mount");
	if (text_copy(m->folder, sizeof(m->folder), folder) < 0) {
		free(m);
		return err_set(e, E_MOUNT, ENAMETOOLONG, "the run directory has too long a name");
	}
	*out = m;
	return 0;
}

/* ---- what may be mounted ---- */

static int check_type(const char *type, struct err *e)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz0123456789_.-";

	if (*type && strlen(type) < sizeof(((struct mount *)0)->type) &&
	    strspn(type, good) == strlen(type))
		return 0;
	return err_set(e, E_MOUNT, EINVAL, "the attribute filesystem is no name of a file system");
}

/* flash file systems, which the kernel lists with those that need no device */
static bool is_flash(const char *type)
{
	return strcmp(type, "ubifs") == 0 || strcmp(type, "jffs2") == 0;
}

/* tmpfs, proc, overlay: they would be mounted whatever the device is, and what is written is lost
 */
static bool needs_no_device(const char *type)
{
	AUTO_FREE char *text = NULL;
	char path[128], line[96];

	if (is_flash(type) || sys_path("/proc/filesystems", path, sizeof(path)) < 0 ||
	    sys_read_file(AT_FDCWD, path, 65536, &text, NULL) < 0)
		return false;
	text_print(line, sizeof(line), "nodev\t%s\n", type);
	return strstr(text, line) != NULL;
}

static int check_device(int fd, const char *type, struct stat *st, struct err *e)
{
	if (fstat(fd, st) < 0)
		return err_sys(e, E_MOUNT, errno, "looking at the device");
	if (S_ISBLK(st->st_mode) || (S_ISCHR(st->st_mode) && is_flash(type)))
		return 0;
	return err_set(e, E_MOUNT, ENOTBLK, "only a block device can be mounted");
}

/* a descriptor that only names it: some kernels do not mount what is open for writing */
static int name_only(int fd)
{
	char link[40];

	text_print(link, sizeof(link), "/proc/self/fd/%d", fd);
	return sys_openat(AT_FDCWD, link, O_PATH, 0);
}

static struct mount *find(const struct mounts *m, dev_t rdev)
{
	struct mount *at = m->last;

	while (at && at->rdev != rdev)
		at = at->before;
	return at;
}

static int make(struct mounts *m, struct mount **out, int fd, const char *path, struct err *e)
{
	struct mount *n = calloc(1, sizeof(*n));

	if (!n)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a mount");
	n->root = -1;
	n->all = m;
	n->device = name_only(fd);
	text_printable(path, strlen(path), n->path, sizeof(n->path));
	if (n->device < 0) {
		int rc = n->device;

		free(n);
		return err_sys(e, E_MOUNT, -rc, "naming the device by /proc/self/fd");
	}
	n->before = m->last;
	m->last = *out = n;
	return 0;
}

static int add(struct mounts *m, struct mount **out, int fd, const char *path, const char *type,
	       struct err *e)
{
	struct stat st;
	int rc = check_type(type, e);

	if (rc == 0)
		rc = check_device(fd, type, &st, e);
	if (rc < 0)
		return rc;
	*out = find(m, st.st_rdev);
	if (*out && strcmp((*out)->type, type) != 0)
		return err_set(e, E_MOUNT, EINVAL,
			       "one entry says its file system is %s, another one %s", (*out)->type,
			       type);
	if (*out)
		return 0;
	rc = make(m, out, fd, path, e);
	if (rc == 0) {
		(*out)->rdev = st.st_rdev;
		text_copy((*out)->type, sizeof((*out)->type), type);
	}
	return rc;
}

int mounts_add(struct mounts *m, struct mount **out, int *fd, const char *path, const char *type,
	       struct err *e)
{
	char shown[256];
	int rc;

	*out = NULL;
	rc = add(m, out, *fd, path, type, e);
	sys_close(fd);
	text_printable(path, strlen(path), shown, sizeof(shown));
	return err_at(e, rc, "%s", shown);
}

/* ---- mounting ---- */

static const char *reason(int error)
{
	switch (error) {
	case EINVAL:
		return "no valid file system of this type is on it";
	case ENODEV:
		return "the kernel does not know this file system";
	case EPERM:
	case EACCES:
		return "the kernel forbids it; only root may mount";
	case EBUSY:
		return "it is in use in another way, or already mounted read-only";
	case EROFS:
		return "the device is write-protected";
	default:
		return NULL;
	}
}

static int failed(const struct mount *m, int error, struct err *e)
{
	const char *why = reason(error);

	if (!why)
		return err_sys(e, E_MOUNT, error, "mounting it as %s", m->type);
	if (error == EINVAL)
		err_fix(e, "compare the attribute filesystem with what is on the device (blkid)");
	return err_set(e, E_MOUNT, error, "mounting it as %s: %s", m->type, why);
}

static int make_point(const struct mount *m, char *point, size_t n)
{
	uint8_t random[DIGITS / 2];
	char hex[DIGITS + 1];
	int rc = sys_random(random, sizeof(random));

	if (rc < 0)
		return rc;
	text_hex(random, sizeof(random), hex);
	rc = text_print(point, n, "%s/" PREFIX "%s", m->all->folder, hex);
	return rc < 0 ? rc : sys_mkdirat(AT_FDCWD, point, 0700);
}

static bool is_same(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

/*
 * The root of what was mounted there. An installer with another state directory, and so another
 * lock, may sweep this folder: what is opened then is the folder below.
 */
static int take_root(const char *point, int below)
{
	AUTO_CLOSE int fd = sys_openat(AT_FDCWD, point, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	int rc = sys_umount(point, MNT_DETACH | UMOUNT_NOFOLLOW), root = fd;

	if (fd < 0)
		return fd;
	if (is_same(fd, below))
		return -ENOENT;
	if (rc < 0 && rc != -EINVAL && rc != -ENOENT) /* swept behind us: it is out of the tree */
		return rc;
	fd = -1;
	return root;
}

/* the root stays open; the mount is gone from the tree */
static int mount_and_detach(struct mount *m, const char *point)
{
	AUTO_CLOSE int below = sys_openat(AT_FDCWD, point, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
	char source[40];
	int rc;

	if (below < 0)
		return below;
	text_print(source, sizeof(source), "/proc/self/fd/%d", m->device);
	rc = sys_mount(source, point, m->type, MS_NOSUID | MS_NODEV | MS_NOEXEC);
	return rc < 0 ? rc : take_root(point, below);
}

/* again where somebody removed the folder before anything was mounted on it */
static int mount_somewhere(struct mount *m, struct err *e)
{
	int root = -ENOENT;

	for (unsigned i = 0; root == -ENOENT && i < TRIES; i++) {
		char point[600];
		int rc = make_point(m, point, sizeof(point));

		if (rc < 0)
			return err_sys(e, E_MOUNT, -rc, "making a folder in '%s' to mount it in",
				       m->all->folder);
		root = mount_and_detach(m, point);
		sys_unlinkat(AT_FDCWD, point, AT_REMOVEDIR);
	}
	return root < 0 ? failed(m, -root, e) : root;
}

static int no_device(const struct mount *m, struct err *e)
{
	return err_set(e, E_MOUNT, ENOTBLK, "a file system %s does not lie on a device", m->type);
}

/* asked before and after: mounting may have loaded the module that the list did not know */
static int mount_root_of(struct mount *m, struct err *e)
{
	int root;

	if (needs_no_device(m->type))
		return no_device(m, e);
	root = mount_somewhere(m, e);
	if (root < 0 || !needs_no_device(m->type))
		return root;
	sys_close(&root);
	return no_device(m, e);
}

int mount_open(struct mount *m, struct err *e)
{
	int rc;

	if (m->root >= 0)
		return m->root;
	rc = mount_root_of(m, e);
	if (rc >= 0)
		m->root = rc;
	return err_at(e, rc, "%s", m->path);
}

int mount_root(const struct mount *m)
{
	return m->root;
}

int mount_device(const struct mount *m)
{
	return m->device;
}

int mounts_flush(struct mounts *m, struct err *e)
{
	for (struct mount *at = m ? m->last : NULL; at; at = at->before) {
		int rc = at->root < 0 ? 0 : sys_syncfs(at->root);

		if (rc < 0)
			return err_at(e,
				      err_sys(e, E_TARGET_FLUSH, -rc, "flushing its file system"),
				      "%s", at->path);
	}
	return 0;
}

struct mounts *mounts_free(struct mounts *m)
{
	while (m && m->last) {
		struct mount *at = m->last;

		m->last = at->before;
		sys_close(&at->root);
		sys_close(&at->device);
		free(at);
	}
	free(m);
	return NULL;
}

/* ---- what was left ---- */

static bool is_ours(const char *name)
{
	const char *hex = name + strlen(PREFIX);

	return strncmp(name, PREFIX, strlen(PREFIX)) == 0 && strlen(hex) == DIGITS &&
	       strspn(hex, "0123456789abcdef") == DIGITS;
}

/* EINVAL and EPERM: nothing is mounted there, or we could not have mounted it */
static int sweep_one(const char *point, struct err *e)
{
	int rc = sys_umount(point, MNT_DETACH | UMOUNT_NOFOLLOW);
	if (rc == 0 || rc == -EINVAL || rc == -EPERM)
		rc = sys_unlinkat(AT_FDCWD, point, AT_REMOVEDIR);
	if (rc == -ENOTEMPTY || rc == -EEXIST || rc == -ENOTDIR || rc == -EBUSY)
		return 1;
	if (rc < 0 && rc != -ENOENT)
		return err_sys(e, E_MOUNT, -rc, "removing '%s', left by an earlier run", point);
	return 0;
}

int mounts_sweep(const char *folder, void (*foreign)(void *arg, const char *path), void *arg,
		 struct err *e)
{
	DIR *d = folder ? opendir(folder) : NULL;
	const struct dirent *at;
	int rc = 0;

	while (d && rc >= 0 && (at = readdir(d))) {
		char point[600];

		if (!is_ours(at->d_name) ||
		    text_print(point, sizeof(point), "%s/%s", folder, at->d_name) < 0)
			continue;
		rc = sweep_one(point, e);
		if (rc > 0)
			foreign(arg, point);
	}
	if (d)
		closedir(d);
	return rc < 0 ? rc : 0;
}
