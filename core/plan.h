/*
 * The ordered steps of one update. Everything that can be refused is refused here, before any write:
 * hardware, versions, handlers and sections, properties, places and their size, boot variables, space.
 */
#ifndef CORE_PLAN_H
#define CORE_PLAN_H

#include "core/journal.h"
#include "core/slots.h"
#include "handlers/handler.h"
#include "parser/bundle.h"

/* how the bytes of a step travel (DESIGN 5.3) */
enum route {
	ROUTE_FLOW,   /* one pass, proven at the end; the place goes live by activation only */
	ROUTE_BLOCKS, /* one pass, each block proven by the signed list */
	ROUTE_TWICE,  /* hash first, then read the same descriptor again, block by block compared */
	ROUTE_SPOOL,  /* from a pipe into an unnamed file, then as TWICE */
	ROUTE_NONE,   /* no payload */
};

struct plan_step {
	struct step step;
	const struct payload *payload; /* NULL for no data */
	enum route route;
	bool skipped;                  /* install-if-*: nothing to do */
	bool started, done;
};

struct plan {
	const struct manifest *manifest;
	struct plan_step *steps;
	size_t count;
	struct envset variables; /* of the bundle, the slot and the handlers: commit 2 */
	bool seekable;
	bool wants_undo;         /* some step stages files: needs a writable state directory */
};

struct plan_input {
	const struct settings *cfg;
	const struct manifest *manifest;
	struct bundle *bundle;
	struct slots *slots;
	struct bootenv *env;
	struct host *host;
	const char *txn;
	bool dry_run;
};
int plan_build(struct plan **p, const struct plan_input *in, struct err *e);
void plan_free(struct plan *p); /* closes places; does not discard */

#endif
