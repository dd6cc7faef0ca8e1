#include "core/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/lua/luavm.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "handlers/lua_api.h"
#include "handlers/lua_entry.h"
#include "handlers/lua_handler.h"

/* of all calls before the plan together: many hooks must not add up to minutes */
enum { HOOKS_ALL_MS = 2000, ACTION_MS = 600000 };
enum { DEVICE_MAX = 1024 * 1024, DEVICE_MS = 60000 }; /* of the device's own file */

struct state {
	struct luavm *vm;
	struct lua_handlers *handlers;
};

struct hooks {
	struct state own;	  /* of the description; may be the same as */
	struct state device;	  /* what the device's file registered: always full */
	struct handler_row *rows; /* of both, when the plan is made */
	size_t count;
	struct session *session;
	bool full;
};

static bool wants_code(const struct manifest *m)
{
	bool wants = m->embedded_script != NULL;

	for (size_t i = 0; !wants && i < m->entry_count; i++)
		wants = m->entries[i].hook || m->entries[i].preinstall ||
			m->entries[i].postinstall || entry_property(&m->entries[i], "global-state");
	for (size_t i = 0; !wants && i < m->bootenv_count; i++)
		wants = m->bootenv[i].hook != NULL;
	return wants;
}

static void print(void *arg, const char *text)
{
	struct hooks *h = arg;
	char shown[1024];

	text_printable(text, strlen(text), shown, sizeof(shown));
	reporter_output(h->session->reporter, LOG_LEVEL_INFO, shown);
}

static int open_state(struct hooks *h, struct state *st, bool full, struct err *e)
{
	const struct luavm_options vo = {
		.full = full,
		.bounded = true,
		.cancel = h->session->cancel,
		.print = print,
		.arg = h,
	};
	int rc = luavm_new(&st->vm, &vo, e);

	if (rc == 0)
		rc = lua_api_open(st->vm, h->session->host, e);
	return rc < 0 ? rc : lua_handlers_open(&st->handlers, st->vm, full, e);
}

static void close_state(struct state *st)
{
	luavm_free(st->vm);
	lua_handlers_free(st->handlers);
	*st = (struct state){.vm = NULL};
}

/* ---- handlers of the device ---- */

/* could the bundle use them? */
static bool wants_device(const struct manifest *m)
{
	for (size_t i = 0; i < m->entry_count; i++) {
		const char *type = m->entries[i].type;

		if (type && (strcmp(type, "lua") == 0 || !handler_find(type)))
			return true;
	}
	return wants_code(m);
}

/* as require() would find it; "" where there is none */
static void search(lua_State *L, void *arg)
{
	char *path = arg;

	lua_getglobal(L, "package");
	lua_getfield(L, 1, "searchpath");
	lua_pushliteral(L, "swupdate_handlers");
	lua_getfield(L, 1, "path");
	lua_call(L, 2, 1);
	if (lua_type(L, -1) != LUA_TSTRING || *lua_tostring(L, -1) != '/' ||
	    text_copy(path, PATH_MAX, lua_tostring(L, -1)) < 0)
		*path = '\0';
}

/* root runs it: whoever can change it is root. 0: not to be used */
static int check_device(struct hooks *h, const char *path, struct err *e)
{
	if (sys_path_is_safe(path))
		return 1;
	err_fix(e,
		"let only root change the file and the folders above it (chown root, chmod go-w)");
	if (h->session->cfg->lua_handlers)
		return err_set(e, E_LUA, EPERM, "others than root may change %s (lua-handlers)",
			       path);
	err_clear(e);
	reporter_warn(h->session->reporter, "%s is not used: others than root may change it", path);
	return 0;
}

static int load_device(struct hooks *h, const char *path, struct err *e)
{
	AUTO_FREE char *text = NULL;
	size_t n;
	int rc = sys_read_file(AT_FDCWD, path, DEVICE_MAX, &text, &n);

	if (rc < 0)
		return err_sys(e, E_LUA, -rc, "reading %s", path);
	luavm_limit(h->device.vm, DEVICE_MS);
	rc = luavm_load(h->device.vm, path, text, n, e);
	luavm_limit(h->device.vm, ACTION_MS);
	return rc;
}

static int open_device(struct hooks *h, struct err *e)
{
	char path[PATH_MAX];
	int rc = open_state(h, &h->device, true, e);

	if (rc == 0 && !h->session->cfg->lua_handlers)
		rc = luavm_run(h->device.vm, search, path, e);
	else if (rc == 0 && text_copy(path, sizeof(path), h->session->cfg->lua_handlers) < 0)
		rc = err_set(e, E_LUA, ENAMETOOLONG, "the path of lua-handlers is too long");
	if (rc == 0 && *path)
		rc = check_device(h, path, e);
	if (rc > 0)
		return load_device(h, path, e);
	close_state(&h->device);
	return rc;
}

/* ---- all ---- */

static int start(struct hooks *h, const struct manifest *m, struct err *e)
{
	const char *text = m->embedded_script;
	int rc = 0;

	if (h->full && h->device.vm)
		h->own = h->device; /* the bundle may use what the file of the device has */
	else
		rc = open_state(h, &h->own, h->full, e);
	if (rc == 0 && h->full && !h->session->cfg->has_lua_trust)
		reporter_warn(h->session->reporter,
			      "W_LUA_FULL: Lua code of the bundle may do all that root may, as "
			      "existing configurations expect; lua-trust = \"confined\" ends that");
	return rc == 0 && text ? luavm_load(h->own.vm, "embedded-script", text, strlen(text), e)
			       : rc;
}

int hooks_open(struct hooks **out, const struct manifest *m, struct session *s, struct err *e)
{
	struct hooks *h;
	int rc = 0;

	*out = NULL;
	if (!wants_device(m))
		return 0;
	h = calloc(1, sizeof(*h));
	if (!h)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for Lua");
	h->session = s;
	h->full = settings_lua_full(s->cfg);
	rc = open_device(h, e);
	if (rc == 0 && wants_code(m))
		rc = start(h, m, e);
	if (rc < 0 || (!h->own.vm && !h->device.vm))
		hooks_free(h);
	else
		*out = h;
	return rc;
}

void hooks_free(struct hooks *h)
{
	if (!h)
		return;
	if (h->own.vm != h->device.vm)
		close_state(&h->own);
	close_state(&h->device);
	free(h->rows);
	free(h);
}

struct handler_rows hooks_handlers(const struct hooks *h)
{
	return h ? (struct handler_rows){h->rows, h->count} : (struct handler_rows){.count = 0};
}

struct luavm *hooks_state(struct hooks *h)
{
	return h ? h->own.vm : NULL;
}

/* ---- one call ---- */

struct asked {
	const char *name; /* of the function */
	const struct entry *t;
	const struct boot_var *v;
	struct arena *arena; /* NULL: nothing is to be changed */
	struct amendment answer;
};

static int push(lua_State *L, void *arg)
{
	const struct asked *q = arg;

	if (q->t)
		lua_entry_push(L, q->t);
	else
		lua_variable_push(L, q->v);
	return 1;
}

/* the first answer says whether all is well, a text behind it may say what is not */
static void check_answer(lua_State *L, const char *name)
{
	const char *text = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : NULL;

	if (lua_type(L, 1) != LUA_TBOOLEAN)
		luaL_error(L, "function '%s' must return true or false, not %s", name,
			   luaL_typename(L, 1));
	if (!lua_toboolean(L, 1))
		luaL_error(L, "function '%s' returned false%s%s", name, text ? ": " : "",
			   text ? text : "");
}

static void take(lua_State *L, void *arg)
{
	struct asked *q = arg;

	check_answer(L, q->name);
	if (!q->arena)
		return;
	if (!lua_isnil(L, 2) && !lua_istable(L, 2))
		luaL_error(L, "function '%s' must return an entry or nil behind true, not %s",
			   q->name, luaL_typename(L, 2));
	if (lua_isnil(L, 2) || lua_entry_skips(L, 2)) {
		q->answer.what = AMEND_LEAVE_OUT;
		return;
	}
	q->answer.what = AMEND_REPLACE;
	q->answer.group = q->t ? lua_entry_group(L, 2, q->t, q->arena)
			       : lua_variable_group(L, 2, q->v, q->arena);
}

/* before the plan all calls share one budget */
static void set_limit(struct hooks *h, const struct asked *q)
{
	uint64_t used = luavm_used_ms(h->own.vm);

	if (q->arena && !h->full)
		luavm_limit(h->own.vm, used < HOOKS_ALL_MS ? (unsigned)(HOOKS_ALL_MS - used) : 1);
}

static int ask(struct hooks *h, struct asked *q, struct err *e)
{
	const struct luavm_call c = {
		.name = q->name, .push = push, .take = take, .results = 2, .arg = q};

	set_limit(h, q);
	return luavm_call(h->own.vm, &c, e);
}

int hooks_call(struct hooks *h, const char *name, const struct entry *t, struct err *e)
{
	struct asked q = {.name = name, .t = t};

	if (!h || !h->own.vm)
		return err_set(e, E_INTERNAL, EINVAL, "no Lua for the function %s", name);
	return ask(h, &q, e);
}

/* ---- the whole manifest ---- */

static int ask_entries(struct hooks *h, const struct manifest *m, struct amendment *list,
		       struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < m->entry_count; i++) {
		struct asked q = {
			.name = m->entries[i].hook, .t = &m->entries[i], .arena = m->arena};
		char label[256];

		if (!q.name)
			continue;
		rc = ask(h, &q, e);
		list[i] = q.answer;
		entry_label(q.t, label, sizeof(label));
		err_at(e, rc, "hook of %s", label);
	}
	return rc;
}

static int ask_variables(struct hooks *h, const struct manifest *m, struct amendment *list,
			 struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < m->bootenv_count; i++) {
		struct asked q = {
			.name = m->bootenv[i].hook, .v = &m->bootenv[i], .arena = m->arena};

		if (!q.name)
			continue;
		rc = ask(h, &q, e);
		list[i] = q.answer;
		err_at(e, rc, "hook of bootenv, line %u", q.v->line);
	}
	return rc;
}

/* the device's come first: a bundle does not take their place */
static int keep_rows(struct hooks *h, struct err *e)
{
	const bool shared = h->own.vm == h->device.vm;
	const struct handler_rows none = {.count = 0};
	const struct handler_rows of[] = {
		h->device.vm ? lua_handlers_rows(h->device.handlers) : none,
		h->own.vm && !shared ? lua_handlers_rows(h->own.handlers) : none};

	h->rows = calloc(of[0].count + of[1].count + 1, sizeof(*h->rows));
	if (!h->rows)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for handlers in Lua");
	for (size_t i = 0; i < ARRAY_SIZE(of); i++)
		for (size_t k = 0; k < of[i].count; k++)
			h->rows[h->count++] = of[i].at[k];
	if (h->own.vm)
		lua_handlers_close(h->own.handlers);
	if (h->device.vm)
		lua_handlers_close(h->device.handlers);
	return 0;
}

int hooks_apply(struct hooks *h, struct manifest **m, const struct manifest_options *o,
		struct err *e)
{
	AUTO_FREE struct amendment *entries = calloc((*m)->entry_count + 1, sizeof(*entries));
	AUTO_FREE struct amendment *vars = calloc((*m)->bootenv_count + 1, sizeof(*vars));
	const struct amendments all = {.entries = entries, .bootenv = vars};
	int rc;

	if (!h)
		return 0;
	if (!entries || !vars)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the hooks");
	rc = ask_entries(h, *m, entries, e);
	if (rc == 0)
		rc = ask_variables(h, *m, vars, e);
	if (rc < 0)
		return rc;
	rc = keep_rows(h, e);
	/* what comes later may install something, and comes after the plan */
	if (h->own.vm)
		luavm_limit(h->own.vm, ACTION_MS);
	return rc < 0 ? rc : manifest_amend(m, &all, o, e);
}
