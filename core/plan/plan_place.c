/* Where a step writes: opened once here and held; judged live or idle; no two steps on the same
 * bytes. */

#include <errno.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "core/plan/place.h"
#include "core/plan/plan_private.h"
#include "corelib/device/extent.h"
#include "corelib/files/staged.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

/* ---- devices ---- */

static int device_path(const struct entry *t, const struct plan_input *in, const char **path,
		       struct err *e)
{
	if (t->slot)
		return slots_place(&in->session->slots, t->slot, path, e);
	*path = t->device;
	if (!t->device)
		return err_set(e, E_DESC_MISSING, EINVAL,
			       "the entry names neither device nor slot");
	return 0;
}

/* a bundle may name a disk and an offset, or a loop device, instead of the slot: its bytes count */
static bool is_in_slot(const struct slot_setting *s, const struct extent *x)
{
	struct extent mine;

	for (size_t i = 0; i < s->place_count; i++)
		if (place_extent(s->places[i].path, &mine) == 0 && extent_overlaps(&mine, x))
			return true;
	return false;
}

/* one slot runs, one boots next: what lies in a third one would never be booted as a whole. Where
 * no slot runs a rescue system may fill all of them; then the one that 'slot' stands for is booted
 */
static int take(struct plan *p, const struct slot_setting *slot, const struct entry *t,
		const struct slots *s, struct err *e)
{
	if (!p->taken || p->taken == slot) {
		p->taken = slot;
		return 0;
	}
	if (!s->running) {
		p->taken = slot == s->target ? slot : p->taken;
		return 0;
	}
	err_fix(e, "write one slot, best by the attribute slot, which names the free one; where an "
		   "image only might reach into the next slot, say its decompressed-size");
	return err_set(e, E_SLOT, EINVAL,
		       "line %u of the description writes into slot '%s', an entry before it into "
		       "slot '%s': the switch can go to one of them only",
		       t->line, slot->name, p->taken->name);
}

int plan_take_slot(struct plan *p, const struct entry *t, const struct plan_input *in,
		   const struct place_range *r, struct err *e)
{
	const struct slots *s = &in->session->slots;
	struct extent x;
	bool known = extent_of(r->fd, r->off, r->len, &x) == 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < s->cfg->slot_count; i++) {
		const struct slot_setting *slot = &s->cfg->slots[i];

		if (slot != s->running &&
		    ((t->slot && slot == s->target) || (known && is_in_slot(slot, &x))))
			rc = take(p, slot, t, s, e);
	}
	return rc;
}

int plan_device_open(const struct entry *t, const struct plan_input *in, const char **path, int *fd,
		     struct err *e)
{
	int rc = device_path(t, in, path, e);

	*fd = -1;
	return rc < 0 ? rc : slots_open_target(in->session, *path, fd, e);
}

static struct plan_step *find_device(const struct plan *p, const struct plan_step *ps,
				     const char *path)
{
	for (struct plan_step *q = (struct plan_step *)ps; q-- > p->steps;)
		if (q->device && strcmp(q->device, path) == 0)
			return q;
	return NULL;
}

bool plan_shares_device(const struct plan *p, const struct plan_step *ps)
{
	return ps->device && find_device(p, ps, ps->device);
}

/* a bundle may have thousands of entries for one device: one descriptor, one flush for all */
static int open_device(struct plan *p, struct plan_step *ps, const struct plan_input *in,
		       struct err *e)
{
	const struct blkdev_options o = {
		.direct = (enum blkdev_direct)in->session->cfg->direct_io,
		.compare = (enum blkdev_compare)in->session->cfg->compare_writes,
	};
	const struct plan_step *opened;
	const char *path;
	int fd, rc = device_path(ps->step.entry, in, &path, e);

	if (rc < 0)
		return rc;
	opened = find_device(p, ps, path);
	if (opened)
		ps->step.dev = opened->step.dev;
	else if ((rc = slots_open_target(in->session, path, &fd, e)) == 0)
		rc = blkdev_open(&ps->step.dev, fd, path, &o, e);
	ps->device = ps->step.dev ? path : NULL;
	return rc;
}

/* else it shows at the first write only. The switch of an eMMC's boot partitions is ours to lift */
static int check_writable(const struct step *st, struct err *e)
{
	struct stat node;
	char text[8];
	int read_only = 0;

	if (fstat(st->dev->fd, &node) < 0 || !S_ISBLK(node.st_mode) ||
	    ioctl(st->dev->fd, BLKROGET, &read_only) < 0 || !read_only ||
	    extent_sysfs_line(node.st_rdev, "force_ro", text, sizeof(text)) == 0)
		return 0;
	err_fix(e, "lift the write protection (blockdev --setrw, a switch of the card), or name "
		   "another device");
	return err_at(e, err_set(e, E_TARGET, EROFS, "the device is write-protected"), "%s",
		      st->dev->name);
}

static int judge_device(struct plan *p, struct plan_step *ps, const struct plan_input *in,
			struct err *e)
{
	struct step *st = &ps->step;
	const struct place_range r = {
		.fd = st->dev->fd,
		.path = st->dev->name,
		.off = st->entry->offset,
		.len = st->has_size ? st->size : 0,
	};
	enum liveness live = PLACE_LIVE;
	int rc = slots_judge(&in->session->slots, in->session->env, &r, &live, e);

	if (rc == 0)
		rc = check_writable(st, e);
	st->live = live == PLACE_LIVE;
	if (rc == 0)
		rc = plan_take_slot(p, st->entry, in, &r, e);
	if (rc < 0 && !st->has_size && st->entry->compressed)
		err_fix(e, "if the image is small enough not to reach there, say so with the "
			   "property decompressed-size");
	if (rc == 0 && st->dev->has_size && st->dev->size - st->entry->offset < ps->room)
		ps->room = st->dev->size - st->entry->offset;
	return rc;
}

/* ---- files ---- */

/* a path in a tree that nothing may touch */
static int close_path(struct staged *f, const char *folder, const char *mine, struct err *e)
{
	size_t n = strcmp(folder, "/") ? strlen(folder) + 1 : 1, i = 0;

	while (i + 2 < STAGED_CLOSED && f->closed[i])
		i++;
	f->closed[i] = strdup(mine + n);
	return f->closed[i] ? 0 : err_set(e, E_MEMORY, ENOMEM, "no memory for a path");
}

/* one path of ours, against a file or folder of the bundle and what a tree may bring into it */
static int check_mine(struct staged *f, const char *path, const char *folder, const char *mine,
		      struct err *e)
{
	bool all = strcmp(folder, "/") == 0;

	if (place_is_beneath(path, mine))
		return err_set(e, E_TARGET_PROTECTED, EPERM, "'%s' belongs to the installer", path);
	if (!f->address.name[0] && (all || place_is_beneath(mine, folder)))
		return close_path(f, folder, mine, e);
	return 0;
}

/* what the installer itself depends on is never written by a bundle (T17) */
static int check_protected(struct staged *f, const struct plan_input *in, struct err *e)
{
	const struct staged_address *place = &f->address;
	const char *ours[PLACE_OURS + 1] = {[PLACE_OURS] = in->session->cfg->bootenv_path};
	char path[sizeof(place->folder) + sizeof(place->name) + 1], real[PATH_MAX];
	const char *folder = realpath(place->folder, real) ? real : place->folder;
	int rc = 0;

	_Static_assert(ARRAY_SIZE(ours) < STAGED_CLOSED, "one stays NULL");
	place_ours(in->session->cfg, ours);
	if (text_print(path, sizeof(path), "%s/%s", strcmp(folder, "/") ? folder : "",
		       place->name) < 0)
		return err_set(e, E_FILE, ENAMETOOLONG, "the path is too long");
	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(ours); i++) {
		char mine[PATH_MAX];

		if (!ours[i] || !*ours[i])
			continue;
		if (!place_is_beneath(path, ours[i]) &&
		    realpath(ours[i], mine)) /* also of a relative one */
			rc = check_mine(f, path, folder, mine, e);
		else if (*ours[i] == '/')
			rc = check_mine(f, path, folder, ours[i], e);
	}
	return rc;
}

/* devices are looked up by slots_open_target() */
static int check_listed(const struct staged_address *place, const struct settings *c, struct err *e)
{
	char mine[PATH_MAX], folder[PATH_MAX];

	if (!c->targets.count)
		return 0;
	if (!realpath(place->folder, folder))
		text_copy(folder, sizeof(folder), place->folder);
	for (size_t i = 0; i < c->targets.count; i++)
		if (realpath(c->targets.at[i], mine) && place_is_beneath(folder, mine))
			return 0;
	return err_set(e, E_TARGET, EPERM,
		       "'%s/%s' is not beneath a folder of the list targets of the configuration",
		       folder, place->name);
}

static int open_staged(struct plan *p, struct plan_step *ps, const struct plan_input *in,
		       const char *path, struct err *e)
{
	const struct entry *t = ps->step.entry;
	const char *create = entry_property(t, "create-destination");
	int rc;

	if (t->device || t->slot || t->filesystem)
		return plan_mount_place(p, ps, in, path, e);
	/* the number of the transaction is put in when the journal has given one */
	rc = staged_open(&ps->step.file, path, "0000000000000000", (unsigned)(ps - p->steps),
			 create && strcmp(create, "true") == 0, e);
	if (rc < 0)
		return rc;
	ps->step.live = true;
	rc = check_listed(&ps->step.file->address, in->session->cfg, e);
	return rc < 0 ? rc : check_protected(ps->step.file, in, e);
}

static int open_file(struct plan *p, struct plan_step *ps, const struct plan_input *in,
		     struct err *e)
{
	const struct entry *t = ps->step.entry;
	bool folder = ps->step.handler->holds == HOLDS_FOLDER;
	char path[PATH_MAX];
	size_t n = t->path ? strlen(t->path) : 0;

	if (!n || t->path[0] != '/')
		return err_set(e, E_DESC_MISSING, EINVAL, "the entry needs an absolute path");
	if (!folder && t->path[n - 1] == '/')
		return err_set(e, E_FILE, EINVAL, "the path must end with the name of a file");
	if (text_print(path, sizeof(path), "%s%s", t->path, folder ? "/" : "") < 0)
		return err_set(e, E_FILE, ENAMETOOLONG, "the path is too long");
	return open_staged(p, ps, in, path, e);
}

/* ---- a handler without a place: what it writes into the slot joins the switch ---- */

static int look_at_slot(struct plan *p, struct plan_step *ps, const struct plan_input *in,
			struct err *e)
{
	struct place_range r = {.fd = -1};
	enum liveness live;
	int rc = plan_device_open(ps->step.entry, in, &r.path, &r.fd, e);

	if (rc == 0)
		rc = slots_judge(&in->session->slots, in->session->env, &r, &live, e);
	if (rc == 0)
		rc = plan_take_slot(p, ps->step.entry, in, &r, e);
	sys_close(&r.fd);
	ps->step.slot_device = r.path;
	return rc;
}

/* ---- both ---- */

int plan_place_open(struct plan *p, struct plan_step *ps, const struct plan_input *in,
		    struct err *e)
{
	switch (ps->step.handler->holds) {
	case HOLDS_DEVICE:
		return open_device(p, ps, in, e);
	case HOLDS_FILE:
	case HOLDS_FOLDER:
		return open_file(p, ps, in, e);
	default:
		ps->step.live = true; /* who knows what it does: proven first */
		return ps->step.entry->slot ? look_at_slot(p, ps, in, e) : 0;
	}
}

int plan_place_judge(struct plan *p, struct plan_step *ps, const struct plan_input *in,
		     struct err *e)
{
	return ps->step.dev ? judge_device(p, ps, in, e) : 0;
}

/* which bytes of which storage: a partition lies on its disk, a loop device in its file */
struct spot {
	struct extent x;
	struct plan_step *ps;
};

static void spot_of(struct spot *s, struct plan_step *ps)
{
	const uint64_t off = ps->step.entry->offset;

	*s = (struct spot){.ps = ps};
	if (extent_of(ps->step.dev->fd, off, 0, &s->x) < 0)
		s->x = (struct extent){.off = off}; /* all such count as one device: careful */
}

static int compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int by_storage(const struct extent *a, const struct extent *b)
{
	int c = compare(a->kind, b->kind);

	if (c == 0)
		c = compare(a->dev, b->dev);
	return c ? c : compare(a->ino, b->ino);
}

static int by_place(const void *x, const void *y)
{
	const struct spot *a = x, *b = y;
	int c = by_storage(&a->x, &b->x);

	return c ? c : compare(a->x.off, b->x.off);
}

/* two neighbours on a device: the low one has to end where the high one begins */
static int keep_apart(const struct spot *low, const struct spot *high, struct err *e)
{
	uint64_t gap = high->x.off - low->x.off;
	struct step *st = &low->ps->step;

	if (gap == 0 || (st->has_size && st->size > gap))
		return err_set(e, E_RANGE, EEXIST,
			       "lines %u and %u of the description write to the "
			       "same bytes of %s and %s",
			       st->entry->line, high->ps->step.entry->line, st->dev->name,
			       high->ps->step.dev->name);
	if (low->ps->room > gap)
		low->ps->room = gap;
	return 0;
}

static int devices_overlap(struct plan *p, struct spot *spots, struct err *e)
{
	size_t n = 0;

	for (size_t i = 0; i < p->count; i++)
		if (p->steps[i].step.dev && !p->steps[i].skipped)
			spot_of(&spots[n++], &p->steps[i]);
	qsort(spots, n, sizeof(*spots), by_place);
	for (size_t i = 1; i < n; i++) {
		struct spot *a = &spots[i - 1], *b = &spots[i];
		int rc = 0;

		if (by_storage(&a->x, &b->x) == 0)
			rc = keep_apart(a, b, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int by_name(const void *x, const void *y)
{
	const struct staged_address *a = &(*(struct plan_step *const *)x)->step.file->address;
	const struct staged_address *b = &(*(struct plan_step *const *)y)->step.file->address;
	const struct mount *m = (*(struct plan_step *const *)x)->mount;
	const struct mount *n = (*(struct plan_step *const *)y)->mount;
	int c = strcmp(a->name, b->name);

	if (c == 0)
		c = strcmp(a->folder, b->folder);
	return c ? c : (uintptr_t)m < (uintptr_t)n ? -1 : m != n;
}

static int files_overlap(struct plan *p, struct plan_step **files, struct err *e)
{
	size_t n = 0;

	for (size_t i = 0; i < p->count; i++)
		/* trees go into a folder one after the other */
		if (p->steps[i].step.file && p->steps[i].step.file->address.name[0] &&
		    !p->steps[i].skipped)
			files[n++] = &p->steps[i];
	qsort(files, n, sizeof(struct plan_step *), by_name);
	for (size_t i = 1; i < n; i++)
		if (by_name(&files[i - 1], &files[i]) == 0)
			return err_set(e, E_RANGE, EEXIST,
				       "lines %u and %u of the description write "
				       "the same file '%s'",
				       files[i - 1]->step.entry->line, files[i]->step.entry->line,
				       files[i]->step.entry->path);
	return 0;
}

int plan_place_overlaps(struct plan *p, struct err *e)
{
	AUTO_FREE struct spot *spots = calloc(p->count + 1, sizeof(*spots));
	AUTO_FREE struct plan_step **files = calloc(p->count + 1, sizeof(struct plan_step *));
	int rc;

	if (!spots || !files)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the plan");
	rc = devices_overlap(p, spots, e);
	if (rc == 0)
		rc = plan_mount_overlaps(p, e);
	return rc < 0 ? rc : files_overlap(p, files, e);
}
