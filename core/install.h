/*
 * The steps of a plan, one after the other: first all that has to be proven beforehand, then the
 * bytes.
 *
 * begin() is called once, before the first byte goes to a target; on a pipe that is when the first
 * payload flows, else when everything that was stored is proven. What was started stays to be
 * committed or discarded by the caller.
 */
#ifndef CORE_INSTALL_H
#define CORE_INSTALL_H

#include "core/plan/plan.h"

struct hooks;
struct install {
	struct session *session; /* a dry run reads everything through its stages, writes nothing */
	struct hooks *hooks;	 /* preinstall and postinstall of entries; NULL: none */
	struct plan *plan;
	struct bundle *bundle;
	int (*begin)(void *arg, struct err *e); /* of an install that writes */
	void *arg;
	/* kept here */
	unsigned threads;
	bool begun, prepared;
};

/* prove every payload, write nothing */
int install_check(struct install *in, struct err *e);
int install_run(struct install *in, struct err *e);
/* a step that Lua code asked for: 's' (taken) into its handler, now; 'n' as feed has them */
int install_called(struct install *in, struct plan_step *ps, struct stream *s,
		   const struct notes *n, struct err *e);
/* undo the started steps, last one first */
void install_discard(struct plan *p);
void install_discard_step(struct plan_step *ps); /* one of them */

#endif
