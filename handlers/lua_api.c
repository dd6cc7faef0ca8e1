#include "handlers/lua_api.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/text.h"
#include "generated/build.h"

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

static int api_getversion(lua_State *L)
{
	lua_createtable(L, 0, 1);
	set_text(L, "version", SWINSTALL_VERSION);
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

/* a confined state has no require(): scripts that ask for this module get it */
static int require_module(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);

	if (strcmp(name, "swupdate") != 0 && strcmp(name, "swinstall") != 0)
		return luaL_error(L, "module '%s' is not available here", name);
	lua_getglobal(L, "swinstall");
	return 1;
}

static void open(lua_State *L, void *arg)
{
	static const char *const status[] = {"IDLE",	 "START",    "RUN",  "SUCCESS",
					     "FAILURE",	 "DOWNLOAD", "DONE", "SUBPROCESS",
					     "PROGRESS", NULL};

	(void)arg;
	lua_newtable(L);
	lua_getglobal(L, "string");
	luaL_setfuncs(L, functions, 1);
	set_names(L, "RECOVERY_STATUS", status);
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
	return luavm_run(vm, open, NULL, e);
}
