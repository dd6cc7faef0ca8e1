#include "core/hooks.h"

#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/luavm.h"
#include "corelib/text.h"
#include "handlers/lua_api.h"
#include "handlers/lua_entry.h"
#include "handlers/lua_handler.h"

/* of all calls before the plan together: many hooks must not add up to minutes */
enum { HOOKS_ALL_MS = 2000, ACTION_MS = 600000 };

struct hooks {
	struct luavm *vm;
	struct lua_handlers *handlers;
	struct hooks_options o;
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
	if (h->o.say)
		h->o.say(h->o.arg, LOG_LEVEL_INFO, shown);
}

static int start(struct hooks *h, const struct manifest *m, struct err *e)
{
	const struct luavm_options vo = {
		.full = h->full,
		.cancel = h->o.host->cancel,
		.print = print,
		.arg = h,
	};
	const char *text = m->embedded_script;
	int rc = luavm_new(&h->vm, &vo, e);

	if (rc == 0)
		rc = lua_api_open(h->vm, h->o.host, e);
	if (rc == 0)
		rc = lua_handlers_open(&h->handlers, h->vm, h->full, e);
	if (rc == 0 && text)
		rc = luavm_load(h->vm, "embedded-script", text, strlen(text), e);
	return rc;
}

int hooks_open(struct hooks **out, const struct manifest *m, const struct hooks_options *o,
	       struct err *e)
{
	struct hooks *h;
	int rc;

	*out = NULL;
	if (!wants_code(m))
		return 0;
	h = calloc(1, sizeof(*h));
	if (!h)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for Lua");
	h->o = *o;
	h->full = settings_lua_full(o->cfg);
	if (h->full && !o->cfg->has_lua_trust && o->note)
		o->note(o->arg,
			"W_LUA_FULL: Lua code of the bundle may do all that root may, as "
			"existing configurations expect; lua-trust = \"confined\" ends that");
	rc = start(h, m, e);
	if (rc < 0)
		hooks_free(h);
	else
		*out = h;
	return rc;
}

void hooks_free(struct hooks *h)
{
	if (h)
		luavm_free(h->vm);
	if (h)
		lua_handlers_free(h->handlers);
	free(h);
}

struct handler_rows hooks_handlers(const struct hooks *h)
{
	return h ? lua_handlers_rows(h->handlers) : (struct handler_rows){.count = 0};
}

struct luavm *hooks_state(struct hooks *h)
{
	return h ? h->vm : NULL;
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
	uint64_t used = luavm_used_ms(h->vm);

	if (q->arena && !h->full)
		luavm_limit(h->vm, used < HOOKS_ALL_MS ? (unsigned)(HOOKS_ALL_MS - used) : 1);
}

static int ask(struct hooks *h, struct asked *q, struct err *e)
{
	const struct luavm_call c = {
		.name = q->name, .push = push, .take = take, .results = 2, .arg = q};

	set_limit(h, q);
	return luavm_call(h->vm, &c, e);
}

int hooks_call(struct hooks *h, const char *name, const struct entry *t, struct err *e)
{
	struct asked q = {.name = name, .t = t};

	if (!h)
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
	/* what comes later may install something, and comes after the plan */
	luavm_limit(h->vm, ACTION_MS);
	lua_handlers_close(h->handlers);
	return manifest_amend(m, &all, o, e);
}
