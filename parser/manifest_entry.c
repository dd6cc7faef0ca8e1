/* Entries and variables of the description: one group becomes one const value. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "corelib/base/arena.h"
#include "corelib/base/text.h"
#include "parser/manifest_draft.h"

enum { MOST_ENTRIES = 16384, MOST_VARS = 4096, HASH_BLOCK = 262144 };

struct entry_cell {
	struct entry_cell *next;
	struct entry_draft d;
};

/* the entries of one section while they are collected */
struct collect {
	const struct draft_context *c;
	struct schema schema; /* rows of this section */
	enum section section;
	unsigned index;
	struct entry_cell *first, *last;
	size_t count;
};

static int refuse(const struct node *n, enum errcode code, const char *text, struct err *e)
{
	char path[192];

	node_path(n, path, sizeof(path));
	return err_at(e, err_set(e, code, 0, "%s %s", path, text), "%s, line %u", path, n->line);
}

static int no_memory(struct err *e)
{
	return err_set(e, E_MEMORY, ENOMEM, "no memory for the entries");
}

/* ---- properties ---- */

static int property_values(struct property *p, const struct node *n, struct arena *a, struct err *e)
{
	size_t count = n->type == NODE_LIST ? n->count : 1, i = 0;
	const char **values = arena_alloc(a, count * sizeof(*values));

	if (!values)
		return no_memory(e);
	if (n->type == NODE_STRING)
		values[i++] = n->string;
	node_for_each(v, n)
		values[i++] = v->string;
	*p = (struct property){n->name, values, count};
	return 0;
}

/* a text, or a list of texts with at least one */
static bool is_property(const struct node *n)
{
	if (n->type != NODE_LIST || !n->child)
		return n->type == NODE_STRING;
	node_for_each(v, n)
		if (v->type != NODE_STRING)
			return false;
	return true;
}

static int fill_properties(const struct collect *k, struct entry_draft *d, struct err *e)
{
	const struct node *group = d->properties;
	struct property *props;
	int rc = 0;

	if (!group || !group->count)
		return 0;
	props = arena_alloc(k->c->arena, group->count * sizeof(*props));
	if (!props)
		return no_memory(e);
	d->t.props = props;
	node_for_each(n, group) {
		if (is_property(n))
			rc = property_values(&props[d->t.prop_count++], n, k->c->arena, e);
		else if (k->schema.strict)
			rc = refuse(n, E_PROPERTY, "must be a text or a list of texts", e);
		else
			schema_note(&k->schema, n,
				    "property %s is neither a text nor a list of "
				    "texts and is ignored",
				    n->name);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int fill_decompressed_size(struct entry_draft *d, struct err *e)
{
	const char *text = entry_property(&d->t, "decompressed-size");

	if (!text)
		return 0;
	if (text_size(text, &d->t.decompressed_size) < 0)
		return refuse(node_find(d->properties, "decompressed-size"), E_DESC_NUMBER,
			      "is not a size: a whole number, K, M or G behind", e);
	d->t.has_decompressed_size = true;
	return 0;
}

/* ---- checks across attributes ---- */

static int check_filename(const struct entry *t, const struct node *n, struct err *e)
{
	const struct node *at = node_find(n, "filename");
	const char *f = t->filename;

	if (strchr(f, '/') || !strcmp(f, ".") || !strcmp(f, ".."))
		return refuse(at, E_DESC_VALUE,
			      "is the name of a member: without '/', '.' and '..'", e);
	if (text_has_control(f, strlen(f)) || strpbrk(f, "\t\r\n"))
		return refuse(at, E_DESC_VALUE, "has control bytes", e);
	if (t->parts && strlen(f) > 255 - strlen(".001"))
		return refuse(at, E_DESC_VALUE, "is too long to have parts", e);
	return 0;
}

static int check_hash_list(const struct entry *t, const struct node *n, struct err *e)
{
	const struct node *block = node_find(n, "hash-block");

	if (t->hashes.block & (t->hashes.block - 1))
		return refuse(block, E_DESC_VALUE, "is not a power of two", e);
	if (t->hashes.name && !node_find(n, "hash-list-sha256"))
		return refuse(n, E_DESC_HASH, "has hash-list without hash-list-sha256", e);
	if (!t->hashes.name && (block || node_find(n, "hash-list-sha256")))
		return refuse(n, E_DESC_MISSING,
			      "has hash-block or hash-list-sha256 without hash-list", e);
	if (t->hashes.name && strchr(t->hashes.name, '/'))
		return refuse(node_find(n, "hash-list"), E_DESC_VALUE,
			      "is the name of a member, without '/'", e);
	return 0;
}

static int default_type(struct entry *t, const struct node *n, struct err *e)
{
	if (t->type)
		return 0;
	switch (t->section) {
	case SECTION_IMAGES:
		t->type = t->volume ? "ubivol" : t->device || t->slot ? "raw" : NULL;
		break;
	case SECTION_FILES:
		t->type = "rawfile";
		break;
	case SECTION_SCRIPTS:
		t->type = "lua";
		break;
	case SECTION_PARTITIONS:
		t->type = "ubipartition";
		break;
	default:
		t->type = "bootloader";
		break;
	}
	return t->type ? 0
		       : refuse(n, E_DESC_MISSING, "has neither type, device, slot nor volume", e);
}

static int check_rights(const struct entry *t, const struct node *n, struct err *e)
{
	unsigned bits;

	if (t->mode && entry_mode(t->mode, &bits) < 0)
		return refuse(node_find(n, "mode"), E_DESC_VALUE,
			      "must be three or four octal digits in quotes, as \"0640\"", e);
	if ((t->mode || t->owner || t->group) && strcmp(t->type, "rawfile") != 0)
		return refuse(n, E_DESC_VALUE, "has mode, owner or group, which only rawfile sets",
			      e);
	return 0;
}

static int check_entry(const struct collect *k, struct entry *t, const struct node *n,
		       struct err *e)
{
	int rc = default_type(t, n, e);

	if (rc < 0)
		return rc;
	if (t->section == SECTION_PARTITIONS && !t->device)
		return refuse(n, E_DESC_MISSING, "has no device", e);
	if (t->parts && !t->filename)
		return refuse(n, E_DESC_MISSING, "has parts without filename", e);
	if (t->slot && t->device)
		return refuse(n, E_DESC_VALUE, "has both slot and device", e);
	rc = check_rights(t, n, e);
	if (rc < 0)
		return rc;
	if (t->filename)
		rc = check_filename(t, n, e);
	if (rc < 0)
		return rc;
	if (t->filename && !t->has_sha256 && k->c->o->hash_required)
		rc = refuse(n, E_DESC_HASH, "has no sha256", e);
	return rc < 0 ? rc : check_hash_list(t, n, e);
}

static void note_habits(const struct collect *k, const struct node *n)
{
	const struct node *compressed = node_find(n, "compressed");

	if (compressed && compressed->type == NODE_BOOL && compressed->integer)
		schema_note(&k->schema, compressed,
			    "compressed = true is the old form of \"zlib\"");
}

static int fill_entry(struct collect *k, struct entry_draft *d, const struct node *n, struct err *e)
{
	const struct node *key = node_find(n, "aes-key");
	int rc;

	d->t.section = k->section;
	d->t.index = k->index++;
	d->t.line = n->line;
	d->t.hashes.block = HASH_BLOCK;
	rc = schema_fill(&k->schema, n, d, k->c->arena, e);
	if (rc < 0)
		return rc;
	if (key)
		d->t.aes_key_len = (unsigned)(strlen(key->string) / 2);
	rc = fill_properties(k, d, e);
	if (rc == 0)
		rc = fill_decompressed_size(d, e);
	if (rc == 0)
		rc = check_entry(k, &d->t, n, e);
	note_habits(k, n);
	return rc;
}

int manifest_entry_one(struct entry_draft *d, const struct node *n, enum section section,
		       const struct draft_context *c, struct err *e)
{
	struct collect k = {.c = c, .schema = entry_schema, .section = section};

	k.schema.name = section_name(section);
	k.schema.where = section;
	k.schema.strict = c->o->strict;
	k.schema.note = c->o->note;
	k.schema.arg = c->o->arg;
	return fill_entry(&k, d, n, e);
}

static int add_entry(void *arg, const struct node *n, struct err *e)
{
	struct collect *k = arg;
	struct entry_cell *cell;

	/* in bootenv only a file of variables is an entry */
	if (k->section == SECTION_BOOTENV && !node_find(n, "filename")) {
		k->index++;
		return 0;
	}
	if (k->count >= MOST_ENTRIES)
		return refuse(n, E_DESC_LIMIT, "is one of too many entries", e);
	cell = arena_alloc(k->c->arena, sizeof(*cell));
	if (!cell)
		return no_memory(e);
	if (k->last)
		k->last->next = cell;
	else
		k->first = cell;
	k->last = cell;
	k->count++;
	return fill_entry(k, &cell->d, n, e);
}

static int collect_section(struct collect *k, const struct node *list, enum section section,
			   struct err *e)
{
	const struct select_each each = {add_entry, k};

	k->section = section;
	k->index = 0;
	k->schema.name = section_name(section);
	k->schema.where = section;
	return list ? select_list(k->c->selector, list, &each, e) : 0;
}

int manifest_entries(struct manifest_draft *d, const struct draft_context *c, struct err *e)
{
	struct collect k = {.c = c, .schema = entry_schema};
	struct entry *all;
	size_t n = 0;
	int rc;

	k.schema.strict = c->o->strict;
	k.schema.note = c->o->note;
	k.schema.arg = c->o->arg;
	rc = collect_section(&k, d->partitions, SECTION_PARTITIONS, e);
	if (rc == 0)
		rc = collect_section(&k, d->images, SECTION_IMAGES, e);
	if (rc == 0)
		rc = collect_section(&k, d->files, SECTION_FILES, e);
	if (rc == 0)
		rc = collect_section(&k, d->bootenv, SECTION_BOOTENV, e);
	if (rc == 0)
		rc = collect_section(&k, d->scripts, SECTION_SCRIPTS, e);
	if (rc < 0)
		return rc;
	all = arena_alloc(c->arena, (k.count + 1) * sizeof(*all));
	if (!all)
		return no_memory(e);
	for (const struct entry_cell *cell = k.first; cell; cell = cell->next)
		all[n++] = cell->d.t;
	d->m.entries = all;
	d->m.entry_count = n;
	return 0;
}

/* ---- variables ---- */

struct var_cell {
	struct var_cell *next;
	struct boot_var v;
};

struct collect_vars {
	const struct draft_context *c;
	enum section section;
	struct schema schema;
	struct var_cell *first, *last;
	size_t count;
};

static int fill_var(struct boot_var *v, const struct node *n, const struct schema *s,
		    struct arena *a, struct err *e)
{
	int rc;

	v->line = n->line;
	rc = schema_fill(s, n, v, a, e);
	if (rc < 0)
		return rc;
	if (!v->name)
		rc = refuse(n, E_DESC_MISSING, "has no name", e);
	return rc;
}

int manifest_variable_one(struct boot_var *v, const struct node *n, const struct draft_context *c,
			  struct err *e)
{
	struct schema s = boot_var_schema;

	s.name = section_name(SECTION_BOOTENV);
	s.where = SECTION_BOOTENV;
	s.strict = c->o->strict;
	s.note = c->o->note;
	s.arg = c->o->arg;
	return fill_var(v, n, &s, c->arena, e);
}

static int add_var(void *arg, const struct node *n, struct err *e)
{
	struct collect_vars *k = arg;
	struct var_cell *cell;
	int rc;

	if (k->section == SECTION_BOOTENV && node_find(n, "filename"))
		return 0; /* a file of variables: an entry */
	cell = arena_alloc(k->c->arena, sizeof(*cell));
	if (!cell)
		return no_memory(e);
	if (k->count >= MOST_VARS)
		return refuse(n, E_DESC_LIMIT, "is one of too many variables", e);
	rc = fill_var(&cell->v, n, &k->schema, k->c->arena, e);
	if (rc < 0)
		return rc;
	/* the first one of a name counts, as existing bundles have it */
	for (const struct var_cell *v = k->first; v; v = v->next)
		if (!strcmp(v->v.name, cell->v.name)) {
			schema_note(&k->schema, n,
				    "%s is set in line %u already; this one is ignored",
				    cell->v.name, v->v.line);
			return 0;
		}
	if (k->last)
		k->last->next = cell;
	else
		k->first = cell;
	k->last = cell;
	k->count++;
	return 0;
}

static int finish_vars(const struct collect_vars *k, const struct boot_var **out, size_t *count,
		       struct err *e)
{
	struct boot_var *all = arena_alloc(k->c->arena, (k->count + 1) * sizeof(*all));

	if (!all)
		return no_memory(e);
	for (const struct var_cell *v = k->first; v; v = v->next)
		all[(*count)++] = v->v;
	*out = all;
	return 0;
}

static int collect_vars(struct collect_vars *k, const struct node *list, enum section section,
			struct err *e)
{
	const struct select_each each = {add_var, k};

	k->section = section;
	k->schema.name = section_name(section);
	k->schema.where = section;
	return list ? select_list(k->c->selector, list, &each, e) : 0;
}

int manifest_variables(struct manifest_draft *d, const struct draft_context *c, struct err *e)
{
	struct collect_vars env = {.c = c, .schema = boot_var_schema}, vars;
	int rc;

	env.schema.strict = c->o->strict;
	env.schema.note = c->o->note;
	env.schema.arg = c->o->arg;
	vars = env;
	rc = collect_vars(&env, d->bootenv, SECTION_BOOTENV, e);
	if (rc < 0)
		return rc;
	rc = collect_vars(&vars, d->vars, SECTION_VARS, e);
	if (rc < 0)
		return rc;
	rc = finish_vars(&env, &d->m.bootenv, &d->m.bootenv_count, e);
	return rc < 0 ? rc : finish_vars(&vars, &d->m.vars, &d->m.var_count, e);
}
