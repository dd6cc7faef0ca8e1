/*
 * One tree for both syntaxes: libconfig text and JSON, behind a guard of our own.
 *
 * The guard walks the tokens first, with bounds on size, depth and count, and hands the library a
 * canonical text, line for line, so that the library sees only what the guard saw: no comments, no
 * @include, no duplicate keys, no number that would be cut (T33-T38). The syntax is decided by the
 * first byte that is not blank. The tree is const after parsing and lives in an arena.
 */
#ifndef PARSER_NODE_H
#define PARSER_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "corelib/base/arena.h"
#include "corelib/base/err.h"
#include "corelib/base/text.h"

enum node_type { NODE_GROUP, NODE_LIST, NODE_STRING, NODE_INT, NODE_BOOL, NODE_FLOAT, NODE_NULL };

struct node {
	enum node_type type;
	const char *name; /* key in a group, NULL in a list */
	unsigned line;
	const struct node *parent, *child, *next; /* in document order */
	size_t count;				  /* children */
	const char *string;			  /* NODE_STRING, without NUL inside */
	int64_t integer;			  /* NODE_INT, NODE_BOOL (0, 1) */
};

struct node_limits {
	size_t bytes, depth, nodes, string; /* 0 = 1 MiB, 64, 65536, 64 KiB */
};

int node_parse(const struct node **root, const void *text, size_t n, struct arena *a,
	       const struct node_limits *l, struct err *e);

const struct node *node_find(const struct node *group, const char *name); /* lent or NULL */
#define node_for_each(child_, parent_)                                                             \
	for (const struct node *child_ = (parent_) ? (parent_)->child : NULL; child_;              \
	     child_ = child_->next)
/* "software.images[0].sha256" for messages */
void node_path(const struct node *n, char *out, size_t size);
const char *node_type_name(enum node_type t);

/*
 * For tests and tools: canonical libconfig text of a tree; its length, -ENOSPC, or -EINVAL for what
 * libconfig cannot say (null, names that only JSON allows).
 */
int node_print(const struct node *root, char *out, size_t size);

#endif
