/* What is in a bundle, for people or as JSON. Nothing is checked but the form: see verify.h for
 * trust. */
#ifndef CORE_BUILD_INSPECT_H
#define CORE_BUILD_INSPECT_H

#include <stdbool.h>

#include "corelib/base/err.h"

/* *text is malloc'ed: a table, or one JSON object in one line */
int inspect_bundle(const char *path, bool json, char **text, struct err *e);

#endif
