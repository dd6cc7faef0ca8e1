#include "corelib/lua/luavm_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/stream/stream.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define FULL_CALL_MS (10u * 60 * 1000)
#define EVERY	     128 /* instructions between two looks at the clock */

/* ---- memory ---- */

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
	if (want > before && vm->o.memory && want - before > vm->o.memory - vm->used)
		return NULL;
	p = realloc(old, want);
	if (!p && want > before) {
		vm->no_memory = true;
		return NULL;
	}
	vm->used = vm->used - before + want;
	return p ? p : old;
}

/* ---- time ---- */

static void hook(lua_State *L, lua_Debug *at)
{
	(void)at;
	luavm_check(L);
}

enum errcode luavm_must_stop(const struct luavm *vm)
{
	if (vm->stop)
		return vm->stop;
	if (flag_is_set(vm->o.cancel))
		return E_CANCELED;
	return !vm->paused && sys_now_ms() >= vm->until ? E_DEADLINE : E_NONE;
}

/* once stopped, each further instruction raises: no pcall() outlives it, in no coroutine */
void luavm_check(lua_State *L)
{
	struct luavm *vm = luavm_of(L);

	vm->stop = luavm_must_stop(vm);
	lua_sethook(L, hook, LUA_MASKCOUNT, vm->stop ? 1 : EVERY);
	if (vm->stop)
		luaL_error(L, "stopped");
}

void luavm_limit(struct luavm *vm, unsigned call_ms)
{
	vm->limit_ms = call_ms;
}

uint64_t luavm_used_ms(const struct luavm *vm)
{
	return vm->used_ms;
}

void luavm_pause(lua_State *L)
{
	struct luavm *vm = luavm_of(L);

	if (vm->paused++ == 0) {
		vm->paused_at = sys_now_ms();
		vm->now = L;
	}
}

void luavm_resume(lua_State *L)
{
	struct luavm *vm = luavm_of(L);

	if (--vm->paused == 0)
		vm->until += sys_now_ms() - vm->paused_at;
}

/* ---- errors ---- */

/* runs where the error is raised: whatever it is becomes a text */
static int to_text(lua_State *L)
{
	if (lua_type(L, 1) == LUA_TSTRING || luavm_of(L)->stop)
		return 1;
	luaL_tolstring(L, 1, NULL);
	return 1;
}

static int memory_error(const struct luavm *vm, const char *what, struct err *e)
{
	if (vm->no_memory)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for Lua");
	return err_set(e, E_LUA, ENOMEM, "%s wants more than the %zu KiB of memory that it may use",
		       what, vm->o.memory / 1024);
}

static int stop_error(const struct luavm *vm, struct err *e)
{
	if (vm->stop == E_CANCELED)
		return err_set(e, E_CANCELED, ECANCELED, "Lua was stopped because of a cancel");
	return err_set(e, E_DEADLINE, ETIMEDOUT, "Lua did not end within %u ms", vm->limit_ms);
}

static int fail(struct luavm *vm, lua_State *L, int status, struct err *e)
{
	const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
	char shown[sizeof(e->why)];

	if (vm->stop)
		return stop_error(vm, e);
	if (status == LUA_ERRMEM)
		return memory_error(vm, "the script", e);
	if (text && vm->raised.code && strcmp(text, vm->raised.why) == 0) {
		*e = vm->raised;
		return -e->sys;
	}
	text_printable(text ? text : "", text ? strlen(text) : 0, shown, sizeof(shown));
	return err_set(e, E_LUA, EINVAL, "%s", text ? shown : "an error without a text");
}

int luavm_raise(lua_State *L, const struct err *e)
{
	luavm_of(L)->raised = *e;
	lua_pushstring(L, e->why);
	lua_error(L);
	__builtin_unreachable(); /* its declaration does not say so */
}

/* ---- running ---- */

struct task {
	luavm_fn fn;
	void *arg;
};

static int run_task(lua_State *L)
{
	struct task t = *(struct task *)lua_touserdata(L, 1);

	lua_settop(L, 0);
	t.fn(L, t.arg);
	return 0;
}

/* what a call in a call must give back */
struct frame {
	uint64_t until, paused_at, began;
	unsigned paused;
	enum errcode stop;
	lua_State *now;
};

static struct frame enter(struct luavm *vm)
{
	struct frame f = {vm->until, vm->paused_at, sys_now_ms(), vm->paused, vm->stop, vm->now};

	vm->until = f.began + vm->limit_ms;
	vm->paused = 0;
	vm->stop = E_NONE;
	vm->no_memory = false;
	vm->raised.code = E_NONE;
	vm->depth++;
	return f;
}

/* the time of pauses has moved 'until' */
static void leave(struct luavm *vm, const struct frame *f)
{
	uint64_t past = sys_now_ms() + vm->limit_ms;

	if (--vm->depth == 0 && past > vm->until)
		vm->used_ms += past - vm->until;
	vm->until = f->until;
	vm->paused_at = f->paused_at;
	vm->paused = f->paused;
	vm->stop = f->stop;
	vm->now = f->now;
}

int luavm_run(struct luavm *vm, luavm_fn fn, void *arg, struct err *e)
{
	struct task t = {.fn = fn, .arg = arg};
	struct frame f = enter(vm);
	lua_State *L = vm->now;
	int top = lua_gettop(L), rc = LUA_ERRMEM;

	if (lua_checkstack(L, 4)) {
		lua_sethook(L, hook, LUA_MASKCOUNT, EVERY);
		lua_pushcfunction(L, to_text);
		lua_pushcfunction(L, run_task);
		lua_pushlightuserdata(L, &t);
		rc = lua_pcall(L, 1, 0, top + 1);
	}
	rc = rc == LUA_OK ? 0 : fail(vm, L, rc, e);
	lua_settop(L, top);
	leave(vm, &f);
	return rc;
}

/* ---- chunks and functions ---- */

struct chunk {
	const char *name, *text;
	size_t n;
};

static void load(lua_State *L, void *arg)
{
	const struct chunk *c = arg;

	lua_pushfstring(L, "=%s", c->name);
	if (luaL_loadbufferx(L, c->text, c->n, lua_tostring(L, 1), "t") != LUA_OK)
		lua_error(L);
	lua_call(L, 0, 0);
}

int luavm_load(struct luavm *vm, const char *name, const char *text, size_t n, struct err *e)
{
	struct chunk c = {.name = name, .text = text, .n = n};

	return luavm_run(vm, load, &c, e);
}

static void call(lua_State *L, void *arg)
{
	const struct luavm_call *c = arg;
	int n;

	lua_getglobal(L, c->name);
	if (!lua_isfunction(L, 1))
		luaL_error(L, "there is no function '%s'", c->name);
	n = c->push ? c->push(L, c->arg) : 0;
	lua_call(L, n, c->results);
	if (c->take)
		c->take(L, c->arg);
}

int luavm_call(struct luavm *vm, const struct luavm_call *c, struct err *e)
{
	return luavm_run(vm, call, (void *)c, e);
}

struct question {
	const char *name;
	bool answer;
};

static void has(lua_State *L, void *arg)
{
	struct question *q = arg;

	lua_getglobal(L, q->name);
	q->answer = lua_isfunction(L, 1);
}

int luavm_has(struct luavm *vm, const char *name, struct err *e)
{
	struct question q = {.name = name};
	int rc = luavm_run(vm, has, &q, e);

	return rc < 0 ? rc : q.answer;
}

/* ---- the state ---- */

struct luavm *luavm_of(lua_State *L)
{
	return *(struct luavm **)lua_getextraspace(L);
}

void luavm_set_user(struct luavm *vm, void *user)
{
	vm->user = user;
}

void *luavm_user(lua_State *L)
{
	return luavm_of(L)->user;
}

static void open(lua_State *L, void *arg)
{
	(void)arg;
	if (luavm_of(L)->o.full)
		luavm_open_full(L);
	else
		luavm_open_confined(L);
}

static void complete(struct luavm *vm)
{
	struct luavm_options *o = &vm->o;

	if (!o->full && !o->memory)
		o->memory = LUAVM_MEMORY;
	vm->limit_ms = o->call_ms ? o->call_ms : o->full ? FULL_CALL_MS : LUAVM_CALL_MS;
}

int luavm_new(struct luavm **out, const struct luavm_options *o, struct err *e)
{
	struct luavm *vm = calloc(1, sizeof(*vm));
	int rc;

	*out = NULL;
	if (!vm)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for Lua");
	vm->o = *o;
	complete(vm);
	vm->L = vm->now = lua_newstate(allocate, vm);
	if (!vm->L) {
		rc = memory_error(vm, "Lua", e);
		free(vm);
		return rc;
	}
	*(struct luavm **)lua_getextraspace(vm->L) = vm;
	rc = luavm_run(vm, open, NULL, e);
	if (rc < 0)
		luavm_free(vm);
	else
		*out = vm;
	return rc;
}

struct luavm *luavm_free(struct luavm *vm)
{
	if (vm)
		lua_close(vm->L);
	free(vm);
	return NULL;
}
