/* A wish of another thread, or of a signal handler, that work looks at from time to time. */
#ifndef CORELIB_FLAG_H
#define CORELIB_FLAG_H

#include <stdbool.h>

/* a wish to cancel, set by another thread or a signal handler with __atomic_store_n; NULL = never
 */
static inline bool flag_is_set(const volatile bool *flag)
{
	return flag && __atomic_load_n(flag, __ATOMIC_RELAXED);
}

#endif
