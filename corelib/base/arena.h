/*
 * An arena: the memory of one document or job, in many small allocations and one free.
 *
 * NULL means that memory, or the cap given to arena_new(), is used up.
 */
#ifndef CORELIB_ARENA_H
#define CORELIB_ARENA_H

#include <stddef.h>

struct arena;
struct arena *arena_new(size_t cap);
void arena_free(struct arena *a);
void *arena_alloc(struct arena *a, size_t n); /* zeroed, aligned for any type */
char *arena_strndup(struct arena *a, const char *s, size_t n);

#endif
