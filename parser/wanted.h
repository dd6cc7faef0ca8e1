/*
 * The payloads that a manifest asks for: a sorted table of names, each once, with what was found.
 *
 * A member's name matches a row as it is, or without its ".NNN" when the row has parts. Parts
 * arrive side by side and in order. Names lie in the manifest.
 */
#ifndef PARSER_WANTED_H
#define PARSER_WANTED_H

#include "parser/bundle.h"
#include "parser/cpio_read.h"

#define DESCRIPTION_NAME "sw-description"
#define SIGNATURE_NAME	 "sw-description.sig"
#define PARTS_MAX	 999u

/* one member of a wanted payload */
struct piece {
	struct cpio_head head;
	uint64_t data;
};

struct wanted {
	struct payload payload; /* first: what callers hold leads back here */
	uint64_t parts;		/* as the entry says; 0 = one member of this name */
	uint64_t found;		/* members met so far */
	size_t first;		/* its first piece */
	bool may_lack;		/* asked for by entries alone that may be left out */
};

struct wanted_list {
	struct wanted *rows;
	size_t count;
	struct piece *pieces;
	size_t piece_count, piece_room;
	struct wanted *open; /* its next part must be the next member */
};

int wanted_build(struct wanted_list *w, const struct manifest *m, struct err *e);
void wanted_clear(struct wanted_list *w);
struct wanted *wanted_find(const struct wanted_list *w, const char *name);
/* *row is what the member belongs to, or NULL for a member that nobody names. E_CPIO_DUP, E_PARTS,
 * E_ORDER */
int wanted_accept(struct wanted_list *w, const struct cpio_member *m, struct wanted **row,
		  struct err *e);
/* note an accepted member; 'index' is its number in the archive */
int wanted_add(struct wanted_list *w, struct wanted *row, const struct cpio_member *m,
	       uint64_t index, struct err *e);
/* at the trailer: is everything there? E_MEMBER_MISSING, E_PARTS */
int wanted_complete(const struct wanted_list *w, struct err *e);

static inline uint64_t wanted_members(const struct wanted *row)
{
	return row->parts ? row->parts : 1;
}

#endif
