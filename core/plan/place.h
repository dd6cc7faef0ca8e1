/* Places by name, without opening what they lead to. */
#ifndef CORE_PLACE_H
#define CORE_PLACE_H

#include <stdbool.h>

#include "corelib/device/extent.h"
#include "parser/settings.h"

/* the storage behind a path; -errno when there is none */
int place_extent(const char *path, struct extent *x);
/* an existing regular file */
bool place_is_plain(const char *path);
/* by name: 'path' is 'folder' or below it. NULL, "" and "/" hold nothing */
bool place_is_beneath(const char *path, const char *folder);
/* what no bundle may write: state, keys, configuration (T17). Those that are not set are NULL */
enum { PLACE_OURS = 8 };
void place_ours(const struct settings *c, const char *ours[PLACE_OURS]);

#endif
