/* Which sets and modes a description offers. */
#include <errno.h>
#include <string.h>

#include "corelib/base/arena.h"
#include "corelib/base/text.h"
#include "parser/manifest_draft.h"
#include "parser/sealed.h"

enum { MOST_OFFERS = 256 };

struct offers {
	struct selector selector;
	struct arena *arena;
	const char **at;
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

static int offer(struct offers *o, const char *set, const char *mode, struct err *e)
{
	size_t n = strlen(set) + strlen(mode) + 2;
	char *text = arena_alloc(o->arena, n);

	if (!text)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the selections");
	(void)text_print(text, n, "%s,%s", set, mode);
	for (size_t i = 0; i < o->count; i++)
		if (!strcmp(o->at[i], text))
			return 0;
	if (o->count < MOST_OFFERS)
		o->at[o->count++] = text;
	return 0;
}

/* the modes of what may be a set; the count of modes found, or the error */
static int look_for_modes(struct offers *o, const struct node *set, struct err *e)
{
	int found = 0, rc;

	node_for_each(n, set) {
		const struct node *mode = n;

		if (!is_level(n))
			continue;
		rc = select_resolve(&o->selector, &mode, e);
		if (rc < 0)
			return rc;
		if (!is_mode(mode))
			continue;
		found++;
		rc = offer(o, set->name, n->name, e);
		if (rc < 0)
			return rc;
	}
	return found;
}

static int look_for_sets(struct offers *o, const struct node *software, struct err *e)
{
	int rc;

	node_for_each(n, software) {
		if (!is_level(n))
			continue;
		rc = look_for_modes(o, n, e);
		if (rc < 0)
			return rc;
		/* else it may be a board, which holds sets */
		node_for_each(c, n) {
			rc = is_level(c) ? look_for_modes(o, c, e) : 0;
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

int manifest_selections(const void *text, size_t n, struct strings *out, struct arena *a,
			struct err *e)
{
	const struct selection none = {NULL, NULL, NULL};
	struct offers o = {.arena = a};
	const struct node *root;
	int rc = sealed_explain(text, n, node_parse(&root, text, n, a, NULL, e), e);

	if (rc == 0)
		rc = select_open(&o.selector, root, &none, e);
	if (rc == 0) {
		o.at = arena_alloc(a, MOST_OFFERS * sizeof(*o.at));
		rc = o.at ? look_for_sets(&o, o.selector.levels[SELECT_LEVELS - 1], e)
			  : err_set(e, E_MEMORY, ENOMEM, "no memory for the selections");
	}
	*out = (struct strings){o.at, o.count};
	return err_at(e, rc, "sw-description");
}
