/* stage_process with everything named: for stage_process_open() and its tests. */
#ifndef CORELIB_STAGE_PROCESS_H
#define CORELIB_STAGE_PROCESS_H

#include "corelib/stream/stages.h"

struct process_stage_options {
	const char *program; /* absolute path of swinstall-unpack */
	enum codec codec;
	bool records; /* an archive: records come out */
	uint64_t mem_max;
	unsigned silence_ms; /* a child that has work and does not move for so long is given up */
};

/* the child dies with the thread that calls this: call it where the stream is closed, too */
int stage_process_start(struct stream **s, const struct process_stage_options *o, struct err *e);

/* the child's id; 0 when it has ended */
int stage_process_pid(const struct stream *s);

#endif
