#include "core/build/template.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/arena.h"

#define TEXT_MAX  (1024 * 1024)
#define ARENA_MAX (64 * 1024 * 1024)

/* ---- @@NAME@@ --------------------------------------------------------------------------- */

struct expansion {
	char *at;
	size_t n;
};

static int append(struct expansion *x, const char *s, size_t n, struct err *e)
{
	if (n > TEXT_MAX - x->n)
		return err_set(e, E_DESC_LIMIT, EFBIG, "the description has more than %d bytes",
			       TEXT_MAX);
	memcpy(x->at + x->n, s, n);
	x->n += n;
	return 0;
}

static unsigned line_of(const char *text, const char *at)
{
	unsigned line = 1;

	while (text < at)
		line += *text++ == '\n';
	return line;
}

/* the length of a variable's name at s, if "@@" follows it */
static size_t name_length(const char *s, const char *end)
{
	size_t n = 0;

	while (s + n < end && (s[n] == '_' || (s[n] >= 'A' && s[n] <= 'Z') ||
			       (s[n] >= 'a' && s[n] <= 'z') || (n && s[n] >= '0' && s[n] <= '9')))
		n++;
	return n && end - (s + n) >= 2 && s[n] == '@' && s[n + 1] == '@' ? n : 0;
}

/* does a name stand there, as in "@@MACHINE@@ = {"? 'after' is behind it */
static bool is_key(const char *after, const char *end)
{
	while (after < end && (*after == ' ' || *after == '\t'))
		after++;
	return after < end && (*after == '=' || *after == ':');
}

static int expand_one(struct expansion *x, const char *name, bool key,
		      const struct template_vars *v, struct err *e)
{
	const char *value = v->find(v->arg, name);

	/* lint leaves open what has no value: a name of a group cannot hold the marks */
	if (value && key && strncmp(value, "@@", 2) == 0)
		value = name;

	if (!value)
		return err_set(e, E_BUILD, ENOENT,
			       "the variable %s has no value; set it in the environment "
			       "or in the file named by --vars",
			       name);
	if (text_has_control(value, strlen(value)) || strchr(value, '\n'))
		return err_set(e, E_BUILD, EINVAL,
			       "the value of the variable %s has control characters", name);
	return append(x, value, strlen(value), e);
}

static int expand_into(struct expansion *x, const char *text, size_t n,
		       const struct template_vars *v, struct err *e)
{
	const char *s = text, *end = text + n;
	char name[128];
	int rc = 0;

	while (rc == 0 && s < end) {
		const char *mark = memmem(s, (size_t)(end - s), "@@", 2);
		size_t len = mark ? name_length(mark + 2, end) : 0;

		if (!mark)
			return append(x, s, (size_t)(end - s), e);
		if (!len || text_print(name, sizeof(name), "%.*s", (int)len, mark + 2) < 0) {
			rc = append(x, s, (size_t)(mark + 1 - s), e);
			s = mark + 1;
			continue;
		}
		rc = append(x, s, (size_t)(mark - s), e);
		if (rc == 0)
			rc = err_at(e, expand_one(x, name, is_key(mark + len + 4, end), v, e),
				    "line %u", line_of(text, mark));
		s = mark + 2 + len + 2;
	}
	return rc;
}

/* ---- $swupdate_get_...(FILE) ------------------------------------------------------------ */

static const struct {
	const char *text;
	enum template_call what;
} calls[] = {{"$swupdate_get_sha256(", CALL_SHA256}, {"$swupdate_get_size(", CALL_SIZE}};

/* the row of the call that begins at s, or -1 */
static int call_at(const char *s, size_t left)
{
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (left > strlen(calls[i].text) &&
		    memcmp(s, calls[i].text, strlen(calls[i].text)) == 0)
			return (int)i;
	return -1;
}

/* answer one call; *s is moved behind it */
static int answer(struct expansion *x, const char **s, size_t left, const struct template_vars *v,
		  struct err *e)
{
	int row = call_at(*s, left), rc;
	const char *file = *s + strlen(calls[row].text);
	size_t room = left - (size_t)(file - *s);
	const char *end = memchr(file, ')', room);
	char name[256], text[CALL_ANSWER];

	if (!end || memchr(file, '\n', (size_t)(end - file)) ||
	    text_print(name, sizeof(name), "%.*s", (int)(end - file), file) < 0 || !*name)
		return err_set(e, E_BUILD, EINVAL, "%s names no file", calls[row].text + 1);
	rc = v->call(v->arg, calls[row].what, name, text, e);
	*s = end + 1;
	return rc < 0 ? err_at(e, rc, "%s", name) : append(x, text, strlen(text), e);
}

static int answer_all(struct expansion *x, const struct expansion *in,
		      const struct template_vars *v, struct err *e)
{
	const char *s = in->at, *end = in->at + in->n;
	int rc = 0;

	while (rc == 0 && s < end) {
		const char *mark = memchr(s, '$', (size_t)(end - s));
		bool call = mark && call_at(mark, (size_t)(end - mark)) >= 0;
		const char *upto = !mark ? end : call ? mark : mark + 1;

		rc = append(x, s, (size_t)(upto - s), e);
		s = upto;
		if (rc == 0 && call)
			rc = err_at(e, answer(x, &s, (size_t)(end - s), v, e), "line %u",
				    line_of(in->at, mark));
	}
	return rc;
}

static int with_calls(struct expansion *x, const struct template_vars *v, struct err *e)
{
	struct expansion plain = *x;
	int rc;

	x->at = malloc(TEXT_MAX + 1);
	x->n = 0;
	rc = x->at ? answer_all(x, &plain, v, e)
		   : err_set(e, E_MEMORY, ENOMEM, "no memory for the description");
	free(plain.at);
	return rc;
}

int template_expand(const char *text, size_t n, const struct template_vars *v, char **out,
		    size_t *out_n, struct err *e)
{
	struct expansion x = {.at = malloc(TEXT_MAX + 1)};
	int rc;

	*out = NULL;
	if (!x.at)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the description");
	rc = expand_into(&x, text, n, v, e);
	if (rc == 0 && v->call)
		rc = with_calls(&x, v, e);
	if (rc < 0) {
		free(x.at);
		return rc;
	}
	x.at[x.n] = '\0';
	*out = x.at;
	*out_n = x.n;
	return 0;
}

/* ---- a copy of the tree that may change --------------------------------------------------- */

static int no_memory(struct err *e)
{
	return err_set(e, E_MEMORY, ENOMEM, "no memory for the description");
}

/* depth is bounded by the parser that made the tree */
static struct node *template_copy(struct arena *a, const struct node *from,
				  const struct node *parent)
{
	struct node *n = arena_alloc(a, sizeof(*n)), *child;
	const struct node **link;

	if (!n)
		return NULL;
	*n = *from;
	n->parent = parent;
	n->next = NULL;
	link = &n->child;
	for (const struct node *c = from->child; c; c = c->next) {
		child = template_copy(a, c, n);
		if (!child)
			return NULL;
		*link = child;
		link = &child->next;
	}
	return n;
}

/* the nearest name above: "images" for an entry of that list */
static const char *list_of(const struct node *n)
{
	while (n && !n->name)
		n = n->parent;
	return n ? n->name : "";
}

static bool is_entry(const struct node *n)
{
	const struct node *file = n->type == NODE_GROUP ? node_find(n, "filename") : NULL;

	return file && file->type == NODE_STRING &&
	       (!n->name || strcmp(n->name, "properties") != 0);
}

/* counts without 'to' */
static size_t collect(struct node *n, struct template_entry *to)
{
	size_t found = 0;

	if (is_entry(n)) {
		if (to)
			*to = (struct template_entry){.group = n,
						      .filename = node_find(n, "filename")->string,
						      .line = n->line,
						      .script = strcmp(list_of(n), "scripts") == 0,
						      .image = strcmp(list_of(n), "images") == 0,
						      .file = strcmp(list_of(n), "files") == 0};
		found = 1;
	}
	/* the copies are ours: the const of their links is for readers */
	for (struct node *c = (struct node *)n->child; c; c = (struct node *)c->next)
		found += collect(c, to ? to + found : NULL);
	return found;
}

int template_load(struct template **out, const char *text, size_t n, const struct template_vars *v,
		  struct err *e)
{
	struct arena *a = arena_new(ARENA_MAX);
	struct template *t = a ? arena_alloc(a, sizeof(*t)) : NULL;
	AUTO_FREE char *full = NULL;
	const struct node *root;
	size_t full_n;
	int rc = t ? template_expand(text, n, v, &full, &full_n, e) : no_memory(e);

	*out = NULL;
	if (rc == 0)
		rc = node_parse(&root, full, full_n, a, NULL, e);
	if (rc == 0) {
		t->arena = a;
		t->root = template_copy(a, root, NULL);
		t->count = t->root ? collect(t->root, NULL) : 0;
		t->entries = arena_alloc(a, (t->count + 1) * sizeof(*t->entries));
		if (!t->root || !t->entries)
			rc = no_memory(e);
	}
	if (rc < 0) {
		arena_free(a);
		return rc;
	}
	collect(t->root, t->entries);
	*out = t;
	return 0;
}

void template_free(struct template *t)
{
	if (t)
		arena_free(t->arena);
}

/* ---- attributes ------------------------------------------------------------------------- */

static struct node *find(struct node *group, const char *name)
{
	return (struct node *)node_find(group, name);
}

static struct node *find_or_add(struct template *t, struct node *group, const char *name)
{
	struct node *n = find(group, name);
	const struct node **link = &group->child;

	if (n)
		return n;
	n = arena_alloc(t->arena, sizeof(*n));
	if (!n)
		return NULL;
	n->name = arena_strndup(t->arena, name, strlen(name));
	if (!n->name)
		return NULL;
	n->parent = group;
	n->line = group->line;
	while (*link)
		link = &((struct node *)*link)->next;
	*link = n;
	group->count++;
	return n;
}

int template_set_text(struct template *t, struct node *group, const char *name, const char *value,
		      struct err *e)
{
	struct node *n = find_or_add(t, group, name);
	char *copied = arena_strndup(t->arena, value, strlen(value));

	if (!n || !copied)
		return no_memory(e);
	n->type = NODE_STRING;
	n->string = copied;
	n->child = NULL;
	return 0;
}

int template_set_number(struct template *t, struct node *group, const char *name, uint64_t value,
			struct err *e)
{
	struct node *n = find_or_add(t, group, name);

	if (!n)
		return no_memory(e);
	if (value > INT64_MAX)
		return err_set(e, E_BUILD, ERANGE, "%s = %" PRIu64 " is too large", name, value);
	n->type = NODE_INT;
	n->integer = (int64_t)value;
	n->child = NULL;
	return 0;
}

int template_set_true(struct template *t, struct node *group, const char *name, struct err *e)
{
	struct node *n = find_or_add(t, group, name);

	if (!n)
		return no_memory(e);
	n->type = NODE_BOOL;
	n->integer = 1;
	n->child = NULL;
	return 0;
}

void template_unset(struct node *group, const char *name)
{
	const struct node **link = &group->child;

	while (*link && strcmp((*link)->name, name) != 0)
		link = &((struct node *)*link)->next;
	if (!*link)
		return;
	*link = (*link)->next;
	group->count--;
}

int template_group(struct template *t, struct node *parent, const char *name, struct node **group,
		   struct err *e)
{
	bool there = find(parent, name) != NULL;

	*group = find_or_add(t, parent, name);
	if (!*group)
		return no_memory(e);
	if (!there)
		(*group)->type = NODE_GROUP;
	if ((*group)->type != NODE_GROUP)
		return err_at(e, err_set(e, E_DESC_TYPE, EINVAL, "%s must be a group", name),
			      "line %u", (*group)->line);
	return 0;
}

/* ---- text ------------------------------------------------------------------------------- */

int template_print(const struct template *t, char **text, size_t *n, struct err *e)
{
	char *out = malloc(TEXT_MAX + 1);
	int rc;

	*text = NULL;
	if (!out)
		return no_memory(e);
	rc = node_print(t->root, out, TEXT_MAX + 1);
	if (rc < 0) {
		free(out);
		return rc == -ENOSPC
			       ? err_set(e, E_DESC_LIMIT, EFBIG,
					 "the description has more than %d bytes", TEXT_MAX)
			       : err_set(e, E_BUILD, EINVAL,
					 "the description has null, or a name that libconfig cannot say");
	}
	*text = out;
	*n = (size_t)rc;
	return 0;
}
