#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "parser/text/node.h"

struct printer {
	char *out;
	size_t size, used;
};

static int put(struct printer *p, const char *s, size_t n)
{
	if (p->size - p->used <= n)
		return -ENOSPC;
	memcpy(p->out + p->used, s, n);
	p->used += n;
	p->out[p->used] = '\0';
	return 0;
}

static int put_text(struct printer *p, const char *s)
{
	return put(p, s, strlen(s));
}

static int put_indent(struct printer *p, unsigned depth)
{
	int rc = 0;

	while (rc == 0 && depth--)
		rc = put(p, "\t", 1);
	return rc;
}

static int put_quoted(struct printer *p, const char *s)
{
	int rc = put(p, "\"", 1);

	for (; rc == 0 && *s; s++) {
		const char *special = "\"\\\n\r\t", *names = "\"\\nrt";
		const char *hit = strchr(special, *s);
		char pair[2] = {'\\', hit ? names[hit - special] : 0};

		rc = hit ? put(p, pair, 2) : put(p, s, 1);
	}
	return rc < 0 ? rc : put(p, "\"", 1);
}

static int put_integer(struct printer *p, int64_t v)
{
	char text[32];

	/* libconfig cuts what has no L to 32 bits */
	(void)text_print(text, sizeof(text), "%" PRId64 "%s", v,
			 v > INT32_MAX || v < INT32_MIN ? "L" : "");
	return put_text(p, text);
}

/* libconfig knows fewer names than JSON */
static bool is_plain_name(const char *s)
{
	const char *letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz*";

	if (!*s || !strchr(letters, *s) || !strcasecmp(s, "true") || !strcasecmp(s, "false"))
		return false;
	for (s++; *s; s++)
		if (!strchr(letters, *s) && !strchr("-_0123456789", *s))
			return false;
	return true;
}

static bool is_simple(const struct node *n)
{
	return n->type != NODE_GROUP && n->type != NODE_LIST;
}

static int put_node(struct printer *p, const struct node *n, unsigned depth);

static int put_settings(struct printer *p, const struct node *group, unsigned depth)
{
	int rc = 0;

	node_for_each(n, group) {
		if (!is_plain_name(n->name))
			return -EINVAL;
		rc = put_indent(p, depth);
		if (rc == 0)
			rc = put_text(p, n->name);
		if (rc == 0)
			rc = put_text(p, " = ");
		if (rc == 0)
			rc = put_node(p, n, depth);
		if (rc == 0)
			rc = put_text(p, ";\n");
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int put_group(struct printer *p, const struct node *n, unsigned depth)
{
	int rc = put_text(p, "{\n");

	if (rc < 0)
		return rc;
	rc = put_settings(p, n, depth + 1);
	if (rc < 0)
		return rc;
	rc = put_indent(p, depth);
	return rc < 0 ? rc : put_text(p, "}");
}

static int put_list(struct printer *p, const struct node *list, unsigned depth)
{
	bool lines = list->child && !is_simple(list->child);
	int rc = put_text(p, "(");

	node_for_each(n, list) {
		if (rc == 0 && n != list->child)
			rc = put_text(p, lines ? "," : ", ");
		if (rc == 0 && lines)
			rc = put_text(p, "\n");
		if (rc == 0 && lines)
			rc = put_indent(p, depth + 1);
		if (rc == 0)
			rc = put_node(p, n, depth + 1);
	}
	if (rc < 0)
		return rc;
	if (lines)
		rc = put_text(p, "\n");
	if (rc < 0)
		return rc;
	if (lines)
		rc = put_indent(p, depth);
	return rc < 0 ? rc : put_text(p, ")");
}

/* depth is bounded by the guard that the tree came through */
static int put_node(struct printer *p, const struct node *n, unsigned depth)
{
	switch (n->type) {
	case NODE_GROUP:
		return put_group(p, n, depth);
	case NODE_LIST:
		return put_list(p, n, depth);
	case NODE_STRING:
		return put_quoted(p, n->string);
	case NODE_INT:
		return put_integer(p, n->integer);
	case NODE_BOOL:
		return put_text(p, n->integer ? "true" : "false");
	case NODE_FLOAT:
		return put_text(p, n->string);
	case NODE_NULL:
		break;
	}
	return -EINVAL;
}

int node_print(const struct node *root, char *out, size_t size)
{
	struct printer p = {.out = out, .size = size};
	int rc;

	if (!size)
		return -ENOSPC;
	out[0] = '\0';
	rc = root->parent ? put_node(&p, root, 0) : put_settings(&p, root, 0);
	return rc < 0 ? rc : (int)p.used;
}
