/* Live or not: may these bytes of this place be written, and do they count only after activation?
 */
#include "core/plan/place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/plan/inuse.h"
#include "core/plan/slots.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define WHY 192

/* ---- places by name ---- */

static int open_name(const char *path)
{
	char real[PATH_MAX];
	int rc = sys_path(path, real, sizeof(real));

	return rc < 0 ? rc : sys_openat(AT_FDCWD, real, O_PATH | O_CLOEXEC, 0);
}

int place_extent(const char *path, struct extent *x)
{
	AUTO_CLOSE int fd = open_name(path);

	return fd < 0 ? fd : extent_of(fd, 0, 0, x);
}

bool place_is_plain(const char *path)
{
	AUTO_CLOSE int fd = open_name(path);
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* ---- what belongs to the installer ---- */

bool place_is_beneath(const char *path, const char *folder)
{
	size_t n = folder ? strlen(folder) : 0;

	while (n > 1 && folder[n - 1] == '/')
		n--;
	return n > 1 && strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

void place_ours(const struct settings *c, const char *ours[PLACE_OURS])
{
	const char *const all[PLACE_OURS] = {c->state_dir,	     c->run_dir,  c->spool_dir,
					     c->public_key_file,     c->crl_path, c->aes_key_file,
					     c->decryption_key_file, c->file};

	memcpy(ours, all, sizeof(all));
}

/* by name, and by inode: a second name of the key is the key */
static bool is_ours(const char *path, const struct stat *st, const char *ours)
{
	char real[PATH_MAX];
	struct stat mine;

	if (!ours || !*ours || !realpath(ours, real))
		return false;
	if (stat(real, &mine) == 0 && mine.st_dev == st->st_dev && mine.st_ino == st->st_ino)
		return true;
	return place_is_beneath(path, real);
}

static int check_protected(const struct settings *c, const struct place_range *r,
			   const struct stat *st, struct err *e)
{
	const char *ours[PLACE_OURS + 2] = {[PLACE_OURS] = c->versions_file, c->hwrevision_file};
	char link[40], path[PATH_MAX];

	place_ours(c, ours);
	text_print(link, sizeof(link), "/proc/self/fd/%d", r->fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (is_ours(path, st, ours[i]))
			return err_set(e, E_TARGET_PROTECTED, EPERM,
				       "it is, or lies in, '%s' of the installer", ours[i]);
	return 0;
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

			if (place_extent(slot->places[k].path, &mine) < 0 ||
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

static int judge_block(const struct inuse *u, const struct place_range *r, dev_t dev,
		       enum liveness *live, struct err *e)
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
		*live = PLACE_LIVE;
	else if (c.partitions)
		*live = c.bytes < c.x.end - c.x.off ? PLACE_LIVE : PLACE_IDLE;
	else
		*live = is_hardware(disk) ? PLACE_LIVE : PLACE_IDLE;
	return 0;
}

/* ---- files ---- */

static bool is_listed(const struct settings *cfg, const struct extent *x)
{
	for (size_t i = 0; i < cfg->targets.count; i++) {
		struct extent t;

		if (place_extent(cfg->targets.at[i], &t) == 0 && extent_contains(&t, x))
			return true;
	}
	return false;
}

static int judge_file(const struct slots *s, const struct inuse *u, const struct place_range *r,
		      const struct stat *st, struct err *e)
{
	char why[WHY];
	int rc = check_protected(s->cfg, r, st, e);

	if (rc == 0 && inuse_file(u, st, why, sizeof(why)))
		rc = active(e, why);
	return rc;
}

/* ---- verdict ---- */

/* a slot that is mounted or held is refused as any other place; what is no slot decides by its kind
 */
static int judge(const struct slots *s, const struct inuse *u, const struct place_range *r,
		 enum liveness *live, struct err *e)
{
	struct extent x;
	struct stat st;

	if (fstat(r->fd, &st) < 0)
		return err_sys(e, E_TARGET, errno, "looking at it");
	int rc = extent_of(r->fd, r->off, r->len, &x);
	if (rc < 0)
		return err_set(e, E_TARGET, -rc, "it is neither a device nor a file");
	int slot = judge_slots(s, &x, e);
	if (slot < 0)
		return slot;
	*live = PLACE_LIVE;
	if (S_ISREG(st.st_mode)) {
		rc = judge_file(s, u, r, &st, e);
		if (slot || is_listed(s->cfg, &x))
			*live = PLACE_IDLE;
	} else if (S_ISBLK(st.st_mode)) {
		rc = judge_block(u, r, st.st_rdev, live, e);
		if (slot)
			*live = PLACE_IDLE;
	}
	return rc;
}

int slots_look(struct slots *s, struct err *e)
{
	int rc;

	s->seen = calloc(1, sizeof(*s->seen));
	if (!s->seen)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for what the system uses");
	rc = inuse_read(s->seen, e);
	if (rc < 0)
		slots_look_end(s);
	return rc;
}

void slots_look_end(struct slots *s)
{
	if (s->seen)
		inuse_clear(s->seen);
	free(s->seen);
	s->seen = NULL;
}

static int look_and_judge(const struct slots *s, const struct place_range *r, enum liveness *live,
			  struct err *e)
{
	struct inuse u;
	int rc = inuse_read(&u, e);

	if (rc < 0)
		return rc;
	rc = judge(s, &u, r, live, e);
	inuse_clear(&u);
	return rc;
}

int slots_judge(const struct slots *s, struct bootenv *env, const struct place_range *r,
		enum liveness *live, struct err *e)
{
	int rc = s->seen ? judge(s, s->seen, r, live, e) : look_and_judge(s, r, live, e);

	if (env && bootenv_overlaps(env, r->fd, r->off, r->len))
		*live = PLACE_LIVE;
	return err_at(e, rc, "%s", r->path);
}
