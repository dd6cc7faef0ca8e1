/*
 * Where an element of the description is found, and where links lead.
 *
 * The rules are those of existing bundles: the first path that exists wins and nothing is merged.
 * A link's own place is the group that holds 'ref', or the list when that group stands in one;
 * '.' is the parent of that place, '..' one level further up (measured with SWUpdate 2022.12).
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

/* the child that the next word of a path names, which is taken off the path */
static const struct node *find_word(const struct node *group, const char **path)
{
	size_t n = strcspn(*path, "/");
	const char *word = *path;

	*path += n;
	*path += strspn(*path, "/");
	if (!group || group->type != NODE_GROUP)
		return NULL;
	node_for_each(c, group)
		if (!strncmp(c->name, word, n) && !c->name[n])
			return c;
	return NULL;
}

static bool is_up(const char *at)
{
	return !strncmp(at, "..", 2) && (at[2] == '/' || !at[2]);
}

/* where the path of a link begins; *at is moved behind the dots */
static const struct node *link_base(const struct selector *s, const struct node *link,
				    const char **at)
{
	const struct node *n = link->name ? link : link->parent;

	if (!strncmp(*at, "./", 2)) {
		*at += 2;
		return n->parent;
	}
	if (!is_up(*at))
		return s->root;
	for (n = n->parent; n && is_up(*at); *at += strspn(*at, "/")) {
		n = n->parent;
		*at += 2;
	}
	return n;
}

static int resolve(struct selector *s, const struct node **n, unsigned hops, struct err *e);

/* walk the path of one link; *n is the link and becomes what it leads to */
static int follow(struct selector *s, const struct node **n, unsigned hops, struct err *e)
{
	const struct node *link = *n, *ref = node_find(link, "ref"), *at;
	const char *path;
	int rc = 0;

	if (hops >= MOST_HOPS)
		return bad_link(link, "is one of more than 10 in a row, or leads back to itself",
				e);
	if (++s->follows > MOST_FOLLOWS)
		return bad_link(link, "is one of more than 4096", e);
	if (ref->type != NODE_STRING || ref->string[0] != '#' || strlen(ref->string) < 3)
		return bad_link(link, "is not of the form \"#./name\"", e);
	path = ref->string + 1;
	path += strspn(path, "/");
	at = link_base(s, link, &path);
	while (rc == 0 && at && *path) {
		at = find_word(at, &path);
		/* what the last word names is the caller's to resolve */
		if (*path)
			rc = resolve(s, &at, hops + 1, e);
	}
	if (rc < 0)
		return rc;
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
