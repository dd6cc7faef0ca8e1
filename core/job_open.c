/* The front half of a job: bundle, trust, lock, recovery, slots, description, policy, plan. */
#include "core/job_private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>

#include "core/state/awaited.h"
#include "core/policy.h"
#include "core/remarks.h"
#include "core/scripts.h"
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

int run_lock(struct run *r, struct err *e)
{
	int rc = r->cfg.state_dir ? awaited_check(r->cfg.state_dir, e) : 0;

	if (rc < 0)
		return err_while(e, rc, "looking for the state directory");
	rc = lock_take(&r->lock, &r->session, e);
	if (rc == 0)
		r->host.noted_in = lock_folder(r->lock);
	return rc;
}

/*
 * An update without a journal sets swinstall_txn as any other: then an interrupted one could never
 * be told from a finished one. Only where nothing is unsettled it may go on.
 */
static int open_journal(struct run *r, struct err *e)
{
	int rc = journal_open(&r->session.journal, r->cfg.state_dir, &r->journal_err);

	if (rc == 0)
		return 0;
	r->session.journal = NULL;
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
	struct recovery rec = {.session = &r->session};
	int rc = run_lock(r, e);

	if (rc < 0)
		return rc;
	reporter_publish(r->session.reporter, r->cfg.run_dir, r->cfg.state_dir);
	rc = marks_env(&r->cfg, &r->session.env, e);
	if (rc < 0)
		return rc;
	scripts_tidy(&r->cfg);
	rc = open_journal(r, e);
	if (rc < 0)
		return rc;
	rc = recover_run(&rec, e);
	if (rc == 0 && rec.did != RECOVERED_NOTHING)
		reporter_warn(r->session.reporter, "%s", rec.text);
	return rc;
}

static void warn_state(struct run *r)
{
	const struct slot_setting *in =
		r->cfg.state_dir ? slots_holding(&r->cfg, r->cfg.state_dir) : NULL;
	const char *w = bootenv_warning(r->session.env);

	if (in)
		reporter_warn(
			r->session.reporter,
			"the state directory %s lies in slot '%s': after a switch, or an update "
			"of that slot, what was interrupted is not known any more; set state-dir "
			"to a place outside all slots",
			r->cfg.state_dir, in->name);
	if (w)
		reporter_warn(r->session.reporter, "%s", w);
	if (!r->session.journal)
		reporter_warn(r->session.reporter,
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
		.cancel = r->session.cancel,
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
		reporter_info(r->session.reporter, "signed by %s (%s)", r->trust.info.signer,
			      sig_scheme_name(r->trust.info.scheme));
	else
		reporter_warn(r->session.reporter, "%s", r->trust.warning);
	return 0;
}

/* what the slots say where select is "auto", else what was given */
static int find_selection(struct run *r, const char **text, struct err *e)
{
	*text = r->cfg.select;
	if (!r->cfg.select || strcmp(r->cfg.select, "auto") != 0)
		return 0;
	int rc = slots_observe(&r->session.slots, &r->cfg, r->session.env, e);
	if (rc == 0)
		rc = slots_selection(&r->session.slots, text, e);
	if (rc == 0)
		reporter_info(r->session.reporter, "slot %s is free: select %s",
			      r->session.slots.target->name, *text);
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

/* ---- description ---- */

/* code of the description decides before the plan is made; in a check too */
static int run_hooks(struct run *r, const struct manifest_options *o, struct err *e)
{
	int rc;

	r->host.board = r->cfg.board;
	r->host.revision = r->cfg.revision;
	r->host.select = r->cfg.select;
	rc = hooks_open(&r->hooks, r->manifest, &r->session, e);
	if (rc == 0)
		rc = hooks_apply(r->hooks, &r->manifest, o, e);
	return err_at(e, rc, "sw-description");
}

static int read_description(struct run *r, struct err *e)
{
	struct remarks remarks = {.reporter = r->session.reporter};
	struct manifest_options o = {
		.revision = r->cfg.revision,
		.strict = r->cfg.strict,
		.hash_required = r->trust.vouched,
		.note = remarks_note,
		.arg = &remarks,
	};
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
	reporter_info(r->session.reporter, "release %s", r->manifest->version);
	reporter_release(r->session.reporter, r->manifest->version);
	rc = policy_check(&r->type, &r->session, r->manifest, e);
	o.note = reporter_remark;
	o.arg = r->session.reporter;
	return rc < 0 ? rc : run_hooks(r, &o, e);
}

/* ---- plan ---- */

struct plan_input run_plan_input(struct run *r)
{
	return (struct plan_input){
		.session = &r->session,
		.manifest = r->manifest,
		.bundle = r->bundle,
		.own = hooks_handlers(r->hooks),
	};
}

static int check_undo(const struct run *r, struct err *e)
{
	if (r->session.journal || !r->plan->wants_undo || r->session.mode != JOB_INSTALL)
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

static bool wants_process(const struct plan *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (!p->steps[i].left_out && stages_want_process(&p->steps[i].stages))
			return true;
	return false;
}

static int make_plan(struct run *r, struct err *e)
{
	const struct plan_input in = run_plan_input(r);
	int rc;

	allow_files(r->manifest->entry_count);
	rc = check_vars(r, e);
	if (rc == 0)
		rc = slots_observe(&r->session.slots, &r->cfg, r->session.env, e);
	if (rc == 0)
		rc = bundle_bind(r->bundle, r->manifest, e);
	if (rc == 0)
		rc = plan_build(&r->plan, &in, e);
	if (rc == 0)
		r->plan->code = r->hooks != NULL;
	if (rc == 0)
		rc = check_undo(r, e);
	if (rc == 0)
		rc = wants_process(r->plan) ? policy_walls(&r->session, "payloads are unpacked", e)
					    : 0;
	return rc;
}

void run_init(struct run *r, struct job *j, enum job_mode mode)
{
	r->job = j;
	r->cfg = *j->cfg;
	r->session.cfg = &r->cfg;
	r->session.mode = mode;
	r->session.cancel = &j->cancel;
	r->session.reporter = j->reporter;
	r->session.threads = pipeline_threads(&r->cfg);
	r->session.meter.cancel = &j->cancel;
	r->session.meter.moved = reporter_moved;
	r->session.meter.arg = j->reporter;
	r->session.host = &r->host;
	r->host.ops = &run_host_ops;
	r->host.cancel = &j->cancel;
	r->host.dry_run = mode != JOB_INSTALL;
	r->host.verify_writes = r->cfg.verify_writes;
}

int run_open(struct run *r, struct err *e)
{
	bool installs = r->session.mode == JOB_INSTALL;
	int rc = read_hardware(r, e);

	/* before the lock: a sender that is slow, or whom no key vouches for, keeps nobody waiting
	 */
	if (rc == 0)
		rc = open_bundle(r, e);
	if (rc < 0)
		return rc;
	rc = installs ? open_state(r, e) : marks_env(&r->cfg, &r->session.env, e);
	if (rc < 0)
		return rc;
	if (installs)
		warn_state(r);
	rc = read_description(r, e);
	return rc < 0 ? rc : make_plan(r, e);
}

void run_close(struct run *r)
{
	install_end(&r->install);
	steps_free(r->steps);
	plan_free(r->plan);
	hooks_free(r->hooks);
	manifest_free(r->manifest);
	if (r->bundle)
		bundle_close(r->bundle);
	scripts_remove(r->session.scripts_folder);
	if (r->session.journal)
		journal_close(r->session.journal);
	if (r->session.env)
		bootenv_close(r->session.env);
	envset_clear(&r->session.asked);
	reporter_publish(r->session.reporter, NULL, NULL);
	lock_release(r->lock);
}
