#include "handlers/lua_api.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "generated/build.h"
#include "handlers/handler.h"
#include "handlers/lua_call.h"
#include "handlers/lua_system.h"

enum { MOUNTS_MAX = 16 };

static struct host *host_of(lua_State *L)
{
	return luavm_user(L);
}

/* ---- messages ---- */

/* printf style; one argument is taken as it is, whatever per cent signs it has */
static const char *message(lua_State *L, int first)
{
	int n = lua_gettop(L);

	luaL_checkany(L, first);
	if (n == first)
		return luaL_tolstring(L, first, NULL);
	lua_getfield(L, lua_upvalueindex(1), "format");
	lua_insert(L, first);
	lua_call(L, n - first + 1, 1);
	return luaL_checkstring(L, -1);
}

static int say(lua_State *L, enum log_level level)
{
	struct host *h = host_of(L);

	h->ops->say(h, level, message(L, 1));
	return 0;
}

static int api_error(lua_State *L)
{
	return say(L, LOG_LEVEL_ERROR);
}

static int api_warn(lua_State *L)
{
	return say(L, LOG_LEVEL_WARN);
}

static int api_info(lua_State *L)
{
	return say(L, LOG_LEVEL_INFO);
}

static int api_debug(lua_State *L)
{
	return say(L, LOG_LEVEL_DEBUG);
}

static int api_trace(lua_State *L)
{
	return say(L, LOG_LEVEL_TRACE);
}

/* notify(status, error, text): the status of an install is the program's own to tell */
static int api_notify(lua_State *L)
{
	struct host *h = host_of(L);
	lua_Integer error = luaL_optinteger(L, 2, 0);

	luaL_checkinteger(L, 1);
	h->ops->say(h, error ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, luaL_optstring(L, 3, ""));
	return 0;
}

static int api_progress(lua_State *L)
{
	struct host *h = host_of(L);

	h->ops->tell(h, luaL_checkstring(L, 1));
	return 0;
}

static int api_progress_update(lua_State *L)
{
	luaL_checknumber(L, 1);
	return 0;
}

/* ---- boot environment ---- */

static int api_set_bootenv(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1), *value = luaL_optstring(L, 2, NULL);
	struct host *h = host_of(L);
	struct err e = {0};

	if (h->ops->set_variable(h, name, value && *value ? value : NULL, &e) < 0)
		return luavm_raise(L, &e);
	return 0;
}

static int api_get_bootenv(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	struct host *h = host_of(L);
	struct err e = {0};
	char *value = NULL;
	char *copy;
	size_t n;
	int rc;

	lua_settop(L, 1);
	luavm_pause(L);
	rc = h->ops->get_variable(h, name, &value, &e);
	luavm_resume(L);
	if (rc < 0)
		return luavm_raise(L, &e);
	if (rc == 0) {
		lua_pushliteral(L, "");
		return 1;
	}
	/* pushing may raise: the value is put where nothing has to be freed first */
	n = strlen(value);
	copy = lua_newuserdatauv(L, n + 1, 0);
	memcpy(copy, value, n + 1);
	free(value);
	lua_pushlstring(L, copy, n);
	return 1;
}

/* ---- the system ---- */

static void set_text(lua_State *L, const char *key, const char *value)
{
	lua_pushstring(L, value ? value : "");
	lua_setfield(L, -2, key);
}

static int api_get_hw(lua_State *L)
{
	const struct host *h = host_of(L);

	lua_createtable(L, 0, 2);
	set_text(L, "boardname", h->board);
	set_text(L, "revision", h->revision);
	return 1;
}

static int api_get_selection(lua_State *L)
{
	const struct host *h = host_of(L);
	const char *text = h->select ? h->select : "", *comma = strchr(text, ',');

	lua_pushlstring(L, text, comma ? (size_t)(comma - text) : strlen(text));
	lua_pushstring(L, comma ? comma + 1 : "");
	return 2;
}

/* numbers of the release whose module this is: scripts compare them. 'swinstall' is our own */
static int api_getversion(lua_State *L)
{
	static const lua_Integer numbers[] = {2026, 5};
	static const char *const names[] = {"version", "patchlevel"};

	lua_createtable(L, 2, 3);
	for (lua_Integer i = 0; i < 2; i++) {
		lua_pushinteger(L, numbers[i]);
		lua_rawseti(L, -2, i + 1);
		lua_pushinteger(L, numbers[i]);
		lua_setfield(L, -2, names[i]);
	}
	set_text(L, "swinstall", SWINSTALL_VERSION);
	return 1;
}

static int api_is_dryrun(lua_State *L)
{
	lua_pushboolean(L, host_of(L)->dry_run);
	return 1;
}

static int api_folder(lua_State *L)
{
	struct host *h = host_of(L);
	const char *path = NULL;
	struct err e = {0};

	if (h->ops->script_folder(h, &path, &e) < 0)
		return luavm_raise(L, &e);
	lua_pushfstring(L, "%s/", path);
	return 1;
}

/* ---- mounts: in the job's folder, of a full state only ---- */

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
static int api_mount(lua_State *L)
{
	const char *device = luaL_checkstring(L, 1), *type = luaL_checkstring(L, 2), *folder;
	struct host *h = host_of(L);
	struct err e = {0};
	char path[512];
	int rc;

	if (h->ops->script_folder(h, &folder, &e) < 0)
		return luavm_raise(L, &e);
	rc = make_point(path, sizeof(path), folder);
	if (rc < 0)
		return lua_system_failed(L, "making a folder to mount in", -rc);
	luavm_pause(L);
	rc = sys_mount(device, path, type, MS_NOSUID | MS_NODEV);
	luavm_resume(L);
	if (rc < 0) {
		sys_unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
		return lua_system_failed(L, device, -rc);
	}
	lua_pushstring(L, path);
	return 1;
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

static int api_umount(lua_State *L)
{
	const char *path = luaL_checkstring(L, 1), *folder;
	struct host *h = host_of(L);
	struct err e = {0};
	size_t n;
	int rc;

	if (h->ops->script_folder(h, &folder, &e) < 0)
		return luavm_raise(L, &e);
	n = strlen(folder);
	if (strncmp(path, folder, n) != 0 || strncmp(path + n, "/mount-", 7) != 0 ||
	    strchr(path + n + 1, '/'))
		return lua_system_failed(L, path, EINVAL);
	luavm_pause(L);
	rc = flush_and_unmount(path);
	luavm_resume(L);
	if (rc < 0)
		return lua_system_failed(L, path, -rc);
	lua_pushboolean(L, 1);
	return 1;
}

int lua_api_unmount(const char *folder, struct err *e)
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

/* ---- steps ---- */

/* of a script, which no handler's payload belongs to */
static int api_call_handler(lua_State *L)
{
	const struct lua_caller none = {.st = NULL};

	return lua_call_ask(L, &none);
}

/* ---- all ---- */

static const luaL_Reg functions[] = {
	{"error", api_error},
	{"warn", api_warn},
	{"info", api_info},
	{"debug", api_debug},
	{"trace", api_trace},
	{"notify", api_notify},
	{"progress", api_progress},
	{"progress_update", api_progress_update},
	{"set_bootenv", api_set_bootenv},
	{"get_bootenv", api_get_bootenv},
	{"get_hw", api_get_hw},
	{"get_selection", api_get_selection},
	{"getversion", api_getversion},
	{"is_dryrun", api_is_dryrun},
	{"tmpdir", api_folder},
	{"tmpdirscripts", api_folder},
	{"call_handler", api_call_handler},
	{"getroot", lua_system_getroot},
	{"get_cmdline", lua_system_get_cmdline},
	{NULL, NULL},
};

static const luaL_Reg full_functions[] = {
	{"mount", api_mount},
	{"umount", api_umount},
	{"stat", lua_system_stat},
	{"emmcbootpart", lua_system_emmcbootpart},
	{NULL, NULL},
};

static void set_names(lua_State *L, const char *table, const char *const *names)
{
	lua_newtable(L);
	for (lua_Integer i = 0; names[i]; i++) {
		lua_pushinteger(L, i);
		lua_setfield(L, -2, names[i]);
	}
	lua_setfield(L, -2, table);
}

/* 'handler': a key for each type that call_handler() knows */
static void set_handlers(lua_State *L)
{
	const struct handler *h;

	lua_newtable(L);
	for (size_t i = 0; (h = handler_at(i)); i++) {
		const char *more = h->aliases ? h->aliases : "";

		lua_pushinteger(L, 1);
		lua_setfield(L, -2, h->name);
		for (size_t n; *(more += strspn(more, " ")); more += n) {
			n = strcspn(more, " ");
			lua_pushlstring(L, more, n);
			lua_pushinteger(L, 1);
			lua_settable(L, -3);
		}
	}
	lua_setfield(L, -2, "handler");
}

/* a confined state has no require(): scripts that ask for this module get it */
static int require_module(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);

	if (strcmp(name, "swupdate") != 0 && strcmp(name, "swinstall") != 0)
		return luaL_error(L, "module '%s' is not available here", name);
	lua_getglobal(L, "swinstall");
	return 1;
}

static void fill(lua_State *L, void *arg)
{
	static const char *const status[] = {"IDLE",	 "START",    "RUN",  "SUCCESS",
					     "FAILURE",	 "DOWNLOAD", "DONE", "SUBPROCESS",
					     "PROGRESS", NULL};

	bool full;

	(void)arg;
	lua_newtable(L);
	lua_getglobal(L, "string");
	luaL_setfuncs(L, functions, 1);
	/* a confined state has no io, and nothing that reaches out of it */
	full = lua_getglobal(L, "io") != LUA_TNIL;
	lua_pop(L, 1);
	if (full)
		luaL_setfuncs(L, full_functions, 0);
	set_names(L, "RECOVERY_STATUS", status);
	set_names(L, "ROOT_DEVICE", lua_system_roots);
	set_handlers(L);
	luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	lua_pushvalue(L, 1);
	lua_setfield(L, -2, "swupdate");
	lua_pushvalue(L, 1);
	lua_setfield(L, -2, "swinstall");
	lua_pushvalue(L, 1);
	lua_setglobal(L, "swupdate");
	lua_pushvalue(L, 1);
	lua_setglobal(L, "swinstall");
	if (lua_getglobal(L, "require") == LUA_TNIL) {
		lua_pushcfunction(L, require_module);
		lua_setglobal(L, "require");
	}
}

int lua_api_open(struct luavm *vm, struct host *h, struct err *e)
{
	luavm_set_user(vm, h);
	return luavm_run(vm, fill, NULL, e);
}
