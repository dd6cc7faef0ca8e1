/*
 * Flash that is in use: character devices have no holders and no exclusive open.
 *
 * An MTD is used by a mount (jffs2, mtdblock) or by UBI that is attached to it, a UBI volume by a
 * mount (ubifs, or a block device over it). The kernel takes many names of both for a mount, and
 * shows the one that was used.
 */
#include "core/plan/inuse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define MTD_CHAR  90
#define MTD_BLOCK 31

/* a line of sysfs, without its end */
static int read_line(const char *name, char *line, size_t n)
{
	char path[512];
	int rc = sys_path(name, path, sizeof(path));
	AUTO_CLOSE int fd = rc < 0 ? rc : sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	ssize_t len = fd < 0 ? fd : sys_read(fd, line, n - 1);

	line[len > 0 ? len : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return len < 0 ? (int)len : 0;
}

static bool is_mounted_as(const struct inuse *u, dev_t block, const char *const *names, size_t n,
			  char *why, size_t room)
{
	for (size_t i = 0; i < u->mounts.count; i++) {
		const struct mountinfo *m = &u->mounts.at[i];
		const char *source = m->source;
		bool found = block && m->dev == block;

		if (strncmp(source, "/dev/", 5) == 0)
			source += 5;
		for (size_t k = 0; !found && k < n; k++)
			found = strcmp(source, names[k]) == 0;
		if (!found)
			continue;
		inuse_say_mounted(m, why, room);
		return true;
	}
	return false;
}

/* "ubi0" of the UBI that is made of this MTD */
static bool is_attached(unsigned mtd, char *why, size_t n)
{
	char path[512], file[320], line[32];
	const struct dirent *d;
	bool found = false;
	uint64_t number;

	if (sys_path("/sys/class/ubi", path, sizeof(path)) < 0)
		return false;
	DIR *dir = opendir(path);
	while (dir && !found && (d = readdir(dir))) {
		found = text_print(file, sizeof(file), "/sys/class/ubi/%s/mtd_num", d->d_name) ==
				0 &&
			read_line(file, line, sizeof(line)) == 0 && text_u64(line, &number) == 0 &&
			number == mtd;
		if (found)
			snprintf(why, n, "is attached as %.32s", d->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

static bool mtd_in_use(const struct inuse *u, dev_t dev, char *why, size_t n)
{
	const unsigned mtd = minor(dev) / 2; /* the odd ones are for reading only */
	char plain[64], name[128] = "", number[24], block[24], by_name[136], by_name2[136];
	const char *const names[] = {number, block, by_name, by_name2};

	text_print(plain, sizeof(plain), "/sys/class/mtd/mtd%u/name", mtd);
	read_line(plain, name, sizeof(name));
	text_print(number, sizeof(number), "mtd%u", mtd);
	text_print(block, sizeof(block), "mtdblock%u", mtd);
	text_print(by_name, sizeof(by_name), "mtd:%s", name);
	text_print(by_name2, sizeof(by_name2), "mtd!%s", name);
	return is_mounted_as(u, makedev(MTD_BLOCK, mtd), names, *name ? 4 : 2, why, n) ||
	       is_attached(mtd, why, n);
}

/* ubiblock0_1: a block device over a volume */
static bool block_in_use(const struct inuse *u, unsigned ubi, unsigned volume, char *why, size_t n)
{
	char plain[64], line[32], inner[160];
	dev_t dev;

	text_print(plain, sizeof(plain), "/sys/block/ubiblock%u_%u/dev", ubi, volume);
	if (read_line(plain, line, sizeof(line)) < 0 || mountinfo_dev(line, &dev) < 0 ||
	    !inuse_device(u, dev, inner, sizeof(inner)))
		return false;
	snprintf(why, n, "is behind ubiblock%u_%u, which %s", ubi, volume, inner);
	return true;
}

static bool volume_in_use(const struct inuse *u, unsigned ubi, unsigned volume, const char *name,
			  char *why, size_t n)
{
	char form[5][160];
	const char *names[5];
	size_t count = 0;

	text_print(form[count++], sizeof(form[0]), "ubi%u_%u", ubi, volume);
	if (*name) {
		text_print(form[count++], sizeof(form[0]), "ubi%u:%s", ubi, name);
		text_print(form[count++], sizeof(form[0]), "ubi%u!%s", ubi, name);
	}
	if (*name && ubi == 0) { /* the first one needs no number */
		text_print(form[count++], sizeof(form[0]), "ubi:%s", name);
		text_print(form[count++], sizeof(form[0]), "ubi!%s", name);
	}
	for (size_t i = 0; i < count; i++)
		names[i] = form[i];
	if (is_mounted_as(u, 0, names, count, why, n))
		return true;
	if (ubi == 0) { /* "ubi3" is volume 3 of the first UBI */
		text_print(form[0], sizeof(form[0]), "ubi%u", volume);
		if (is_mounted_as(u, 0, names, 1, why, n))
			return true;
	}
	return block_in_use(u, ubi, volume, why, n);
}

bool inuse_flash(const struct inuse *u, dev_t dev, char *why, size_t n)
{
	char plain[96], line[512], name[140] = "";
	unsigned ubi, volume;
	const char *at;

	if (major(dev) == MTD_CHAR)
		return mtd_in_use(u, dev, why, n);
	text_print(plain, sizeof(plain), "/sys/dev/char/%u:%u/uevent", major(dev), minor(dev));
	AUTO_FREE char *text = NULL;
	if (sys_path(plain, line, sizeof(line)) < 0 ||
	    sys_read_file(AT_FDCWD, line, 4096, &text, NULL) < 0)
		return false;
	at = strstr(text, "DEVNAME=ubi");
	if (!at || sscanf(at, "DEVNAME=ubi%u_%u", &ubi, &volume) != 2)
		return false;
	text_print(plain, sizeof(plain), "/sys/dev/char/%u:%u/name", major(dev), minor(dev));
	read_line(plain, name, sizeof(name));
	return volume_in_use(u, ubi, volume, name, why, n);
}
