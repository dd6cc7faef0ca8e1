#include "core/plan/judge.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/plan/inuse.h"
#include "core/plan/own.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define WHY 192

struct judge {
	const struct slots *slots;
	struct bootenv *env;
	struct own *own;
	struct inuse seen;
	unsigned number;
};

int judge_extent(const char *path, struct extent *x)
{
	char real[PATH_MAX];
	int rc = sys_path(path, real, sizeof(real));
	AUTO_CLOSE int fd = rc < 0 ? rc : sys_openat(AT_FDCWD, real, O_PATH | O_CLOEXEC, 0);

	return fd < 0 ? fd : extent_of(fd, 0, 0, x);
}

bool judge_in_slot(const struct slot_setting *slot, const struct extent *x)
{
	struct extent mine;

	for (size_t i = 0; i < slot->place_count; i++)
		if (judge_extent(slot->places[i].path, &mine) == 0 && extent_overlaps(&mine, x))
			return true;
	return false;
}

/* ---- slots ---- */

/* 1 = inside of a slot that does not run, 0 = of no slot */
static int judge_slots(const struct slots *s, const struct extent *x, struct err *e)
{
	bool inside = false;

	for (size_t i = 0; i < s->cfg->slot_count; i++) {
		const struct slot_setting *slot = &s->cfg->slots[i];

		for (size_t k = 0; k < slot->place_count; k++) {
			struct extent mine;

			if (judge_extent(slot->places[k].path, &mine) < 0 ||
			    !extent_overlaps(&mine, x))
				continue;
			if (slot == s->running)
				return err_set(e, E_TARGET_ACTIVE, EBUSY,
					       "it belongs to the running slot '%s'", slot->name);
			if (!s->running && !s->target)
				return err_set(e, E_SLOT, EBUSY,
					       "it belongs to slot '%s', and which "
					       "slot runs is not known",
					       slot->name);
			inside |= extent_contains(&mine, x);
		}
	}
	return inside;
}

/* ---- block devices ---- */

struct cover {
	const struct inuse *u;
	struct extent x;
	uint64_t bytes; /* of the range that lie in partitions */
	unsigned partitions;
	char *why;
};

static int cover_partition(dev_t part, void *arg)
{
	struct cover *c = arg;
	struct extent p;
	char name[64] = "a partition", inner[WHY - 66];

	c->partitions++;
	if (extent_on_disk(part, 0, 0, &p) < 0 || !extent_overlaps(&p, &c->x))
		return 0;
	if (inuse_device(c->u, part, inner, sizeof(inner))) {
		inuse_name(part, name, sizeof(name));
		snprintf(c->why, WHY, "%s %s", name, inner);
		return 1;
	}
	c->bytes += (p.end < c->x.end ? p.end : c->x.end) - (p.off > c->x.off ? p.off : c->x.off);
	return 0;
}

/* mmcblk0boot1: what the processor's first loader reads */
static bool is_boot_partition(dev_t dev)
{
	char name[64];
	int end = 0;

	if (inuse_name(dev, name, sizeof(name)) < 0)
		return false;
	return sscanf(name, "mmcblk%*[0-9]boot%*[0-9]%n", &end) == 0 && end && !name[end];
}

/* a disk without partitions may hold a boot loader; what is made of other storage (loop, dm) does
 * not */
static bool is_hardware(dev_t disk)
{
	char text[512];

	return extent_sysfs_line(disk, "device/uevent", text, sizeof(text)) == 0;
}

static int active(struct err *e, const char *why)
{
	return err_set(e, E_TARGET_ACTIVE, EBUSY, "%s", why);
}

static int judge_block(const struct inuse *u, const struct range *r, dev_t dev, bool *live,
		       struct err *e)
{
	char why[WHY];
	struct cover c = {.u = u, .why = why};
	struct extent below;

	int rc = extent_on_disk(dev, r->off, r->len, &c.x);
	if (rc < 0)
		return err_sys(e, E_TARGET, -rc, "asking the kernel about the device");
	dev_t disk = c.x.dev;
	if (inuse_listed(u, disk, why, sizeof(why)) ||
	    (dev != disk && inuse_device(u, dev, why, sizeof(why))))
		return active(e, why);
	rc = inuse_each_partition(disk, cover_partition, &c);
	if (rc < 0)
		return err_sys(e, E_TARGET, -rc, "asking the kernel about its partitions");
	if (rc > 0)
		return active(e, why);
	if (!c.partitions && inuse_device(u, disk, why, sizeof(why)))
		return active(e, why);
	if (extent_of_device(disk, c.x.off, c.x.end - c.x.off, &below) == 0 &&
	    inuse_backing(u, disk, &below, why, sizeof(why)))
		return active(e, why);
	if (is_boot_partition(dev))
		*live = true;
	else if (c.partitions)
		*live = c.bytes < c.x.end - c.x.off;
	else
		*live = is_hardware(disk);
	return 0;
}

/* ---- files ---- */

static bool is_listed(const struct settings *cfg, const struct extent *x)
{
	for (size_t i = 0; i < cfg->targets.count; i++) {
		struct extent t;

		if (judge_extent(cfg->targets.at[i], &t) == 0 && extent_contains(&t, x))
			return true;
	}
	return false;
}

static int judge_file(const struct judge *j, const struct range *r, const struct stat *st,
		      struct err *e)
{
	char why[WHY];
	int rc = own_check_file(j->own, r->fd, e);

	if (rc == 0 && inuse_file(&j->seen, st, why, sizeof(why)))
		rc = active(e, why);
	return rc;
}

/* ---- verdict ---- */

/* a slot that is mounted or held is refused as any other place; what is no slot decides by its kind
 */
static int judge(const struct judge *j, const struct range *r, bool *live, struct err *e)
{
	const struct settings *cfg = j->slots->cfg;
	char why[WHY];
	struct extent x;
	struct stat st;

	if (fstat(r->fd, &st) < 0)
		return err_sys(e, E_TARGET, errno, "looking at it");
	int rc = extent_of(r->fd, r->off, r->len, &x);
	if (rc < 0)
		return err_set(e, E_TARGET, -rc, "it is neither a device nor a file");
	int slot = judge_slots(j->slots, &x, e);
	if (slot < 0)
		return slot;
	*live = true;
	if (S_ISREG(st.st_mode)) {
		rc = judge_file(j, r, &st, e);
		if (slot || is_listed(cfg, &x))
			*live = false;
	} else if (S_ISBLK(st.st_mode)) {
		rc = judge_block(&j->seen, r, st.st_rdev, live, e);
		if (slot)
			*live = false;
	} else if (S_ISCHR(st.st_mode) && inuse_flash(&j->seen, st.st_rdev, why, sizeof(why))) {
		rc = active(e, why);
	}
	return rc;
}

int judge_range(struct judge *j, const struct range *r, bool *live, struct err *e)
{
	j->seen.aside = r->aside;
	int rc = judge(j, r, live, e);
	j->seen.aside = NULL;
	if (j->env && bootenv_overlaps(j->env, r->fd, r->off, r->len))
		*live = true;
	return err_at(e, rc, "%s", r->path);
}

/* ---- what it looks at ---- */

int judge_new(struct judge **out, const struct slots *s, struct bootenv *env, struct err *e)
{
	struct judge *j = calloc(1, sizeof(*j));

	if (!j)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for what the system uses");
	j->slots = s;
	j->env = env;
	j->number = 1;
	int rc = inuse_read(&j->seen, e);
	if (rc == 0)
		rc = own_new(&j->own, s->cfg, e);
	if (rc < 0) {
		judge_free(j);
		return rc;
	}
	*out = j;
	return 0;
}

void judge_free(struct judge *j)
{
	if (!j)
		return;
	inuse_clear(&j->seen);
	own_free(j->own);
	free(j);
}

int judge_renew(struct judge *j, struct err *e)
{
	int rc = inuse_renew(&j->seen, e);

	j->number += rc > 0;
	return rc < 0 ? rc : 0;
}

unsigned judge_number(const struct judge *j)
{
	return j->number;
}

const struct own *judge_own(const struct judge *j)
{
	return j->own;
}
