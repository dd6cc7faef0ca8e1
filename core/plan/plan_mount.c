/* Files on a device that nobody uses: judged while planning, mounted when the writing begins. */
#include <errno.h>
#include <string.h>

#include "core/plan/plan_private.h"
#include "core/state/statedir.h"
#include "corelib/device/extent.h"
#include "corelib/files/staged.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

/* ---- while planning ---- */

int plan_mounts_new(struct mounts **m, const struct settings *cfg, struct err *e)
{
	struct err first = {0};
	const char *folder = cfg->run_dir;
	int fd = statedir_open(folder, &first);

	if (fd < 0) {
		folder = cfg->state_dir;
		fd = statedir_open(folder, e);
	}
	if (fd < 0)
		return err_while(e, fd, "looking for a folder to mount in");
	sys_close(&fd);
	return mounts_new(m, folder, e);
}

/* a file is staged on an idle device too; a tree is written straight to where the switch leads */
static int judge(struct plan_step *ps, const struct plan_input *in, int fd, const char *path,
		 struct err *e)
{
	const struct place_range r = {.fd = fd, .path = path};
	enum liveness live = PLACE_LIVE;
	int rc = slots_judge(&in->session->slots, in->session->env, &r, &live, e);

	ps->step.file->straight = ps->step.handler->holds == HOLDS_FOLDER && live == PLACE_IDLE;
	return rc;
}

static int keep_names(struct staged_address *place, const char *device, const char *type,
		      struct err *e)
{
	if (text_copy(place->device, sizeof(place->device), device) < 0 ||
	    text_copy(place->filesystem, sizeof(place->filesystem), type) < 0)
		return err_set(e, E_MOUNT, ENAMETOOLONG, "the name of the device is too long");
	return 0;
}

static int add_mount(struct plan *p, struct plan_step *ps, const struct plan_input *in,
		     struct err *e)
{
	const struct entry *t = ps->step.entry;
	const char *path;
	int fd, rc = plan_device_open(t, in, &path, &fd, e);

	if (rc == 0)
		rc = judge(ps, in, fd, path, e);
	if (rc == 0)
		rc = plan_take_slot(p, t, in, &(struct place_range){.fd = fd, .path = path}, e);
	if (rc == 0)
		rc = keep_names(&ps->step.file->address, path, t->filesystem, e);
	if (rc == 0 && !p->mounts)
		rc = plan_mounts_new(&p->mounts, in->session->cfg, e);
	if (rc == 0)
		return mounts_add(p->mounts, &ps->mount, &fd, path, t->filesystem, e);
	sys_close(&fd);
	return rc;
}

int plan_mount_place(struct plan *p, struct plan_step *ps, const struct plan_input *in,
		     const char *path, struct err *e)
{
	const struct entry *t = ps->step.entry;
	const char *create = entry_property(t, "create-destination");
	int rc;

	if (!t->filesystem)
		return err_set(e, E_DESC_MISSING, EINVAL,
			       "a file on a device needs the attribute filesystem, to mount it");
	rc = staged_name(&ps->step.file, path, (unsigned)(ps - p->steps),
			 create && strcmp(create, "true") == 0, e);
	ps->step.live = true; /* staged as any other file */
	return rc < 0 ? rc : add_mount(p, ps, in, e);
}

/* does this step write raw bytes of the storage that is mounted? */
static bool writes_below(const struct plan_step *raw, const struct plan_step *file)
{
	struct extent a, b;

	if (!raw->step.dev || !file->mount)
		return false;
	return extent_of(raw->step.dev->fd, raw->step.entry->offset, 0, &a) < 0 ||
	       extent_of(mount_device(file->mount), 0, 0, &b) < 0 || extent_overlaps(&a, &b);
}

int plan_mount_overlaps(const struct plan *p, struct err *e)
{
	for (size_t i = 0; i < p->count; i++)
		for (size_t k = i + 1; p->steps[i].mount && k < p->count; k++)
			if (writes_below(&p->steps[k], &p->steps[i]))
				return err_set(e, E_RANGE, EEXIST,
					       "line %u of the description writes '%s', and line "
					       "%u puts a file on it before",
					       p->steps[k].step.entry->line,
					       p->steps[k].step.dev->name,
					       p->steps[i].step.entry->line);
	return 0;
}

/* ---- while installing ---- */

/* what an earlier step wrote is on the device before its file system is read */
static int flush_below(const struct plan *p, const struct plan_step *ps, struct err *e)
{
	int rc = 0;

	for (const struct plan_step *q = p->steps; rc == 0 && q < ps; q++)
		if (writes_below(q, ps))
			rc = blkdev_flush(q->step.dev, e);
	return rc;
}

int plan_mount_open(struct plan *p, struct plan_step *ps, struct err *e)
{
	int rc;

	if (!ps->mount)
		return 0;
	rc = mount_root(ps->mount) < 0 ? flush_below(p, ps, e) : 0;
	if (rc == 0)
		rc = mount_open(ps->mount, e);
	if (rc >= 0)
		rc = staged_bind(ps->step.file, rc, e);
	if (rc == 0 && ps->step.handler->check)
		rc = ps->step.handler->check(&ps->step, e);
	return rc;
}

static bool is_written_before(const struct plan *p, const struct plan_step *ps)
{
	for (const struct plan_step *q = p->steps; q < ps; q++)
		if (writes_below(q, ps))
			return true;
	return false;
}

int plan_mount_early(struct plan *p, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < p->count; i++) {
		struct plan_step *ps = &p->steps[i];

		if (ps->mount && !is_written_before(p, ps))
			rc = plan_at(p, ps, plan_mount_open(p, ps, e), e);
	}
	return rc;
}
