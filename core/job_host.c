/* What handlers and Lua code may ask of the job. */
#include "core/job_private.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "core/called.h"
#include "core/scripts.h"

static struct run *run_of(struct host *h)
{
	return (struct run *)((char *)h - offsetof(struct run, host));
}

static int set_variable(struct host *h, const char *name, const char *value, struct err *e)
{
	struct run *r = run_of(h);

	return envset_put(&r->session.asked, name, value, e);
}

static bool has_variable(struct host *h, const char *name)
{
	struct run *r = run_of(h);

	return envset_find(&r->session.asked, name) ||
	       (r->plan && envset_find(&r->plan->variables, name));
}

static int get_variable(struct host *h, const char *name, char **value, struct err *e)
{
	struct run *r = run_of(h);
	const struct envvar *v = envset_find(&r->session.asked, name);

	if (!v && r->plan)
		v = envset_find(&r->plan->variables, name);
	*value = NULL;
	if (!v)
		return r->session.env ? bootenv_get(r->session.env, name, value, e) : 0;
	if (!v->value)
		return 0;
	*value = strdup(v->value);
	return *value ? 1 : err_set(e, E_MEMORY, ENOMEM, "no memory for a boot variable");
}

static void host_tell(struct host *h, const char *text)
{
	struct run *r = run_of(h);

	reporter_info(r->session.reporter, "%s", text);
}

static void host_say(struct host *h, enum log_level level, const char *text)
{
	struct run *r = run_of(h);

	reporter_output(r->session.reporter, level, text);
}

static int script_folder(struct host *h, const char **path, struct err *e)
{
	struct run *r = run_of(h);

	*path = r->session.scripts_folder;
	return r->session.scripts_folder[0] ? 0
					    : scripts_make(&r->cfg, r->session.scripts_folder,
							   sizeof(r->session.scripts_folder), e);
}

static struct lua_state *lua_state(struct host *h)
{
	struct run *r = run_of(h);

	return hooks_state(r->hooks);
}

static int call(struct host *h, const struct host_call *asked, struct err *e)
{
	struct run *r = run_of(h);
	const struct plan_input in = run_plan_input(r);
	const struct called c = {
		.in = &in,
		.plan = r->plan,
		.steps = r->steps,
		.begun = r->install.begun,
	};

	return called_run(&c, asked, e);
}

const struct host_ops run_host_ops = {
	.set_variable = set_variable,
	.has_variable = has_variable,
	.get_variable = get_variable,
	.tell = host_tell,
	.say = host_say,
	.script_folder = script_folder,
	.lua_state = lua_state,
	.call = call,
};
