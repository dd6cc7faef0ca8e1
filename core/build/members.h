/* The members of a bundle as they lie in its file, one after the other. */
#ifndef CORE_BUILD_MEMBERS_H
#define CORE_BUILD_MEMBERS_H

#include <stdbool.h>
#include <stdint.h>

#include "corelib/base/err.h"

struct member {
	const char *name; /* no control bytes, but maybe folders: whoever makes files checks that */
	uint64_t size, data; /* bytes, and where they begin in the file */
	uint32_t sum;
	bool has_sum;
	unsigned index; /* 0 = the description */
};

/* cb returns 0 to go on, or -errno with the error set */
struct member_walk {
	int (*cb)(void *arg, const struct member *m, struct err *e);
	void *arg;
};
int members_walk(int fd, const struct member_walk *w, struct err *e);

#endif
