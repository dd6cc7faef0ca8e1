#include "corelib/files/staged_moves.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "corelib/base/digest.h"
#include "corelib/files/beneath.h"
#include "corelib/files/nature.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define TEXT_MAX  (64u * 1024 * 1024)
#define PATH_ROOM 4096u
enum { DEPTH_MAX = 130 };

/* ---- the list ---- */

static int add(struct moves *l, char kind, const char *path, struct err *e)
{
	size_t n = strlen(path) + 2;

	if (l->len + n > l->room) {
		size_t room = l->room ? l->room * 2 : 65536;
		char *text = l->room < TEXT_MAX ? realloc(l->text, room) : NULL;

		if (!text)
			return err_set(e, E_MEMORY, ENOMEM, "no memory for the moves of a tree");
		l->text = text;
		l->room = room;
	}
	l->text[l->len] = kind;
	memcpy(l->text + l->len + 1, path, n - 1);
	l->len += n;
	l->count++;
	return 0;
}

void moves_clear(struct moves *l)
{
	free(l->text);
	*l = (struct moves){0};
}

bool moves_next(const struct moves *l, struct move *m)
{
	if (m->at >= l->len)
		return false;
	if (m->path)
		m->index++;
	m->kind = l->text[m->at];
	m->path = l->text + m->at + 1;
	m->at += strlen(m->path) + 2;
	return true;
}

void moves_last(const struct moves *l, struct move *m)
{
	*m = (struct move){.at = l->len, .index = l->count};
}

bool moves_before(const struct moves *l, struct move *m)
{
	size_t at = m->at;

	if (at == 0 || m->index == 0)
		return false;
	at--; /* the NUL */
	while (at > 0 && l->text[at - 1] != '\0')
		at--;
	m->kind = l->text[at];
	m->path = l->text + at + 1;
	m->at = at;
	m->index--;
	return true;
}

/* ---- what has to move ---- */

struct walk {
	struct moves *l;
	dev_t dev;
	char path[PATH_ROOM];
	size_t len;
	struct err *e;
};

static int clash(const struct walk *w, const char *why)
{
	char shown[160];

	text_printable(w->path, w->len, shown, sizeof(shown));
	return err_set(w->e, E_FILE, EEXIST, "'%s': %s", shown, why);
}

static int descend(struct walk *w, int fresh, int here, unsigned depth);

/* folders that are on both sides, both open for reading */
static int look_at_nature(struct walk *w, int fresh, int here)
{
	int rc = nature_of_folder_same(fresh, here);

	if (rc < 0)
		return err_sys(w->e, E_FILE, -rc, "owner and mode of a folder cannot be read");
	return rc ? 0 : add(w->l, MOVE_NATURE, w->len ? w->path : ".", w->e);
}

static int look_into(struct walk *w, int fresh, int here, const char *name, unsigned depth)
{
	AUTO_CLOSE int to = beneath_open_dir(here, name);
	int from = beneath_open_dir(fresh, name);

	if (to < 0 || from < 0) {
		int rc = to < 0 ? to : from;

		sys_close(&from);
		return err_sys(w->e, rc == -ENOMEM ? E_MEMORY : E_FILE, -rc,
			       "a folder cannot be opened");
	}
	if (look_at_nature(w, from, to) < 0) {
		sys_close(&from);
		return -w->e->sys;
	}
	return descend(w, from, to, depth + 1);
}

static int both_there(struct walk *w, bool folder, const struct stat *old)
{
	if (S_ISDIR(old->st_mode) && !folder)
		return clash(w, "there is a folder where the archive has none");
	if (S_ISLNK(old->st_mode) && folder)
		return clash(w, "there is a link where the archive has a folder, and links are not "
				"followed; name the folder that it leads to");
	if (folder && S_ISDIR(old->st_mode))
		return old->st_dev == w->dev
			       ? 1
			       : clash(w, "another file system is mounted there; give its files an "
					  "entry of their own");
	return add(w->l, folder ? MOVE_FOLDER : MOVE_REPLACE, w->path, w->e);
}

/* of the new content: 1 = a folder; most file systems tell it with the name */
static int is_folder(struct walk *w, int fresh, const struct dirent *at)
{
	struct stat st;

	if (at->d_type != DT_UNKNOWN)
		return at->d_type == DT_DIR;
	if (fstatat(fresh, at->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(w->e, E_FILE, errno, "the new content cannot be examined");
	return S_ISDIR(st.st_mode);
}

static int look_at(struct walk *w, int fresh, int here, const struct dirent *at, unsigned depth)
{
	const char *name = at->d_name;
	struct stat old;
	int rc, folder = is_folder(w, fresh, at);

	if (folder < 0)
		return folder;
	if (fstatat(here, name, &old, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT
			       ? add(w->l, MOVE_ADD, w->path, w->e)
			       : err_sys(w->e, E_FILE, errno, "the target cannot be examined");
	rc = both_there(w, folder, &old);
	return rc <= 0 ? rc : look_into(w, fresh, here, name, depth);
}

static int one(struct walk *w, int fresh, int here, const struct dirent *at, unsigned depth)
{
	size_t len = w->len, n = strlen(at->d_name);
	int rc;

	if (len + n + 2 > sizeof(w->path))
		return clash(w, "the path is too long");
	if (len)
		w->path[w->len++] = '/';
	memcpy(w->path + w->len, at->d_name, n + 1);
	w->len += n;
	rc = look_at(w, fresh, here, at, depth);
	w->len = len;
	w->path[len] = '\0';
	return rc;
}

/* takes 'fresh'; its depth is bounded by the one of trees */
static int descend(struct walk *w, int fresh, int here, unsigned depth)
{
	DIR *d = depth > DEPTH_MAX ? NULL : fdopendir(fresh);
	const struct dirent *at;
	int rc = 0;

	if (!d) {
		rc = depth > DEPTH_MAX ? ELOOP : errno;
		sys_close(&fresh);
		return err_sys(w->e, rc == ENOMEM ? E_MEMORY : E_FILE, rc,
			       "a folder cannot be read");
	}
	while (rc == 0 && (errno = 0, at = readdir(d)))
		if (strcmp(at->d_name, ".") != 0 && strcmp(at->d_name, "..") != 0)
			rc = one(w, fresh, here, at, depth);
	if (rc == 0 && errno)
		rc = err_sys(w->e, E_FILE, errno, "a folder cannot be read");
	closedir(d);
	return rc;
}

int moves_plan(struct moves *l, int fresh, int here, struct err *e)
{
	struct walk w = {.l = l, .e = e};
	struct stat st;
	int from;

	if (fstat(here, &st) < 0)
		return err_sys(e, E_FILE, errno, "the target cannot be examined");
	w.dev = st.st_dev;
	from = beneath_open_dir(fresh, ".");
	if (from < 0)
		return err_sys(e, E_FILE, -from, "the new content cannot be opened");
	if (look_at_nature(&w, from, here) < 0) {
		sys_close(&from);
		return -e->sys;
	}
	return descend(&w, from, here, 0);
}

/* ---- kept ---- */

static int digest(const struct moves *l, uint8_t sum[SHA256_LEN])
{
	struct err ignored = {0};

	return sha256_once(l->text ? l->text : "", l->len, sum, &ignored);
}

int moves_save(const struct moves *l, int dir, const char *name)
{
	uint8_t sum[SHA256_LEN];
	AUTO_CLOSE int fd = -1;
	int rc = digest(l, sum);

	if (rc == 0)
		rc = fd = sys_openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
	if (rc >= 0 && l->len)
		rc = sys_write(fd, l->text, l->len);
	if (rc >= 0)
		rc = sys_write(fd, sum, sizeof(sum));
	return rc < 0 ? rc : sys_fsync(fd);
}

int moves_load(struct moves *l, int dir, const char *name)
{
	uint8_t sum[SHA256_LEN];
	struct move m = {0};
	size_t n;
	int rc = sys_read_file(dir, name, TEXT_MAX + SHA256_LEN, &l->text, &n);

	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	l->len = n < SHA256_LEN ? 0 : n - SHA256_LEN;
	rc = digest(l, sum);
	if (rc < 0 || n < SHA256_LEN || memcmp(sum, l->text + l->len, SHA256_LEN) != 0) {
		moves_clear(l);
		return rc < 0 ? rc : 0;
	}
	while (moves_next(l, &m))
		l->count++;
	return 1;
}
