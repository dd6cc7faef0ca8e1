/*
 * lua: functions of a Lua script before and after the images, and after a failure.
 *
 * The script is code that root chose: it has the whole library and may block. So each phase runs in
 * a process of its own with a fresh state (T43, T64), unless it asks for the state of the embedded
 * script.
 */
#include "handlers/handler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "handlers/lua/lua_state.h"
#include "handlers/script.h"

enum { TEXT_MAX = 1024 * 1024, VALUES_MAX = 1024 * 1024 };

static const struct attr props[] = {
	{.name = "global-state",
	 .type = ATTR_SWITCH,
	 .dflt = "false",
	 .help = "run in the state of the embedded script, confined as that one is"},
	{.name = "preinstall",
	 .type = ATTR_STRING,
	 .dflt = "preinst",
	 .help = "function that runs before the images"},
	{.name = "postinstall",
	 .type = ATTR_STRING,
	 .dflt = "postinst",
	 .help = "function that runs after the images"},
	{.name = "postfailure",
	 .type = ATTR_STRING,
	 .dflt = "postfailure",
	 .help = "function that runs after a failure"},
	{.name = "timeout",
	 .type = ATTR_INT,
	 .min = 1,
	 .max = SCRIPT_TIMEOUT_MOST,
	 .dflt = "600",
	 .help = "seconds after which the script is ended and the install fails"},
};

struct source {
	size_t n;
	char text[];
};

/* ---- before the first write ---- */

static bool is_global(const struct entry *t)
{
	const char *v = entry_property(t, "global-state");

	return v && strcmp(v, "true") == 0;
}

static int check(struct step *st, struct err *e)
{
	struct host *h = st->host;

	if (is_global(st->entry) && (!h->ops->lua_state || !h->ops->lua_state(h)))
		return err_set(e, E_NOT_BUILT, ENOTSUP, "there is no global state here");
	return 0;
}

static int install(struct step *st, struct stream *in, struct err *e)
{
	struct source *s = calloc(1, sizeof(*s) + TEXT_MAX + 1);
	size_t room = TEXT_MAX + 1;
	ssize_t n = 0;

	if (!s)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a script");
	st->state = s;
	while (room && (n = stream_read(in, s->text + s->n, room, e)) > 0) {
		s->n += (size_t)n;
		room -= (size_t)n;
	}
	if (n < 0)
		return (int)n;
	return room ? 0
		    : err_set(e, E_LUA, EFBIG, "a script in Lua has at most %d bytes", TEXT_MAX);
}

static void discard(struct step *st)
{
	free(st->state);
	st->state = NULL;
}

static int commit(struct step *st, struct err *e)
{
	(void)e;
	discard(st);
	return 0;
}

/* ---- one phase ---- */

/* the property that names the function, and its name without one */
static const char *const names_of_phases[][2] = {
	{"preinstall", "preinst"}, {"postinstall", "postinst"}, {"postfailure", "postfailure"}};

static const char *function_of(const struct entry *t, enum phase phase)
{
	const char *own = entry_property(t, names_of_phases[phase][0]);

	return own ? own : names_of_phases[phase][1];
}

/* what runs of one phase has its time together */
static uint64_t left(uint64_t until)
{
	uint64_t now = sys_now_ms();

	return now < until ? until - now : 1;
}

static int run_function(struct lua_state *s, struct step *st, const char *function, uint64_t until,
			struct arena *a, struct err *e)
{
	const struct source *text = st->state;
	struct lua_call c = {.function = function, .optional = true};
	const struct luaval *results, *why;
	int rc = lua_state_load(s, st->entry->filename, text->text, text->n, left(until), a,
				&results, e);

	if (rc < 0)
		return rc;
	luabuf_text(&c.args, st->entry->data);
	c.ms = left(until);
	rc = lua_state_call(s, &c, a, &results, e);
	if (rc < 0 || !results)
		return rc;
	why = luaval_at(results, 1);
	if (results->type == LUAVAL_NIL || (results->type == LUAVAL_BOOL && !results->integer)) {
		if (why->n)
			err_fix(e, "the script itself refuses the update: do what it says");
		return err_set(e, E_LUA, EINVAL, "%s: %s", function,
			       why->n ? why->text : "the function did not return true");
	}
	if (why->n)
		lua_state_say(s, LOG_LEVEL_INFO, why->text, why->n);
	return 0;
}

/* a function that another script of this state has left behind is not this one's */
static int forget(struct lua_state *s, const char *function, uint64_t until, struct arena *a,
		  struct err *e)
{
	const struct luaval *none;
	char text[64];

	text_print(text, sizeof(text), "%s = nil", function);
	return lua_state_load(s, "lua", text, strlen(text), left(until), a, &none, e);
}

static int run_alone(struct step *st, const char *function, enum phase phase, uint64_t until,
		     struct arena *a, struct err *e)
{
	struct host *h = st->host;
	const struct lua_state_options o = {
		.name = st->entry->filename,
		.host = h,
		/* a cancel must not keep it from tidying up */
		.cancel = phase == PHASE_POSTFAILURE ? NULL : h->cancel,
		.full = true,
		.print = LOG_LEVEL_TRACE,
	};
	struct lua_state *s;
	int rc = lua_state_open(&s, &o, e);

	if (rc < 0)
		return rc;
	rc = run_function(s, st, function, until, a, e);
	if (rc == 0)
		rc = lua_state_finish(s, left(until), e);
	lua_state_free(s);
	return rc;
}

static int run(struct step *st, enum phase phase, struct err *e)
{
	const bool named = entry_property(st->entry, names_of_phases[phase][0]);
	const char *function = function_of(st->entry, phase), *folder;
	uint64_t until = sys_now_ms() + script_deadline(st->entry);
	struct host *h = st->host;
	struct err unmounted = {0};
	struct arena *a;
	int rc;

	if (!st->state)
		return err_set(e, E_INTERNAL, EINVAL, "a script was not stored before it runs");
	/* made here, so that the job removes it */
	rc = h->ops->script_folder(h, &folder, e);
	if (rc < 0)
		return rc;
	a = arena_new(VALUES_MAX);
	if (!a)
		return err_set(e, E_MEMORY, ENOMEM, "no memory to run a script");
	if (is_global(st->entry)) {
		rc = named ? 0 : forget(h->ops->lua_state(h), function, until, a, e);
		if (rc == 0)
			rc = run_function(h->ops->lua_state(h), st, function, until, a, e);
	} else {
		rc = run_alone(st, function, phase, until, a, e);
		if (lua_state_unmount(folder, &unmounted) < 0 && rc == 0)
			rc = err_set(e, unmounted.code, unmounted.sys, "%s", unmounted.why);
	}
	arena_free(a);
	return err_while(e, rc, "running %s of %s", function, st->entry->filename);
}

const struct handler handler_lua = {
	.name = "lua",
	.summary = "run functions of a Lua script before and after the images, and after a failure",
	.kind = HANDLER_ACTION,
	.sections = SECTION_SCRIPTS,
	.holds = HOLDS_NOTHING,
	.phases = 1u << PHASE_PREINSTALL | 1u << PHASE_POSTINSTALL | 1u << PHASE_POSTFAILURE,
	.props = props,
	.prop_count = ARRAY_SIZE(props),
	.check = check,
	.install = install,
	.commit = commit,
	.discard = discard,
	.run = run,
};
