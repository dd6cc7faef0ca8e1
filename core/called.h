/*
 * A step that Lua code asks for while its own runs (call_handler): the entry passes the rules of
 * the parser, the place those of the plan, the journal knows of it, and it is committed or undone
 * with all others.
 *
 * Its payload is what the asking handler has, which is proven, or a file right in the folder of
 * scripts. What can no longer be done is refused: taking the slot when nothing planned did, for an
 * earlier update may wait there for its reboot. One that fails after it began to write fails the
 * update, whatever the code makes of it (L3).
 */
#ifndef CORE_CALLED_H
#define CORE_CALLED_H

#include "core/step.h"
#include "handlers/host.h"

struct called {
	const struct plan_input *in;
	struct plan *plan;
	struct steps *steps; /* NULL: not yet made */
	bool begun;	     /* the first byte may go to a target */
};

int called_run(const struct called *c, const struct host_call *asked, struct err *e);

#endif
