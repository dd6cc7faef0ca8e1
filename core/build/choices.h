/* The boards, sets and modes that a description offers: each place below 'software' that has
 * something to install. */
#ifndef CORE_BUILD_CHOICES_H
#define CORE_BUILD_CHOICES_H

#include <stddef.h>

#include "corelib/base/arena.h"
#include "corelib/base/err.h"
#include "parser/manifest.h"

struct choices {
	struct selection *at; /* at least one: the whole when nothing else is offered */
	size_t count;
	struct arena *arena;
};

/* reads any text of a description; the names live until choices_clear() */
int choices_find(struct choices *c, const void *text, size_t n, struct err *e);
/* of a tree that was read already and outlives them */
int choices_in(struct choices *c, const struct node *root, struct err *e);
void choices_clear(struct choices *c);
/* "board1: set,mode", "set,mode", "" for the whole */
void choice_label(const struct selection *s, char *out, size_t n);

#endif
