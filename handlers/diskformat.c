/* diskformat: a new file system on a device, where there is none. */
#include <errno.h>

#include "handlers/mkfs.h"
#include "handlers/props.h"

static const char *const types[] = {"ext4", "ext3", "ext2", "vfat", "btrfs", NULL};

static const struct attr props[] = {
	{.name = "fstype",
	 .type = ATTR_ENUM,
	 .values = types,
	 .help = "the file system; the program mkfs.TYPE has to be on the device"},
	{.name = "fslabel", .type = ATTR_STRING, .help = "its label"},
	{.name = "force",
	 .type = ATTR_BOOL,
	 .dflt = "false",
	 .help = "make it anew, also where one of this type is there already"},
};

static int wanted(const struct step *st, struct mkfs *m, struct err *e)
{
	m->fstype = entry_property(st->entry, "fstype");
	m->label = entry_property(st->entry, "fslabel");
	if (!m->fstype)
		return err_set(e, E_DESC_MISSING, EINVAL, "diskformat needs the property fstype");
	return props_flag(st->entry, "force", &m->force, e);
}

static int diskformat_check(struct step *st, struct err *e)
{
	struct mkfs m;
	int rc = wanted(st, &m, e);

	if (rc < 0)
		return rc;
	rc = mkfs_check(&m, e);
	if (rc < 0 || m.force)
		return rc;
	rc = mkfs_is_there(st->dev->fd, m.fstype, e);
	st->nothing = rc == 1;
	return rc < 0 ? rc : 0;
}

static int diskformat_install(struct step *st, struct stream *in, struct err *e)
{
	struct mkfs m;
	int rc = wanted(st, &m, e);

	(void)in;
	return rc < 0 ? rc : mkfs_make(&m, st->dev->fd, st->dev->name, st->host, e);
}

const struct handler handler_diskformat = {
	.name = "diskformat",
	.summary = "make a file system where there is none",
	.kind = HANDLER_TARGET,
	.sections = SECTION_PARTITIONS,
	.holds = HOLDS_DEVICE,
	.no_data = true,
	.forever = "what was on the device before is gone",
	.props = props,
	.prop_count = ARRAY_SIZE(props),
	.check = diskformat_check,
	.install = diskformat_install,
};
