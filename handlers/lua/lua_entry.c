#include "handlers/lua/lua_entry.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/text.h"

enum { KEY_MAX = 64 };

/* what SWUpdate's table has and no attribute is: read only */
static const char *const others[] = {"partition", "script", "checksum", "skip",
				     "copy2file", "read",   "_private", "slot_device"};

/* ---- names ---- */

/* "install-if-higher" is install_if_higher in Lua */
static const char *key_of(const struct attr *row, char *key)
{
	if (strcmp(row->name, "aes-key") == 0 || text_copy(key, KEY_MAX, row->name) < 0)
		return row->name;
	for (char *p = key; *p; p++)
		*p = *p == '-' ? '_' : *p;
	return key;
}

static const struct attr *row_of(const char *key, unsigned where)
{
	char name[KEY_MAX];

	for (size_t i = 0; i < entry_schema.count; i++) {
		const struct attr *row = &entry_schema.rows[i];

		if (row->where & where &&
		    (strcmp(key, row->name) == 0 || strcmp(key, key_of(row, name)) == 0))
			return row;
	}
	return NULL;
}

static bool is_other(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (strcmp(key, others[i]) == 0)
			return true;
	return false;
}

/* ---- to Lua ---- */

static const void *field(const struct attr *row, const struct entry *t)
{
	return (const char *)t + row->at; /* the entry is the first field of what rows describe */
}

static bool is_absent(const struct attr *row, const struct entry *t)
{
	if (row->has)
		return !*(const bool *)((const char *)t + row->has);
	if (strncmp(row->name, "hash-", 5) == 0)
		return !t->hashes.name;
	return row->type == ATTR_SIZE && *(const uint64_t *)field(row, t) == 0;
}

static void put_hex(struct luabuf *b, const struct attr *row, const struct entry *t)
{
	size_t n = (size_t)row->max;
	char hex[2 * 32 + 1] = "";

	if (row->at == offsetof(struct entry, aes_key))
		n = t->aes_key_len;
	if (!is_absent(row, t))
		text_hex(field(row, t), n, hex);
	luabuf_text(b, hex);
}

/* false, true for the first word of 'encrypted', else the word */
static void put_word(struct luabuf *b, const struct attr *row, const struct entry *t)
{
	int v = *(const int *)field(row, t);

	if (v == 0 || (v == 1 && strcmp(row->name, "encrypted") == 0))
		luabuf_bool(b, v);
	else
		luabuf_text(b, row->values[v]);
}

static void put_properties(struct luabuf *b, const struct entry *t)
{
	luabuf_open(b);
	for (size_t i = 0; i < t->prop_count; i++) {
		const struct property *p = &t->props[i];

		luabuf_key(b, p->name, strlen(p->name));
		if (p->count == 1) {
			luabuf_text(b, p->values[0]);
			continue;
		}
		luabuf_open(b);
		for (size_t k = 0; k < p->count; k++) {
			luabuf_key(b, NULL, 0);
			luabuf_text(b, p->values[k]);
		}
		luabuf_close(b);
	}
	luabuf_close(b);
}

static void put_value(struct luabuf *b, const struct attr *row, const struct entry *t)
{
	switch (row->type) {
	case ATTR_STRING:
		luabuf_text(b, *(const char *const *)field(row, t));
		break;
	case ATTR_BOOL:
		luabuf_bool(b, *(const bool *)field(row, t));
		break;
	case ATTR_SIZE:
		luabuf_int(b, is_absent(row, t) ? 0 : (int64_t) * (const uint64_t *)field(row, t));
		break;
	case ATTR_HEX:
		put_hex(b, row, t);
		break;
	case ATTR_BOOL_OR_ENUM:
		put_word(b, row, t);
		break;
	case ATTR_GROUP:
		put_properties(b, t);
		break;
	default:
		luabuf_nil(b);
	}
}

static void put_key(struct luabuf *b, const char *key)
{
	luabuf_key(b, key, strlen(key));
}

void lua_entry_put(struct luabuf *b, const struct entry *t, const char *slot_device)
{
	char key[KEY_MAX];

	luabuf_open(b);
	for (size_t i = 0; i < entry_schema.count; i++) {
		const struct attr *row = &entry_schema.rows[i];

		if (!(row->where & t->section))
			continue;
		put_key(b, key_of(row, key));
		put_value(b, row, t);
	}
	put_key(b, "partition");
	luabuf_bool(b, t->section == SECTION_PARTITIONS);
	put_key(b, "script");
	luabuf_bool(b, t->section == SECTION_SCRIPTS);
	put_key(b, "checksum");
	luabuf_int(b, 0);
	put_key(b, "skip");
	luabuf_int(b, 0);
	if (slot_device)
		luabuf_pair(b, "slot_device", slot_device);
	luabuf_close(b);
}

/* ---- from Lua ---- */

/* a tree that grows in the arena of the manifest; after the first error nothing is added */
struct grown {
	struct arena *arena;
	struct node *group, *last;
	struct err *e;
};

static const char *keep_text(const struct grown *g, const char *text, size_t n)
{
	char *kept = NULL;

	if (strlen(text) != n)
		err_set(g->e, E_LUA, EINVAL, "a text of an entry has a byte 0");
	else if (!text_is_utf8(text, n))
		err_set(g->e, E_LUA, EINVAL, "a text of an entry is not UTF-8");
	else if (!(kept = arena_strndup(g->arena, text, n)))
		err_set(g->e, E_MEMORY, ENOMEM, "no memory for an entry from Lua");
	return kept;
}

/* NULL after an error */
static struct node *add_node(struct grown *g, enum node_type type, const char *name)
{
	struct node *n = err_is_set(g->e) ? NULL : arena_alloc(g->arena, sizeof(*n));

	if (!n) {
		err_set(g->e, E_MEMORY, ENOMEM, "no memory for an entry from Lua");
		return NULL;
	}
	n->type = type;
	n->name = name;
	n->parent = g->group;
	n->line = g->group ? g->group->line : 0;
	if (g->last)
		g->last->next = n;
	else if (g->group)
		g->group->child = n;
	g->last = n;
	if (g->group)
		g->group->count++;
	return n;
}

static void add_text(struct grown *g, const char *name, const char *text, size_t n)
{
	const char *kept = keep_text(g, text, n);
	struct node *node = kept ? add_node(g, NODE_STRING, name) : NULL;

	if (node)
		node->string = kept;
}

/* 12.0 is a whole number, too */
static void add_number(struct grown *g, const struct luaval *v, const char *name)
{
	bool whole = v->type != LUAVAL_FLOAT || (v->number >= -0x1p63 && v->number < 0x1p63 &&
						 (double)(int64_t)v->number == v->number);
	struct node *n = add_node(g,
				  v->type == LUAVAL_BOOL ? NODE_BOOL
				  : whole		 ? NODE_INT
							 : NODE_FLOAT,
				  name);

	char text[40];

	if (!n)
		return;
	if (whole) {
		n->integer = v->type == LUAVAL_FLOAT ? (int64_t)v->number : v->integer;
		return;
	}
	text_print(text, sizeof(text), "%.17g", v->number);
	n->string = keep_text(g, text, strlen(text));
}

static void add_value(struct grown *g, const struct luaval *v, const char *name)
{
	switch (v->type) {
	case LUAVAL_TEXT:
		add_text(g, name, v->text, v->n);
		break;
	case LUAVAL_BOOL:
	case LUAVAL_INT:
	case LUAVAL_FLOAT:
		add_number(g, v, name);
		break;
	default:
		add_node(g, NODE_NULL, name);
	}
}

/* "" and, where nothing was said, the 0 that stood for it */
static bool says_nothing(const struct luaval *v, const struct attr *row, const struct entry *t)
{
	if (v->type == LUAVAL_TEXT)
		return v->n == 0;
	return row->type == ATTR_SIZE && (v->type == LUAVAL_INT || v->type == LUAVAL_FLOAT) &&
	       v->number == 0 && is_absent(row, t);
}

/* texts; numbers and flags count as the text that Lua writes them as */
static void add_property(struct grown *g, const struct luaval *v, const char *name)
{
	char text[64];
	size_t n;

	if (v->type == LUAVAL_BOOL)
		text_print(text, sizeof(text), "%s", v->integer ? "true" : "false");
	else if (v->type == LUAVAL_INT)
		text_print(text, sizeof(text), "%" PRId64, v->integer);
	else if (v->type == LUAVAL_FLOAT)
		text_print(text, sizeof(text), "%.14g", v->number);
	else {
		add_value(g, v, name);
		return;
	}
	n = strlen(text);
	if (v->type == LUAVAL_FLOAT && !text[strspn(text, "-0123456789")]) /* as Lua shows it */
		text_print(text + n, sizeof(text) - n, ".0");
	add_text(g, name, text, strlen(text));
}

static struct grown inner(const struct grown *g, struct node *group)
{
	return (struct grown){.arena = g->arena, .e = g->e, .group = group};
}

static void add_properties(struct grown *g, const struct luaval *table, const char *name)
{
	struct grown props = inner(g, add_node(g, NODE_GROUP, name));

	for (const struct luaval *v = table->child; v && !err_is_set(g->e); v = v->next) {
		const char *key = v->key && *v->key ? keep_text(g, v->key, strlen(v->key)) : NULL;

		if (!key) {
			err_set(g->e, E_LUA, EINVAL, "the name of a property is not a text");
			return;
		}
		if (v->type != LUAVAL_TABLE) {
			add_property(&props, v, key);
			continue;
		}
		struct grown list = inner(&props, add_node(&props, NODE_LIST, key));

		for (const struct luaval *i = v->child; i && !i->key; i = i->next)
			add_property(&list, i, NULL);
	}
}

/* what the table says of a row, else what the entry said */
static const struct luaval *find_value(const struct luaval *table, const struct luaval *old,
				       const struct attr *row)
{
	char key[KEY_MAX];
	const struct luaval *v = luaval_find(table, key_of(row, key));

	if (!v)
		v = luaval_find(table, row->name);
	return v ? v : luaval_find(old, key_of(row, key));
}

/* keys that no row knows are for the parser to judge; "" says nothing, whatever the key */
static void add_unknown(struct grown *g, const struct luaval *table, unsigned where)
{
	for (const struct luaval *v = table->child; v; v = v->next)
		if (v->key && *v->key && !row_of(v->key, where) && !is_other(v->key) &&
		    !(v->type == LUAVAL_TEXT && v->n == 0)) {
			const char *key = keep_text(g, v->key, strlen(v->key));

			if (key)
				add_node(g, NODE_NULL, key);
		}
}

static struct grown new_group(struct arena *a, unsigned line, struct err *e)
{
	struct grown root = {.arena = a, .e = e};
	struct grown place = inner(&root, add_node(&root, NODE_GROUP, NULL));
	struct node *n = add_node(&place, NODE_GROUP, "entry");

	if (n)
		n->line = line;
	return inner(&root, n);
}

int lua_entry_group(const struct luaval *table, const struct entry *t, struct arena *a,
		    const struct node **group, struct err *e)
{
	struct grown g = new_group(a, t->line, e);
	struct luabuf b = {.n = 0};
	const struct luaval *old = NULL;

	lua_entry_put(&b, t, NULL);
	if (b.failed)
		err_set(e, E_MEMORY, ENOMEM, "no memory for an entry from Lua");
	else if (!err_is_set(e))
		luaval_read(b.at, b.n, a, &old, e);
	for (size_t i = 0; i < entry_schema.count && !err_is_set(e); i++) {
		const struct attr *row = &entry_schema.rows[i];
		const struct luaval *v =
			row->where & t->section ? find_value(table, old, row) : NULL;

		if (v && row->type == ATTR_GROUP && v->type == LUAVAL_TABLE)
			add_properties(&g, v, row->name);
		else if (v && !says_nothing(v, row, t))
			add_value(&g, v, row->name);
	}
	free(b.at);
	add_unknown(&g, table, t->section);
	*group = g.group;
	return err_is_set(e) ? -e->sys : 0;
}

bool lua_entry_skips(const struct luaval *table)
{
	const struct luaval *v = luaval_find(table, "skip");

	if (!v || v->type == LUAVAL_NIL)
		return false;
	if (v->type == LUAVAL_TEXT)
		return strcmp(v->text, "0") != 0;
	return v->type == LUAVAL_INT || v->type == LUAVAL_FLOAT
		       ? v->number != 0
		       : v->type != LUAVAL_BOOL || v->integer;
}

/* ---- variables ---- */

void lua_variable_put(struct luabuf *b, const struct boot_var *v)
{
	luabuf_open(b);
	luabuf_pair(b, "name", v->name);
	luabuf_pair(b, "value", v->value);
	luabuf_close(b);
}

int lua_variable_group(const struct luaval *table, const struct boot_var *v, struct arena *a,
		       const struct node **group, struct err *e)
{
	struct grown g = new_group(a, v->line, e);
	const char *const names[] = {"name", "value"}, *const old[] = {v->name, v->value};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct luaval *now = luaval_find(table, names[i]);
		const char *was = old[i] ? old[i] : "";

		if (now)
			add_value(&g, now, names[i]);
		else
			add_text(&g, names[i], was, strlen(was));
	}
	*group = g.group;
	return err_is_set(e) ? -e->sys : 0;
}
