/*
 * What the job and its child swinstall-unpack agree upon. The child trusts its arguments and
 * descriptors; the job trusts nothing that comes back (T54).
 *
 *   swinstall-unpack bytes|records CODEC MEM_MAX IN OUT
 *
 * Names and decimal numbers; IN, OUT: sizes of a slot.
 */
#ifndef CORELIB_WORKER_H
#define CORELIB_WORKER_H

#include "corelib/stream/ring.h"
#include "corelib/stream/stages.h"

enum worker_fd {
	WORKER_RING = 3, /* the shared memory */
	WORKER_WAKE,	 /* eventfd: something to do for the child */
	WORKER_TELL,	 /* eventfd: something to do for the job */
	WORKER_VERDICT,	 /* pipe: one record, then the end of the child */
	WORKER_FDS,
};

#define WORKER_MAGIC 0x73776931u

/* the last word of the child: code E_NONE = all of the input became output */
struct worker_verdict {
	uint32_t magic, code, sys;
	char why[500]; /* with NUL */
};

struct worker {
	struct ring_pair rings;
	int wake, tell, verdict;
	enum codec codec;
	bool records; /* what the decoder yields is an archive */
	uint64_t mem_max;
};

/* decompress from one ring into the other until the end; the verdict is written. 0, or 1 when
 * nobody listens */
int worker_run(struct worker *w);

#endif
