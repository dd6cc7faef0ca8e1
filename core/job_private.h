/* What the files of core/job*.c share; nobody else includes it. */
#ifndef CORE_JOB_PRIVATE_H
#define CORE_JOB_PRIVATE_H

#include "core/activate.h"
#include "core/hooks.h"
#include "core/install.h"
#include "core/marks.h"
#include "core/job.h"
#include "core/state/lock.h"
#include "core/state/recover.h"
#include "core/trust.h"

struct job {
	const struct settings *cfg;
	struct reporter *reporter;
	volatile bool cancel;
	/* of the last success */
	char version[128];
	bool wants_reboot, after_failed;
};

/* all that one update opens, in the order of opening; run_close() lets go in reverse */
struct run {
	struct job *job;
	const struct job_request *request; /* NULL: recovery alone */
	struct host host;		   /* first thing handlers see of it */
	struct session session;
	struct settings cfg; /* the job's, with board and revision filled in */
	char board[128], revision[128];
	struct lock *lock;
	struct err journal_err; /* why there is no journal */
	struct bundle *bundle;
	struct trust trust;
	struct manifest *manifest;
	struct hooks *hooks;		  /* NULL: the bundle has no Lua code of its own */
	const struct update_policy *type; /* of its update-type; NULL: globals */
	struct plan *plan;
	struct steps *steps;
	bool began; /* what the plan writes to is not what it was */
	struct install install;
	struct activation act;
};

/* job_open.c: everything up to the plan; nothing is written but by recovery */
void run_init(struct run *r, struct job *j, enum job_mode mode);
int run_open(struct run *r, struct err *e);
void run_close(struct run *r);
int run_lock(struct run *r, struct err *e);
struct plan_input run_plan_input(struct run *r);
extern const struct host_ops run_host_ops; /* job_host.c */

/* job_trace.c: the plan, for --verbose */
void trace_plan(const struct run *r);

#endif
