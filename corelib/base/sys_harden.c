/* What a program started by root drops before anything else (T60, T61), and which paths are safe.
 */
#include "corelib/base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "corelib/base/text.h"

#define LINKS_MAX    40
#define LISTEN_MAX   64
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* ---- is a path safe? ---------------------------------------------------------------------------
 */

struct walk {
	char done[PATH_MAX]; /* checked so far, without a trailing slash */
	char rest[PATH_MAX]; /* still to go */
	unsigned links;
};

static bool owner_is_safe(const struct stat *st)
{
	return st->st_uid == 0 || st->st_uid == geteuid();
}

/* a group of our own (umask 002) is no boundary for a plain user */
static bool others_cannot_write(const struct stat *st)
{
	mode_t open_to = st->st_mode & 022;

	if (geteuid() != 0 && st->st_gid == getegid())
		open_to &= (mode_t)~020;
	return open_to == 0 || (S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX));
}

static bool next_part(struct walk *w, char *part, size_t n)
{
	char *p = w->rest + strspn(w->rest, "/");
	size_t len = strcspn(p, "/");

	if (len == 0 || len >= n)
		return false;
	memcpy(part, p, len);
	part[len] = '\0';
	memmove(w->rest, p + len, strlen(p + len) + 1);
	return true;
}

static bool follow_link(struct walk *w, const char *link)
{
	char target[PATH_MAX], rest[PATH_MAX];
	ssize_t n = readlink(link, target, sizeof(target) - 1);

	if (n <= 0 || ++w->links > LINKS_MAX)
		return false;
	target[n] = '\0';
	if (target[0] == '/')
		w->done[0] = '\0';
	return text_print(rest, sizeof(rest), "%s/%s", target, w->rest) == 0 &&
	       text_copy(w->rest, sizeof(w->rest), rest) == 0;
}

static bool step_into(struct walk *w, const char *part)
{
	char here[PATH_MAX];
	struct stat st;

	if (strcmp(part, ".") == 0)
		return true;
	if (strcmp(part, "..") == 0) {
		char *slash = strrchr(w->done, '/');

		if (slash)
			*slash = '\0';
		return true;
	}
	if (text_print(here, sizeof(here), "%s/%s", w->done, part) < 0 || lstat(here, &st) < 0 ||
	    !owner_is_safe(&st))
		return false;
	if (S_ISLNK(st.st_mode))
		return follow_link(w, here);
	return others_cannot_write(&st) && text_copy(w->done, sizeof(w->done), here) == 0;
}

bool sys_path_is_safe(const char *path)
{
	struct walk w = {.links = 0};
	char part[NAME_MAX + 1], cwd[PATH_MAX] = "";
	struct stat st;

	if (!path[0] || (path[0] != '/' && !getcwd(cwd, sizeof(cwd))) ||
	    text_print(w.rest, sizeof(w.rest), "%s/%s", cwd, path) < 0)
		return false;
	if (lstat("/", &st) < 0 || !owner_is_safe(&st) || !others_cannot_write(&st))
		return false;
	while (w.rest[strspn(w.rest, "/")])
		if (!next_part(&w, part, sizeof(part)) || !step_into(&w, part))
			return false;
	return true;
}

/* ---- environment -------------------------------------------------------------------------------
 */

static bool folder_is_safe(const char *path)
{
	return path[0] == '/' && sys_path_is_safe(path);
}

/* each of several folders between ':' */
static bool folders_are_safe(const char *list)
{
	char one[PATH_MAX];

	for (size_t len; *list; list += len + (list[len] == ':')) {
		len = strcspn(list, ":");
		if (text_print(one, sizeof(one), "%.*s", (int)(len < PATH_MAX ? len : PATH_MAX),
			       list) < 0 ||
		    !folder_is_safe(one))
			return false;
	}
	return true;
}

/* templates "/folder/?.lua" between ';'. Sticky does not help here: anybody may add a module. */
static bool lua_path_is_safe(const char *list)
{
	char one[PATH_MAX];
	struct stat st;

	for (size_t len, dir; *list; list += len + (list[len] == ';')) {
		len = strcspn(list, ";");
		if (len == 0)
			continue; /* ";;" stands for Lua's own default */
		dir = strcspn(list, "?;");
		while (dir > 0 && list[dir - 1] != '/')
			dir--;
		if (text_print(one, sizeof(one), "%.*s", (int)(dir < PATH_MAX ? dir : PATH_MAX),
			       list) < 0 ||
		    !folder_is_safe(one) || stat(one, &st) < 0 || (st.st_mode & 022 & ~S_ISVTX))
			return false;
	}
	return true;
}

static bool has_no_slash(const char *value)
{
	return !strchr(value, '/');
}

/* a name of a zone, or a file that only root can change */
static bool zone_is_safe(const char *value)
{
	const char *file = value + (*value == ':');

	return !strstr(file, "..") && (*file != '/' || sys_path_is_safe(file));
}

static bool anything(const char *value)
{
	(void)value;
	return true;
}

struct allowed {
	const char *name; /* ends with '*': all that start so */
	bool (*good)(const char *value);
};

static const struct allowed allowed[] = {
	{"TERM", has_no_slash},
	{"LANG", has_no_slash},
	{"LC_*", has_no_slash},
	{"TZ", zone_is_safe},
	{"NO_COLOR", anything},
	{"COLUMNS", anything},
	{"SWUPDATE_*", anything},
	{"SWINSTALL_*", anything},
	{"SOURCE_DATE_EPOCH", anything},
	{"NOTIFY_SOCKET", anything},
	{"LISTEN_PID", anything},
	{"LISTEN_FDS", anything},
	{"LISTEN_FDNAMES", anything},
	{"GCOV_PREFIX*", anything}, /* where a coverage build leaves its counts */
	{"TMPDIR", folder_is_safe},
	{"RUNTIME_DIRECTORY", folders_are_safe},
	{"LUA_PATH", lua_path_is_safe},
};

static bool name_matches(const char *pattern, const char *name, size_t len)
{
	size_t n = strlen(pattern);

	if (pattern[n - 1] == '*')
		return len >= n - 1 && strncmp(pattern, name, n - 1) == 0;
	return len == n && strncmp(pattern, name, n) == 0;
}

static bool may_stay(const char *var)
{
	const char *equals = strchr(var, '=');

	if (!equals)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		if (name_matches(allowed[i].name, var, (size_t)(equals - var)))
			return allowed[i].good(equals + 1);
	return false;
}

static bool is_double(char **kept, size_t n, const char *var)
{
	size_t len = strcspn(var, "=") + 1;

	for (size_t i = 0; i < n; i++)
		if (strncmp(kept[i], var, len) == 0)
			return true;
	return false;
}

static int clean_environment(void)
{
	size_t kept = 0;

	for (char **var = environ; var && *var; var++)
		if (may_stay(*var) && !is_double(environ, kept, *var))
			environ[kept++] = *var;
	if (environ)
		environ[kept] = NULL;
	if (setenv("PATH", DEFAULT_PATH, 1) < 0 || setenv("HOME", "/", 1) < 0)
		return -errno;
	return 0;
}

/* ---- descriptors, signals, limits
 * ---------------------------------------------------------------- */

static int open_standard(void)
{
	for (;;) {
		/* the lowest free number is taken: 0, 1 and 2 before any other */
		int fd = open("/dev/null", O_RDWR | O_NOCTTY);

		if (fd < 0)
			return -errno;
		if (fd > 2) {
			close(fd);
			return 0;
		}
	}
}

/* sockets that systemd hands over to this very process start at 3 */
static unsigned handed_over(void)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	uint64_t p, n;

	if (!pid || !count || text_u64(pid, &p) < 0 || text_u64(count, &n) < 0)
		return 0;
	return p == (uint64_t)getpid() && n <= LISTEN_MAX ? (unsigned)n : 0;
}

void sys_close_from(unsigned first)
{
	struct rlimit lim;

	if (close_range(first, ~0u, 0) == 0)
		return;
	/* kernels before 5.9 */
	if (getrlimit(RLIMIT_NOFILE, &lim) < 0 || lim.rlim_max > 1024 * 1024)
		lim.rlim_max = 1024 * 1024;
	for (unsigned fd = first; fd < lim.rlim_max; fd++)
		close((int)fd);
}

/* exec has reset handlers already; only 'ignored' and 'blocked' are inherited */
static void reset_signals(void)
{
	struct sigaction now;
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		if (sigaction(sig, NULL, &now) == 0 && now.sa_handler == SIG_IGN)
			signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* no core with keys in it; no file size or CPU time that ends an install in the middle */
static void reset_limits(void)
{
	static const int unbounded[] = {RLIMIT_FSIZE, RLIMIT_CPU};
	struct rlimit lim;

	for (size_t i = 0; i < ARRAY_SIZE(unbounded); i++) {
		lim.rlim_cur = lim.rlim_max = RLIM_INFINITY;
		if (setrlimit((__rlimit_resource_t)unbounded[i], &lim) == 0 ||
		    getrlimit((__rlimit_resource_t)unbounded[i], &lim) < 0)
			continue;
		lim.rlim_cur = lim.rlim_max;
		setrlimit((__rlimit_resource_t)unbounded[i], &lim);
	}
	lim.rlim_cur = lim.rlim_max = 0;
	setrlimit(RLIMIT_CORE, &lim);
}

int sys_harden(bool keep_cwd)
{
	char cwd[PATH_MAX];
	int rc;

	umask(077);
	reset_signals();
	reset_limits();
	rc = open_standard();
	if (rc < 0)
		return rc;
	sys_close_from(3 + handed_over());
	/* relative names of the environment mean nothing once the folder changes: none is kept */
	if ((!keep_cwd || !getcwd(cwd, sizeof(cwd))) && chdir("/") < 0)
		return -errno;
	return clean_environment();
}
