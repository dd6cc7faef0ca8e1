/*
 * Which file system something lies on, in words that mean the same after a reboot.
 *
 * Numbers and names of devices change from boot to boot. What stays is an id on the medium, where
 * the file system has one and the kernel tells it; and where it is mounted, unless that is above
 * our root directory (a chroot). All empty: not known, or nothing of it survives a reboot (memory).
 */
#ifndef CORELIB_FSMARK_H
#define CORELIB_FSMARK_H

#include <stdbool.h>

struct fsmark {
	char point[512]; /* as /proc/self/mountinfo writes it: no blanks, no line ends */
	char type[64], id[48];
};

/* of an open file or folder; -errno */
int fsmark_of(int fd, struct fsmark *m);
bool fsmark_is_known(const struct fsmark *m);
/* by the id where both have one, else by mount point and type; true where nothing was noted */
bool fsmark_same(const struct fsmark *noted, const struct fsmark *now);

#endif
