/* archive: the files of an archive, put into a folder. */
#include "handlers/handler.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "corelib/stream/records.h"
#include "corelib/files/staged.h"
#include "corelib/base/text.h"
#include "corelib/files/tree.h"
#include "handlers/props.h"

static const struct attr props[] = {
	{.name = "create-destination",
	 .type = ATTR_BOOL,
	 .dflt = "false",
	 .help = "make the missing parts of the folder; an undo removes them when they are empty"},
};

static int archive_check(struct step *st, struct err *e)
{
	bool ignored;
	int rc = props_flag(st->entry, "create-destination", &ignored, e);

	if (rc == 0 && (!st->entry->path || !st->file))
		rc = err_set(e, E_DESC_MISSING, EINVAL, "archive needs the attribute path");
	if (rc == 0 && st->entry->has_offset && st->entry->offset)
		rc = err_set(e, E_DESC_VALUE, EINVAL, "archive writes files: there is no offset");
	return err_at(e, rc, "%s", st->entry->path ? st->entry->path : "archive");
}

/* beside the old files; straight, where old ones go one by one, all that the file system has */
static int room_for(const struct step *st, int fd, struct tree_options *o, struct err *e)
{
	struct statvfs fs;

	if (fstatvfs(fd, &fs) < 0)
		return err_sys(e, E_FILE, errno, "looking at the file system");
	if (u64_mul(st->file->straight ? fs.f_blocks : fs.f_bavail, fs.f_frsize, &o->max_bytes))
		o->max_bytes = UINT64_MAX;
	o->declared = st->has_size && st->size < o->max_bytes; /* heads and padding are in it too */
	if (o->declared)
		o->max_bytes = st->size;
	return 0;
}

static void archive_tell(const struct step *st, const struct tree_count *n)
{
	char text[160];

	if (n->nodes_left_out && st->host) {
		text_print(text, sizeof(text),
			   "%" PRIu64 " devices and pipes of the archive were left out: the "
			   "entry does not say preserve-attributes",
			   n->nodes_left_out);
		st->host->ops->tell(st->host, text);
	}
	if (n->attrs_lost && st->entry->preserve_attributes && st->host) {
		text_print(text, sizeof(text),
			   "attributes of %" PRIu64 " files could not be kept: this file system "
			   "or the archive has no such ones",
			   n->attrs_lost);
		st->host->ops->tell(st->host, text);
	}
}

static int unpack(const struct step *st, int fd, struct stream *in, struct err *e)
{
	struct tree_options o = {
		.read_back = st->host->verify_writes,
		.preserve = st->entry->preserve_attributes,
		.like = st->file->straight ? NULL : &st->file->folder_fd,
		.closed = (const char *const *)st->file->closed,
	};
	struct tree_count n = {0};
	AUTO_RECORDS struct records *r = NULL;
	int rc = room_for(st, fd, &o, e);

	while (st->file->closed[o.closed_count])
		o.closed_count++;
	if (rc < 0)
		return rc;
	r = records_new(in, e);
	if (!r)
		return -e->sys;
	rc = tree_write(fd, r, &o, &n, e);
	if (rc == 0)
		archive_tell(st, &n);
	return rc;
}

static int archive_install(struct step *st, struct stream *in, struct err *e)
{
	AUTO_CLOSE int fd = staged_tree_folder(st->file, e);
	int rc = fd < 0 ? fd : unpack(st, fd, in, e);

	return err_at(e, rc, "%s", st->entry->path);
}

static int archive_commit(struct step *st, struct err *e)
{
	return staged_publish(st->file, e);
}

static void archive_discard(struct step *st)
{
	staged_undo(st->file);
}

const struct handler handler_archive = {
	.name = "archive",
	.aliases = "tar",
	.summary = "put the files of an archive into a folder",
	.kind = HANDLER_TARGET,
	.sections = SECTION_IMAGES | SECTION_FILES,
	.holds = HOLDS_FOLDER,
	.records = true,
	.props = props,
	.prop_count = ARRAY_SIZE(props),
	.check = archive_check,
	.install = archive_install,
	.commit = archive_commit,
	.discard = archive_discard,
};
