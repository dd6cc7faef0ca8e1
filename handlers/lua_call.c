#include "handlers/lua_call.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

#include "corelib/base/arena.h"
#include "corelib/lua/luavm.h"
#include "corelib/base/text.h"
#include "handlers/lua_entry.h"

enum { FILE_MAX = 512, ARENA_MAX = 256 * 1024 };

/* what the protected part makes */
struct making {
	const struct lua_caller *from;
	struct arena *arena;
	char text[HOST_CALL_TEXT], file[FILE_MAX];
};

/* ---- the image as text ---- */

static void set_string(struct node *group, const char *name, const char *value)
{
	node_for_each(n, group)
		if (strcmp(n->name, name) == 0) {
			/* the tree was made here and is not shared yet */
			((struct node *)n)->type = NODE_STRING;
			((struct node *)n)->string = value;
		}
}

/* a path in filename is the file; the entry has the name alone */
static void take_file(lua_State *L, struct making *m, const char *name)
{
	const char *slash = strrchr(name, '/');

	if (slash && (text_copy(m->file, sizeof(m->file), name) < 0 || !slash[1]))
		luaL_error(L, "call_handler: '%s' is not the path of a file", name);
	if (slash) {
		lua_pushstring(L, slash + 1);
		lua_setfield(L, 2, "filename");
	}
}

/* a copy: the caller's table stays as it is, and 'type' is the first argument */
static void copy_table(lua_State *L, struct making *m)
{
	const char *name;

	lua_newtable(L);
	for (lua_pushnil(L); lua_next(L, 2);) {
		lua_pushvalue(L, -2);
		lua_insert(L, -2);
		lua_settable(L, 4);
	}
	lua_replace(L, 2);
	lua_pushvalue(L, 1);
	lua_setfield(L, 2, "type");
	lua_getfield(L, 2, "filename");
	name = lua_tostring(L, -1);
	take_file(L, m, name ? name : "");
	lua_settop(L, 2);
}

static void check_known(lua_State *L, const struct node *group)
{
	node_for_each(n, group)
		if (n->type == NODE_NULL)
			luaL_error(L,
				   "call_handler: '%s' is no attribute of an entry, or has no "
				   "value that one can have",
				   n->name);
}

static int make_text(lua_State *L)
{
	static const struct entry nothing = {.section = SECTION_IMAGES};
	struct making *m = lua_touserdata(L, 3);
	const struct step *st = m->from->st;
	const struct node *group;
	int n;

	copy_table(L, m);
	group = lua_entry_group(L, 2, st ? st->entry : &nothing, m->arena);
	/* of a script: the handler is none for scripts */
	set_string((struct node *)group, "type", lua_tostring(L, 1));
	check_known(L, group);
	n = node_print(group->parent, m->text, sizeof(m->text));
	if (n == -ENOSPC)
		luaL_error(L, "call_handler: the image has more than %d bytes of attributes",
			   (int)sizeof(m->text));
	if (n < 0)
		luaL_error(L, "call_handler: the image has a name that a description cannot have");
	return 0;
}

/* ---- the question ---- */

static void ask(lua_State *L, const struct making *m, struct err *e)
{
	const struct lua_caller *from = m->from;
	struct host *h = luavm_user(L);
	struct host_call c = {.type = lua_tostring(L, 1), .text = m->text, .file = m->file};

	if (!m->file[0] && from->in) {
		c.in = from->in;
		c.has_size = from->st->has_size;
		c.size = from->st->size;
	}
	luavm_pause(L);
	if (h->ops->call)
		h->ops->call(h, &c, e);
	else
		err_set(e, E_NOT_BUILT, ENOTSUP, "call_handler is not possible here");
	luavm_resume(L);
}

/* whoever is asked to stop does not decide what follows */
static bool must_raise(const struct err *e)
{
	return e->code == E_CANCELED || e->code == E_DEADLINE || e->code == E_MEMORY ||
	       e->code == E_INTERNAL;
}

int lua_call_ask(lua_State *L, const struct lua_caller *from)
{
	struct making m = {.from = from};
	struct err e = {0};

	luaL_checkstring(L, 1);
	luaL_checktype(L, 2, LUA_TTABLE);
	lua_settop(L, 2);
	m.arena = arena_new(ARENA_MAX);
	if (!m.arena) {
		err_set(&e, E_MEMORY, ENOMEM, "no memory for an entry from Lua");
		return luavm_raise(L, &e);
	}
	lua_pushcfunction(L, make_text);
	lua_pushvalue(L, 1);
	lua_pushvalue(L, 2);
	lua_pushlightuserdata(L, &m);
	if (lua_pcall(L, 3, 0, 0) != LUA_OK) {
		arena_free(m.arena);
		return lua_error(L);
	}
	arena_free(m.arena);
	ask(L, &m, &e);
	if (must_raise(&e))
		return luavm_raise(L, &e);
	lua_pushinteger(L, err_is_set(&e));
	if (!err_is_set(&e))
		lua_pushnil(L);
	else
		lua_pushfstring(L, "%s (%s)", e.why, err_info(e.code)->name);
	return 2;
}
