/* What the files of lint share. */
#ifndef CORE_BUILD_LINT_PRIVATE_H
#define CORE_BUILD_LINT_PRIVATE_H

#include "corelib/base/arena.h"
#include "core/build/lint.h"
#include "parser/manifest_draft.h"

struct lint_said;

/* an entry of the selection at hand that the reader accepts */
struct lint_entry {
	struct lint_entry *next;
	const struct node *node;
	struct entry_draft d;
};

struct lint {
	const struct lint_options *o;
	struct lint_result *r;
	struct template *t;
	struct arena *arena;
	struct selector sel;
	const char *label;   /* of the selection, "" for the whole */
	struct manifest top; /* its elements */
	struct lint_entry *entries;
	struct lint_said *said; /* each finding is told once */
	bool no_memory;
};

/* one finding; n NULL: no line */
void lint_say(struct lint *l, bool error, const struct node *n, const char *text, ...)
	__attribute__((format(printf, 4, 5)));
/* the same of a handler that the device does not have: a warning */
void lint_no_handler(struct lint *l, const struct node *n, const char *text, ...)
	__attribute__((format(printf, 3, 4)));
/* what a reader refused */
void lint_refused(struct lint *l, const struct node *n, struct err *e);

/* ---- lint_rules.c: rules beyond those of the reader ---- */
void lint_entry_rules(struct lint *l, const struct lint_entry *x);
void lint_selection_rules(struct lint *l);
void lint_variable_rules(struct lint *l, const struct node *var);

#endif
