/* What the module tells of the system that runs, and what it mounts. */
#include "handlers/lua/lua_private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "generated/build.h"

enum { CMDLINE_MAX = 65536, MOUNTS_MAX = 16 };

/* ---- the release ---- */

/* numbers of the release whose module this is: scripts compare them. 'swinstall' is our own */
int lua_system_getversion(struct lua_state *s, const struct luaval *args, struct luabuf *answer,
			  struct err *e)
{
	static const int64_t numbers[] = {2026, 5};
	static const char *const names[] = {"version", "patchlevel"};

	(void)s;
	(void)args;
	(void)e;
	luabuf_open(answer);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		luabuf_key(answer, NULL, 0);
		luabuf_int(answer, numbers[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		luabuf_key(answer, names[i], strlen(names[i]));
		luabuf_int(answer, numbers[i]);
	}
	luabuf_pair(answer, "swinstall", SWINSTALL_VERSION);
	luabuf_close(answer);
	return 0;
}

/* ---- the kernel command line ---- */

static char *read_cmdline(void)
{
	char *text = NULL;
	char path[256];
	size_t n = 0;

	if (sys_path("/proc/cmdline", path, sizeof(path)) == 0 &&
	    sys_read_file(AT_FDCWD, path, CMDLINE_MAX - 1, &text, &n) == 0 && n &&
	    text[n - 1] == '\n')
		text[n - 1] = '\0';
	return text;
}

int lua_system_get_cmdline(struct lua_state *s, const struct luaval *args, struct luabuf *answer,
			   struct err *e)
{
	AUTO_FREE char *text = read_cmdline();

	(void)s;
	(void)args;
	(void)e;
	luabuf_text(answer, text);
	return 0;
}

/* the word behind root=, cut out of the text; "" when there is none */
static const char *root_word(char *text)
{
	const char *last = "";
	char *save = NULL;

	for (char *w = strtok_r(text, " \n", &save); w; w = strtok_r(NULL, " \n", &save))
		if (strncmp(w, "root=", 5) == 0)
			last = w + 5;
	return last;
}

int lua_system_getroot(struct lua_state *s, const struct luaval *args, struct luabuf *answer,
		       struct err *e)
{
	static const char *const folders[] = {"", "by-uuid", "by-partuuid", "by-partlabel"};
	static const char *const roots[] = {LUA_ROOTS};
	AUTO_FREE char *text = read_cmdline();
	const char *word = text ? root_word(text) : "", *value = strchr(word, '=');
	char path[512] = "";
	int64_t kind = 0;

	(void)s;
	(void)args;
	(void)e;
	for (int64_t i = 1; value && i < (int64_t)ARRAY_SIZE(folders); i++)
		if (strncmp(word, roots[i], (size_t)(value - word)) == 0 &&
		    roots[i][value - word] == '\0')
			kind = i;
	if (kind > 0)
		text_print(path, sizeof(path), "/dev/disk/%s/%s", folders[kind], value + 1);
	luabuf_open(answer);
	luabuf_pair(answer, "path", kind > 0 ? path : word);
	luabuf_pair(answer, "value", kind > 0 ? value + 1 : word);
	luabuf_key(answer, "type", 4);
	luabuf_int(answer, *word == '/' || kind > 0 ? kind : (int64_t)ARRAY_SIZE(roots) - 1);
	luabuf_close(answer);
	return 0;
}

/* ---- mounts: in the job's folder, of a full state only ---- */

/* nil and "what: why" */
static int failed(struct luabuf *answer, const char *what, int error)
{
	char text[600];

	text_print(text, sizeof(text), "%.500s: %s", what, strerror(error));
	luabuf_nil(answer);
	luabuf_text(answer, text);
	return 0;
}

static int mount_point(char *path, size_t n, const char *folder, int i)
{
	return text_print(path, n, "%s/mount-%d", folder, i);
}

/* the first name that is free; -errno */
static int make_point(char *path, size_t n, const char *folder)
{
	int rc = -ENOSPC;

	for (int i = 0; i < MOUNTS_MAX; i++) {
		rc = mount_point(path, n, folder, i);
		if (rc == 0)
			rc = sys_mkdirat(AT_FDCWD, path, 0700);
		if (rc != -EEXIST)
			break;
	}
	return rc;
}

/* nosuid, nodev; scripts run programs of the new system, so not noexec */
int lua_system_mount(struct lua_state *s, const struct luaval *args, struct luabuf *answer,
		     struct err *e)
{
	const char *device = luaval_text(args, 0), *type = luaval_text(args, 1), *folder = NULL;
	struct host *h = s->o.host;
	char path[512];
	int rc;

	if (!device || !type)
		return lua_nonsense(e);
	rc = h->ops->script_folder(h, &folder, e);
	if (rc < 0)
		return rc;
	rc = make_point(path, sizeof(path), folder);
	if (rc < 0)
		return failed(answer, "making a folder to mount in", -rc);
	rc = sys_mount(device, path, type, MS_NOSUID | MS_NODEV);
	if (rc < 0) {
		sys_unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
		return failed(answer, device, -rc);
	}
	luabuf_text(answer, path);
	return 0;
}

static int flush_and_unmount(const char *path)
{
	AUTO_CLOSE int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	int rc = fd < 0 ? fd : sys_syncfs(fd), gone;

	sys_close(&fd);
	gone = sys_umount(path, MNT_DETACH | UMOUNT_NOFOLLOW);
	sys_unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
	return gone < 0 ? gone : rc;
}

int lua_system_umount(struct lua_state *s, const struct luaval *args, struct luabuf *answer,
		      struct err *e)
{
	const char *path = luaval_text(args, 0), *folder = NULL;
	struct host *h = s->o.host;
	size_t n;
	int rc;

	if (!path)
		return lua_nonsense(e);
	rc = h->ops->script_folder(h, &folder, e);
	if (rc < 0)
		return rc;
	n = strlen(folder);
	if (strncmp(path, folder, n) != 0 || strncmp(path + n, "/mount-", 7) != 0 ||
	    strchr(path + n + 1, '/'))
		return failed(answer, path, EINVAL);
	rc = flush_and_unmount(path);
	if (rc < 0)
		return failed(answer, path, -rc);
	luabuf_bool(answer, true);
	return 0;
}

int lua_state_unmount(const char *folder, struct err *e)
{
	char path[512];
	int first = 0;

	for (int i = 0; i < MOUNTS_MAX; i++) {
		int rc = mount_point(path, sizeof(path), folder, i);

		if (rc == 0)
			rc = flush_and_unmount(path);
		/* EINVAL: an empty folder, nothing is mounted there */
		if (rc < 0 && rc != -ENOENT && rc != -EINVAL && rc != -EPERM && first == 0)
			first = err_sys(e, E_TARGET_FLUSH, -rc, "flushing and unmounting %s", path);
	}
	return first;
}
