/*
 * From the first mark to the switch: what makes an update old or new, never half (L3, DESIGN 5b).
 *
 * begin:  journal, take back a pending switch, commit 1 (recovery_status=in_progress).
 * commit: flush every held target, journal, handlers' commits; then what switches: records of steps
 *         (core/switches.c), then ONE commit of the boot environment with all variables that
 * decide, and the marks. Where neither switches, the journal's own record takes their place.
 *         Afterwards only tidying, which never fails an update. abort:  undo, one commit of
 * recovery_status=failed. Never after the switch.
 */
#ifndef CORE_ACTIVATE_H
#define CORE_ACTIVATE_H

#include "core/step.h"

struct activation {
	struct session *session;
	const struct plan *plan;
	struct steps *steps;
	/* kept here */
	bool began;
	bool switched; /* the commit point is behind us */
	bool noted;    /* the slot that boots next: core/state/pending.h */
	bool unmarked; /* switched, but the marks that follow are not written */
	bool unknown;  /* the switch failed and could not be taken back: recovery decides */
};

/* while planning: could both commits be done, untorn? */
int activate_check(const struct activation *a, struct err *e);
int activate_begin(struct activation *a, struct err *e);
int activate_commit(struct activation *a, struct err *e);
void activate_abort(struct activation *a);

#endif
