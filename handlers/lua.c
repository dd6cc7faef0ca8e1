/*
 * lua: functions of a Lua script before and after the images, and after a failure.
 *
 * The script is code that root chose: it has the whole library and may block. So each phase runs in
 * a process of its own with a fresh state (T43, T64); boot variables and messages come back as
 * records.
 */
#include "handlers/handler.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lua.h>

#include "corelib/process/forked.h"
#include "corelib/base/lines.h"
#include "corelib/base/text.h"
#include "handlers/lua_api.h"
#include "handlers/lua_told.h"
#include "handlers/script.h"

#define TEXT_MAX (1024u * 1024)

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

/* one phase of one script; the child has a copy */
struct phase_run {
	struct step *st;
	const char *function;
	int fd; /* in the child: to the job */
	struct host host;
	struct host_ops ops;
	struct err e; /* in the job: the first of the records */
	size_t told;  /* in the job: bytes of messages */
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
		    : err_set(e, E_LUA, EFBIG, "a script in Lua has at most %u bytes", TEXT_MAX);
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

/* ---- records, from the child ---- */

static struct phase_run *run_of(struct host *h)
{
	return (struct phase_run *)((char *)h - offsetof(struct phase_run, host));
}

static int send_text(struct host *h, char kind, char level, const char *text)
{
	char record[FORKED_RECORD];

	snprintf(record, sizeof(record), "%c%c%s", kind, level, text);
	return forked_tell(run_of(h)->fd, record, strlen(record) + 1);
}

static int set_variable(struct host *h, const char *name, const char *value, struct err *e)
{
	struct phase_run *r = run_of(h);
	struct host *own = r->st->host;
	char record[FORKED_RECORD];
	int n, rc;

	/* the copy answers get_bootenv(), and refuses what cannot be */
	rc = own->ops->set_variable(own, name, value, e);
	if (rc < 0)
		return rc;
	n = snprintf(record, sizeof(record), "%c%s%c%s", value ? LUA_SET : LUA_UNSET, name, 0,
		     value ? value : "");
	if ((size_t)n >= sizeof(record))
		return err_set(e, E_ENV_BIG, E2BIG, "a boot variable is too long");
	rc = forked_tell(r->fd, record, (size_t)n + 1);
	return rc < 0 ? err_sys(e, E_NONE, -rc, "telling a boot variable") : 0;
}

static int get_variable(struct host *h, const char *name, char **value, struct err *e)
{
	struct host *own = run_of(h)->st->host;

	return own->ops->get_variable(own, name, value, e);
}

static void tell(struct host *h, const char *text)
{
	send_text(h, LUA_TELL, ' ', text);
}

static void say(struct host *h, enum log_level level, const char *text)
{
	send_text(h, LUA_SAY, (char)('0' + level), text);
}

static int script_folder(struct host *h, const char **path, struct err *e)
{
	struct host *own = run_of(h)->st->host;

	return own->ops->script_folder(own, path, e);
}

static int call_job(struct host *h, const struct host_call *c, struct err *e)
{
	int fd = run_of(h)->fd, rc;
	char record[FORKED_RECORD];
	int n = snprintf(record, sizeof(record), "%c%s%c%s%c%s", LUA_CALL, c->type, 0, c->file, 0,
			 c->text);
	ssize_t got;

	if ((size_t)n >= sizeof(record))
		return err_set(e, E_LUA, E2BIG, "call_handler: the image is too long");
	rc = forked_tell(fd, record, (size_t)n + 1);
	if (rc < 0)
		return err_sys(e, E_NONE, -rc, "asking for a step");
	got = forked_hear(fd, record, sizeof(record));
	if (got != 1 + sizeof(*e) || record[0] != LUA_ANSWER)
		return err_set(e, E_PROCESS, EPROTO, "no answer to call_handler");
	memcpy(e, record + 1, sizeof(*e));
	return err_is_set(e) ? -e->sys : 0;
}

/* ---- in either process ---- */

static int push_data(lua_State *L, void *arg)
{
	const struct phase_run *r = arg;

	lua_pushstring(L, r->st->entry->data ? r->st->entry->data : "");
	return 1;
}

/* (bool, text) */
static void take_answer(lua_State *L, void *arg)
{
	struct phase_run *r = arg;
	const char *text = lua_tostring(L, 2);

	if (lua_toboolean(L, 1)) {
		if (text && *text)
			r->host.ops->say(&r->host, LOG_LEVEL_INFO, text);
		return;
	}
	err_set(&r->e, E_LUA, EINVAL, "%s: %s", r->function,
		text && *text ? text : "the function did not return true");
}

static int call_phase(struct phase_run *r, struct luavm *vm, struct err *e)
{
	const struct source *s = r->st->state;
	const struct luavm_call c = {r->function, push_data, take_answer, 2, r};
	int rc = luavm_load(vm, r->st->entry->filename, s->text, s->n, e);

	if (rc == 0)
		rc = luavm_has(vm, r->function, e);
	if (rc > 0)
		rc = luavm_call(vm, &c, e);
	if (rc == 0 && err_is_set(&r->e)) {
		*e = r->e;
		rc = -e->sys;
	}
	return rc;
}

/* ---- in the child ---- */

static void print(void *arg, const char *text)
{
	struct phase_run *r = arg;

	say(&r->host, LOG_LEVEL_TRACE, text);
}

static int run_script(struct phase_run *r, struct err *e)
{
	const struct luavm_options o = {
		.full = true, .call_ms = SCRIPT_TIMEOUT_MOST * 1000u, .print = print, .arg = r};
	struct luavm *vm = NULL;
	int rc = luavm_new(&vm, &o, e);

	if (rc == 0)
		rc = lua_api_open(vm, &r->host, e);
	if (rc == 0)
		rc = call_phase(r, vm, e);
	luavm_free(vm);
	return rc;
}

static void child(int fd, void *arg)
{
	struct phase_run *r = arg;
	char record[1 + sizeof(struct err)];
	struct err e = {0};

	r->fd = fd;
	if (run_script(r, &e) == 0)
		return;
	record[0] = LUA_FAILED;
	memcpy(record + 1, &e, sizeof(e));
	forked_tell(fd, record, sizeof(record));
}

/* ---- in the job ---- */

static void answer_call(struct phase_run *r, int fd, const char *bytes, size_t n)
{
	char record[1 + sizeof(struct err)] = {LUA_ANSWER};
	struct err e = {0};

	lua_told_call(r->st->host, bytes, n, &e);
	memcpy(record + 1, &e, sizeof(e));
	forked_answer(fd, record, sizeof(record));
}

/* T120: true when it is shown; the first that is not says so */
static bool in_bounds(struct phase_run *r, const char *bytes, size_t n)
{
	const char *text;

	if (n < 3 || bytes[n - 1] || (bytes[0] != LUA_SAY && bytes[0] != LUA_TELL))
		return true;
	text = lines_bounded(&r->told, bytes + 2);
	if (text && text != bytes + 2)
		r->st->host->ops->say(r->st->host, LOG_LEVEL_WARN, text);
	return text == bytes + 2;
}

static void record(void *arg, int fd, const char *bytes, size_t n)
{
	struct phase_run *r = arg;

	if (n && bytes[0] == LUA_CALL)
		answer_call(r, fd, bytes, n);
	else if (in_bounds(r, bytes, n))
		lua_told(r->st->host, &r->e, bytes, n);
}

static void line(void *arg, const char *text)
{
	struct phase_run *r = arg;

	r->st->host->ops->say(r->st->host, LOG_LEVEL_TRACE, text);
}

static uint64_t deadline_of(const struct entry *t)
{
	const char *v = entry_property(t, "timeout");
	uint64_t seconds;

	if (!v || text_size(v, &seconds) < 0 || seconds > SCRIPT_TIMEOUT_MOST)
		seconds = SCRIPT_TIMEOUT;
	return seconds * 1000;
}

/* the property that names the function, and its name without one */
static const char *const names_of_phases[][2] = {
	{"preinstall", "preinst"}, {"postinstall", "postinst"}, {"postfailure", "postfailure"}};

static const char *function_of(const struct entry *t, enum phase phase)
{
	const char *own = entry_property(t, names_of_phases[phase][0]);

	return own ? own : names_of_phases[phase][1];
}

/* a function that another script of this state has left behind is not this one's */
static void forget(lua_State *L, void *arg)
{
	const struct phase_run *r = arg;

	lua_pushnil(L);
	lua_setglobal(L, r->function);
}

static int run_global(struct phase_run *r, enum phase phase, struct err *e)
{
	struct host *h = r->st->host;
	struct luavm *vm = h->ops->lua_state(h);
	bool named = entry_property(r->st->entry, names_of_phases[phase][0]);
	int rc;

	r->host = *h;
	luavm_limit(vm, (unsigned)deadline_of(r->st->entry));
	rc = named ? 0 : luavm_run(vm, forget, r, e);
	return rc < 0 ? rc : call_phase(r, vm, e);
}

static int run(struct step *st, enum phase phase, struct err *e)
{
	struct phase_run r = {.st = st, .function = function_of(st->entry, phase), .fd = -1};
	const struct forked f = {
		.name = st->entry->filename,
		.child = child,
		.record = record,
		.line = line,
		.arg = &r,
		.deadline_ms = deadline_of(st->entry),
		.noted_in = st->host->noted_in,
		/* a cancel must not keep it from tidying up */
		.cancel = phase == PHASE_POSTFAILURE ? NULL : st->host->cancel,
	};
	struct err unmounted = {0};
	const char *folder;
	int rc;

	if (!st->state)
		return err_set(e, E_INTERNAL, EINVAL, "a script was not stored before it runs");
	/* made here, so that the job removes it */
	rc = st->host->ops->script_folder(st->host, &folder, e);
	if (rc < 0)
		return rc;
	if (is_global(st->entry)) {
		rc = run_global(&r, phase, e);
		return err_while(e, rc, "running %s of %s", r.function, st->entry->filename);
	}
	r.host = *st->host;
	r.ops = *st->host->ops;
	r.ops.set_variable = set_variable;
	r.ops.get_variable = get_variable;
	r.ops.tell = tell;
	r.ops.say = say;
	r.ops.script_folder = script_folder;
	r.ops.call = call_job;
	r.host.ops = &r.ops;
	rc = forked_run(&f, e);
	if (lua_api_unmount(folder, &unmounted) < 0 && rc == 0)
		rc = err_set(e, unmounted.code, unmounted.sys, "%s", unmounted.why);
	if (rc == 0 && err_is_set(&r.e)) {
		*e = r.e;
		rc = -e->sys;
	}
	return err_while(e, rc, "running %s of %s", r.function, st->entry->filename);
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
