/*
 * What is mounted where: the kernel's list for this program, /proc/self/mountinfo.
 *
 * In the order of the kernel: of two lines with one mount point the later lies over the earlier.
 * What is mounted above our root directory (a chroot) is not in it.
 */
#ifndef CORELIB_MOUNTINFO_H
#define CORELIB_MOUNTINFO_H

#include <stddef.h>
#include <sys/types.h>

/* one mount; the strings belong to the list */
struct mountinfo {
	int id;	   /* as fdinfo of an open file names it */
	dev_t dev; /* btrfs and others show a number of their own: then only the source tells */
	const char *point, *source, *type;
	const char *point_text; /* as the kernel writes it: a blank is \040, no line ends */
};

struct mountinfo_list {
	char *text, *points;
	struct mountinfo *at;
	size_t count;
	size_t unread; /* lines that no kernel writes: left out */
};

/* -errno */
int mountinfo_read(struct mountinfo_list *l);
void mountinfo_clear(struct mountinfo_list *l);

/* lists of the kernel write a blank as \040: taken back in place */
void mountinfo_unescape(char *s);
/* "MAJOR:MINOR" at the beginning of a text; -EPROTO */
int mountinfo_dev(const char *text, dev_t *dev);

#endif
