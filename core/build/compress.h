/*
 * Compress a file for a bundle: always the same bytes for the same input, one thread, a window that
 * small devices can hold (8 MiB at most).
 */
#ifndef CORE_BUILD_COMPRESS_H
#define CORE_BUILD_COMPRESS_H

#include <stdbool.h>

#include "corelib/stream/stages.h"

/* does the file begin as this codec's files do? 1, 0, -errno */
int compress_is_done(int fd, enum codec c, struct err *e);
/* ".gz", ".xz", ".zst", ".lz4" */
const char *compress_suffix(enum codec c);
/* reads 'in' from its beginning, writes 'out' */
int compress_file(enum codec c, int in, int out, struct err *e);

#endif
