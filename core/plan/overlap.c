/* Which bytes the steps write: the slot that they take, and what more than one of them writes. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/plan/plan_private.h"
#include "corelib/base/text.h"

/* ---- the slot that is taken ---- */

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

static bool has_path(const struct slot_setting *slot, const char *path)
{
	for (size_t i = 0; path && i < slot->place_count; i++)
		if (strcmp(slot->places[i].path, path) == 0)
			return true;
	return false;
}

/* a bundle may name a disk and an offset, or a loop device, instead of the slot: its bytes count */
int plan_take_slot(struct plan *p, const struct plan_step *ps, const struct slots *s, struct err *e)
{
	const struct entry *t = ps->step.entry;
	struct extent x;
	bool known = place_extent(&ps->span, &x) == 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && ps->span.place && i < s->cfg->slot_count; i++) {
		const struct slot_setting *slot = &s->cfg->slots[i];
		bool in = known ? judge_in_slot(slot, &x) : has_path(slot, ps->span.place->path);

		if (slot != s->running && ((t->slot && slot == s->target) || in))
			rc = take(p, slot, t, s, e);
	}
	return rc;
}

bool plan_is_in_taken(const struct plan *p, const struct entry *t, const struct slots *s)
{
	struct extent x;

	if (!p->taken || !(t->section & (SECTION_IMAGES | SECTION_FILES | SECTION_PARTITIONS)))
		return false;
	if (t->slot)
		return p->taken == s->target || !s->running;
	if (!t->device || *t->device != '/')
		return false;
	return judge_extent(t->device, &x) == 0 ? judge_in_slot(p->taken, &x)
						: has_path(p->taken, t->device);
}

/* ---- bytes of a device ---- */

/* which bytes of which storage: a partition lies on its disk, a loop device in its file */
struct spot {
	struct extent x;
	struct plan_step *ps;
};

static void spot_of(struct spot *s, struct plan_step *ps)
{
	const struct span *at = &ps->span;

	*s = (struct spot){.ps = ps};
	if (at->place->dev && extent_of(at->place->dev->fd, at->off, 0, &s->x) == 0)
		return;
	if (at->place->dev) /* all such count as one device: careful */
		s->x = (struct extent){.off = at->off};
	else /* not there yet: each is one of its own */
		s->x = (struct extent){.ino = (ino_t)(uintptr_t)at->place, .off = at->off};
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

	if (c == 0)
		c = compare(a->x.off, b->x.off);
	return c ? c : a->ps < b->ps ? -1 : a->ps > b->ps;
}

/* a whole disk, then a part of it: the later entry counts, so it may not flow by before its turn */
static int lies_over(const struct plan *p, struct plan_step *a, struct plan_step *b, bool surely,
		     const struct session *s, struct err *e)
{
	struct plan_step *first = a < b ? a : b, *second = a < b ? b : a;
	const char *one = first->span.place->path, *two = second->span.place->path;
	unsigned line = first->step.entry->line, last = second->step.entry->line;

	if (surely && (s->cfg->strict || second->called))
		return err_set(e, E_RANGE, EEXIST,
			       "lines %u and %u of the description write to the same bytes of %s "
			       "and %s",
			       line, last, one, two);
	if (second->route == ROUTE_FLOW)
		second->route = p->seekable ? ROUTE_TWICE : ROUTE_SPOOL;
	if (surely)
		reporter_warn(s->reporter,
			      "lines %u and %u of the description write to the same bytes of %s "
			      "and %s: what the later one writes counts",
			      line, last, one, two);
	else
		reporter_warn(s->reporter,
			      "lines %u and %u of the description may write to the same bytes of "
			      "%s and %s; the property decompressed-size would tell: what the "
			      "later one writes counts",
			      line, last, one, two);
	return 0;
}

/*
 * 'low' begins before 'high' on the same storage: do they meet? 1, 0, or -errno. One of unknown
 * length that comes later stops where the earlier one begins: nobody wants to lose that. What comes
 * earlier may be written over, as whole disks are.
 */
static int meet(const struct plan *p, struct spot *low, struct spot *high, const struct session *s,
		struct err *e)
{
	uint64_t gap = high->x.off - low->x.off;
	const struct step *st = &low->ps->step;
	bool surely = gap == 0 || (st->has_size && st->size > gap);
	int rc;

	if (!surely && st->has_size)
		return 0;
	if (!surely && (low->ps > high->ps || s->cfg->strict || high->ps->called)) {
		if (low->ps->span.room > gap)
			low->ps->span.room = gap;
		return 0;
	}
	rc = lies_over(p, low->ps, high->ps, surely, s, e);
	return rc < 0 ? rc : surely;
}

static int devices_overlap(struct plan *p, struct spot *spots, const struct session *s,
			   struct err *e)
{
	size_t n = 0;

	for (size_t i = 0; i < p->count; i++)
		if (p->steps[i].step.handler && p->steps[i].step.handler->holds == HOLDS_DEVICE &&
		    p->steps[i].span.place && !p->steps[i].left_out)
			spot_of(&spots[n++], &p->steps[i]);
	qsort(spots, n, sizeof(*spots), by_place);
	for (size_t i = 0; i < n; i++) {
		int rc = 1;

		for (size_t k = i + 1; rc > 0 && k < n && by_storage(&spots[i].x, &spots[k].x) == 0;
		     k++)
			rc = meet(p, &spots[i], &spots[k], s, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* ---- raw bytes below a file system ---- */

bool plan_writes_below(const struct plan_step *raw, const struct plan_step *file)
{
	struct extent a, b;

	if (!file->span.place || !file->span.place->file || !file->span.place->path ||
	    !raw->span.place || raw->span.place->file || raw->left_out)
		return false;
	if (place_extent(&raw->span, &a) < 0 || place_extent(&file->span, &b) < 0)
		return strcmp(raw->span.place->path, file->span.place->path) == 0;
	return extent_overlaps(&a, &b);
}

static int below_overlap(const struct plan *p, struct err *e)
{
	for (size_t i = 0; i < p->count; i++)
		for (size_t k = i + 1;
		     p->steps[i].span.place && p->steps[i].span.place->mount && k < p->count; k++)
			if (p->steps[k].step.dev && plan_writes_below(&p->steps[k], &p->steps[i]))
				return err_set(e, E_RANGE, EEXIST,
					       "line %u of the description writes '%s', and line "
					       "%u puts a file on it before",
					       p->steps[k].step.entry->line,
					       p->steps[k].step.dev->name,
					       p->steps[i].step.entry->line);
	return 0;
}

/* ---- files ---- */

static int by_name(const void *x, const void *y)
{
	const struct place *p = (*(struct plan_step *const *)x)->span.place;
	const struct place *q = (*(struct plan_step *const *)y)->span.place;
	const struct staged_address *a = &p->file->address, *b = &q->file->address;
	int c = strcmp(a->name, b->name);

	if (c == 0)
		c = strcmp(a->folder, b->folder);
	if (c == 0 && p->mount == q->mount)
		c = strcmp(p->path ? p->path : "", q->path ? q->path : "");
	return c ? c : (uintptr_t)p->mount < (uintptr_t)q->mount ? -1 : p->mount != q->mount;
}

static int files_overlap(struct plan *p, struct plan_step **files, struct err *e)
{
	size_t n = 0;

	for (size_t i = 0; i < p->count; i++)
		/* trees go into a folder one after the other */
		if (p->steps[i].step.file && p->steps[i].step.file->address.name[0] &&
		    !p->steps[i].left_out)
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

int plan_overlaps(struct plan *p, const struct session *s, struct err *e)
{
	AUTO_FREE struct spot *spots = calloc(p->count + 1, sizeof(*spots));
	AUTO_FREE struct plan_step **files = calloc(p->count + 1, sizeof(struct plan_step *));
	int rc;

	if (!spots || !files)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the plan");
	rc = devices_overlap(p, spots, s, e);
	if (rc == 0)
		rc = below_overlap(p, e);
	return rc < 0 ? rc : files_overlap(p, files, e);
}
