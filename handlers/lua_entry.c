#include "handlers/lua_entry.h"

#include <errno.h>
#include <inttypes.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/arena.h"
#include "corelib/lua/luavm.h"
#include "corelib/base/text.h"

enum { KEY_MAX = 64 };

/* what SWUpdate's table has and no attribute is: read only */
static const char *const others[] = {"partition", "script", "checksum", "skip",
				     "copy2file", "read",   "_private", "slot_device"};

/* ---- names ---- */

/* "install-if-higher" is install_if_higher in Lua */
static const char *key_of(const struct attr *row, char *key)
{
	if (strcmp(row->name, "aes-key") == 0 || text_copy(key, KEY_MAX, row->name) < 0)
		return row->name;
	for (char *p = key; *p; p++)
		*p = *p == '-' ? '_' : *p;
	return key;
}

static const struct attr *row_of(const char *key, unsigned where)
{
	char name[KEY_MAX];

	for (size_t i = 0; i < entry_schema.count; i++) {
		const struct attr *row = &entry_schema.rows[i];

		if (row->where & where &&
		    (strcmp(key, row->name) == 0 || strcmp(key, key_of(row, name)) == 0))
			return row;
	}
	return NULL;
}

static bool is_other(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (strcmp(key, others[i]) == 0)
			return true;
	return false;
}

/* ---- to Lua ---- */

static const void *field(const struct attr *row, const struct entry *t)
{
	return (const char *)t + row->at; /* the entry is the first field of what rows describe */
}

static bool is_absent(const struct attr *row, const struct entry *t)
{
	if (row->has)
		return !*(const bool *)((const char *)t + row->has);
	if (strncmp(row->name, "hash-", 5) == 0)
		return !t->hashes.name;
	return row->type == ATTR_SIZE && *(const uint64_t *)field(row, t) == 0;
}

static void push_hex(lua_State *L, const uint8_t *bytes, size_t n)
{
	char hex[2 * 32 + 1];

	text_hex(bytes, n, hex);
	lua_pushstring(L, hex);
}

static void push_bytes(lua_State *L, const struct attr *row, const struct entry *t)
{
	size_t n = (size_t)row->max;

	if (is_absent(row, t)) {
		lua_pushliteral(L, "");
		return;
	}
	if (row->at == offsetof(struct entry, aes_key))
		n = t->aes_key_len;
	push_hex(L, field(row, t), n);
}

/* false, true for the first word of 'encrypted', else the word */
static void push_word(lua_State *L, const struct attr *row, const struct entry *t)
{
	int v = *(const int *)field(row, t);

	if (v == 0 || (v == 1 && strcmp(row->name, "encrypted") == 0))
		lua_pushboolean(L, v);
	else
		lua_pushstring(L, row->values[v]);
}

static void push_properties(lua_State *L, const struct entry *t)
{
	lua_createtable(L, 0, (int)t->prop_count);
	for (size_t i = 0; i < t->prop_count; i++) {
		const struct property *p = &t->props[i];

		if (p->count == 1) {
			lua_pushstring(L, p->values[0]);
		} else {
			lua_createtable(L, (int)p->count, 0);
			for (size_t k = 0; k < p->count; k++) {
				lua_pushstring(L, p->values[k]);
				lua_rawseti(L, -2, (lua_Integer)k + 1);
			}
		}
		lua_setfield(L, -2, p->name);
	}
}

static void push_value(lua_State *L, const struct attr *row, const struct entry *t)
{
	const char *text;

	switch (row->type) {
	case ATTR_STRING:
		text = *(const char *const *)field(row, t);
		lua_pushstring(L, text ? text : "");
		break;
	case ATTR_BOOL:
		lua_pushboolean(L, *(const bool *)field(row, t));
		break;
	case ATTR_SIZE:
		lua_pushinteger(
			L, is_absent(row, t) ? 0 : (lua_Integer) * (const uint64_t *)field(row, t));
		break;
	case ATTR_HEX:
		push_bytes(L, row, t);
		break;
	case ATTR_BOOL_OR_ENUM:
		push_word(L, row, t);
		break;
	case ATTR_GROUP:
		push_properties(L, t);
		break;
	default:
		lua_pushnil(L);
	}
}

void lua_entry_push(lua_State *L, const struct entry *t)
{
	char key[KEY_MAX];

	luaL_checkstack(L, 8, "an entry");
	lua_createtable(L, 0, 40);
	for (size_t i = 0; i < entry_schema.count; i++) {
		const struct attr *row = &entry_schema.rows[i];

		if (!(row->where & t->section))
			continue;
		push_value(L, row, t);
		lua_setfield(L, -2, key_of(row, key));
	}
	lua_pushboolean(L, t->section == SECTION_PARTITIONS);
	lua_setfield(L, -2, "partition");
	lua_pushboolean(L, t->section == SECTION_SCRIPTS);
	lua_setfield(L, -2, "script");
	lua_pushinteger(L, 0);
	lua_setfield(L, -2, "checksum");
	lua_pushinteger(L, 0);
	lua_setfield(L, -2, "skip");
}

/* ---- from Lua ---- */

/* a tree that grows in the arena of the manifest */
struct grown {
	lua_State *L;
	struct arena *arena;
	struct node *group, *last;
};

static __attribute__((noreturn)) void no_memory(lua_State *L)
{
	struct err e = {0};

	err_set(&e, E_MEMORY, ENOMEM, "no memory for an entry from Lua");
	luavm_raise(L, &e);
}

static char *keep_text(const struct grown *g, int index)
{
	size_t n;
	const char *text = lua_tolstring(g->L, index, &n);
	char *kept;

	if (strlen(text) != n)
		luaL_error(g->L, "a text of an entry has a byte 0");
	if (!text_is_utf8(text, n))
		luaL_error(g->L, "a text of an entry is not UTF-8");
	kept = arena_strndup(g->arena, text, n);
	if (!kept)
		no_memory(g->L);
	return kept;
}

static struct node *add_node(struct grown *g, enum node_type type, const char *name)
{
	struct node *n = arena_alloc(g->arena, sizeof(*n));

	if (!n)
		no_memory(g->L);
	n->type = type;
	n->name = name;
	n->parent = g->group;
	n->line = g->group ? g->group->line : 0;
	if (g->last)
		g->last->next = n;
	else if (g->group)
		g->group->child = n;
	g->last = n;
	if (g->group)
		g->group->count++;
	return n;
}

static void add_number(struct grown *g, int index, const char *name)
{
	int whole;
	lua_Integer v = lua_tointegerx(g->L, index, &whole);
	struct node *n = add_node(g, whole ? NODE_INT : NODE_FLOAT, name);

	n->integer = v;
}

static void add_value(struct grown *g, int index, const char *name)
{
	switch (lua_type(g->L, index)) {
	case LUA_TSTRING:
		add_node(g, NODE_STRING, name)->string = keep_text(g, index);
		break;
	case LUA_TBOOLEAN:
		add_node(g, NODE_BOOL, name)->integer = lua_toboolean(g->L, index);
		break;
	case LUA_TNUMBER:
		add_number(g, index, name);
		break;
	default:
		add_node(g, NODE_NULL, name);
	}
}

/* "" and, where nothing was said, the 0 that stood for it */
static bool says_nothing(lua_State *L, const struct attr *row, const struct entry *t)
{
	if (lua_type(L, -1) == LUA_TSTRING)
		return lua_rawlen(L, -1) == 0;
	return row->type == ATTR_SIZE && lua_isnumber(L, -1) && lua_tonumber(L, -1) == 0 &&
	       is_absent(row, t);
}

/* texts; numbers and flags count as the text that they are written as */
static void add_property(struct grown *g, int index, const char *name)
{
	lua_State *L = g->L;
	int type = lua_type(L, index);

	if (type == LUA_TBOOLEAN || type == LUA_TNUMBER) {
		luaL_tolstring(L, index, NULL);
		add_node(g, NODE_STRING, name)->string = keep_text(g, -1);
		lua_pop(L, 1);
	} else {
		add_value(g, index, name);
	}
}

static struct grown inner(const struct grown *g, struct node *group)
{
	return (struct grown){.L = g->L, .arena = g->arena, .group = group};
}

static void add_list(struct grown *g, const char *name)
{
	struct grown list = inner(g, add_node(g, NODE_LIST, name));
	lua_Unsigned n = lua_rawlen(g->L, -1);

	for (lua_Unsigned i = 1; i <= n; i++) {
		lua_rawgeti(g->L, -1, (lua_Integer)i);
		add_property(&list, -1, NULL);
		lua_pop(g->L, 1);
	}
}

/* the table is on top */
static void add_properties(struct grown *g, const char *name)
{
	lua_State *L = g->L;
	struct grown props = inner(g, add_node(g, NODE_GROUP, name));

	luaL_checkstack(L, 8, "properties");
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
		const char *key;

		if (lua_type(L, -2) != LUA_TSTRING)
			luaL_error(L, "the name of a property is not a text");
		key = keep_text(&props, -2);
		if (lua_istable(L, -1))
			add_list(&props, key);
		else
			add_property(&props, -1, key);
	}
}

/* what the table says of a row, else what the entry said; on top of the stack */
static void find_value(lua_State *L, int index, const struct attr *row, const struct entry *t)
{
	char key[KEY_MAX];

	lua_pushstring(L, key_of(row, key));
	if (lua_rawget(L, index) != LUA_TNIL)
		return;
	lua_pop(L, 1);
	lua_pushstring(L, row->name);
	if (lua_rawget(L, index) != LUA_TNIL)
		return;
	lua_pop(L, 1);
	push_value(L, row, t);
}

static void add_row(struct grown *g, int index, const struct attr *row, const struct entry *t)
{
	find_value(g->L, index, row, t);
	if (row->type == ATTR_GROUP && lua_istable(g->L, -1))
		add_properties(g, row->name);
	else if (!says_nothing(g->L, row, t))
		add_value(g, -1, row->name);
	lua_pop(g->L, 1);
}

/* "" says nothing, whatever the key */
static bool is_empty(lua_State *L, int index)
{
	return lua_type(L, index) == LUA_TSTRING && lua_rawlen(L, index) == 0;
}

/* keys that no row knows are for the parser to judge */
static void add_unknown(struct grown *g, int index, unsigned where)
{
	lua_State *L = g->L;

	for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
		const char *key;

		if (lua_type(L, -2) != LUA_TSTRING)
			continue;
		key = lua_tostring(L, -2);
		if (!row_of(key, where) && !is_other(key) && !is_empty(L, -1))
			add_node(g, NODE_NULL, keep_text(g, -2));
	}
}

static struct node *new_group(lua_State *L, struct arena *a, const struct grown *place,
			      unsigned line)
{
	struct grown g = {.L = L, .arena = a};
	struct node *root = add_node(&g, NODE_GROUP, NULL), *n;

	g = inner(place, root);
	n = add_node(&g, NODE_GROUP, "entry");
	n->line = line;
	return n;
}

const struct node *lua_entry_group(lua_State *L, int index, const struct entry *t, struct arena *a)
{
	struct grown g = {.L = L, .arena = a};

	luaL_checkstack(L, 12, "an entry");
	g.group = new_group(L, a, &g, t->line);
	for (size_t i = 0; i < entry_schema.count; i++)
		if (entry_schema.rows[i].where & t->section)
			add_row(&g, index, &entry_schema.rows[i], t);
	add_unknown(&g, index, t->section);
	return g.group;
}

bool lua_entry_skips(lua_State *L, int index)
{
	bool skip;

	lua_pushliteral(L, "skip");
	lua_rawget(L, index);
	skip = lua_isnumber(L, -1) ? lua_tonumber(L, -1) != 0 : lua_toboolean(L, -1);
	lua_pop(L, 1);
	return skip;
}

/* ---- variables ---- */

void lua_variable_push(lua_State *L, const struct boot_var *v)
{
	lua_createtable(L, 0, 2);
	lua_pushstring(L, v->name);
	lua_setfield(L, -2, "name");
	lua_pushstring(L, v->value ? v->value : "");
	lua_setfield(L, -2, "value");
}

const struct node *lua_variable_group(lua_State *L, int index, const struct boot_var *v,
				      struct arena *a)
{
	struct grown g = {.L = L, .arena = a};
	const char *const names[] = {"name", "value"}, *const old[] = {v->name, v->value};

	luaL_checkstack(L, 8, "a variable");
	g.group = new_group(L, a, &g, v->line);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		lua_pushstring(L, names[i]);
		if (lua_rawget(L, index) == LUA_TNIL) {
			lua_pop(L, 1);
			lua_pushstring(L, old[i] ? old[i] : "");
		}
		add_value(&g, -1, names[i]);
		lua_pop(L, 1);
	}
	return g.group;
}
