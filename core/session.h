/*
 * What all rooms of one update share, from its first look at the device to its verdict.
 *
 * A room takes the session and what is its own; nobody copies fields out of it. The parts that are
 * opened on the way are NULL until then, and for good where a mode has no use for them.
 */
#ifndef CORE_SESSION_H
#define CORE_SESSION_H

#include "core/job.h"
#include "core/plan/slots.h"
#include "core/reporter.h"
#include "core/state/journal.h"
#include "corelib/bootenv/bootenv.h"
#include "corelib/stream/stages.h"
#include "handlers/host.h"
#include "parser/settings.h"

struct session {
	const struct settings *cfg; /* board and revision of the device filled in */
	enum job_mode mode;
	const volatile bool *cancel; /* NULL: never */
	struct reporter *reporter;   /* NULL: the log alone */
	struct meter meter;	     /* the payload that is read just now: progress and cancel */
	struct host *host;	     /* what handlers and Lua code may ask for */
	unsigned threads;	     /* that may run beside each other; at least 1 */
	struct bootenv *env;
	struct journal *journal;  /* NULL: the state directory cannot be written */
	char txn[17];		  /* the number of this update in journal, names and environment */
	struct slots slots;	  /* which one runs, boots next, is written */
	struct envset asked;	  /* boot variables that handlers set: part of commit 2 */
	char scripts_folder[512]; /* of programs of the bundle; "" = none was needed */
};

/* does this update write to the device, or does it only look? */
static inline bool session_writes(const struct session *s)
{
	return s->mode == JOB_INSTALL || s->mode == JOB_RECOVER;
}

#endif
