/* The entries of a bundle that lies in a file: those of every selection that it offers. */
#ifndef CORE_BUILD_ENTRIES_H
#define CORE_BUILD_ENTRIES_H

#include "corelib/base/err.h"
#include "parser/bundle.h"

/* cb returns 0 to go on, or -errno with the error set; 'b' is bound to the entry's manifest */
struct entry_walk {
	int (*cb)(void *arg, struct bundle *b, const struct entry *t, struct err *e);
	void *arg;
};
int entries_walk(int fd, const struct entry_walk *w, struct err *e);

#endif
