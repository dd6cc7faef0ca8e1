#include "core/install.h"

#include <errno.h>
#include <string.h>

#include "core/hooks.h"
#include "core/state/journal_address.h"
#include "core/pipeline.h"
#include "core/spool.h"
#include "corelib/files/staged.h"
#include "corelib/base/text.h"

static struct feed feed_for(const struct install *in)
{
	return (struct feed){
		.session = in->session, .meter = &in->session->meter, .threads = in->threads};
}

static void tell_step(struct install *in, const char *verb, const struct plan_step *ps,
		      uint64_t size)
{
	const struct entry *t = ps->step.entry;
	const struct reported_step s = {
		.verb = verb,
		.name = t->filename ? t->filename
			: t->name   ? t->name
				    : t->type,
		.handler = ps->step.handler->name,
		.size = size,
	};

	atomic_store(&in->session->meter.bytes, 0);
	reporter_step(in->session->reporter, &s);
}

static bool writes(const struct install *in)
{
	return session_writes(in->session);
}

static int begin(struct install *in, struct err *e)
{
	if (in->begun)
		return 0;
	in->begun = true;
	if (!writes(in))
		return 0;
	int rc = in->begin(in->arg, e);
	return rc < 0 ? rc : plan_open_early(in->plan, e);
}

/* ---- the journal knows of a file before it is touched ---- */

static int note_file(const struct install *in, const struct plan_step *ps, struct err *e)
{
	char text[ADDRESS_TEXT];

	if (!ps->step.file || ps->step.file->straight || !writes(in))
		return 0;
	if (!in->session->journal)
		return err_set(e, E_STATE_DIR, EROFS, "files need the journal to be undone");
	if (staged_look_kept(ps->step.file, e) < 0)
		return -e->sys;
	if (journal_address_text(&ps->step.file->address, text, sizeof(text)) < 0)
		return err_set(e, E_FILE, EINVAL, "the path of '%s' cannot be written down",
			       ps->step.file->address.name);
	return journal_add(in->session->journal, JOURNAL_FILE, text, e);
}

/* ---- one step ---- */

static int open_source(struct install *in, struct plan_step *ps, struct stream **s, struct err *e)
{
	struct intake *from = ps->intake;
	struct stream_fd_options o = {.cancel = in->session->cancel};

	if (!from)
		return stream_mem_open(s, "", 0, e);
	if (!from->spooled)
		return bundle_payload(in->bundle, from->payload, s, e);
	o.start = from->spool_at;
	o.size = from->size;
	return stream_fd_open(s, in->plan->spool.fd, &o, e);
}

/* without the notes of the first pass nothing would compare what is read now with what was proven
 * (L1) */
static int check_proven(const struct install *in, const struct plan_step *ps, struct err *e)
{
	bool stored = ps->intake && (ps->route == ROUTE_TWICE || ps->route == ROUTE_SPOOL);

	if (!stored || !writes(in) || ps->intake->notes)
		return 0;
	return err_set(e, E_INTERNAL, EPROTO, "'%s' was not proven before", ps->intake->name);
}

static int pull(struct install *in, struct plan_step *ps, struct err *e)
{
	struct feed f = feed_for(in);
	struct stream *s = NULL;
	int rc = check_proven(in, ps, e);

	if (rc == 0)
		rc = open_source(in, ps, &s, e);
	if (rc < 0)
		return rc;
	if (ps->intake && (ps->route == ROUTE_TWICE || ps->route == ROUTE_SPOOL))
		f.notes = ps->intake->notes;
	return pipeline_install(ps, s, &f, e);
}

/* the function of the bundle that an entry names for before or after it */
static int hook(const struct install *in, const struct plan_step *ps, const char *when,
		struct err *e)
{
	const struct entry *t = ps->step.entry;
	const char *name = strcmp(when, "preinstall") == 0 ? t->preinstall : t->postinstall;

	if (!name || !writes(in))
		return 0;
	return err_while(e, hooks_call(in->hooks, name, t, e), "running %s function %s", when,
			 name);
}

static int run_step(struct install *in, struct plan_step *ps, struct err *e)
{
	int rc = !writes(in) ? 0 : plan_open_place(in->plan, ps, e);

	tell_step(in, "writing", ps, ps->intake ? ps->intake->size : 0);
	if (rc == 0)
		rc = note_file(in, ps, e);
	if (rc == 0)
		rc = hook(in, ps, "preinstall", e);
	ps->started = rc == 0 && writes(in);
	if (rc == 0)
		rc = pull(in, ps, e);
	place_end(&ps->span);
	if (rc == 0)
		rc = hook(in, ps, "postinstall", e);
	ps->done = rc == 0;
	return plan_at(in->plan, ps, rc, e);
}

static bool is_action(const struct plan_step *ps)
{
	return ps->step.handler && ps->step.handler->kind == HANDLER_ACTION;
}

/* from here on its failure is its own matter too */
static int store_action(struct install *in, struct plan_step *ps, struct err *e)
{
	int rc;

	ps->started = true;
	rc = ps->intake ? pull(in, ps, e) : 0;
	ps->ready = rc == 0;
	return plan_at(in->plan, ps, rc, e);
}

static bool has_arrived(const struct install *in, const struct plan_step *ps)
{
	return in->plan->seekable || !ps->intake || ps->intake->spooled;
}

/* the payloads of actions, as far as they have arrived: proven, then stored where they can run */
static int store_actions(struct install *in, struct err *e)
{
	struct plan *p = in->plan;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < p->count && writes(in); i++) {
		struct plan_step *ps = &p->steps[i];

		if (!ps->skipped && is_action(ps) && !ps->started && has_arrived(in, ps))
			rc = store_action(in, ps, e);
	}
	return rc;
}

static bool acts(const struct plan_step *ps, enum phase phase)
{
	return !ps->skipped && is_action(ps) && ps->step.handler->phases & 1u << phase;
}

/* its functions frame all of its phases */
static int run_action(const struct install *in, struct plan_step *ps, enum phase phase,
		      struct err *e)
{
	bool first = phase == PHASE_PREINSTALL || !acts(ps, PHASE_PREINSTALL);
	bool last = phase == PHASE_POSTINSTALL || !acts(ps, PHASE_POSTINSTALL);
	int rc = first ? hook(in, ps, "preinstall", e) : 0;

	if (rc == 0)
		rc = ps->step.handler->run(&ps->step, phase, e);
	return rc == 0 && last ? hook(in, ps, "postinstall", e) : rc;
}

static int run_actions(struct install *in, enum phase phase, struct err *e)
{
	struct plan *p = in->plan;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < p->count && writes(in); i++) {
		struct plan_step *ps = &p->steps[i];

		if (!acts(ps, phase))
			continue;
		tell_step(in, "running", ps, 0);
		rc = plan_at(p, ps, run_action(in, ps, phase, e), e);
		ps->done = rc == 0 && phase == PHASE_POSTINSTALL;
	}
	return rc;
}

/* once, before the first byte goes to a target */
static int prepare(struct install *in, struct err *e)
{
	int rc;

	if (in->prepared)
		return 0;
	in->prepared = true;
	rc = begin(in, e);
	if (rc == 0)
		rc = store_actions(in, e);
	return rc < 0 ? rc : run_actions(in, PHASE_PREINSTALL, e);
}

/* all that has not run yet, in order */
static int run_rest(struct install *in, struct err *e)
{
	struct plan *p = in->plan;
	int rc = prepare(in, e);

	if (rc == 0)
		rc = store_actions(in, e);
	for (size_t i = 0; rc == 0 && i < p->count; i++) {
		struct plan_step *ps = &p->steps[i];

		if (!ps->skipped && !ps->done && !is_action(ps))
			rc = run_step(in, ps, e);
	}
	return rc < 0 ? rc : run_actions(in, PHASE_POSTINSTALL, e);
}

/* ---- proving ---- */

static bool wants_proof(const struct intake *in)
{
	for (size_t i = 0; i < in->count; i++)
		if (in->users[i]->route == ROUTE_TWICE || in->users[i]->route == ROUTE_SPOOL)
			return true;
	return false;
}

/* the payload flows by from 's' (taken): proven, noted and, with fd, kept */
static int prove(struct install *in, struct intake *t, struct stream *s, int fd, struct err *e)
{
	struct plan_step *ps = t->users[0];
	struct feed f = feed_for(in);
	int rc;

	tell_step(in, fd < 0 ? "checking" : "storing", ps, t->size);
	rc = pipeline_prove(ps, s, &f, t->notes, fd, e);
	return plan_at(in->plan, ps, rc, e);
}

static int prove_here(struct install *in, struct intake *t, bool notes, struct err *e)
{
	struct stream *s = NULL;
	int rc;

	if (notes && !(t->notes = notes_new(t->size, e)))
		return -e->sys;
	rc = bundle_payload(in->bundle, t->payload, &s, e);
	return rc < 0 ? rc : prove(in, t, s, -1, e);
}

static int find_payloads(struct install *in, struct err *e)
{
	struct plan *p = in->plan;

	for (size_t i = 0; i < p->intake_count; i++) {
		struct intake *t = &p->intakes[i];

		t->payload = bundle_find(in->bundle, t->name);
		if (!t->payload)
			return err_set(e, E_MEMBER_MISSING, ENOENT, "'%s' is not in the bundle",
				       t->name);
		t->size = t->payload->size;
	}
	return 0;
}

/* from a file: 'all' for a check, else only what has to be proven before the first write */
static int prove_all(struct install *in, bool all, struct err *e)
{
	struct plan *p = in->plan;
	int rc = find_payloads(in, e);

	for (size_t i = 0; rc == 0 && i < p->intake_count; i++) {
		struct intake *t = &p->intakes[i];

		if (all || wants_proof(t))
			rc = prove_here(in, t, !all, e);
	}
	return rc;
}

/* ---- from a pipe ---- */

static int take_list(struct install *in, const struct payload *load, struct err *e)
{
	struct plan *p = in->plan;
	struct plan_step *first = NULL;
	AUTO_STREAM struct stream *s = NULL;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < p->count; i++) {
		struct plan_step *ps = &p->steps[i];
		const char *name = ps->step.entry->hashes.name;

		if (ps->skipped || !name || strcmp(name, load->name) != 0 || first)
			continue; /* sharers of the payload are proven by the first one's list */
		first = ps;
		rc = bundle_payload(in->bundle, load, &s, e);
		if (rc == 0)
			rc = plan_hash_list(ps, s, load->size, e);
		rc = plan_at(p, ps, rc, e);
	}
	return rc;
}

static bool all_before_done(const struct plan *p, const struct plan_step *ps)
{
	for (const struct plan_step *q = p->steps; q < ps; q++)
		if (!q->skipped && !q->done && !is_action(q))
			return false;
	return true;
}

/* partitions are laid out before anything flows into one of them */
static int run_partitions(struct install *in, struct err *e)
{
	struct plan *p = in->plan;
	int rc = prepare(in, e);

	for (size_t i = 0; rc == 0 && i < p->count; i++) {
		struct plan_step *ps = &p->steps[i];

		if (ps->step.entry->section == SECTION_PARTITIONS && !ps->skipped && !ps->done &&
		    ps->route == ROUTE_NONE)
			rc = run_step(in, ps, e);
	}
	return rc;
}

/* has everything arrived that runs before the first image? What flows may not come before it */
static bool may_prepare(const struct install *in)
{
	const struct plan *p = in->plan;

	for (size_t i = 0; i < p->count; i++)
		if (acts(&p->steps[i], PHASE_PREINSTALL) && !has_arrived(in, &p->steps[i]))
			return false;
	return true;
}

/* may this payload go straight to its only step? */
static bool may_flow(const struct install *in, const struct intake *t)
{
	const struct plan_step *ps = t->users[0];

	if (t->count != 1 || !may_prepare(in))
		return false;
	if (ps->route == ROUTE_FLOW)
		return true;
	return ps->route == ROUTE_BLOCKS && ps->list && all_before_done(in->plan, ps);
}

static int flow(struct install *in, struct intake *t, struct err *e)
{
	int rc = run_partitions(in, e);

	return rc < 0 ? rc : run_step(in, t->users[0], e);
}

static int store(struct install *in, struct intake *t, struct err *e)
{
	struct spool *spool = &in->plan->spool;
	struct stream *s = NULL;
	bool first = spool->fd < 0;
	int rc;

	rc = spool_reserve(spool, in->session->cfg, t->size, &t->spool_at, e);
	if (rc < 0)
		return rc;
	if (first && spool_in_memory(spool->fd))
		reporter_warn(in->session->reporter,
			      "the spool directory lies in memory: a large payload may use it up");
	t->notes = notes_new(t->size, e);
	if (!t->notes)
		return -e->sys;
	rc = bundle_payload(in->bundle, t->payload, &s, e);
	if (rc == 0)
		rc = prove(in, t, s, spool->fd, e);
	t->spooled = rc == 0;
	for (size_t i = 0; i < t->count; i++)
		t->users[i]->route = ROUTE_SPOOL;
	return rc;
}

/* the sizes that the header tells; of several parts only the description knows the sum */
static int learn_size(struct install *in, struct intake *t, const struct payload *load,
		      struct err *e)
{
	const struct entry *first = t->users[0]->step.entry;

	t->payload = load;
	t->size = load->has_size ? load->size : first->size;
	if (!load->has_size && !first->has_size)
		return err_set(e, E_PARTS, EINVAL,
			       "'%s' comes in parts: from a pipe the description "
			       "has to say its size",
			       t->name);
	for (size_t i = 0; i < t->count; i++) {
		int rc = plan_entry_size(t->users[i], t->size, e);

		if (rc < 0)
			return plan_at(in->plan, t->users[i], rc, e);
	}
	return 0;
}

static int take_payload(struct install *in, struct intake *t, const struct payload *load,
			bool check, struct err *e)
{
	int rc = learn_size(in, t, load, e);

	if (rc < 0)
		return rc;
	if (check)
		return prove_here(in, t, false, e);
	if (!writes(in))
		return run_step(in, t->users[0], e);
	return may_flow(in, t) ? flow(in, t, e) : store(in, t, e);
}

static int take_all(struct install *in, bool check, struct err *e)
{
	const struct payload *load;
	int rc;

	while ((rc = bundle_next(in->bundle, &load, e)) > 0) {
		struct intake *t = plan_intake(in->plan, load->name);

		rc = t ? take_payload(in, t, load, check, e) : take_list(in, load, e);
		if (rc < 0)
			return rc;
	}
	for (size_t i = 0; rc == 0 && i < in->plan->intake_count; i++)
		if (!in->plan->intakes[i].payload)
			rc = err_set(e, E_MEMBER_MISSING, ENOENT, "'%s' is not in the bundle",
				     in->plan->intakes[i].name);
	return rc;
}

/* ---- all ---- */

int install_check(struct install *in, struct err *e)
{
	in->threads = pipeline_threads(in->session->cfg);
	return in->plan->seekable ? prove_all(in, true, e) : take_all(in, true, e);
}

int install_run(struct install *in, struct err *e)
{
	int rc;

	in->threads = pipeline_threads(in->session->cfg);
	rc = in->plan->seekable ? prove_all(in, false, e) : take_all(in, false, e);
	if (rc == 0 && !writes(in) && !in->plan->seekable)
		return 0;
	return rc < 0 ? rc : run_rest(in, e);
}

int install_called(struct install *in, struct plan_step *ps, struct stream *s,
		   const struct notes *n, struct err *e)
{
	/* its bytes were counted on their way to the code that asks */
	struct meter m = {.cancel = in->session->cancel};
	const struct feed f = {.session = in->session, .meter = &m, .threads = 1, .notes = n};
	int rc = plan_open_place(in->plan, ps, e);

	if (rc == 0)
		rc = note_file(in, ps, e);
	if (rc < 0) {
		stream_close(s);
		return rc;
	}
	ps->started = true;
	rc = pipeline_install(ps, s, &f, e);
	place_end(&ps->span);
	ps->done = rc == 0;
	return rc;
}

void install_discard_step(struct plan_step *ps)
{
	if (ps->started && ps->step.handler->discard)
		ps->step.handler->discard(&ps->step);
	ps->started = false;
}

void install_discard(struct plan *p)
{
	for (size_t i = p->count; i-- > 0;)
		install_discard_step(&p->steps[i]);
}
