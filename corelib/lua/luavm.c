#include "corelib/lua/luavm_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

enum { RESULTS = 2 }; /* of a function that is called */

struct luavm *luavm_of(lua_State *L)
{
	return *(struct luavm **)lua_getextraspace(L);
}

static void *allocate(void *arg, void *old, size_t had, size_t want)
{
	struct luavm *vm = arg;
	size_t before = old ? had : 0; /* of a new object 'had' is its type */
	void *p;

	if (want == 0) {
		free(old);
		vm->used -= before;
		return NULL;
	}
	if (want > before && !vm->o.full && want - before > LUA_MEMORY - vm->used)
		return NULL;
	p = realloc(old, want);
	if (!p && want > before)
		return NULL;
	vm->used = vm->used - before + want;
	return p ? p : old;
}

/* ---- values to and from the stack ---- */

static void put_value(lua_State *L, int index, struct luabuf *b, unsigned depth);

/* the list first, in its order; then what has a text for a key */
static void put_table(lua_State *L, int index, struct luabuf *b, unsigned depth)
{
	lua_Unsigned n = lua_rawlen(L, index);

	luaL_checkstack(L, 4, "a table");
	luabuf_open(b);
	for (lua_Unsigned i = 1; i <= n && !b->failed; i++) {
		luabuf_key(b, NULL, 0);
		lua_rawgeti(L, index, (lua_Integer)i);
		put_value(L, lua_gettop(L), b, depth + 1);
		lua_pop(L, 1);
	}
	for (lua_pushnil(L); !b->failed && lua_next(L, index); lua_pop(L, 1)) {
		size_t len = 0;
		const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tolstring(L, -2, &len) : "";
		lua_Integer i = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : 0;

		if (i >= 1 && (lua_Unsigned)i <= n)
			continue;
		luabuf_key(b, key, len);
		put_value(L, lua_gettop(L), b, depth + 1);
	}
	luabuf_close(b);
}

/* index counts from below */
static void put_value(lua_State *L, int index, struct luabuf *b, unsigned depth)
{
	size_t n;
	const char *text;

	switch (lua_type(L, index)) {
	case LUA_TNIL:
		luabuf_nil(b);
		break;
	case LUA_TBOOLEAN:
		luabuf_bool(b, lua_toboolean(L, index));
		break;
	case LUA_TNUMBER:
		if (lua_isinteger(L, index))
			luabuf_int(b, lua_tointeger(L, index));
		else
			luabuf_float(b, lua_tonumber(L, index));
		break;
	case LUA_TSTRING:
		text = lua_tolstring(L, index, &n);
		luabuf_bytes(b, text, n);
		break;
	case LUA_TTABLE:
		if (depth < LUAVAL_DEPTH)
			put_table(L, index, b, depth);
		else
			luabuf_other(b);
		break;
	default:
		luabuf_other(b);
	}
}

/* all that lies on the stack from 'first' on */
static void put_stack(lua_State *L, int first)
{
	struct luabuf *b = &luavm_of(L)->out;
	int top = lua_gettop(L);

	b->n = 0;
	b->failed = false;
	for (int i = first; i <= top; i++)
		put_value(L, i, b, 0);
	if (b->failed)
		luaL_error(L, "the values are larger than %d KiB", LUA_MOST / 1024);
}

static void push_value(lua_State *L, const struct luaval *v)
{
	luaL_checkstack(L, 4, "a value");
	switch (v->type) {
	case LUAVAL_BOOL:
		lua_pushboolean(L, (int)v->integer);
		break;
	case LUAVAL_INT:
		lua_pushinteger(L, v->integer);
		break;
	case LUAVAL_FLOAT:
		lua_pushnumber(L, v->number);
		break;
	case LUAVAL_TEXT:
		lua_pushlstring(L, v->text, v->n);
		break;
	case LUAVAL_TABLE:
		lua_newtable(L);
		for (const struct luaval *c = v->child; c; c = c->next) {
			push_value(L, c);
			if (c->key)
				lua_setfield(L, -2, c->key);
			else
				lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
		}
		break;
	default:
		lua_pushnil(L);
	}
}

static int push_values(lua_State *L, const struct luaval *first)
{
	int n = 0;

	for (const struct luaval *v = first; v; v = v->next, n++)
		push_value(L, v);
	return n;
}

/* ---- messages ---- */

/* without the job there is nothing to do and nobody to tell */
static void must(bool ok)
{
	if (!ok)
		_exit(1);
}

static void send_out(struct luavm *vm, enum lua_kind kind)
{
	const struct lua_head head = {.n = (uint32_t)vm->out.n, .kind = kind};

	must(sys_write(LUA_FD, &head, sizeof(head)) == 0 &&
	     sys_write(LUA_FD, vm->out.at, vm->out.n) == 0);
}

/* a message and the values in it, on top of those that are not done with yet */
struct message {
	struct message *outer;
	struct arena *arena;
};

/* false: the job asks no more. The values are lent until drop(): while they are read a finalizer or
 * a metamethod of the script may run, and ask */
static bool take(struct luavm *vm, enum lua_kind *kind, const struct luaval **values)
{
	struct err e = {0};
	struct lua_head head;
	ssize_t n = sys_read(LUA_FD, &head, sizeof(head));
	struct arena *a;
	struct message *m;
	void *bytes;

	if (n == 0)
		return false;
	a = arena_new(SIZE_MAX / 2);
	m = a ? arena_alloc(a, sizeof(*m)) : NULL;
	bytes = m ? arena_alloc(a, head.n) : NULL;
	must(n == sizeof(head) && bytes && sys_read(LUA_FD, bytes, head.n) == (ssize_t)head.n &&
	     luaval_read(bytes, head.n, a, values, &e) == 0);
	*m = (struct message){vm->message, a};
	vm->message = m;
	*kind = head.kind;
	return true;
}

/* also those above that an error has jumped over */
static void drop(struct luavm *vm, struct message *until)
{
	while (vm->message != until) {
		struct message *m = vm->message;

		vm->message = m->outer;
		arena_free(m->arena);
	}
}

static void answer_job(lua_State *L, enum lua_kind kind, const struct luaval *values);

int luavm_ask(lua_State *L, enum lua_kind kind, int first)
{
	struct luavm *vm = luavm_of(L);
	struct message *outer = vm->message;
	const struct luaval *values;
	int n;

	if (vm->closed)
		luaL_error(L, "the script has ended");
	luavm_tell(L, kind, first);
	must(take(vm, &kind, &values));
	while (kind != LUA_ANSWER && kind != LUA_REFUSED) {
		answer_job(L, kind, values);
		drop(vm, outer);
		must(take(vm, &kind, &values));
	}
	n = push_values(L, values);
	drop(vm, outer);
	return kind == LUA_REFUSED ? lua_error(L) : n;
}

void luavm_tell(lua_State *L, enum lua_kind kind, int first)
{
	put_stack(L, first);
	send_out(luavm_of(L), kind);
	lua_settop(L, first - 1);
}

/* ---- what the job asks for ---- */

static int load_text(lua_State *L, const struct luaval *values)
{
	const struct luaval *name = luaval_at(values, 0), *text = luaval_at(values, 1);

	lua_pushfstring(L, "=%s", name->text);
	/* never bytecode: it could reach all memory of this process */
	if (luaL_loadbufferx(L, text->text, text->n, lua_tostring(L, -1), "t") != LUA_OK)
		lua_error(L);
	lua_call(L, 0, LUA_MULTRET);
	return lua_gettop(L) - 1;
}

/* function: its global name or its number as a handler; may it be missing; number of the call, 0 =
 * without methods of an image; arguments */
static int call_function(lua_State *L, const struct luaval *values)
{
	const struct luaval *function = luaval_at(values, 0), *call = luaval_at(values, 2);
	int n = 0;

	if (function->type == LUAVAL_INT)
		luamodule_push_handler(L, function->integer);
	else
		lua_getglobal(L, function->text);
	if (!lua_isfunction(L, -1)) {
		if (luaval_at(values, 1)->integer)
			return 0;
		luaL_error(L, "there is no function '%s'", function->text);
	}
	for (const struct luaval *v = call->next; v; v = v->next, n++) {
		push_value(L, v);
		if (n == 0 && call->integer)
			luamodule_add_methods(L, call->integer);
	}
	lua_call(L, n, RESULTS);
	return RESULTS;
}

struct job {
	enum lua_kind kind;
	const struct luaval *values;
};

/* runs protected, on a stack of its own */
static int work(lua_State *L)
{
	const struct job j = *(const struct job *)lua_touserdata(L, 1);
	int n = 0;

	lua_settop(L, 0);
	if (j.kind == LUA_INIT) {
		push_value(L, luaval_at(j.values, 0));
		luamodule_set_handlers(L);
	} else if (j.kind == LUA_LOAD) {
		n = load_text(L, j.values);
	} else {
		n = call_function(L, j.values);
	}
	put_stack(L, lua_gettop(L) - n + 1);
	return 0;
}

/* runs where the error is raised: whatever it is becomes a text */
static int to_text(lua_State *L)
{
	if (lua_type(L, 1) == LUA_TSTRING)
		return 1;
	luaL_tolstring(L, 1, NULL);
	return 1;
}

static void put_failure(lua_State *L, int status, struct luabuf *b)
{
	char text[100];
	size_t n;
	const char *why = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &n) : NULL;

	b->n = 0;
	b->failed = false;
	if (status == LUA_ERRMEM && !luavm_of(L)->o.full) {
		text_print(text, sizeof(text),
			   "the script wants more than the %d KiB of memory that it may use",
			   LUA_MEMORY / 1024);
		luabuf_text(b, text);
	} else if (why) {
		luabuf_bytes(b, why, n < 4096 ? n : 4096);
	} else {
		luabuf_nil(b);
	}
}

static void answer_job(lua_State *L, enum lua_kind kind, const struct luaval *values)
{
	struct luavm *vm = luavm_of(L);
	struct job j = {.kind = kind, .values = values};
	int top = lua_gettop(L), rc = LUA_ERRMEM;

	if (lua_checkstack(L, 4)) {
		lua_pushcfunction(L, to_text);
		lua_pushcfunction(L, work);
		lua_pushlightuserdata(L, &j);
		rc = lua_pcall(L, 1, 0, top + 1);
	}
	if (vm->o.full)
		fflush(stdout);
	if (rc != LUA_OK)
		put_failure(L, rc, &vm->out);
	lua_settop(L, top);
	send_out(vm, rc == LUA_OK ? LUA_DONE : LUA_FAILED);
}

void luavm_serve(struct luavm *vm)
{
	const struct luaval *values;
	enum lua_kind kind;

	while (take(vm, &kind, &values)) {
		answer_job(vm->L, kind, values);
		drop(vm, NULL);
	}
	vm->closed = true;
}

/* ---- what a state has ---- */

/* as the library's own, for texts only */
static int load_confined(lua_State *L)
{
	int n = lua_gettop(L);

	lua_settop(L, n < 4 ? 3 : 4);
	lua_pushliteral(L, "t");
	lua_replace(L, 3);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
	return lua_gettop(L);
}

static void take_away(lua_State *L, const char *table, const char *name)
{
	lua_getglobal(L, table);
	lua_pushnil(L);
	lua_setfield(L, -2, name);
	lua_pop(L, 1);
}

static void open_confined(lua_State *L)
{
	static const luaL_Reg libs[] = {
		{LUA_GNAME, luaopen_base},	  {LUA_TABLIBNAME, luaopen_table},
		{LUA_STRLIBNAME, luaopen_string}, {LUA_MATHLIBNAME, luaopen_math},
		{LUA_UTF8LIBNAME, luaopen_utf8},  {LUA_COLIBNAME, luaopen_coroutine},
	};

	for (size_t i = 0; i < ARRAY_SIZE(libs); i++) {
		luaL_requiref(L, libs[i].name, libs[i].func, 1);
		lua_pop(L, 1);
	}
	take_away(L, LUA_GNAME, "dofile");
	take_away(L, LUA_GNAME, "loadfile");
	take_away(L, LUA_STRLIBNAME, "dump");
	lua_getglobal(L, "load");
	lua_pushcclosure(L, load_confined, 1);
	lua_setglobal(L, "load");
}

/* the end of the process is not for a script to choose */
static int no_exit(lua_State *L)
{
	return luaL_error(L, "os.exit is not for scripts: return, or raise an error");
}

static void open_full(lua_State *L)
{
	luaL_openlibs(L);
	lua_getglobal(L, LUA_OSLIBNAME);
	lua_pushcfunction(L, no_exit);
	lua_setfield(L, -2, "exit");
	lua_pop(L, 1);
}

static int open_all(lua_State *L)
{
	if (luavm_of(L)->o.full)
		open_full(L);
	else
		open_confined(L);
	lua_pushcfunction(L, luamodule_print);
	lua_setglobal(L, "print");
	luamodule_open(L);
	return 0;
}

int luavm_new(struct luavm **out, const struct luavm_options *o, struct err *e)
{
	struct luavm *vm = calloc(1, sizeof(*vm));

	*out = vm;
	if (!vm)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for Lua");
	vm->o = *o;
	vm->out.most = LUA_MOST;
	vm->L = lua_newstate(allocate, vm);
	if (vm->L) {
		*(struct luavm **)lua_getextraspace(vm->L) = vm;
		lua_pushcfunction(vm->L, open_all);
		if (lua_pcall(vm->L, 0, 0, 0) == LUA_OK)
			return 0;
	}
	luavm_free(vm);
	*out = NULL;
	return err_set(e, E_MEMORY, ENOMEM, "no memory for Lua");
}

void luavm_free(struct luavm *vm)
{
	if (vm->L)
		lua_close(vm->L);
	drop(vm, NULL);
	free(vm->out.at);
	free(vm);
}
