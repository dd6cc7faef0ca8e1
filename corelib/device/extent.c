#include "corelib/device/extent.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <linux/major.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define SYSFS_LINE   512
#define SYSFS_SECTOR 512 /* 'start' and 'size' of sysfs count 512 bytes on every medium */
#ifndef MTD_CHAR_MAJOR
#define MTD_CHAR_MAJOR 90
#endif
#ifndef MTD_BLOCK_MAJOR
#define MTD_BLOCK_MAJOR 31
#endif
#define LOOPS_MAX 8 /* one over the other */

/* without an allocation: no memory must not look like "has none" */
int extent_sysfs_line(dev_t dev, const char *name, char *out, size_t n)
{
	char plain[384], path[SYSFS_LINE], text[SYSFS_LINE];
	AUTO_CLOSE int fd = -1;

	int rc = text_print(plain, sizeof(plain), "/sys/dev/block/%u:%u/%s", major(dev), minor(dev),
			    name);
	if (rc == 0)
		rc = sys_path(plain, path, sizeof(path));
	if (rc < 0)
		return rc;
	fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	ssize_t len = fd < 0 ? fd : sys_read(fd, text, sizeof(text) - 1);
	if (len < 0)
		return (int)len;
	while (len && (text[len - 1] == '\n' || text[len - 1] == ' '))
		len--;
	text[len] = '\0';
	return text_copy(out, n, text);
}

int extent_sysfs_u64(dev_t dev, const char *name, uint64_t *v)
{
	char line[32];
	int rc = extent_sysfs_line(dev, name, line, sizeof(line));

	return rc < 0 ? rc : text_u64(line, v);
}

static int extent_disk_of(dev_t dev, dev_t *disk)
{
	char line[32];
	uint64_t part;
	unsigned ma, mi;

	*disk = dev;
	if (extent_sysfs_u64(dev, "partition", &part) < 0)
		return 0;
	int rc = extent_sysfs_line(dev, "../dev", line, sizeof(line));
	if (rc < 0)
		return rc;
	/* NOLINTNEXTLINE(cert-err34-c): a number of the kernel fits */
	if (sscanf(line, "%u:%u", &ma, &mi) != 2)
		return -EPROTO;
	*disk = makedev(ma, mi);
	return 0;
}

static uint64_t add_cap(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return u64_add(a, b, &sum) ? UINT64_MAX : sum;
}

static void extent_shift(struct extent *x, uint64_t start)
{
	x->off = add_cap(x->off, start);
	if (x->end != UINT64_MAX)
		x->end = add_cap(x->end, start);
}

/* ---- loop devices ---- */

static dev_t kernel_dev(uint64_t d)
{
	return makedev((d >> 8) & 0xfff, (d & 0xff) | ((d >> 12) & 0xfff00));
}

static int open_loop(dev_t loop)
{
	char text[SYSFS_LINE], plain[SYSFS_LINE], path[SYSFS_LINE];
	int rc = extent_sysfs_line(loop, "uevent", text, sizeof(text));
	char *name = rc < 0 ? NULL : strstr(text, "DEVNAME=");

	if (!name || major(loop) != LOOP_MAJOR)
		return -ENOENT;
	name += strlen("DEVNAME=");
	name[strcspn(name, "\n")] = '\0';
	rc = text_print(plain, sizeof(plain), "/dev/%s", name);
	if (rc < 0)
		return rc;
	rc = sys_path(plain, path, sizeof(path));
	return rc < 0 ? rc : sys_openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0);
}

/* the kernel's own answer: a file without a name, or with a long one, is still that file */
static int ask_loop(dev_t loop, struct loop_back *b)
{
	AUTO_CLOSE int fd = open_loop(loop);
	struct loop_info64 info;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISBLK(st.st_mode) || st.st_rdev != loop ||
	    ioctl(fd, LOOP_GET_STATUS64, &info) < 0)
		return -ENOENT;
	/* kernels differ in what they say of a file here: nothing, or its device once more */
	b->is_block = info.lo_rdevice && info.lo_rdevice != info.lo_device;
	b->dev = kernel_dev(b->is_block ? info.lo_rdevice : info.lo_device);
	b->ino = b->is_block ? 0 : (ino_t)info.lo_inode;
	b->off = info.lo_offset;
	return 0;
}

int extent_loop_back(dev_t loop, struct loop_back *b)
{
	char path[SYSFS_LINE];
	struct stat st;

	*b = (struct loop_back){.is_block = false};
	if (ask_loop(loop, b) == 0)
		return 0;
	if (extent_sysfs_line(loop, "loop/backing_file", path, sizeof(path)) < 0 ||
	    stat(path, &st) < 0 || !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)))
		return -ENOENT;
	b->is_block = S_ISBLK(st.st_mode);
	b->dev = b->is_block ? st.st_rdev : st.st_dev;
	b->ino = b->is_block ? 0 : st.st_ino;
	extent_sysfs_u64(loop, "loop/offset", &b->off);
	return 0;
}

/* one step down: a loop device is a range of a file or of another device. 1, or 0 at the bottom */
static int extent_through_loop(struct extent *x)
{
	struct loop_back b;
	struct extent at = *x;
	uint64_t start;

	if (x->kind != EXTENT_DISK || extent_loop_back(x->dev, &b) < 0)
		return 0;
	extent_shift(&at, b.off);
	at.dev = b.dev;
	at.ino = b.ino;
	at.kind = b.is_block ? EXTENT_DISK : EXTENT_FILE;
	if (b.is_block && extent_disk_of(b.dev, &at.dev) == 0 && at.dev != b.dev) {
		if (extent_sysfs_u64(b.dev, "start", &start) < 0 ||
		    u64_mul(start, SYSFS_SECTOR, &start))
			return 0;
		extent_shift(&at, start);
	}
	*x = at;
	return 1;
}

static struct extent range(uint64_t off, uint64_t len)
{
	return (struct extent){.off = off, .end = len ? add_cap(off, len) : UINT64_MAX};
}

int extent_on_disk(dev_t dev, uint64_t off, uint64_t len, struct extent *x)
{
	uint64_t start, size;

	*x = range(off, len);
	x->kind = EXTENT_DISK;
	if (!len && extent_sysfs_u64(dev, "size", &size) == 0 &&
	    !u64_mul(size, SYSFS_SECTOR, &size))
		x->end = size;
	int rc = extent_disk_of(dev, &x->dev);
	if (rc < 0 || x->dev == dev)
		return rc;
	rc = extent_sysfs_u64(dev, "start", &start);
	if (rc < 0 || u64_mul(start, SYSFS_SECTOR, &start))
		return rc < 0 ? rc : -ERANGE;
	extent_shift(x, start);
	return 0;
}

int extent_of_device(dev_t dev, uint64_t off, uint64_t len, struct extent *x)
{
	int rc = extent_on_disk(dev, off, len, x);

	for (int i = 0; rc == 0 && i < LOOPS_MAX && extent_through_loop(x); i++)
		;
	return rc;
}

int extent_of(int fd, uint64_t off, uint64_t len, struct extent *x)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISBLK(st.st_mode))
		return extent_of_device(st.st_rdev, off, len, x);
	*x = range(off, len);
	if (S_ISREG(st.st_mode)) {
		if (!len && st.st_size > 0) /* an empty one may grow */
			x->end = (uint64_t)st.st_size;
		x->kind = EXTENT_FILE;
		x->dev = st.st_dev;
		x->ino = st.st_ino;
		return 0;
	}
	if (!S_ISCHR(st.st_mode))
		return -ENODEV;
	x->kind = EXTENT_CHAR;
	x->dev = st.st_rdev;
	if (major(st.st_rdev) == MTD_CHAR_MAJOR) { /* two minors each: writable and read only */
		x->kind = EXTENT_DISK;
		x->dev = makedev(MTD_BLOCK_MAJOR, minor(st.st_rdev) / 2);
	}
	return 0;
}

static bool same_storage(const struct extent *a, const struct extent *b)
{
	return a->kind == b->kind && a->dev == b->dev &&
	       (a->kind != EXTENT_FILE || a->ino == b->ino);
}

bool extent_overlaps(const struct extent *a, const struct extent *b)
{
	return same_storage(a, b) && a->off < b->end && b->off < a->end;
}

bool extent_contains(const struct extent *outer, const struct extent *inner)
{
	return same_storage(outer, inner) && outer->off <= inner->off && inner->end <= outer->end;
}
