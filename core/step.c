#include "core/step.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/hooks.h"
#include "core/state/journal_address.h"
#include "corelib/files/staged.h"

int steps_new(struct steps **out, struct session *s, const struct plan *p, struct err *e)
{
	struct steps *all = calloc(1, sizeof(*all));

	if (all)
		all->at = calloc(p->count + PLAN_CALLED, sizeof(*all->at));
	if (!all || !all->at) {
		free(all);
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the steps");
	}
	all->session = s;
	all->plan = p;
	for (size_t i = 0; i < p->count; i++)
		steps_add(all, &p->steps[i]);
	*out = all;
	return 0;
}

struct run_step *steps_add(struct steps *all, const struct plan_step *planned)
{
	struct run_step *rs = &all->at[planned - all->plan->steps];

	*rs = (struct run_step){.known = *planned,
				.state = planned->left_out ? STEP_LEFT_OUT : STEP_WAITS};
	all->count = all->plan->count;
	return rs;
}

static const struct plan_step *planned_as(const struct steps *all, const struct run_step *rs)
{
	return &all->plan->steps[rs - all->at];
}

void steps_free(struct steps *all)
{
	if (!all)
		return;
	for (size_t i = 0; i < all->count; i++) {
		place_end(&all->at[i].known.span);
		if (all->at[i].known.list != planned_as(all, &all->at[i])->list)
			free(all->at[i].known.list); /* it came with a pipe */
	}
	free(all->at);
	free(all);
}

/* ---- asking ---- */

struct run_step *steps_next(const struct steps *all, const struct run_step *after)
{
	for (size_t i = after ? (size_t)(after - all->at) + 1 : 0; i < all->count; i++)
		if (all->at[i].state != STEP_LEFT_OUT)
			return &all->at[i];
	return NULL;
}

struct run_step *steps_of(const struct steps *all, const struct plan_step *planned)
{
	return &all->at[planned - all->plan->steps];
}

static const struct handler *handler_of(const struct run_step *rs)
{
	return rs->known.step.handler;
}

bool step_is_action(const struct run_step *rs)
{
	return handler_of(rs)->kind == HANDLER_ACTION;
}

bool step_acts_in(const struct run_step *rs, enum phase phase)
{
	return step_is_action(rs) && handler_of(rs)->phases & 1u << phase;
}

/* to be committed or discarded */
static bool has_begun(const struct run_step *rs)
{
	switch (rs->state) {
	case STEP_BEGUN:
	case STEP_STORED:
	case STEP_DONE:
	case STEP_COMMITTED:
		return true;
	default:
		return false;
	}
}

static bool is_stored_action(const struct run_step *rs)
{
	return step_is_action(rs) && has_begun(rs) && rs->state != STEP_BEGUN;
}

bool steps_ran_code(const struct steps *all)
{
	if (all->plan->code)
		return true;
	steps_each(rs, all)
	{
		if (is_stored_action(rs) || (has_begun(rs) && handler_of(rs)->foreign))
			return true;
	}
	return false;
}

int step_at(const struct steps *all, const struct run_step *rs, int rc, struct err *e)
{
	return plan_at(all->plan, &rs->known, rc, e);
}

/* ---- functions of the bundle around an entry ---- */

static int call_before(const struct steps *all, const struct run_step *rs, struct err *e)
{
	const struct entry *t = rs->known.step.entry;

	if (!t->preinstall)
		return 0;
	return err_while(e, hooks_call(all->hooks, t->preinstall, t, e),
			 "running preinstall function %s", t->preinstall);
}

static int call_after(const struct steps *all, const struct run_step *rs, struct err *e)
{
	const struct entry *t = rs->known.step.entry;

	if (!t->postinstall)
		return 0;
	return err_while(e, hooks_call(all->hooks, t->postinstall, t, e),
			 "running postinstall function %s", t->postinstall);
}

/* ---- a target ---- */

int steps_mount(struct steps *all, struct err *e)
{
	steps_each(rs, all)
	{
		int rc = 0;

		if (plan_opens_early(all->plan, planned_as(all, rs)))
			rc = plan_open_place(all->plan, &rs->known, e);
		if (rc < 0)
			return step_at(all, rs, rc, e);
	}
	return 0;
}

/* the journal knows of a file before it is touched */
static int note_file(const struct steps *all, const struct run_step *rs, struct err *e)
{
	struct journal *j = all->session->journal;
	struct staged *f = rs->known.step.file;
	char text[ADDRESS_TEXT];

	if (!f || f->straight)
		return 0;
	if (!j)
		return err_set(e, E_STATE_DIR, EROFS, "files need the journal to be undone");
	if (staged_look_kept(f, e) < 0)
		return -e->sys;
	if (journal_address_text(&f->address, text, sizeof(text)) < 0)
		return err_set(e, E_FILE, EINVAL, "the path of '%s' cannot be written down",
			       f->address.name);
	return journal_add(j, JOURNAL_FILE, text, e);
}

static int begin(struct steps *all, struct run_step *rs, struct err *e)
{
	int rc = plan_open_place(all->plan, &rs->known, e);

	if (rc == 0)
		rc = note_file(all, rs, e);
	if (rc == 0)
		rc = call_before(all, rs, e);
	if (rc == 0)
		rs->state = STEP_BEGUN;
	return rc;
}

int step_write(struct steps *all, struct run_step *rs, struct stream *s, const struct feed *f,
	       struct err *e)
{
	bool writes = session_writes(all->session);
	int rc = writes ? begin(all, rs, e) : 0;

	if (rc < 0) {
		place_end(&rs->known.span);
		stream_close(s);
		return step_at(all, rs, rc, e);
	}
	rc = pipeline_install(&rs->known, s, f, e);
	place_end(&rs->known.span);
	if (rc == 0 && writes)
		rc = call_after(all, rs, e);
	if (rc == 0)
		rs->state = STEP_DONE;
	return step_at(all, rs, rc, e);
}

/* ---- an action ---- */

int step_store(struct steps *all, struct run_step *rs, struct stream *s, const struct feed *f,
	       struct err *e)
{
	int rc = 0;

	rs->state = STEP_BEGUN;
	if (s)
		rc = pipeline_install(&rs->known, s, f, e);
	if (rc == 0)
		rs->state = STEP_STORED;
	return step_at(all, rs, rc, e);
}

/* functions of the bundle frame all of its phases */
int step_run(struct steps *all, struct run_step *rs, enum phase phase, struct err *e)
{
	bool first = phase == PHASE_PREINSTALL || !step_acts_in(rs, PHASE_PREINSTALL);
	bool last = phase == PHASE_POSTINSTALL || !step_acts_in(rs, PHASE_POSTINSTALL);
	int rc = first ? call_before(all, rs, e) : 0;

	if (rc == 0)
		rc = handler_of(rs)->run(&rs->known.step, phase, e);
	if (rc == 0 && last)
		rc = call_after(all, rs, e);
	if (rc == 0 && last)
		rs->state = STEP_DONE;
	return step_at(all, rs, rc, e);
}

/* ---- all of them, towards the switch ---- */

/* code may have been told of it and have gone on: half a step must not be switched to (L3) */
int steps_close(struct steps *all, struct err *e)
{
	all->closed = true;
	if (!err_is_set(&all->failed))
		return 0;
	*e = all->failed;
	return e->sys > 0 ? -e->sys : -EIO;
}

int steps_flush(struct steps *all, struct err *e)
{
	steps_each(rs, all)
	{
		struct staged *f = rs->known.step.file;
		int rc = f && has_begun(rs) ? staged_sync(f, e) : 0;

		if (rc < 0)
			return step_at(all, rs, rc, e);
	}
	return places_flush(all->plan->places, e);
}

int steps_commit(struct steps *all, struct err *e)
{
	steps_each(rs, all)
	{
		int rc = 0;

		if (!has_begun(rs))
			continue;
		if (handler_of(rs)->commit)
			rc = handler_of(rs)->commit(&rs->known.step, e);
		if (rc < 0)
			return step_at(all, rs, rc, e);
		rs->state = STEP_COMMITTED;
	}
	return 0;
}

/* once more before it is left to recovery */
static int drop_old(struct staged *f, struct err *e)
{
	int rc = staged_drop(f, e);

	if (rc == 0)
		return 0;
	err_clear(e);
	return staged_drop(f, e);
}

bool steps_settle(struct steps *all)
{
	bool complete = true;

	steps_each(rs, all)
	{
		struct err e = {0};

		if (rs->state != STEP_COMMITTED)
			continue;
		if (rs->known.step.file && drop_old(rs->known.step.file, &e) < 0) {
			reporter_warn(all->session->reporter,
				      "the old version of a file could not be removed: %s", e.why);
			complete = false;
		}
		rs->state = STEP_SETTLED;
	}
	return complete;
}

/* ---- the way back ---- */

void steps_postfailure(struct steps *all)
{
	steps_each(rs, all)
	{
		struct err e = {0};

		if (is_stored_action(rs) && step_acts_in(rs, PHASE_POSTFAILURE) &&
		    handler_of(rs)->run(&rs->known.step, PHASE_POSTFAILURE, &e) < 0)
			reporter_warn(all->session->reporter, "a script failed to tidy up: %s",
				      e.why);
	}
}

static void discard(struct run_step *rs)
{
	if (!has_begun(rs))
		return;
	if (handler_of(rs)->discard)
		handler_of(rs)->discard(&rs->known.step);
	rs->state = STEP_DISCARDED;
}

void steps_discard(struct steps *all)
{
	for (size_t i = all->count; i-- > 0;)
		discard(&all->at[i]);
}

void step_give_up(struct steps *all, struct run_step *rs, const struct err *e)
{
	const struct step *st = &rs->known.step;

	if (has_begun(rs) && (st->dev || st->file) && !err_is_set(&all->failed))
		all->failed = *e;
	discard(rs);
	if (rs->state == STEP_WAITS)
		rs->state = STEP_LEFT_OUT;
}

/* a file that was never touched was never noted in the journal either */
bool steps_left_something(const struct steps *all)
{
	steps_each(rs, all)
	{
		const struct staged *f = rs->known.step.file;
		struct staged *left = NULL;
		struct err ignored = {0};

		if (rs->state != STEP_DISCARDED || !f)
			continue;
		if (staged_find(&left, &f->address, f->root_fd, &ignored) != 0) {
			staged_close(left);
			return true;
		}
	}
	return false;
}
