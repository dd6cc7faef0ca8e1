/* The verdict of a run, told once at its end in the way that the output asks for. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <stdbool.h>

#include "core/cli/term.h"
#include "corelib/base/err.h"

struct report {
	const char *program;  /* "swinstall" */
	const char *headline; /* of a failure: "'demo.swu' was not installed"; NULL: the error's own
				 title */
	const char *success;  /* a sentence */
	const struct err *err; /* NULL = success */
};

/* a block that a person reads on a terminal */
void report_terminal(const struct report *r, int fd);
/* off a terminal: each field one "[ERROR] : " line, the last one "E_NAME: object" */
void report_lines(const struct report *r);
/* whichever suits fd */
void report_to(const struct report *r, int fd);

#endif
