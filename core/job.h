/*
 * One update from arrival to verdict: the only API for doors (command line, sockets, web, servers).
 *
 * job_submit() runs the whole update in the calling process and returns its verdict. job_cancel()
 * may be called from a signal handler. Subscribers are told that there is something in the ring;
 * they read at their own speed and must not block in the call.
 */
#ifndef CORE_JOB_H
#define CORE_JOB_H

#include <stdbool.h>

#include "core/progress.h"
#include "corelib/base/err.h"
#include "parser/settings.h"

struct job;

enum job_mode {
	JOB_INSTALL,
	JOB_CHECK,   /* everything before the first write, and every payload through its stages */
	JOB_DRY_RUN, /* the same by the way of an installation: its order, its passes, its spool */
	JOB_RECOVER, /* of job_recover(): nothing is installed */
};

struct job_request {
	int fd;		  /* the bundle: file or pipe; lent */
	const char *name; /* for messages: "bundle.swu", "standard input" */
	enum job_mode mode;
};

int job_new(struct job **j, const struct settings *cfg, struct err *e); /* cfg is lent */
void job_free(struct job *j);
void job_subscribe(struct job *j, void (*wake)(void *arg), void *arg);
struct progress *job_progress(struct job *j);
int job_submit(struct job *j, const struct job_request *r, struct err *e);
void job_cancel(struct job *j);

/* after a success: does the bundle want a reboot, and its version */
bool job_wants_reboot(const struct job *j);
/* the postupdatecmd failed: the update is installed all the same */
bool job_after_failed(const struct job *j);
const char *job_version(const struct job *j);

/* tidy up after an interrupted install: undo what lies before the commit point, finish what lies
 * after. *did says in a sentence what was done ("nothing to do"). Runs at every start and by `swctl
 * recover`. */
int job_recover(const struct settings *cfg, char *did, size_t n, struct err *e);
/* the same for a person who knows better: what cannot be settled is given up, its journal put aside
 */
int job_forget(const struct settings *cfg, char *did, size_t n, struct err *e);

#endif
