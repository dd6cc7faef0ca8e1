#include "core/inuse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "corelib/extent.h"
#include "corelib/sys.h"
#include "corelib/text.h"

#define LIST_MAX (8 * 1024 * 1024)

/* ---- folders of sysfs ---- */

static DIR *open_sysfs(const char *fmt, dev_t dev)
{
	char plain[128], path[512];

	if (text_print(plain, sizeof(plain), "/sys/dev/block/%u:%u%s", major(dev), minor(dev), fmt) < 0 ||
	    sys_path(plain, path, sizeof(path)) < 0)
		return NULL;
	return opendir(path);
}

static int parse_dev(const char *text, dev_t *dev)
{
	unsigned ma, mi;

	if (sscanf(text, "%u:%u", &ma, &mi) != 2)
		return -EPROTO;
	*dev = makedev(ma, mi);
	return 0;
}

/* the device of a folder below that of 'dev': "slaves/dm-0", "sda1" */
static int dev_below(dev_t dev, const char *folder, const char *name, dev_t *below)
{
	char file[320], line[32];
	int rc = text_print(file, sizeof(file), "%s%s/dev", folder, name);

	if (rc == 0)
		rc = extent_sysfs_line(dev, file, line, sizeof(line));
	return rc < 0 ? rc : parse_dev(line, below);
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
	DIR *dir = open_sysfs("", disk);
	struct dirent *d;
	int rc = 0;

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

/* ---- mounts ---- */

struct mount {
	dev_t dev;
	char *point, *source;
};

/* "\040" of the kernel's lists is a blank */
static void unescape(char *s)
{
	char *to = s;
	unsigned c;

	while (*s) {
		if (*s == '\\' && sscanf(s + 1, "%3o", &c) == 1 && strlen(s) > 3) {
			*to++ = (char)c;
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/* id parent MAJ:MIN root POINT options [tags] - type SOURCE super-options */
static bool parse_mount(char *line, struct mount *m)
{
	char *word[5], *tail = strstr(line, " - ");

	if (!tail)
		return false;
	for (size_t i = 0; i < 5; i++) {
		word[i] = strsep(&line, " ");
		if (!word[i])
			return false;
	}
	tail += 3;
	strsep(&tail, " ");
	m->source = tail ? strsep(&tail, " ") : NULL;
	m->point = word[4];
	if (!m->source || parse_dev(word[2], &m->dev) < 0)
		return false;
	unescape(m->point);
	unescape(m->source);
	return true;
}

/* a device name of a list, as the program sees it */
static bool stat_name(const char *name, struct stat *st)
{
	char path[512];

	return *name == '/' && sys_path(name, path, sizeof(path)) == 0 && stat(path, st) == 0;
}

/* btrfs and others show a number of their own: then the source tells */
static bool mount_is_of(const struct mount *m, dev_t dev)
{
	struct stat st;

	if (m->dev == dev)
		return true;
	return stat_name(m->source, &st) && S_ISBLK(st.st_mode) && st.st_rdev == dev;
}

/* next line of a list, copied; false at the end. The copy is freed by the caller. */
static bool next_line(const char **at, char **line)
{
	size_t len = strcspn(*at, "\n");

	*line = *at[0] ? strndup(*at, len) : NULL;
	*at += len + ((*at)[len] == '\n');
	return *line != NULL;
}

static bool is_mounted(const struct inuse *u, dev_t dev, char *why, size_t n)
{
	const char *at = u->mounts;
	bool found = false;
	char *line;

	while (!found && next_line(&at, &line)) {
		struct mount m;

		if (parse_mount(line, &m) && mount_is_of(&m, dev)) {
			char shown[128];

			text_printable(m.point, strlen(m.point), shown, sizeof(shown));
			snprintf(why, n, "is mounted on %s", shown);
			found = true;
		}
		free(line);
	}
	return found;
}

static bool is_swap(const struct inuse *u, const struct stat *want)
{
	const char *at = u->swaps;
	bool found = false;
	char *line;

	while (!found && next_line(&at, &line)) {
		struct stat st;

		line[strcspn(line, " \t")] = '\0';
		unescape(line);
		if (stat_name(line, &st))
			found = S_ISBLK(want->st_mode) ?
					S_ISBLK(st.st_mode) && st.st_rdev == want->st_rdev :
					st.st_dev == want->st_dev && st.st_ino == want->st_ino;
		free(line);
	}
	return found;
}

/* ---- the root device and what it is made of ---- */

static void add_root(struct inuse *u, dev_t dev)
{
	if (dev && u->root_count < INUSE_ROOTS && !inuse_is_root(u, dev))
		u->roots[u->root_count++] = dev;
}

static void find_root(struct inuse *u)
{
	const char *at = u->mounts;
	dev_t dev = 0, source = 0;
	char *line;

	while (next_line(&at, &line)) {
		struct mount m;
		struct stat st;

		if (parse_mount(line, &m) && strcmp(m.point, "/") == 0) { /* the last one covers */
			dev = m.dev;
			source = stat_name(m.source, &st) && S_ISBLK(st.st_mode) ? st.st_rdev : 0;
		}
		free(line);
	}
	if (major(dev))
		add_root(u, dev);
	add_root(u, source);
}

static void add_slaves(struct inuse *u, dev_t dev)
{
	DIR *dir = open_sysfs("/slaves", dev);
	struct dirent *d;
	dev_t below;

	while (dir && (d = readdir(dir)))
		if (d->d_name[0] != '.' && dev_below(dev, "slaves/", d->d_name, &below) == 0)
			add_root(u, below);
	if (dir)
		closedir(dir);
}

/* a loop device over another block device */
static void add_backing(struct inuse *u, dev_t dev)
{
	char path[512];
	struct stat st;

	if (extent_sysfs_line(dev, "loop/backing_file", path, sizeof(path)) == 0 &&
	    stat(path, &st) == 0 && S_ISBLK(st.st_mode))
		add_root(u, st.st_rdev);
}

static int read_list(const char *name, char **text, struct err *e)
{
	char path[512];
	int rc = sys_path(name, path, sizeof(path));

	if (rc == 0)
		rc = sys_read_file(AT_FDCWD, path, LIST_MAX, text, NULL);
	if (rc == -ENOENT) { /* a kernel without swap has no such list */
		*text = calloc(1, 1);
		rc = *text ? 0 : -ENOMEM;
	}
	return rc < 0 ? err_sys(e, E_SYS, -rc, "reading %s", name) : 0;
}

int inuse_read(struct inuse *u, struct err *e)
{
	*u = (struct inuse){ 0 };
	int rc = read_list("/proc/self/mountinfo", &u->mounts, e);
	if (rc == 0)
		rc = read_list("/proc/swaps", &u->swaps, e);
	if (rc < 0) {
		inuse_clear(u);
		return rc;
	}
	find_root(u);
	for (size_t i = 0; i < u->root_count; i++) { /* the list grows while it is walked */
		add_slaves(u, u->roots[i]);
		add_backing(u, u->roots[i]);
	}
	return 0;
}

void inuse_clear(struct inuse *u)
{
	free(u->mounts);
	free(u->swaps);
	*u = (struct inuse){ 0 };
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
	DIR *dir = open_sysfs("/holders", dev);
	struct dirent *d;
	bool found = false;

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
static bool is_claimed(dev_t dev)
{
	char name[64], plain[96], path[512];
	struct stat st;

	if (inuse_name(dev, name, sizeof(name)) < 0 ||
	    text_print(plain, sizeof(plain), "/dev/%s", name) < 0 ||
	    sys_path(plain, path, sizeof(path)) < 0 || stat(path, &st) < 0 || !S_ISBLK(st.st_mode) ||
	    st.st_rdev != dev)
		return false;
	AUTO_CLOSE int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC, 0);
	return fd == -EBUSY;
}

bool inuse_listed(const struct inuse *u, dev_t dev, char *why, size_t n)
{
	const struct stat st = { .st_mode = S_IFBLK, .st_rdev = dev };

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
	if (is_claimed(dev))
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
	struct search s = { u, why, n };

	return inuse_each_partition(disk, partition_in_use, &s) != 0;
}

static bool loop_uses(const struct inuse *u, const char *name, const struct stat *file, char *why,
		      size_t n)
{
	char plain[320], path[512], inner[160];
	AUTO_FREE char *text = NULL;
	struct stat st;
	dev_t dev;

	text_print(plain, sizeof(plain), "/sys/block/%s/dev", name);
	if (sys_path(plain, path, sizeof(path)) < 0 ||
	    sys_read_file(AT_FDCWD, path, 64, &text, NULL) < 0 || parse_dev(text, &dev) < 0 ||
	    extent_sysfs_line(dev, "loop/backing_file", path, sizeof(path)) < 0 ||
	    stat(path, &st) < 0 || st.st_dev != file->st_dev || st.st_ino != file->st_ino)
		return false;
	if (!inuse_device(u, dev, inner, sizeof(inner)) && !inuse_partitions(u, dev, inner, sizeof(inner)))
		return false;
	snprintf(why, n, "is behind %.32s, which %s", name, inner);
	return true;
}

bool inuse_file(const struct inuse *u, const struct stat *st, char *why, size_t n)
{
	char path[512];
	struct dirent *d;
	bool found = is_swap(u, st);

	if (found)
		snprintf(why, n, "is swap space");
	DIR *dir = sys_path("/sys/block", path, sizeof(path)) < 0 ? NULL : opendir(path);
	while (dir && !found && (d = readdir(dir)))
		found = strncmp(d->d_name, "loop", 4) == 0 && loop_uses(u, d->d_name, st, why, n);
	if (dir)
		closedir(dir);
	return found;
}
