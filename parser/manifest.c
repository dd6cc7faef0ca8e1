#include "parser/manifest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "corelib/base/arena.h"
#include "corelib/base/text.h"
#include "parser/manifest_draft.h"
#include "parser/encrypted_text.h"

enum { ARENA_MAX = 64 << 20 };

const char *section_name(enum section s)
{
	switch (s) {
	case SECTION_IMAGES:
		return "images";
	case SECTION_FILES:
		return "files";
	case SECTION_SCRIPTS:
		return "scripts";
	case SECTION_PARTITIONS:
		return "partitions";
	case SECTION_BOOTENV:
		return "bootenv";
	case SECTION_VARS:
		return "vars";
	}
	return "unknown";
}

const struct property *entry_properties(const struct entry *t, const char *name)
{
	for (size_t i = 0; i < t->prop_count; i++)
		if (!strcmp(t->props[i].name, name))
			return t->props + i;
	return NULL;
}

const char *entry_property(const struct entry *t, const char *name)
{
	const struct property *p = entry_properties(t, name);

	return p ? p->values[p->count - 1] : NULL;
}

int entry_mode(const char *text, unsigned *bits)
{
	size_t n = strlen(text);

	*bits = 0;
	if (n < 3 || n > 4 || strspn(text, "01234567") != n)
		return -EINVAL;
	while (*text)
		*bits = *bits * 8 + (unsigned)(*text++ - '0');
	return 0;
}

void entry_label(const struct entry *t, char *out, size_t n)
{
	char shown[128];
	const char *name = t->filename ? t->filename : t->name ? t->name : t->type;

	text_printable(name, strlen(name), shown, sizeof(shown));
	(void)text_print(out, n, "%s[%u] (%s, line %u)", section_name(t->section), t->index, shown,
			 t->line);
}

static int fill_top(struct manifest_draft *d, const struct draft_context *c, struct err *e)
{
	for (size_t i = 0; i < manifest_schema.count; i++) {
		const struct attr *row = manifest_schema.rows + i;
		const struct node *n;
		int rc = select_element(c->selector, row, &n, e);

		if (rc == 0 && n)
			rc = schema_set(row, n, d, c->arena, e);
		if (rc < 0)
			return rc;
	}
	if (!d->bootenv)
		d->bootenv = d->uboot;
	return 0;
}

/*
 * Keys of the groups that were searched. Groups and lists may have any name there: boards, sets,
 * modes, and what links lead to.
 */
static int check_keys(const struct draft_context *c, struct err *e)
{
	struct schema s = manifest_schema;
	int rc = 0;

	s.strict = c->o->strict;
	s.note = c->o->note;
	s.arg = c->o->arg;
	for (unsigned i = 0; i < SELECT_LEVELS; i++)
		node_for_each(n, c->selector->levels[i]) {
			bool free_name = n->type == NODE_GROUP || n->type == NODE_LIST;

			if (rc == 0 && !free_name && !schema_find(&s, n->name))
				rc = schema_unknown(&s, n, e);
		}
	return rc;
}

/* a selection that leads nowhere falls back to the whole, as existing bundles need it */
static int check_selection(const struct draft_context *c, struct err *e)
{
	const struct selection *sel = &c->o->sel;
	char text[256];

	if (!sel->set || c->selector->levels[0] || c->selector->levels[1])
		return 0;
	(void)text_print(text, sizeof(text), "the description has no %.80s,%.80s", sel->set,
			 sel->mode ? sel->mode : "");
	if (c->o->strict)
		return err_set(e, E_SELECT, 0, "%s", text);
	if (c->o->note)
		c->o->note(c->o->arg, text);
	return 0;
}

int manifest_check_whole(const struct manifest *m, struct err *e)
{
	if (!m->version)
		return err_set(e, E_DESC_MISSING, 0, "software.version is missing");
	if (!m->entry_count && !m->bootenv_count)
		return err_set(e, E_DESC_EMPTY, 0,
			       "no images, files, scripts, partitions or bootenv are described%s",
			       m->var_count ? "; vars alone are not an update" : "");
	return 0;
}

static int fill_draft(struct manifest_draft *d, const struct draft_context *c, struct err *e)
{
	int rc = check_selection(c, e);

	if (rc < 0)
		return rc;
	rc = check_keys(c, e);
	if (rc < 0)
		return rc;
	rc = fill_top(d, c, e);
	if (rc < 0)
		return rc;
	rc = manifest_entries(d, c, e);
	if (rc < 0)
		return rc;
	rc = manifest_variables(d, c, e);
	return rc < 0 ? rc : manifest_check_whole(&d->m, e);
}

int manifest_parse(struct manifest **m, const void *text, size_t n,
		   const struct manifest_options *o, struct err *e)
{
	struct manifest_draft *d;
	const struct node *root;
	struct selector s = {0};
	struct arena *a = arena_new(ARENA_MAX);
	struct draft_context c = {o, a, &s};
	const struct node_limits limits = {.bytes = o->max_bytes};
	int rc;

	d = a ? arena_alloc(a, sizeof(*d)) : NULL;
	if (!d) {
		arena_free(a);
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the description");
	}
	d->m.arena = a;
	rc = encrypted_text_explain(text, n, node_parse(&root, text, n, a, &limits, e), e);
	if (rc == 0)
		rc = select_open(&s, root, &o->sel, e);
	if (rc == 0)
		rc = fill_draft(d, &c, e);
	if (rc < 0 && (e->code == E_DESC_EMPTY || e->code == E_DESC_MISSING) && !s.levels[0] &&
	    !s.levels[1])
		rc = manifest_explain(text, n, o, rc, e);
	if (rc < 0) {
		arena_free(a);
		return err_at(e, rc, "sw-description");
	}
	*m = &d->m;
	return 0;
}

void manifest_free(struct manifest *m)
{
	if (m)
		arena_free(m->arena);
}
