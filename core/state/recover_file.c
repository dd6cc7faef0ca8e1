/* One file of an interrupted installation, also on a device that has to be mounted again. */
#include <errno.h>
#include <string.h>

#include "core/state/journal_address.h"
#include "core/plan/plan.h"
#include "core/state/recover.h"
#include "corelib/files/staged.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

static int settle(const struct staged_address *place, int root, bool keep, struct err *e)
{
	struct staged *s = NULL;
	int rc = staged_find(&s, place, root, e);

	if (rc > 0 && !keep)
		rc = staged_revert(s, e);
	if (rc >= 0 && s)
		rc = staged_drop(s, e);
	staged_close(s);
	if (rc >= 0 && !keep)
		rc = staged_unmake(place, root, e);
	return rc < 0 ? err_at(e, rc, "%s/%s", place->folder, place->name) : 0;
}

/* the root of its file system; may be mounted elsewhere by now: then it is the same one */
static int mount_again(const struct recovery *r, const struct staged_address *place,
		       struct mounts **all, struct err *e)
{
	struct mount *m;
	int fd, rc = slots_open_target(r->session, place->device, &fd, e);

	if (rc < 0)
		return rc;
	rc = place_mounts_new(all, r->session->cfg, e);
	if (rc < 0) {
		sys_close(&fd);
		return rc;
	}
	rc = mounts_add(*all, &m, &fd, place->device, place->filesystem, e);
	return rc < 0 ? rc : mount_open(m, e);
}

/*
 * No such file system: an earlier step was writing the device, or somebody made a new one; no file
 * is there that anybody could read. Committed and now the read-only root: only old content stays.
 */
static bool may_stay(struct recovery *r, const struct staged_address *place, bool keep, int rc)
{
	if (rc == -EINVAL)
		return true;
	if (!keep || (rc != -EBUSY && rc != -EROFS))
		return false;
	text_printable(place->device, strlen(place->device), r->left, sizeof(r->left));
	return true;
}

/*
 * Committed, and its file system is not there: only old content stays. Another one is there when
 * the switch was one of slots; none at all may come later in the boot.
 */
static int settle_live(struct recovery *r, const struct staged_address *place, bool keep,
		       struct err *e)
{
	int rc = settle(place, -1, keep, e);

	if (rc >= 0 || !keep || e->code != E_NOT_MOUNTED ||
	    (rc == -EAGAIN && r->session->mode == JOB_RECOVER))
		return rc;
	text_printable(place->folder, strlen(place->folder), r->left, sizeof(r->left));
	err_clear(e);
	return 0;
}

int recover_file(struct recovery *r, const struct journal_record *rec, bool keep, struct err *e)
{
	struct staged_address place;
	struct mounts *all = NULL;
	int rc = journal_address_parse(&place, rec->payload);

	if (rc < 0)
		return err_set(e, E_JOURNAL, EBADMSG, "a record of a staged file cannot be read");
	text_copy(place.txn, sizeof(place.txn), rec->txn);
	if (!place.device[0])
		return settle_live(r, &place, keep, e);
	rc = mount_again(r, &place, &all, e);
	if (rc >= 0) {
		rc = settle(&place, rc, keep, e);
		if (rc == 0)
			rc = mounts_flush(all, e);
	} else if ((e->code == E_MOUNT || (keep && e->code == E_TARGET)) &&
		   may_stay(r, &place, keep, rc)) {
		err_clear(e);
		rc = 0;
	}
	mounts_free(all);
	return rc;
}
