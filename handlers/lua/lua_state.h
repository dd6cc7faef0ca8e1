/*
 * One process of Lua code, and what the job does for it: functions of the module over struct host,
 * the payload of the handler that runs, the handlers that it registers.
 *
 * What the process asks is judged as any other foreign bytes: a request that makes no sense ends it
 * (T43). Messages and what is printed are bounded as those of other programs (T120).
 */
#ifndef HANDLERS_LUA_STATE_H
#define HANDLERS_LUA_STATE_H

#include "corelib/lua/luaproc.h"
#include "handlers/handler.h"

struct lua_state;
struct lua_state_options {
	const char *name;	     /* in messages */
	struct host *host;	     /* lent for its life */
	const volatile bool *cancel; /* NULL: never */
	bool full;		     /* Lua's whole library; else confined */
	bool registers;		     /* handlers, until lua_state_seal() */
	enum log_level print;	     /* of what print() tells */
};

int lua_state_open(struct lua_state **s, const struct lua_state_options *o, struct err *e);
struct lua_state *lua_state_free(struct lua_state *s); /* NULL is fine; returns NULL */
/* what closes with the state has so long; then it is ended: E_DEADLINE */
int lua_state_finish(struct lua_state *s, uint64_t ms, struct err *e);

/* compile text (never bytecode), run it; *results, which it returns, lie in 'a'. E_LUA with line
 * and message, and what luaproc_ask() says */
int lua_state_load(struct lua_state *s, const char *name, const void *text, size_t n, uint64_t ms,
		   struct arena *a, const struct luaval **results, struct err *e);

struct lua_call {
	const char *function; /* a global one; NULL: the handler of this number */
	int64_t handler;
	bool optional;	    /* it may be missing: then there are no results */
	struct step *st;    /* of the handler that runs; NULL: none */
	struct stream *in;  /* its payload, NULL: none */
	struct luabuf args; /* taken */
	uint64_t ms;
	/* kept here */
	int64_t number;
	const struct lua_call *outer;
};
int lua_state_call(struct lua_state *s, struct lua_call *c, struct arena *a,
		   const struct luaval **results, struct err *e);

/* a line of the code, within its bounds */
void lua_state_say(struct lua_state *s, enum log_level level, const char *text, size_t n);
uint64_t lua_state_used_ms(const struct lua_state *s);
bool lua_state_is_full(const struct lua_state *s);

/* the plan is made: no handler is added any more */
void lua_state_seal(struct lua_state *s);
struct handler_rows lua_state_handlers(const struct lua_state *s);

/* flush and take away what scripts mounted by the module and left, also those that were killed. The
 * first failure to flush is told: E_TARGET_FLUSH */
int lua_state_unmount(const char *folder, struct err *e);

#endif
