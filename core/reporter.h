/*
 * The one way in which an update tells anything: lines go to the log and to the ring of events,
 * states, steps and percentages to the ring alone.
 *
 * Any thread may tell. A NULL reporter has nobody who reads a ring: lines go to the log all the
 * same.
 */
#ifndef CORE_REPORTER_H
#define CORE_REPORTER_H

#include "core/progress.h"
#include "corelib/base/log.h"

struct reporter;
int reporter_new(struct reporter **r, struct err *e);
void reporter_free(struct reporter *r);
/* 'wake' is called when there is something in the ring; it must not block */
void reporter_subscribe(struct reporter *r, void (*wake)(void *arg), void *arg);
struct progress *reporter_events(struct reporter *r);

void reporter_line(struct reporter *r, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
#define reporter_info(r, ...) reporter_line(r, LOG_LEVEL_INFO, __VA_ARGS__)
#define reporter_warn(r, ...) reporter_line(r, LOG_LEVEL_WARN, __VA_ARGS__)
/* a line of a program that was run, or of what is waited for: shown to a person who looks on.
 * Chatter below info does not push events out of the ring */
void reporter_output(struct reporter *r, enum log_level level, const char *text);
/* a warning, in the shape that parsers call: 'reporter' is a struct reporter */
void reporter_remark(void *reporter, const char *text);

void reporter_state(struct reporter *r, enum job_state s);
/* an update begins: the name of its bundle; then its release, and how many steps it will tell of */
void reporter_begin(struct reporter *r, const char *bundle);
void reporter_release(struct reporter *r, const char *version);
void reporter_expect(struct reporter *r, unsigned steps);
/* from now on the status file of run-dir tells what goes on, until run_dir is NULL; that it cannot
 * be written is told to nobody. state_dir says whose it is */
enum { REPORTER_PACE = 250 }; /* ms between two percentages */
void reporter_publish(struct reporter *r, const char *run_dir, const char *state_dir);
struct reported_step {
	const char *verb; /* "checking", "storing", "writing", "running" */
	const char *name, *handler;
	const char *stages; /* that its bytes pass, as stages_text() says them */
	uint64_t size;	    /* 0 = not known */
};
void reporter_step(struct reporter *r, const struct reported_step *s);
/* bytes of this step that have passed, in the shape that struct meter calls */
void reporter_moved(void *reporter, uint64_t bytes);
void reporter_result(struct reporter *r, int rc, const struct err *e);

#endif
