/*
 * What a confined state has. Left out or replaced is what reaches the outside, compiles bytecode,
 * runs where the count hook does not (finalizers, message handlers, closing of a dead coroutine),
 * or loops in C for as long as its arguments say.
 */
#include "corelib/lua/luavm_private.h"

#include "corelib/base/text.h"

#define LOOP_MAX (1 << 20) /* steps of one function of the library: more do not fit into memory */

/* ---- print ---- */

int luavm_print(lua_State *L)
{
	const struct luavm *vm = luavm_of(L);
	int n = lua_gettop(L);
	luaL_Buffer b;

	luaL_buffinit(L, &b);
	for (int i = 1; i <= n; i++) {
		if (i > 1)
			luaL_addchar(&b, '\t');
		luaL_tolstring(L, i, NULL);
		luaL_addvalue(&b);
	}
	luaL_pushresult(&b);
	if (vm->o.print)
		vm->o.print(vm->o.arg, lua_tostring(L, -1));
	return 0;
}

/* ---- basic functions ---- */

/* a finalizer would run while the hook is off */
static int set_metatable(lua_State *L)
{
	int t = lua_type(L, 2);

	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_argexpected(L, t == LUA_TNIL || t == LUA_TTABLE, 2, "nil or table");
	if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
		return luaL_error(L, "cannot change a protected metatable");
	if (t == LUA_TTABLE) {
		lua_pushliteral(L, "__gc");
		if (lua_rawget(L, 2) != LUA_TNIL)
			return luaL_error(L, "finalizers (__gc) are not available here");
	}
	lua_settop(L, 2);
	lua_setmetatable(L, 1);
	return 1;
}

static int load_text(lua_State *L)
{
	size_t n;
	const char *text = luaL_checklstring(L, 1, &n);
	const char *name = luaL_optstring(L, 2, "=load");
	bool own = !lua_isnone(L, 4);

	if (luaL_loadbufferx(L, text, n, name, "t") != LUA_OK) {
		lua_pushnil(L);
		lua_insert(L, -2);
		return 2;
	}
	if (own) {
		lua_pushvalue(L, 4);
		if (!lua_setupvalue(L, -2, 1))
			lua_pop(L, 1);
	}
	return 1;
}

static int collect(lua_State *L)
{
	static const char *const words[] = {"collect", "count", NULL};

	if (luaL_checkoption(L, 1, "collect", words) == 0) {
		lua_gc(L, LUA_GCCOLLECT);
		lua_pushinteger(L, 0);
	} else {
		lua_pushnumber(L, lua_gc(L, LUA_GCCOUNT) + lua_gc(L, LUA_GCCOUNTB) / 1024.0);
	}
	return 1;
}

/* a message handler runs before the error unwinds: when that is the hook's, without a hook */
static int handle_message(lua_State *L)
{
	if (luavm_of(L)->stop)
		return 1;
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, 1, 1);
	return 1;
}

static int protected_end(lua_State *L, int status, lua_KContext extra)
{
	lua_pushboolean(L, status == LUA_OK || status == LUA_YIELD);
	lua_replace(L, (int)extra);
	return lua_gettop(L) - (int)extra + 1;
}

/* 1 f, 2 handler, 3... arguments -> 1 f, 2 place of the result, 3 closure, 4 f, 5... arguments */
static int protected_call(lua_State *L)
{
	int n = lua_gettop(L) - 2, rc;

	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_pushvalue(L, 2);
	lua_pushcclosure(L, handle_message, 1);
	lua_insert(L, 3);
	lua_pushboolean(L, 0);
	lua_insert(L, 4);
	lua_pushvalue(L, 1);
	lua_insert(L, 5);
	rc = lua_pcallk(L, n, LUA_MULTRET, 3, 4, protected_end);
	return protected_end(L, rc, 4);
}

/* ---- coroutines ---- */

/* closing a coroutine that the hook ended runs its __close without a hook: nothing closes here */
static int wrapped(lua_State *L)
{
	lua_State *co = lua_tothread(L, lua_upvalueindex(1));
	int n = lua_gettop(L), rc;

	if (lua_status(co) == LUA_OK && lua_gettop(co) == 0)
		return luaL_error(L, "cannot resume dead coroutine");
	if (lua_status(co) > LUA_YIELD)
		return luaL_error(L, "cannot resume dead coroutine");
	if (!lua_checkstack(co, n))
		return luaL_error(L, "too many arguments to resume");
	lua_xmove(L, co, n);
	rc = lua_resume(co, L, n, &n);
	if (rc != LUA_OK && rc != LUA_YIELD) {
		lua_xmove(co, L, 1);
		return lua_error(L);
	}
	if (!lua_checkstack(L, n))
		return luaL_error(L, "too many results to resume");
	lua_xmove(co, L, n);
	return n;
}

static int wrap(lua_State *L)
{
	lua_State *co;

	luaL_checktype(L, 1, LUA_TFUNCTION);
	co = lua_newthread(L);
	lua_pushvalue(L, 1);
	lua_xmove(L, co, 1);
	lua_pushcclosure(L, wrapped, 1);
	return 1;
}

/* ---- tables: lengths that a metamethod invents would be looped over in C ---- */

static int original(lua_State *L)
{
	int n = lua_gettop(L);

	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, n, LUA_MULTRET);
	return lua_gettop(L);
}

static int plain_length(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	if (luaL_getmetafield(L, 1, "__len") != LUA_TNIL)
		return luaL_argerror(L, 1, "a table with __len is not possible here");
	return original(L);
}

static int bounded_move(lua_State *L)
{
	lua_Integer from = luaL_checkinteger(L, 2), to = luaL_checkinteger(L, 3);

	luaL_argcheck(L, from > to || (lua_Unsigned)to - (lua_Unsigned)from < LOOP_MAX, 3,
		      "too many elements to move");
	return original(L);
}

static int bounded_concat(lua_State *L)
{
	lua_Integer from = luaL_optinteger(L, 3, 1);

	luaL_checktype(L, 1, LUA_TTABLE);
	if (!lua_isnoneornil(L, 4)) {
		lua_Integer to = luaL_checkinteger(L, 4);

		luaL_argcheck(L, from > to || (lua_Unsigned)to - (lua_Unsigned)from < LOOP_MAX, 4,
			      "too many elements");
		return original(L);
	}
	return plain_length(L);
}

/* ---- all ---- */

static void replace(lua_State *L, const char *lib, const char *name, lua_CFunction by)
{
	lua_getglobal(L, lib);
	if (by) {
		lua_getfield(L, -1, name);
		lua_pushcclosure(L, by, 1); /* the original, for those that call it */
	} else {
		lua_pushnil(L);
	}
	lua_setfield(L, -2, name);
	lua_pop(L, 1);
}

static void lock_strings(lua_State *L)
{
	lua_pushliteral(L, "");
	if (lua_getmetatable(L, -1)) {
		lua_pushboolean(L, 0);
		lua_setfield(L, -2, "__metatable");
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
}

void luavm_open_confined(lua_State *L)
{
	static const luaL_Reg libs[] = {
		{LUA_GNAME, luaopen_base},	  {LUA_TABLIBNAME, luaopen_table},
		{LUA_STRLIBNAME, luaopen_string}, {LUA_MATHLIBNAME, luaopen_math},
		{LUA_UTF8LIBNAME, luaopen_utf8},  {LUA_COLIBNAME, luaopen_coroutine},
	};
	static const struct {
		const char *lib, *name;
		lua_CFunction by;
	} changes[] = {
		{LUA_GNAME, "dofile", NULL},
		{LUA_GNAME, "loadfile", NULL},
		{LUA_GNAME, "load", load_text},
		{LUA_GNAME, "warn", NULL},
		{LUA_GNAME, "print", luavm_print},
		{LUA_GNAME, "collectgarbage", collect},
		{LUA_GNAME, "setmetatable", set_metatable},
		{LUA_GNAME, "xpcall", protected_call},
		{LUA_COLIBNAME, "wrap", wrap},
		{LUA_COLIBNAME, "close", NULL},
		{LUA_STRLIBNAME, "dump", NULL},
		{LUA_STRLIBNAME, "find", luavm_find},
		{LUA_STRLIBNAME, "match", luavm_match},
		{LUA_STRLIBNAME, "gmatch", luavm_gmatch},
		{LUA_STRLIBNAME, "gsub", luavm_gsub},
		{LUA_TABLIBNAME, "insert", plain_length},
		{LUA_TABLIBNAME, "remove", plain_length},
		{LUA_TABLIBNAME, "sort", plain_length},
		{LUA_TABLIBNAME, "move", bounded_move},
		{LUA_TABLIBNAME, "concat", bounded_concat},
	};

	for (size_t i = 0; i < ARRAY_SIZE(libs); i++) {
		luaL_requiref(L, libs[i].name, libs[i].func, 1);
		lua_pop(L, 1);
	}
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
		replace(L, changes[i].lib, changes[i].name, changes[i].by);
	lock_strings(L);
}
