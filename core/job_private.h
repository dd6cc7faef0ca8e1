/* What the files of core/job*.c share; nobody else includes it. */
#ifndef CORE_JOB_PRIVATE_H
#define CORE_JOB_PRIVATE_H

#include <pthread.h>
#include <signal.h>

#include "core/activate.h"
#include "core/hooks.h"
#include "core/install.h"
#include "core/job.h"
#include "core/state/lock.h"
#include "core/state/recover.h"
#include "core/trust.h"
#include "corelib/base/log.h"

struct job {
	const struct settings *cfg;
	struct progress *progress;
	void (*wake)(void *arg);
	void *wake_arg;
	volatile bool cancel;
	pthread_mutex_t
		tell; /* stages in other threads report progress too; the ring has one writer */
	struct meter meter;
	/* what the events say */
	enum job_state state;
	unsigned step, steps, percent;
	uint64_t total;
	char name[128], handler[32];
	/* of the last success */
	char version[128];
	bool wants_reboot;
};

/* all that one update opens, in the order of opening; run_close() lets go in reverse */
struct run {
	struct job *job;
	const struct job_request *request;
	struct host host; /* first thing handlers see of it */
	struct envset extra;
	struct settings cfg; /* the job's, with board and revision filled in */
	char board[128], revision[128];
	struct lock *lock;
	struct bootenv *env;
	struct journal *journal;
	struct err journal_err; /* why there is none */
	struct bundle *bundle;
	struct trust trust;
	struct manifest *manifest;
	struct hooks *hooks;		  /* NULL: the bundle has no Lua code of its own */
	const struct update_policy *type; /* of its update-type; NULL: globals */
	struct slots slots;
	struct plan *plan;
	struct install install;
	struct activation act;
	char scripts[512]; /* the folder of scripts; "" = none was needed */
};

/* job_open.c: everything up to the plan; nothing is written but by recovery */
int run_open(struct run *r, struct err *e);
void run_close(struct run *r);
int run_lock(struct run *r, struct err *e);

/* job_tell.c: log lines and events */
void tell_state(struct job *j, enum job_state s);
void tell_step(struct job *j, enum install_event what, const struct plan_step *ps, uint64_t size);
void tell_line(struct job *j, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void tell_said(void *job, enum log_level level, const char *text); /* by a program that was run */
void tell_note(void *job, const char *text);			   /* a warning */
void tell_plan(const struct run *r);				   /* for --verbose */
void tell_result(struct job *j, int rc, const struct err *e);
void tell_moved(void *job, uint64_t bytes);

#endif
