/*
 * The state of Lua in swinstall-lua; the job links none of this.
 *
 * Confined: tables, strings, numbers and coroutines of Lua's own library, LUA_MEMORY of memory; no
 * files, programs or bytecode. Full: the whole library. Nothing here looks at the clock: the job
 * ends the process (corelib/lua/luaproc.h).
 */
#ifndef CORELIB_LUAVM_H
#define CORELIB_LUAVM_H

#include "corelib/base/err.h"

struct luavm;
struct luavm_options {
	bool full, registers; /* as struct luaproc_options has them */
};

int luavm_new(struct luavm **vm, const struct luavm_options *o, struct err *e);
/* does what the job asks for on LUA_FD, until it has no more */
void luavm_serve(struct luavm *vm);
void luavm_free(struct luavm *vm);

#endif
