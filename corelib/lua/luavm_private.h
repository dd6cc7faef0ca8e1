/* What the files of corelib/luavm*.c share; nobody else includes it. */
#ifndef CORELIB_LUAVM_PRIVATE_H
#define CORELIB_LUAVM_PRIVATE_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "corelib/lua/luavm.h"

struct luavm {
	struct luavm_options o;
	lua_State *L;
	lua_State *now; /* that called into the program: a nested call runs on it */
	void *user;
	size_t used;
	bool no_memory; /* of the system, not of the cap */
	unsigned limit_ms;
	unsigned depth; /* of luavm_run() */
	uint64_t until, paused_at, used_ms;
	unsigned paused;
	enum errcode stop; /* E_NONE, or why nothing of it runs any more */
	struct err raised; /* the last one of luavm_raise() */
};

/* called by whatever takes long: raises when the time is over, the call was cancelled */
void luavm_check(lua_State *L);

/* why it must stop now, or E_NONE */
enum errcode luavm_must_stop(const struct luavm *vm);

/* luavm_confined.c, luavm_full.c: fills the globals; runs protected */
void luavm_open_confined(lua_State *L);
void luavm_open_full(lua_State *L);
/* luavm_match.c: the functions of string that take patterns */
int luavm_find(lua_State *L);
int luavm_match(lua_State *L);
int luavm_gmatch(lua_State *L);
int luavm_gsub(lua_State *L);
/* for both kinds: print() as lines */
int luavm_print(lua_State *L);

#endif
