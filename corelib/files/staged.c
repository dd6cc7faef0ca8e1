/* Files that become live in one move; the names in the staging folder tell the state. */
#include "corelib/files/staged.h"

#include "corelib/files/beneath.h"
#include "corelib/files/keep.h"
#include "corelib/files/nature.h"
#include "corelib/files/staged_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define PREFIX ".swinstall-"

enum part { PART_NEW, PART_OLD, PART_NONE, PART_BACK };

static const char *part_name(const struct staged *s, enum part p, char out[32])
{
	static const char *const suffix[] = {"new", "old", "none", "old.back"};

	text_print(out, 32, "%u.%s", s->address.index, suffix[p]);
	return out;
}

static void stage_name(const struct staged *s, char out[64])
{
	text_print(out, 64, PREFIX "%s", s->address.txn);
}

/* the place in every message */
int staged_at(const struct staged *s, struct err *e, int rc)
{
	const char *slash = s->address.folder[1] ? "/" : "";
	const char *on = s->address.device[0] ? " on " : "";

	return err_at(e, rc, "%s%s%s%s%s", s->address.folder, slash, s->address.name, on,
		      s->address.device);
}

int staged_failed(const struct staged *s, struct err *e, int rc, const char *what)
{
	enum errcode code = rc == -ENOSPC || rc == -EDQUOT ? E_NO_SPACE
			    : rc == -ENOMEM		   ? E_MEMORY
							   : E_FILE;

	err_sys(e, code, -rc, "%s", what);
	return staged_at(s, e, rc);
}

/* ---- where it is ---- */

static bool has_dots(const char *path)
{
	for (const char *p = path; p; p = strchr(p, '/')) {
		size_t n;

		p += *p == '/';
		n = strcspn(p, "/");
		if ((n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return true;
	}
	return false;
}

static int split(struct staged_address *pl, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	size_t n;

	if (path[0] != '/' || has_dots(path))
		return err_set(e, E_FILE, EINVAL,
			       "the path must be absolute, without '.' and '..'");
	if (text_has_control(path, strlen(path)) || !text_is_utf8(path, strlen(path)) ||
	    strpbrk(path, "\n\r\t"))
		return err_set(e, E_FILE, EINVAL, "the path has control bytes");
	if (strncmp(slash + 1, PREFIX, strlen(PREFIX)) == 0)
		return err_set(e, E_FILE, EINVAL, "the path must end with the name of a file");
	while (slash[1] == '\0' && slash > path && slash[-1] == '/')
		slash--;
	n = slash > path ? (size_t)(slash - path) : 1;
	if (n >= sizeof(pl->folder) ||
	    text_copy(pl->name, sizeof(pl->name), slash + 1 + strspn(slash + 1, "/")) < 0)
		return err_set(e, E_FILE, ENAMETOOLONG, "the path is too long");
	memcpy(pl->folder, path, n);
	pl->folder[n] = '\0';
	return 0;
}

static int check_txn(const char *txn, struct err *e)
{
	if (strlen(txn) != 16 || strspn(txn, "0123456789abcdef") != 16)
		return err_set(e, E_INTERNAL, EINVAL, "a transaction has 16 hexadecimal digits");
	return 0;
}

static int open_folder(struct staged *s, struct err *e)
{
	int fd = staged_folder_open(&s->address, s->root_fd, e);

	if (fd >= 0)
		s->folder_fd = fd;
	if (fd < 0 && err_is_set(e))
		staged_at(s, e, fd);
	return fd < 0 ? fd : 0;
}

static int check_target(struct staged *s, struct err *e)
{
	struct stat st;
	int rc;

	s->existed = staged_is_tree(s);
	if (staged_is_tree(s))
		return 0;
	rc = fstatat(s->folder_fd, s->address.name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? 1
	     : errno == ENOENT							   ? 0
										   : -errno;
	if (rc < 0)
		return staged_failed(s, e, rc, "the target cannot be examined");
	s->existed = rc == 1;
	if (rc == 1 && S_ISLNK(st.st_mode))
		return staged_at(s, e,
				 err_set(e, E_FILE, ELOOP,
					 "it is a symbolic link; name the file that it "
					 "leads to"));
	if (rc == 1 && !S_ISREG(st.st_mode))
		return staged_at(s, e,
				 err_set(e, E_FILE, EISDIR,
					 "there is something that is not a regular file"));
	return 0;
}

/* -ENOENT without *e when it is not there */
static int open_stage(struct staged *s, struct err *e)
{
	char name[64];
	struct stat st;
	int fd;

	stage_name(s, name);
	fd = beneath_open_dir(s->folder_fd, name);
	if (fd == -ENOENT)
		return fd;
	if (fd < 0)
		return staged_failed(s, e, fd, "the staging folder cannot be opened");
	s->stage_fd = fd;
	if (fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 022))
		return staged_at(s, e,
				 err_set(e, E_FILE, EPERM, "somebody else made '%s' here", name));
	return 0;
}

static int staged_new(struct staged **s, struct err *e)
{
	*s = calloc(1, sizeof(**s));
	if (!*s)
		return err_set(e, E_MEMORY, ENOMEM, "a staged file");
	(*s)->folder_fd = (*s)->stage_fd = (*s)->root_fd = -1;
	return 0;
}

static int look(struct staged *s, bool create, struct err *e)
{
	int rc = open_folder(s, e);

	s->create = create;
	if (rc == 0)
		return check_target(s, e);
	if ((rc == -ENOENT && create) || err_is_set(e))
		return err_is_set(e) ? rc : 0;
	staged_failed(s, e, rc, "the folder cannot be opened");
	if (rc == -ENOENT)
		err_fix(e,
			"make the folder, or give the entry the property create-destination = \"true\"");
	return rc;
}

int staged_name(struct staged **out, const char *path, unsigned index, bool create, struct err *e)
{
	int rc = staged_new(out, e);

	if (rc < 0)
		return rc;
	(*out)->address.index = index;
	(*out)->create = create;
	rc = err_at(e, split(&(*out)->address, path, e), "%s", path);
	if (rc < 0)
		*out = staged_close(*out);
	return rc;
}

int staged_open(struct staged **out, const char *path, const char *txn, unsigned index, bool create,
		struct err *e)
{
	int rc = txn ? check_txn(txn, e) : 0;

	*out = NULL;
	if (rc == 0)
		rc = staged_name(out, path, index, create, e);
	if (rc < 0)
		return rc;
	if (txn)
		text_copy((*out)->address.txn, sizeof((*out)->address.txn), txn);
	rc = look(*out, create, e);
	if (rc < 0)
		*out = staged_close(*out);
	return rc;
}

int staged_begin(struct staged *s, const char *txn, bool straight, struct err *e)
{
	int rc = check_txn(txn, e);

	s->straight = straight;
	return rc < 0 ? rc : text_copy(s->address.txn, sizeof(s->address.txn), txn);
}

int staged_bind(struct staged *s, int root, struct err *e)
{
	s->root_fd = root;
	return s->folder_fd < 0 ? look(s, s->create, e) : 0;
}

struct staged *staged_close(struct staged *s)
{
	if (!s)
		return NULL;
	sys_close(&s->stage_fd);
	sys_close(&s->folder_fd);
	for (size_t i = 0; i < STAGED_CLOSED; i++)
		free(s->closed[i]);
	free(s);
	return NULL;
}

/* has the new content left its folder? 1, 0, -errno. A cut may leave it both names, or take the
 * target away that has an old one: then it has too */
static int has_moved(const struct staged *s, const bool has[3])
{
	char name[32];
	int there;

	if (!has[PART_NEW])
		return 1;
	there = beneath_has(s->folder_fd, s->address.name);
	if (there <= 0)
		return there < 0 ? there : has[PART_OLD];
	return keep_is_same(s->stage_fd, part_name(s, PART_NEW, name), s->folder_fd,
			    s->address.name);
}

/* what the names say; 0 or -errno with *e */
static int read_state(struct staged *s, bool has[3], struct err *e)
{
	char name[32];
	int moved;

	for (enum part p = PART_NEW; p <= PART_NONE; p++) {
		int rc = s->stage_fd < 0 ? 0 : beneath_has(s->stage_fd, part_name(s, p, name));

		if (rc < 0)
			return staged_failed(s, e, rc, "the staging folder cannot be read");
		has[p] = rc == 1;
	}
	moved = has_moved(s, has);
	if (moved < 0)
		return staged_failed(s, e, moved, "the target cannot be examined");
	s->published = moved && (has[PART_OLD] || has[PART_NONE]);
	return 0;
}

/* "nothing is there" may mean that its file system is not mounted yet */
static int check_mounted(const struct staged *s, struct err *e)
{
	const struct fsmark *noted = &s->address.fs;
	struct fsmark now;
	bool other;
	int rc;

	if (s->root_fd >= 0 || !fsmark_is_known(noted))
		return 0;
	rc = staged_folder_mark(&s->address, &now);
	if (rc < 0)
		return staged_failed(s, e, rc, "its file system cannot be examined");
	if (fsmark_same(noted, &now))
		return 0;
	other = strcmp(noted->point, now.point) == 0;
	return staged_at(s, e,
			 err_set(e, E_NOT_MOUNTED, other ? ESTALE : EAGAIN,
				 "not yet: the file system (%s%s%s) of '%s' is not mounted%s",
				 noted->type, noted->id[0] ? ", " : "", noted->id, noted->point,
				 other ? ", another one is there" : ""));
}

static int find_again(struct staged *s, struct err *e)
{
	bool has[3];
	int rc = check_mounted(s, e);

	if (rc == 0)
		rc = open_folder(s, e);
	if (rc < 0)
		return rc == -ENOENT || err_is_set(e)
			       ? rc
			       : staged_failed(s, e, rc, "the folder cannot be opened");
	rc = open_stage(s, e);
	if (rc == 0)
		rc = read_state(s, has, e);
	if (rc == 0)
		s->existed = has[PART_OLD] ||
			     (!has[PART_NONE] && beneath_has(s->folder_fd, s->address.name) == 1);
	return rc;
}

int staged_find(struct staged **out, const struct staged_address *p, int root, struct err *e)
{
	int rc = staged_new(out, e);

	if (rc < 0)
		return rc;
	(*out)->address = *p;
	(*out)->root_fd = root;
	rc = check_txn(p->txn, e);
	if (rc == 0)
		rc = find_again(*out, e);
	if (rc == 0)
		return 1;
	*out = staged_close(*out);
	return rc == -ENOENT && !err_is_set(e) ? 0 : rc;
}

/* ---- the content ---- */

int staged_make_folder(struct staged *s, struct err *e)
{
	int rc;

	if (s->folder_fd >= 0)
		return 0;
	rc = s->create ? staged_folder_make(&s->address, s->root_fd, e) : 0;
	if (rc < 0)
		return err_is_set(e) ? staged_at(s, e, rc)
				     : staged_failed(s, e, rc, "the folder cannot be made");
	rc = open_folder(s, e);
	if (rc < 0 && !err_is_set(e))
		return staged_failed(s, e, rc, "the folder cannot be opened");
	return rc;
}

int staged_make_stage(struct staged *s, struct err *e)
{
	char name[64];
	int rc;

	if (s->stage_fd >= 0)
		return 0;
	rc = staged_make_folder(s, e);
	if (rc < 0)
		return rc;
	stage_name(s, name);
	rc = sys_mkdirat(s->folder_fd, name, 0700);
	if (rc < 0 && rc != -EEXIST)
		return staged_failed(s, e, rc, "the staging folder cannot be made");
	rc = open_stage(s, e);
	return rc < 0 && !err_is_set(e) ? staged_failed(s, e, rc, "the staging folder is gone")
					: rc;
}

static int copy_nature(const struct staged *s, int to)
{
	AUTO_CLOSE int from =
		sys_openat(s->folder_fd, s->address.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);

	return from < 0 ? from : nature_copy(from, to);
}

int staged_create(struct staged *s, unsigned mode, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	char name[32];
	int rc;

	if (staged_make_stage(s, e) < 0 || check_target(s, e) < 0)
		return -e->sys;
	part_name(s, PART_NEW, name);
	rc = sys_unlinkat(s->stage_fd, name, 0); /* of a first try in the same transaction */
	if (rc < 0 && rc != -ENOENT)
		return staged_failed(s, e, rc, "an earlier content cannot be removed");
	fd = sys_openat(s->stage_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
	if (fd < 0)
		return staged_failed(s, e, fd, "the new file cannot be made");
	if (s->existed)
		rc = copy_nature(s, fd);
	else
		rc = fchmod(fd, mode) < 0 ? -errno : 0;
	if (rc < 0)
		return staged_failed(s, e, rc, "mode and owner cannot be set");
	rc = fd;
	fd = -1;
	return rc;
}

int staged_content(struct staged *s, struct err *e)
{
	char name[32];
	int fd;

	part_name(s, PART_NEW, name);
	fd = sys_openat(s->stage_fd, name, O_RDWR | O_NOFOLLOW, 0);
	return fd < 0 ? staged_failed(s, e, fd, "the new file cannot be read back") : fd;
}

static int look_fs(struct staged *s, struct err *e)
{
	int rc = 0;

	if (s->root_fd >= 0)
		return 0;
	rc = s->folder_fd >= 0 ? fsmark_of(s->folder_fd, &s->address.fs)
			       : staged_folder_mark(&s->address, &s->address.fs);
	return rc < 0 ? staged_failed(s, e, rc, "its file system cannot be examined") : 0;
}

int staged_look_kept(struct staged *s, struct err *e)
{
	int rc = s->folder_fd >= 0 ? 0 : staged_folder_kept(&s->address, s->root_fd);

	if (rc < 0)
		return staged_failed(s, e, rc, "the folder cannot be examined");
	s->address.kept = (unsigned)rc;
	return look_fs(s, e);
}

/* ---- the four verbs ---- */

static int sync_folders(struct staged *s, struct err *e)
{
	int rc = s->stage_fd < 0 ? 0 : sys_fsync(s->stage_fd);

	if (rc == 0 && s->folder_fd >= 0)
		rc = sys_fsync(s->folder_fd);
	return rc < 0 ? staged_failed(s, e, rc, "the folder cannot be flushed") : 0;
}

int staged_sync(struct staged *s, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	char name[32];
	int rc;

	if (staged_is_tree(s))
		return staged_tree_sync(s, e);
	if (s->stage_fd < 0)
		return staged_at(s, e, err_set(e, E_INTERNAL, ENOENT, "there is no new content"));
	fd = beneath_open(s->stage_fd, part_name(s, PART_NEW, name), O_RDONLY);
	if (fd == -ENOENT) /* published already */
		return sync_folders(s, e);
	rc = fd < 0 ? fd : sys_fsync(fd);
	return rc < 0 ? staged_failed(s, e, rc, "the new content cannot be flushed")
		      : sync_folders(s, e);
}

static int keep_old(struct staged *s, struct err *e)
{
	char name[32];
	int rc;

	part_name(s, PART_OLD, name);
	rc = sys_unlinkat(s->stage_fd, name, 0); /* of a publish that was cut: it may be stale */
	if (rc == 0 || rc == -ENOENT)
		rc = keep_file(s->folder_fd, s->address.name, s->stage_fd, name);
	return rc < 0 ? staged_failed(s, e, rc, "the old file cannot be kept aside") : 0;
}

static int note_none(struct staged *s, struct err *e)
{
	char name[32];
	int fd = sys_openat(s->stage_fd, part_name(s, PART_NONE, name),
			    O_WRONLY | O_CREAT | O_NOFOLLOW, 0600);

	if (fd < 0)
		return staged_failed(s, e, fd, "the staging folder cannot be written");
	sys_close(&fd);
	return 0;
}

static int move_new(struct staged *s, unsigned flags, struct err *e)
{
	char name[32];
	int rc;

	part_name(s, PART_NEW, name);
	rc = sys_renameat(s->stage_fd, name, s->folder_fd, s->address.name, flags);
	if (flags && (rc == -EINVAL || rc == -ENOSYS)) /* a file system of before these flags */
		rc = sys_renameat(s->stage_fd, name, s->folder_fd, s->address.name, 0);
	if (rc == -EEXIST)
		return staged_at(s, e,
				 err_set(e, E_FILE, EEXIST, "somebody made this file meanwhile"));
	return rc < 0 ? staged_failed(s, e, rc, "the new file cannot be put in place") : 0;
}

static int unlink_part(struct staged *s, enum part p, struct err *e)
{
	char name[32];
	int rc = sys_unlinkat(s->stage_fd, part_name(s, p, name), 0);

	return rc < 0 && rc != -ENOENT
		       ? staged_failed(s, e, rc, "the staging folder cannot be tidied")
		       : 0;
}

/* durable before the move: what there was, by the names beside the new content */
static int note_old(struct staged *s, struct err *e)
{
	int rc;

	/* scripts may have run since it was opened: what is there now is what comes back */
	if (check_target(s, e) < 0)
		return -e->sys;
	rc = s->existed ? keep_old(s, e) : note_none(s, e);
	if (rc < 0)
		return rc;
	/* of a publish that was cut, when it was the other way */
	rc = unlink_part(s, s->existed ? PART_NONE : PART_OLD, e);
	if (rc < 0)
		return rc;
	rc = sys_fsync(s->stage_fd);
	return rc < 0 ? staged_failed(s, e, rc, "the staging folder cannot be flushed") : 0;
}

int staged_publish(struct staged *s, struct err *e)
{
	bool has[3];
	int rc;

	if (staged_is_tree(s))
		return staged_tree_publish(s, e);
	if (read_state(s, has, e) < 0)
		return -e->sys;
	if (s->published)
		return sync_folders(s, e);
	if (!has[PART_NEW])
		return staged_at(s, e, err_set(e, E_INTERNAL, ENOENT, "there is no new content"));
	rc = note_old(s, e);
	if (rc < 0)
		return rc;
	rc = move_new(s, s->existed ? 0 : RENAME_NOREPLACE, e);
	if (rc < 0)
		return rc;
	rc = sync_folders(s, e);
	if (rc < 0)
		return rc;
	s->published = true;
	return 0;
}

int staged_revert(struct staged *s, struct err *e)
{
	char name[32];
	bool has[3];
	int rc;

	if (staged_is_tree(s))
		return staged_tree_revert(s, e);
	if (read_state(s, has, e) < 0)
		return -e->sys;
	if (!s->published)
		return 0;
	if (has[PART_OLD])
		rc = keep_put_back(s->stage_fd, part_name(s, PART_OLD, name), s->folder_fd,
				   s->address.name);
	else
		rc = sys_unlinkat(s->folder_fd, s->address.name, 0);
	if (rc < 0 && rc != -ENOENT)
		return staged_failed(s, e, rc, "the old state cannot be brought back");
	s->published = false;
	/* the marks go last, when the target is durable: until then it can be done again. */
	if (sync_folders(s, e) < 0 || unlink_part(s, PART_OLD, e) < 0 ||
	    unlink_part(s, PART_NONE, e) < 0)
		return -e->sys;
	return 0;
}

/* marks before content: content alone is 'not published', a mark alone would be 'published' */
int staged_drop(struct staged *s, struct err *e)
{
	if (staged_is_tree(s))
		return staged_tree_drop(s, e);
	if (s->stage_fd < 0)
		return 0;
	if (unlink_part(s, PART_OLD, e) < 0 || unlink_part(s, PART_NONE, e) < 0 ||
	    unlink_part(s, PART_BACK, e) < 0 || unlink_part(s, PART_NEW, e) < 0)
		return -e->sys;
	return staged_remove_stage(s, e);
}

void staged_undo(struct staged *s)
{
	struct err own = {0};

	if (staged_revert(s, &own) == 0 && staged_drop(s, &own) == 0)
		staged_unmake(&s->address, s->root_fd, &own);
}

int staged_remove_stage(struct staged *s, struct err *e)
{
	char name[64];
	int rc;

	stage_name(s, name);
	rc = sys_unlinkat(s->folder_fd, name, AT_REMOVEDIR);
	if (rc < 0 && rc != -ENOENT && rc != -ENOTEMPTY && rc != -EEXIST)
		return staged_failed(s, e, rc, "the staging folder cannot be removed");
	rc = sys_fsync(s->folder_fd);
	return rc < 0 ? staged_failed(s, e, rc, "the folder cannot be flushed") : 0;
}
