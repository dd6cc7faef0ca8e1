/*
 * Where an element of the description is found, and where links lead.
 *
 * The rules are those of existing bundles: the first path that exists wins and nothing is merged.
 * A link's own place is the group that holds 'ref', or the list when that group stands in one;
 * '.' is the parent of that place, '..' one level further up; further on in a path '.' means
 * nothing and '..' takes the word before it away (measured with SWUpdate 2022.12).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "corelib/base/text.h"
#include "parser/manifest_draft.h"

enum { MOST_HOPS = 10, MOST_FOLLOWS = 4096 };

static int bad_link(const struct node *link, const char *why, struct err *e)
{
	const struct node *ref = node_find(link, "ref");
	char path[192], shown[128] = "";
	int rc;

	node_path(link, path, sizeof(path));
	if (ref && ref->type == NODE_STRING)
		text_printable(ref->string, strlen(ref->string), shown, sizeof(shown));
	rc = err_set(e, E_DESC_LINK, 0, "the link \"%s\" of %s %s", shown, path, why);
	return err_at(e, rc, "%s, line %u", path, link->line);
}

static bool is_link(const struct node *n)
{
	return n && n->type == NODE_GROUP && node_find(n, "ref");
}

/* where a link leads: from a group on by names; it is a path in words, so "x/.." needs no x */
enum { MOST_WORDS = 20 };
struct way {
	const struct node *base;
	struct {
		const char *at;
		size_t n;
	} words[MOST_WORDS];
	size_t count;
};

static bool is_word(const char *at, size_t n, const char *word)
{
	return n == strlen(word) && strncmp(at, word, n) == 0;
}

/* one more word; false: it leads out at the top, or there are too many */
static bool add_word(struct way *w, const char *at, size_t n)
{
	if (is_word(at, n, "."))
		return true;
	if (!is_word(at, n, "..")) {
		if (w->count == MOST_WORDS)
			return false;
		w->words[w->count].at = at;
		w->words[w->count++].n = n;
		return true;
	}
	if (w->count)
		w->count--;
	else
		w->base = w->base->parent;
	return w->base;
}

static bool find_way(struct way *w, const struct selector *s, const struct node *link,
		     const char *path)
{
	const struct node *own = link->name ? link : link->parent;

	for (size_t n; *(path += strspn(path, "/")); path += n) {
		n = strcspn(path, "/");
		if (!w->base)
			w->base = is_word(path, n, ".") || is_word(path, n, "..") ? own->parent
										  : s->root;
		if (!w->base || !add_word(w, path, n))
			return false;
	}
	return w->base;
}

static const struct node *find_child(const struct node *group, const char *name, size_t n)
{
	if (!group || group->type != NODE_GROUP)
		return NULL;
	node_for_each(c, group)
		if (is_word(name, n, c->name))
			return c;
	return NULL;
}

static int resolve(struct selector *s, const struct node **n, unsigned hops, struct err *e);

/* walk the path of one link; *n is the link and becomes what it leads to */
static int follow(struct selector *s, const struct node **n, unsigned hops, struct err *e)
{
	const struct node *link = *n, *ref = node_find(link, "ref"), *at;
	struct way w = {.base = NULL};
	int rc;

	if (hops >= MOST_HOPS)
		return bad_link(link, "is one of more than 10 in a row, or leads back to itself",
				e);
	if (++s->follows > MOST_FOLLOWS)
		return bad_link(link, "is one of more than 4096", e);
	if (ref->type != NODE_STRING || ref->string[0] != '#' || strlen(ref->string) < 3)
		return bad_link(link, "is not of the form \"#./name\"", e);
	if (!find_way(&w, s, link, ref->string + 1))
		return bad_link(link, "leads nowhere", e);
	at = w.base;
	for (size_t i = 0; at && i < w.count; i++) {
		/* what the last word names is the caller's to resolve */
		rc = i ? resolve(s, &at, hops + 1, e) : 0;
		if (rc < 0)
			return rc;
		at = find_child(at, w.words[i].at, w.words[i].n);
	}
	if (!at || at == link)
		return bad_link(link, at ? "leads to itself" : "leads nowhere", e);
	*n = at;
	return 0;
}

/* recursion is bounded by MOST_HOPS */
static int resolve(struct selector *s, const struct node **n, unsigned hops, struct err *e)
{
	int rc = 0;

	for (; rc == 0 && is_link(*n); hops++)
		rc = follow(s, n, hops, e);
	return rc;
}

int select_resolve(struct selector *s, const struct node **group, struct err *e)
{
	return resolve(s, group, 0, e);
}

/* a group below a group, links followed; NULL when it is not there */
static int step(struct selector *s, const struct node **group, const char *name, struct err *e)
{
	*group = name ? node_find(*group, name) : NULL;
	return resolve(s, group, 0, e);
}

int select_open(struct selector *s, const struct node *root, const struct selection *sel,
		struct err *e)
{
	const char *const words[SELECT_LEVELS][3] = {
		{sel->board, sel->set, sel->mode},
		{sel->set, sel->mode},
		{sel->board},
		{NULL},
	};
	const unsigned depth[SELECT_LEVELS] = {3, 2, 1, 0};
	const struct node *software = node_find(root, "software");
	int rc;

	*s = (struct selector){.root = root};
	if (!software)
		return err_set(e, E_DESC_MISSING, 0, "there is no group 'software'");
	rc = resolve(s, &software, 0, e);
	for (unsigned i = 0; i < SELECT_LEVELS; i++) {
		s->levels[i] = software;
		for (unsigned w = 0; rc == 0 && s->levels[i] && w < depth[i]; w++)
			rc = step(s, &s->levels[i], words[i][w], e);
	}
	return rc;
}

const struct node *select_find(const struct selector *s, const char *name)
{
	const struct node *n = NULL;

	for (unsigned i = 0; !n && i < SELECT_LEVELS; i++)
		n = node_find(s->levels[i], name);
	return n;
}

int select_element(struct selector *s, const struct attr *row, const struct node **n, struct err *e)
{
	*n = select_find(s, row->name);
	return *n && row->type != ATTR_LIST ? resolve(s, n, 0, e) : 0;
}

static int wrong_list(const struct node *n, struct err *e)
{
	char path[192];

	node_path(n, path, sizeof(path));
	return err_at(e,
		      err_set(e, E_DESC_TYPE, 0, "%s must be a list of groups, not %s", path,
			      node_type_name(n->type)),
		      "%s, line %u", path, n->line);
}

static int each_item(struct selector *s, const struct node *n, const struct select_each *each,
		     unsigned hops, struct err *e);

/* recursion is bounded: only a link leads from an item to another list, and hops count */
static int each_of(struct selector *s, const struct node *list, const struct select_each *each,
		   unsigned hops, struct err *e)
{
	int rc = 0;

	if (list->type == NODE_GROUP)
		return each_item(s, list, each, hops, e);
	if (list->type != NODE_LIST)
		return wrong_list(list, e);
	for (const struct node *n = list->child; rc == 0 && n; n = n->next)
		rc = n->type == NODE_GROUP ? each_item(s, n, each, hops, e) : wrong_list(n, e);
	return rc;
}

static int each_item(struct selector *s, const struct node *n, const struct select_each *each,
		     unsigned hops, struct err *e)
{
	int rc;

	if (!is_link(n))
		return each->cb(each->arg, n, e);
	rc = follow(s, &n, hops, e);
	return rc < 0 ? rc : each_of(s, n, each, hops + 1, e);
}

int select_list(struct selector *s, const struct node *list, const struct select_each *each,
		struct err *e)
{
	return each_of(s, list, each, 0, e);
}
