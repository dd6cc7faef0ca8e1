/*
 * The two commands of root's configuration, preupdatecmd and postupdatecmd: the only text that a
 * shell reads (T41).
 *
 * No byte of a bundle is among their words. Output goes to the log line by line.
 */
#ifndef CORE_COMMAND_H
#define CORE_COMMAND_H

#include <stdbool.h>

#include "corelib/base/err.h"

struct command {
	const char *line; /* NULL: nothing runs */
	const char *name; /* the key that it comes from, for messages */
	const volatile bool *cancel;
	void (*told)(void *arg, const char *text); /* a line of its output */
	void *arg;
};

/* E_PROCESS, E_DEADLINE, E_CANCELED */
int command_run(const struct command *c, struct err *e);

#endif
