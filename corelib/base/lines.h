/*
 * The output of a program, from pieces of any size to lines for people: printable, without their
 * end, and with "..." where they are longer than LINES_BYTES (T120).
 */
#ifndef CORELIB_LINES_H
#define CORELIB_LINES_H

#include <stdbool.h>
#include <stddef.h>

enum { LINES_BYTES = 1000, LINES_TOTAL = 1024 * 1024 };

struct lines {
	void (*line)(void *arg, const char *text);
	void *arg;
	bool cut;
	size_t len;
	char text[LINES_BYTES];
};

void lines_take(struct lines *l, const char *bytes, size_t n);
void lines_end(struct lines *l); /* the last one may have no line end */

/* what to show of a further text when all together have LINES_TOTAL bytes at most: the text, then
 * once that there is more, then NULL. *told, 0 at first, counts. */
const char *lines_bounded(size_t *told, const char *text);

#endif
