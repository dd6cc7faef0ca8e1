/* What code of the bundle makes of entries: a new manifest beside the old one, by the same rules.
 */
#include <errno.h>
#include <string.h>

#include "corelib/base/arena.h"
#include "parser/manifest_draft.h"

struct amending {
	const struct manifest *old;
	struct manifest_draft *d;
	struct draft_context c;
};

static int no_memory(struct err *e)
{
	return err_set(e, E_MEMORY, ENOMEM, "no memory for the changed entries");
}

/* code may name another hash, it is signed too; it may not do without one (L1) */
static int check_hash(const struct entry *was, const struct entry *t, struct err *e)
{
	if (!t->filename || t->has_sha256 || !was->has_sha256)
		return 0;
	return err_set(e, E_DESC_HASH, EINVAL, "its sha256 was taken away: a payload needs one");
}

static int one_entry(const struct amending *x, const struct entry *was, const struct amendment *a,
		     struct entry *out, struct err *e)
{
	struct entry_draft *d;
	char label[256];
	int rc;

	if (a->what == AMEND_KEEP) {
		*out = *was;
		return 0;
	}
	d = arena_alloc(x->c.arena, sizeof(*d));
	if (!d)
		return no_memory(e);
	rc = manifest_entry_one(d, a->group, was->section, &x->c, e);
	if (rc == 0)
		rc = check_hash(was, &d->t, e);
	d->t.index = was->index;
	d->t.line = was->line;
	*out = d->t;
	entry_label(was, label, sizeof(label));
	return err_at(e, rc, "%s", label);
}

static int amend_entries(const struct amending *x, const struct amendment *list, struct err *e)
{
	const struct manifest *m = x->old;
	struct entry *all = arena_alloc(x->c.arena, (m->entry_count + 1) * sizeof(*all));
	size_t n = 0;

	if (!all)
		return no_memory(e);
	for (size_t i = 0; i < m->entry_count; i++) {
		int rc;

		if (list[i].what == AMEND_LEAVE_OUT)
			continue;
		rc = one_entry(x, &m->entries[i], &list[i], &all[n++], e);
		if (rc < 0)
			return rc;
	}
	x->d->m.entries = all;
	x->d->m.entry_count = n;
	return 0;
}

static int one_variable(const struct amending *x, const struct boot_var *was,
			const struct amendment *a, struct boot_var *out, struct err *e)
{
	int rc = 0;

	*out = *was;
	if (a->what == AMEND_REPLACE) {
		*out = (struct boot_var){.name = NULL};
		rc = manifest_variable_one(out, a->group, &x->c, e);
		out->line = was->line;
	}
	return err_at(e, rc, "bootenv, line %u", was->line);
}

static int amend_variables(const struct amending *x, const struct amendment *list, struct err *e)
{
	const struct manifest *m = x->old;
	struct boot_var *all = arena_alloc(x->c.arena, (m->bootenv_count + 1) * sizeof(*all));
	size_t n = 0;

	if (!all)
		return no_memory(e);
	for (size_t i = 0; i < m->bootenv_count; i++) {
		int rc;

		if (list[i].what == AMEND_LEAVE_OUT)
			continue;
		rc = one_variable(x, &m->bootenv[i], &list[i], &all[n++], e);
		if (rc < 0)
			return rc;
	}
	x->d->m.bootenv = all;
	x->d->m.bootenv_count = n;
	return 0;
}

int manifest_amend(struct manifest **m, const struct amendments *a,
		   const struct manifest_options *o, struct err *e)
{
	struct amending x = {.old = *m, .c = {.o = o, .arena = (*m)->arena}};
	int rc = 0;

	x.d = arena_alloc(x.c.arena, sizeof(*x.d));
	if (!x.d)
		return no_memory(e);
	x.d->m = **m;
	if (a->entries)
		rc = amend_entries(&x, a->entries, e);
	if (rc == 0 && a->bootenv)
		rc = amend_variables(&x, a->bootenv, e);
	if (rc < 0)
		return rc;
	if (!x.d->m.entry_count && !x.d->m.bootenv_count) {
		err_fix(e, "if that is not meant, correct the hooks of the description");
		return err_set(e, E_DESC_EMPTY, 0,
			       "its hooks left out everything that it describes");
	}
	rc = manifest_check_whole(&x.d->m, e);
	if (rc == 0)
		*m = &x.d->m;
	return rc;
}

int manifest_extra(const struct manifest *m, enum section section, const char *text,
		   const struct manifest_options *o, struct entry **t, struct err *e)
{
	const struct draft_context c = {.o = o, .arena = m->arena};
	struct entry_draft *d = arena_alloc(m->arena, sizeof(*d));
	const struct node *root, *group;
	int rc;

	if (!d)
		return no_memory(e);
	rc = node_parse(&root, text, strlen(text), m->arena, NULL, e);
	if (rc < 0)
		return rc;
	group = node_find(root, "entry");
	if (!group || group->type != NODE_GROUP)
		return err_set(e, E_DESC_TYPE, EINVAL, "there is no group 'entry'");
	*t = &d->t;
	return manifest_entry_one(d, group, section, &c, e);
}
