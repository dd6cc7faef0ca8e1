/* The one state of a step, and the verbs that change it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/step.h"
#include "tests/unit/kit/fake_blkdev.h"

struct bench {
	char log[512];
	struct settings cfg;
	struct session session;
	struct entry entries[3];
	struct plan_step planned[3 + PLAN_CALLED];
	struct manifest m;
	struct places places;
	struct plan plan;
	struct steps *all;
	struct fakedev dev;
	int fail_install, fail_commit; /* of the step with this number, from 1 */
	struct err e;
};

static void saw(struct step *st, const char *what)
{
	struct bench *b = st->state;
	size_t at = strlen(b->log);

	snprintf(b->log + at, sizeof(b->log) - at, "%s%d ", what, (int)(st->entry - b->entries));
}

static int tell_to_fail(struct step *st, int number, struct err *e)
{
	struct bench *b = st->state;

	if (st->entry != b->entries + number - 1)
		return 0;
	return err_set(e, E_TARGET_WRITE, EIO, "told to fail");
}

static int install(struct step *st, struct stream *s, struct err *e)
{
	int rc = stream_drain(s, e);

	saw(st, "install");
	return rc < 0 ? rc : tell_to_fail(st, ((struct bench *)st->state)->fail_install, e);
}

static int commit(struct step *st, struct err *e)
{
	saw(st, "commit");
	return tell_to_fail(st, ((struct bench *)st->state)->fail_commit, e);
}

static void discard(struct step *st)
{
	saw(st, "discard");
}

static int run(struct step *st, enum phase phase, struct err *e)
{
	static const char *const words[] = {"pre", "post", "failure", "switch"};

	(void)e;
	saw(st, words[phase]);
	return 0;
}

static const struct handler target = {.name = "target",
				      .kind = HANDLER_TARGET,
				      .install = install,
				      .commit = commit,
				      .discard = discard};
static const struct handler action = {.name = "action",
				      .kind = HANDLER_ACTION,
				      .install = install,
				      .commit = commit,
				      .discard = discard,
				      .run = run,
				      .phases = 1u << PHASE_PREINSTALL | 1u << PHASE_POSTINSTALL |
						1u << PHASE_POSTFAILURE};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	b->session.cfg = &b->cfg;
	b->m.version = "1";
	b->m.entry_count = 3;
	b->plan = (struct plan){
		.manifest = &b->m, .steps = b->planned, .count = 3, .places = &b->places};
	for (size_t i = 0; i < 3; i++) {
		b->entries[i].section = SECTION_IMAGES;
		b->entries[i].index = (unsigned)i;
		b->planned[i].step.entry = &b->entries[i];
		b->planned[i].step.handler = i == 2 ? &action : &target;
		b->planned[i].step.state = b;
		span_init(&b->planned[i].span);
	}
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	steps_free(b->all);
	free(b);
	return 0;
}

static void start(struct bench *b)
{
	assert_int_equal(steps_new(&b->all, &b->session, &b->plan, &b->e), 0);
}

static int write_one(struct bench *b, struct run_step *rs)
{
	const struct feed f = {.session = &b->session};
	struct stream *s = NULL;

	assert_int_equal(stream_mem_open(&s, "abc", 3, &b->e), 0);
	pipeline_fit(&rs->known, s, &f);
	return step_is_action(rs) ? step_store(b->all, rs, s, &f, &b->e)
				  : step_write(b->all, rs, s, &f, &b->e);
}

static int write_all(struct bench *b)
{
	steps_each(rs, b->all)
	{
		int rc = write_one(b, rs);

		if (rc < 0)
			return rc;
	}
	return step_run(b->all, &b->all->at[2], PHASE_PREINSTALL, &b->e);
}

static void states_are(const struct bench *b, enum step_state x, enum step_state y,
		       enum step_state z)
{
	assert_int_equal(b->all->at[0].state, x);
	assert_int_equal(b->all->at[1].state, y);
	assert_int_equal(b->all->at[2].state, z);
}

static void a_step_goes_from_waiting_to_settled_by_its_verbs(void **state)
{
	struct bench *b = *state;

	start(b);
	states_are(b, STEP_WAITS, STEP_WAITS, STEP_WAITS);
	assert_int_equal(write_all(b), 0);
	states_are(b, STEP_DONE, STEP_DONE, STEP_STORED);
	assert_int_equal(step_run(b->all, &b->all->at[2], PHASE_POSTINSTALL, &b->e), 0);
	assert_int_equal(steps_flush(b->all, &b->e), 0);
	states_are(b, STEP_DONE, STEP_DONE, STEP_DONE);
	assert_int_equal(steps_commit(b->all, &b->e), 0);
	states_are(b, STEP_COMMITTED, STEP_COMMITTED, STEP_COMMITTED);
	assert_true(steps_settle(b->all));
	states_are(b, STEP_SETTLED, STEP_SETTLED, STEP_SETTLED);
	steps_discard(b->all); /* the switch lies behind it */
	assert_string_equal(b->log,
			    "install0 install1 install2 pre2 post2 commit0 commit1 commit2 ");
}

static void what_was_committed_is_undone_when_a_later_step_cannot_be(void **state)
{
	struct bench *b = *state;

	start(b);
	assert_int_equal(write_all(b), 0);
	b->fail_commit = 2;
	assert_true(steps_commit(b->all, &b->e) < 0);
	assert_non_null(strstr(b->e.where, "images[1] of release 1"));
	states_are(b, STEP_COMMITTED, STEP_DONE, STEP_STORED);
	b->log[0] = '\0';
	steps_postfailure(b->all);
	steps_discard(b->all);
	steps_discard(b->all); /* once is enough */
	assert_string_equal(b->log, "failure2 discard2 discard1 discard0 ");
	states_are(b, STEP_DISCARDED, STEP_DISCARDED, STEP_DISCARDED);
}

static void a_step_that_broke_off_is_undone_and_one_that_waits_is_left_alone(void **state)
{
	struct bench *b = *state;

	start(b);
	b->fail_install = 1;
	assert_true(write_one(b, &b->all->at[0]) < 0);
	states_are(b, STEP_BEGUN, STEP_WAITS, STEP_WAITS);
	steps_postfailure(b->all); /* the action is not stored */
	steps_discard(b->all);
	assert_string_equal(b->log, "install0 discard0 ");
	states_are(b, STEP_DISCARDED, STEP_WAITS, STEP_WAITS);
}

static void what_is_left_out_is_met_by_nobody(void **state)
{
	struct bench *b = *state;
	unsigned n = 0;

	b->planned[1].left_out = true;
	b->planned[1].step.handler = NULL; /* such a step is bound to nothing */
	start(b);
	steps_each(rs, b->all) n += rs == &b->all->at[0] || rs == &b->all->at[2];
	assert_int_equal(n, 2);
	assert_int_equal(write_all(b), 0);
	assert_int_equal(steps_flush(b->all, &b->e), 0);
	assert_int_equal(steps_commit(b->all, &b->e), 0);
	steps_discard(b->all);
	assert_null(strstr(b->log, "1 "));
}

static void a_dry_run_begins_nothing(void **state)
{
	struct bench *b = *state;

	b->session.mode = JOB_DRY_RUN;
	start(b);
	assert_int_equal(write_one(b, &b->all->at[0]), 0);
	assert_int_equal(b->all->at[0].state, STEP_DONE);
	assert_string_equal(b->log, "");
}

/* one more, which Lua code asked for */
static struct run_step *called(struct bench *b)
{
	struct plan_step *ps = &b->planned[b->plan.count++];

	*ps = (struct plan_step){.called = true};
	span_init(&ps->span);
	ps->step = b->planned[0].step;
	assert_int_equal(fakedev_init(&b->dev, 4096, 0), 0);
	ps->step.dev = &b->dev.d;
	return steps_add(b->all, ps);
}

static void a_called_step_that_wrote_nothing_lets_the_update_go_on(void **state)
{
	struct bench *b = *state;

	start(b);
	step_give_up(b->all, called(b), &b->e);
	assert_int_equal(write_all(b), 0);
	assert_int_equal(steps_close(b->all, &b->e), 0);
	fakedev_clear(&b->dev);
}

static void l3_a_called_step_that_is_half_fails_the_update_when_the_steps_are_closed(void **state)
{
	struct bench *b = *state;
	struct run_step *rs;

	start(b);
	rs = called(b);
	b->fail_install = 1;
	assert_int_equal(write_one(b, rs), -EIO);
	step_give_up(b->all, rs, &b->e);
	assert_int_equal(rs->state, STEP_DISCARDED);
	err_clear(&b->e);
	assert_int_equal(steps_close(b->all, &b->e), -EIO);
	assert_int_equal(b->e.code, E_TARGET_WRITE);
	fakedev_clear(&b->dev);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_step_goes_from_waiting_to_settled_by_its_verbs),
		T(what_was_committed_is_undone_when_a_later_step_cannot_be),
		T(a_step_that_broke_off_is_undone_and_one_that_waits_is_left_alone),
		T(what_is_left_out_is_met_by_nobody),
		T(a_dry_run_begins_nothing),
		T(a_called_step_that_wrote_nothing_lets_the_update_go_on),
		T(l3_a_called_step_that_is_half_fails_the_update_when_the_steps_are_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
