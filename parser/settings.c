#include "parser/settings.h"

#include <errno.h>
#include <string.h>

#include "corelib/base/arena.h"
#include "corelib/base/text.h"
#include "parser/settings_draft.h"

enum { ARENA_MAX = 32 << 20 };

/* one reading of one file */
struct reading {
	struct settings *s;
	const struct node *root;
	void (*note)(void *arg, const char *text);
	void *arg;
};

static int no_memory(struct err *e)
{
	return err_set(e, E_MEMORY, ENOMEM, "no memory for the configuration");
}

static int refuse(const struct node *n, const char *text, struct err *e)
{
	char path[192];

	node_path(n, path, sizeof(path));
	return err_at(e, err_set(e, E_CONFIG, 0, "%s %s", path, text), "%s, line %u", path,
		      n->line);
}

int settings_new(struct settings **out, struct err *e)
{
	struct arena *a = arena_new(ARENA_MAX);
	struct settings_draft *d = a ? arena_alloc(a, sizeof(*d)) : NULL;

	if (!d) {
		arena_free(a);
		return no_memory(e);
	}
	d->s = (struct settings){
		.arena = a,
		.state_dir = "/var/lib/swinstall",
		.run_dir = "/run/swinstall",
		.versions_file = "/etc/sw-versions",
		.hwrevision_file = "/etc/hwrevision",
		.state_variable = "ustate",
		.description_max = 1 << 20,
		.loglevel = 3,
		.policy.reboot = true,
		.mem_max = 8 << 20,
		.max_members = 4096,
		.lock_timeout = 60,
		.idle_timeout = 60,
	};
	*out = &d->s;
	return 0;
}

void settings_free(struct settings *s)
{
	if (s)
		arena_free(s->arena);
}

static struct schema with_notes(const struct schema *table, const struct reading *r)
{
	struct schema s = *table;

	s.note = r->note;
	s.arg = r->arg;
	return s;
}

/* the items of a list; a group counts as a list of one */
static const struct node *first_item(const struct node *list)
{
	return list->type == NODE_GROUP ? list : list->child;
}

static const struct node *next_item(const struct node *list, const struct node *item)
{
	return list == item ? NULL : item->next;
}

static int check_list(const struct node *list, struct err *e)
{
	if (list->type != NODE_LIST && list->type != NODE_GROUP)
		return refuse(list, "must be a list of groups", e);
	for (const struct node *n = first_item(list); n; n = next_item(list, n))
		if (n->type != NODE_GROUP)
			return refuse(n, "must be a group", e);
	return 0;
}

static size_t count_items(const struct node *list)
{
	return list->type == NODE_GROUP ? 1 : list->count;
}

/* ---- slots ---- */

static int check_env(const struct node *env, struct err *e)
{
	node_for_each(v, env)
		if (v->type != NODE_STRING)
			return refuse(v, "must be a text: name = \"value\"", e);
	return 0;
}

static int fill_slot(struct slot_setting *slot, const struct node *n, struct arena *a,
		     struct err *e)
{
	int rc = 0;

	slot->places = arena_alloc(a, (n->count + 1) * sizeof(*slot->places));
	if (!slot->places)
		return no_memory(e);
	node_for_each(key, n) {
		const struct attr *row = schema_find(&settings_slot, key->name);

		if (row)
			rc = schema_set(row, key, slot, a, e);
		else if (key->type != NODE_STRING || !*key->string)
			rc = refuse(key, "must be a path: rootfs = \"/dev/...\"", e);
		else
			slot->places[slot->place_count++] =
				(struct slot_place){key->name, key->string};
		if (rc < 0)
			return rc;
	}
	if (!slot->name)
		return refuse(n, "has no name", e);
	if (!slot->place_count)
		return refuse(n, "names no place, as rootfs = \"/dev/...\"", e);
	return check_env(slot->env, e);
}

/* names and places belong to one slot only */
static int check_slot_pair(const struct slot_setting *a, const struct slot_setting *b,
			   const struct node *n, struct err *e)
{
	if (!strcmp(a->name, b->name))
		return refuse(n, "has the name of another slot", e);
	for (size_t i = 0; i < a->place_count; i++)
		for (size_t k = 0; k < b->place_count; k++)
			if (!strcmp(a->places[i].path, b->places[k].path))
				return refuse(n, "shares a place with another slot", e);
	return 0;
}

static bool has_env(const struct slot_setting *s)
{
	return s->env && s->env->child;
}

/* 'a' sets what 'b' leaves alone: whichever the boot loader chose before stays in part */
static int check_same_variables(const struct slot_setting *a, const struct slot_setting *b,
				const struct node *at, struct err *e)
{
	char text[256];

	node_for_each(v, a->env) {
		if (node_find(b->env, v->name))
			continue;
		text_print(
			text, sizeof(text),
			"has slot '%.64s', which does not say what '%.64s' is; slot '%.64s' does: "
			"env has the same variables in all slots (an empty value means unset), or is in none",
			b->name, v->name, a->name);
		return refuse(at, text, e);
	}
	return 0;
}

static bool same_values(const struct slot_setting *a, const struct slot_setting *b)
{
	node_for_each(v, a->env)
		if (strcmp(v->string, node_find(b->env, v->name)->string) != 0)
			return false;
	return true;
}

/* what is chosen is one slot, and setting its variables chooses no other */
static int check_env_pair(const struct slot_setting *a, const struct slot_setting *b,
			  const struct node *n, struct err *e)
{
	char text[256];
	int rc;

	if (!has_env(a) && !has_env(b))
		return 0;
	rc = check_same_variables(a, b, n, e);
	if (rc == 0)
		rc = check_same_variables(b, a, n, e);
	if (rc < 0 || !same_values(a, b))
		return rc;
	text_print(
		text, sizeof(text),
		"has the values of slot '%.64s' in env (as '%.64s'): nothing tells it from slot '%.64s'",
		a->name, a->env->child->name, b->name);
	return refuse(n, text, e);
}

static int fill_slots(const struct reading *r, const struct node *list, struct err *e)
{
	struct slot_setting *slots;
	size_t n = 0;
	int rc = list ? check_list(list, e) : 0;

	if (!list || rc < 0)
		return rc;
	if (count_items(list) > 16)
		return refuse(list, "has more than 16 slots", e);
	slots = arena_alloc(r->s->arena, (count_items(list) + 1) * sizeof(*slots));
	if (!slots)
		return no_memory(e);
	for (const struct node *i = first_item(list); i; i = next_item(list, i)) {
		rc = fill_slot(&slots[n], i, r->s->arena, e);
		for (size_t k = 0; rc == 0 && k < n; k++)
			rc = check_slot_pair(&slots[k], &slots[n], i, e);
		for (size_t k = 0; rc == 0 && k < n; k++)
			rc = check_env_pair(&slots[k], &slots[n], i, e);
		if (rc < 0)
			return rc;
		n++;
	}
	r->s->slots = slots;
	r->s->slot_count = n;
	return 0;
}

/* ---- update types ---- */

static int fill_types(const struct reading *r, const struct node *list, struct err *e)
{
	struct schema s = with_notes(&settings_policy, r);
	struct update_policy *types;
	int rc = list ? check_list(list, e) : 0;

	if (!list || rc < 0)
		return rc;
	types = arena_alloc(r->s->arena, (count_items(list) + 1) * sizeof(*types));
	if (!types)
		return no_memory(e);
	r->s->types = types;
	for (const struct node *n = first_item(list); n; n = next_item(list, n)) {
		struct update_policy *t = &types[r->s->type_count++];

		rc = schema_fill(&s, n, t, r->s->arena, e);
		if (rc == 0 && !t->name)
			rc = refuse(n, "has no name", e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int fill_versions(const struct reading *r, const struct node *list, struct err *e)
{
	int rc = list ? check_list(list, e) : 0;

	if (!list || rc < 0)
		return rc;
	for (const struct node *n = first_item(list); n; n = next_item(list, n)) {
		const struct node *name = node_find(n, "name"), *version = node_find(n, "version");

		if (!name || name->type != NODE_STRING || !version || version->type != NODE_STRING)
			return refuse(n, "needs name and version as texts", e);
	}
	r->s->versions = list;
	return 0;
}

/* ---- parts with doors ---- */

/* their mistakes are told and change nothing: the file belongs to other programs too */
static void read_group(const struct reading *r, const struct node *group,
		       const struct schema *table, void *out)
{
	struct schema s = with_notes(table, r);

	if (group->type != NODE_GROUP) {
		schema_note(&s, group, "%s must be a group", group->name ? group->name : "an item");
		return;
	}
	node_for_each(n, group) {
		const struct attr *row = schema_find(&s, n->name);
		struct err e = {0};

		if (!row)
			(void)schema_unknown(&s, n, &e);
		else if (schema_set(row, n, out, r->s->arena, &e) < 0)
			schema_note(&s, n, "%s", e.why);
	}
}

struct items {
	const struct schema *table;
	size_t size; /* of one */
	void **at;
	size_t *count;
};

static int read_items(const struct reading *r, const struct node *list, const struct items *to,
		      struct err *e)
{
	bool many = list->type == NODE_LIST;
	char *at = arena_alloc(r->s->arena, ((many ? list->count : 1) + 1) * to->size);

	if (!at)
		return no_memory(e);
	*to->at = at;
	for (const struct node *n = many ? list->child : list; n; n = many ? n->next : NULL) {
		read_group(r, n, to->table, at + *to->count * to->size);
		if (n->type == NODE_GROUP)
			(*to->count)++;
	}
	return 0;
}

#define ITEMS(table_, field, count_)                                                               \
	((struct items){&(table_), sizeof(*r->s->parts.field), (void **)&r->s->parts.field,        \
			&r->s->parts.count_})

static int read_lists(const struct reading *r, struct err *e)
{
	const struct {
		const char *name;
		struct items items;
	} lists[] = {
		{"identify", ITEMS(settings_identify, identify, identify_count)},
		{"custom-http-headers", ITEMS(settings_headers, headers, header_count)},
		{"processes", ITEMS(settings_processes, processes, process_count)},
	};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		const struct node *n = node_find(r->root, lists[i].name);
		int rc = n ? read_items(r, n, &lists[i].items, e) : 0;

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* the group of a process bears its name */
static struct process_setting *find_process(const struct reading *r, const char *name)
{
	for (size_t i = 0; i < r->s->parts.process_count; i++) {
		struct process_setting *p = &r->s->parts.processes[i];

		if (p->name && !strcmp(p->name, name))
			return p;
	}
	return NULL;
}

struct known {
	const char *name;
	const struct schema *table; /* NULL: it is read elsewhere */
	size_t at;		    /* in struct parts_settings */
};

#define PART(group, field)                                                                         \
	{                                                                                          \
#group, &settings_##group, offsetof(struct parts_settings, field)                  \
	}

static const struct known known[] = {
	{"globals", NULL, 0},	    {"update-types", NULL, 0},	      {"versions", NULL, 0},
	{"wfx", NULL, 0}, /* the Lua server's own */
	{"identify", NULL, 0},	    {"custom-http-headers", NULL, 0}, {"processes", NULL, 0},
	PART(logcolors, colors),    PART(suricatta, suricatta),	      PART(hawkbit, hawkbit),
	PART(gservice, gservice),   PART(download, download),	      PART(delta, delta),
	PART(webserver, webserver),
};

static void note_unknown_group(const struct reading *r, const struct node *n)
{
	struct schema s = with_notes(&settings_globals, r);
	const char *names[ARRAY_SIZE(known)], *near;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		names[i] = known[i].name;
	near = text_nearest(n->name, names, ARRAY_SIZE(known));
	schema_note(&s, n, "%s is not known%s%s%s", n->name, near ? "; did you mean " : "",
		    near ? near : "", near ? "?" : "");
}

static int read_parts(const struct reading *r, struct err *e)
{
	int rc = read_lists(r, e);

	if (rc < 0)
		return rc;
	node_for_each(n, r->root) {
		const struct known *k = known, *end = known + ARRAY_SIZE(known);
		struct process_setting *p = find_process(r, n->name);

		while (k < end && strcmp(k->name, n->name) != 0)
			k++;
		if (k == end && p)
			read_group(r, n, &settings_process, p);
		else if (k == end)
			note_unknown_group(r, n);
		else if (k->table)
			read_group(r, n, k->table, (char *)&r->s->parts + k->at);
	}
	return 0;
}

static int fill_globals(const struct reading *r, struct err *e)
{
	const struct node *globals = node_find(r->root, "globals");
	struct settings_draft *d = (struct settings_draft *)r->s;
	struct schema s = with_notes(&settings_globals, r);
	int rc;

	if (!globals || globals->type != NODE_GROUP)
		return err_set(e, E_CONFIG, 0, "there is no group 'globals'");
	d->slots = NULL;
	rc = schema_fill(&s, globals, d, r->s->arena, e);
	if (r->s->loglevel > 5)
		r->s->loglevel = 5;
	if (r->s->ca_path)
		r->s->public_key_file = r->s->ca_path;
	return rc < 0 ? rc : fill_slots(r, d->slots, e);
}

static int fill_settings(const struct reading *r, struct err *e)
{
	int rc = fill_globals(r, e);

	if (rc < 0)
		return rc;
	rc = fill_types(r, node_find(r->root, "update-types"), e);
	if (rc < 0)
		return rc;
	rc = fill_versions(r, node_find(r->root, "versions"), e);
	return rc < 0 ? rc : read_parts(r, e);
}

/* what the reader calls a description is a configuration here */
static int as_config_error(const struct err *why, struct err *e)
{
	int rc = err_set(e, why->code == E_MEMORY ? E_MEMORY : E_CONFIG, why->sys, "%s", why->why);

	return why->object[0] ? err_at(e, rc, "%s", why->object) : rc;
}

int settings_parse(struct settings *s, const void *text, size_t n,
		   void (*note)(void *, const char *), void *arg, struct err *e)
{
	struct reading r = {.s = s, .note = note, .arg = arg};
	struct err why = {0};
	int rc = node_parse(&r.root, text, n, s->arena, NULL, &why);

	rc = rc < 0 ? as_config_error(&why, e) : fill_settings(&r, e);
	return s->file ? err_at(e, rc, "%s", s->file) : rc;
}
