/*
 * The steps of an update that runs: what became of each thing that was planned.
 *
 * A step has one state, and it is changed in core/step.c alone, by the verbs below. Everybody else
 * asks. A failed verb leaves the step as far as it came: what may have begun is undone by
 * steps_discard(), last one first.
 *
 *   target:  WAITS ── write ──► BEGUN ──► DONE ── commit ──► COMMITTED ── settle ──► SETTLED
 *   action:  WAITS ── store ──► BEGUN ──► STORED ── run ──► DONE ── commit … as above
 *            all but SETTLED ── discard ──► DISCARDED
 */
#ifndef CORE_STEP_H
#define CORE_STEP_H

#include "core/pipeline.h"
#include "core/plan/plan.h"
#include "core/session.h"

enum step_state {
	STEP_LEFT_OUT,	/* the plan says that there is nothing to do */
	STEP_WAITS,	/* nothing of it has happened */
	STEP_BEGUN,	/* its handler may have acted */
	STEP_STORED,	/* of an action: its payload lies where it can run */
	STEP_DONE,	/* all that comes before the switch is done */
	STEP_COMMITTED, /* put in place; the switch is still to come */
	STEP_SETTLED,	/* the switch lies behind it */
	STEP_DISCARDED, /* undone */
};

struct run_step {
	/* what was planned, and what the arrival of the payload adds: size, room, block hashes */
	struct plan_step known;
	enum step_state state;
};

struct hooks;
struct steps {
	struct session *session;
	const struct plan *plan;
	struct hooks *hooks; /* functions of the bundle around an entry; NULL: none */
	struct run_step *at; /* at[i] is what becomes of plan->steps[i] */
	size_t count;
	struct err failed; /* of a step that Lua code asked for: what it began is half */
	bool closed;	   /* no step is added any more */
};

int steps_new(struct steps **all, struct session *s, const struct plan *p, struct err *e);
void steps_free(struct steps *all);
/* Lua code asked for one more, which the plan has taken in */
struct run_step *steps_add(struct steps *all, const struct plan_step *planned);

/* ---- asking: steps that are left out are passed over ---- */

struct run_step *steps_next(const struct steps *all, const struct run_step *after);
#define steps_each(rs, all)                                                                        \
	for (struct run_step *rs = steps_next(all, NULL); rs; rs = steps_next(all, rs))
struct run_step *steps_of(const struct steps *all, const struct plan_step *planned);
bool step_is_action(const struct run_step *rs);
bool step_acts_in(const struct run_step *rs, enum phase phase);
/* has code of the bundle run, which may have left something mounted? */
bool steps_ran_code(const struct steps *all);
int step_at(const struct steps *all, const struct run_step *rs, int rc, struct err *e);

/* ---- before the switch; 's' is taken. A check and a dry run reach no handler ---- */

/* mount what files go to, but for devices that a step of the plan writes or makes before */
int steps_mount(struct steps *all, struct err *e);
int step_write(struct steps *all, struct run_step *rs, struct stream *s, const struct feed *f,
	       struct err *e);
/* 's' NULL: it has no payload */
int step_store(struct steps *all, struct run_step *rs, struct stream *s, const struct feed *f,
	       struct err *e);
int step_run(struct steps *all, struct run_step *rs, enum phase phase, struct err *e);
/* no step is added any more; the error of one that Lua code asked for and that is half */
int steps_close(struct steps *all, struct err *e);
/* every place that is held, also those that nobody wrote: a script may have */
int steps_flush(struct steps *all, struct err *e);
int steps_commit(struct steps *all, struct err *e);

/* ---- after it ---- */

/* what was replaced goes; false: something of it could not be removed, and was warned of */
bool steps_settle(struct steps *all);

/* ---- or the way back ---- */

void steps_postfailure(struct steps *all);
void steps_discard(struct steps *all);
/* one that Lua code asked for: the code may go on unless something was written half */
void step_give_up(struct steps *all, struct run_step *rs, const struct err *e);
/* does a file of a discarded step still wait for the next start to put it back? */
bool steps_left_something(const struct steps *all);

#endif
