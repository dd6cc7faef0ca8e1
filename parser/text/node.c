#include "parser/text/node.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "corelib/base/arena.h"
#include "parser/text/guard.h"

static uint32_t value_sum(const struct node_value *v)
{
	uint32_t sum = v->name ? node_sum(0, v->name, strlen(v->name) + 1) : 0;

	if (v->type == NODE_STRING || v->type == NODE_FLOAT)
		return node_sum(sum, v->string, strlen(v->string));
	if (v->type == NODE_INT || v->type == NODE_BOOL)
		return node_sum(sum, &v->integer, sizeof(v->integer));
	return sum;
}

static struct node *copy_value(struct node_builder *b, const struct node_value *v, unsigned line)
{
	struct node *n = arena_alloc(b->arena, sizeof(*n));

	if (!n)
		return NULL;
	n->type = v->type;
	n->line = line;
	n->integer = v->integer;
	if (v->name && !(n->name = arena_strndup(b->arena, v->name, strlen(v->name))))
		return NULL;
	if (v->string && !(n->string = arena_strndup(b->arena, v->string, strlen(v->string))))
		return NULL;
	return n;
}

static void append(struct node_builder *b, struct node *n)
{
	n->parent = b->parent;
	if (b->last)
		b->last->next = n;
	else if (b->parent)
		b->parent->child = n;
	else
		b->root = n;
	if (b->parent)
		b->parent->count++;
	b->last = n;
}

struct node *node_add(struct node_builder *b, const struct node_value *given, struct err *e)
{
	const struct guard_note *seen = b->seen->notes + b->next;
	struct node_value v = *given;
	char number[40];
	struct node *n;

	if (v.type == NODE_FLOAT) {
		node_print_float(v.real, number);
		v.string = number;
	}
	if (b->next >= b->seen->count || seen->type != v.type || seen->sum != value_sum(&v)) {
		err_set(e, E_DESC_SYNTAX, 0, "value %zu is read in two ways", b->next);
		return NULL;
	}
	n = copy_value(b, &v, seen->line);
	if (!n) {
		err_set(e, E_MEMORY, ENOMEM, "no memory for the tree");
		return NULL;
	}
	b->next++;
	append(b, n);
	return n;
}

int node_parse(const struct node **root, const void *text, size_t n, struct arena *a,
	       const struct node_limits *l, struct err *e)
{
	struct guarded seen;
	struct node_builder b = {.arena = a, .seen = &seen};
	int rc = guard_walk(&seen, text, n, l, e);

	if (rc < 0)
		return rc;
	rc = seen.json ? node_from_json(&b, e) : node_from_config(&b, e);
	if (rc == 0 && b.next != seen.count)
		rc = err_set(e, E_DESC_SYNTAX, 0, "the library lost %zu values",
			     seen.count - b.next);
	guarded_clear(&seen);
	if (rc == 0)
		*root = b.root;
	return rc;
}

const struct node *node_find(const struct node *group, const char *name)
{
	if (!group || group->type != NODE_GROUP)
		return NULL;
	node_for_each(n, group)
		if (!strcmp(n->name, name))
			return n;
	return NULL;
}

static size_t place_in_list(const struct node *n)
{
	size_t i = 0;

	for (const struct node *s = n->parent->child; s != n; s = s->next)
		i++;
	return i;
}

void node_path(const struct node *n, char *out, size_t size)
{
	const struct node *up[80];
	size_t depth = 0, at = 0;

	for (; n && n->parent && depth < ARRAY_SIZE(up); n = n->parent)
		up[depth++] = n;
	if (size)
		out[0] = '\0';
	while (depth--) {
		char part[80];

		n = up[depth];
		if (n->name)
			text_printable(n->name, strlen(n->name), part, sizeof(part));
		else
			(void)text_print(part, sizeof(part), "[%zu]", place_in_list(n));
		if (text_print(out + at, size - at, "%s%s", at && n->name ? "." : "", part) < 0)
			return;
		at += strlen(out + at);
	}
}

const char *node_type_name(enum node_type t)
{
	static const char *const names[] = {
		[NODE_GROUP] = "a group",      [NODE_LIST] = "a list",
		[NODE_STRING] = "a text",      [NODE_INT] = "a number",
		[NODE_BOOL] = "true or false", [NODE_FLOAT] = "a fraction",
		[NODE_NULL] = "null",
	};

	return (size_t)t < ARRAY_SIZE(names) ? names[t] : "unknown";
}
