/* Properties of an entry as typed values; what is not there has its default. */
#ifndef HANDLERS_PROPS_H
#define HANDLERS_PROPS_H

#include <stdbool.h>

#include "corelib/base/err.h"
#include "handlers/handler.h"

/* "true" or "false" (default); anything else is E_PROPERTY (T47) */
int props_flag(const struct entry *t, const char *name, bool *on, struct err *e);

/* the row of a property; a row whose name ends in "-N" stands for any number there. NULL: none */
const struct attr *props_row(const struct handler *h, const char *name);

#endif
