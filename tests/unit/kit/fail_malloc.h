/*
 * Let the n-th allocation of a test fail, to see that each one is checked.
 *
 *	for (unsigned n = 1;; n++) {
 *		fail_malloc_at(n);
 *		rc = what_is_tested();
 *		if (!fail_malloc_off())
 *			break;                  // fewer than n allocations: all were tried
 *		assert_int_equal(rc, -ENOMEM);
 *	}
 *
 * Does nothing until armed. Not with sanitizers, which bring their own malloc: ask
 * fail_malloc_works() first, it prints the line of the skip.
 */
#ifndef TESTS_UNIT_FAIL_MALLOC_H
#define TESTS_UNIT_FAIL_MALLOC_H

#include <stdbool.h>

bool fail_malloc_works(void);

/* the n-th allocation from now on returns NULL, once; n counts from 1 */
void fail_malloc_at(unsigned n);
/* the same, counting only calls made by this program's own code, not those inside libraries
 * (libconfig dies of them; strdup and the like are inside libc) */
void fail_malloc_ours_at(unsigned n);
/* disarm; did it fail one? */
bool fail_malloc_off(void);

/* blocks that are allocated now, by all: the same before and after means no leak (let libraries
 * warm up) */
long fail_malloc_live(void);

#endif
