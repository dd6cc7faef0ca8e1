/* What an update told: a reporter, and the lines that were put into its ring so far. */
#ifndef TESTS_TOLD_H
#define TESTS_TOLD_H

#include "core/reporter.h"

struct told {
	struct reporter *reporter;
	uint64_t cursor;
	char lines[4096]; /* text of each line, "\n" behind it */
};
void told_open(struct told *t);
const char *told_lines(struct told *t); /* all of them, also those that were asked for before */
void told_close(struct told *t);

#endif
