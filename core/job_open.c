/* The front half of a job: lock, recovery, bundle, trust, description, policy, plan. */
#include "core/job_private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>

#include "core/state/awaited.h"
#include "core/called.h"
#include "core/policy.h"
#include "core/remarks.h"
#include "core/scripts.h"
#include "corelib/process/sandbox.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "parser/version.h"

enum { HWREVISION_MAX = 4096 };

/* ---- what the device is ---- */

/* "board revision" in a file, unless the command line said it */
static int read_hardware(struct run *r, struct err *e)
{
	AUTO_FREE char *text = NULL;
	struct version_list l = {0};
	size_t n;
	int rc;

	if (r->cfg.board || r->cfg.revision || !r->cfg.hwrevision_file)
		return 0;
	rc = sys_read_file(AT_FDCWD, r->cfg.hwrevision_file, HWREVISION_MAX, &text, &n);
	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		return err_sys(e, E_SYS, -rc, "reading %s", r->cfg.hwrevision_file);
	rc = version_list_parse(&l, text, n, e);
	if (rc == 0 && l.count && text_copy(r->board, sizeof(r->board), l.items[0].name) == 0 &&
	    text_copy(r->revision, sizeof(r->revision), l.items[0].version) == 0) {
		r->cfg.board = r->board;
		r->cfg.revision = r->revision;
	}
	version_list_clear(&l);
	return err_at(e, rc, "%s", r->cfg.hwrevision_file);
}

/* ---- lock, journal, recovery ---- */

static void waits(void *arg, const char *holder)
{
	tell_line(arg, LOG_LEVEL_INFO, "waiting for another installation to end (%s)", holder);
}

int run_lock(struct run *r, struct err *e)
{
	const struct lock_watch w = {.cancel = &r->job->cancel, .waits = waits, .arg = r->job};
	int rc = r->cfg.state_dir ? awaited_check(r->cfg.state_dir, e) : 0;

	if (rc < 0)
		return err_while(e, rc, "looking for the state directory");
	return lock_take(&r->lock, &r->cfg, &w, e);
}

/*
 * An update without a journal sets swinstall_txn as any other: then an interrupted one could never
 * be told from a finished one. Only where nothing is unsettled it may go on.
 */
static int open_journal(struct run *r, struct err *e)
{
	int rc = journal_open(&r->journal, r->cfg.state_dir, &r->journal_err);

	if (rc == 0)
		return 0;
	r->journal = NULL;
	if (r->journal_err.code != E_STATE_DIR) {
		*e = r->journal_err;
		return rc;
	}
	rc = journal_is_settled(r->cfg.state_dir, e);
	if (rc == 0)
		return err_set(
			e, E_RECOVER, EROFS,
			"the state directory holds an interrupted installation and cannot be "
			"used: %s",
			r->journal_err.why);
	return rc < 0 ? rc : 0;
}

static int open_state(struct run *r, struct err *e)
{
	struct recovery rec = {.cfg = &r->cfg};
	int rc = run_lock(r, e);

	if (rc == 0)
		rc = activate_env(&r->cfg, &r->env, e);
	if (rc < 0)
		return rc;
	scripts_tidy(&r->cfg);
	rc = open_journal(r, e);
	if (rc < 0)
		return rc;
	rec.env = r->env;
	rec.journal = r->journal;
	rc = recover_run(&rec, e);
	if (rc == 0 && rec.did != RECOVERED_NOTHING)
		tell_line(r->job, LOG_LEVEL_WARN, "%s", rec.text);
	return rc;
}

static void warn_state(struct run *r)
{
	const char *w = bootenv_warning(r->env);

	if (w)
		tell_note(r->job, w);
	if (!r->journal)
		tell_line(r->job, LOG_LEVEL_WARN,
			  "there is no journal (%s): only updates that need "
			  "no undo are installed",
			  r->journal_err.why);
}

/* ---- bundle ---- */

static int open_bundle(struct run *r, struct err *e)
{
	const struct stream_fd_options so = {
		.size = UINT64_MAX,
		.idle_ms = (unsigned)(r->cfg.idle_timeout * 1000),
		.cancel = &r->job->cancel,
	};
	const struct bundle_options bo = {
		.max_members = r->cfg.max_members,
		.max_description = r->cfg.has_description_max ? r->cfg.description_max : 0,
		.loose = r->cfg.cpio_loose != 0,
		.strict = r->cfg.strict_members,
		.need_signature = !r->cfg.allow_unsigned,
	};
	AUTO_STREAM struct stream *s = NULL;
	int rc = stream_fd_open(&s, r->request->fd, &so, e);

	if (rc == 0)
		rc = bundle_open(&r->bundle, &s, &bo, e);
	if (rc == 0)
		rc = trust_verify(&r->trust, &r->cfg, r->bundle, e);
	if (rc < 0)
		return rc;
	if (r->trust.vouched)
		tell_line(r->job, LOG_LEVEL_INFO, "signed by %s (%s)", r->trust.info.signer,
			  sig_scheme_name(r->trust.info.scheme));
	else
		tell_note(r->job, r->trust.warning);
	return 0;
}

/* what the slots say where select is "auto", else what was given */
static int find_selection(struct run *r, const char **text, struct err *e)
{
	*text = r->cfg.select;
	if (!r->cfg.select || strcmp(r->cfg.select, "auto") != 0)
		return 0;
	int rc = slots_observe(&r->slots, &r->cfg, r->env, e);
	if (rc == 0)
		rc = slots_selection(&r->slots, text, e);
	if (rc == 0)
		tell_line(r->job, LOG_LEVEL_INFO, "slot %s is free: select %s",
			  r->slots.target->name, *text);
	return rc;
}

/* "set,mode" */
static int split_selection(struct run *r, char *text, size_t n, struct selection *sel,
			   struct err *e)
{
	const char *asked;
	char *comma;
	int rc = find_selection(r, &asked, e);

	sel->board = r->cfg.board;
	if (rc < 0 || !asked)
		return rc;
	if (text_copy(text, n, asked) < 0 || !(comma = strchr(text, ',')) || comma == text ||
	    !comma[1] || strchr(comma + 1, ','))
		return err_set(e, E_SELECT, EINVAL, "'%s' is not of the form SET,MODE", asked);
	*comma = '\0';
	sel->set = text;
	sel->mode = comma + 1;
	return 0;
}

/* ---- what handlers and Lua code may ask for ---- */

static int set_variable(struct host *h, const char *name, const char *value, struct err *e)
{
	struct run *r = (struct run *)((char *)h - offsetof(struct run, host));

	return envset_put(&r->extra, name, value, e);
}

static bool has_variable(struct host *h, const char *name)
{
	struct run *r = (struct run *)((char *)h - offsetof(struct run, host));

	return envset_find(&r->extra, name) || (r->plan && envset_find(&r->plan->variables, name));
}

static int get_variable(struct host *h, const char *name, char **value, struct err *e)
{
	struct run *r = (struct run *)((char *)h - offsetof(struct run, host));
	const struct envvar *v = envset_find(&r->extra, name);

	if (!v && r->plan)
		v = envset_find(&r->plan->variables, name);
	*value = NULL;
	if (!v)
		return r->env ? bootenv_get(r->env, name, value, e) : 0;
	if (!v->value)
		return 0;
	*value = strdup(v->value);
	return *value ? 1 : err_set(e, E_MEMORY, ENOMEM, "no memory for a boot variable");
}

static void host_tell(struct host *h, const char *text)
{
	struct run *r = (struct run *)((char *)h - offsetof(struct run, host));

	tell_line(r->job, LOG_LEVEL_INFO, "%s", text);
}

static void host_say(struct host *h, enum log_level level, const char *text)
{
	struct run *r = (struct run *)((char *)h - offsetof(struct run, host));

	tell_said(r->job, level, text);
}

static int script_folder(struct host *h, const char **path, struct err *e)
{
	struct run *r = (struct run *)((char *)h - offsetof(struct run, host));

	*path = r->scripts;
	return r->scripts[0] ? 0 : scripts_make(&r->cfg, r->scripts, sizeof(r->scripts), e);
}

static struct luavm *lua_state(struct host *h)
{
	struct run *r = (struct run *)((char *)h - offsetof(struct run, host));

	return hooks_state(r->hooks);
}

static struct plan_input plan_input_of(struct run *r)
{
	return (struct plan_input){
		.cfg = &r->cfg,
		.manifest = r->manifest,
		.bundle = r->bundle,
		.slots = &r->slots,
		.env = r->env,
		.host = &r->host,
		.own = hooks_handlers(r->hooks),
		.note = tell_note,
		.arg = r->job,
	};
}

static int call(struct host *h, const struct host_call *asked, struct err *e)
{
	struct run *r = (struct run *)((char *)h - offsetof(struct run, host));
	const struct plan_input in = plan_input_of(r);
	const struct called c = {
		.in = &in,
		.plan = r->plan,
		.install = &r->install,
		.txn = r->act.txn,
		.folder = r->scripts,
	};

	return called_run(&c, asked, e);
}

static const struct host_ops host_ops = {
	.set_variable = set_variable,
	.has_variable = has_variable,
	.get_variable = get_variable,
	.tell = host_tell,
	.say = host_say,
	.script_folder = script_folder,
	.lua_state = lua_state,
	.call = call,
};

/* ---- description ---- */

/* code of the description decides before the plan is made; in a check too */
static int run_hooks(struct run *r, const struct manifest_options *o, struct err *e)
{
	const struct hooks_options ho = {
		.cfg = &r->cfg,
		.host = &r->host,
		.say = tell_said,
		.note = tell_note,
		.arg = r->job,
	};
	int rc;

	r->host.board = r->cfg.board;
	r->host.revision = r->cfg.revision;
	r->host.select = r->cfg.select;
	r->host.dry_run = r->request->mode != JOB_INSTALL;
	rc = hooks_open(&r->hooks, r->manifest, &ho, e);
	if (rc == 0)
		rc = hooks_apply(r->hooks, &r->manifest, o, e);
	return err_at(e, rc, "sw-description");
}

static int read_description(struct run *r, struct err *e)
{
	struct remarks remarks = {.note = tell_note, .arg = r->job};
	struct manifest_options o = {
		.strict = r->cfg.strict,
		.hash_required = r->trust.vouched,
		.note = remarks_note,
		.arg = &remarks,
	};
	struct policy p = {.note = tell_note, .arg = r->job};
	char selection[512];
	const void *text;
	size_t n;
	int rc = split_selection(r, selection, sizeof(selection), &o.sel, e);

	if (rc < 0)
		return rc;
	text = bundle_description(r->bundle, &n);
	rc = manifest_parse(&r->manifest, text, n, &o, e);
	remarks_end(&remarks);
	if (rc < 0)
		return err_at(e, rc, "sw-description");
	tell_line(r->job, LOG_LEVEL_INFO, "release %s", r->manifest->version);
	rc = policy_check(&p, &r->cfg, r->manifest, e);
	r->type = p.type;
	o.note = tell_note;
	o.arg = r->job;
	return rc < 0 ? rc : run_hooks(r, &o, e);
}

/* ---- plan ---- */

static int check_undo(const struct run *r, struct err *e)
{
	if (r->journal || !r->plan->wants_undo || r->request->mode != JOB_INSTALL)
		return 0;
	err_fix(e, "make the state directory %s writable, or set state-dir",
		r->cfg.state_dir ? r->cfg.state_dir : "");
	return err_set(e, E_STATE_DIR, EROFS,
		       "the bundle has files, which need a journal to be undone "
		       "after a power cut, and there is none: %s",
		       r->journal_err.why);
}

/* the list 'vars' wants a namespace of the boot environment: not possible with the libraries of
 * today */
static int check_vars(const struct run *r, struct err *e)
{
	const char *space = r->manifest->namespace_for_vars;

	if (r->manifest->var_count == 0)
		return 0;
	space = space ? space : r->cfg.namespace_vars;
	return err_set(e, E_ENV_NAMESPACE, ENOTSUP, "the bundle has the list 'vars'%s%s%s",
		       space ? " for the namespace '" : "", space ? space : "", space ? "'" : "");
}

/* each place is held open to the end: a bundle of thousands of files needs more than the usual 1024
 */
static void allow_files(size_t entries)
{
	struct rlimit l;
	rlim_t need = 64 + 3 * (rlim_t)entries;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur >= need)
		return;
	l.rlim_cur = need < l.rlim_max ? need : l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l); /* if it is not enough, opening tells */
}

/* does a payload go through the child without rights? */
static bool wants_child(const struct run *r)
{
	for (size_t i = 0; i < r->plan->count; i++) {
		const struct plan_step *ps = &r->plan->steps[i];

		if (!ps->skipped && ps->route == ROUTE_FLOW &&
		    ps->step.entry->compressed != CODEC_NONE)
			return true;
	}
	return false;
}

static int check_sandbox(const struct run *r, struct err *e)
{
	unsigned missing = wants_child(r) ? sandbox_missing() : 0;
	const char *what = missing == SANDBOX_LANDLOCK	? "Landlock"
			   : missing == SANDBOX_SECCOMP ? "seccomp"
							: "Landlock and seccomp";

	if (missing && r->cfg.strict)
		return err_set(e, E_SANDBOX, ENOTSUP, "it has no %s, and strict is on", what);
	if (missing)
		tell_line(r->job, LOG_LEVEL_WARN,
			  "W_NO_SANDBOX: this kernel has no %s; payloads are "
			  "unpacked in a process with fewer walls",
			  what);
	return 0;
}

static int make_plan(struct run *r, struct err *e)
{
	const struct plan_input in = plan_input_of(r);
	int rc;

	allow_files(r->manifest->entry_count);
	rc = check_vars(r, e);
	if (rc == 0)
		rc = slots_observe(&r->slots, &r->cfg, r->env, e);
	r->slots.look_only = r->request->mode != JOB_INSTALL;
	if (rc == 0)
		rc = bundle_bind(r->bundle, r->manifest, e);
	if (rc == 0)
		rc = plan_build(&r->plan, &in, e);
	if (rc == 0)
		r->plan->code = r->hooks != NULL;
	if (rc == 0)
		rc = check_undo(r, e);
	if (rc == 0)
		rc = check_sandbox(r, e);
	return rc;
}

int run_open(struct run *r, struct err *e)
{
	int rc;

	r->cfg = *r->job->cfg;
	r->host.ops = &host_ops;
	r->host.cancel = &r->job->cancel;
	rc = read_hardware(r, e);
	if (rc == 0 && r->request->mode == JOB_INSTALL)
		rc = open_state(r, e);
	else if (rc == 0)
		rc = activate_env(&r->cfg, &r->env, e);
	if (rc < 0)
		return rc;
	if (r->request->mode == JOB_INSTALL)
		warn_state(r);
	rc = open_bundle(r, e);
	if (rc == 0)
		rc = read_description(r, e);
	if (rc == 0)
		rc = make_plan(r, e);
	return rc;
}

void run_close(struct run *r)
{
	plan_free(r->plan);
	hooks_free(r->hooks);
	manifest_free(r->manifest);
	if (r->bundle)
		bundle_close(r->bundle);
	scripts_remove(r->scripts);
	if (r->journal)
		journal_close(r->journal);
	if (r->env)
		bootenv_close(r->env);
	envset_clear(&r->extra);
	lock_release(r->lock);
}
