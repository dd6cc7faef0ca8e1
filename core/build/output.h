/*
 * A file that appears whole or not at all: written without a name, flushed, then put in place by
 * one rename. Where the file system has no nameless files a hidden one beside it is used.
 */
#ifndef CORE_BUILD_OUTPUT_H
#define CORE_BUILD_OUTPUT_H

#include "corelib/base/err.h"

struct output {
	int fd;	    /* to write to */
	int folder; /* of the result */
	char name[256];
	char temp[300]; /* hidden name, "" while there is none */
};

int output_open(struct output *o, const char *path, struct err *e);
int output_commit(struct output *o, struct err *e);
void output_close(struct output *o); /* removes what was not committed */

/* a nameless file in the folder of o, for intermediate bytes; the descriptor, or -errno */
int output_scratch(const struct output *o, struct err *e);

#endif
