/*
 * Handlers in Lua that the device has of its own (lua-handlers, else swupdate_handlers.lua in the
 * Lua path): root's choice, so its state is full; others than root may not be able to change the
 * file.
 *
 * Lua code of the description: embedded-script, hooks of entries, functions around an entry.
 *
 * One state for each job, made after the signature was checked and the description parsed, gone
 * with the job; confined unless lua-trust = full (T43). hooks_apply() is a step from manifest to
 * manifest: what code changes passes the rules of the parser again. It runs in a check and in a dry
 * run too; preinstall and postinstall do not.
 */
#ifndef CORE_HOOKS_H
#define CORE_HOOKS_H

#include "core/session.h"
#include "handlers/handler.h"
#include "parser/manifest.h"

struct hooks;
struct lua_state;

/* runs the embedded script; *h is NULL when the description asks for no code. E_LUA, E_DEADLINE,
 * E_CANCELED, E_NOT_BUILT */
int hooks_open(struct hooks **h, const struct manifest *m, struct session *s, struct err *e);
void hooks_free(struct hooks *h);
int hooks_apply(struct hooks *h, struct manifest **m, const struct manifest_options *o,
		struct err *e);
/* a function that gets the entry and answers true */
int hooks_call(struct hooks *h, const char *name, const struct entry *t, struct err *e);
/* what the device's file, the embedded script and hooks registered; after hooks_apply() */
struct handler_rows hooks_handlers(const struct hooks *h);
/* the state of this job, for what asks for global-state; NULL: none */
struct lua_state *hooks_state(struct hooks *h);

#endif
