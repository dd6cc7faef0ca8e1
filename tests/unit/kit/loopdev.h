/* Loop devices for tests, made by ioctl. Nothing here asserts; what is not possible says why. */
#ifndef TESTS_UNIT_LOOPDEV_H
#define TESTS_UNIT_LOOPDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loopdev {
	char path[32]; /* "/dev/loop3" */
	char part[48]; /* "/dev/loop3p1", after loopdev_partition() */
	int fd;
};

/* NULL, or the reason why there is no such device; the backing file is the caller's */
const char *loopdev_attach(struct loopdev *l, const char *file, unsigned sector, bool direct);
/* partition 1 from 'start' on, as partx does it */
const char *loopdev_partition(struct loopdev *l, uint64_t start, uint64_t len);
void loopdev_detach(struct loopdev *l);

#endif
