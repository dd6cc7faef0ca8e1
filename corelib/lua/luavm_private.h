/* What the files of swinstall-lua share; nobody else includes it. */
#ifndef CORELIB_LUAVM_PRIVATE_H
#define CORELIB_LUAVM_PRIVATE_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "corelib/lua/luaproc.h"
#include "corelib/lua/luavm.h"

struct luavm {
	struct luavm_options o;
	lua_State *L;
	size_t used;
	struct message *message; /* the last one from the job */
	struct luabuf out;	 /* the next one to it */
	bool closed;		 /* the job asks no more, and answers nothing */
};

struct luavm *luavm_of(lua_State *L);
/* asks with what lies on the stack from 'first' on; the answer's values come in its place: their
 * number; or raises */
int luavm_ask(lua_State *L, enum lua_kind kind, int first);
/* the same without an answer */
void luavm_tell(lua_State *L, enum lua_kind kind, int first);

/* luamodule.c: the module swupdate into the globals; then the table on top as its 'handler' */
void luamodule_open(lua_State *L);
void luamodule_set_handlers(lua_State *L);
/* the function that was registered under this number, on top of the stack */
void luamodule_push_handler(lua_State *L, lua_Integer number);
/* image:read() and image:copy2file() of this call into the table on top */
void luamodule_add_methods(lua_State *L, lua_Integer call);
int luamodule_print(lua_State *L);

/* luasystem.c: of files and devices, for full states */
int luasystem_stat(lua_State *L);
int luasystem_emmcbootpart(lua_State *L);

#endif
