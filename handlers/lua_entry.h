/*
 * An entry as the table that Lua code of a bundle gets and gives back (COMPAT 4).
 *
 * Keys are the attributes with '_' for '-' (but "aes-key"); an absent text is "", an absent number
 * 0. On the way back a key that is missing keeps its value, "" takes it away; nothing is checked
 * here: the group goes through the rules of the parser.
 */
#ifndef HANDLERS_LUA_ENTRY_H
#define HANDLERS_LUA_ENTRY_H

#include <stdbool.h>

#include "corelib/base/arena.h"
#include "parser/manifest.h"

struct lua_State;

/* all of these may raise a Lua error: called by what luavm_run() runs */
void lua_entry_push(struct lua_State *L, const struct entry *t);
/* the table at 'index' as a group in 'a' */
const struct node *lua_entry_group(struct lua_State *L, int index, const struct entry *t,
				   struct arena *a);
/* does the table ask to leave the entry out (skip)? */
bool lua_entry_skips(struct lua_State *L, int index);

/* the same for a variable of bootenv: name and value */
void lua_variable_push(struct lua_State *L, const struct boot_var *v);
const struct node *lua_variable_group(struct lua_State *L, int index, const struct boot_var *v,
				      struct arena *a);

#endif
