#include "core/plan/place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "core/plan/own.h"
#include "core/state/statedir.h"
#include "corelib/base/flag.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

/* a protective record, a header and 128 partitions: the least that lies before the first one */
enum { TABLE_BYTES = 2 * 512 + 128 * 128 };

/* what a step will have made when later ones begin */
struct promise {
	struct promise *next;
	const struct place *on;
	char path[];
};

void span_init(struct span *s)
{
	*s = (struct span){.room = UINT64_MAX, .claim = -1};
}

/* ---- all of them ---- */

int places_init(struct places *all, struct session *s, struct err *e)
{
	*all = (struct places){.session = s};
	return judge_new(&all->judge, &s->slots, s->env, e);
}

static void release(struct place *p)
{
	if (p->dev)
		blkdev_close(p->dev);
	if (p->file)
		staged_close(p->file);
	p->state = PLACE_RELEASED;
	free(p);
}

void places_free(struct places *all)
{
	struct place **lists[] = {&all->devices, &all->files};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		while (*lists[i]) {
			struct place *p = *lists[i];

			*lists[i] = p->next;
			release(p);
		}
	while (all->promises) {
		struct promise *p = all->promises;

		all->promises = p->next;
		free(p);
	}
	mounts_free(all->mounts); /* after all descriptors on them */
	judge_free(all->judge);
	space_free(all->space);
	*all = (struct places){0};
}

int places_promise(struct places *all, const char *path, const struct place *on, struct err *e)
{
	size_t n = strlen(path) + 1;
	struct promise *p = malloc(sizeof(*p) + n);

	if (!p)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a path");
	memcpy(p->path, path, n);
	p->on = on;
	p->next = all->promises;
	all->promises = p;
	return 0;
}

static const struct place *find_promise(const struct places *all, const char *path)
{
	for (const struct promise *p = all->promises; p; p = p->next)
		if (strcmp(p->path, path) == 0)
			return p->on;
	return NULL;
}

int places_flush(struct places *all, struct err *e)
{
	for (struct place *p = all->devices; p; p = p->next) {
		int rc = p->dev ? blkdev_flush(p->dev, e) : 0;

		if (rc < 0)
			return rc;
	}
	return mounts_flush(all->mounts, e);
}

bool places_hold(const struct places *all, dev_t mounted)
{
	for (const struct place *p = all->devices; p; p = p->next) {
		struct loop_back b;
		struct stat st;

		if (!p->dev || fstat(p->dev->fd, &st) < 0)
			continue;
		if (S_ISBLK(st.st_mode) ? st.st_rdev == mounted
					: extent_loop_back(mounted, &b) == 0 && !b.is_block &&
						  b.dev == st.st_dev && b.ino == st.st_ino)
			return true;
	}
	return false;
}

static int add(struct place **list, struct place **out, const struct place *what, struct err *e)
{
	struct place *p = malloc(sizeof(*p));

	if (!p)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a place");
	*p = *what;
	p->next = *list;
	*list = *out = p;
	return 0;
}

/* ---- devices ---- */

static int device_path(const struct places *all, const struct entry *t, const char **path,
		       struct err *e)
{
	if (t->slot)
		return slots_place(&all->session->slots, t->slot, path, e);
	*path = t->device;
	return t->device ? 0
			 : err_set(e, E_DESC_MISSING, EINVAL,
				   "the entry names neither device nor slot");
}

static enum place_kind kind_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || S_ISBLK(st.st_mode))
		return PLACE_BLOCK;
	if (S_ISREG(st.st_mode))
		return PLACE_FILE;
	return major(st.st_rdev) == 90 ? PLACE_MTD : PLACE_UBI;
}

/* else it shows at the first write only. The switch of an eMMC's boot partitions is ours to lift */
static int check_writable(const struct blkdev *dev, struct err *e)
{
	struct stat node;
	char text[8];
	int read_only = 0;

	if (fstat(dev->fd, &node) < 0 || !S_ISBLK(node.st_mode) ||
	    ioctl(dev->fd, BLKROGET, &read_only) < 0 || !read_only ||
	    extent_sysfs_line(node.st_rdev, "force_ro", text, sizeof(text)) == 0)
		return 0;
	err_fix(e, "lift the write protection (blockdev --setrw, a switch of the card), or name "
		   "another device");
	return err_at(e, err_set(e, E_TARGET, EROFS, "the device is write-protected"), "%s",
		      dev->name);
}

static int open_device(struct places *all, struct place *p, struct err *e)
{
	const struct settings *cfg = all->session->cfg;
	const struct blkdev_options o = {
		.direct = cfg->direct_io,
		.compare = cfg->compare_writes,
	};
	int fd, rc = slots_open_target(all->session, p->path, &fd, e);

	if (rc < 0)
		return rc;
	p->kind = kind_of(fd);
	return blkdev_open(&p->dev, fd, p->path, &o, e);
}

/* a bundle may have thousands of entries for one device: one descriptor, one flush for all */
static int name_device(struct places *all, struct span *s, const char *path, struct err *e)
{
	const struct place fresh = {
		.kind = PLACE_BLOCK, .path = path, .made_on = find_promise(all, path)};
	struct place **at = &all->devices;
	int rc;

	while (*at && strcmp((*at)->path, path) != 0)
		at = &(*at)->next;
	s->place = *at;
	if (*at)
		return 0;
	rc = add(at, &s->place, &fresh, e);
	if (rc < 0 || s->place->made_on)
		return rc;
	return open_device(all, s->place, e);
}

/* ---- files ---- */

/* a path in a tree that nothing may touch */
static int close_path(void *arg, const char *path, struct err *e)
{
	struct staged *f = arg;
	size_t i = 0;

	while (f->closed[i])
		i++;
	if (i + 1 >= STAGED_CLOSED)
		return err_set(e, E_TARGET_PROTECTED, EPERM,
			       "too much of the installer lies in this folder");
	f->closed[i] = strdup(path);
	return f->closed[i] ? 0 : err_set(e, E_MEMORY, ENOMEM, "no memory for a path");
}

/* devices are looked up by slots_open_target() */
static int check_listed(const struct staged_address *where, const struct settings *c, struct err *e)
{
	if (!c->targets.count)
		return 0;
	for (size_t i = 0; i < c->targets.count; i++)
		if (own_is_beneath(where->folder, c->targets.at[i]))
			return 0;
	return err_set(e, E_TARGET, EPERM,
		       "'%s/%s' is not beneath a folder of the list targets of the configuration",
		       where->folder, where->name);
}

static int name_live_file(struct places *all, struct place *p, const char *path, unsigned index,
			  bool create, struct err *e)
{
	const struct staged_address *where;
	int rc = staged_open(&p->file, path, NULL, index, create, e);

	if (rc < 0)
		return rc;
	where = &p->file->address;
	rc = check_listed(where, all->session->cfg, e);
	if (rc < 0)
		return rc;
	p->state = PLACE_JUDGED;
	return own_check(judge_own(all->judge), where->folder, where->name, close_path, p->file, e);
}

/* ---- files on a device that is mounted for them ---- */

static int need_mounts(struct places *all, struct err *e)
{
	return all->mounts ? 0 : place_mounts_new(&all->mounts, all->session->cfg, e);
}

int place_mounts_new(struct mounts **m, const struct settings *cfg, struct err *e)
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

static int judge(struct places *all, struct span *s, int fd, const char *aside, struct err *e)
{
	const struct range r = {
		.fd = fd, .path = s->place->path, .off = s->off, .len = s->len, .aside = aside};
	int rc = judge_range(all->judge, &r, &s->live, e);

	s->live |= s->by_name;
	s->number = judge_number(all->judge);
	return rc;
}

/* the device is there: what will be mounted of it */
static int add_mount(struct places *all, struct span *s, struct err *e)
{
	struct place *p = s->place;
	int fd, rc = slots_open_target(all->session, p->path, &fd, e);

	if (rc == 0)
		rc = need_mounts(all, e);
	if (rc < 0) {
		sys_close(&fd);
		return rc;
	}
	rc = mounts_add(all->mounts, &p->mount, &fd, p->path, p->filesystem, e);
	return rc < 0 ? rc : judge(all, s, mount_device(p->mount), NULL, e);
}

static int name_file_of_device(struct places *all, struct span *s, const struct entry *t,
			       const char *path, unsigned index, bool create, struct err *e)
{
	struct place *p = s->place;
	struct staged_address *where;
	int rc;

	if (!t->filesystem)
		return err_set(e, E_DESC_MISSING, EINVAL,
			       "a file on a device needs the attribute filesystem, to mount it");
	rc = staged_name(&p->file, path, index, create, e);
	if (rc == 0)
		rc = device_path(all, t, &p->path, e);
	if (rc < 0)
		return rc;
	where = &p->file->address;
	if (!mounts_knows(t->filesystem)) {
		err_fix(e,
			"correct the attribute filesystem, or add the file system to the kernel");
		return err_at(e,
			      err_set(e, E_MOUNT, ENODEV, "this kernel has no file system '%s'",
				      t->filesystem),
			      "%s", p->path);
	}
	p->filesystem = t->filesystem;
	p->made_on = find_promise(all, p->path);
	if (text_copy(where->device, sizeof(where->device), p->path) < 0 ||
	    text_copy(where->filesystem, sizeof(where->filesystem), t->filesystem) < 0)
		return err_set(e, E_MOUNT, ENAMETOOLONG, "the name of the device is too long");
	return p->made_on ? 0 : add_mount(all, s, e);
}

static int name_file(struct places *all, struct span *s, const struct entry *t, bool folder,
		     unsigned index, struct err *e)
{
	const struct place fresh = {.kind = folder ? PLACE_FOLDER : PLACE_FILE};
	const char *property = entry_property(t, "create-destination");
	bool create = property && strcmp(property, "true") == 0;
	size_t n = t->path ? strlen(t->path) : 0;
	char path[PATH_MAX];
	int rc;

	if (!n || t->path[0] != '/')
		return err_set(e, E_DESC_MISSING, EINVAL, "the entry needs an absolute path");
	if (!folder && t->path[n - 1] == '/')
		return err_set(e, E_FILE, EINVAL, "the path must end with the name of a file");
	if (text_print(path, sizeof(path), "%s%s", t->path, folder ? "/" : "") < 0)
		return err_set(e, E_FILE, ENAMETOOLONG, "the path is too long");
	rc = add(&all->files, &s->place, &fresh, e);
	if (rc < 0)
		return rc;
	s->live = true;
	if (t->device || t->slot || t->filesystem)
		return name_file_of_device(all, s, t, path, index, create, e);
	return name_live_file(all, s->place, path, index, create, e);
}

/* ---- code that gets a name alone ---- */

/* a slot is held and flushed whoever writes it; other devices are words of the code's own */
static int name_for_code(struct places *all, struct span *s, const struct entry *t, struct err *e)
{
	const struct slots *slots = &all->session->slots;
	const char *path = t->device;
	struct extent x;
	bool in_slot = false;
	int rc;

	s->by_name = s->live = true; /* who knows what it does: proven first */
	if (t->slot) {
		rc = slots_place(slots, t->slot, &path, e);
		return rc < 0 ? rc : name_device(all, s, path, e);
	}
	if (!path || *path != '/' || judge_extent(path, &x) < 0)
		return 0;
	for (size_t i = 0; i < slots->cfg->slot_count; i++)
		if (&slots->cfg->slots[i] != slots->running)
			in_slot |= judge_in_slot(&slots->cfg->slots[i], &x);
	return in_slot ? name_device(all, s, path, e) : 0;
}

static int name_any(struct places *all, struct span *s, const struct entry *t, enum holds holds,
		    unsigned index, struct err *e)
{
	const char *path;
	int rc;

	s->off = holds == HOLDS_DEVICE ? t->offset : 0;
	if (holds == HOLDS_TABLE) /* the partitions behind it may be in use */
		s->len = TABLE_BYTES;
	switch (holds) {
	case HOLDS_TABLE:
	case HOLDS_DEVICE:
		rc = device_path(all, t, &path, e);
		return rc < 0 ? rc : name_device(all, s, path, e);
	case HOLDS_FILE:
	case HOLDS_FOLDER:
		return name_file(all, s, t, holds == HOLDS_FOLDER, index, e);
	default:
		return name_for_code(all, s, t, e);
	}
}

int place_name(struct places *all, struct span *s, const struct entry *t, enum holds holds,
	       unsigned index, struct err *e)
{
	const struct slot_setting *target = all->session->slots.target;
	int rc = name_any(all, s, t, holds, index, e);

	if (rc >= 0 || e->code != E_TARGET || e->sys != ENOENT)
		return rc;
	if (t->slot && target)
		err_fix(e,
			"slot '%s' of the configuration names it as %s: correct the path there, or "
			"make the partition or file",
			target->name, t->slot);
	else
		err_fix(e, "the description names it: correct device in the entry, or look why it "
			   "is not there (lsblk, dmesg)");
	return rc;
}

/* ---- verdicts ---- */

int place_judge(struct places *all, struct span *s, struct err *e)
{
	struct place *p = s->place;
	int rc;

	if (!p || !p->dev)
		return 0;
	rc = judge(all, s, p->dev->fd, NULL, e);
	if (rc == 0)
		rc = check_writable(p->dev, e);
	if (rc < 0)
		return rc;
	if (p->dev->has_size && p->dev->size - s->off < s->room)
		s->room = p->dev->size - s->off;
	if (p->state == PLACE_NAMED)
		p->state = PLACE_JUDGED;
	return 0;
}

int place_fits(struct places *all, struct span *s, uint64_t bytes, struct err *e)
{
	s->need.bytes = bytes;
	s->need.straight = place_is_straight(s);
	return space_claim(&all->space, &s->need, s->place->file, e);
}

/* ---- when a step begins ---- */

/* what lies below it is on the medium before it is read */
static int flush_below(struct places *all, const struct place *p, struct err *e)
{
	struct extent mine, x;
	int rc = 0;

	for (struct place *d = all->devices; rc == 0 && d; d = d->next)
		if (d->dev && d->state == PLACE_OPENED &&
		    (d == p->made_on || !p->mount ||
		     extent_of(mount_device(p->mount), 0, 0, &mine) < 0 ||
		     extent_of(d->dev->fd, 0, 0, &x) < 0 || extent_overlaps(&mine, &x)))
			rc = blkdev_flush(d->dev, e);
	return rc;
}

/* the kernel and its helpers make the names of new devices a moment after the act */
static void wait_for(const struct places *all, const char *path)
{
	struct extent x;

	for (unsigned i = 0; i < 250 && judge_extent(path, &x) < 0; i++) {
		if (all->session->cancel && flag_is_set(all->session->cancel))
			return;
		poll(NULL, 0, 20);
	}
}

static int open_late(struct places *all, struct span *s, struct err *e)
{
	struct place *p = s->place;
	int rc = flush_below(all, p, e);

	if (rc < 0)
		return rc;
	wait_for(all, p->path);
	rc = judge_renew(all->judge, e);
	if (rc < 0)
		return rc;
	if (p->file)
		return p->mount ? 0 : add_mount(all, s, e);
	if (!p->dev)
		rc = open_device(all, p, e);
	return rc < 0 ? rc : place_judge(all, s, e);
}

/* held alone: nobody mounts it while it is written. 1, or 0 where somebody has a part of it */
static int claim(struct span *s)
{
	char link[40];

	if (s->place->kind != PLACE_BLOCK)
		return 0;
	text_print(link, sizeof(link), "/proc/self/fd/%d", s->place->dev->fd);
	s->claim = sys_openat(AT_FDCWD, link, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC, 0);
	return s->claim >= 0;
}

/* what was idle while planning may have been mounted since: by a script, or while a pipe was slow
 */
static int judge_again(struct places *all, struct span *s, bool alone, struct err *e)
{
	const char *aside =
		s->by_name && *all->session->scripts_folder ? all->session->scripts_folder : NULL;
	struct place *p = s->place;
	bool was_live = s->live, claimed = false;
	int rc;

	if (!p->dev && (!p->mount || mount_root(p->mount) >= 0))
		return 0;
	if (alone && p->dev)
		claimed = claim(s);
	rc = judge_renew(all->judge, e);
	if (rc < 0 || (claimed && s->number == judge_number(all->judge)))
		return rc;
	place_end(s); /* our own claim must not look like somebody's */
	rc = judge(all, s, p->dev ? p->dev->fd : mount_device(p->mount), aside, e);
	if (rc == 0 && s->live && !was_live)
		rc = err_at(e,
			    err_set(e, E_TARGET_ACTIVE, EBUSY,
				    "it came into use while the update ran"),
			    "%s", p->path);
	if (rc == 0 && alone && p->dev)
		claim(s);
	return rc;
}

static int open_mount(struct places *all, struct place *p, struct err *e)
{
	int rc = mount_root(p->mount) < 0 ? flush_below(all, p, e) : 0;

	if (rc == 0)
		rc = mount_open(p->mount, e);
	return rc < 0 ? rc : staged_bind(p->file, rc, e);
}

int place_open(struct places *all, struct span *s, bool alone, struct err *e)
{
	struct place *p = s->place;
	int rc;

	if (!p)
		return 0;
	if (place_is_late(s))
		rc = open_late(all, s, e);
	else
		rc = judge_again(all, s, alone, e);
	if (rc == 0 && p->mount)
		rc = open_mount(all, p, e);
	if (rc == 0 && p->file)
		rc = staged_begin(p->file, all->session->txn, place_is_straight(s), e);
	if (rc == 0)
		p->state = PLACE_OPENED;
	return rc;
}

void place_end(struct span *s)
{
	if (s->place)
		sys_close(&s->claim);
}

/* ---- questions ---- */

bool place_is_late(const struct span *s)
{
	return s->place && s->place->made_on && s->number == 0;
}

bool place_is_straight(const struct span *s)
{
	return s->place && s->place->kind == PLACE_FOLDER && s->place->path && !s->live;
}

bool place_wants_undo(const struct span *s)
{
	return s->place && s->place->file && !place_is_straight(s);
}

int place_extent(const struct span *s, struct extent *x)
{
	const struct place *p = s->place;

	if (p && p->dev)
		return extent_of(p->dev->fd, s->off, s->len, x);
	return p && p->mount ? extent_of(mount_device(p->mount), 0, 0, x) : -EAGAIN;
}
