/*
 * One text split into words as a shell splits it: blanks, quotes, backslash. Nothing is expanded,
 * and no character but these three kinds means anything: '$(id)', ';' and '*' are plain text (T41).
 */
#ifndef CORELIB_WORDS_H
#define CORELIB_WORDS_H

#include <stddef.h>

#include "corelib/base/err.h"

#define WORDS_MAX 256

struct words {
	char **at; /* NULL behind the last; the texts lie in the same piece of memory */
	size_t count;
};

/* NULL is an empty text. E_DESC_VALUE: a quote that is not closed, a backslash at the end, too many
 * words */
int words_split(struct words *w, const char *text, struct err *e);
void words_clear(struct words *w);

#endif
