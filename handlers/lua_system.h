/* What the module `swupdate` tells of the system that runs: lua_api.c puts it in. */
#ifndef HANDLERS_LUA_SYSTEM_H
#define HANDLERS_LUA_SYSTEM_H

#include <lauxlib.h>
#include <lua.h>

/* the kernel command line and what it says; for every state */
int lua_system_getroot(lua_State *L);
int lua_system_get_cmdline(lua_State *L);
/* files and devices; for full states */
int lua_system_stat(lua_State *L);
int lua_system_emmcbootpart(lua_State *L);

extern const char *const lua_system_roots[]; /* ROOT_DEVICE, from 0 */

/* nil and "what: why" */
int lua_system_failed(lua_State *L, const char *what, int error);

#endif
