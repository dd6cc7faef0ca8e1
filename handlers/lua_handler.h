/*
 * Handlers written in Lua: what swupdate.register_handler() adds to the registry of one job.
 *
 * fn(image) for images, files, partitions and variables; fn(image, "preinst" or "postinst") for
 * scripts; 0 is success. The place that such a handler writes to is not known to the plan, so its
 * payload is proven whole before the first byte reaches it (L1). image:read(fn) hands out
 * the payload as it is after decryption and decompression, image:copy2file(path) stores it: in a
 * confined state only in the folder that tmpdirscripts() names.
 */
#ifndef HANDLERS_LUA_HANDLER_H
#define HANDLERS_LUA_HANDLER_H

#include "corelib/lua/luavm.h"
#include "handlers/handler.h"

struct lua_handlers;

/* puts register_handler, call_handler and HANDLER_MASK into the module that lua_api_open() made;
 * 'vm' is freed before this, and no handler runs after that */
int lua_handlers_open(struct lua_handlers **h, struct luavm *vm, bool full, struct err *e);
void lua_handlers_close(struct lua_handlers *h); /* the plan is made: nothing is added any more */
void lua_handlers_free(struct lua_handlers *h);
struct handler_rows lua_handlers_rows(const struct lua_handlers *h);

#endif
