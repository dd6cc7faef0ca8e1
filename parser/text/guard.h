/*
 * The guard walks a description or configuration before any library sees it.
 *
 * It decides the syntax once, checks every token and bound, refuses duplicate keys, and writes a
 * canonical text line for line: no comments, no escapes but those that both sides read alike,
 * integers in a form that no library cuts. Beside it, one note for each node in document order, so
 * that the tree which the library builds can be compared with what the guard saw.
 */
#ifndef PARSER_GUARD_H
#define PARSER_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "corelib/base/arena.h"
#include "corelib/base/err.h"
#include "parser/text/node.h"

struct guard_note {
	enum node_type type;
	unsigned line;
	uint32_t sum; /* of name and value, node_sum() */
};

struct guarded {
	bool json;
	char *text; /* canonical, NUL behind it */
	size_t length;
	struct guard_note *notes;
	size_t count;
};

int guard_walk(struct guarded *g, const void *text, size_t n, const struct node_limits *l,
	       struct err *e);
void guarded_clear(struct guarded *g);

/* continue a sum; begin with 0 */
uint32_t node_sum(uint32_t sum, const void *p, size_t n);

/* the form of a float in a canonical text and in node->string */
void node_print_float(double v, char out[40]);

/* ---- what the readers of the two libraries share (node.c) ---- */
struct node_builder {
	struct arena *arena;
	const struct guarded *seen;
	size_t next; /* note of the next node */
	struct node *root, *parent, *last;
};

struct node_value {
	enum node_type type;
	const char *name, *string; /* NULL = none */
	int64_t integer;
	double real;
};

/* add a node behind 'last' in 'parent'; NULL and an error when it is not what the guard saw */
struct node *node_add(struct node_builder *b, const struct node_value *v, struct err *e);

int node_from_config(struct node_builder *b, struct err *e);
int node_from_json(struct node_builder *b, struct err *e);

#endif
