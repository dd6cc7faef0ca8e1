/* Values for @@NAME@@: NAME=VALUE lines of a file first, then the environment. */
#ifndef CORE_BUILD_VARIABLES_H
#define CORE_BUILD_VARIABLES_H

#include <stdbool.h>
#include <stddef.h>

#include "corelib/base/err.h"

struct variables {
	char *lines;
	bool environment;
	char found[4096];
};

/* file NULL: none */
int variables_open(struct variables *v, const char *file, bool environment, struct err *e);
void variables_clear(struct variables *v);
/* for struct template_vars; the value lives until the next call */
const char *variables_find(void *arg, const char *name);

/* a file to read; E_IO or E_BUILD with what it is: "the bundle" */
int build_open(const char *path, enum errcode code, const char *what, struct err *e);
/* a small text, as a file of the build machine; *text is malloc'ed */
int build_read_text(const char *path, char **text, size_t *n, struct err *e);

#endif
