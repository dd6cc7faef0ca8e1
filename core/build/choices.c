#include "core/build/choices.h"

#include <errno.h>
#include <string.h>

#include "corelib/base/arena.h"
#include "corelib/base/text.h"
#include "parser/encrypted_text.h"

#define ARENA_MAX (64 * 1024 * 1024)
#define DEPTH_MAX 3 /* board, set, mode */
#define COUNT_MAX 256

static bool has_entries(const struct node *group)
{
	static const char *const lists[] = {"images",	  "files",   "scripts",
					    "partitions", "bootenv", "uboot"};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		if (node_find(group, lists[i]))
			return true;
	return false;
}

/* names from the outside in; how many of them there are tells what they mean (COMPAT of the search
 * order) */
static struct selection meaning(const char *const names[DEPTH_MAX], size_t depth)
{
	struct selection s = {0};

	if (depth == 1 || depth == 3)
		s.board = names[0];
	if (depth >= 2) {
		s.set = names[depth - 2];
		s.mode = names[depth - 1];
	}
	return s;
}

static int add(struct choices *c, struct selection s, struct err *e)
{
	if (c->count == COUNT_MAX)
		return err_set(e, E_DESC_LIMIT, E2BIG,
			       "the description offers more than %d selections", COUNT_MAX);
	c->at[c->count++] = s;
	return 0;
}

struct walk {
	struct choices *c;
	const char *names[DEPTH_MAX];
	struct err *e;
};

static int walk(struct walk *w, const struct node *group, size_t depth)
{
	int rc = has_entries(group) ? add(w->c, meaning(w->names, depth), w->e) : 0;

	node_for_each(n, group) {
		if (rc < 0 || depth == DEPTH_MAX)
			break;
		if (n->type != NODE_GROUP || strcmp(n->name, "ref") == 0)
			continue;
		w->names[depth] = n->name;
		rc = walk(w, n, depth + 1);
	}
	return rc;
}

static int make_room(struct choices *c, struct err *e)
{
	*c = (struct choices){.arena = arena_new(ARENA_MAX)};
	if (c->arena)
		c->at = arena_alloc(c->arena, COUNT_MAX * sizeof(*c->at));
	return c->at ? 0 : err_set(e, E_MEMORY, ENOMEM, "no memory for the description");
}

static int walk_root(struct choices *c, const struct node *root, struct err *e)
{
	const struct node *software = node_find(root, "software");
	struct walk w = {.c = c, .e = e};
	int rc = 0;

	if (software && software->type == NODE_GROUP)
		rc = walk(&w, software, 0);
	return rc == 0 && c->count == 0 ? add(c, (struct selection){0}, e) : rc;
}

int choices_in(struct choices *c, const struct node *root, struct err *e)
{
	int rc = make_room(c, e);

	return rc < 0 ? rc : walk_root(c, root, e);
}

int choices_find(struct choices *c, const void *text, size_t n, struct err *e)
{
	const struct node *root;
	int rc = make_room(c, e);

	if (rc < 0)
		return rc;
	rc = encrypted_text_explain(text, n, node_parse(&root, text, n, c->arena, NULL, e), e);
	return rc < 0 ? rc : walk_root(c, root, e);
}

void choices_clear(struct choices *c)
{
	arena_free(c->arena);
	c->arena = NULL;
}

void choice_label(const struct selection *s, char *out, size_t n)
{
	(void)text_print(out, n, "%s%s%s%s%s", s->board ? s->board : "",
			 s->board && s->set ? ": " : "", s->set ? s->set : "", s->set ? "," : "",
			 s->mode ? s->mode : "");
}
