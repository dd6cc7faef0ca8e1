#include "core/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/policy.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "handlers/lua/lua_entry.h"
#include "handlers/lua/lua_state.h"

/* of all confined calls before the plan together: many hooks must not add up to minutes */
enum { HOOKS_ALL_MS = 2000, ACTION_MS = 600000 };
enum { DEVICE_MAX = 1024 * 1024, DEVICE_MS = 60000 }; /* of the device's own file */
enum { VALUES_MAX = 1024 * 1024, FINISH_MS = 5000 };

struct hooks {
	struct lua_state *own;	  /* of the description; may be the same as */
	struct lua_state *device; /* what the device's file registered: always full */
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

static int open_state(struct hooks *h, struct lua_state **st, const char *name, bool full,
		      struct err *e)
{
	const struct lua_state_options o = {
		.name = name,
		.host = h->session->host,
		.cancel = h->session->cancel,
		.full = full,
		.registers = true,
		.print = LOG_LEVEL_INFO,
	};

	return lua_state_open(st, &o, e);
}

static int load(struct lua_state *st, const char *name, const char *text, size_t n, uint64_t ms,
		struct err *e)
{
	struct arena *a = arena_new(VALUES_MAX);
	const struct luaval *none;
	int rc = a ? lua_state_load(st, name, text, n, ms, a, &none, e)
		   : err_set(e, E_MEMORY, ENOMEM, "no memory for Lua");

	arena_free(a);
	return rc;
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

/* one of Lua's templates: each '?' is the name. Only absolute paths are root's */
static bool fits(const char *template, size_t len, char *path)
{
	static const char name[] = "swupdate_handlers";
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		size_t more = template[i] == '?' ? sizeof(name) - 1 : 1;

		if (n + more >= PATH_MAX)
			return false;
		memcpy(path + n, template[i] == '?' ? name : template + i, more);
		n += more;
	}
	path[n] = '\0';
	return *path == '/' && access(path, R_OK) == 0;
}

/* as require() would find it, without a process to ask; "" where there is none */
static void search(const char *list, char *path)
{
	static const char usual[] = "/usr/local/share/lua/5.4/?.lua;/usr/local/share/lua/5.4/?/"
				    "init.lua;/usr/local/lib/lua/5.4/?.lua;/usr/local/lib/lua/5.4/"
				    "?/init.lua;/usr/share/lua/5.4/?.lua;/usr/share/lua/5.4/?/"
				    "init.lua";

	if (!list)
		list = usual;
	for (size_t n; *list; list += n + (list[n] == ';')) {
		n = strcspn(list, ";");
		if (n && fits(list, n, path))
			return;
		/* ";;" stands for the usual ones */
		if (n == 0 && list != usual) {
			search(NULL, path);
			if (*path)
				return;
		}
	}
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

static int open_device(struct hooks *h, struct err *e)
{
	const char *named = h->session->cfg->lua_handlers;
	AUTO_FREE char *text = NULL;
	char path[PATH_MAX];
	size_t n;
	int rc;

	if (named && text_copy(path, sizeof(path), named) < 0)
		return err_set(e, E_LUA, ENAMETOOLONG, "the path of lua-handlers is too long");
	if (!named)
		search(getenv("LUA_PATH"), path);
	rc = *path ? check_device(h, path, e) : 0;
	if (rc <= 0)
		return rc;
	rc = sys_read_file(AT_FDCWD, path, DEVICE_MAX, &text, &n);
	if (rc < 0)
		return err_sys(e, E_LUA, -rc, "reading %s", path);
	rc = open_state(h, &h->device, "the code of lua-handlers", true, e);
	return rc < 0 ? rc : load(h->device, path, text, n, DEVICE_MS, e);
}

/* ---- all ---- */

/* before the plan all calls of a confined state share one budget */
static uint64_t time_before_plan(const struct hooks *h)
{
	uint64_t used = lua_state_used_ms(h->own);

	if (h->full)
		return ACTION_MS;
	return used < HOOKS_ALL_MS ? HOOKS_ALL_MS - used : 1;
}

static int start(struct hooks *h, const struct manifest *m, struct err *e)
{
	const char *text = m->embedded_script;
	int rc = 0;

	if (h->full && h->device)
		h->own = h->device; /* the bundle may use what the file of the device has */
	else if (!h->full)
		rc = policy_walls(h->session, "Lua code of the bundle runs", e);
	if (rc == 0 && !h->own)
		rc = open_state(h, &h->own, "the Lua code of the description", h->full, e);
	if (rc < 0)
		return rc;
	if (h->full && !h->session->cfg->has_lua_trust)
		reporter_warn(h->session->reporter,
			      "W_LUA_FULL: Lua code of the bundle may do all that root may, as "
			      "existing configurations expect; lua-trust = \"confined\" ends that");
	return text ? load(h->own, "embedded-script", text, strlen(text), time_before_plan(h), e)
		    : 0;
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
	if (rc < 0 || (!h->own && !h->device))
		hooks_free(h);
	else
		*out = h;
	return rc;
}

/* what closes with a state has a little time */
static void close_state(struct lua_state *s)
{
	struct err ignored = {0};

	if (s)
		lua_state_finish(s, FINISH_MS, &ignored);
	lua_state_free(s);
}

void hooks_free(struct hooks *h)
{
	if (!h)
		return;
	if (h->own != h->device)
		close_state(h->own);
	close_state(h->device);
	free(h->rows);
	free(h);
}

struct handler_rows hooks_handlers(const struct hooks *h)
{
	return h ? (struct handler_rows){h->rows, h->count} : (struct handler_rows){.count = 0};
}

struct lua_state *hooks_state(struct hooks *h)
{
	return h ? h->own : NULL;
}

/* ---- one call ---- */

struct asked {
	const char *name; /* of the function */
	const struct entry *t;
	const struct boot_var *v;
	struct arena *arena; /* NULL: nothing is to be changed */
	struct amendment answer;
};

/* the first answer says whether all is well, a text behind it may say what is not */
static int check_answer(const struct luaval *results, const char *name, struct err *e)
{
	const struct luaval *why = luaval_at(results, 1);
	char text[400];

	if (luaval_at(results, 0)->type != LUAVAL_BOOL)
		return err_set(e, E_LUA, EINVAL, "function '%s' must return true or false, not %s",
			       name, luaval_name(luaval_at(results, 0)));
	if (results->integer)
		return 0;
	text_printable(why->text ? why->text : "", why->n, text, sizeof(text));
	err_fix(e, "the bundle itself refuses to be installed here: do what its messages say");
	return err_set(e, E_LUA, EINVAL, "function '%s' returned false%s%s", name,
		       *text ? ": " : "", text);
}

static int take(struct hooks *h, struct asked *q, const struct luaval *results, struct err *e)
{
	const struct luaval *v = luaval_at(results, 1);
	int rc = check_answer(results, q->name, e);

	if (rc < 0 || !q->arena)
		return rc;
	if (v->type == LUAVAL_TEXT) {
		reporter_warn(h->session->reporter,
			      "the text behind true that function '%s' returned is ignored: the "
			      "entry stays as it is",
			      q->name);
		return 0;
	}
	if (v->type != LUAVAL_NIL && v->type != LUAVAL_TABLE)
		return err_set(e, E_LUA, EINVAL,
			       "function '%s' must return an entry or nil behind true, not %s",
			       q->name, luaval_name(v));
	if (v->type == LUAVAL_NIL || lua_entry_skips(v)) {
		q->answer.what = AMEND_LEAVE_OUT;
		return 0;
	}
	q->answer.what = AMEND_REPLACE;
	return q->t ? lua_entry_group(v, q->t, q->arena, &q->answer.group, e)
		    : lua_variable_group(v, q->v, q->arena, &q->answer.group, e);
}

static int ask(struct hooks *h, struct asked *q, struct err *e)
{
	struct arena *a = arena_new(VALUES_MAX);
	struct lua_call c = {.function = q->name, .ms = q->arena ? time_before_plan(h) : ACTION_MS};
	const struct luaval *results;
	int rc;

	if (!a)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for Lua");
	if (q->t)
		lua_entry_put(&c.args, q->t, NULL);
	else
		lua_variable_put(&c.args, q->v);
	rc = lua_state_call(h->own, &c, a, &results, e);
	if (rc == 0)
		rc = take(h, q, results, e);
	arena_free(a);
	return rc;
}

int hooks_call(struct hooks *h, const char *name, const struct entry *t, struct err *e)
{
	struct asked q = {.name = name, .t = t};

	if (!h || !h->own)
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
	const bool shared = h->own == h->device;
	const struct handler_rows none = {.count = 0};
	const struct handler_rows of[] = {h->device ? lua_state_handlers(h->device) : none,
					  h->own && !shared ? lua_state_handlers(h->own) : none};

	h->rows = calloc(of[0].count + of[1].count + 1, sizeof(*h->rows));
	if (!h->rows)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for handlers in Lua");
	for (size_t i = 0; i < ARRAY_SIZE(of); i++)
		for (size_t k = 0; k < of[i].count; k++)
			h->rows[h->count++] = of[i].at[k];
	if (h->own)
		lua_state_seal(h->own);
	if (h->device)
		lua_state_seal(h->device);
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
	return rc < 0 ? rc : manifest_amend(m, &all, o, e);
}
