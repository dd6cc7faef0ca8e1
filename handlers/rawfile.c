/* rawfile: one file, put in place in one move. */
#include "handlers/handler.h"

#include <errno.h>
#include <string.h>

#include "corelib/files/staged.h"
#include "corelib/base/text.h"
#include "handlers/props.h"

static const struct attr props[] = {
	{.name = "create-destination",
	 .type = ATTR_BOOL,
	 .dflt = "false",
	 .help = "make the missing parts of the folder; an undo removes them when they are empty"},
	{.name = "atomic-install",
	 .type = ATTR_BOOL,
	 .dflt = "true",
	 .help = "put the file in place in one move; always done, whatever is said"},
};

static int rawfile_check(struct step *st, struct err *e)
{
	bool ignored;
	int rc = props_flag(st->entry, "create-destination", &ignored, e);

	if (rc == 0)
		rc = props_flag(st->entry, "atomic-install", &ignored, e);
	if (rc == 0 && (!st->entry->path || !st->file))
		rc = err_set(e, E_DESC_MISSING, EINVAL, "rawfile needs the attribute path");
	if (rc == 0 && st->entry->has_offset && st->entry->offset)
		rc = err_set(e, E_DESC_VALUE, EINVAL,
			     "rawfile writes whole files: there is no offset");
	return err_at(e, rc, "%s", st->entry->path ? st->entry->path : "rawfile");
}

static int write_content(const struct step *st, int fd, struct stream *in, struct err *e)
{
	const struct fill how = {.compare = COMPARE_NO};
	struct blkdev *dev;
	int rc = blkdev_open(&dev, fd, st->entry->path, NULL, e);

	if (rc < 0)
		return rc;
	rc = blkdev_fill(dev, in, &how, e);
	if (rc == 0)
		rc = blkdev_flush(dev, e);
	blkdev_close(dev);
	return rc;
}

static int rawfile_install(struct step *st, struct stream *in, struct err *e)
{
	int fd = staged_create(st->file, 0600, e);
	int rc = fd < 0 ? fd : write_content(st, fd, in, e);

	return rc < 0 ? rc : staged_sync(st->file, e);
}

static int rawfile_commit(struct step *st, struct err *e)
{
	return staged_publish(st->file, e);
}

static void rawfile_discard(struct step *st)
{
	staged_undo(st->file);
}

const struct handler handler_rawfile = {
	.name = "rawfile",
	.summary = "write one file and put it in place in one move",
	.kind = HANDLER_TARGET,
	.sections = SECTION_FILES,
	.holds = HOLDS_FILE,
	.props = props,
	.prop_count = ARRAY_SIZE(props),
	.check = rawfile_check,
	.install = rawfile_install,
	.commit = rawfile_commit,
	.discard = rawfile_discard,
};
