/* rawfile: one file, put in place in one move. */
#include "handlers/handler.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "corelib/base/sys.h"
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

/* ---- owner and mode ---- */

#define KEEP UINT32_MAX /* what chown() takes for 'as it is' */

struct rights {
	uint32_t uid, gid;
	unsigned mode;
	bool has_mode;
};

static int find_id(const char *what, const char *text, uint32_t *id, struct err *e)
{
	bool user = strcmp(what, "user") == 0;
	const struct passwd *u;
	const struct group *g;
	uint64_t number;

	*id = KEEP;
	if (!text)
		return 0;
	if (text_u64(text, &number) == 0) {
		*id = (uint32_t)number;
		return number < KEEP
			       ? 0
			       : err_set(e, E_DESC_VALUE, ERANGE, "'%s' is no %s", text, what);
	}
	u = user ? getpwnam(text) : NULL;
	g = user ? NULL : getgrnam(text);
	if (u)
		*id = u->pw_uid;
	if (g)
		*id = g->gr_gid;
	if (u || g)
		return 0;
	err_fix(e, "make the %s on the device first, or give its number", what);
	return err_set(e, E_DESC_VALUE, ENOENT, "this device has no %s '%s'", what, text);
}

static int find_rights(const struct entry *t, struct rights *r, struct err *e)
{
	int rc;

	*r = (struct rights){.has_mode = t->mode};
	if (t->mode && entry_mode(t->mode, &r->mode) < 0)
		return err_set(e, E_DESC_VALUE, EINVAL, "'%s' is no mode", t->mode);
	rc = find_id("user", t->owner, &r->uid, e);
	return rc < 0 ? rc : find_id("group", t->group, &r->gid, e);
}

/* while the file is empty: no byte of a secret is ever readable by others */
static int set_rights(int fd, const struct entry *t, struct err *e)
{
	struct rights r;
	struct stat st;
	int rc = find_rights(t, &r, e);

	if (rc < 0)
		return rc;
	if (fstat(fd, &st) < 0)
		return err_sys(e, E_FILE, errno, "looking at the new file failed");
	if (r.uid != KEEP || r.gid != KEEP)
		rc = sys_fchown(fd, r.uid, r.gid);
	/* a list of the old file would let others in whom the mode does not name */
	if (rc == 0 && r.has_mode && fremovexattr(fd, "system.posix_acl_access") < 0 &&
	    errno != ENODATA && errno != EOPNOTSUPP)
		rc = -errno;
	/* a new owner takes the bits setuid and setgid away: they are set behind it */
	if (rc == 0 && (r.has_mode || r.uid != KEEP || r.gid != KEEP))
		rc = sys_fchmod(fd, r.has_mode ? r.mode : st.st_mode & 07777);
	return rc < 0 ? err_sys(e, E_FILE, -rc, "setting mode and owner failed") : 0;
}

/* ---- the handler ---- */

static int rawfile_check(struct step *st, struct err *e)
{
	struct rights ignored_rights;
	bool ignored;
	int rc = props_flag(st->entry, "create-destination", &ignored, e);

	if (rc == 0)
		rc = props_flag(st->entry, "atomic-install", &ignored, e);
	if (rc == 0 && (!st->entry->path || !st->file))
		rc = err_set(e, E_DESC_MISSING, EINVAL, "rawfile needs the attribute path");
	if (rc == 0 && st->entry->has_offset && st->entry->offset)
		rc = err_set(e, E_DESC_VALUE, EINVAL,
			     "rawfile writes whole files: there is no offset");
	if (rc == 0)
		rc = find_rights(st->entry, &ignored_rights, e);
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
	int rc = fd < 0 ? fd : set_rights(fd, st->entry, e);

	if (rc == 0)
		rc = write_content(st, fd, in, e);
	else if (fd >= 0)
		sys_close(&fd);
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
