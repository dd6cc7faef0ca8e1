/*
 * Opening what an entry names (T40): once, by a path that only root decides, and only what can be a
 * target.
 *
 * Links are normal (/dev/disk/by-partlabel), but whoever owns one chooses where it leads: it is
 * followed only when it is root's (or ours) and lies where nobody else can put another in its
 * place.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/session.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "corelib/files/beneath.h"

#define LINKS_MAX 40
#define MTD_MAJOR 90

struct walk {
	char done[PATH_MAX]; /* without links and without a slash at the end */
	char rest[PATH_MAX];
	unsigned links;
};

static bool is_trusted(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

static int refuse(struct err *e, const char *path, const char *why)
{
	char shown[256];

	text_printable(path, strlen(path), shown, sizeof(shown));
	return err_set(e, E_TARGET, EPERM, "'%s' %s", shown, why);
}

static int follow(struct walk *w, const char *link, const struct stat *st, struct err *e)
{
	char target[PATH_MAX], rest[PATH_MAX];

	if (!is_trusted(st->st_uid))
		return refuse(e, link, "is a link that does not belong to root");
	if (!sys_path_is_safe(*w->done ? w->done : "/"))
		return refuse(e, link, "is a link in a place where others can change it");
	ssize_t n = readlink(link, target, sizeof(target) - 1);
	if (n <= 0)
		return err_sys(e, E_TARGET, errno, "reading a link");
	target[n] = '\0';
	if (++w->links > LINKS_MAX || text_print(rest, sizeof(rest), "%s/%s", target, w->rest) < 0)
		return refuse(e, link, "is one link too many");
	if (*target == '/')
		w->done[0] = '\0';
	memcpy(w->rest, rest, strlen(rest) + 1);
	return 0;
}

static int step(struct walk *w, const char *part, struct err *e)
{
	char here[PATH_MAX];
	struct stat st;

	if (strcmp(part, ".") == 0)
		return 0;
	if (strcmp(part, "..") == 0) {
		char *slash = strrchr(w->done, '/');
		if (slash)
			*slash = '\0';
		return 0;
	}
	if (text_print(here, sizeof(here), "%s/%s", w->done, part) < 0)
		return refuse(e, part, "makes the path too long");
	if (lstat(here, &st) < 0)
		return err_sys(e, E_TARGET, errno, "looking for '%s'", here);
	if (S_ISLNK(st.st_mode))
		return follow(w, here, &st, e);
	memcpy(w->done, here, strlen(here) + 1);
	return 0;
}

/* w->done becomes the path without links */
static int resolve(struct walk *w, struct err *e)
{
	for (;;) {
		char part[NAME_MAX + 1], *p = w->rest + strspn(w->rest, "/");
		size_t len = strcspn(p, "/");

		if (!len)
			return 0;
		if (len >= sizeof(part))
			return refuse(e, w->rest, "has too long a name");
		memcpy(part, p, len);
		part[len] = '\0';
		memmove(w->rest, p + len, strlen(p + len) + 1);
		int rc = step(w, part, e);
		if (rc < 0)
			return rc;
	}
}

/* MTD has a fixed number; that of UBI is given when it starts: sysfs knows whose it is */
static bool is_flash(dev_t dev)
{
	char plain[64], path[512], target[256];

	if (major(dev) == MTD_MAJOR)
		return true;
	if (text_print(plain, sizeof(plain), "/sys/dev/char/%u:%u/subsystem", major(dev),
		       minor(dev)) < 0 ||
	    sys_path(plain, path, sizeof(path)) < 0)
		return false;
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	if (n <= 0)
		return false;
	target[n] = '\0';
	const char *name = strrchr(target, '/');
	return strcmp(name ? name + 1 : target, "ubi") == 0;
}

static int check_source(const struct stat *st, const char *path, struct err *e)
{
	if (S_ISREG(st->st_mode) || S_ISBLK(st->st_mode))
		return 0;
	return refuse(e, path, "is neither a file nor a block device");
}

static int check_kind(const struct stat *st, const char *path, struct err *e)
{
	if (S_ISCHR(st->st_mode) ? !is_flash(st->st_rdev)
				 : !S_ISBLK(st->st_mode) && !S_ISREG(st->st_mode))
		return refuse(e, path, "is neither a block device, a flash device nor a file");
	if (!is_trusted(st->st_uid))
		return refuse(e, path, "belongs neither to root nor to this user");
	if (st->st_mode & S_IWOTH)
		return refuse(e, path, "may be written by everybody");
	return 0;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_rdev == b->st_rdev &&
	       (a->st_mode & S_IFMT) == (b->st_mode & S_IFMT);
}

/* looked at before it is opened: to open a tape or a tty is already an act */
static int open_checked(const char *path, int how,
			int (*check)(const struct stat *st, const char *path, struct err *e),
			int *fd, struct err *e)
{
	/* its path was resolved: a link that was put in meanwhile is not followed */
	AUTO_CLOSE int root = sys_openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0), real = -1;
	AUTO_CLOSE int look = root < 0 ? root : beneath_open(root, path, O_PATH);
	struct stat st, again;

	if (look < 0 || fstat(look, &st) < 0)
		return err_sys(e, E_TARGET, look < 0 ? -look : errno, "opening '%s'", path);
	int rc = check(&st, path, e);
	if (rc < 0)
		return rc;
	real = beneath_open(root, path, how | O_NONBLOCK | O_NOCTTY);
	if (real < 0)
		return err_sys(e, E_TARGET, -real, "opening '%s' for %s", path,
			       how == O_RDWR ? "writing" : "reading");
	if (fstat(real, &again) < 0 || !same_file(&st, &again))
		return refuse(e, path, "was exchanged while it was opened");
	*fd = real;
	real = -1;
	return 0;
}

/* ---- the list of what may be written ---- */

static bool is_same_place(const char *path, int fd)
{
	char real[PATH_MAX];
	struct stat a, b;

	return sys_path(path, real, sizeof(real)) == 0 && stat(real, &a) == 0 &&
	       fstat(fd, &b) == 0 &&
	       (S_ISREG(b.st_mode)
			? same_file(&a, &b)
			: (a.st_mode & S_IFMT) == (b.st_mode & S_IFMT) && a.st_rdev == b.st_rdev);
}

/* slots need not be listed again */
static bool is_allowed(const struct settings *cfg, int fd)
{
	if (!cfg->targets.count)
		return true;
	for (size_t i = 0; i < cfg->targets.count; i++)
		if (is_same_place(cfg->targets.at[i], fd))
			return true;
	for (size_t i = 0; i < cfg->slot_count; i++)
		for (size_t k = 0; k < cfg->slots[i].place_count; k++)
			if (is_same_place(cfg->slots[i].places[k].path, fd))
				return true;
	return false;
}

static int find(struct walk *w, const char *path, struct err *e)
{
	if (*path != '/' || beneath_leads_up(path))
		return refuse(e, path, "is not an absolute path without '..'");
	if (sys_path(path, w->rest, sizeof(w->rest)) < 0)
		return refuse(e, path, "is too long a path");
	int rc = resolve(w, e);
	return rc == 0 && !*w->done ? refuse(e, path, "is a folder") : rc;
}

static int open_target(const struct session *s, const char *path, int *fd, struct err *e)
{
	struct walk w = {.links = 0};
	int rc = find(&w, path, e);
	if (rc == 0)
		rc = open_checked(w.done, session_writes(s) ? O_RDWR : O_RDONLY, check_kind, fd, e);
	if (rc < 0)
		return rc;
	if (is_allowed(s->cfg, *fd))
		return 0;
	sys_close(fd);
	return refuse(e, path, "is not in the list targets of the configuration");
}

int slots_open_target(const struct session *s, const char *path, int *fd, struct err *e)
{
	char shown[192];

	*fd = -1;
	int rc = open_target(s, path, fd, e);
	if (rc < 0) {
		text_printable(path, strlen(path), shown, sizeof(shown));
		err_at(e, rc, "%s", shown);
	}
	return rc;
}

int slots_open_source(const char *path, int *fd, struct err *e)
{
	struct walk w = {.links = 0};

	*fd = -1;
	int rc = find(&w, path, e);
	return rc < 0 ? rc : open_checked(w.done, O_RDONLY, check_source, fd, e);
}
