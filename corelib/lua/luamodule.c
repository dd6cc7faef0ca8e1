/*
 * The module `swupdate` (also `swinstall`) that Lua code has: what it does not know itself it asks
 * of the job. doc/scripts.md lists its functions.
 */
#include "corelib/lua/luavm_private.h"

#include <string.h>

#include "corelib/base/log.h"
#include "corelib/base/text.h"

enum { TEXT_MAX = 4096 }; /* of a message */

/* ---- messages ---- */

/* the text on top of the stack */
static void say(lua_State *L, lua_Integer level)
{
	int top = lua_gettop(L);
	size_t n;
	const char *text = luaL_checklstring(L, top, &n);

	lua_pushinteger(L, level);
	lua_pushlstring(L, text, n < TEXT_MAX ? n : TEXT_MAX);
	luavm_tell(L, LUA_SAY, top + 1);
}

/* level 0 */
int luamodule_print(lua_State *L)
{
	int n = lua_gettop(L);
	luaL_Buffer b;

	luaL_buffinit(L, &b);
	for (int i = 1; i <= n; i++) {
		if (i > 1)
			luaL_addchar(&b, ' '); /* a line of a log has no tabs */
		luaL_tolstring(L, i, NULL);
		luaL_addvalue(&b);
	}
	luaL_pushresult(&b);
	say(L, 0);
	return 0;
}

/* printf style; one argument is taken as it is, whatever per cent signs it has */
static int module_say(lua_State *L)
{
	int n = lua_gettop(L);

	luaL_checkany(L, 1);
	if (n == 1) {
		luaL_tolstring(L, 1, NULL);
	} else {
		lua_getfield(L, lua_upvalueindex(2), "format");
		lua_insert(L, 1);
		lua_call(L, n, 1);
	}
	say(L, lua_tointeger(L, lua_upvalueindex(1)));
	return 0;
}

/* notify(status, error, text): the status of an install is the program's own to tell */
static int module_notify(lua_State *L)
{
	lua_Integer error = luaL_optinteger(L, 2, 0);

	luaL_checkinteger(L, 1);
	lua_pushstring(L, luaL_optstring(L, 3, ""));
	say(L, error ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO);
	return 0;
}

static int module_progress(lua_State *L)
{
	lua_pushstring(L, luaL_checkstring(L, 1));
	luavm_tell(L, LUA_TELL, lua_gettop(L));
	return 0;
}

static int module_progress_update(lua_State *L)
{
	luaL_checknumber(L, 1);
	return 0;
}

/* ---- what is asked of the job ---- */

/* arguments: s a text, S a text or nil, t a table */
static const struct asking {
	const char *name;
	enum lua_kind kind;
	const char *arguments;
} askings[] =
	{
		{"set_bootenv", LUA_SET_BOOTENV, "sS"},
		{"get_bootenv", LUA_GET_BOOTENV, "s"},
		{"get_hw", LUA_GET_HW, ""},
		{"get_selection", LUA_GET_SELECTION, ""},
		{"getversion", LUA_GETVERSION, ""},
		{"is_dryrun", LUA_IS_DRYRUN, ""},
		{"tmpdir", LUA_TMPDIR, ""},
		{"tmpdirscripts", LUA_TMPDIR, ""},
		{"get_cmdline", LUA_GET_CMDLINE, ""},
		{"getroot", LUA_GETROOT, ""},
		{"call_handler", LUA_CALL_HANDLER, "st"},
},
  full_askings[] = {
	  {"mount", LUA_MOUNT, "ss"},
	  {"umount", LUA_UMOUNT, "s"},
};

static int ask(lua_State *L)
{
	const struct asking *a = lua_touserdata(L, lua_upvalueindex(1));
	int n = (int)strlen(a->arguments);

	for (int i = 1; i <= n; i++) {
		char kind = a->arguments[i - 1];

		if (kind == 't')
			luaL_checktype(L, i, LUA_TTABLE);
		else if (kind == 's')
			luaL_checkstring(L, i); /* a number becomes one */
		else
			luaL_optstring(L, i, NULL);
	}
	lua_settop(L, n);
	return luavm_ask(L, a->kind, 1);
}

static void add_askings(lua_State *L, const struct asking *a, size_t n)
{
	for (; n--; a++) {
		lua_pushlightuserdata(L, (void *)(uintptr_t)a);
		lua_pushcclosure(L, ask, 1);
		lua_setfield(L, -2, a->name);
	}
}

/* ---- handlers ---- */

static const char functions_key = 0; /* its address names a table in the registry */

/* register_handler(name, function [, mask]): the job knows the name, the function stays here */
static int module_register(lua_State *L)
{
	luaL_checkstring(L, 1);
	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 3);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &functions_key);
	lua_pushvalue(L, 1);
	if (!lua_isnil(L, 3))
		lua_pushinteger(L, luaL_checkinteger(L, 3));
	luavm_ask(L, LUA_REGISTER, 5);
	lua_pushvalue(L, 2);
	lua_rawseti(L, 4, lua_tointeger(L, 5));
	/* into the table 'handler' of the module, as the built-in ones are */
	lua_getglobal(L, "swinstall");
	if (lua_istable(L, -1) && lua_getfield(L, -1, "handler") == LUA_TTABLE) {
		lua_pushvalue(L, 1);
		lua_pushinteger(L, 1);
		lua_settable(L, -3);
	}
	return 0;
}

void luamodule_push_handler(lua_State *L, lua_Integer number)
{
	lua_rawgetp(L, LUA_REGISTRYINDEX, &functions_key);
	lua_rawgeti(L, -1, number);
	lua_remove(L, -2);
}

/* ---- the payload of a handler ---- */

/* read(function): nothing, nil, true or 0 mean: go on */
static int image_read(lua_State *L)
{
	luaL_checktype(L, 2, LUA_TFUNCTION);
	for (;;) {
		bool stop;

		lua_settop(L, 2);
		lua_pushvalue(L, 2);
		lua_pushvalue(L, lua_upvalueindex(1));
		if (luavm_ask(L, LUA_READ, 4) == 0)
			break;
		lua_call(L, 1, 1);
		stop = lua_isnumber(L, -1) ? lua_tonumber(L, -1) != 0
					   : lua_isboolean(L, -1) && !lua_toboolean(L, -1);
		if (stop) {
			lua_pushinteger(L, -1);
			lua_pushliteral(L, "the function ended the reading");
			return 2;
		}
	}
	lua_pushinteger(L, 0);
	lua_pushnil(L);
	return 2;
}

/* copy2file(path): the job writes it */
static int image_copy2file(lua_State *L)
{
	luaL_checkstring(L, 2);
	lua_settop(L, 2);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_pushvalue(L, 2);
	return luavm_ask(L, LUA_COPY, 3);
}

void luamodule_add_methods(lua_State *L, lua_Integer call)
{
	lua_pushinteger(L, call);
	lua_pushcclosure(L, image_read, 1);
	lua_setfield(L, -2, "read");
	lua_pushinteger(L, call);
	lua_pushcclosure(L, image_copy2file, 1);
	lua_setfield(L, -2, "copy2file");
}

/* ---- the module ---- */

static void set_names(lua_State *L, const char *table, const char *const *names)
{
	lua_newtable(L);
	for (lua_Integer i = 0; names[i]; i++) {
		lua_pushinteger(L, i);
		lua_setfield(L, -2, names[i]);
	}
	lua_setfield(L, -2, table);
}

static void set_masks(lua_State *L)
{
	static const struct {
		const char *name;
		enum lua_mask value;
	} masks[] = {
		{"IMAGE_HANDLER", LUA_MASK_IMAGE},
		{"FILE_HANDLER", LUA_MASK_FILE},
		{"SCRIPT_HANDLER", LUA_MASK_SCRIPT},
		{"BOOTLOADER_HANDLER", LUA_MASK_BOOTLOADER},
		{"PARTITION_HANDLER", LUA_MASK_PARTITION},
		{"NO_DATA_HANDLER", LUA_MASK_NO_DATA},
		{"ANY_HANDLER", LUA_MASK_ANY},
	};

	lua_createtable(L, 0, ARRAY_SIZE(masks));
	for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
		lua_pushinteger(L, masks[i].value);
		lua_setfield(L, -2, masks[i].name);
	}
	lua_setfield(L, -2, "HANDLER_MASK");
}

void luamodule_set_handlers(lua_State *L)
{
	lua_getglobal(L, "swinstall");
	lua_insert(L, -2);
	lua_setfield(L, -2, "handler");
	lua_settop(L, 0);
}

static void set_levels(lua_State *L)
{
	static const char *const names[] = {
		[LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARN] = "warn",	  [LOG_LEVEL_INFO] = "info",
		[LOG_LEVEL_DEBUG] = "debug", [LOG_LEVEL_TRACE] = "trace",
	};

	for (lua_Integer i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_TRACE; i++) {
		lua_pushinteger(L, i);
		lua_getglobal(L, "string");
		lua_pushcclosure(L, module_say, 2);
		lua_setfield(L, -2, names[i]);
	}
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

void luamodule_open(lua_State *L)
{
	static const char *const status[] = {"IDLE",	 "START",    "RUN",  "SUCCESS",
					     "FAILURE",	 "DOWNLOAD", "DONE", "SUBPROCESS",
					     "PROGRESS", NULL};
	static const char *const roots[] = {LUA_ROOTS, NULL};
	static const luaL_Reg functions[] = {{"notify", module_notify},
					     {"progress", module_progress},
					     {"progress_update", module_progress_update},
					     {NULL, NULL}};
	static const luaL_Reg full_functions[] = {
		{"stat", luasystem_stat}, {"emmcbootpart", luasystem_emmcbootpart}, {NULL, NULL}};
	const struct luavm_options *o = &luavm_of(L)->o;

	lua_newtable(L);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &functions_key);
	lua_newtable(L);
	luaL_setfuncs(L, functions, 0);
	set_levels(L);
	add_askings(L, askings, ARRAY_SIZE(askings));
	if (o->full) {
		luaL_setfuncs(L, full_functions, 0);
		add_askings(L, full_askings, ARRAY_SIZE(full_askings));
	}
	if (o->registers) {
		set_masks(L);
		lua_pushcfunction(L, module_register);
		lua_setfield(L, -2, "register_handler");
	}
	set_names(L, "RECOVERY_STATUS", status);
	set_names(L, "ROOT_DEVICE", roots);
	luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	for (int i = 0; i < 2; i++) {
		const char *name = i ? "swinstall" : "swupdate";

		lua_pushvalue(L, -2);
		lua_setfield(L, -2, name);
		lua_pushvalue(L, -2);
		lua_setglobal(L, name);
	}
	if (!o->full) {
		lua_pushcfunction(L, require_module);
		lua_setglobal(L, "require");
	}
}
