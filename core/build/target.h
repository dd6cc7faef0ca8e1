/*
 * The handlers that the device of a bundle has: told by the file that `swinstall --handlers --json`
 * printed there, else those of this build.
 */
#ifndef CORE_BUILD_TARGET_H
#define CORE_BUILD_TARGET_H

#include <stdbool.h>

#include "corelib/base/arena.h"
#include "corelib/base/err.h"
#include "parser/text/node.h"

struct target {
	const char *file;	     /* NULL: this build */
	const struct node *handlers; /* lives in the arena */
	struct arena *arena;
};

/* file NULL: this build */
int target_open(struct target *t, const char *file, struct err *e);
void target_close(struct target *t);
bool target_has(const struct target *t, const char *handler);

#endif
