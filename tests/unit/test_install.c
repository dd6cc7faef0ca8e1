/* The order of the steps, what is proven or stored before anything begins, and what is undone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/install.h"
#include "core/plan/plan_private.h"
#include "core/spool.h"
#include "corelib/base/digest.h"
#include "corelib/base/sys.h"
#include "tests/unit/kit/envkit.h"
#include "tests/unit/kit/make_bundle.h"

enum { BLOCK = 65536, BIG = 3 * BLOCK + 100, MOST = 6 };

struct bench {
	char dir[64], log[2048];
	uint8_t data[MOST][BIG];
	size_t size[MOST];
	uint8_t list[4 * 32];
	struct entry entries[MOST];
	struct plan_step steps[MOST];
	struct manifest m;
	struct plan plan;
	struct settings cfg;
	struct make_bundle mb;
	struct bundle *b;
	struct session session;
	struct install in;
	int fail_step;
	int begins;
	struct err e;
};

static void saw(struct bench *b, const char *what, const char *name)
{
	size_t at = strlen(b->log);

	snprintf(b->log + at, sizeof(b->log) - at, "%s%s%s ", what, *name ? ":" : "", name);
}

static int take(struct step *st, struct stream *s, struct err *e)
{
	struct bench *b = st->state;
	size_t i = (size_t)(st->entry - b->entries), n = 0;
	uint8_t *got = malloc(BIG + 1);
	ssize_t r = 1;

	while (n <= BIG && (r = stream_read(s, got + n, BIG + 1 - n, e)) > 0)
		n += (size_t)r;
	if (r == 0 && st->entry->filename && (n != b->size[i] || memcmp(got, b->data[i], n) != 0))
		saw(b, "WRONG", st->entry->filename);
	free(got);
	saw(b, r < 0 ? "broken" : "write",
	    st->entry->filename ? st->entry->filename : st->entry->name);
	if (b->fail_step == (int)i + 1)
		return err_set(e, E_TARGET_WRITE, EIO, "told to fail");
	return (int)r;
}

static void discard(struct step *st)
{
	saw(st->state, "undo", st->entry->filename ? st->entry->filename : st->entry->name);
}

static int act(struct step *st, enum phase phase, struct err *e)
{
	(void)e;
	saw(st->state, phase == PHASE_PREINSTALL ? "before" : "after", st->entry->name);
	return 0;
}

static const struct handler taker = {
	.name = "taker", .kind = HANDLER_TARGET, .install = take, .discard = discard};
static const struct handler actor = {.name = "actor",
				     .kind = HANDLER_ACTION,
				     .run = act,
				     .no_data = true,
				     .phases = 1u << PHASE_PREINSTALL | 1u << PHASE_POSTINSTALL};

/* an action with a payload: stored by taker's install, then run */
static const struct handler script = {.name = "script",
				      .kind = HANDLER_ACTION,
				      .install = take,
				      .run = act,
				      .discard = discard,
				      .phases = 1u << PHASE_PREINSTALL | 1u << PHASE_POSTINSTALL};
static const struct handler late = {.name = "late",
				    .kind = HANDLER_ACTION,
				    .install = take,
				    .run = act,
				    .discard = discard,
				    .phases = 1u << PHASE_POSTINSTALL};

static int begin(void *arg, struct err *e)
{
	struct bench *b = arg;

	(void)e;
	b->begins++;
	saw(b, "BEGIN", "");
	return 0;
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	strcpy(b->dir, "/tmp/swinstall-install-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	b->cfg.state_dir = b->cfg.spool_dir = b->dir;
	b->cfg.threads = 1;
	b->cfg.mem_max = 8 << 20;
	b->m.version = "1";
	b->session.cfg = &b->cfg;
	b->in = (struct install){.session = &b->session, .begin = begin, .arg = b};
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	if (b->b)
		bundle_close(b->b);
	install_end(&b->in);
	steps_free(b->in.steps);
	plan_share_free(&b->plan);
	make_bundle_free(&b->mb);
	assert_int_equal(rmdir(b->dir), 0); /* nothing is left in the spool */
	free(b);
	return 0;
}

/* from a pipe: did the payload of this step wait in the spool? */
static bool was_stored(struct bench *b, size_t i)
{
	return b->in.arrivals[b->steps[i].payload - b->plan.payloads].spooled;
}

/* step i has a payload of its own unless 'name' is one that was there before */
static struct plan_step *add(struct bench *b, const char *name, enum route route, size_t size)
{
	size_t i = b->plan.count++;
	struct entry *t = &b->entries[i];

	t->section = SECTION_IMAGES;
	t->index = (unsigned)i;
	b->size[i] = size;
	memset(b->data[i], name[0], size);
	if (route != ROUTE_NONE) {
		t->filename = name;
		t->has_sha256 = true;
		assert_int_equal(sha256_once(b->data[i], size, t->sha256, &b->e), 0);
	} else {
		t->name = name;
	}
	b->steps[i].step.entry = t;
	b->steps[i].step.handler = &taker;
	b->steps[i].step.state = b;
	b->steps[i].route = route;
	b->steps[i].span.room = UINT64_MAX;
	return &b->steps[i];
}

static void with_list(struct bench *b, struct plan_step *ps)
{
	size_t i = (size_t)(ps - b->steps), blocks = (b->size[i] + BLOCK - 1) / BLOCK;
	struct hash_list *l = &b->entries[i].hashes;

	for (size_t k = 0; k < blocks; k++) {
		size_t n = b->size[i] - k * BLOCK < BLOCK ? b->size[i] - k * BLOCK : BLOCK;

		assert_int_equal(sha256_once(b->data[i] + k * BLOCK, n, b->list + 32 * k, &b->e),
				 0);
	}
	l->name = "list";
	l->block = BLOCK;
	assert_int_equal(sha256_once(b->list, 32 * blocks, l->sha256, &b->e), 0);
}

/* members in this order: names of payloads, "list" */
static void archive(struct bench *b, const char *const *names, size_t n)
{
	make_bundle_add(&b->mb, "sw-description", "x", 1);
	for (size_t k = 0; k < n; k++) {
		if (strcmp(names[k], "list") == 0) {
			make_bundle_add(&b->mb, "list", b->list, sizeof(b->list));
			continue;
		}
		for (size_t i = 0; i < b->plan.count; i++) {
			if (!b->entries[i].filename ||
			    strcmp(b->entries[i].filename, names[k]) != 0)
				continue;
			make_bundle_add(&b->mb, names[k], b->data[i], b->size[i]);
			break;
		}
	}
	make_bundle_trailer(&b->mb);
	b->mb.newc = true;
}

static int open_source(struct bench *b, bool pipe)
{
	const struct bundle_options o = {0};
	struct stream *s = NULL;

	b->m.entries = b->entries;
	b->m.entry_count = b->plan.count;
	b->plan.manifest = &b->m;
	b->plan.steps = b->steps;
	b->plan.seekable = !pipe;
	if (pipe)
		s = make_pipe_stream(b->mb.bytes, b->mb.n, 5000);
	else
		assert_int_equal(stream_mem_open(&s, b->mb.bytes, b->mb.n, &b->e), 0);
	assert_int_equal(bundle_open(&b->b, &s, &o, &b->e), 0);
	b->in.bundle = b->b;
	assert_int_equal(plan_share(&b->plan, &b->e), 0);
	assert_int_equal(steps_new(&b->in.steps, &b->session, &b->plan, &b->e), 0);
	return bundle_bind(b->b, &b->m, &b->e);
}

static int run(struct bench *b, bool pipe)
{
	int rc = open_source(b, pipe);

	return rc < 0 ? rc : install_run(&b->in, &b->e);
}

#define ARCHIVE(b, ...)                                                                            \
	do {                                                                                       \
		const char *const names_[] = {__VA_ARGS__};                                        \
		archive(b, names_, sizeof(names_) / sizeof(*names_));                              \
	} while (0)

static void from_a_file_the_order_is_that_of_the_description(void **state)
{
	struct bench *b = *state;

	add(b, "a", ROUTE_TWICE, 1000);
	add(b, "b", ROUTE_FLOW, BIG);
	add(b, "c", ROUTE_TWICE, 0);
	ARCHIVE(b, "c", "b", "a");
	assert_int_equal(run(b, false), 0);
	assert_string_equal(b->log, "BEGIN write:a write:b write:c ");
}

static void t1_from_a_file_nothing_begins_before_all_that_is_stored_is_proven(void **state)
{
	struct bench *b = *state;

	add(b, "a", ROUTE_FLOW, 1000);
	add(b, "b", ROUTE_TWICE, BIG);
	ARCHIVE(b, "a", "b");
	b->entries[1].sha256[0] ^= 1;
	assert_true(run(b, false) < 0);
	assert_int_equal(b->e.code, E_PAYLOAD_HASH);
	assert_string_equal(b->log, "");
	assert_non_null(strstr(b->e.where, "images[1] of release 1"));
}

static int forget_notes(void *arg, struct err *e)
{
	struct bench *b = arg;

	notes_free(b->in.arrivals[0].notes);
	b->in.arrivals[0].notes = NULL;
	return begin(arg, e);
}

/* a fault of this program must not let bytes by that nothing compares */
static void t1_what_was_proven_without_notes_is_not_written(void **state)
{
	struct bench *b = *state;

	add(b, "a", ROUTE_TWICE, 1000);
	ARCHIVE(b, "a");
	b->in.begin = forget_notes;
	assert_true(run(b, false) < 0);
	assert_int_equal(b->e.code, E_INTERNAL);
	assert_string_equal(b->log, "BEGIN ");
}

static void from_a_pipe_stored_ones_wait_for_the_end_and_keep_their_order(void **state)
{
	struct bench *b = *state;

	add(b, "a", ROUTE_SPOOL, 1000);
	add(b, "b", ROUTE_SPOOL, BIG);
	ARCHIVE(b, "b", "a");
	assert_int_equal(run(b, true), 0);
	assert_string_equal(b->log, "BEGIN write:a write:b ");
}

static void from_a_pipe_what_asked_to_flow_flows_as_it_arrives(void **state)
{
	struct bench *b = *state;

	add(b, "a", ROUTE_SPOOL, 1000);
	add(b, "b", ROUTE_FLOW, BIG);
	ARCHIVE(b, "a", "b");
	assert_int_equal(run(b, true), 0);
	assert_string_equal(b->log, "BEGIN write:b write:a ");
}

static void partitions_are_laid_out_before_anything_flows(void **state)
{
	struct bench *b = *state;

	add(b, "part", ROUTE_NONE, 0);
	b->entries[0].section = SECTION_PARTITIONS;
	add(b, "b", ROUTE_FLOW, 5000);
	ARCHIVE(b, "b");
	assert_int_equal(run(b, true), 0);
	assert_string_equal(b->log, "BEGIN write:part write:b ");
}

static void a_payload_with_block_hashes_flows_when_all_before_it_has_run(void **state)
{
	struct bench *b = *state;

	add(b, "a", ROUTE_FLOW, 1000);
	with_list(b, add(b, "b", ROUTE_BLOCKS, BIG));
	add(b, "c", ROUTE_SPOOL, 10);
	ARCHIVE(b, "list", "a", "b", "c");
	assert_int_equal(run(b, true), 0);
	assert_string_equal(b->log, "BEGIN write:a write:b write:c ");
	assert_false(was_stored(b, 1));
}

static void a_payload_with_block_hashes_is_stored_when_something_is_before_it(void **state)
{
	struct bench *b = *state;

	add(b, "a", ROUTE_SPOOL, 1000);
	with_list(b, add(b, "b", ROUTE_BLOCKS, BIG));
	ARCHIVE(b, "list", "a", "b");
	assert_int_equal(run(b, true), 0);
	assert_string_equal(b->log, "BEGIN write:a write:b ");
	assert_true(was_stored(b, 1));
}

static void a_hash_list_that_comes_late_means_storing(void **state)
{
	struct bench *b = *state;

	with_list(b, add(b, "b", ROUTE_BLOCKS, BIG));
	ARCHIVE(b, "b", "list");
	assert_int_equal(run(b, true), 0);
	assert_string_equal(b->log, "BEGIN write:b ");
	assert_true(was_stored(b, 0));
}

static void t1_a_hash_list_from_a_pipe_must_be_the_signed_one(void **state)
{
	struct bench *b = *state;

	with_list(b, add(b, "b", ROUTE_BLOCKS, BIG));
	b->list[5] ^= 1;
	ARCHIVE(b, "list", "b");
	assert_true(run(b, true) < 0);
	assert_int_equal(b->e.code, E_HASH_LIST);
	assert_string_equal(b->log, "");
}

static void a_shared_member_is_stored_once_and_written_by_each(void **state)
{
	struct bench *b = *state;

	add(b, "a", ROUTE_SPOOL, BIG);
	add(b, "a", ROUTE_FLOW, BIG);
	ARCHIVE(b, "a");
	assert_int_equal(run(b, true), 0);
	assert_string_equal(b->log, "BEGIN write:a write:a ");
	assert_int_equal(b->plan.payload_count, 1);
}

static void a_shared_member_of_a_file_is_written_by_each(void **state)
{
	struct bench *b = *state;

	add(b, "a", ROUTE_TWICE, BIG);
	add(b, "a", ROUTE_FLOW, BIG);
	ARCHIVE(b, "a");
	assert_int_equal(run(b, false), 0);
	assert_string_equal(b->log, "BEGIN write:a write:a ");
}

static void t24_a_pipe_that_ends_early_begins_nothing(void **state)
{
	struct bench *b = *state;

	add(b, "a", ROUTE_SPOOL, 1000);
	add(b, "b", ROUTE_SPOOL, BIG);
	ARCHIVE(b, "a", "b");
	b->mb.n -= 1500;
	assert_true(run(b, true) < 0);
	assert_int_equal(b->e.code, E_TRUNCATED);
	assert_string_equal(b->log, "");
}

static void a_member_that_never_comes_is_named(void **state)
{
	struct bench *b = *state;

	add(b, "a", ROUTE_SPOOL, 1000);
	add(b, "b", ROUTE_SPOOL, 10);
	ARCHIVE(b, "a");
	assert_true(run(b, true) < 0);
	assert_int_equal(b->e.code, E_MEMBER_MISSING);
	assert_non_null(strstr(b->e.why, "'b'"));
	assert_string_equal(b->log, "");
}

static void t22_the_size_of_a_member_is_compared_before_its_bytes(void **state)
{
	struct bench *b = *state;

	add(b, "a", ROUTE_FLOW, 1000);
	b->entries[0].has_size = true;
	b->entries[0].size = 1001;
	ARCHIVE(b, "a");
	assert_true(run(b, true) < 0);
	assert_int_equal(b->e.code, E_MEMBER_SIZE);
	assert_string_equal(b->log, "");
}

static void a_spool_directory_that_is_not_there_is_named(void **state)
{
	struct bench *b = *state;

	b->cfg.spool_dir = "/nowhere/at/all";
	add(b, "a", ROUTE_SPOOL, 1000);
	ARCHIVE(b, "a");
	assert_true(run(b, true) < 0);
	assert_int_equal(b->e.code, E_SPOOL);
	assert_non_null(strstr(b->e.why, "/nowhere/at/all"));
	assert_string_equal(b->log, "");
}

static void t108_space_is_asked_for_before_the_first_byte(void **state)
{
	struct bench *b = *state;
	struct spool s = {.fd = -1};
	uint64_t at;

	assert_true(spool_reserve(&s, &b->cfg, (uint64_t)1 << 60, &at, &b->e) < 0);
	assert_int_equal(b->e.code, E_NO_SPACE);
	assert_int_equal(s.end, 0);
	close(s.fd);
}

static void t57_a_spooled_payload_has_no_name(void **state)
{
	struct bench *b = *state;
	char link[64], name[256] = "";
	struct spool s = {.fd = -1};
	uint64_t at;

	assert_int_equal(spool_reserve(&s, &b->cfg, 4097, &at, &b->e), 0);
	assert_int_equal(at, 0);
	assert_int_equal(spool_reserve(&s, &b->cfg, 1, &at, &b->e), 0);
	assert_int_equal(at, 8192);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", s.fd);
	assert_true(readlink(link, name, sizeof(name) - 1) > 0);
	assert_non_null(strstr(name, "(deleted)"));
	close(s.fd);
}

static void
a_step_that_fails_stops_the_rest_and_the_started_ones_are_undone_in_reverse(void **state)
{
	struct bench *b = *state;

	add(b, "a", ROUTE_TWICE, 100);
	add(b, "b", ROUTE_TWICE, 100);
	add(b, "c", ROUTE_TWICE, 100);
	ARCHIVE(b, "a", "b", "c");
	b->fail_step = 2;
	assert_int_equal(run(b, false), -EIO);
	assert_int_equal(b->e.code, E_TARGET_WRITE);
	steps_discard(b->in.steps);
	steps_discard(b->in.steps); /* once is enough */
	assert_string_equal(b->log, "BEGIN write:a write:b undo:b undo:a ");
}

static void what_flows_and_turns_out_wrong_is_undone_too(void **state)
{
	struct bench *b = *state;

	add(b, "a", ROUTE_FLOW, BIG);
	ARCHIVE(b, "a");
	b->entries[0].sha256[7] ^= 1;
	assert_true(run(b, true) < 0);
	assert_int_equal(b->e.code, E_PAYLOAD_HASH);
	steps_discard(b->in.steps);
	assert_string_equal(b->log, "BEGIN broken:a undo:a ");
}

static void actions_run_before_and_after_all_payloads(void **state)
{
	struct bench *b = *state;

	add(b, "a", ROUTE_TWICE, 100);
	add(b, "script", ROUTE_NONE, 0)->step.handler = &actor;
	ARCHIVE(b, "a");
	assert_int_equal(run(b, false), 0);
	assert_string_equal(b->log, "BEGIN before:script write:a after:script ");
}

static struct plan_step *add_script(struct bench *b, const char *name, const struct handler *h,
				    bool pipe)
{
	struct plan_step *ps = add(b, name, pipe ? ROUTE_SPOOL : ROUTE_TWICE, 50);

	b->entries[ps - b->steps].section = SECTION_SCRIPTS;
	b->entries[ps - b->steps].name = name;
	ps->step.handler = h;
	return ps;
}

static void every_script_is_proven_and_stored_before_the_first_one_runs(void **state)
{
	struct bench *b = *state;

	add(b, "a", ROUTE_TWICE, 100);
	add_script(b, "s", &script, false);
	add_script(b, "t", &late, false);
	ARCHIVE(b, "s", "a", "t");
	assert_int_equal(run(b, false), 0);
	assert_string_equal(b->log, "BEGIN write:s write:t before:s write:a after:s after:t ");
	assert_int_equal(b->in.steps->at[1].state, STEP_DONE);
}

static void t1_a_script_with_other_bytes_keeps_everything_from_beginning(void **state)
{
	struct bench *b = *state;

	add(b, "a", ROUTE_TWICE, 100);
	add_script(b, "s", &script, false);
	b->entries[1].sha256[3] ^= 1;
	ARCHIVE(b, "s", "a");
	assert_true(run(b, false) < 0);
	assert_int_equal(b->e.code, E_PAYLOAD_HASH);
	assert_string_equal(b->log, "");
}

static void scripts_at_the_front_of_a_pipe_run_before_what_flows(void **state)
{
	struct bench *b = *state;

	add(b, "a", ROUTE_FLOW, BIG);
	with_list(b, add(b, "b", ROUTE_BLOCKS, BIG));
	add_script(b, "s", &script, true);
	ARCHIVE(b, "s", "list", "a", "b");
	assert_int_equal(run(b, true), 0);
	assert_string_equal(b->log, "BEGIN write:s before:s write:a write:b after:s ");
	assert_false(was_stored(b, 0));
	assert_false(was_stored(b, 1));
}

static void a_script_behind_an_image_of_a_pipe_keeps_the_image_waiting(void **state)
{
	struct bench *b = *state;

	add(b, "a", ROUTE_FLOW, BIG);
	add_script(b, "s", &script, true);
	ARCHIVE(b, "a", "s");
	assert_int_equal(run(b, true), 0);
	assert_string_equal(b->log, "BEGIN write:s before:s write:a after:s ");
	assert_true(was_stored(b, 0));
}

static void a_script_for_afterwards_keeps_nothing_waiting(void **state)
{
	struct bench *b = *state;

	add(b, "a", ROUTE_FLOW, BIG);
	add_script(b, "s", &late, true);
	ARCHIVE(b, "a", "s");
	assert_int_equal(run(b, true), 0);
	assert_string_equal(b->log, "BEGIN write:a write:s after:s ");
	assert_false(was_stored(b, 0));
}

static void a_script_that_could_not_be_stored_is_not_ready(void **state)
{
	struct bench *b = *state;

	add_script(b, "r", &script, false);
	add_script(b, "s", &script, false);
	ARCHIVE(b, "r", "s");
	b->fail_step = 2;
	assert_true(run(b, false) < 0);
	assert_string_equal(b->log, "BEGIN write:r write:s ");
	assert_int_equal(b->in.steps->at[0].state, STEP_STORED);
	assert_int_equal(b->in.steps->at[1].state, STEP_BEGUN);
	steps_discard(b->in.steps);
	assert_string_equal(b->log, "BEGIN write:r write:s undo:s undo:r ");
}

static void neither_a_check_nor_a_dry_run_runs_a_script(void **state)
{
	struct bench *b = *state;

	add_script(b, "s", &script, false);
	ARCHIVE(b, "s");
	b->session.mode = JOB_DRY_RUN;
	assert_int_equal(run(b, false), 0);
	assert_string_equal(b->log, "");
}

static void a_skipped_step_is_not_touched(void **state)
{
	struct bench *b = *state;

	add(b, "a", ROUTE_TWICE, 100);
	add(b, "b", ROUTE_TWICE, 100)->left_out = true;
	b->entries[1].sha256[0] ^= 1;
	ARCHIVE(b, "a", "b");
	assert_int_equal(run(b, true), 0);
	assert_string_equal(b->log, "BEGIN write:a ");
}

static void a_check_proves_everything_and_begins_nothing(void **state)
{
	for (int pipe = 0; pipe < 2; pipe++) {
		struct bench *b;

		if (pipe) {
			teardown(state);
			setup(state);
		}
		b = *state;
		add(b, "a", ROUTE_FLOW, 100);
		with_list(b, add(b, "b", ROUTE_BLOCKS, BIG));
		ARCHIVE(b, "list", "a", "b");
		b->mb.bytes[b->mb.n - 1024] ^= 1; /* in b's last block */
		b->session.mode = JOB_CHECK;
		assert_true(run(b, pipe) < 0);
		assert_true(b->e.code == E_BLOCK_HASH || b->e.code == E_PAYLOAD_HASH);
		assert_string_equal(b->log, "");
	}
}

/* what it would find on the way of an installation: a spool that is not there, too */
static void a_dry_run_of_a_pipe_stores_what_an_installation_would_store(void **state)
{
	struct bench *b = *state;

	add(b, "a", ROUTE_SPOOL, 100);
	add(b, "b", ROUTE_FLOW, BIG);
	ARCHIVE(b, "a", "b");
	b->session.mode = JOB_DRY_RUN;
	assert_int_equal(run(b, true), 0);
	assert_true(was_stored(b, 0));
	assert_false(was_stored(b, 1));
	assert_string_equal(b->log, "");
}

static void a_check_of_a_shared_payload_goes_through_the_stages_of_each(void **state)
{
	struct bench *b = *state;

	add(b, "a", ROUTE_SPOOL, 100);
	add(b, "a", ROUTE_SPOOL, 100);
	b->entries[1].compressed = CODEC_GZIP; /* which it is not */
	ARCHIVE(b, "a");
	b->session.mode = JOB_CHECK;
	assert_true(run(b, true) < 0);
	assert_int_equal(b->e.code, E_DECOMPRESS);
	assert_non_null(strstr(b->e.where, "images[1]"));
	assert_string_equal(b->log, "");
}

static void a_dry_run_reads_all_and_writes_nothing(void **state)
{
	struct bench *b = *state;

	add(b, "a", ROUTE_TWICE, 100);
	add(b, "b", ROUTE_FLOW, BIG);
	ARCHIVE(b, "a", "b");
	b->session.mode = JOB_DRY_RUN;
	assert_int_equal(run(b, false), 0);
	assert_string_equal(b->log, "");
	assert_int_equal(b->in.steps->at[0].state, STEP_DONE);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(from_a_file_the_order_is_that_of_the_description),
		T(t1_what_was_proven_without_notes_is_not_written),
		T(t1_from_a_file_nothing_begins_before_all_that_is_stored_is_proven),
		T(from_a_pipe_stored_ones_wait_for_the_end_and_keep_their_order),
		T(from_a_pipe_what_asked_to_flow_flows_as_it_arrives),
		T(partitions_are_laid_out_before_anything_flows),
		T(a_payload_with_block_hashes_flows_when_all_before_it_has_run),
		T(a_payload_with_block_hashes_is_stored_when_something_is_before_it),
		T(a_hash_list_that_comes_late_means_storing),
		T(t1_a_hash_list_from_a_pipe_must_be_the_signed_one),
		T(a_shared_member_is_stored_once_and_written_by_each),
		T(a_shared_member_of_a_file_is_written_by_each),
		T(t24_a_pipe_that_ends_early_begins_nothing),
		T(a_member_that_never_comes_is_named),
		T(t22_the_size_of_a_member_is_compared_before_its_bytes),
		T(a_spool_directory_that_is_not_there_is_named),
		T(t108_space_is_asked_for_before_the_first_byte),
		T(t57_a_spooled_payload_has_no_name),
		T(a_step_that_fails_stops_the_rest_and_the_started_ones_are_undone_in_reverse),
		T(what_flows_and_turns_out_wrong_is_undone_too),
		T(actions_run_before_and_after_all_payloads),
		T(every_script_is_proven_and_stored_before_the_first_one_runs),
		T(t1_a_script_with_other_bytes_keeps_everything_from_beginning),
		T(scripts_at_the_front_of_a_pipe_run_before_what_flows),
		T(a_script_behind_an_image_of_a_pipe_keeps_the_image_waiting),
		T(a_script_for_afterwards_keeps_nothing_waiting),
		T(a_script_that_could_not_be_stored_is_not_ready),
		T(neither_a_check_nor_a_dry_run_runs_a_script),
		T(a_skipped_step_is_not_touched),
		T(a_check_proves_everything_and_begins_nothing),
		T(a_dry_run_reads_all_and_writes_nothing),
		T(a_dry_run_of_a_pipe_stores_what_an_installation_would_store),
		T(a_check_of_a_shared_payload_goes_through_the_stages_of_each),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
