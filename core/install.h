/*
 * The payloads of a bundle on their way to the steps: first all that has to be proven beforehand,
 * then the bytes, step by step.
 *
 * begin() is called once, before the first byte goes to a target; on a pipe that is when the first
 * payload flows, else when everything that was stored is proven. What was begun stays to be
 * committed or discarded by the caller.
 */
#ifndef CORE_INSTALL_H
#define CORE_INSTALL_H

#include "core/spool.h"
#include "core/step.h"

/* what is known of one payload by now; in the order of the plan's list */
struct arrival {
	const struct plan_payload *planned;
	const struct payload *payload; /* NULL on a pipe until it arrives */
	uint64_t size;
	struct notes *notes; /* it was read once and is proven; compare what is read again */
	bool spooled;	     /* it lies in the spool, at: */
	uint64_t spool_at;
};

struct install {
	struct session *session; /* a dry run reads everything through its stages, writes nothing */
	struct steps *steps;
	struct bundle *bundle;
	int (*begin)(void *arg, struct err *e); /* of an install that writes */
	void *arg;
	/* kept here until install_end() */
	struct arrival *arrivals;
	struct spool spool;
	bool begun;
};

/* how many steps will be told of: each payload is checked or stored, each step written */
unsigned install_count(const struct plan *p, bool check);
/* a check takes each payload through all its stages once, into nothing */
int install_run(struct install *in, struct err *e);
/* what cannot be undone, of an install: when nothing can be refused any more, before the commit */
int install_irreversible(struct install *in, struct err *e);
void install_end(struct install *in);

#endif
