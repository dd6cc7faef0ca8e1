/* Which sets and modes a description offers. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "corelib/base/arena.h"
#include "corelib/base/text.h"
#include "parser/manifest_draft.h"
#include "parser/encrypted_text.h"

enum { MOST_OFFERS = 256, ARENA_MAX = 64 * 1024 * 1024 };

struct offers {
	struct selector selector;
	struct arena *arena;
	struct selection *at;
	size_t count;
};

/* groups with a name that the description keeps for itself are no levels */
static bool is_level(const struct node *n)
{
	return n->type == NODE_GROUP && !schema_find(&manifest_schema, n->name);
}

/* a mode holds at least one list of what is to be installed */
static bool is_mode(const struct node *n)
{
	node_for_each(c, n) {
		const struct attr *row = schema_find(&manifest_schema, c->name);

		if (row && row->type == ATTR_LIST)
			return true;
	}
	return false;
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static void offer(struct offers *o, struct selection s)
{
	for (size_t i = 0; i < o->count; i++)
		if (same(o->at[i].board, s.board) && same(o->at[i].set, s.set) &&
		    same(o->at[i].mode, s.mode))
			return;
	if (o->count < MOST_OFFERS)
		o->at[o->count++] = s;
}

/* the modes of what may be a set, of a board or of all boards */
static int look_for_modes(struct offers *o, const char *board, const struct node *set,
			  struct err *e)
{
	node_for_each(n, set) {
		const struct node *mode = n;
		int rc;

		if (!is_level(n))
			continue;
		rc = select_resolve(&o->selector, &mode, e);
		if (rc < 0)
			return rc;
		if (is_mode(mode))
			offer(o, (struct selection){board, set->name, n->name});
	}
	return 0;
}

static int look_for_sets(struct offers *o, const struct node *software, struct err *e)
{
	int rc;

	node_for_each(n, software) {
		if (!is_level(n))
			continue;
		rc = look_for_modes(o, NULL, n, e);
		if (rc < 0)
			return rc;
		/* else it may be a board, which holds sets */
		node_for_each(c, n) {
			rc = is_level(c) ? look_for_modes(o, n->name, c, e) : 0;
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

int manifest_selections(const void *text, size_t n, struct selections *out, struct arena *a,
			struct err *e)
{
	const struct selection none = {NULL, NULL, NULL};
	struct offers o = {.arena = a};
	const struct node *root;
	int rc = encrypted_text_explain(text, n, node_parse(&root, text, n, a, NULL, e), e);

	if (rc == 0)
		rc = select_open(&o.selector, root, &none, e);
	if (rc == 0) {
		o.at = arena_alloc(a, MOST_OFFERS * sizeof(*o.at));
		rc = o.at ? look_for_sets(&o, o.selector.levels[SELECT_LEVELS - 1], e)
			  : err_set(e, E_MEMORY, ENOMEM, "no memory for the selections");
	}
	*out = (struct selections){o.at, o.count};
	return err_at(e, rc, "sw-description");
}

/* ---- why nothing was found ---------------------------------------------------------------- */

struct list {
	char text[200];
	size_t n;
};

/* one more word, each once; what does not fit is left out */
static void list_add(struct list *l, const char *word)
{
	char shown[80];
	size_t len;

	text_printable(word, strlen(word), shown, sizeof(shown));
	for (const char *at = l->text; (at = strstr(at, shown)); at += strlen(shown)) {
		const char *end = at + strlen(shown);

		if ((at == l->text || at[-1] == ' ') && (!*end || *end == ';'))
			return;
	}
	len = strlen(shown) + (l->n ? 2 : 0);
	if (l->n + len >= sizeof(l->text))
		return;
	l->n += (size_t)snprintf(l->text + l->n, sizeof(l->text) - l->n, "%s%s", l->n ? "; " : "",
				 shown);
}

static void list_pair(struct list *l, const struct selection *s)
{
	char pair[160];

	(void)text_print(pair, sizeof(pair), "%.70s,%.70s", s->set, s->mode);
	list_add(l, pair);
}

/* "board 'b1' revision 'r2'" of this device */
static void board_text(const struct manifest_options *o, char *out, size_t n)
{
	if (!o->sel.board)
		(void)text_copy(out, n, "this device does not say which board it is");
	else
		(void)text_print(out, n, "this device is board '%.70s'%s%.70s%s", o->sel.board,
				 o->revision ? " revision '" : "", o->revision ? o->revision : "",
				 o->revision ? "'" : "");
}

static int other_board(const struct manifest_options *o, const struct list *boards, struct err *e)
{
	char board[200];
	int rc;

	board_text(o, board, sizeof(board));
	rc = o->sel.set
		     ? err_set(e, E_SELECT, ENOENT,
			       "'%.70s,%.70s' is in the bundle for other boards only (%s); %s",
			       o->sel.set, o->sel.mode ? o->sel.mode : "", boards->text, board)
		     : err_set(e, E_SELECT, ENOENT, "the bundle is for other boards only (%s); %s",
			       boards->text, board);
	err_fix(e, "use a bundle for this board; if the name of the board is wrong, correct "
		   "/etc/hwrevision (BOARD REVISION) or give -H BOARD:REVISION");
	return rc;
}

int manifest_explain(const void *text, size_t n, const struct manifest_options *o, int rc,
		     struct err *e)
{
	struct arena *a = arena_new(ARENA_MAX);
	struct list here = {.n = 0}, modes = {.n = 0}, sets = {.n = 0}, boards = {.n = 0};
	const struct selection *want = &o->sel;
	struct selections all = {NULL, 0};
	struct err ignored = {0};

	if (a && manifest_selections(text, n, &all, a, &ignored) < 0)
		all.count = 0;
	for (size_t i = 0; i < all.count; i++) {
		const struct selection *s = &all.at[i];

		if (!s->board || same(s->board, want->board)) {
			list_pair(&here, s);
			list_add(&sets, s->set);
			if (same(s->set, want->set))
				list_add(&modes, s->mode);
		} else if (!want->set || (same(s->set, want->set) && same(s->mode, want->mode))) {
			list_add(&boards, s->board);
		}
	}
	arena_free(a);
	if (all.count == 0 && (!want->set || e->code == E_DESC_MISSING))
		return rc; /* there is nothing to select: the description is empty indeed */
	err_clear(e);
	if (boards.n && !here.n)
		return other_board(o, &boards, e);
	if (!want->set)
		rc = err_set(e, E_SELECT, ENOENT,
			     "all that the bundle has is for a selection, and none was given");
	else if (boards.n)
		rc = other_board(o, &boards, e);
	else if (modes.n)
		rc = err_set(e, E_SELECT, ENOENT, "'%.70s' has no mode '%.70s'; its modes: %s",
			     want->set, want->mode ? want->mode : "", modes.text);
	else
		rc = err_set(e, E_SELECT, ENOENT, "the bundle has no set '%.70s'%s%s", want->set,
			     sets.n ? "; its sets: " : "", sets.text);
	if (here.n)
		err_fix(e, "choose one with -e SET,MODE, or select in the configuration: %s",
			here.text);
	return rc;
}
