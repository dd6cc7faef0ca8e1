/* Loop devices by ioctl. */
#include "tests/unit/kit/loopdev.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/blkpg.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *why(const char *what)
{
	static char text[128]; /* of the last failure, for a SKIP line */

	snprintf(text, sizeof(text), "%s: %s", what, strerror(errno));
	return text;
}

static const char *configure(struct loopdev *l, int back, unsigned sector, bool direct)
{
	struct loop_config c = {.fd = (uint32_t)back, .block_size = sector};

	/* gone with the last descriptor of it, also when the test dies */
	c.info.lo_flags =
		LO_FLAGS_PARTSCAN | LO_FLAGS_AUTOCLEAR | (direct ? LO_FLAGS_DIRECT_IO : 0);
	return ioctl(l->fd, LOOP_CONFIGURE, &c) < 0 ? why("loop device cannot be set up") : NULL;
}

/* another program may take the free one first: then the next */
static const char *take_free(struct loopdev *l, int back, unsigned sector, bool direct)
{
	const char *rc = "no loop device is free";
	int ctl = open("/dev/loop-control", O_RDWR | O_CLOEXEC);

	if (ctl < 0)
		return why("/dev/loop-control");
	for (unsigned i = 0; i < 8 && rc; i++) {
		int n = ioctl(ctl, LOOP_CTL_GET_FREE);

		snprintf(l->path, sizeof(l->path), "/dev/loop%d", n);
		l->fd = n < 0 ? -1 : open(l->path, O_RDWR | O_CLOEXEC);
		rc = l->fd < 0 ? why(l->path) : configure(l, back, sector, direct);
		if (rc && l->fd >= 0)
			close(l->fd);
	}
	close(ctl);
	return rc;
}

const char *loopdev_attach(struct loopdev *l, const char *file, unsigned sector, bool direct)
{
	const char *rc;
	int back;

	memset(l, 0, sizeof(*l));
	l->fd = -1;
	back = open(file, O_RDWR | O_CLOEXEC);
	if (back < 0)
		return why(file);
	rc = take_free(l, back, sector, direct);
	close(back);
	if (rc)
		l->fd = -1;
	return rc;
}

static int blkpg(struct loopdev *l, int op, uint64_t start, uint64_t len)
{
	struct blkpg_partition p = {.start = (long long)start, .length = (long long)len, .pno = 1};
	struct blkpg_ioctl_arg a = {.op = op, .datalen = sizeof(p), .data = &p};

	return ioctl(l->fd, BLKPG, &a);
}

const char *loopdev_partition(struct loopdev *l, uint64_t start, uint64_t len)
{
	if (blkpg(l, BLKPG_ADD_PARTITION, start, len) < 0)
		return why("partition cannot be added");
	snprintf(l->part, sizeof(l->part), "%sp1", l->path);
	for (unsigned i = 0; i < 100 && access(l->part, F_OK) < 0; i++)
		usleep(10000);
	return access(l->part, F_OK) < 0 ? why(l->part) : NULL;
}

void loopdev_detach(struct loopdev *l)
{
	if (l->fd < 0)
		return;
	if (l->part[0])
		blkpg(l, BLKPG_DEL_PARTITION, 0, 0);
	ioctl(l->fd, LOOP_CLR_FD, 0);
	close(l->fd);
	l->fd = -1;
}
