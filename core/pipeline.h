/*
 * The bytes of one step travel: the stages of the plan's list (core/plan/stages.h) are opened over
 * a payload and pulled to their proven end by the handler. Both functions take 'raw' and close it.
 */
#ifndef CORE_PIPELINE_H
#define CORE_PIPELINE_H

#include "core/plan/plan.h"
#include "corelib/stream/stages.h"
#include "parser/settings.h"

struct feed {
	const struct session *session; /* a dry run reads to the proven end, without handler */
	struct meter *meter;	       /* progress and cancel; may be NULL */
	const struct notes *notes;     /* of the first pass: each block must be the same again */
	unsigned threads;	       /* 0: as many as the session allows */
};

/* how many may run, by the configuration or the cores that are there */
unsigned pipeline_threads(const struct settings *cfg);

/*
 * First pass: 0 when the payload is what was signed. Notes it into 'n' (may be NULL), copies it to
 * 'fd'
 * (-1: nowhere).
 */
int pipeline_prove(struct plan_step *ps, struct stream *raw, const struct feed *f, struct notes *n,
		   int fd, struct err *e);
/* ps->stages, now that the payload is at hand: of a pipe more is known than while planning */
void pipeline_fit(struct plan_step *ps, const struct stream *raw, const struct feed *f);
/* through ps->stages into the handler; 0 only when handler and stream agree that the end was
 * reached */
int pipeline_install(struct plan_step *ps, struct stream *raw, const struct feed *f, struct err *e);

#endif
