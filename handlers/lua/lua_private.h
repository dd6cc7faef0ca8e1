/* What the files of handlers/lua share; nobody else but the fuzz target includes it. */
#ifndef HANDLERS_LUA_PRIVATE_H
#define HANDLERS_LUA_PRIVATE_H

#include "handlers/lua/lua_state.h"

enum { LUA_HANDLERS_MOST = 64, LUA_HANDLER_NAME = 64 };

/* a handler written in Lua: the argument of its row */
struct lua_handler {
	struct lua_state *state;
	char name[LUA_HANDLER_NAME];
};

struct lua_state {
	struct lua_state_options o;
	struct luaproc *proc;
	const struct lua_call *call; /* the innermost that runs */
	int64_t calls;
	size_t told; /* bytes of messages */
	bool sealed;
	size_t count;
	struct handler_row rows[LUA_HANDLERS_MOST];
	struct lua_handler own[LUA_HANDLERS_MOST];
};

/* what the process asks: puts the answer. 'args' is whatever it sent */
typedef int lua_service(struct lua_state *s, const struct luaval *args, struct luabuf *answer,
			struct err *e);
/* the request itself makes no sense: nothing of the process is believed any more */
int lua_nonsense(struct err *e);

lua_service lua_system_getroot, lua_system_get_cmdline, lua_system_getversion, lua_system_mount,
	lua_system_umount;						  /* lua_system.c */
lua_service lua_payload_read, lua_payload_copy, lua_payload_call_handler; /* lua_payload.c */
lua_service lua_handler_register;					  /* lua_handler.c */

/* one request */
int lua_state_serve(void *state, enum lua_kind kind, const struct luaval *args,
		    struct luabuf *answer, struct err *e);

#endif
