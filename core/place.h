/* Places by name, without opening what they lead to. For core/slots.c, core/place.c and
 * core/plan_place.c. */
#ifndef CORE_PLACE_H
#define CORE_PLACE_H

#include <stdbool.h>

#include "corelib/extent.h"

/* the storage behind a path; -errno when there is none */
int place_extent(const char *path, struct extent *x);
/* an existing regular file */
bool place_is_plain(const char *path);

#endif
