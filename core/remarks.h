/*
 * Remarks of a parser on their way to the log: the first few of them, then how many more there
 * were, so that no text can fill the log (T31).
 */
#ifndef CORE_REMARKS_H
#define CORE_REMARKS_H

#include "core/reporter.h"

#define REMARKS_MAX 20

struct remarks {
	struct reporter *reporter;
	const char *about; /* a file that all of them are about; NULL: none */
	unsigned long count;
};

void remarks_note(void *remarks, const char *text);
void remarks_end(struct remarks *r); /* "and N more": once, after the last */

#endif
