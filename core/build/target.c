#include "core/build/target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/build/variables.h"
#include "handlers/handler.h"

enum { ARENA_MAX = 8 << 20 };

static int not_a_list(struct err *e)
{
	err_fix(e, "make the file on the device: swinstall --handlers --json >FILE");
	return err_set(e, E_BUILD, EINVAL, "it is no list of handlers");
}

int target_open(struct target *t, const char *file, struct err *e)
{
	AUTO_FREE char *text = NULL;
	const struct node *root;
	struct err why = {0};
	size_t n;
	int rc;

	*t = (struct target){.file = file};
	if (!file)
		return 0;
	rc = build_read_text(file, &text, &n, e);
	if (rc < 0)
		return rc;
	t->arena = arena_new(ARENA_MAX);
	if (!t->arena)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the list of handlers");
	if (node_parse(&root, text, n, t->arena, NULL, &why) < 0)
		return err_at(e, not_a_list(e), "%s", file);
	t->handlers = node_find(root, "handlers");
	if (!t->handlers || t->handlers->type != NODE_LIST)
		return err_at(e, not_a_list(e), "%s", file);
	return 0;
}

void target_close(struct target *t)
{
	arena_free(t->arena);
	t->arena = NULL;
}

static bool is_text(const struct node *n, const char *text)
{
	return n && n->type == NODE_STRING && strcmp(n->string, text) == 0;
}

bool target_has(const struct target *t, const char *handler)
{
	if (!t || !t->file)
		return handler_find(handler);
	node_for_each(h, t->handlers) {
		if (h->type != NODE_GROUP)
			continue;
		if (is_text(node_find(h, "name"), handler))
			return true;
		node_for_each(other, node_find(h, "also"))
			if (is_text(other, handler))
				return true;
	}
	return false;
}
