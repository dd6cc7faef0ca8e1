/* The ring of events: bounded, in order, and a slow reader knows what it missed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/progress.h"

static void put(struct progress *p, enum event_type type, unsigned step, unsigned percent)
{
	const struct event ev = {.type = type, .step = step, .percent = percent};

	progress_put(p, &ev);
}

static void progress_gives_events_in_order_to_every_reader(void **state)
{
	struct progress *p = progress_new(8);
	uint64_t one = 0, two = 0, lost = 0;
	struct event ev;

	(void)state;
	assert_int_equal(progress_get(p, &one, &ev, &lost), 0);
	for (unsigned i = 1; i <= 5; i++)
		put(p, EVENT_STEP, i, 0);
	for (unsigned i = 1; i <= 5; i++) {
		assert_int_equal(progress_get(p, &one, &ev, &lost), 1);
		assert_int_equal(ev.step, i);
		assert_int_equal(ev.seq, i);
	}
	assert_int_equal(progress_get(p, &one, &ev, &lost), 0);
	assert_int_equal(progress_get(p, &two, &ev, &lost), 1);
	assert_int_equal(ev.step, 1);
	assert_int_equal(lost, 0);
	progress_free(p);
}

static void progress_percent_overwrites_percent_of_the_same_step(void **state)
{
	struct progress *p = progress_new(4);
	uint64_t cursor = 0, lost = 0;
	struct event ev;

	(void)state;
	put(p, EVENT_STEP, 1, 0);
	for (unsigned i = 0; i <= 100; i++)
		put(p, EVENT_PROGRESS, 1, i);
	put(p, EVENT_PROGRESS, 2, 7);
	assert_int_equal(progress_get(p, &cursor, &ev, &lost), 1);
	assert_int_equal(ev.type, EVENT_STEP);
	assert_int_equal(progress_get(p, &cursor, &ev, &lost), 1);
	assert_int_equal(ev.percent, 100);
	assert_int_equal(progress_get(p, &cursor, &ev, &lost), 1);
	assert_int_equal(ev.percent, 7);
	assert_int_equal(progress_get(p, &cursor, &ev, &lost), 0);
	assert_int_equal(lost, 0);
	/* one that was read already is told again with its new percentage */
	put(p, EVENT_PROGRESS, 2, 8);
	assert_int_equal(progress_get(p, &cursor, &ev, &lost), 1);
	assert_int_equal(ev.percent, 8);
	progress_free(p);
}

static void progress_slow_reader_loses_old_events_and_knows_how_many(void **state)
{
	struct progress *p = progress_new(4);
	uint64_t cursor = 0, lost = 0;
	struct event ev;

	(void)state;
	put(p, EVENT_STEP, 1, 0);
	assert_int_equal(progress_get(p, &cursor, &ev, &lost), 1);
	for (unsigned i = 2; i <= 11; i++)
		put(p, EVENT_STEP, i, 0);
	assert_int_equal(progress_get(p, &cursor, &ev, &lost), 1);
	assert_int_equal(ev.step, 8);
	assert_int_equal(lost, 6);
	for (unsigned i = 9; i <= 11; i++) {
		assert_int_equal(progress_get(p, &cursor, &ev, &lost), 1);
		assert_int_equal(ev.step, i);
	}
	assert_int_equal(lost, 6);
	assert_int_equal(progress_get(p, &cursor, &ev, &lost), 0);
	progress_free(p);
}

static void *write_many(void *arg)
{
	for (unsigned i = 1; i <= 2000; i++)
		put(arg, EVENT_STEP, i, i);
	return NULL;
}

static void progress_reader_in_another_thread_sees_whole_events(void **state)
{
	struct progress *p = progress_new(16);
	uint64_t cursor = 0, lost = 0, seen = 0;
	struct event ev = {0};
	pthread_t writer;

	(void)state;
	assert_int_equal(pthread_create(&writer, NULL, write_many, p), 0);
	while (ev.step != 2000) {
		if (progress_get(p, &cursor, &ev, &lost) == 0)
			continue;
		seen++;
		assert_int_equal(ev.step, ev.percent);
		assert_int_equal(ev.step, seen + lost);
	}
	pthread_join(writer, NULL);
	progress_free(p);
}

static void progress_states_have_names(void **state)
{
	(void)state;
	assert_string_equal(job_state_name(STATE_IDLE), "idle");
	assert_string_equal(job_state_name(STATE_FAILURE), "failure");
	assert_string_equal(job_state_name((enum job_state)99), "unknown");
}

static void progress_of_no_room_keeps_the_newest(void **state)
{
	struct progress *p = progress_new(0);
	uint64_t cursor = 0, lost = 0;
	struct event ev;

	(void)state;
	put(p, EVENT_STEP, 1, 0);
	put(p, EVENT_STEP, 2, 0);
	assert_int_equal(progress_get(p, &cursor, &ev, &lost), 1);
	assert_int_equal(ev.step, 2);
	assert_int_equal(lost, 1);
	progress_free(p);
	progress_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(progress_gives_events_in_order_to_every_reader),
		cmocka_unit_test(progress_percent_overwrites_percent_of_the_same_step),
		cmocka_unit_test(progress_slow_reader_loses_old_events_and_knows_how_many),
		cmocka_unit_test(progress_reader_in_another_thread_sees_whole_events),
		cmocka_unit_test(progress_states_have_names),
		cmocka_unit_test(progress_of_no_room_keeps_the_newest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
