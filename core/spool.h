/* Where a payload from a pipe waits until it is proven: a file without a name, on disk if that can
 * be had. */
#ifndef CORE_SPOOL_H
#define CORE_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "parser/settings.h"

/* the folder: configuration, else a TMPDIR that only root can change, else the state directory */
const char *spool_folder(const struct settings *cfg);
/* one file for all payloads of an install: thousands of small ones would use up the descriptors */
struct spool {
	int fd; /* -1: not made yet */
	uint64_t end;
};
/* room for 'size' bytes more, the descriptor placed where they begin: *at. E_NO_SPACE, E_SPOOL */
int spool_reserve(struct spool *s, const struct settings *cfg, uint64_t size, uint64_t *at,
		  struct err *e);
/* does it lie in memory? (a tmpfs as large as an image leaves no memory for the rest) */
bool spool_in_memory(int fd);

#endif
