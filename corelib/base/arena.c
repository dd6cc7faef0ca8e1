/* An arena: blocks in a chain, handed out from the front, freed at once. */
#include "corelib/base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN	   _Alignof(max_align_t)
#define BLOCK_SIZE 8192u

struct block {
	struct block *next;
	size_t size, used;
	max_align_t mem[];
};

struct arena {
	struct block *blocks;
	size_t cap, used;
};

struct arena *arena_new(size_t cap)
{
	struct arena *a = calloc(1, sizeof(*a));

	if (a)
		a->cap = cap;
	return a;
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	for (struct block *b = a->blocks, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	free(a);
}

static struct block *block_with_room(struct arena *a, size_t n)
{
	size_t size = n > BLOCK_SIZE ? n : BLOCK_SIZE;
	struct block *b = a->blocks;

	if (b && b->size - b->used >= n)
		return b;
	b = calloc(1, sizeof(*b) + size);
	if (!b)
		return NULL;
	b->size = size;
	b->next = a->blocks;
	a->blocks = b;
	return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
	struct block *b;
	void *p;

	/* what is asked for must leave room for rounding up and a block's head */
	if (n > a->cap - a->used || n > SIZE_MAX / 2)
		return NULL;
	n = n == 0 ? ALIGN : (n + ALIGN - 1) / ALIGN * ALIGN;
	if (n > a->cap - a->used)
		return NULL;
	b = block_with_room(a, n);
	if (!b)
		return NULL;
	p = (char *)b->mem + b->used;
	b->used += n;
	a->used += n;
	return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *copy = arena_alloc(a, len + 1);

	if (copy)
		memcpy(copy, s, len); /* arena memory is zero: the NUL is there */
	return copy;
}
