#include "core/build/lint_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/build/choices.h"
#include "core/build/contents.h"
#include "corelib/base/arena.h"
#include "corelib/base/text.h"

#define ARENA_MAX (64 * 1024 * 1024)
#define LEVELS	  3 /* board, set, mode */

/* ---- findings --------------------------------------------------------------------------- */

struct lint_said {
	struct lint_said *next;
	unsigned line;
	const char *text;
};

static bool is_said(const struct lint *l, unsigned line, const char *text)
{
	for (const struct lint_said *s = l->said; s; s = s->next)
		if (s->line == line && strcmp(s->text, text) == 0)
			return true;
	return false;
}

static void lint_tell(struct lint *l, const struct lint_finding *f)
{
	struct lint_said *s;

	if (is_said(l, f->line, f->text))
		return;
	s = arena_alloc(l->arena, sizeof(*s));
	if (s)
		s->text = arena_strndup(l->arena, f->text, strlen(f->text));
	if (!s || !s->text) {
		l->no_memory = true;
		return;
	}
	s->line = f->line;
	s->next = l->said;
	l->said = s;
	*(f->error ? &l->r->errors : &l->r->warnings) += 1;
	if (l->o->found)
		l->o->found(l->o->arg, f);
}

static void __attribute__((format(printf, 4, 0)))
say(struct lint *l, struct lint_finding *f, const struct node *n, const char *text, va_list ap)
{
	char path[192] = "", said[512], line[768], shown[768];

	(void)vsnprintf(said, sizeof(said), text, ap);
	if (n)
		node_path(n, path, sizeof(path));
	(void)text_print(line, sizeof(line), "%s%s%s", path, *path ? " " : "", said);
	text_printable(line, strlen(line), shown, sizeof(shown));
	f->line = n ? n->line : 0;
	f->text = shown;
	lint_tell(l, f);
}

void lint_say(struct lint *l, bool error, const struct node *n, const char *text, ...)
{
	struct lint_finding f = {.error = error};
	va_list ap;

	va_start(ap, text);
	say(l, &f, n, text, ap);
	va_end(ap);
}

void lint_no_handler(struct lint *l, const struct node *n, const char *text, ...)
{
	struct lint_finding f = {.handler = true};
	va_list ap;

	va_start(ap, text);
	say(l, &f, n, text, ap);
	va_end(ap);
}

static unsigned line_in(const char *where)
{
	const char *at = strstr(where, "line ");

	return at ? (unsigned)strtoul(at + 5, NULL, 10) : 0;
}

void lint_refused(struct lint *l, const struct node *n, struct err *e)
{
	unsigned line = line_in(e->where);
	const struct lint_finding f = {.error = true,
				       .unknown = e->code == E_DESC_UNKNOWN,
				       .line = line || !n ? line : n->line,
				       .text = e->why};

	if (e->code == E_MEMORY)
		l->no_memory = true;
	else
		lint_tell(l, &f);
	err_clear(e);
}

/* ---- what only templates have ------------------------------------------------------------ */

/* @@NAME@@ without a value, and what build replaces anyway: "@file" and "<file_sha256>", the forms
 * of existing templates */
static bool is_open(const struct node *n)
{
	if (n->type != NODE_STRING)
		return false;
	return strstr(n->string, "@@") || n->string[0] == '@' || n->string[0] == '<';
}

static void drop_open(struct node *group)
{
	for (const struct node *n = group->child, *next; n; n = next) {
		const struct attr *row = schema_find(&entry_schema, n->name);

		next = n->next;
		if (row && row->type != ATTR_STRING && is_open(n))
			template_unset(group, n->name);
	}
}

static void drop_list_wish(struct node *group)
{
	const struct node *list = node_find(group, "hash-list");

	if (!list || list->type != NODE_BOOL)
		return;
	template_unset(group, "hash-list");
	template_unset(group, "hash-block");
}

/* as the finished description will be */
static int prepare(struct lint *l, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < l->t->count; i++) {
		const struct template_entry *t = &l->t->entries[i];
		const char *slash = strrchr(t->filename, '/');

		drop_open(t->group);
		drop_list_wish(t->group);
		template_unset(t->group, ENCRYPTED_ALREADY);
		if (slash && slash[1])
			rc = template_set_text(l->t, t->group, "filename", slash + 1, e);
	}
	return rc;
}

/* ---- entries ---------------------------------------------------------------------------- */

struct in_section {
	struct lint *l;
	enum section section;
};

static bool check_attributes(struct lint *l, const struct node *group, enum section section)
{
	struct schema s = entry_schema;
	struct entry_draft scratch = {0};
	bool good = true;
	struct err e;

	s.where = section;
	s.strict = true;
	node_for_each(n, group) {
		const struct attr *row = schema_find(&s, n->name);

		err_clear(&e);
		if (!row)
			(void)schema_unknown(&s, n, &e);
		else if (schema_set(row, n, &scratch, l->arena, &e) < 0)
			good = false;
		if (err_is_set(&e))
			lint_refused(l, n, &e);
	}
	return good;
}

static int add_entry(struct lint *l, const struct node *group, enum section section)
{
	const struct manifest_options o = {.hash_required = l->o->finished};
	const struct draft_context c = {&o, l->arena, &l->sel};
	struct lint_entry *x = arena_alloc(l->arena, sizeof(*x)), **link = &l->entries;
	struct err e;

	err_clear(&e);
	if (!x)
		return -ENOMEM;
	if (manifest_entry_one(&x->d, group, section, &c, &e) < 0) {
		lint_refused(l, group, &e);
		return 0;
	}
	while (*link)
		link = &(*link)->next;
	*link = x;
	x->node = group;
	lint_entry_rules(l, x);
	return 0;
}

static void check_variable(struct lint *l, const struct node *group, enum section section)
{
	struct schema s = boot_var_schema;
	struct boot_var v = {0};
	struct err e;

	s.where = section;
	s.strict = true;
	node_for_each(n, group) {
		const struct attr *row = schema_find(&s, n->name);

		err_clear(&e);
		if ((row ? schema_set(row, n, &v, l->arena, &e) : schema_unknown(&s, n, &e)) < 0)
			lint_refused(l, n, &e);
	}
	lint_variable_rules(l, group);
}

static int check_group(void *arg, const struct node *group, struct err *e)
{
	const struct in_section *in = arg;
	bool variable = in->section == SECTION_VARS ||
			(in->section == SECTION_BOOTENV && !node_find(group, "filename"));
	int rc = 0;

	if (variable)
		check_variable(in->l, group, in->section);
	else if (check_attributes(in->l, group, in->section))
		rc = add_entry(in->l, group, in->section);
	return rc < 0 ? err_set(e, E_MEMORY, ENOMEM, "no memory for the entries") : 0;
}

/* each item for itself, so that one bad link does not hide the others */
static void check_list(struct lint *l, const struct node *list, enum section section)
{
	struct in_section in = {l, section};
	const struct select_each each = {check_group, &in};
	bool one = list->type != NODE_LIST;
	struct err e;

	for (const struct node *n = one ? list : list->child; n; n = one ? NULL : n->next) {
		err_clear(&e);
		if (select_list(&l->sel, n, &each, &e) < 0)
			lint_refused(l, n, &e);
	}
}

/* ---- selections ------------------------------------------------------------------------- */

static void check_elements(struct lint *l)
{
	struct manifest_draft d = {0};
	struct err e;

	for (size_t i = 0; i < manifest_schema.count; i++) {
		const struct attr *row = &manifest_schema.rows[i];
		const struct node *n;

		err_clear(&e);
		if (select_element(&l->sel, row, &n, &e) < 0) {
			lint_refused(l, select_find(&l->sel, row->name), &e);
			continue;
		}
		if (n && !is_open(n) && schema_set(row, n, &d, l->arena, &e) < 0)
			lint_refused(l, n, &e);
		if (n && is_open(n) && strcmp(row->name, "version") == 0)
			d.m.version = n->string;
	}
	l->top = d.m;
}

static bool check_lists(struct lint *l)
{
	static const struct {
		const char *name;
		enum section section;
	} lists[] = {{"partitions", SECTION_PARTITIONS},
		     {"images", SECTION_IMAGES},
		     {"files", SECTION_FILES},
		     {"bootenv", SECTION_BOOTENV},
		     {"uboot", SECTION_BOOTENV},
		     {"scripts", SECTION_SCRIPTS},
		     {"vars", SECTION_VARS}};
	bool any = false;

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		const struct node *n = select_find(&l->sel, lists[i].name);

		if (!n || (n->type != NODE_LIST && n->type != NODE_GROUP))
			continue;
		any = any || (n->count && lists[i].section != SECTION_VARS);
		check_list(l, n, lists[i].section);
	}
	return any;
}

static void check_selection(struct lint *l, const struct selection *s)
{
	const struct node *software = node_find(l->t->root, "software");
	char label[256];
	struct err e;

	err_clear(&e);
	choice_label(s, label, sizeof(label));
	l->label = label;
	l->entries = NULL;
	if (select_open(&l->sel, l->t->root, s, &e) < 0) {
		lint_refused(l, software, &e);
		return;
	}
	check_elements(l);
	if (!select_find(&l->sel, "version"))
		lint_say(l, true, software, "has no version");
	if (!check_lists(l))
		lint_say(l, true, software, "has nothing to install%s%s", *label ? " for " : "",
			 label);
	lint_selection_rules(l);
}

/* ---- keys that nobody reads --------------------------------------------------------------- */

/* does a link anywhere lead through this name? */
static bool is_linked(const struct node *in, const char *name)
{
	size_t len = strlen(name);
	bool is_ref = in->type == NODE_STRING && in->name && strcmp(in->name, "ref") == 0;

	for (const char *at = is_ref ? strstr(in->string, name) : NULL; at;
	     at = strstr(at + 1, name))
		if (at > in->string && (at[-1] == '/' || at[-1] == '#') &&
		    (!at[len] || at[len] == '/'))
			return true;
	node_for_each(c, in)
		if (is_linked(c, name))
			return true;
	return false;
}

/* what may be installed lies somewhere below */
static bool leads_to_lists(const struct node *group)
{
	node_for_each(c, group) {
		const struct attr *row = c->name ? schema_find(&manifest_schema, c->name) : NULL;

		if ((row && row->type == ATTR_LIST) || (c->name && strcmp(c->name, "ref") == 0))
			return true;
		if (c->type == NODE_GROUP && leads_to_lists(c))
			return true;
	}
	return false;
}

static void unknown(struct lint *l, const struct node *n)
{
	struct schema s = manifest_schema;
	struct err e;

	err_clear(&e);
	s.strict = true;
	if (schema_unknown(&s, n, &e) < 0)
		lint_refused(l, n, &e);
}

/* a level of the search order: software, or board, set, mode below it */
static void check_level(struct lint *l, const struct node *group, unsigned depth)
{
	node_for_each(n, group) {
		bool level = n->type == NODE_GROUP && leads_to_lists(n);

		if (schema_find(&manifest_schema, n->name) || strcmp(n->name, "ref") == 0 ||
		    is_linked(l->t->root, n->name))
			continue;
		if (!level)
			unknown(l, n);
		else if (depth == LEVELS)
			lint_say(l, true, n,
				 "lies deeper than board, set and mode: it is never read");
		else
			check_level(l, n, depth + 1);
	}
}

static void check_keys(struct lint *l)
{
	const struct node *software = node_find(l->t->root, "software");
	const char *const only[] = {"software"};
	struct err e;

	node_for_each(n, l->t->root) {
		const char *near = text_nearest(n->name, only, 1);

		if (n == software || is_linked(l->t->root, n->name))
			continue;
		err_clear(&e);
		(void)err_set(&e, E_DESC_UNKNOWN, 0, "%.200s is not known%s", n->name,
			      near && !software ? "; did you mean software?" : "");
		lint_refused(l, n, &e);
	}
	if (software && software->type == NODE_GROUP)
		check_level(l, software, 0);
	else if (software)
		lint_say(l, true, software, "must be a group");
	else if (!l->r->errors)
		lint_say(l, true, NULL, "there is no group 'software'");
}

/* ---- all of it -------------------------------------------------------------------------- */

static void take_contents(void *arg, const struct entry *t, const struct contents *c)
{
	char label[256], said[640];
	const struct lint_finding f = {.error = c->wrong, .line = t->line, .text = said};

	entry_label(t, label, sizeof(label));
	(void)text_print(said, sizeof(said), "%s: the payload %s", label, c->why);
	lint_tell(arg, &f);
}

static int check_tree(struct lint *l, struct err *e)
{
	const struct node *software = node_find(l->t->root, "software");
	struct choices all = {0};
	int rc = l->o->finished ? 0 : prepare(l, e);

	if (rc == 0)
		check_keys(l);
	if (rc == 0 && software && software->type == NODE_GROUP)
		rc = choices_in(&all, l->t->root, e);
	for (size_t i = 0; rc == 0 && i < all.count; i++)
		check_selection(l, &all.at[i]);
	choices_clear(&all);
	return rc;
}

static const char *keep_name(void *arg, const char *name)
{
	struct lint *l = arg;
	const char *value = l->o->vars ? l->o->vars->find(l->o->vars->arg, name) : NULL;
	char *kept;

	if (value)
		return value;
	kept = arena_alloc(l->arena, strlen(name) + 5);
	if (!kept)
		return NULL;
	(void)text_print(kept, strlen(name) + 5, "@@%s@@", name);
	return kept;
}

/* what would be true once it is built */
static int some_answer(void *arg, enum template_call what, const char *file,
		       char answer[CALL_ANSWER], struct err *e)
{
	(void)arg, (void)file;
	memset(answer, '1', CALL_ANSWER - 1);
	answer[what == CALL_SIZE ? 1 : CALL_ANSWER - 1] = '\0';
	(void)e;
	return 0;
}

int lint_description(struct lint_result *r, const char *text, size_t n,
		     const struct lint_options *o, struct err *e)
{
	struct lint l = {.o = o, .r = r, .arena = arena_new(ARENA_MAX)};
	const struct template_vars vars = {
		.find = keep_name, .call = o->finished ? NULL : some_answer, .arg = &l};
	const struct contents_options payloads = {take_contents, &l};
	int rc = 0;

	*r = (struct lint_result){0};
	if (!l.arena)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the description");
	if (template_load(&l.t, text, n, &vars, e) < 0)
		lint_refused(&l, NULL, e);
	else
		rc = check_tree(&l, e);
	if (rc == 0 && o->bundle && !r->errors)
		rc = contents_judge_bundle(*o->bundle, &payloads, e);
	template_free(l.t);
	arena_free(l.arena);
	if (rc == 0 && l.no_memory)
		rc = err_set(e, E_MEMORY, ENOMEM, "no memory for the findings");
	return rc;
}
