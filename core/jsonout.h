/*
 * Events for programs: one JSON object a line on a descriptor that another program reads, or not.
 *
 * {"v":1,"seq":N,"t":MILLISECONDS,"type":"state|step|progress|log|result",...}; doc/json.md lists
 * the members. Whole lines only: they wait in a queue of fixed size while nobody reads; then
 * progress is left out first, and what does not fit any more is counted and told. Nothing here
 * waits but jsonout_end().
 */
#ifndef CORE_JSONOUT_H
#define CORE_JSONOUT_H

#include "core/progress.h"

#define JSONOUT_QUEUE (64u * 1024)
#define JSONOUT_PACE  100  /* ms between two lines of progress */
#define JSONOUT_LAST  2000 /* ms that the last lines may take */

struct jsonout {
	int fd;
	bool is_socket, gone;
	char *queue;
	size_t n;
	uint64_t seq;
	uint64_t lost;	       /* events that found no room */
	struct event progress; /* the newest that was not told */
	bool has_progress;
	uint64_t paced; /* when progress was told last */
};

int jsonout_init(struct jsonout *j, int fd, struct err *e);
void jsonout_clear(struct jsonout *j);
/* 'now' is the clock of the pace; EVENT_RESULT is left to jsonout_result() */
void jsonout_event(struct jsonout *j, const struct event *ev, uint64_t now);
void jsonout_tick(struct jsonout *j, uint64_t now);
void jsonout_lost(struct jsonout *j, uint64_t count);

struct jsonout_verdict {
	int64_t time_ms;
	const char *bundle, *version; /* may be NULL */
	bool reboot;
	const struct err *err; /* NULL = success */
};
/* the last line */
void jsonout_result(struct jsonout *j, const struct jsonout_verdict *v);
/* give the reader a last chance */
void jsonout_end(struct jsonout *j);

#endif
