#include "handlers/lua_handler.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "handlers/lua_call.h"
#include "handlers/lua_entry.h"
#include "handlers/script.h"

enum { MOST = 64, NAME = 64, CHUNK = 65536 };

enum mask {
	MASK_IMAGE = 1,
	MASK_FILE = 2,
	MASK_SCRIPT = 4,
	MASK_BOOTLOADER = 8,
	MASK_PARTITION = 16,
	MASK_NO_DATA = 32,
	MASK_ANY = 63,
};

struct lua_handlers;

/* one handler; what runs now is NULL between two calls, whatever a script has kept */
struct lua_handler {
	struct lua_handlers *all;
	int function; /* in Lua's registry */
	char name[NAME];
	struct step *st;
	struct stream *in;
	const char *phase; /* of a script */
};

struct lua_handlers {
	struct luavm *vm;
	bool full, closed;
	size_t count;
	struct handler_row rows[MOST];
	struct lua_handler own[MOST];
	struct lua_handler *running; /* the innermost; NULL: none */
};

/* ---- the payload ---- */

static struct lua_handler *running(lua_State *L)
{
	struct lua_handler *h = lua_touserdata(L, lua_upvalueindex(1));

	if (!h->st || !h->in)
		luaL_error(L, "there is no payload to read here");
	return h;
}

/* the next block; the clock of the script stands while the program reads */
static ssize_t next(lua_State *L, struct lua_handler *h, const uint8_t **buf)
{
	struct err e = {0};
	ssize_t n;

	luavm_pause(L);
	n = stream_next_max(h->in, CHUNK, buf, &e);
	luavm_resume(L);
	if (n < 0)
		luavm_raise(L, &e);
	return n;
}

/* read(function): nothing, nil, true or 0 mean: go on */
static int image_read(lua_State *L)
{
	struct lua_handler *h = running(L);
	const uint8_t *buf;
	ssize_t n;

	luaL_checktype(L, 2, LUA_TFUNCTION);
	while ((n = next(L, h, &buf)) > 0) {
		bool stop;

		lua_pushvalue(L, 2);
		lua_pushlstring(L, (const char *)buf, (size_t)n);
		lua_call(L, 1, 1);
		stop = lua_isnumber(L, -1) ? lua_tonumber(L, -1) != 0
					   : lua_isboolean(L, -1) && !lua_toboolean(L, -1);
		lua_pop(L, 1);
		if (stop) {
			lua_pushinteger(L, -1);
			lua_pushliteral(L, "the function ended the reading");
			return 2;
		}
	}
	lua_pushinteger(L, 0);
	lua_pushnil(L);
	return 2;
}

/* a name right in the job's own folder, where nobody else can put a link */
static void check_path(lua_State *L, const struct lua_handler *h, const char *path)
{
	struct host *host = h->st->host;
	const char *folder = NULL, *name;
	struct err e = {0};
	size_t n;

	if (h->all->full)
		return;
	if (host->ops->script_folder(host, &folder, &e) < 0)
		luavm_raise(L, &e);
	n = strlen(folder);
	name = strncmp(path, folder, n) == 0 && path[n] == '/' ? path + n : "";
	name += strspn(name, "/");
	if (!*name || strchr(name, '/') || strcmp(name, "..") == 0)
		luaL_error(L,
			   "copy2file: '%s' is not in the folder of tmpdirscripts(); other "
			   "places need lua-trust = \"full\"",
			   path);
}

static int copy(struct lua_handler *h, int fd, const char *path, struct err *e)
{
	const uint8_t *buf;
	ssize_t n;

	while ((n = stream_next(h->in, &buf, e)) > 0) {
		int rc = sys_write(fd, buf, (size_t)n);

		if (rc < 0)
			return err_sys(e, E_NONE, -rc, "writing %s", path);
	}
	return (int)n;
}

static int store(struct lua_handler *h, const char *path, struct err *e)
{
	const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC;
	AUTO_CLOSE int fd = sys_openat(AT_FDCWD, path, flags, 0600);
	int rc;

	if (fd < 0)
		return err_sys(e, E_NONE, -fd, "making %s", path);
	rc = copy(h, fd, path, e);
	if (rc == 0 && (rc = sys_fsync(fd)) < 0)
		return err_sys(e, E_NONE, -rc, "flushing %s", path);
	return rc;
}

static int image_copy2file(lua_State *L)
{
	struct lua_handler *h = running(L);
	const char *path = luaL_checkstring(L, 2);
	struct err e = {0};
	int rc;

	check_path(L, h, path);
	luavm_pause(L);
	rc = store(h, path, &e);
	luavm_resume(L);
	lua_pushinteger(L, rc < 0 ? -1 : 0);
	if (rc < 0)
		lua_pushstring(L, e.why);
	else
		lua_pushnil(L);
	return 2;
}

/* ---- one call ---- */

static void add_method(lua_State *L, struct lua_handler *h, const char *name, lua_CFunction f)
{
	lua_pushlightuserdata(L, h);
	lua_pushcclosure(L, f, 1);
	lua_setfield(L, -2, name);
}

static void run(lua_State *L, void *arg)
{
	struct lua_handler *h = arg;
	const char *text;

	lua_rawgeti(L, LUA_REGISTRYINDEX, h->function);
	lua_entry_push(L, h->st->entry);
	add_method(L, h, "read", image_read);
	add_method(L, h, "copy2file", image_copy2file);
	if (h->st->slot_device) {
		lua_pushstring(L, h->st->slot_device);
		lua_setfield(L, -2, "slot_device");
	}
	if (h->phase)
		lua_pushstring(L, h->phase);
	lua_call(L, h->phase ? 2 : 1, 2);
	if (lua_isinteger(L, 1) && lua_tointeger(L, 1) == 0)
		return;
	text = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
	if (!lua_isnumber(L, 1))
		luaL_error(L, "handler '%s' must return a number, 0 for success, not %s", h->name,
			   luaL_typename(L, 1));
	luaL_error(L, "handler '%s' returned %s%s%s", h->name, lua_tostring(L, 1),
		   *text ? ": " : "", text);
}

/* it may call itself, by call_handler(): then what runs outside comes back behind it */
static int call(struct lua_handler *h, const struct lua_handler *now, struct err *e)
{
	struct lua_handlers *all = h->all;
	struct lua_handler *outer = all->running, was = *h;
	int rc;

	h->st = now->st;
	h->in = now->in;
	h->phase = now->phase;
	all->running = h;
	rc = luavm_run(all->vm, run, h, e);
	all->running = outer;
	*h = was;
	return rc;
}

static int lua_install(struct step *st, struct stream *in, struct err *e)
{
	const struct lua_handler now = {.st = st, .in = in};
	int rc = call(st->arg, &now, e);

	/* what the function left unread has to be what was signed, too */
	return rc < 0 ? rc : stream_drain(in, e);
}

static int lua_run(struct step *st, enum phase phase, struct err *e)
{
	const struct lua_handler now = {
		.st = st, .phase = phase == PHASE_PREINSTALL ? "preinst" : "postinst"};

	return call(st->arg, &now, e);
}

static const struct handler target = {
	.summary = "registered by Lua code",
	.kind = HANDLER_TARGET,
	.holds = HOLDS_NOTHING,
	.foreign = true,
	.install = lua_install,
};

static const struct handler action = {
	.summary = "registered by Lua code",
	.kind = HANDLER_ACTION,
	.sections = SECTION_SCRIPTS,
	.holds = HOLDS_NOTHING,
	.foreign = true,
	.phases = 1u << PHASE_PREINSTALL | 1u << PHASE_POSTINSTALL,
	.install = script_install,
	.commit = script_commit,
	.discard = script_discard,
	.run = lua_run,
};

/* ---- register_handler(name, function [, mask]) ---- */

static unsigned sections_of(lua_Integer mask)
{
	return (mask & MASK_IMAGE ? SECTION_IMAGES : 0) | (mask & MASK_FILE ? SECTION_FILES : 0) |
	       (mask & MASK_BOOTLOADER ? SECTION_BOOTENV : 0) |
	       (mask & MASK_PARTITION ? SECTION_PARTITIONS : 0);
}

static void check_new(lua_State *L, const struct lua_handlers *all, const char *name)
{
	luaL_argcheck(L, *name && strlen(name) < NAME, 1, "a name has 1 to 63 characters");
	if (all->closed)
		luaL_error(L, "a handler must be registered by the embedded script or a hook: "
			      "before the plan is made");
	if (handler_find(name))
		luaL_error(L, "there is a built-in handler '%s'", name);
	for (size_t i = 0; i < all->count; i++)
		if (strcmp(all->own[i].name, name) == 0)
			luaL_error(L, "a handler '%s' is registered already", name);
	if (all->count == MOST)
		luaL_error(L, "more than %d handlers", (int)MOST);
}

/* into the table 'handler' of the module, as the built-in ones are */
static void list_handler(lua_State *L, const char *name)
{
	lua_getglobal(L, "swinstall");
	if (lua_istable(L, -1) && lua_getfield(L, -1, "handler") == LUA_TTABLE) {
		lua_pushinteger(L, 1);
		lua_setfield(L, -2, name);
	}
}

static int register_handler(lua_State *L)
{
	struct lua_handlers *all = lua_touserdata(L, lua_upvalueindex(1));
	const char *name = luaL_checkstring(L, 1);
	lua_Integer mask = luaL_optinteger(L, 3, MASK_ANY & ~MASK_SCRIPT);
	bool script = mask & MASK_SCRIPT;
	struct handler_row *row;
	struct lua_handler *h;

	luaL_checktype(L, 2, LUA_TFUNCTION);
	luaL_argcheck(L, mask > 0 && mask <= MASK_ANY, 3, "no mask of HANDLER_MASK");
	luaL_argcheck(L, script || sections_of(mask), 3, "the mask names no list");
	luaL_argcheck(L, !script || !sections_of(mask), 3,
		      "SCRIPT_HANDLER cannot be mixed with others");
	check_new(L, all, name);
	lua_settop(L, 2);
	row = &all->rows[all->count];
	h = &all->own[all->count];
	*h = (struct lua_handler){.all = all};
	h->function = luaL_ref(L, LUA_REGISTRYINDEX);
	text_copy(h->name, sizeof(h->name), name);
	*row = (struct handler_row){.handler = script ? action : target, .arg = h};
	row->handler.name = h->name;
	row->handler.data_optional = mask & MASK_NO_DATA;
	if (!script)
		row->handler.sections = sections_of(mask);
	all->count++;
	list_handler(L, name);
	return 0;
}

/* ---- call_handler(name, image) ---- */

static int call_handler(lua_State *L)
{
	const struct lua_handlers *all = lua_touserdata(L, lua_upvalueindex(1));
	const struct lua_handler *h = all->running;
	const struct lua_caller c = {.st = h ? h->st : NULL, .in = h ? h->in : NULL};

	return lua_call_ask(L, &c);
}

/* ---- the module ---- */

static void add_masks(lua_State *L)
{
	static const struct {
		const char *name;
		lua_Integer value;
	} masks[] = {
		{"IMAGE_HANDLER", MASK_IMAGE},
		{"FILE_HANDLER", MASK_FILE},
		{"SCRIPT_HANDLER", MASK_SCRIPT},
		{"BOOTLOADER_HANDLER", MASK_BOOTLOADER},
		{"PARTITION_HANDLER", MASK_PARTITION},
		{"NO_DATA_HANDLER", MASK_NO_DATA},
		{"ANY_HANDLER", MASK_ANY},
	};

	lua_createtable(L, 0, ARRAY_SIZE(masks));
	for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
		lua_pushinteger(L, masks[i].value);
		lua_setfield(L, -2, masks[i].name);
	}
	lua_setfield(L, -2, "HANDLER_MASK");
}

static void fill(lua_State *L, void *arg)
{
	if (lua_getglobal(L, "swupdate") != LUA_TTABLE)
		luaL_error(L, "there is no module");
	add_masks(L);
	lua_pushlightuserdata(L, arg);
	lua_pushcclosure(L, register_handler, 1);
	lua_setfield(L, -2, "register_handler");
	lua_pushlightuserdata(L, arg);
	lua_pushcclosure(L, call_handler, 1);
	lua_setfield(L, -2, "call_handler");
}

int lua_handlers_open(struct lua_handlers **out, struct luavm *vm, bool full, struct err *e)
{
	struct lua_handlers *h = calloc(1, sizeof(*h));
	int rc;

	*out = h;
	if (!h)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for handlers in Lua");
	h->vm = vm;
	h->full = full;
	rc = luavm_run(vm, fill, h, e);
	if (rc < 0) {
		free(h);
		*out = NULL;
	}
	return rc;
}

void lua_handlers_close(struct lua_handlers *h)
{
	h->closed = true;
}

void lua_handlers_free(struct lua_handlers *h)
{
	free(h);
}

struct handler_rows lua_handlers_rows(const struct lua_handlers *h)
{
	return (struct handler_rows){h->rows, h->count};
}
