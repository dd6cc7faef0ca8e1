#include "handlers/lua/lua_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/lines.h"
#include "corelib/base/text.h"
#include "handlers/lua/lua_private.h"

int lua_nonsense(struct err *e)
{
	return err_set(e, E_LUA, EPROTO, "the process of the Lua code asked what cannot be asked");
}

/* ---- messages ---- */

void lua_state_say(struct lua_state *s, enum log_level level, const char *text, size_t n)
{
	struct host *h = s->o.host;
	char shown[LINES_BYTES + 1];
	const char *line;

	while (n > 0 && text[n - 1] == '\n') /* as of a command's output */
		n--;
	text_printable(text, n, shown, sizeof(shown));
	line = lines_bounded(&s->told, shown);
	if (line)
		h->ops->say(h, line == shown ? level : LOG_LEVEL_WARN, line);
}

static int say(struct lua_state *s, const struct luaval *args, struct luabuf *answer, struct err *e)
{
	const struct luaval *level = luaval_at(args, 0), *text = luaval_at(args, 1);

	(void)answer;
	if (level->type != LUAVAL_INT || level->integer < 0 || level->integer > LOG_LEVEL_TRACE ||
	    text->type != LUAVAL_TEXT)
		return lua_nonsense(e);
	lua_state_say(s, level->integer ? (enum log_level)level->integer : s->o.print, text->text,
		      text->n);
	return 0;
}

static int tell(struct lua_state *s, const struct luaval *args, struct luabuf *answer,
		struct err *e)
{
	const struct luaval *text = luaval_at(args, 0);
	struct host *h = s->o.host;
	char shown[LINES_BYTES + 1];
	const char *line;

	(void)answer;
	if (text->type != LUAVAL_TEXT)
		return lua_nonsense(e);
	text_printable(text->text, text->n, shown, sizeof(shown));
	line = lines_bounded(&s->told, shown);
	if (line == shown)
		h->ops->tell(h, line);
	else if (line)
		h->ops->say(h, LOG_LEVEL_WARN, line);
	return 0;
}

/* what the process and its programs print by themselves; bounded there */
static void print_line(void *arg, const char *text)
{
	struct host *h = ((struct lua_state *)arg)->o.host;

	h->ops->say(h, LOG_LEVEL_TRACE, text);
}

/* ---- boot environment, the device ---- */

static int set_bootenv(struct lua_state *s, const struct luaval *args, struct luabuf *answer,
		       struct err *e)
{
	const char *name = luaval_text(args, 0), *value = luaval_text(args, 1);
	struct host *h = s->o.host;

	(void)answer;
	if (!name || (!value && luaval_at(args, 1)->type != LUAVAL_NIL))
		return err_set(e, E_ENV_NAME, EINVAL, "a boot variable is a text without a byte 0");
	return h->ops->set_variable(h, name, value && *value ? value : NULL, e);
}

static int get_bootenv(struct lua_state *s, const struct luaval *args, struct luabuf *answer,
		       struct err *e)
{
	const char *name = luaval_text(args, 0);
	struct host *h = s->o.host;
	AUTO_FREE char *value = NULL;
	int rc = name ? h->ops->get_variable(h, name, &value, e) : 0;

	luabuf_text(answer, value);
	return rc < 0 ? rc : 0;
}

static int get_hw(struct lua_state *s, const struct luaval *args, struct luabuf *answer,
		  struct err *e)
{
	(void)args;
	(void)e;
	luabuf_open(answer);
	luabuf_pair(answer, "boardname", s->o.host->board);
	luabuf_pair(answer, "revision", s->o.host->revision);
	luabuf_close(answer);
	return 0;
}

static int get_selection(struct lua_state *s, const struct luaval *args, struct luabuf *answer,
			 struct err *e)
{
	const char *text = s->o.host->select ? s->o.host->select : "", *comma = strchr(text, ',');

	(void)args;
	(void)e;
	luabuf_bytes(answer, text, comma ? (size_t)(comma - text) : strlen(text));
	luabuf_text(answer, comma ? comma + 1 : "");
	return 0;
}

static int is_dryrun(struct lua_state *s, const struct luaval *args, struct luabuf *answer,
		     struct err *e)
{
	(void)args;
	(void)e;
	luabuf_bool(answer, s->o.host->dry_run);
	return 0;
}

static int tmpdir(struct lua_state *s, const struct luaval *args, struct luabuf *answer,
		  struct err *e)
{
	struct host *h = s->o.host;
	const char *path = NULL;
	char text[512];
	int rc = h->ops->script_folder(h, &path, e);

	(void)args;
	if (rc < 0)
		return rc;
	if (text_print(text, sizeof(text), "%s/", path) < 0)
		return err_set(e, E_STATE_DIR, ENAMETOOLONG, "the path %s is too long", path);
	luabuf_text(answer, text);
	return 0;
}

/* ---- requests ---- */

static const struct {
	lua_service *serve;
	enum lua_kind kind;
	bool full; /* of a full state only */
} services[] = {
	{say, LUA_SAY, false},
	{tell, LUA_TELL, false},
	{set_bootenv, LUA_SET_BOOTENV, false},
	{get_bootenv, LUA_GET_BOOTENV, false},
	{get_hw, LUA_GET_HW, false},
	{get_selection, LUA_GET_SELECTION, false},
	{lua_system_getversion, LUA_GETVERSION, false},
	{is_dryrun, LUA_IS_DRYRUN, false},
	{tmpdir, LUA_TMPDIR, false},
	{lua_system_get_cmdline, LUA_GET_CMDLINE, false},
	{lua_system_getroot, LUA_GETROOT, false},
	{lua_payload_call_handler, LUA_CALL_HANDLER, false},
	{lua_handler_register, LUA_REGISTER, false},
	{lua_payload_read, LUA_READ, false},
	{lua_payload_copy, LUA_COPY, false},
	{lua_system_mount, LUA_MOUNT, true},
	{lua_system_umount, LUA_UMOUNT, true},
};

int lua_state_serve(void *state, enum lua_kind kind, const struct luaval *args,
		    struct luabuf *answer, struct err *e)
{
	struct lua_state *s = state;

	for (size_t i = 0; i < ARRAY_SIZE(services); i++)
		if (services[i].kind == kind && (!services[i].full || s->o.full))
			return services[i].serve(s, args, answer, e);
	return lua_nonsense(e);
}

/* ---- asking ---- */

/* what a confined state lacks is missed by its name */
static void name_the_wall(const struct lua_state *s, int rc, struct err *e)
{
	static const char *const names[] = {"global 'io'",	 "global 'os'",
					    "global 'package'",	 "global 'debug'",
					    "global 'dofile'",	 "global 'loadfile'",
					    "field 'dump'",	 "method 'dump'",
					    "field 'mount'",	 "field 'umount'",
					    "field 'stat'",	 "field 'emmcbootpart'",
					    "not available here"};

	for (size_t i = 0; rc < 0 && e->code == E_LUA && !s->o.full && i < ARRAY_SIZE(names); i++)
		if (strstr(e->why, names[i]))
			err_fix(e, "Lua code of this bundle is confined: it has no files and no "
				   "programs. Change it, or let it do all that root may with "
				   "lua-trust = \"full\" in the configuration");
}

int lua_state_load(struct lua_state *s, const char *name, const void *text, size_t n, uint64_t ms,
		   struct arena *a, const struct luaval **results, struct err *e)
{
	struct luabuf b = {.n = 0};
	int rc;

	luabuf_text(&b, name);
	luabuf_bytes(&b, text, n);
	rc = luaproc_ask(s->proc, LUA_LOAD, &b, ms, a, results, e);
	name_the_wall(s, rc, e);
	return rc;
}

int lua_state_call(struct lua_state *s, struct lua_call *c, struct arena *a,
		   const struct luaval **results, struct err *e)
{
	struct luabuf b = {.n = 0};
	int rc;

	c->number = ++s->calls;
	c->outer = s->call;
	if (c->function)
		luabuf_text(&b, c->function);
	else
		luabuf_int(&b, c->handler);
	luabuf_bool(&b, c->optional);
	luabuf_int(&b, c->st ? c->number : 0);
	luabuf_raw(&b, c->args.at, c->args.n);
	b.failed = b.failed || c->args.failed;
	free(c->args.at);
	s->call = c;
	rc = luaproc_ask(s->proc, LUA_CALL, &b, c->ms, a, results, e);
	s->call = c->outer;
	name_the_wall(s, rc, e);
	return rc;
}

uint64_t lua_state_used_ms(const struct lua_state *s)
{
	return luaproc_used_ms(s->proc);
}

bool lua_state_is_full(const struct lua_state *s)
{
	return s->o.full;
}

/* ---- its life ---- */

/* 'handler' of the module: a key for each type that call_handler() knows */
static void put_handlers(struct luabuf *b)
{
	const struct handler *h;

	luabuf_open(b);
	for (size_t i = 0; (h = handler_at(i)); i++) {
		const char *more = h->aliases ? h->aliases : "";

		luabuf_key(b, h->name, strlen(h->name));
		luabuf_int(b, 1);
		for (size_t n; *(more += strspn(more, " ")); more += n) {
			n = strcspn(more, " ");
			luabuf_key(b, more, n);
			luabuf_int(b, 1);
		}
	}
	luabuf_close(b);
}

enum { START_MS = 30000 }; /* for a process to be there */

int lua_state_open(struct lua_state **out, const struct lua_state_options *o, struct err *e)
{
	struct lua_state *s = calloc(1, sizeof(*s));
	const struct luaproc_options po = {
		.name = o->name,
		.full = o->full,
		.registers = o->registers,
		.noted_in = o->host->noted_in,
		.cancel = o->cancel,
		.serve = lua_state_serve,
		.line = print_line,
		.arg = s,
	};
	struct arena *a = arena_new(65536);
	const struct luaval *none;
	struct luabuf b = {.n = 0};
	int rc = s && a ? 0 : err_set(e, E_MEMORY, ENOMEM, "no memory for Lua");

	*out = NULL;
	if (rc == 0) {
		s->o = *o;
		rc = luaproc_start(&s->proc, &po, e);
	}
	if (rc == 0) {
		put_handlers(&b);
		rc = luaproc_ask(s->proc, LUA_INIT, &b, START_MS, a, &none, e);
	}
	arena_free(a);
	if (rc < 0)
		lua_state_free(s);
	else
		*out = s;
	return rc;
}

int lua_state_finish(struct lua_state *s, uint64_t ms, struct err *e)
{
	return luaproc_finish(s->proc, ms, e);
}

struct lua_state *lua_state_free(struct lua_state *s)
{
	if (s)
		luaproc_free(s->proc);
	free(s);
	return NULL;
}

void lua_state_seal(struct lua_state *s)
{
	s->sealed = true;
}

struct handler_rows lua_state_handlers(const struct lua_state *s)
{
	return (struct handler_rows){s->rows, s->count};
}
