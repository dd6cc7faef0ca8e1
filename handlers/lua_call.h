/*
 * call_handler(type, image) of the module: one more step, asked of the host (COMPAT 4).
 *
 * image is the table that the code was given, maybe changed, or one of its own. The payload is what
 * the handler that asks has not read yet; or, when image.filename has a '/', that file in the
 * folder of tmpdirscripts(). Answers 0, or 1 and a text.
 */
#ifndef HANDLERS_LUA_CALL_H
#define HANDLERS_LUA_CALL_H

#include <lua.h>

#include "corelib/stream/stream.h"
#include "handlers/handler.h"

struct lua_caller {
	const struct step *st; /* of the handler that asks; NULL: a script */
	struct stream *in;     /* NULL: it has no payload */
};
/* for a lua_CFunction: its arguments are on the stack */
int lua_call_ask(lua_State *L, const struct lua_caller *c);

#endif
