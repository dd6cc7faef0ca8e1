/*
 * A thread that hands a job's events to an output while the job runs in the caller.
 *
 * The job is never held up: its wake is one flag and at most one write to an eventfd. Log lines may
 * come through too, by a pipe that the log writes to, so that they appear above the bar and in
 * order.
 */
#ifndef CORE_WATCH_H
#define CORE_WATCH_H

#include <stdint.h>

#include "core/job.h"

/* called by the watching thread only; unused ones are NULL. 'now' counts milliseconds */
struct watch_sink {
	void (*event)(void *arg, const struct event *ev, uint64_t now);
	void (*lost)(void *arg, uint64_t count);
	void (*line)(void *arg, const char *text, size_t n, uint64_t now);
	void (*tick)(void *arg, uint64_t now);
	void *arg;
};

struct watch;
int watch_start(struct watch **w, struct job *j, const struct watch_sink *sink, struct err *e);
/* the descriptor for log_init(); only where the sink has 'line' */
int watch_log_fd(const struct watch *w);
/* hands on what is left, then ends the thread; returns NULL. After it nothing may log to
 * watch_log_fd(). */
struct watch *watch_stop(struct watch *w);

#endif
