#include "core/job.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "core/command.h"
#include "core/job_private.h"
#include "core/scripts.h"
#include "core/state/status.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

enum { EVENTS = 256 };

int job_new(struct job **out, const struct settings *cfg, struct err *e)
{
	struct job *j = calloc(1, sizeof(*j));
	int rc;

	if (!j)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a job");
	rc = reporter_new(&j->reporter, e);
	if (rc < 0) {
		free(j);
		return rc;
	}
	j->cfg = cfg;
	*out = j;
	return 0;
}

void job_free(struct job *j)
{
	if (!j)
		return;
	reporter_free(j->reporter);
	free(j);
}

void job_subscribe(struct job *j, void (*wake)(void *arg), void *arg)
{
	reporter_subscribe(j->reporter, wake, arg);
}

struct progress *job_progress(struct job *j)
{
	return reporter_events(j->reporter);
}

void job_cancel(struct job *j)
{
	__atomic_store_n(&j->cancel, true,
			 __ATOMIC_RELAXED); /* read by flag_is_set() in any thread */
}

bool job_wants_reboot(const struct job *j)
{
	return j->wants_reboot;
}

bool job_after_failed(const struct job *j)
{
	return j->after_failed;
}

const char *job_version(const struct job *j)
{
	return j->version;
}

/* ---- one update ---- */

static int run_command(struct run *r, const char *name, size_t at, struct err *e)
{
	const struct update_policy *own = r->type, *all = &r->cfg.policy;
	const char *line = NULL;

	if (own)
		line = *(const char *const *)((const char *)own + at);
	if (!line)
		line = *(const char *const *)((const char *)all + at);
	return command_run(&r->session, name, line, e);
}

static int begin(void *arg, struct err *e)
{
	struct run *r = arg;

	r->began = true;
	int rc = run_command(r, "preupdatecmd", offsetof(struct update_policy, preupdatecmd), e);

	reporter_state(r->session.reporter, STATE_INSTALL);
	return rc < 0 ? rc : activate_begin(&r->act, e);
}

/* the update is done and stays done, whatever this says */
static void finish(struct run *r)
{
	struct err e = {0};

	if (run_command(r, "postupdatecmd", offsetof(struct update_policy, postupdatecmd), &e) < 0)
		reporter_warn(r->session.reporter, "%s: %s", e.where, e.why);
	r->job->after_failed = err_is_set(&e);
}

static int set_up(struct run *r, struct err *e)
{
	int rc = steps_new(&r->steps, &r->session, r->plan, e);

	if (rc < 0)
		return rc;
	r->steps->hooks = r->hooks;
	r->install = (struct install){
		.session = &r->session,
		.steps = r->steps,
		.bundle = r->bundle,
		.begin = begin,
		.arg = r,
	};
	r->act.session = &r->session;
	r->act.plan = r->plan;
	r->act.steps = r->steps;
	reporter_expect(r->session.reporter, install_count(r->plan, r->session.mode == JOB_CHECK));
	return 0;
}

/* what only the payloads told may not fit into the boot environment either */
static int activate(struct run *r, struct err *e)
{
	int rc = r->session.asked.count ? activate_check(&r->act, e) : 0;

	if (rc == 0)
		rc = install_irreversible(&r->install, e);
	reporter_state(r->session.reporter, STATE_ACTIVATE);
	return rc < 0 ? rc : activate_commit(&r->act, e);
}

/* what was odd about the archive and did no harm */
static void tell_oddities(const struct run *r)
{
	uint64_t n = r->bundle ? bundle_skipped(r->bundle) : 0;

	if (n)
		reporter_info(r->session.reporter,
			      "%" PRIu64 " files of the bundle are not named by "
			      "the selected part of its description: passed over",
			      n);
	if (r->bundle && bundle_has_tail(r->bundle))
		reporter_warn(r->session.reporter, "bytes follow the end of the bundle: ignored");
}

static int update(struct run *r, struct err *e)
{
	int rc = run_open(r, e);

	if (rc < 0)
		return rc;
	rc = set_up(r, e);
	if (rc < 0)
		return rc;
	trace_plan(r);
	rc = activate_check(&r->act, e);
	if (rc == 0)
		rc = install_run(&r->install, e);
	if (rc == 0 && r->session.mode == JOB_INSTALL)
		rc = activate(r, e);
	if (rc < 0 && r->session.mode == JOB_INSTALL)
		activate_abort(&r->act);
	if (rc == 0 && r->session.mode == JOB_INSTALL)
		finish(r);
	return rc;
}

static void keep_result(struct run *r, int rc)
{
	struct job *j = r->job;
	const struct manifest *m = r->manifest;
	const struct update_policy *p = &r->cfg.policy;

	if (rc < 0 || !m)
		return;
	if (r->type && r->type->has_reboot)
		p = r->type;
	text_printable(m->version, strlen(m->version), j->version, sizeof(j->version));
	if (m->has_reboot)
		j->wants_reboot = m->reboot;
	else
		j->wants_reboot = !p->has_reboot || p->reboot;
}

/* what failed before it had the lock is told too, unless another one is at work: that one tells */
static bool may_write_status(struct run *r)
{
	struct err ignored = {0};

	if (r->session.mode != JOB_INSTALL)
		return false;
	r->cfg.lock_timeout = 0;
	return r->lock || lock_take(&r->lock, &r->session, &ignored) == 0;
}

static void write_status(struct run *r, int rc, const struct err *e)
{
	struct status s = {.time = sys_now_real()};

	if (!may_write_status(r))
		return;
	text_copy(s.state, sizeof(s.state), rc < 0 ? "failure" : "success");
	if (r->manifest)
		text_printable(r->manifest->version, strlen(r->manifest->version), s.version,
			       sizeof(s.version));
	if (r->request->name)
		text_printable(r->request->name, strlen(r->request->name), s.bundle,
			       sizeof(s.bundle));
	if (r->began && r->plan->taken && r->plan->taken->name)
		text_printable(r->plan->taken->name, strlen(r->plan->taken->name), s.slot,
			       sizeof(s.slot));
	if (rc < 0)
		s.err = *e;
	status_keep(r->cfg.state_dir, &s, rc < 0 && *s.slot ? s.slot : NULL);
}

int job_submit(struct job *j, const struct job_request *request, struct err *e)
{
	struct run *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a job");
	run_init(r, j, request->mode);
	r->request = request;
	j->wants_reboot = j->after_failed = false;
	reporter_begin(j->reporter, request->name);
	reporter_state(j->reporter, STATE_CHECK);
	rc = update(r, e);
	tell_oddities(r);
	keep_result(r, rc);
	write_status(r, rc, e);
	run_close(r);
	free(r);
	reporter_result(j->reporter, rc, e);
	return rc;
}

/* ---- recovery alone ---- */

static int recover_files(struct run *r, char *did, size_t n, struct err *e)
{
	struct recovery rec = {.session = &r->session};
	int rc = recover_run(&rec, e);

	if (rc == 0)
		text_printable(rec.text, strlen(rec.text), did, n);
	return rc;
}

static int recover(struct run *r, char *did, size_t n, struct err *e)
{
	int rc = journal_open(&r->session.journal, r->cfg.state_dir, e);

	return rc < 0 ? rc : recover_files(r, did, n, e);
}

static int forget(struct run *r, char *did, size_t n, struct err *e)
{
	struct err cause = {0};
	char text[512];
	int rc = recover(r, did, n, &cause);

	if (rc == 0)
		return 0;
	if (cause.code != E_JOURNAL && cause.code != E_RECOVER) {
		*e = cause;
		return rc;
	}
	r->session.journal = r->session.journal ? journal_close(r->session.journal) : NULL;
	rc = journal_put_aside(r->cfg.state_dir, e);
	if (rc == 0)
		rc = recover_files(r, text, sizeof(text), e);
	if (rc < 0)
		return rc;
	text_print(did, n,
		   "the journal was put aside as " JOURNAL_ASIDE
		   ": what was interrupted is neither "
		   "undone nor finished (%.200s)",
		   cause.why);
	return 0;
}

typedef int (*tidying)(struct run *r, char *did, size_t n, struct err *e);

static int tidy_up(struct run *r, tidying how, char *did, size_t n, struct err *e)
{
	int rc = run_lock(r, e);

	if (rc == 0)
		rc = marks_env(&r->cfg, &r->session.env, e);
	if (rc < 0)
		return rc;
	scripts_tidy(&r->cfg);
	status_remove_stale(r->cfg.run_dir, r->cfg.state_dir);
	return how(r, did, n, e);
}

static int tidy_alone(const struct settings *cfg, tidying how, char *did, size_t n, struct err *e)
{
	struct run *r = calloc(1, sizeof(*r));
	struct job *j = NULL;
	int rc;

	if (!r)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for recovery");
	rc = job_new(&j, cfg, e);
	if (rc == 0) {
		run_init(r, j, JOB_RECOVER);
		rc = tidy_up(r, how, did, n, e);
		run_close(r);
	}
	job_free(j);
	free(r);
	return rc;
}

int job_recover(const struct settings *cfg, char *did, size_t n, struct err *e)
{
	return tidy_alone(cfg, recover, did, n, e);
}

int job_forget(const struct settings *cfg, char *did, size_t n, struct err *e)
{
	return tidy_alone(cfg, forget, did, n, e);
}
