/* Trees that go into a live folder: a durable list first, then move by move. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "corelib/files/beneath.h"
#include "corelib/files/keep.h"
#include "corelib/base/digest.h"
#include "corelib/files/nature.h"
#include "corelib/files/staged_moves.h"
#include "corelib/files/staged_private.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

enum side { SIDE_NEW, SIDE_OLD, SIDE_LIST };

/* both sides of a tree while moves are made or undone */
struct sides {
	struct staged *s;
	struct beneath here, fresh; /* the target; the new content */
	int new_fd, old_fd;
};

static const char *side_name(const struct staged *s, enum side side, char out[32])
{
	static const char *const suffix[] = {"new", "old", "list"};

	text_print(out, 32, "%u.%s", s->address.index, suffix[side]);
	return out;
}

static int flush_stage(struct staged *s, struct err *e)
{
	int rc = sys_fsync(s->stage_fd);

	return rc < 0 ? staged_failed(s, e, rc, "the staging folder cannot be flushed") : 0;
}

/* one call for all files and folders; fsync behind it tells of a journal that gave up */
static int flush_all(struct staged *s, struct err *e)
{
	int rc = sys_syncfs(s->stage_fd);

	if (rc < 0)
		return staged_failed(s, e, rc, "its file system cannot be flushed");
	return flush_stage(s, e);
}

/* ---- the content ---- */

static int make_side(struct staged *s, enum side side, unsigned mode, struct err *e)
{
	char name[32];
	int fd, rc = beneath_remove(s->stage_fd, side_name(s, side, name));

	if (rc == 0)
		rc = sys_mkdirat(s->stage_fd, name, 0700);
	if (rc < 0)
		return staged_failed(s, e, rc, "a folder for the new content cannot be made");
	fd = beneath_open_dir(s->stage_fd, name);
	if (fd >= 0 && sys_fchmod(fd, mode) < 0)
		sys_close(&fd);
	return fd < 0 ? staged_failed(s, e, -EIO, "a folder for the new content cannot be opened")
		      : fd;
}

/* as the folder itself is, until the archive says something else */
static int make_new(struct staged *s, struct err *e)
{
	int rc, fd = make_side(s, SIDE_NEW, 0755, e);

	if (fd < 0)
		return fd;
	rc = nature_of_folder_copy(s->folder_fd, fd);
	if (rc == 0)
		return fd;
	sys_close(&fd);
	return staged_failed(s, e, rc, "owner and mode of the folder cannot be kept");
}

int staged_tree_folder(struct staged *s, struct err *e)
{
	int fd, rc = s->straight ? staged_make_folder(s, e) : staged_make_stage(s, e);

	if (rc < 0)
		return rc;
	if (!s->straight)
		return make_new(s, e);
	fd = beneath_open_dir(s->folder_fd, ".");
	return fd < 0 ? staged_failed(s, e, fd, "the folder cannot be opened") : fd;
}

int staged_tree_sync(struct staged *s, struct err *e)
{
	return s->straight || s->stage_fd < 0 ? 0 : flush_all(s, e);
}

/* ---- both sides ---- */

static void sides_close(struct sides *x)
{
	beneath_clear(&x->here);
	beneath_clear(&x->fresh);
	sys_close(&x->new_fd);
	sys_close(&x->old_fd);
}

/* 0; -ENOENT without *e when there is no new content */
static int sides_open(struct sides *x, struct staged *s, struct err *e)
{
	char name[32];

	*x = (struct sides){.s = s, .new_fd = -1, .old_fd = -1};
	x->new_fd = beneath_open_dir(s->stage_fd, side_name(s, SIDE_NEW, name));
	x->old_fd = beneath_open_dir(s->stage_fd, side_name(s, SIDE_OLD, name));
	beneath_init(&x->here, s->folder_fd);
	beneath_init(&x->fresh, x->new_fd);
	if (x->new_fd >= 0)
		return 0;
	return x->new_fd == -ENOENT
		       ? -ENOENT
		       : staged_failed(s, e, x->new_fd, "the new content cannot be opened");
}

static int move_failed(const struct sides *x, const char *path, int rc, const char *what,
		       struct err *e)
{
	char shown[160];

	text_printable(path, strlen(path), shown, sizeof(shown));
	err_sys(e, rc == -ENOSPC || rc == -EDQUOT ? E_NO_SPACE : E_FILE, -rc, "'%s': %s", shown,
		what);
	return staged_at(x->s, e, rc);
}

struct spot {
	int here, fresh; /* the folders that hold it */
	const char *name, *fresh_name;
	char old[24];
};

/* folders that are gone are -ENOENT in the place of the descriptor */
static int find_spot(struct sides *x, const struct move *m, struct spot *at)
{
	at->here = beneath_parent(&x->here, m->path, &at->name);
	at->fresh = beneath_parent(&x->fresh, m->path, &at->fresh_name);
	text_print(at->old, sizeof(at->old), "%u", m->index);
	if (at->here < 0 && at->here != -ENOENT)
		return at->here;
	return at->fresh < 0 && at->fresh != -ENOENT ? at->fresh : 0;
}

/* owner, mode and ACLs from one side to the other; -ENOENT when one is not there */
static int copy_nature(int from, const char *from_name, int to, const char *to_name, bool flush)
{
	AUTO_CLOSE int a = from < 0 ? from : beneath_open_dir(from, from_name);
	AUTO_CLOSE int b = to < 0 ? to : beneath_open_dir(to, to_name);
	int rc = a < 0 || b < 0 ? (a < 0 ? a : b) : nature_of_folder_copy(a, b);

	return rc == 0 && flush ? sys_fsync(b) : rc;
}

/* ---- publish ---- */

/* an empty folder remembers it */
static int keep_nature(const struct sides *x, const struct spot *at)
{
	int rc = sys_mkdirat(x->old_fd, at->old, 0700);

	return rc < 0 ? rc : copy_nature(at->here, at->name, x->old_fd, at->old, true);
}

static int keep_one(struct sides *x, const struct move *m, struct err *e)
{
	struct spot at;
	int rc = find_spot(x, m, &at);

	if (rc < 0)
		return move_failed(x, m->path, rc, "its folder cannot be opened", e);
	if (m->kind == MOVE_NATURE) {
		rc = keep_nature(x, &at);
		return rc == 0 ? 0
			       : move_failed(x, m->path, rc, "owner and mode cannot be kept", e);
	}
	if (m->kind != MOVE_ADD)
		rc = keep_file(at.here, at.name, x->old_fd, at.old);
	return rc == 0 ? 0 : move_failed(x, m->path, rc, "the old file cannot be kept aside", e);
}

static int move_one(struct sides *x, const struct move *m, struct err *e)
{
	const unsigned flags = m->kind == MOVE_ADD ? RENAME_NOREPLACE : 0;
	struct spot at;
	int rc = find_spot(x, m, &at);

	if (rc < 0)
		return move_failed(x, m->path, rc, "its folder cannot be opened", e);
	if (m->kind == MOVE_NATURE) {
		rc = copy_nature(at.fresh, at.fresh_name, at.here, at.name, false);
		return rc == 0 ? 0 : move_failed(x, m->path, rc, "owner and mode cannot be set", e);
	}
	if (m->kind == MOVE_FOLDER) /* no folder replaces a file by itself */
		rc = sys_unlinkat(at.here, at.name, 0);
	if (rc == 0)
		rc = sys_renameat(at.fresh, at.fresh_name, at.here, at.name, flags);
	if (flags && (rc == -EINVAL || rc == -ENOSYS)) /* a file system of before these flags */
		rc = sys_renameat(at.fresh, at.fresh_name, at.here, at.name, 0);
	return rc < 0 ? move_failed(x, m->path, rc, "it cannot be put in place", e) : 0;
}

static int each(struct sides *x, const struct moves *l,
		int (*act)(struct sides *, const struct move *, struct err *), struct err *e)
{
	struct move m = {0};
	int rc = 0;

	while (rc == 0 && moves_next(l, &m))
		rc = act(x, &m, e);
	return rc;
}

/* old files and their names are durable before the list that speaks of them */
static int publish(struct sides *x, const struct moves *l, struct err *e)
{
	struct staged *s = x->s;
	char name[32];
	int rc = x->old_fd = make_side(s, SIDE_OLD, 0700, e);

	if (rc >= 0)
		rc = each(x, l, keep_one, e);
	if (rc < 0)
		return rc;
	rc = sys_fsync(x->old_fd);
	if (rc < 0)
		return staged_failed(s, e, rc, "the old files cannot be kept");
	rc = moves_save(l, s->stage_fd, side_name(s, SIDE_LIST, name));
	if (rc < 0)
		return staged_failed(s, e, rc, "the list of moves cannot be kept");
	rc = flush_stage(s, e);
	if (rc < 0)
		return rc;
	rc = each(x, l, move_one, e);
	return rc < 0 ? rc : flush_all(s, e);
}

int staged_tree_publish(struct staged *s, struct err *e)
{
	struct moves list = {0};
	struct sides x;
	int rc;

	if (s->straight || s->published)
		return 0;
	if (s->stage_fd < 0)
		return staged_at(s, e, err_set(e, E_INTERNAL, ENOENT, "there is no new content"));
	rc = sides_open(&x, s, e);
	if (rc == -ENOENT && !err_is_set(e))
		rc = staged_at(s, e, err_set(e, E_INTERNAL, ENOENT, "there is no new content"));
	if (rc == 0) {
		rc = moves_plan(&list, x.new_fd, s->folder_fd, e);
		staged_at(s, e, rc);
	}
	if (rc == 0)
		rc = publish(&x, &list, e);
	sides_close(&x);
	moves_clear(&list);
	s->published = rc == 0;
	return rc;
}

/* ---- back ---- */

static bool is_folder(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* what was added goes back, or goes away where a cut has left it both names */
static int take_away(const struct spot *at, bool fresh)
{
	if (fresh)
		return sys_unlinkat(at->here, at->name, 0);
	return at->fresh < 0 ? 0 : sys_renameat(at->here, at->name, at->fresh, at->fresh_name, 0);
}

/* each half of a move may have come to nothing: ours is what has left the new content or is still
 * there too */
static int take_back(struct sides *x, const struct move *m, const struct spot *at)
{
	const int fresh = beneath_has(at->fresh, at->fresh_name);
	const int here = beneath_has(at->here, at->name);
	const int old = m->kind == MOVE_ADD ? 0 : beneath_has(x->old_fd, at->old);
	int ours, rc;

	if (fresh < 0 || here < 0 || old < 0)
		return fresh < 0 ? fresh : here < 0 ? here : old;
	if (m->kind == MOVE_NATURE)
		return old && here ? copy_nature(x->old_fd, at->old, at->here, at->name, false) : 0;
	ours = fresh ? keep_is_same(at->here, at->name, at->fresh, at->fresh_name) : here;
	if (ours < 0)
		return ours;
	if (m->kind == MOVE_ADD)
		return ours ? take_away(at, fresh) : 0;
	if (!old || (here && !ours))
		return 0;
	if (here && m->kind == MOVE_FOLDER && is_folder(at->here, at->name)) {
		rc = take_away(at, fresh);
		if (rc < 0)
			return rc;
	}
	return at->here < 0 ? at->here : keep_put_back(x->old_fd, at->old, at->here, at->name);
}

static int revert(struct sides *x, const struct moves *l, struct err *e)
{
	struct move m;
	int rc = 0;

	moves_last(l, &m);
	while (rc == 0 && moves_before(l, &m)) {
		struct spot at;

		rc = find_spot(x, &m, &at);
		if (rc == 0)
			rc = take_back(x, &m, &at);
		if (rc < 0)
			return move_failed(x, m.path, rc, "the old state cannot be brought back",
					   e);
	}
	return rc;
}

/* durable: from here on nothing of it is taken for moved */
static int forget_list(struct staged *s, struct err *e)
{
	char name[32];
	int rc = sys_unlinkat(s->stage_fd, side_name(s, SIDE_LIST, name), 0);

	if (rc == -ENOENT)
		return 0;
	return rc < 0 ? staged_failed(s, e, rc, "the staging folder cannot be tidied")
		      : flush_stage(s, e);
}

int staged_tree_revert(struct staged *s, struct err *e)
{
	struct moves list = {0};
	struct sides x;
	char name[32];
	int rc;

	if (s->straight || s->stage_fd < 0)
		return 0;
	rc = moves_load(&list, s->stage_fd, side_name(s, SIDE_LIST, name));
	if (rc < 0)
		return staged_failed(s, e, rc, "the list of moves cannot be read");
	rc = rc == 0 ? 0 : sides_open(&x, s, e);
	if (list.text && rc == 0) {
		rc = revert(&x, &list, e);
		sides_close(&x);
		if (rc == 0)
			rc = flush_all(s, e);
	} else if (list.text) {
		sides_close(&x);
		if (rc == -ENOENT && !err_is_set(e))
			rc = 0;
	}
	moves_clear(&list);
	s->published = false;
	return rc < 0 ? rc : forget_list(s, e);
}

int staged_tree_drop(struct staged *s, struct err *e)
{
	char name[32];
	int rc;

	if (s->straight || s->stage_fd < 0)
		return 0;
	if (forget_list(s, e) < 0)
		return -e->sys;
	rc = beneath_remove(s->stage_fd, side_name(s, SIDE_OLD, name));
	if (rc == 0)
		rc = beneath_remove(s->stage_fd, side_name(s, SIDE_NEW, name));
	return rc < 0 ? staged_failed(s, e, rc, "the staging folder cannot be tidied")
		      : staged_remove_stage(s, e);
}
