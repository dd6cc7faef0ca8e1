#include "core/install.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/pipeline.h"

static bool writes(const struct install *in)
{
	return session_writes(in->session);
}

static const struct plan *plan_of(const struct install *in)
{
	return in->steps->plan;
}

static void tell_step(struct install *in, const char *verb, const struct run_step *rs,
		      uint64_t size, const struct stages *l)
{
	char stages[200] = "";
	const struct reported_step s = {
		.verb = verb,
		.name = plan_step_name(&rs->known),
		.handler = plan_step_handler(&rs->known),
		.size = size,
		.stages = stages,
	};

	if (l)
		stages_text(l, stages, sizeof(stages));
	atomic_store(&in->session->meter.bytes, 0);
	reporter_step(in->session->reporter, &s);
}

/* ---- payloads ---- */

static struct arrival *arrival_of(const struct install *in, const struct plan_payload *planned)
{
	return planned ? &in->arrivals[planned - plan_of(in)->payloads] : NULL;
}

static struct run_step *first_user(const struct install *in, const struct arrival *a)
{
	return steps_of(in->steps, a->planned->users[0]);
}

static int start(struct install *in, struct err *e)
{
	const struct plan *p = plan_of(in);

	if (in->arrivals)
		return 0;
	in->spool.fd = -1;
	in->arrivals = calloc(p->payload_count + 1, sizeof(*in->arrivals));
	if (!in->arrivals)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the payloads");
	for (size_t i = 0; i < p->payload_count; i++)
		in->arrivals[i].planned = &p->payloads[i];
	return 0;
}

void install_end(struct install *in)
{
	if (!in->arrivals)
		return;
	for (size_t i = 0; i < plan_of(in)->payload_count; i++)
		notes_free(in->arrivals[i].notes);
	cleanup_close(&in->spool.fd);
	free(in->arrivals);
	in->arrivals = NULL;
}

static bool must_be_proven(const struct arrival *a, const struct plan_step *ps)
{
	return a->spooled || ps->route == ROUTE_TWICE || ps->route == ROUTE_SPOOL;
}

static int open_source(struct install *in, const struct arrival *a, struct stream **s,
		       struct err *e)
{
	const struct stream_fd_options o = {
		.start = a ? a->spool_at : 0,
		.size = a ? a->size : 0,
		.cancel = in->session->cancel,
	};

	if (!a)
		return stream_mem_open(s, "", 0, e);
	return a->spooled ? stream_fd_open(s, in->spool.fd, &o, e)
			  : bundle_payload(in->bundle, a->payload, s, e);
}

/* without the notes of the first pass nothing would compare what is read now with what was proven
 * (L1) */
static int open_payload(struct install *in, struct run_step *rs, struct stream **s, struct feed *f,
			struct err *e)
{
	const struct arrival *a = arrival_of(in, rs->known.payload);
	bool again = a && must_be_proven(a, &rs->known);
	int rc;

	if (again && !a->notes && writes(in))
		return step_at(in->steps, rs,
			       err_set(e, E_INTERNAL, EPROTO, "'%s' was not proven before",
				       a->planned->name),
			       e);
	*f = (struct feed){.session = in->session,
			   .meter = &in->session->meter,
			   .notes = again ? a->notes : NULL};
	rc = open_source(in, a, s, e);
	if (rc == 0)
		pipeline_fit(&rs->known, *s, f);
	return rc;
}

/* ---- steps ---- */

static int write_step(struct install *in, struct run_step *rs, struct err *e)
{
	const struct arrival *a = arrival_of(in, rs->known.payload);
	const char *verb = in->session->mode == JOB_CHECK ? "checking" : "writing";
	struct stream *s;
	struct feed f;
	int rc;

	rc = open_payload(in, rs, &s, &f, e);
	if (rc < 0)
		return rc;
	tell_step(in, verb, rs, a ? a->size : 0, &rs->known.stages);
	return step_write(in->steps, rs, s, &f, e);
}

static bool has_arrived(const struct install *in, const struct run_step *rs)
{
	const struct arrival *a = arrival_of(in, rs->known.payload);

	return plan_of(in)->seekable || !a || a->spooled;
}

/* the payloads of actions, as far as they have arrived: proven, then stored where they can run */
static int store_actions(struct install *in, struct err *e)
{
	if (!writes(in))
		return 0;
	steps_each(rs, in->steps)
	{
		struct stream *s = NULL;
		struct feed f = {.session = in->session};
		int rc = 0;

		if (!step_is_action(rs) || rs->state != STEP_WAITS || !has_arrived(in, rs))
			continue;
		if (rs->known.payload)
			rc = open_payload(in, rs, &s, &f, e);
		if (rc == 0)
			rc = step_store(in->steps, rs, s, &f, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int run_actions(struct install *in, enum phase phase, struct err *e)
{
	if (!writes(in))
		return 0;
	steps_each(rs, in->steps)
	{
		int rc;

		if (!step_acts_in(rs, phase))
			continue;
		tell_step(in, "running", rs, 0, NULL);
		rc = step_run(in->steps, rs, phase, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* what is copied before the images; it has no payload */
static int write_early(struct install *in, struct err *e)
{
	steps_each(rs, in->steps)
	{
		int rc = rs->known.early && rs->state == STEP_WAITS ? write_step(in, rs, e) : 0;

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* once, before the first byte goes to a target */
static int begin(struct install *in, struct err *e)
{
	int rc = 0;

	if (in->begun)
		return 0;
	in->begun = true;
	if (writes(in))
		rc = in->begin(in->arg, e);
	if (rc == 0 && writes(in))
		rc = steps_mount(in->steps, e);
	if (rc == 0)
		rc = store_actions(in, e);
	if (rc == 0)
		rc = run_actions(in, PHASE_PREINSTALL, e);
	return rc < 0 ? rc : write_early(in, e);
}

/* targets that have not run yet, in order */
static int write_rest(struct install *in, bool irreversible, struct err *e)
{
	steps_each(rs, in->steps)
	{
		int rc;

		if (step_is_action(rs) || rs->state != STEP_WAITS ||
		    rs->known.step.handler->irreversible != irreversible)
			continue;
		rc = write_step(in, rs, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int run_rest(struct install *in, struct err *e)
{
	int rc = begin(in, e);

	if (rc == 0)
		rc = store_actions(in, e);
	if (rc == 0)
		rc = write_rest(in, false, e);
	if (rc == 0)
		rc = run_actions(in, PHASE_POSTINSTALL, e);
	/* an install does that when the commit is ready: install_irreversible() */
	return rc < 0 || writes(in) ? rc : write_rest(in, true, e);
}

/* ---- proving ---- */

static bool wants_proof(const struct plan_payload *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->users[i]->route == ROUTE_TWICE || p->users[i]->route == ROUTE_SPOOL)
			return true;
	return false;
}

/* the payload flows by from 's' (taken): proven, noted and, with fd, kept */
static int prove(struct install *in, struct arrival *a, struct stream *s, int fd, struct err *e)
{
	struct run_step *rs = first_user(in, a);
	struct feed f = {.session = in->session, .meter = &in->session->meter};

	tell_step(in, fd < 0 ? "checking" : "storing", rs, a->size, NULL);
	return step_at(in->steps, rs, pipeline_prove(&rs->known, s, &f, a->notes, fd, e), e);
}

static int prove_here(struct install *in, struct arrival *a, struct err *e)
{
	struct stream *s = NULL;
	int rc;

	a->notes = notes_new(a->size, e);
	if (!a->notes)
		return -e->sys;
	rc = bundle_payload(in->bundle, a->payload, &s, e);
	return rc < 0 ? rc : prove(in, a, s, -1, e);
}

static int missing(const struct arrival *a, struct err *e)
{
	return err_set(e, E_MEMBER_MISSING, ENOENT, "'%s' is not in the bundle", a->planned->name);
}

static int find_payloads(struct install *in, struct err *e)
{
	for (size_t i = 0; i < plan_of(in)->payload_count; i++) {
		struct arrival *a = &in->arrivals[i];

		a->payload = bundle_find(in->bundle, a->planned->name);
		if (!a->payload)
			return missing(a, e);
		a->size = a->payload->size;
	}
	return 0;
}

/* from a file: what has to be proven before the first write */
static int prove_all(struct install *in, struct err *e)
{
	int rc = find_payloads(in, e);

	for (size_t i = 0; rc == 0 && i < plan_of(in)->payload_count; i++) {
		struct arrival *a = &in->arrivals[i];

		if (wants_proof(a->planned))
			rc = prove_here(in, a, e);
	}
	return rc;
}

/* ---- from a pipe ---- */

/* sharers of a payload are proven by the list of the first one */
static int take_list(struct install *in, const struct payload *load, struct err *e)
{
	steps_each(rs, in->steps)
	{
		const char *name = rs->known.step.entry->hashes.name;
		AUTO_STREAM struct stream *s = NULL;
		int rc;

		if (!name || strcmp(name, load->name) != 0)
			continue;
		rc = bundle_payload(in->bundle, load, &s, e);
		if (rc == 0)
			rc = plan_hash_list(&rs->known, s, load->size, e);
		return step_at(in->steps, rs, rc, e);
	}
	return 0;
}

static bool all_before_done(const struct install *in, const struct run_step *rs)
{
	steps_each(before, in->steps)
	{
		if (before == rs)
			break;
		if (!step_is_action(before) && !before->known.step.handler->irreversible &&
		    before->state != STEP_DONE)
			return false;
	}
	return true;
}

/* partitions are laid out before anything flows into one of them */
static int write_partitions(struct install *in, struct err *e)
{
	int rc = begin(in, e);

	if (rc < 0)
		return rc;
	steps_each(rs, in->steps)
	{
		if (rs->known.step.entry->section != SECTION_PARTITIONS ||
		    rs->state != STEP_WAITS || rs->known.payload)
			continue;
		rc = write_step(in, rs, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* has everything arrived that runs before the first image? What flows may not come before it */
static bool may_begin(const struct install *in)
{
	steps_each(rs, in->steps)
	{
		if (step_acts_in(rs, PHASE_PREINSTALL) && !has_arrived(in, rs))
			return false;
	}
	return true;
}

/* may this payload go straight to its only step? */
static bool may_flow(const struct install *in, const struct arrival *a)
{
	const struct run_step *rs = first_user(in, a);

	if (a->planned->count != 1 || !may_begin(in))
		return false;
	if (rs->known.route == ROUTE_FLOW)
		return true;
	return rs->known.route == ROUTE_BLOCKS && rs->known.list && all_before_done(in, rs);
}

static int flow(struct install *in, struct arrival *a, struct err *e)
{
	int rc = write_partitions(in, e);

	return rc < 0 ? rc : write_step(in, first_user(in, a), e);
}

static int store(struct install *in, struct arrival *a, struct err *e)
{
	struct spool *spool = &in->spool;
	struct stream *s = NULL;
	bool first = spool->fd < 0;
	int rc;

	rc = spool_reserve(spool, in->session->cfg, a->size, &a->spool_at, e);
	if (rc < 0)
		return rc;
	if (first && spool_in_memory(spool->fd))
		reporter_warn(in->session->reporter,
			      "the spool directory lies in memory: a large payload may use it up");
	a->notes = notes_new(a->size, e);
	if (!a->notes)
		return -e->sys;
	rc = bundle_payload(in->bundle, a->payload, &s, e);
	if (rc == 0)
		rc = prove(in, a, s, spool->fd, e);
	a->spooled = rc == 0;
	return rc;
}

/* the sizes that the header tells; of several parts only the description knows the sum */
static int learn_size(struct install *in, struct arrival *a, const struct payload *load,
		      struct err *e)
{
	const struct entry *first = a->planned->users[0]->step.entry;

	a->payload = load;
	a->size = load->has_size ? load->size : first->size;
	if (!load->has_size && !first->has_size)
		return err_set(e, E_PARTS, EINVAL,
			       "'%s' comes in parts: from a pipe the description "
			       "has to say its size",
			       a->planned->name);
	for (size_t i = 0; i < a->planned->count; i++) {
		struct run_step *rs = steps_of(in->steps, a->planned->users[i]);
		int rc = plan_entry_size(plan_of(in), &rs->known, a->size, e);

		if (rc < 0)
			return step_at(in->steps, rs, rc, e);
	}
	return 0;
}

static int take_payload(struct install *in, struct arrival *a, const struct payload *load,
			struct err *e)
{
	int rc = learn_size(in, a, load, e);

	if (rc < 0)
		return rc;
	if (in->session->mode == JOB_CHECK)
		return a->planned->count > 1 ? store(in, a, e)
					     : write_step(in, first_user(in, a), e);
	return may_flow(in, a) ? flow(in, a, e) : store(in, a, e);
}

static int take_all(struct install *in, struct err *e)
{
	const struct payload *load;
	int rc;

	while ((rc = bundle_next(in->bundle, &load, e)) > 0) {
		struct arrival *a = arrival_of(in, plan_payload(plan_of(in), load->name));

		rc = a ? take_payload(in, a, load, e) : take_list(in, load, e);
		if (rc < 0)
			return rc;
	}
	for (size_t i = 0; rc == 0 && i < plan_of(in)->payload_count; i++)
		if (!in->arrivals[i].payload)
			rc = missing(&in->arrivals[i], e);
	return rc;
}

/* ---- all ---- */

unsigned install_count(const struct plan *p, bool check)
{
	unsigned n = 0;

	for (size_t i = 0; !check && i < p->count; i++)
		n += p->steps[i].left_out ? 0 : plan_step_runs(&p->steps[i]);
	for (size_t i = 0; check && i < p->count; i++)
		n += !p->steps[i].left_out && (p->steps[i].payload || p->steps[i].source);
	for (size_t i = 0; i < p->payload_count; i++) {
		const struct plan_step *ps = p->payloads[i].users[0];

		n += check ? !p->seekable && p->payloads[i].count > 1
			   : ps->route == ROUTE_TWICE || ps->route == ROUTE_SPOOL;
	}
	return n;
}

/* once through all stages of each step, into nothing; from a pipe the most of it has been done */
static int check(struct install *in, struct err *e)
{
	int rc = plan_of(in)->seekable ? find_payloads(in, e) : take_all(in, e);

	if (rc < 0)
		return rc;
	steps_each(rs, in->steps)
	{
		bool bytes = rs->known.payload || rs->known.source;

		rc = bytes && rs->state == STEP_WAITS ? write_step(in, rs, e) : 0;
		if (rc < 0)
			return rc;
	}
	return 0;
}

int install_run(struct install *in, struct err *e)
{
	int rc = start(in, e);

	if (rc == 0 && in->session->mode == JOB_CHECK)
		return check(in, e);
	if (rc == 0)
		rc = plan_of(in)->seekable ? prove_all(in, e) : take_all(in, e);
	return rc < 0 ? rc : run_rest(in, e);
}

int install_irreversible(struct install *in, struct err *e)
{
	return write_rest(in, true, e);
}
