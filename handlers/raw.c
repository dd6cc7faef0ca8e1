/* raw: write one payload, byte for byte, to a block device. */
#include "handlers/handler.h"

#include <errno.h>

#include "corelib/device/force_ro.h"

static int raw_check(struct step *st, struct err *e)
{
	if (!st->dev)
		return err_set(e, E_DESC_MISSING, EINVAL, "raw needs the attribute device or slot");
	return blkdev_range(st->dev, st->entry->offset, st->has_size ? st->size : 0, e);
}

static int fill(struct step *st, struct stream *in, struct err *e)
{
	const struct fill how = {.offset = st->entry->offset};

	return blkdev_fill(st->dev, in, &how, e);
}

/* an eMMC boot partition: what is written must be on the medium before the protection is back */
static int fill_protected(struct step *st, struct stream *in, struct err *e)
{
	struct err own;
	int rc = fill(st, in, e);

	if (rc == 0)
		rc = blkdev_flush(st->dev, e);
	err_clear(&own);
	if (force_ro_restore(st->dev->fd, rc < 0 ? &own : e) < 0 && rc == 0)
		rc = -e->sys;
	return rc;
}

static int raw_install(struct step *st, struct stream *in, struct err *e)
{
	bool lifted;

	if (force_ro_lift(st->dev->fd, &lifted, e) < 0)
		return -e->sys;
	return lifted ? fill_protected(st, in, e) : fill(st, in, e);
}

const struct handler handler_raw = {
	.name = "raw",
	.summary = "write a payload to a block device",
	.kind = HANDLER_TARGET,
	.sections = SECTION_IMAGES,
	.holds = HOLDS_DEVICE,
	.check = raw_check,
	.install = raw_install,
};
