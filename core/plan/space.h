/*
 * Room for files: all that the steps of a plan put on one file system, summed, against what is free
 * there; also for folders that are still to be made.
 *
 * A guess that saves work: before anything is written, and before any script runs. The writes
 * themselves are the truth.
 */
#ifndef CORE_SPACE_H
#define CORE_SPACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "corelib/base/err.h"
#include "corelib/files/staged.h"

struct space; /* of all file systems; NULL: none was looked at */
void space_free(struct space *s);

/* what one step needs; may be claimed again, when more is known */
struct need {
	uint64_t bytes; /* 0 = not known */
	bool straight;	/* written in place: old files go while new ones come */
	dev_t on;	/* kept here: where 'counted' bytes are counted */
	uint64_t counted;
};
/* E_NO_SPACE; 'file' is a place that is reachable: not one on a device that is yet to be mounted */
int space_claim(struct space **all, struct need *n, const struct staged *file, struct err *e);

#endif
