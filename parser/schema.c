#include "parser/schema.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "corelib/base/arena.h"
#include "corelib/base/text.h"

enum { MOST_ROWS = 128 };

/* a value, the row that says what it must be, and where it goes */
struct fill {
	const struct attr *row;
	const struct node *node;
	struct arena *arena;
	char *place; /* of the field */
};

static int refuse(const struct fill *f, enum errcode code, const char *text, struct err *e)
{
	char path[256];
	int rc;

	node_path(f->node, path, sizeof(path));
	rc = err_set(e, f->row->code ? f->row->code : code, 0, "%s %s", path, text);
	return err_at(e, rc, "%s, line %u", path, f->node->line);
}

static int wrong_type(const struct fill *f, struct err *e)
{
	char text[128];

	(void)text_print(text, sizeof(text), "must be %s, not %s", attr_type_name(f->row),
			 node_type_name(f->node->type));
	return refuse(f, E_DESC_TYPE, text, e);
}

static int fill_string(const struct fill *f, struct err *e)
{
	char text[96];
	size_t n;

	if (f->node->type != NODE_STRING)
		return wrong_type(f, e);
	n = strlen(f->node->string);
	if (n < f->row->min)
		return refuse(f, E_DESC_VALUE, n ? "is too short" : "is empty", e);
	if (f->row->max && n > f->row->max) {
		(void)text_print(text, sizeof(text), "has %zu bytes, %" PRIu64 " are allowed", n,
				 f->row->max);
		return refuse(f, E_DESC_VALUE, text, e);
	}
	if (n)
		*(const char **)f->place = f->node->string;
	return 0;
}

static int fill_bool(const struct fill *f, struct err *e)
{
	static const char *const yes[] = {"enabled", "yes"}, *const no[] = {"disabled", "no"};

	if (f->node->type == NODE_BOOL) {
		*(bool *)f->place = f->node->integer;
		return 0;
	}
	if (f->row->type != ATTR_SWITCH || f->node->type != NODE_STRING)
		return wrong_type(f, e);
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		bool on = !strcmp(f->node->string, yes[i]);

		if (on || !strcmp(f->node->string, no[i])) {
			*(bool *)f->place = on;
			return 0;
		}
	}
	return refuse(f, E_DESC_VALUE, "must be \"enabled\" or \"disabled\", true or false", e);
}

static int check_range(const struct fill *f, uint64_t v, struct err *e)
{
	char text[128];

	if (v >= f->row->min && (!f->row->max || v <= f->row->max))
		return 0;
	(void)text_print(text, sizeof(text), "is %" PRIu64 ", allowed is %" PRIu64 " to %" PRIu64,
			 v, f->row->min, f->row->max ? f->row->max : UINT64_MAX);
	return refuse(f, E_DESC_NUMBER, text, e);
}

static int fill_int(const struct fill *f, struct err *e)
{
	int64_t v = f->node->integer;
	int rc;

	if (f->node->type != NODE_INT)
		return wrong_type(f, e);
	if (v < 0)
		return refuse(f, E_DESC_NUMBER, "is negative", e);
	rc = check_range(f, (uint64_t)v, e);
	if (rc == 0)
		*(int64_t *)f->place = v;
	return rc;
}

static int fill_size(const struct fill *f, struct err *e)
{
	uint64_t v;
	int rc;

	if (f->node->type == NODE_FLOAT)
		return refuse(f, E_DESC_NUMBER, "is a fraction, a size is a whole number", e);
	if (f->node->type == NODE_INT && f->node->integer < 0)
		return refuse(f, E_DESC_NUMBER, "is negative", e);
	if (f->node->type == NODE_INT)
		v = (uint64_t)f->node->integer;
	else if (f->node->type != NODE_STRING)
		return wrong_type(f, e);
	else if (text_size(f->node->string, &v) < 0 || v > INT64_MAX)
		return refuse(f, E_DESC_NUMBER, "is not a size: a whole number, K, M or G behind",
			      e);
	rc = check_range(f, v, e);
	if (rc == 0)
		*(uint64_t *)f->place = v;
	return rc;
}

static bool hex_length_fits(const struct attr *row, size_t bytes)
{
	if (!row->min || row->min >= row->max)
		return bytes == row->max;
	return bytes >= row->min && bytes <= row->max &&
	       (bytes == 16 || bytes == 24 || bytes == 32);
}

static int fill_hex(const struct fill *f, struct err *e)
{
	uint8_t *out = (uint8_t *)f->place, any = 0;
	char text[96];
	size_t n;

	if (f->node->type != NODE_STRING)
		return wrong_type(f, e);
	n = strlen(f->node->string);
	if (n % 2 || !hex_length_fits(f->row, n / 2) ||
	    text_unhex(f->node->string, n, out, n / 2) < 0) {
		(void)text_print(text, sizeof(text), "must have %" PRIu64 " hexadecimal digits",
				 2 * f->row->max);
		return refuse(f, E_DESC_VALUE, text, e);
	}
	for (size_t i = 0; i < n / 2; i++)
		any |= out[i];
	if (!any && f->row->code == E_DESC_HASH)
		return refuse(f, E_DESC_HASH, "is a hash of zeros only", e);
	return 0;
}

/* which words there are, for a message */
static int wrong_word(const struct fill *f, enum errcode code, struct err *e)
{
	const char *const *w = f->row->values;
	char text[320] = "must be one of", shown[48];

	for (; *w; w++) {
		size_t n = strlen(text);

		if (**w)
			(void)text_print(text + n, sizeof(text) - n, " \"%s\"", *w);
	}
	if (f->node->type == NODE_STRING) {
		size_t n = strlen(text);

		text_printable(f->node->string, strlen(f->node->string), shown, sizeof(shown));
		(void)text_print(text + n, sizeof(text) - n, ", not \"%s\"", shown);
	}
	return refuse(f, code, text, e);
}

/* the table names the word, the struct has the enum */
_Static_assert(sizeof(enum attr_type) == sizeof(int), "an enum is filled as an int");

static int fill_enum(const struct fill *f, struct err *e)
{
	if (f->row->type == ATTR_BOOL_OR_ENUM && f->node->type == NODE_BOOL) {
		*(int *)f->place = f->node->integer ? 1 : 0;
		return 0;
	}
	if (f->node->type != NODE_STRING)
		return wrong_word(f, E_DESC_TYPE, e);
	for (int i = 0; f->row->values[i]; i++)
		if (*f->node->string && !strcmp(f->row->values[i], f->node->string)) {
			*(int *)f->place = i;
			return 0;
		}
	return wrong_word(f, E_DESC_VALUE, e);
}

static int fill_strings(const struct fill *f, struct err *e)
{
	bool list = f->node->type == NODE_LIST;
	struct strings *out = (struct strings *)f->place;
	const char **at;
	size_t n = 0;

	if (!list && f->node->type != NODE_STRING)
		return wrong_type(f, e);
	at = arena_alloc(f->arena, (list ? f->node->count + 1 : 1) * sizeof(*at));
	if (!at)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the texts of %s", f->row->name);
	if (!list)
		at[n++] = f->node->string;
	node_for_each(c, list ? f->node : NULL) {
		struct fill item = {f->row, c, f->arena, NULL};

		if (c->type != NODE_STRING)
			return refuse(&item, E_DESC_TYPE, "must be a text", e);
		at[n++] = c->string;
	}
	*out = (struct strings){at, n};
	return 0;
}

static int fill_node(const struct fill *f, struct err *e)
{
	if (f->node->type != NODE_GROUP &&
	    (f->row->type != ATTR_LIST || f->node->type != NODE_LIST))
		return wrong_type(f, e);
	*(const struct node **)f->place = f->node;
	return 0;
}

int schema_set(const struct attr *row, const struct node *value, void *out, struct arena *a,
	       struct err *e)
{
	static int (*const fillers[])(const struct fill *, struct err *) = {
		[ATTR_STRING] = fill_string,	 [ATTR_BOOL] = fill_bool,
		[ATTR_INT] = fill_int,		 [ATTR_SIZE] = fill_size,
		[ATTR_HEX] = fill_hex,		 [ATTR_ENUM] = fill_enum,
		[ATTR_BOOL_OR_ENUM] = fill_enum, [ATTR_STRINGS] = fill_strings,
		[ATTR_GROUP] = fill_node,	 [ATTR_LIST] = fill_node,
		[ATTR_SWITCH] = fill_bool,
	};
	struct fill f = {row, value, a, (char *)out + row->at};
	int rc = fillers[row->type](&f, e);

	if (rc == 0 && row->has)
		*(bool *)((char *)out + row->has) = true;
	return rc;
}

void schema_note(const struct schema *s, const struct node *n, const char *text, ...)
{
	char said[320], line[384];
	va_list ap;

	if (!s->note)
		return;
	va_start(ap, text);
	(void)vsnprintf(said, sizeof(said), text, ap);
	va_end(ap);
	(void)text_print(line, sizeof(line), "line %u: %s", n->line, said);
	s->note(s->arg, line);
}

static const char *nearest(const struct schema *s, const char *word)
{
	const char *names[MOST_ROWS];
	size_t n = 0;

	for (size_t i = 0; i < s->count && n < MOST_ROWS; i++)
		if (s->rows[i].where & s->where)
			names[n++] = s->rows[i].name;
	return text_nearest(word, names, n);
}

int schema_unknown(const struct schema *s, const struct node *n, struct err *e)
{
	const char *near = nearest(s, n->name);
	char path[160], shown[200], hint[96] = "";

	node_path(n, path, sizeof(path));
	(void)text_print(shown, sizeof(shown), "%s is not known", path);
	if (near)
		(void)text_print(hint, sizeof(hint), "; did you mean %s?", near);
	if (!s->strict) {
		schema_note(s, n, "%s%s", shown, hint);
		return 0;
	}
	return err_at(e, err_set(e, s->unknown, 0, "%s%s", shown, hint), "%s, line %u", path,
		      n->line);
}

const struct attr *schema_find(const struct schema *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++)
		if ((s->rows[i].where & s->where) && !strcmp(s->rows[i].name, name))
			return s->rows + i;
	return NULL;
}

/* an empty text counts as absent */
static void note_unused(const struct schema *s, const struct attr *row, const struct node *n)
{
	char path[160];

	if (!row->instead || (n->type == NODE_STRING && !*n->string))
		return;
	node_path(n, path, sizeof(path));
	schema_note(s, n, "%s is not used by this program: %s", path, row->instead);
}

int schema_fill(const struct schema *s, const struct node *group, void *out, struct arena *a,
		struct err *e)
{
	int rc = 0;

	node_for_each(n, group) {
		const struct attr *row = schema_find(s, n->name);

		rc = row ? schema_set(row, n, out, a, e) : schema_unknown(s, n, e);
		if (rc < 0)
			return rc;
		if (row)
			note_unused(s, row, n);
	}
	return 0;
}

const char *attr_type_name(const struct attr *a)
{
	static const char *const names[] = {
		[ATTR_STRING] = "a text",
		[ATTR_BOOL] = "true or false",
		[ATTR_INT] = "a whole number",
		[ATTR_SIZE] = "a size",
		[ATTR_HEX] = "hexadecimal digits in quotes",
		[ATTR_ENUM] = "a word",
		[ATTR_BOOL_OR_ENUM] = "true, false or a word",
		[ATTR_STRINGS] = "a text or a list of texts",
		[ATTR_GROUP] = "a group",
		[ATTR_LIST] = "a list of groups",
		[ATTR_SWITCH] = "enabled or disabled",
	};

	return names[a->type];
}
