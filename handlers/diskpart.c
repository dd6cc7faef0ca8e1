/* diskpart: the partition table of a disk, written only where it differs. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "corelib/device/parttable.h"
#include "handlers/mkfs.h"
#include "handlers/props.h"

enum { NODE_WAIT_MS = 5000, NODE_TICK_MS = 20 };

static const char *const labels[] = {"gpt", "dos", NULL};

static const char *const words[] = {"size=",	   "start=",	  "name=",	 "type=",
				    "partuuid=",   "dostype=",	  "flag=boot",	 "fstype=ext4",
				    "fstype=ext3", "fstype=ext2", "fstype=vfat", "fstype=btrfs",
				    "fslabel=",	   "force=true",  "force=false", NULL};

static const struct attr props[] = {
	{.name = "labeltype",
	 .type = ATTR_ENUM,
	 .values = labels,
	 .dflt = "gpt",
	 .help = "the kind of table"},
	{.name = "partition-N",
	 .type = ATTR_STRINGS,
	 .values = words,
	 .help = "a list of words: size=BYTES (K, M, G), start=SECTOR, name=, type= (GUID or "
		 "hexadecimal), partuuid=, dostype= (also in a hybrid record, three at most), "
		 "flag=boot (DOS), fstype= and fslabel= (a file system where there is none), "
		 "force=true (also where there is one). What is left out stays or is chosen: "
		 "without size it reaches to the next one or the end"},
	{.name = "nolock", .type = ATTR_BOOL, .help = "taken and not needed: nothing is locked"},
	{.name = "noinuse",
	 .type = ATTR_BOOL,
	 .help = "taken and not needed: partitions in use may stay as they are, and are never "
		 "changed"},
};

/* one partition, and the file system on it */
struct wish {
	struct partition part;
	struct mkfs fs; /* fstype NULL: none */
};

struct wishes {
	enum parttable_kind kind;
	uint32_t sector;
	size_t count;
	struct wish at[PARTTABLE_MAX];
};

static int copy_word(char *to, size_t n, const char *key, const char *value, struct err *e)
{
	if (text_copy(to, n, value) == 0)
		return 0;
	return err_set(e, E_PROPERTY, ENAMETOOLONG, "the value of %s= is too long", key);
}

/* "0x0C" and "c" are "0c" */
static int copy_code(char *to, size_t n, const char *value, struct err *e)
{
	const char *digits = strncasecmp(value, "0x", 2) == 0 ? value + 2 : value;
	char *end;
	unsigned long code = strtoul(digits, &end, 16);

	if (!*digits || *end || code == 0 || code > 0xff)
		return err_set(e, E_PROPERTY, EINVAL,
			       "'%s' is no type of a DOS partition (two hexadecimal digits)",
			       value);
	return text_print(to, n, "%02lx", code);
}

static int take_start(const struct wishes *w, struct partition *p, const char *value, struct err *e)
{
	uint64_t sectors;

	if (text_u64(value, &sectors) < 0 || u64_mul(sectors, w->sector, &p->start))
		return err_set(e, E_PROPERTY, EINVAL, "start='%s' is no number of a sector", value);
	return 0;
}

static int take_word(struct wishes *w, struct wish *x, char *word, struct err *e)
{
	struct partition *p = &x->part;
	char *value = strchr(word, '=');

	if (!value)
		return err_set(e, E_PROPERTY, EINVAL, "'%s' is not of the form name=value", word);
	*value++ = '\0';
	if (strcmp(word, "size") == 0) {
		if (text_size(value, &p->size) < 0)
			return err_set(e, E_PROPERTY, EINVAL, "size='%s' is no size", value);
		return 0;
	}
	if (strcmp(word, "start") == 0)
		return take_start(w, p, value, e);
	if (strcmp(word, "name") == 0)
		return copy_word(p->name, sizeof(p->name), word, value, e);
	if (strcmp(word, "partuuid") == 0)
		return copy_word(p->uuid, sizeof(p->uuid), word, value, e);
	if (strcmp(word, "type") == 0)
		return w->kind == PARTTABLE_DOS
			       ? copy_code(p->type, sizeof(p->type), value, e)
			       : copy_word(p->type, sizeof(p->type), word, value, e);
	if (strcmp(word, "dostype") == 0)
		return copy_code(p->dos_type, sizeof(p->dos_type), value, e);
	if (strcmp(word, "flag") == 0 && strcmp(value, "boot") == 0) {
		p->boot = w->kind == PARTTABLE_DOS;
		return 0;
	}
	if (strcmp(word, "force") == 0) {
		x->fs.force = strcmp(value, "true") == 0;
		return 0;
	}
	if (strcmp(word, "fstype") == 0 || strcmp(word, "fslabel") == 0)
		return 0; /* lent from the description: see take_file_system() */
	return err_set(e, E_PROPERTY, EINVAL, "a partition has no '%s=%s'", word, value);
}

/* these texts have to live longer than the copy of a word */
static void take_file_system(struct mkfs *fs, const char *word)
{
	if (strncmp(word, "fstype=", 7) == 0)
		fs->fstype = word + 7;
	if (strncmp(word, "fslabel=", 8) == 0)
		fs->label = word + 8;
}

static int take_partition(struct wishes *w, const struct property *prop, struct err *e)
{
	struct wish *x;
	uint64_t number;

	if (text_u64(prop->name + strlen("partition-"), &number) < 0 || number < 1 ||
	    number > PARTTABLE_MAX || w->count == PARTTABLE_MAX)
		return err_set(e, E_PROPERTY, ERANGE, "there are partitions 1 to %d",
			       (int)PARTTABLE_MAX);
	x = &w->at[w->count++];
	x->part.number = (unsigned)number;
	for (size_t i = 0; i < prop->count; i++) {
		char word[256];
		int rc = copy_word(word, sizeof(word), prop->name, prop->values[i], e);

		if (rc == 0)
			rc = take_word(w, x, word, e);
		if (rc < 0)
			return err_at(e, rc, "%s", prop->name);
		take_file_system(&x->fs, prop->values[i]);
	}
	return x->fs.fstype ? err_at(e, mkfs_check(&x->fs, e), "%s", prop->name) : 0;
}

static int by_number(const void *x, const void *y)
{
	const struct wish *a = x, *b = y;

	return a->part.number < b->part.number ? -1 : a->part.number > b->part.number;
}

static int take_wishes(const struct step *st, struct wishes *w, struct err *e)
{
	const char *label = entry_property(st->entry, "labeltype");

	w->kind = label && strcmp(label, "dos") == 0 ? PARTTABLE_DOS : PARTTABLE_GPT;
	w->sector = parttable_sector(st->dev);
	for (size_t i = 0; i < st->entry->prop_count; i++) {
		const struct property *prop = &st->entry->props[i];
		int rc =
			strncmp(prop->name, "partition-", 10) == 0 ? take_partition(w, prop, e) : 0;

		if (rc < 0)
			return rc;
	}
	if (!w->count)
		return err_set(e, E_DESC_MISSING, EINVAL, "diskpart needs a property partition-1");
	qsort(w->at, w->count, sizeof(w->at[0]), by_number);
	return 0;
}

/* the table that is there, the one that is wanted, and what is wanted on it */
struct tables {
	struct wishes wishes;
	struct parttable *old, *new;
};

static void cleanup_tables(struct tables **t)
{
	if (*t) {
		parttable_free((*t)->old);
		parttable_free((*t)->new);
	}
	free(*t);
}
#define AUTO_TABLES __attribute__((unused, cleanup(cleanup_tables)))

static int make_tables(const struct step *st, struct tables **out, struct err *e)
{
	AUTO_TABLES struct tables *t = calloc(1, sizeof(*t));
	AUTO_FREE struct parttable *wanted = calloc(1, sizeof(*wanted));
	int rc;

	if (!t || !wanted)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a partition table");
	rc = take_wishes(st, &t->wishes, e);
	if (rc < 0)
		return rc;
	wanted->kind = t->wishes.kind;
	wanted->count = t->wishes.count;
	for (size_t i = 0; i < wanted->count; i++)
		wanted->parts[i] = t->wishes.at[i].part;
	rc = parttable_read(&t->old, st->dev, t->wishes.sector, e);
	if (rc < 0)
		return rc;
	rc = parttable_make(&t->new, wanted, t->old, e);
	if (rc < 0)
		return rc;
	*out = t;
	t = NULL;
	return 0;
}

/* ---- which bytes of the disk are written ---- */

static bool is_kept(const struct partition *p, const struct parttable *in)
{
	const struct partition *q = parttable_find(in, p->number);

	return q && q->start == p->start && q->size == p->size;
}

static void add_range(struct step *st, const struct partition *p)
{
	uint64_t end = p->start + p->size;

	if (st->len && st->off + st->len > end)
		end = st->off + st->len;
	if (!st->len || p->start < st->off)
		st->off = p->start;
	st->len = end - st->off;
}

/* ---- the partitions as devices ---- */

/* "/dev/sda" and 3: "/dev/sda3"; "/dev/mmcblk0": "/dev/mmcblk0p3" */
static int node_name(const char *disk, unsigned number, char *path, size_t n)
{
	size_t len = strlen(disk);
	bool digit = len && disk[len - 1] >= '0' && disk[len - 1] <= '9';

	return text_print(path, n, "%s%s%u", disk, digit ? "p" : "", number);
}

static int diskpart_makes(const struct step *st, size_t i, char *path, size_t n, struct err *e)
{
	AUTO_TABLES struct tables *t = calloc(1, sizeof(*t));
	const struct partition *p;
	int rc;

	if (!t)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a partition table");
	rc = take_wishes(st, &t->wishes, e);
	if (rc < 0 || i >= 3 * t->wishes.count)
		return rc;
	p = &t->wishes.at[i / 3].part;
	if (i % 3 == 0)
		rc = node_name(st->dev->name, p->number, path, n);
	else if (i % 3 == 1)
		rc = text_print(path, n, "/dev/disk/by-partlabel/%s", p->name);
	else
		rc = text_print(path, n, "/dev/disk/by-partuuid/%s", p->uuid);
	return rc < 0 ? err_set(e, E_PROPERTY, ENAMETOOLONG, "the name of a partition is too long")
		      : 1;
}

/* by the number that the kernel gave it, never by a name alone */
static int open_partition(const struct step *st, unsigned number, unsigned wait_ms, int *fd,
			  struct err *e)
{
	const uint64_t until = sys_now_ms() + wait_ms;
	char path[256], file[128], disk_file[160];
	AUTO_FREE char *text = NULL;
	struct stat disk, node;
	unsigned major_of, minor_of;

	if (fstat(st->dev->fd, &disk) < 0 || !S_ISBLK(disk.st_mode))
		return err_set(e, E_TARGET, ENOTBLK,
			       "%s is a file: there is no device of its partitions", st->dev->name);
	if (node_name(st->dev->name, number, path, sizeof(path)) < 0)
		return err_set(e, E_TARGET, ENAMETOOLONG, "the name of the disk is too long");
	for (;;) {
		*fd = sys_openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
		if (*fd >= 0)
			break;
		if (sys_now_ms() >= until)
			return err_sys(e, E_TARGET, -*fd, "waiting for partition %u: %s", number,
				       path);
		usleep(NODE_TICK_MS * 1000);
	}
	if (fstat(*fd, &node) < 0 || !S_ISBLK(node.st_mode))
		return err_set(e, E_TARGET, ENOTBLK, "%s is no block device", path);
	text_print(file, sizeof(file), "/sys/dev/block/%u:%u/../dev", major(node.st_rdev),
		   minor(node.st_rdev));
	if (sys_path(file, disk_file, sizeof(disk_file)) < 0 ||
	    sys_read_file(AT_FDCWD, disk_file, 64, &text, NULL) < 0 ||
	    sscanf(text, "%u:%u", &major_of, &minor_of) != 2 ||
	    makedev(major_of, minor_of) != disk.st_rdev)
		return err_set(e, E_TARGET, EINVAL, "%s is no partition of %s", path,
			       st->dev->name);
	return 0;
}

/* ---- what has to be done ---- */

/* has partition 'p', which stays where it is, this file system already? A device that cannot be
 * read counts as one that has none */
static bool has_file_system(const struct step *st, const struct tables *t, const struct wish *x)
{
	struct err ignored = {0};
	AUTO_CLOSE int fd = -1;

	return !x->fs.force && is_kept(parttable_find(t->new, x->part.number), t->old) &&
	       open_partition(st, x->part.number, 0, &fd, &ignored) == 0 &&
	       mkfs_is_there(fd, x->fs.fstype, &ignored) == 1;
}

/* from the first to the last partition that comes, goes, moves or gets a file system; the table
 * alone where none does */
static void find_range(struct step *st, const struct tables *t)
{
	st->off = st->len = 0;
	for (size_t i = 0; i < t->old->count; i++)
		if (!is_kept(&t->old->parts[i], t->new))
			add_range(st, &t->old->parts[i]);
	for (size_t i = 0; i < t->new->count; i++)
		if (!is_kept(&t->new->parts[i], t->old))
			add_range(st, &t->new->parts[i]);
	for (size_t i = 0; i < t->wishes.count; i++) {
		const struct wish *x = &t->wishes.at[i];

		if (x->fs.fstype && !has_file_system(st, t, x))
			add_range(st, parttable_find(t->new, x->part.number));
	}
	st->nothing = !st->len && parttable_same(t->new, t->old);
	if (!st->len)
		st->len = t->new->sector;
}

static int diskpart_check(struct step *st, struct err *e)
{
	AUTO_TABLES struct tables *t = NULL;
	int rc = make_tables(st, &t, e);

	if (rc == 0)
		find_range(st, t);
	return rc;
}

/* a script may have changed the table since: only the range of the check was judged */
static int check_again(struct step *st, const struct tables *t, struct err *e)
{
	const uint64_t off = st->off, end = st->off + st->len;

	find_range(st, t);
	if (st->off >= off && st->off + st->len <= end)
		return 0;
	return err_set(e, E_TARGET, EBUSY,
		       "the partition table of %s was changed while the update ran", st->dev->name);
}

/* ---- to the disk ---- */

static int make_file_systems(const struct step *st, const struct tables *t, struct err *e)
{
	for (size_t i = 0; i < t->wishes.count; i++) {
		const struct wish *x = &t->wishes.at[i];
		AUTO_CLOSE int fd = -1;
		char name[224];
		int rc;

		if (!x->fs.fstype)
			continue;
		rc = open_partition(st, x->part.number, NODE_WAIT_MS, &fd, e);
		if (rc < 0)
			return rc;
		text_print(name, sizeof(name), "partition %u of %s", x->part.number, st->dev->name);
		rc = mkfs_make(&x->fs, fd, name, st->host, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int diskpart_install(struct step *st, struct stream *in, struct err *e)
{
	struct tables *t = NULL;
	int rc = make_tables(st, &t, e);

	(void)in;
	if (rc < 0)
		return rc;
	rc = check_again(st, t, e);
	if (rc < 0) {
		cleanup_tables(&t);
		return rc;
	}
	st->state = t; /* from here on there is something to undo */
	if (!parttable_same(t->new, t->old)) {
		rc = parttable_write(st->dev, t->new, t->old, e);
		if (rc == 0)
			rc = parttable_announce(st->dev->fd, t->new, t->old, e);
	}
	return rc < 0 ? rc : make_file_systems(st, t, e);
}

static int diskpart_commit(struct step *st, struct err *e)
{
	struct tables *t = st->state;

	(void)e;
	st->state = NULL;
	cleanup_tables(&t);
	return 0;
}

/* the table that was there; what lay in its partitions is still there but for new file systems */
static void diskpart_discard(struct step *st)
{
	struct tables *t = st->state;
	struct err e = {0};

	if (!t)
		return;
	st->state = NULL;
	if (!parttable_same(t->new, t->old) && t->old->kind != PARTTABLE_NONE &&
	    (parttable_write(st->dev, t->old, t->new, &e) < 0 ||
	     parttable_announce(st->dev->fd, t->old, t->new, &e) < 0))
		st->host->ops->say(st->host, LOG_LEVEL_WARN, e.why);
	cleanup_tables(&t);
}

const struct handler handler_diskpart = {
	.name = "diskpart",
	.summary = "write the partition table of a disk where it differs",
	.kind = HANDLER_TARGET,
	.sections = SECTION_PARTITIONS,
	.holds = HOLDS_DEVICE,
	.no_data = true,
	.forever =
		"a failure later brings the table back, the recovery after a power cut does not, and "
		"neither what was in a partition that got a new file system",
	.props = props,
	.prop_count = ARRAY_SIZE(props),
	.check = diskpart_check,
	.install = diskpart_install,
	.makes = diskpart_makes,
	.commit = diskpart_commit,
	.discard = diskpart_discard,
};
