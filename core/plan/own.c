#include "core/plan/own.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

enum { DEEP = 128, LINKS = 40 };

/* where a path leads: to something that exists, and behind it names that do not exist yet */
struct where {
	char path[PATH_MAX]; /* without links and without a slash at the end: "" is the root */
	size_t there;	     /* so many bytes of it exist */
	struct step_up {
		dev_t dev;
		ino_t ino;
		size_t at; /* the end of its name in path */
	} up[DEEP];	   /* from what exists up to the root */
	size_t count;
};

/* ---- links ---- */

/* cuts the last part off 'path'; it goes before 'rest' */
static int cut(char *path, char *rest, size_t n)
{
	char more[PATH_MAX], *slash = strrchr(path, '/');
	int rc = slash ? text_print(more, sizeof(more), "%s%s", slash, rest) : -EINVAL;

	if (rc < 0)
		return rc;
	*slash = '\0';
	return text_copy(rest, n, more);
}

/* 'link' with 'rest' behind it becomes what the link says; 0 where it is none */
static int take_link(char *link, char *rest)
{
	char to[PATH_MAX], whole[PATH_MAX], *slash = strrchr(link, '/');
	ssize_t n = readlink(link, to, sizeof(to) - 1);
	int rc;

	if (n <= 0 || !slash)
		return 0;
	to[n] = '\0';
	*slash = '\0';
	rc = *to == '/' ? text_print(whole, sizeof(whole), "%s%s", to, rest)
			: text_print(whole, sizeof(whole), "%s/%s%s", link, to, rest);
	*rest = '\0';
	return rc < 0 ? rc : text_copy(link, PATH_MAX, whole) < 0 ? -ENAMETOOLONG : 1;
}

/* w->path without links as far as it exists; a link to what does not exist yet is followed too */
static int resolve(struct where *w, const char *path)
{
	char now[PATH_MAX], rest[PATH_MAX] = "";
	unsigned links = 0;
	int rc = text_copy(now, sizeof(now), path);

	while (rc >= 0 && !realpath(*now ? now : "/", w->path)) {
		if (errno != ENOENT && errno != ENOTDIR)
			return -errno;
		rc = take_link(now, rest);
		if (rc == 0)
			rc = cut(now, rest, sizeof(rest));
		else if (++links > LINKS)
			rc = -ELOOP;
	}
	if (rc < 0)
		return rc;
	if (strcmp(w->path, "/") == 0)
		w->path[0] = '\0';
	w->there = strlen(w->path);
	for (size_t n = strlen(rest); n && rest[n - 1] == '/'; n--)
		rest[n - 1] = '\0';
	if (w->there + strlen(rest) >= sizeof(w->path))
		return -ENAMETOOLONG;
	memcpy(w->path + w->there, rest, strlen(rest) + 1);
	return 0;
}

/* ---- device and inode of all that lies on the way up ---- */

static int climb(struct where *w)
{
	char part[PATH_MAX];
	struct stat st;

	memcpy(part, w->path, w->there);
	part[w->there] = '\0';
	AUTO_CLOSE int fd = sys_openat(AT_FDCWD, *part ? part : "/", O_PATH | O_NOFOLLOW, 0);

	w->count = 0;
	for (size_t at = w->there;; w->count++) {
		if (fd < 0 || fstat(fd, &st) < 0)
			return fd < 0 ? fd : -errno;
		if (w->count == DEEP)
			return -ELOOP;
		w->up[w->count] = (struct step_up){st.st_dev, st.st_ino, at};
		if (at == 0) {
			w->count++;
			return 0;
		}
		while (at > 0 && part[at - 1] != '/')
			at--;
		at -= at > 0;
		part[at] = '\0';
		/* the step up is one of the file system; from a file it is that of its name */
		int up = S_ISDIR(st.st_mode) ? sys_openat(fd, "..", O_PATH | O_DIRECTORY, 0)
					     : sys_openat(AT_FDCWD, *part ? part : "/",
							  O_PATH | O_DIRECTORY, 0);
		sys_close(&fd);
		fd = up;
	}
}

static int look_up(struct where *w, const char *path)
{
	int rc = resolve(w, path);

	return rc < 0 ? rc : climb(w);
}

/* the file 'name' in 'folder': itself, not what it leads to where it is a link */
static int look_up_file(struct where *w, const char *folder, const char *name)
{
	struct stat st;
	int rc = look_up(w, folder);
	size_t n = strlen(w->path), len = strlen(name);

	if (rc < 0 || !len)
		return rc;
	if (n + len + 2 > sizeof(w->path) || w->count == DEEP)
		return -ENAMETOOLONG;
	w->path[n] = '/';
	memcpy(w->path + n + 1, name, len + 1);
	if (n != w->there || lstat(w->path, &st) < 0 || S_ISLNK(st.st_mode))
		return 0;
	w->there = n + 1 + len;
	memmove(&w->up[1], &w->up[0], w->count++ * sizeof(w->up[0]));
	w->up[0] = (struct step_up){st.st_dev, st.st_ino, w->there};
	return 0;
}

/* the path behind 'outer' where 'inner' is it or lies beneath it, else NULL */
static const char *beneath(const struct where *inner, const struct where *outer)
{
	const char *missing = outer->path + outer->there;
	size_t n = strlen(missing);

	for (size_t i = 0; i < inner->count; i++) {
		const struct step_up *at = &inner->up[i];
		const char *rest = inner->path + at->at;

		if (at->dev == outer->up[0].dev && at->ino == outer->up[0].ino &&
		    strncmp(rest, missing, n) == 0 && (rest[n] == '/' || !rest[n]))
			return rest + n;
	}
	return NULL;
}

bool own_is_beneath(const char *path, const char *folder)
{
	struct where a, b;

	return look_up(&a, path) == 0 && look_up(&b, folder) == 0 && beneath(&a, &b);
}

/* ---- ours ---- */

enum use { USE_BOTH, USE_FILE, USE_DEVICE };

struct own {
	struct mine {
		struct where where;
		const char *name; /* of the configuration */
		enum use use;
	} * at;
	size_t count, room;
};

static int add(struct own *o, const struct where *w, const char *name, enum use use, struct err *e)
{
	if (o->count == o->room) {
		size_t room = o->room ? 2 * o->room : 16;
		struct mine *more = reallocarray(o->at, room, sizeof(*more));

		if (!more)
			return err_set(e, E_MEMORY, ENOMEM, "no memory for paths");
		o->at = more;
		o->room = room;
	}
	o->at[o->count++] = (struct mine){*w, name, use};
	return 0;
}

/* what it leads to, and each link on the way */
static int add_path(struct own *o, const char *path, enum use use, struct err *e)
{
	char part[PATH_MAX], whole[PATH_MAX];
	struct where w;
	struct stat st;
	int rc = 0;

	if (!path || !*path)
		return 0;
	if (*path != '/' && (!getcwd(part, sizeof(part)) ||
			     text_print(whole, sizeof(whole), "%s/%s", part, path) < 0))
		return 0;
	if (*path == '/' && text_copy(whole, sizeof(whole), path) < 0)
		return 0; /* too long to be opened */
	if (look_up(&w, whole) == 0)
		rc = add(o, &w, path, use, e);
	for (size_t n = strlen(whole); rc == 0 && n > 1; n--) {
		char *slash;

		if (whole[n] && whole[n] != '/')
			continue;
		memcpy(part, whole, n);
		part[n] = '\0';
		slash = strrchr(part, '/');
		if (lstat(part, &st) < 0 || !S_ISLNK(st.st_mode) || !slash[1])
			continue;
		*slash = '\0';
		if (look_up_file(&w, *part ? part : "/", slash + 1) == 0)
			rc = add(o, &w, path, use, e);
	}
	return rc;
}

int own_new(struct own **out, const struct settings *c, struct err *e)
{
	const struct {
		const char *path;
		enum use use;
	} all[] = {
		{c->state_dir, USE_BOTH},
		{c->run_dir, USE_BOTH},
		{c->spool_dir, USE_BOTH},
		{c->public_key_file, USE_BOTH},
		{c->crl_path, USE_BOTH},
		{c->aes_key_file, USE_BOTH},
		{c->decryption_key_file, USE_BOTH},
		{c->file, USE_BOTH},
		/* the environment on a device is judged by its bytes */
		{c->bootenv_path, USE_FILE},
		/* a release may bring these as files, in one move */
		{c->versions_file, USE_DEVICE},
		{c->hwrevision_file, USE_DEVICE},
	};
	struct own *o = calloc(1, sizeof(*o));
	int rc = o ? 0 : err_set(e, E_MEMORY, ENOMEM, "no memory for paths");

	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(all); i++)
		rc = add_path(o, all[i].path, all[i].use, e);
	if (rc < 0) {
		own_free(o);
		return rc;
	}
	*out = o;
	return 0;
}

void own_free(struct own *o)
{
	if (o)
		free(o->at);
	free(o);
}

int own_check(const struct own *o, const char *folder, const char *name,
	      int (*inside)(void *arg, const char *path, struct err *e), void *arg, struct err *e)
{
	struct where w;
	int rc = look_up_file(&w, folder, name);

	if (rc < 0)
		return err_sys(e, E_FILE, -rc, "looking where '%s' leads", folder);
	for (size_t i = 0; rc == 0 && i < o->count; i++) {
		const struct mine *m = &o->at[i];
		const char *in = *name ? NULL : beneath(&m->where, &w);

		if (m->use == USE_DEVICE)
			continue;
		if (beneath(&w, &m->where))
			return err_set(e, E_TARGET_PROTECTED, EPERM,
				       "'%s/%s' belongs to the installer: it is, or lies in, '%s'",
				       strcmp(folder, "/") ? folder : "", name, m->name);
		if (in)
			rc = inside(arg, in + 1, e);
	}
	return rc;
}

int own_check_file(const struct own *o, int fd, struct err *e)
{
	char link[40], path[PATH_MAX];
	struct stat st;
	struct where w;

	text_print(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	if (fstat(fd, &st) < 0 || *path != '/' || look_up(&w, path) < 0)
		return err_sys(e, E_TARGET, n < 0 || errno ? errno : EINVAL,
			       "looking where it lies");
	if (w.up[0].dev != st.st_dev || w.up[0].ino != st.st_ino)
		return err_set(e, E_TARGET, ESTALE, "its name leads to another file now");
	for (size_t i = 0; i < o->count; i++)
		if (o->at[i].use != USE_FILE && beneath(&w, &o->at[i].where))
			return err_set(e, E_TARGET_PROTECTED, EPERM,
				       "it is, or lies in, '%s' of the installer", o->at[i].name);
	return 0;
}
