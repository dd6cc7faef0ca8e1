#include "core/plan/inuse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "corelib/device/extent.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define LIST_MAX (8 * 1024 * 1024)
/* loop devices and swap space of others come without a word: what is older is looked at again */
#define AGE_MS 10

/* ---- folders of sysfs ---- */

/* 0 and NULL where there is no such folder; every other failure is one: it must not look like
 * "none" */
static int open_sysfs(const char *below, dev_t dev, DIR **dir)
{
	char plain[128], path[512];

	*dir = NULL;
	int rc = text_print(plain, sizeof(plain), "/sys/dev/block/%u:%u%s", major(dev), minor(dev),
			    below);
	if (rc == 0)
		rc = sys_path(plain, path, sizeof(path));
	if (rc < 0)
		return rc;
	*dir = opendir(path);
	return *dir || errno == ENOENT ? 0 : -errno;
}

/* the device of a folder below that of 'dev': "slaves/dm-0", "sda1" */
static int dev_below(dev_t dev, const char *folder, const char *name, dev_t *below)
{
	char file[320], line[32];
	int rc = text_print(file, sizeof(file), "%s%s/dev", folder, name);

	if (rc == 0)
		rc = extent_sysfs_line(dev, file, line, sizeof(line));
	return rc < 0 ? rc : mountinfo_dev(line, below);
}

int inuse_name(dev_t dev, char *name, size_t n)
{
	char text[512];
	int rc = extent_sysfs_line(dev, "uevent", text, sizeof(text));
	char *at = rc < 0 ? NULL : strstr(text, "DEVNAME=");

	if (!at)
		return -ENOENT;
	at += strlen("DEVNAME=");
	at[strcspn(at, "\n")] = '\0';
	return text_copy(name, n, at);
}

int inuse_each_partition(dev_t disk, int (*f)(dev_t part, void *arg), void *arg)
{
	struct dirent *d;
	DIR *dir;
	int rc = open_sysfs("", disk, &dir);

	while (dir && rc == 0 && (d = readdir(dir))) {
		char file[300];
		uint64_t number;
		dev_t part;

		if (d->d_name[0] == '.' ||
		    text_print(file, sizeof(file), "%s/partition", d->d_name) < 0 ||
		    extent_sysfs_u64(disk, file, &number) < 0 ||
		    dev_below(disk, "", d->d_name, &part) < 0)
			continue;
		rc = f(part, arg);
	}
	if (dir)
		closedir(dir);
	return rc;
}

/* ---- lists of the kernel ---- */

static int read_text(const char *name, char **text)
{
	char path[512];
	int rc = sys_path(name, path, sizeof(path));

	if (rc == 0)
		rc = sys_read_file(AT_FDCWD, path, LIST_MAX, text, NULL);
	if (rc != -ENOENT)
		return rc;
	*text = calloc(1, 1); /* a kernel without swap has no such list */
	return *text ? 0 : -ENOMEM;
}

static int read_swaps(struct inuse_swaps *l)
{
	size_t lines = 1;
	int rc = read_text("/proc/swaps", &l->text);

	if (rc < 0)
		return rc;
	for (const char *p = l->text; *p; p++)
		lines += *p == '\n';
	l->at = calloc(lines, sizeof(*l->at));
	if (!l->at)
		return -ENOMEM;
	for (char *rest = l->text; rest;) {
		char *line = strsep(&rest, "\n");

		line[strcspn(line, " \t")] = '\0';
		mountinfo_unescape(line);
		if (*line == '/') /* not the headline */
			l->at[l->count++] = line;
	}
	return 0;
}

/* a device name of a list, as the program sees it */
static bool stat_name(const char *name, struct stat *st)
{
	static const char self[] = "/proc/self/";
	char path[512];

	if (strncmp(name, self, strlen(self)) == 0) /* of who mounted it: another file here */
		return false;
	return *name == '/' && sys_path(name, path, sizeof(path)) == 0 && stat(path, st) == 0;
}

static dev_t source_dev(const struct mountinfo *m)
{
	struct stat st;

	return stat_name(m->source, &st) && S_ISBLK(st.st_mode) ? st.st_rdev : 0;
}

void inuse_say_mounted(const struct mountinfo *m, char *why, size_t n)
{
	char shown[128];

	text_printable(m->point, strlen(m->point), shown, sizeof(shown));
	snprintf(why, n, "is mounted on %s", shown);
}

/* of this job, for code that runs beside it */
static bool is_aside(const struct inuse *u, const struct mountinfo *m)
{
	size_t n = u->aside ? strlen(u->aside) : 0;

	return n && strncmp(m->point, u->aside, n) == 0 && m->point[n] == '/';
}

/* btrfs and others show a number of their own: then the source tells */
static bool is_mount_of(const struct mountinfo *m, dev_t dev)
{
	return m->dev == dev || source_dev(m) == dev;
}

static bool is_mounted(const struct inuse *u, dev_t dev, char *why, size_t n)
{
	for (size_t i = 0; i < u->mounts.count; i++) {
		const struct mountinfo *m = &u->mounts.at[i];

		if (!is_mount_of(m, dev) || is_aside(u, m))
			continue;
		inuse_say_mounted(m, why, n);
		return true;
	}
	return false;
}

/* erofs mounts a plain file without a loop device: it is the source of the mount */
static bool is_mounted_file(const struct inuse *u, const struct stat *want, char *why, size_t n)
{
	for (size_t i = 0; i < u->mounts.count; i++) {
		const struct mountinfo *m = &u->mounts.at[i];
		struct stat st;

		if (!stat_name(m->source, &st) || !S_ISREG(st.st_mode) ||
		    st.st_dev != want->st_dev || st.st_ino != want->st_ino || is_aside(u, m))
			continue;
		inuse_say_mounted(m, why, n);
		return true;
	}
	return false;
}

static bool is_swap(const struct inuse *u, const struct stat *want)
{
	for (size_t i = 0; i < u->swaps.count; i++) {
		struct stat st;

		if (!stat_name(u->swaps.at[i], &st))
			continue;
		if (S_ISBLK(want->st_mode) ? S_ISBLK(st.st_mode) && st.st_rdev == want->st_rdev
					   : st.st_dev == want->st_dev && st.st_ino == want->st_ino)
			return true;
	}
	return false;
}

/* ---- the root device and what it is made of ---- */

static void add_root(struct inuse *u, dev_t dev)
{
	if (dev && u->root_count < INUSE_ROOTS && !inuse_is_root(u, dev))
		u->roots[u->root_count++] = dev;
}

/* the last one covers those before */
static void find_root(struct inuse *u)
{
	const struct mountinfo *root = NULL;

	for (size_t i = 0; i < u->mounts.count; i++)
		if (strcmp(u->mounts.at[i].point, "/") == 0)
			root = &u->mounts.at[i];
	if (!root)
		return;
	if (major(root->dev))
		add_root(u, root->dev);
	add_root(u, source_dev(root));
}

static int add_slaves(struct inuse *u, dev_t dev)
{
	struct dirent *d;
	dev_t below;
	DIR *dir;
	int rc = open_sysfs("/slaves", dev, &dir);

	while (dir && (d = readdir(dir)))
		if (d->d_name[0] != '.' && dev_below(dev, "slaves/", d->d_name, &below) == 0)
			add_root(u, below);
	if (dir)
		closedir(dir);
	return rc;
}

/* a loop device over another block device */
static void add_backing(struct inuse *u, dev_t dev)
{
	struct loop_back b;

	if (extent_loop_back(dev, &b) == 0 && b.is_block)
		add_root(u, b.dev);
}

/* ---- loop devices ---- */

static int loop_dev(const char *name, dev_t *dev)
{
	char plain[320], path[512], text[32] = "";

	int rc = text_print(plain, sizeof(plain), "/sys/block/%s/dev", name);
	if (rc == 0)
		rc = sys_path(plain, path, sizeof(path));
	AUTO_CLOSE int fd = rc < 0 ? rc : sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	rc = (int)sys_read(fd, text, sizeof(text) - 1);
	return rc < 0 ? rc : mountinfo_dev(text, dev);
}

static int add_loop(struct inuse *u, const char *name)
{
	struct inuse_loop l = {.dev = 0}, *more;

	if (strncmp(name, "loop", 4) != 0 || text_copy(l.name, sizeof(l.name), name) < 0 ||
	    loop_dev(name, &l.dev) < 0 || extent_of_device(l.dev, 0, 0, &l.x) < 0)
		return 0;
	more = reallocarray(u->loops, u->loop_count + 1, sizeof(l));
	if (!more)
		return -ENOMEM;
	u->loops = more;
	u->loops[u->loop_count++] = l;
	return 0;
}

static int read_loops(struct inuse *u)
{
	char path[512];
	struct dirent *d;
	int rc = sys_path("/sys/block", path, sizeof(path));
	DIR *dir = rc < 0 ? NULL : opendir(path);

	if (!dir)
		return rc < 0 ? rc : errno == ENOENT ? 0 : -errno;
	while (rc == 0 && (d = readdir(dir)))
		rc = add_loop(u, d->d_name);
	closedir(dir);
	return rc;
}

static int open_list(const char *name)
{
	char path[512];
	int rc = sys_path(name, path, sizeof(path));

	return rc < 0 ? rc : sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
}

int inuse_read(struct inuse *u, struct err *e)
{
	*u = (struct inuse){.read_at = sys_now_ms()};
	/* before they are read: what changes meanwhile shows */
	u->watch[0] = open_list("/proc/self/mountinfo");
	u->watch[1] = open_list("/proc/swaps");
	int rc = mountinfo_read(&u->mounts);
	if (rc == 0)
		rc = read_swaps(&u->swaps);
	if (rc < 0) {
		inuse_clear(u);
		return err_sys(e, rc == -ENOMEM ? E_MEMORY : E_SYS, -rc,
			       "reading the lists of mounts and swap space");
	}
	find_root(u);
	for (size_t i = 0; rc == 0 && i < u->root_count;
	     i++) { /* the list grows while it is walked */
		rc = add_slaves(u, u->roots[i]);
		add_backing(u, u->roots[i]);
	}
	if (rc < 0) {
		inuse_clear(u);
		return err_sys(e, E_SYS, -rc, "finding out what the root device is made of");
	}
	u->loops_rc = read_loops(u);
	return 0;
}

void inuse_clear(struct inuse *u)
{
	mountinfo_clear(&u->mounts);
	free(u->swaps.text);
	free(u->swaps.at);
	free(u->loops);
	sys_close(&u->watch[0]);
	sys_close(&u->watch[1]);
	*u = (struct inuse){.watch = {-1, -1}};
}

static bool is_stale(const struct inuse *u)
{
	struct pollfd p[2] = {{.fd = u->watch[0], .events = POLLPRI},
			      {.fd = u->watch[1], .events = POLLPRI}};

	return poll(p, 2, 0) != 0 || sys_now_ms() - u->read_at >= AGE_MS;
}

static bool same_loop(const struct inuse_loop *a, const struct inuse_loop *b)
{
	return a->dev == b->dev && a->x.kind == b->x.kind && a->x.dev == b->x.dev &&
	       a->x.ino == b->x.ino && a->x.off == b->x.off && a->x.end == b->x.end;
}

static bool is_same(const struct inuse *a, const struct inuse *b)
{
	if (a->mounts.count != b->mounts.count || a->swaps.count != b->swaps.count ||
	    a->root_count != b->root_count || a->loop_count != b->loop_count ||
	    a->loops_rc != b->loops_rc)
		return false;
	for (size_t i = 0; i < a->mounts.count; i++)
		if (a->mounts.at[i].id != b->mounts.at[i].id ||
		    a->mounts.at[i].dev != b->mounts.at[i].dev ||
		    strcmp(a->mounts.at[i].source, b->mounts.at[i].source) != 0)
			return false;
	for (size_t i = 0; i < a->swaps.count; i++)
		if (strcmp(a->swaps.at[i], b->swaps.at[i]) != 0)
			return false;
	for (size_t i = 0; i < a->loop_count; i++)
		if (!same_loop(&a->loops[i], &b->loops[i]))
			return false;
	return memcmp(a->roots, b->roots, a->root_count * sizeof(*a->roots)) == 0;
}

int inuse_renew(struct inuse *u, struct err *e)
{
	struct inuse now;
	bool changed;

	if (!is_stale(u))
		return 0;
	int rc = inuse_read(&now, e);
	if (rc < 0)
		return rc;
	changed = !is_same(u, &now);
	inuse_clear(u);
	*u = now;
	return changed;
}

bool inuse_is_root(const struct inuse *u, dev_t dev)
{
	for (size_t i = 0; i < u->root_count; i++)
		if (u->roots[i] == dev)
			return true;
	return false;
}

/* ---- verdicts ---- */

static bool has_holder(dev_t dev, char *why, size_t n)
{
	struct dirent *d;
	DIR *dir;
	bool found = open_sysfs("/holders", dev, &dir) < 0;

	if (found)
		snprintf(why, n, "cannot be looked at (%s)", strerror(errno));

	while (dir && !found && (d = readdir(dir))) {
		if (d->d_name[0] == '.')
			continue;
		snprintf(why, n, "is part of %.64s", d->d_name);
		found = true;
	}
	if (dir)
		closedir(dir);
	return found;
}

/* for those whose mounts no list of ours shows: another mount namespace, or another program */
static bool is_claimed(const struct inuse *u, dev_t dev)
{
	char name[64], plain[96], path[512];
	struct stat st;

	for (size_t i = 0; u->aside && i < u->mounts.count; i++)
		if (is_aside(u, &u->mounts.at[i]) && is_mount_of(&u->mounts.at[i], dev))
			return false; /* by that mount */

	if (inuse_name(dev, name, sizeof(name)) < 0 ||
	    text_print(plain, sizeof(plain), "/dev/%s", name) < 0 ||
	    sys_path(plain, path, sizeof(path)) < 0 || stat(path, &st) < 0 ||
	    !S_ISBLK(st.st_mode) || st.st_rdev != dev)
		return false;
	AUTO_CLOSE int fd =
		sys_openat(AT_FDCWD, path, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC, 0);
	return fd == -EBUSY;
}

bool inuse_listed(const struct inuse *u, dev_t dev, char *why, size_t n)
{
	const struct stat st = {.st_mode = S_IFBLK, .st_rdev = dev};

	if (is_mounted(u, dev, why, n) || has_holder(dev, why, n))
		return true;
	if (inuse_is_root(u, dev))
		snprintf(why, n, "holds the running root file system");
	else if (is_swap(u, &st))
		snprintf(why, n, "is swap space");
	else
		return false;
	return true;
}

bool inuse_device(const struct inuse *u, dev_t dev, char *why, size_t n)
{
	if (inuse_listed(u, dev, why, n))
		return true;
	if (is_claimed(u, dev))
		snprintf(why, n, "is held by another program");
	else
		return false;
	return true;
}

struct search {
	const struct inuse *u;
	char *why;
	size_t n;
};

static int partition_in_use(dev_t part, void *arg)
{
	const struct search *s = arg;

	return inuse_device(s->u, part, s->why, s->n);
}

bool inuse_partitions(const struct inuse *u, dev_t disk, char *why, size_t n)
{
	struct search s = {u, why, n};

	return inuse_each_partition(disk, partition_in_use, &s) != 0;
}

/* the bytes asked about, by what is below the loop device that shows them (0: by no such device) */
struct shown {
	struct extent x;
	dev_t through;
};

static bool loop_uses(const struct inuse *u, const struct inuse_loop *l, const struct shown *s,
		      char *why, size_t n)
{
	char inner[160];

	if (l->dev == s->through || !extent_overlaps(&l->x, &s->x))
		return false;
	if (!inuse_device(u, l->dev, inner, sizeof(inner)) &&
	    !inuse_partitions(u, l->dev, inner, sizeof(inner)))
		return false;
	snprintf(why, n, "is behind %s, which %s", l->name, inner);
	return true;
}

static bool any_loop_uses(const struct inuse *u, const struct shown *s, char *why, size_t n)
{
	if (u->loops_rc < 0) {
		snprintf(why, n, "cannot be looked at (%s)", strerror(-u->loops_rc));
		return true;
	}
	for (size_t i = 0; i < u->loop_count; i++)
		if (loop_uses(u, &u->loops[i], s, why, n))
			return true;
	return false;
}

bool inuse_file(const struct inuse *u, const struct stat *st, char *why, size_t n)
{
	const struct shown all = {.x = {.kind = EXTENT_FILE,
					.dev = st->st_dev,
					.ino = st->st_ino,
					.end = UINT64_MAX}};

	if (is_swap(u, st)) {
		snprintf(why, n, "is swap space");
		return true;
	}
	if (is_mounted_file(u, st, why, n))
		return true;
	return any_loop_uses(u, &all, why, n);
}

bool inuse_backing(const struct inuse *u, dev_t loop, const struct extent *x, char *why, size_t n)
{
	const struct shown s = {.x = *x, .through = loop};
	struct loop_back b;
	char inner[160];

	if (extent_loop_back(loop, &b) < 0)
		return false;
	if (any_loop_uses(u, &s, why, n))
		return true;
	if (!b.is_block || !inuse_device(u, b.dev, inner, sizeof(inner)))
		return false;
	snprintf(why, n, "lies on a device that %s", inner);
	return true;
}
