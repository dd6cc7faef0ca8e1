/* The state of one tree that is written, for corelib/tree*.c only. */
#ifndef CORELIB_TREE_PRIVATE_H
#define CORELIB_TREE_PRIVATE_H

#include "corelib/files/beneath.h"
#include "corelib/files/tree.h"

struct tree_later; /* what a folder gets when all is in it */

struct tree {
	int root;
	struct records *records;
	const struct tree_options *o;
	struct tree_count *n;
	struct err *e;
	struct tree_later *first, *last;
	size_t later_bytes;
	struct beneath at, like; /* beneath the root; beneath what it will be put into */
};

int tree_failed(const struct tree *t, const struct record *rec, int rc, const char *what);

/* owner, mode, attributes, times as the options say; in corelib/files/tree_dress.c */
int tree_dress(struct tree *t, const struct record *rec, int fd);
int tree_dress_at(struct tree *t, const struct record *rec, int dir, const char *name);
/* a folder that was made becomes as the one where it will be put: 1, 0 = there is none, -errno */
int tree_dress_like(struct tree *t, const char *path, size_t n, int fd);
int tree_later(struct tree *t, const struct record *rec); /* E_LIMIT_MEM beyond 32 MiB of them */
int tree_dress_later(struct tree *t);
void tree_forget(struct tree *t);

#endif
