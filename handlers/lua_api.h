/*
 * The module `swupdate` (also `swinstall`) that Lua code of bundles and configuration has: COMPAT 4
 * over what a host offers. doc/scripts.md lists its functions.
 */
#ifndef HANDLERS_LUA_API_H
#define HANDLERS_LUA_API_H

#include "corelib/lua/luavm.h"
#include "handlers/host.h"

/* puts the module into the globals and, in a full state, where require() finds it; 'h' is lent for
 * the life of the state */
int lua_api_open(struct luavm *vm, struct host *h, struct err *e);

/* flush and take away what scripts mounted by it and left, also those that were killed. The first
 * failure to flush is told: E_TARGET_FLUSH */
int lua_api_unmount(const char *folder, struct err *e);

#endif
