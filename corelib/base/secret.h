/*
 * Memory for keys: never written to swap or a core file, not there in a child of fork(), and wiped
 * when it is given back (T51). A page at least, so for a few of them.
 */
#ifndef CORELIB_SECRET_H
#define CORELIB_SECRET_H

#include <stddef.h>

void *secret_new(size_t n); /* zeros; NULL: no memory */
void secret_free(void *p);  /* NULL is allowed */

#endif
