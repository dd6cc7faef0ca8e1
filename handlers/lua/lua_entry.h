/*
 * An entry as the table that Lua code of a bundle gets and gives back (COMPAT 4).
 *
 * Keys are the attributes with '_' for '-' (but "aes-key"); an absent text is "", an absent number
 * 0. On the way back a key that is missing keeps its value, "" takes it away; nothing is checked
 * here: the group goes through the rules of the parser.
 */
#ifndef HANDLERS_LUA_ENTRY_H
#define HANDLERS_LUA_ENTRY_H

#include "corelib/lua/luavalue.h"
#include "parser/manifest.h"

/* 'slot_device': what its slot names, for a handler in Lua; NULL: not known */
void lua_entry_put(struct luabuf *b, const struct entry *t, const char *slot_device);
/* the table as a group in 'a'; E_LUA for a text that no entry can have */
int lua_entry_group(const struct luaval *table, const struct entry *t, struct arena *a,
		    const struct node **group, struct err *e);
/* does the table ask to leave the entry out (skip)? */
bool lua_entry_skips(const struct luaval *table);

/* the same for a variable of bootenv: name and value */
void lua_variable_put(struct luabuf *b, const struct boot_var *v);
int lua_variable_group(const struct luaval *table, const struct boot_var *v, struct arena *a,
		       const struct node **group, struct err *e);

#endif
