#include "core/plan/plan_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/plan/installed.h"
#include "core/plan/keys.h"
#include "corelib/base/arena.h"
#include "corelib/files/staged.h"

enum { PLAN_MEMORY = 64 * 1024 * 1024 };

const char *route_name(enum route r)
{
	static const char *const names[] = {
		[ROUTE_FLOW] = "written while it is read",
		[ROUTE_BLOCKS] = "written block by block as its list proves them",
		[ROUTE_TWICE] = "proven first, then written",
		[ROUTE_SPOOL] = "stored and proven first, then written",
		[ROUTE_NONE] = "without a payload",
	};

	return names[r];
}

int plan_at(const struct plan *p, const struct plan_step *ps, int rc, struct err *e)
{
	const struct entry *t = ps->step.entry;

	if (ps->step.handler)
		err_at(e, rc, "handler %s", ps->step.handler->name);
	return err_at(e, rc, "%s[%u] of release %s", section_name(t->section), t->index,
		      p->manifest->version ? p->manifest->version : "");
}

const char *plan_step_name(const struct plan_step *ps)
{
	const struct entry *t = ps->step.entry;

	return t->filename ? t->filename : t->name ? t->name : t->type ? t->type : "";
}

const char *plan_step_handler(const struct plan_step *ps)
{
	return ps->source ? ps->source->name : ps->step.handler->name;
}

unsigned plan_step_runs(const struct plan_step *ps)
{
	const unsigned pre = 1u << PHASE_PREINSTALL, post = 1u << PHASE_POSTINSTALL;
	const struct handler *h = ps->step.handler;

	if (h->kind != HANDLER_ACTION)
		return 1;
	return !!(h->phases & pre) + !!(h->phases & post);
}

/* ---- variables ---- */

static int gather_variables(struct plan *p, struct err *e)
{
	const struct manifest *m = p->manifest;

	for (size_t i = 0; i < m->bootenv_count; i++) {
		const struct boot_var *v = &m->bootenv[i];
		int rc;

		if (envset_find(&p->variables, v->name))
			continue; /* the first of a name wins */
		rc = envset_put(&p->variables, v->name, v->value, e);
		if (rc < 0)
			return err_at(e, rc, "bootenv, line %u", v->line);
	}
	return 0;
}

static int bind_step(struct plan *p, struct plan_step *ps, const struct plan_input *in,
		     struct err *e)
{
	int rc = plan_entry_bind(p, ps, in, e);

	p->wants_undo |= place_wants_undo(&ps->span);
	return plan_at(p, ps, rc, e);
}

/* an entry that may be left out is left out, unless it writes into a slot that another one takes:
 * the versions speak of the system that runs, and the slot holds something else */
static int bind_all(struct plan *p, const struct plan_input *in, struct err *e)
{
	struct version_list have = {0};
	int rc = installed_load(&have, in->session->cfg, e);

	for (size_t i = 0; rc == 0 && i < p->count; i++) {
		struct plan_step *ps = &p->steps[i];

		ps->step.entry = &in->manifest->entries[i];
		ps->step.host = in->session->host;
		span_init(&ps->span);
		ps->step.base = -1;
		ps->left_out = installed_skips(&have, ps->step.entry);
		ps->route = ROUTE_NONE;
		if (!ps->left_out)
			rc = bind_step(p, ps, in, e);
	}
	for (size_t i = 0; rc == 0 && i < p->count; i++) {
		struct plan_step *ps = &p->steps[i];

		if (ps->step.handler || !plan_is_in_taken(p, ps->step.entry, &in->session->slots))
			continue;
		reporter_info(in->session->reporter,
			      "line %u of the description: '%s' has the version that runs, and is "
			      "installed all the same: slot '%s' is written",
			      ps->step.entry->line, ps->step.entry->name, p->taken->name);
		ps->left_out = false;
		rc = bind_step(p, ps, in, e);
	}
	version_list_clear(&have);
	return rc;
}

/* where a step cannot be undone, nothing that could still be refused may come after it */
static void prove_first(struct plan *p, const struct plan_input *in)
{
	bool forever = false;

	for (size_t i = 0; i < p->count && !forever; i++)
		forever = !p->steps[i].left_out && p->steps[i].step.handler->forever;
	for (size_t i = 0; i < p->count && forever; i++) {
		struct plan_step *ps = &p->steps[i];

		if (ps->route != ROUTE_FLOW && ps->route != ROUTE_BLOCKS)
			continue;
		ps->route = p->seekable ? ROUTE_TWICE : ROUTE_SPOOL;
		plan_list_stages(p, ps, in);
	}
}

static int build(struct plan *p, const struct plan_input *in, struct err *e)
{
	int rc = bind_all(p, in, e);

	if (rc < 0)
		return rc;
	prove_first(p, in);
	rc = plan_share(p, e);
	if (rc == 0)
		rc = plan_overlaps(p, in->session, e);
	if (rc == 0)
		rc = plan_source_overlaps(p, e);
	if (rc == 0)
		rc = gather_variables(p, e);
	return rc;
}

int plan_build(struct plan **out, const struct plan_input *in, struct err *e)
{
	struct plan *p = calloc(1, sizeof(*p));
	int rc;

	if (p)
		p->places = calloc(1, sizeof(*p->places));
	if (p)
		p->arena = arena_new(PLAN_MEMORY);
	if (p && p->places && p->arena)
		p->steps = calloc(in->manifest->entry_count + PLAN_CALLED, sizeof(*p->steps));
	if (!p || !p->steps) {
		if (p) {
			free(p->places);
			arena_free(p->arena);
		}
		free(p);
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the plan");
	}
	p->manifest = in->manifest;
	p->count = in->manifest->entry_count;
	p->seekable = bundle_can_seek(in->bundle);
	rc = places_init(p->places, in->session, e);
	if (rc == 0)
		rc = build(p, in, e);
	if (rc < 0) {
		plan_free(p);
		return rc;
	}
	*out = p;
	return 0;
}

int plan_add(struct plan *p, const struct plan_input *in, const struct entry *t,
	     struct plan_step **ps, struct err *e)
{
	if (p->count == p->manifest->entry_count + PLAN_CALLED)
		return err_set(e, E_LUA, E2BIG, "Lua code asked for more than %d steps",
			       (int)PLAN_CALLED);
	*ps = &p->steps[p->count++];
	**ps = (struct plan_step){.called = true};
	span_init(&(*ps)->span);
	(*ps)->step.base = -1;
	(*ps)->step.entry = t;
	(*ps)->step.host = in->session->host;
	return 0;
}

void plan_give_up(struct plan_step *ps)
{
	ps->left_out = true;
}

void plan_free(struct plan *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->count; i++) {
		place_end(&p->steps[i].span);
		cleanup_close(&p->steps[i].step.base);
		keys_free(p->steps[i].key);
		free(p->steps[i].list);
	}
	places_free(p->places);
	plan_share_free(p);
	envset_clear(&p->variables);
	arena_free(p->arena);
	free(p->places);
	free(p->steps);
	free(p);
}
