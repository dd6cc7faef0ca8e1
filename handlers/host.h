/*
 * All that a handler may ask of the program. Filled by core, faked in tests.
 *
 * Nothing here is live before activation: variables join commit 2, notes go to the journal before
 * the act.
 */
#ifndef HANDLERS_HOST_H
#define HANDLERS_HOST_H

#include <stdbool.h>

#include "corelib/err.h"

struct host;

struct host_ops {
	/* put a boot variable into the one commit of this install; value NULL unsets */
	int (*set_variable)(struct host *h, const char *name, const char *value, struct err *e);
	/* does the commit of this install have a variable of this name already? */
	bool (*has_variable)(struct host *h, const char *name);
	/* a line for the log and the progress, from a handler that has something to tell */
	void (*tell)(struct host *h, const char *text);
};

struct host {
	const struct host_ops *ops;
};

#endif
