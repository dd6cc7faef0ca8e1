/* A partition table on its way to the disk, and what the kernel is told of it. */
#include "corelib/device/parttable.h"

#include <errno.h>
#include <linux/blkpg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

enum { SECTOR_MAX = 4096 };

/* the order of writing: a cut between two of them leaves a table that is whole */
enum turn { TURN_BACKUP, TURN_TABLE, TURN_RECORD, TURN_REST, TURNS };

static int read_sector(const struct parttable *t, uint8_t *buf, uint64_t off)
{
	memset(buf, 0, t->sector);
	return sys_pread(t->shadow, buf, t->sector, off) < 0 ? -1 : 0;
}

static bool is_zero(const uint8_t *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

static enum turn turn_of(const struct parttable *t, uint64_t off, const uint8_t *bytes)
{
	if (off == 0)
		return TURN_RECORD;
	if (t->kind == PARTTABLE_GPT)
		return off >= t->usable_end ? TURN_BACKUP : TURN_TABLE;
	/* what marked the GPT before goes when sector 0 no longer leads to it */
	return is_zero(bytes, t->sector) ? TURN_REST : TURN_TABLE;
}

struct writing {
	struct blkdev *d;
	const struct parttable *new, *old;
	enum turn turn;
	bool wrote;
	uint8_t *buf; /* aligned for the device */
};

static int write_sector(struct writing *w, uint64_t off, struct err *e)
{
	const struct parttable *t = w->new;
	uint8_t was[SECTOR_MAX];

	if (read_sector(t, w->buf, off) < 0 || read_sector(w->old, was, off) < 0)
		return err_set(e, E_SYS, EIO, "reading a partition table from memory");
	if (memcmp(w->buf, was, t->sector) == 0 || turn_of(t, off, w->buf) != w->turn)
		return 0;
	w->wrote = true;
	if (w->d->ops->pwrite_any)
		return w->d->ops->pwrite_any(w->d, w->buf, t->sector, off, e);
	return w->d->ops->pwrite(w->d, w->buf, t->sector, off, e);
}

/* all sectors that either shadow has; what lies between is a hole in both */
static int write_turn(struct writing *w, struct err *e)
{
	off_t at = 0, end;
	int rc = 0;

	while (rc == 0 && (at = lseek(w->new->shadow, at, SEEK_DATA)) >= 0) {
		end = lseek(w->new->shadow, at, SEEK_HOLE);
		at = at / (off_t)w->new->sector *(off_t)w->new->sector;
		for (; rc == 0 && at < end; at += (off_t)w->new->sector)
			rc = write_sector(w, (uint64_t)at, e);
	}
	if (rc == 0 && w->wrote)
		rc = blkdev_flush(w->d, e);
	w->wrote = false;
	return rc;
}

int parttable_write(struct blkdev *d, const struct parttable *new, const struct parttable *old,
		    struct err *e)
{
	AUTO_PARTTABLE struct parttable *now = NULL;
	AUTO_FREE uint8_t *buf = NULL;
	struct writing w = {.d = d, .new = new, .old = old};
	int rc = 0;

	if (posix_memalign((void **)&buf, SECTOR_MAX, SECTOR_MAX) != 0)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a partition table");
	w.buf = buf;
	for (w.turn = 0; rc == 0 && w.turn < TURNS; w.turn++)
		rc = write_turn(&w, e);
	if (rc == 0)
		rc = parttable_read(&now, d, new->sector, e);
	if (rc == 0 && !parttable_same(now, new))
		rc = err_set(e, E_VERIFY_WRITES, EIO, "%s does not have the table that was written",
			     d->name);
	return err_while(e, rc, "writing the partition table of %s", d->name);
}

static int tell_kernel(int fd, int op, const struct partition *p)
{
	/* what holds logical partitions would overlap them: the kernel shows two sectors of it */
	bool holder = strcmp(p->type, "05") == 0 || strcmp(p->type, "0f") == 0 ||
		      strcmp(p->type, "85") == 0;
	struct blkpg_partition part = {.pno = (int)p->number,
				       .start = (long long)p->start,
				       .length = holder ? 1024 : (long long)p->size};
	struct blkpg_ioctl_arg arg = {.op = op, .datalen = sizeof(part), .data = &part};

	return ioctl(fd, BLKPG, &arg) < 0 ? -errno : 0;
}

static bool stays(const struct partition *p, const struct parttable *in)
{
	const struct partition *q = parttable_find(in, p->number);

	return q && q->start == p->start && q->size == p->size;
}

int parttable_announce(int fd, const struct parttable *new, const struct parttable *old,
		       struct err *e)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISBLK(st.st_mode))
		return 0;
	for (size_t i = 0; i < old->count; i++) {
		int rc = stays(&old->parts[i], new)
				 ? 0
				 : tell_kernel(fd, BLKPG_DEL_PARTITION, &old->parts[i]);

		if (rc == -EBUSY)
			return err_set(e, E_TARGET_ACTIVE, EBUSY, "partition %u is in use",
				       old->parts[i].number);
	}
	for (size_t i = 0; i < new->count; i++) {
		int rc = stays(&new->parts[i], old)
				 ? 0
				 : tell_kernel(fd, BLKPG_ADD_PARTITION, &new->parts[i]);

		if (rc == -EBUSY) /* it shows it already */
			continue;
		if (rc < 0)
			return err_sys(e, E_TARGET, -rc, "showing partition %u to the kernel",
				       new->parts[i].number);
	}
	return 0;
}
