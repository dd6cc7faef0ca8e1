/*
 * Events of a job in a bounded ring: a reader that is slow loses old ones and knows how many;
 * percent overwrites percent. One writer; readers hold a cursor. Nothing here waits (L4).
 */
#ifndef CORE_PROGRESS_H
#define CORE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "corelib/base/err.h"

enum event_type { EVENT_STATE, EVENT_STEP, EVENT_PROGRESS, EVENT_LOG, EVENT_RESULT };
enum job_state {
	STATE_IDLE,
	STATE_CHECK,
	STATE_INSTALL,
	STATE_ACTIVATE,
	STATE_SUCCESS,
	STATE_FAILURE
};
const char *job_state_name(enum job_state s);

struct event {
	uint64_t seq;
	int64_t time_ms; /* since 1970 */
	enum event_type type;
	enum job_state state;
	unsigned step, steps; /* from 1 */
	unsigned percent;
	uint64_t bytes, total; /* total 0 = not known */
	unsigned level;	       /* EVENT_LOG */
	bool output;	/* EVENT_LOG: the line of a program that was run, or who is waited for */
	char name[128]; /* the step's file or entry */
	char handler[32];
	char stages[200]; /* EVENT_STEP: that its bytes pass */
	char text[512];
	struct err err; /* EVENT_RESULT of a failure */
};

struct progress;
struct progress *progress_new(unsigned room);
void progress_free(struct progress *p);
void progress_put(struct progress *p, const struct event *ev);
/* 1 and the next event after *cursor, 0 when there is none; *lost counts what was overwritten */
int progress_get(struct progress *p, uint64_t *cursor, struct event *ev, uint64_t *lost);

#endif
