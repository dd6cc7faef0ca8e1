/*
 * Live or not: may these bytes be written, and do they count only after activation?
 *
 * idle: the switch alone makes them live. Live: they may be read at any time, so they are proven
 * first and staged. What is mounted, swapped to, held by another program, of the running slot, or
 * the installer's own is refused: E_TARGET_ACTIVE, E_TARGET_PROTECTED, E_SLOT, E_TARGET.
 */
#ifndef CORE_JUDGE_H
#define CORE_JUDGE_H

#include <stdbool.h>

#include "core/plan/slots.h"
#include "corelib/device/extent.h"

struct own;

/* bytes of something that is open, if only to name it */
struct range {
	int fd;
	const char *path;  /* for messages */
	uint64_t off, len; /* len 0 = to the end */
	/* mounts beneath this folder do not count: they are this job's own. NULL: none are */
	const char *aside;
};

/* what the system uses, looked up once for all verdicts until it is renewed */
struct judge;
int judge_new(struct judge **j, const struct slots *s, struct bootenv *env, struct err *e);
void judge_free(struct judge *j);
/* looks again where that may have changed. The number says whether it has: a verdict of the same
 * number stands, but for what programs hold without a trace, which an exclusive open tells */
int judge_renew(struct judge *j, struct err *e);
unsigned judge_number(const struct judge *j);
const struct own *judge_own(const struct judge *j);

int judge_range(struct judge *j, const struct range *r, bool *live, struct err *e);

/* the storage behind a path; -errno when there is none */
int judge_extent(const char *path, struct extent *x);
/* does some place of the slot lie in these bytes? */
bool judge_in_slot(const struct slot_setting *slot, const struct extent *x);

#endif
