/*
 * What has to move where, so that a tree becomes part of a folder; kept in a file that is whole or
 * not there.
 *
 * A text of moves: kind, path, NUL each; behind it a newline and the digest of all. For
 * corelib/files/staged_tree.c.
 */
#ifndef CORELIB_STAGED_MOVES_H
#define CORELIB_STAGED_MOVES_H

#include <stdbool.h>
#include <stddef.h>

#include "corelib/base/err.h"

/* a folder in place of a file; owner and mode of a folder that stays */
enum { MOVE_ADD = '+', MOVE_REPLACE = '=', MOVE_FOLDER = '/', MOVE_NATURE = '@' };

struct move {
	char kind;
	const char *path; /* lent */
	unsigned index;	  /* from 0 */
	size_t at;	  /* where the next one begins */
};

struct moves {
	char *text;
	size_t len, room;
	unsigned count;
};

/* what is in 'fresh', beside what is in 'here'; E_FILE where they do not go together */
int moves_plan(struct moves *l, int fresh, int here, struct err *e);
int moves_save(const struct moves *l, int dir, const char *name); /* flushed; -errno */
/* 1; 0 when it is not there or torn: then no move was made; -errno */
int moves_load(struct moves *l, int dir, const char *name);
void moves_clear(struct moves *l);

/* m is all zeros before the first */
bool moves_next(const struct moves *l, struct move *m);
/* behind the last one, then from there towards the first */
void moves_last(const struct moves *l, struct move *m);
bool moves_before(const struct moves *l, struct move *m);

#endif
