/* What the files of the manifest share while it is being made. */
#ifndef PARSER_MANIFEST_DRAFT_H
#define PARSER_MANIFEST_DRAFT_H

#include "corelib/base/arena.h"
#include "parser/manifest.h"

/* the manifest and the lists that become its entries */
struct manifest_draft {
	struct manifest m; /* first: both share one address */
	const struct node *partitions, *images, *files, *scripts, *bootenv, *uboot, *vars;
};

struct entry_draft {
	struct entry t;
	const struct node *properties;
};

/* ---- manifest_select.c: search order and links ---- */
enum { SELECT_LEVELS = 4 };
struct selector {
	const struct node *root;
	const struct node
		*levels[SELECT_LEVELS]; /* where to search, first to last; NULL = not there */
	unsigned follows;		/* links followed so far */
};

int select_open(struct selector *s, const struct node *root, const struct selection *sel,
		struct err *e);
/* the first place of the search order that has 'name'; NULL = none */
const struct node *select_find(const struct selector *s, const char *name);
/* the same of one that the table knows: a link in its place is followed, but for lists, whose items
 * may be links too; *n is NULL when it is not there */
int select_element(struct selector *s, const struct attr *row, const struct node **n,
		   struct err *e);
/* what a group leads to when it is a link; itself otherwise */
int select_resolve(struct selector *s, const struct node **group, struct err *e);

/* each group of a list, links replaced by what they lead to; a group counts as a list of one */
struct select_each {
	int (*cb)(void *arg, const struct node *group, struct err *e);
	void *arg;
};
int select_list(struct selector *s, const struct node *list, const struct select_each *each,
		struct err *e);

/* ---- manifest_entry.c ---- */
struct draft_context {
	const struct manifest_options *o;
	struct arena *arena;
	struct selector *selector;
};
/* one group as the entry that it is in 'section': its attributes, then the rules across them */
int manifest_entry_one(struct entry_draft *d, const struct node *n, enum section section,
		       const struct draft_context *c, struct err *e);
/* one group as a variable of bootenv */
int manifest_variable_one(struct boot_var *v, const struct node *n, const struct draft_context *c,
			  struct err *e);
/* nothing to install is an error, and so is a missing version */
int manifest_check_whole(const struct manifest *m, struct err *e);
int manifest_entries(struct manifest_draft *d, const struct draft_context *c, struct err *e);
int manifest_variables(struct manifest_draft *d, const struct draft_context *c, struct err *e);

#endif
