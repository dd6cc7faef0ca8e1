/*
 * One table per language: configuration keys, attributes of the description, handler properties.
 *
 * A row says name, type, place in a struct, limits, default and help; the parser, --help, the
 * manual, shell completion and "did you mean" read the same row. A wrong type is an error that
 * names path and line; an unknown key is a note (strict: an error).
 */
#ifndef PARSER_SCHEMA_H
#define PARSER_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "corelib/base/arena.h"
#include "corelib/base/err.h"
#include "parser/text/node.h"

enum attr_type {
	ATTR_STRING, /* const char * */
	ATTR_BOOL,   /* bool; accepts true, false */
	ATTR_INT,    /* int64_t */
	ATTR_SIZE,   /* uint64_t; int, or string with K, M, G */
	ATTR_HEX,    /* uint8_t[max]; exactly max bytes, or any of 16, 24, 32 when min < max */
	ATTR_ENUM,   /* int; 'values' lists the words, the index counts */
	ATTR_BOOL_OR_ENUM, /* int; true = 1, false = 0, or a word of 'values' */
	ATTR_STRINGS,	   /* struct strings; a list, or one string */
	ATTR_GROUP,	   /* const struct node *: the caller reads it */
	ATTR_LIST,	   /* const struct node *: a list, or one group counted as a list of one */
	ATTR_SWITCH,	   /* bool; true, false, or "enabled", "disabled", "yes", "no" */
};

struct strings {
	const char *const *at;
	size_t count;
};

struct attr {
	const char *name;
	enum attr_type type;
	unsigned where; /* a set of the table's own places (sections, groups) */
	size_t at;	/* offsetof in the struct */
	size_t has;	/* offsetof a bool that says 'present'; 0 = none (never put a flag at 0) */
	uint64_t min, max; /* of numbers; lengths of strings and hex */
	const char *const *values;
	const char *dflt; /* text of the default, for the manual; NULL = none */
	const char *help;
	const char *instead; /* the value has no effect: a note says so, and to do this instead */
	bool required; /* of a handler's property: lint names its absence, the handler refuses it */
	enum errcode code; /* what a bad value is; 0 = E_DESC_TYPE / E_DESC_NUMBER / E_DESC_VALUE */
};

struct schema {
	const char *name; /* "images", "globals": for messages */
	const struct attr *rows;
	size_t count;
	unsigned where;				   /* rows of these places count */
	bool strict;				   /* unknown keys are errors */
	enum errcode unknown;			   /* E_DESC_UNKNOWN, E_CONFIG */
	void (*note)(void *arg, const char *text); /* unknown keys and the like; may be NULL */
	void *arg;
};

/*
 * Fill 'out' from a group. Texts are lent from the tree, which must live as long as 'out'. An empty
 * text counts as absent, unless the row has a least length. A hash (row code E_DESC_HASH) of zeros
 * only is refused.
 */
int schema_fill(const struct schema *s, const struct node *group, void *out, struct arena *a,
		struct err *e);
/* one value, for callers that look their keys up themselves */
int schema_set(const struct attr *row, const struct node *value, void *out, struct arena *a,
	       struct err *e);
/* a note of the same form as that for unknown keys: "line 3: TEXT"; nothing without s->note */
void schema_note(const struct schema *s, const struct node *n, const char *text, ...)
	__attribute__((format(printf, 3, 4)));
/* note or refuse a key that no row knows */
int schema_unknown(const struct schema *s, const struct node *n, struct err *e);
const struct attr *schema_find(const struct schema *s, const char *name);
const char *attr_type_name(const struct attr *a); /* "text", "yes or no", "size", … */

#endif
