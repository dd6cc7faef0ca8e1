/* What the tests of parser/ share: one parse with everything that came of it. */
#ifndef TESTS_UNIT_PARSE_HELP_H
#define TESTS_UNIT_PARSE_HELP_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "corelib/base/arena.h"
#include "parser/manifest.h"
#include "parser/settings.h"

struct parse_notes {
	char text[4096]; /* one note a line */
	unsigned count;
};
void parse_note(void *notes, const char *text);

struct parse_tree {
	struct arena *arena;
	const struct node *root;
	struct err err;
	int rc;
};
struct parse_tree parse_tree(const char *text);
struct parse_tree parse_tree_n(const char *text, size_t n, const struct node_limits *l);
void parse_tree_clear(struct parse_tree *t);

/* the tree as canonical text equals 'want' */
void parse_tree_is(const char *text, const char *want);
/* refused for this reason, at this line */
void parse_tree_fails(const char *text, enum errcode code, unsigned line);
void parse_tree_fails_n(const char *text, size_t n, enum errcode code, unsigned line);

struct parse_manifest {
	struct manifest *m;
	struct err err;
	struct parse_notes notes;
	int rc;
};
struct parse_manifest parse_manifest(const char *text, const struct manifest_options *o);
/* 'body' stands inside of software = { version = "1"; ... } */
struct parse_manifest parse_body(const char *body);
void parse_body_fails(const char *body, enum errcode code, const char *why);

#define H64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789ABCDEF"

#endif
