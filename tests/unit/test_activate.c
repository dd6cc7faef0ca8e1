/* The order of the last writes: flush, journal, handlers, then the switch; and the way back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/activate.h"
#include "core/marks.h"
#include "core/state/pending.h"
#include "corelib/bootenv/bootenv_private.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/envkit.h"
#include "tests/unit/kit/fake_blkdev.h"
#include "tests/unit/kit/told.h"

struct bench {
	char dir[64], env_path[96], versions[96];
	struct settings cfg;
	struct slot_setting slot[3];
	struct manifest m;
	struct entry entries[3];
	struct plan_step steps[3];
	struct plan plan;
	struct places places;
	struct place held[2];
	struct fakedev dev[2];
	struct session session;
	struct told told;
	struct activation act;
	struct node env_a, env_b, var_a, var_b;
	volatile bool cancel;
	char seen[4096]; /* what happened, and what the environment said then */
	int fail_commit; /* of the step with this number */
	struct err e;
};
static struct bench *current; /* the fake device's flush has no argument of ours */

/* the n-th fdatasync from now on fails once, counting from 1: only the journal calls it */
static int fail_sync;

int fdatasync(int fd)
{
	if (fail_sync && --fail_sync == 0) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

static const char *var(struct bench *b, const char *name)
{
	static char text[256];
	AUTO_FREE char *value = NULL;
	struct err e = {0};

	text[0] = '\0';
	if (bootenv_get(b->session.env, name, &value, &e) > 0)
		snprintf(text, sizeof(text), "%s", value);
	return text;
}

static bool journal_has(struct bench *b, enum journal_type t)
{
	const struct journal_record *r;

	for (size_t i = 0; b->session.journal && (r = journal_at(b->session.journal, i)); i++)
		if (r->type == t)
			return true;
	return false;
}

static void saw(struct bench *b, const char *what)
{
	size_t at = strlen(b->seen);

	snprintf(b->seen + at, sizeof(b->seen) - at, "%s ", what);
	snprintf(b->seen + strlen(b->seen), sizeof(b->seen) - strlen(b->seen), "[slot=%s",
		 var(b, "boot_slot"));
	snprintf(b->seen + strlen(b->seen), sizeof(b->seen) - strlen(b->seen), " status=%s]\n",
		 var(b, "recovery_status"));
}

static int (*real_flush)(struct blkdev *d, struct err *e);

static int flush(struct blkdev *d, struct err *e)
{
	saw(current, "flush");
	return real_flush(d, e);
}

static int commit(struct step *st, struct err *e)
{
	struct bench *b = st->state;

	saw(b, journal_has(b, JOURNAL_STAGED) ? "commit-after-staged" : "commit-too-early");
	if (b->fail_commit && b->entries + b->fail_commit == st->entry)
		return err_set(e, E_FILE, EIO, "told to fail");
	return 0;
}

static void discard(struct step *st)
{
	struct bench *b = st->state;
	char text[32];

	snprintf(text, sizeof(text), "discard-%d", (int)(st->entry - b->entries));
	saw(b, text);
}

static const struct handler fake = {.name = "fake",
				    .kind = HANDLER_TARGET,
				    .sections = SECTION_IMAGES,
				    .commit = commit,
				    .discard = discard};

static void make_slot(struct slot_setting *s, const char *name, struct node *env, struct node *v)
{
	*v = (struct node){.type = NODE_STRING, .name = "boot_slot", .string = name, .parent = env};
	*env = (struct node){.type = NODE_GROUP, .name = "env", .child = v, .count = 1};
	*s = (struct slot_setting){.name = name, .env = env};
}

static void make_steps(struct bench *b)
{
	for (size_t i = 0; i < 3; i++) {
		b->entries[i].section = SECTION_IMAGES;
		b->entries[i].index = (unsigned)i;
		b->steps[i].step.entry = &b->entries[i];
		b->steps[i].step.handler = &fake;
		b->steps[i].step.state = b;
	}
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(fakedev_init(&b->dev[i], 65536, 0), 0);
		real_flush = b->dev[i].ops.flush;
		b->dev[i].ops.flush = flush;
		b->steps[i].step.dev = &b->dev[i].d;
	}
}

static void open_env(struct bench *b, const char *kind)
{
	const struct bootenv_options o = {.kind = kind, .path = b->env_path};

	if (b->session.env)
		bootenv_close(b->session.env);
	assert_int_equal(bootenv_open(&b->session.env, &o, &b->e), 0);
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	char path[96];

	current = b;
	strcpy(b->dir, "/tmp/swinstall-activate-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(path, sizeof(path), "%s/env", b->dir);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(b->env_path, sizeof(b->env_path), "%s/env/bootenv", b->dir);
	snprintf(b->versions, sizeof(b->versions), "%s/sw-versions", b->dir);
	envkit_write_file(b->env_path, "boot_slot=a\nkeep=me\n", 20);
	make_slot(&b->slot[0], "a", &b->env_a, &b->var_a);
	make_slot(&b->slot[1], "b", &b->env_b, &b->var_b);
	b->cfg.state_variable = "ustate";
	b->cfg.state_dir = b->dir;
	b->cfg.slots = b->slot;
	b->cfg.slot_count = 2;
	b->session.slots = (struct slots){
		.cfg = &b->cfg, .running = &b->slot[0], .next = &b->slot[0], .target = &b->slot[1]};
	b->m.version = "2.0";
	make_steps(b);
	b->plan = (struct plan){.manifest = &b->m,
				.steps = b->steps,
				.count = 3,
				.taken = &b->slot[1],
				.places = &b->places};
	b->held[0] = (struct place){.dev = &b->dev[0].d, .next = &b->held[1]};
	b->held[1] = (struct place){.dev = &b->dev[1].d};
	b->places.devices = b->held;
	assert_int_equal(envset_put(&b->plan.variables, "app", "2.0", &b->e), 0);
	told_open(&b->told);
	b->session.cfg = &b->cfg;
	b->session.cancel = &b->cancel;
	b->session.reporter = b->told.reporter;
	b->act = (struct activation){.session = &b->session, .plan = &b->plan};
	open_env(b, "file");
	assert_int_equal(journal_open(&b->session.journal, b->dir, &b->e), 0);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	if (b->session.journal)
		journal_close(b->session.journal);
	bootenv_close(b->session.env);
	envset_clear(&b->plan.variables);
	envset_clear(&b->session.asked);
	steps_free(b->act.steps);
	told_close(&b->told);
	fakedev_clear(&b->dev[0]);
	fakedev_clear(&b->dev[1]);
	envkit_remove_tree(b->dir);
	free(b);
	return 0;
}

/* as if steps 0 and 2 had been written; 1 is held, but nobody wrote: a script might have */
static void make_run(struct bench *b)
{
	steps_free(b->act.steps);
	assert_int_equal(steps_new(&b->act.steps, &b->session, &b->plan, &b->e), 0);
	b->act.steps->at[0].state = b->act.steps->at[2].state = STEP_DONE;
}

static void run_begin(struct bench *b)
{
	make_run(b);
	assert_int_equal(activate_begin(&b->act, &b->e), 0);
	assert_int_equal(strlen(b->session.txn), 16);
}

static void assert_old(struct bench *b)
{
	assert_string_equal(var(b, "boot_slot"), "a");
	assert_string_equal(var(b, "app"), "");
	assert_string_equal(var(b, "swinstall_txn"), "");
	assert_string_equal(var(b, "ustate"), "");
	assert_string_equal(var(b, "recovery_status"), "failed");
	assert_string_equal(var(b, "keep"), "me");
}

static void l3_everything_is_flushed_before_the_switch(void **state)
{
	struct bench *b = *state;

	run_begin(b);
	assert_int_equal(activate_commit(&b->act, &b->e), 0);
	assert_string_equal(b->seen, "flush [slot=a status=in_progress]\n"
				     "flush [slot=a status=in_progress]\n"
				     "commit-after-staged [slot=a status=in_progress]\n"
				     "commit-after-staged [slot=a status=in_progress]\n");
}

static void a_device_of_many_entries_is_flushed_once(void **state)
{
	struct bench *b = *state;

	b->steps[2].step.dev = b->steps[0].step.dev;
	run_begin(b);
	assert_int_equal(activate_commit(&b->act, &b->e), 0);
	assert_string_equal(b->seen, "flush [slot=a status=in_progress]\n"
				     "flush [slot=a status=in_progress]\n"
				     "commit-after-staged [slot=a status=in_progress]\n"
				     "commit-after-staged [slot=a status=in_progress]\n");
}

static void t105_the_switch_holds_all_that_decides(void **state)
{
	struct bench *b = *state;

	run_begin(b);
	assert_string_equal(var(b, "recovery_status"), "in_progress");
	assert_int_equal(activate_commit(&b->act, &b->e), 0);
	assert_string_equal(var(b, "boot_slot"), "b");
	assert_string_equal(var(b, "app"), "2.0");
	assert_string_equal(var(b, "ustate"), "1");
	assert_string_equal(var(b, "swinstall_txn"), b->session.txn);
	assert_string_equal(var(b, "recovery_status"), "");
	assert_string_equal(var(b, "keep"), "me");
	assert_null(journal_at(b->session.journal, 0));
}

static void a_bundle_cannot_override_what_decides(void **state)
{
	struct bench *b = *state;

	envset_put(&b->plan.variables, "boot_slot", "evil", &b->e);
	envset_put(&b->session.asked, "ustate", "7", &b->e);
	envset_put(&b->session.asked, "swinstall_txn", "0", &b->e);
	envset_put(&b->session.asked, "recovery_status", "done", &b->e);
	run_begin(b);
	assert_int_equal(activate_commit(&b->act, &b->e), 0);
	assert_string_equal(var(b, "boot_slot"), "b");
	assert_string_equal(var(b, "ustate"), "1");
	assert_string_equal(var(b, "swinstall_txn"), b->session.txn);
	assert_string_equal(var(b, "recovery_status"), "");
}

static void t104_a_failed_flush_means_no_switch(void **state)
{
	for (int i = 0; i < 2; i++) {
		struct bench *b = *state;

		if (i > 0) {
			teardown(state);
			setup(state);
			b = *state;
		}
		b->dev[i].fail_op = FAKEDEV_FLUSH;
		b->dev[i].fail_at = 1;
		b->dev[i].fail_errno = EIO;
		run_begin(b);
		assert_true(activate_commit(&b->act, &b->e) < 0);
		assert_int_equal(b->e.code, E_TARGET_FLUSH);
		b->seen[0] = '\0';
		activate_abort(&b->act);
		assert_string_equal(b->seen, "discard-2 [slot=a status=in_progress]\n"
					     "discard-0 [slot=a status=in_progress]\n");
		assert_old(b);
		assert_null(journal_at(b->session.journal, 0));
	}
}

static void a_handler_that_cannot_commit_undoes_all_in_reverse(void **state)
{
	struct bench *b = *state;

	b->fail_commit = 2;
	run_begin(b);
	assert_int_equal(activate_commit(&b->act, &b->e), -EIO);
	assert_int_equal(b->e.code, E_FILE);
	activate_abort(&b->act);
	assert_non_null(strstr(b->seen, "discard-2 [slot=a status=in_progress]\ndiscard-0"));
	assert_old(b);
}

static void cancel_before_the_switch_is_the_old_system(void **state)
{
	struct bench *b = *state;

	run_begin(b);
	b->cancel = true;
	assert_true(activate_commit(&b->act, &b->e) < 0);
	assert_int_equal(b->e.code, E_CANCELED);
	activate_abort(&b->act);
	assert_old(b);
}

static void a_switch_that_fails_and_cannot_be_taken_back_is_left_to_recovery(void **state)
{
	struct bench *b = *state;
	char away[96], here[96];

	run_begin(b);
	snprintf(here, sizeof(here), "%s/env", b->dir);
	snprintf(away, sizeof(away), "%s/away", b->dir);
	assert_int_equal(rename(here, away), 0);
	assert_true(activate_commit(&b->act, &b->e) < 0);
	assert_true(b->act.unknown || b->e.code == E_ENV_READ);
	b->seen[0] = '\0';
	activate_abort(&b->act);
	assert_non_null(journal_at(b->session.journal, 0)); /* the next start looks */
	assert_int_equal(rename(away, here), 0);
	assert_string_equal(var(b, "boot_slot"), "a");
}

static void nothing_is_undone_after_the_switch(void **state)
{
	struct bench *b = *state;

	run_begin(b);
	assert_int_equal(activate_commit(&b->act, &b->e), 0);
	b->seen[0] = '\0';
	activate_abort(&b->act);
	assert_string_equal(b->seen, "");
	assert_string_equal(var(b, "boot_slot"), "b");
}

static void markers_can_be_switched_off_by_root_or_bundle(void **state)
{
	struct bench *b = *state;

	b->cfg.no_transaction_marker = true;
	b->m.has_state_marker = true;
	b->m.state_marker = false;
	run_begin(b);
	assert_string_equal(var(b, "recovery_status"), "");
	assert_int_equal(activate_commit(&b->act, &b->e), 0);
	assert_string_equal(var(b, "ustate"), "");
	assert_string_equal(var(b, "swinstall_txn"), b->session.txn); /* recovery needs it always */
	assert_string_equal(var(b, "boot_slot"), "b");
}

static void a_slot_that_waits_for_its_reboot_is_taken_back_first(void **state)
{
	struct bench *b = *state;
	struct envset s = {0};

	envset_put(&s, "boot_slot", "b", &b->e);
	assert_int_equal(bootenv_commit(b->session.env, &s, &b->e), 0);
	envset_clear(&s);
	b->session.slots.next = &b->slot[1];
	run_begin(b);
	assert_string_equal(var(b, "boot_slot"), "a");
	assert_non_null(strstr(told_lines(&b->told), "waiting for its reboot"));
}

/* taken back, then failed: nothing is installed that waits for a reboot */
static void what_is_taken_back_does_not_count_as_installed(void **state)
{
	static const char *const before[] = {"1", "2"}, *const after[] = {"0", "2"};
	struct bench *b = *state;

	b->session.slots.next = &b->slot[1];
	for (size_t i = 0; i < ARRAY_SIZE(before); i++) {
		struct envset s = {0};

		envset_put(&s, "boot_slot", "b", &b->e);
		envset_put(&s, "ustate", before[i], &b->e);
		assert_int_equal(bootenv_commit(b->session.env, &s, &b->e), 0);
		envset_clear(&s);
		run_begin(b);
		activate_abort(&b->act);
		assert_string_equal(var(b, "boot_slot"), "a");
		assert_string_equal(var(b, "ustate"), after[i]);
	}
}

/* what the configuration forbids, seen where it would hurt: 'b' would boot all the same */
static void l3_a_slot_that_still_boots_next_after_it_was_taken_back_is_never_written(void **state)
{
	struct bench *b = *state;
	struct node keep = {.type = NODE_STRING, .name = "keep", .string = "me"};
	struct node env = {.type = NODE_GROUP, .name = "env", .child = &keep, .count = 1};

	b->session.slots.next = &b->slot[1];
	b->slot[1].env = &env;
	assert_true(activate_begin(&b->act, &b->e) < 0);
	assert_int_equal(b->e.code, E_SLOT_PENDING);
	assert_non_null(strstr(b->e.why, "or not it alone"));
	assert_false(b->act.began);
	assert_null(journal_at(b->session.journal, 0));
	b->slot[0].env = NULL; /* nothing is set, and nothing chosen */
	assert_true(activate_begin(&b->act, &b->e) < 0);
	assert_false(b->act.began);
}

/* the bundle's own variables switched: what boots next is not ours to change */
static void l3_without_variables_of_slots_a_second_install_waits_for_the_reboot(void **state)
{
	struct bench *b = *state;
	char name[64];

	b->slot[0].env = b->slot[1].env = NULL;
	b->session.slots.next = NULL;
	make_run(b);
	assert_int_equal(activate_check(&b->act, &b->e), 0);
	run_begin(b);
	assert_false(pending_find(&b->cfg, name, sizeof(name)));
	assert_int_equal(activate_commit(&b->act, &b->e), 0);
	assert_string_equal(var(b, "boot_slot"), "a");
	assert_string_equal(var(b, "app"), "2.0");
	assert_true(pending_find(&b->cfg, name, sizeof(name)));
	assert_string_equal(name, "b");
	b->session.slots.next = &b->slot[1]; /* as slots_observe() has it from the note */
	b->act.switched = false;
	assert_true(activate_check(&b->act, &b->e) < 0);
	assert_int_equal(b->e.code, E_SLOT_PENDING);
	err_clear(&b->e);
	assert_true(activate_begin(&b->act, &b->e) < 0);
	assert_int_equal(b->e.code, E_SLOT_PENDING);
	b->plan.taken = NULL; /* what leaves the slots alone may go on */
	err_clear(&b->e);
	assert_int_equal(activate_check(&b->act, &b->e), 0);
}

static void what_did_not_switch_is_noted_nowhere(void **state)
{
	struct bench *b = *state;
	char away[96], here[96], name[64];

	b->slot[0].env = b->slot[1].env = NULL;
	run_begin(b);
	snprintf(here, sizeof(here), "%s/env", b->dir);
	snprintf(away, sizeof(away), "%s/away", b->dir);
	assert_int_equal(rename(here, away), 0);
	assert_true(activate_commit(&b->act, &b->e) < 0);
	assert_true(b->act.noted);
	assert_int_equal(rename(away, here), 0);
	b->act.unknown = false;
	activate_abort(&b->act);
	assert_false(pending_find(&b->cfg, name, sizeof(name)));
}

static unsigned loads, commits;
static const struct bootenv_backend *counted;

static int count_load(struct bootenv *env, struct envset *all, struct err *e)
{
	loads++;
	return counted->load(env, all, e);
}

static int count_commit(struct bootenv *env, const struct envset *changes, struct err *e)
{
	commits++;
	return counted->commit(env, changes, e);
}

/* each look starts a program and waits for a lock: as many for a hundred variables as for one */
static void l4_many_variables_are_looked_up_at_once(void **state)
{
	struct bench *b = *state;
	struct bootenv_backend counting = *b->session.env->ops;
	char name[16];

	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "v%d", i);
		assert_int_equal(envset_put(&b->plan.variables, name, "1", &b->e), 0);
	}
	b->places.devices = NULL; /* their flush looks too, in this test */
	counted = b->session.env->ops;
	counting.load = count_load;
	counting.commit = count_commit;
	b->session.env->ops = &counting;
	run_begin(b);
	b->act.steps->at[0].state = b->act.steps->at[2].state = STEP_WAITS;
	assert_int_equal(activate_commit(&b->act, &b->e), 0);
	b->session.env->ops = counted;
	assert_int_equal(commits, 2); /* the mark, the switch */
	assert_int_equal(loads, 3);   /* each read back, and the old values */
	assert_string_equal(var(b, "v99"), "1");
	assert_string_equal(var(b, "boot_slot"), "b");
}

/* the write came through, and what it leaves chooses more than one */
static void l3_a_switch_that_does_not_choose_the_slot_is_taken_back(void **state)
{
	struct bench *b = *state;
	struct node keep = {.type = NODE_STRING, .name = "keep", .string = "me"};
	struct node env = {.type = NODE_GROUP, .name = "env", .child = &keep, .count = 1};

	b->slot[2] = (struct slot_setting){.name = "c", .env = &env};
	b->cfg.slot_count = 3;
	run_begin(b);
	assert_true(activate_commit(&b->act, &b->e) < 0);
	assert_int_equal(b->e.code, E_ENV_WRITE);
	assert_non_null(strstr(b->e.why, "does not choose slot 'b'"));
	activate_abort(&b->act);
	assert_old(b);
	assert_null(journal_at(b->session.journal, 0));
}

static void a_pending_slot_that_cannot_be_taken_back_stops_the_install(void **state)
{
	struct bench *b = *state;
	char away[96], here[96];

	b->session.slots.next = &b->slot[1];
	snprintf(here, sizeof(here), "%s/env", b->dir);
	snprintf(away, sizeof(away), "%s/away", b->dir);
	assert_int_equal(rename(here, away), 0);
	assert_true(activate_begin(&b->act, &b->e) < 0);
	assert_int_equal(b->e.code, E_SLOT_PENDING);
	assert_false(b->act.began);
	assert_null(journal_at(b->session.journal, 0));
	assert_int_equal(rename(away, here), 0);
}

static void a_plan_that_leaves_the_slots_alone_leaves_the_pending_switch_alone(void **state)
{
	struct bench *b = *state;
	struct envset s = {0};

	envset_put(&s, "boot_slot", "b", &b->e);
	assert_int_equal(bootenv_commit(b->session.env, &s, &b->e), 0);
	envset_clear(&s);
	b->session.slots.next = &b->slot[1];
	b->plan.taken = NULL;
	run_begin(b);
	assert_int_equal(activate_commit(&b->act, &b->e), 0);
	assert_string_equal(var(b, "boot_slot"), "b");
}

static void installed_versions_are_written_after_the_switch(void **state)
{
	struct bench *b = *state;
	AUTO_FREE char *text = NULL;
	size_t n;

	b->cfg.gen_swversions = b->versions;
	envkit_write_file(b->versions, "other 7\nfpga 1\n", 15);
	b->entries[0].name = "fpga";
	b->entries[0].version = "2";
	b->entries[2].name = "two words";
	b->entries[2].version = "3";
	run_begin(b);
	assert_int_equal(activate_commit(&b->act, &b->e), 0);
	text = envkit_read_file(b->versions, &n);
	assert_string_equal(text, "other\t\t7\nfpga\t\t2\n");
}

static void a_versions_file_that_cannot_be_written_never_fails_an_install(void **state)
{
	struct bench *b = *state;

	b->cfg.gen_swversions = "/proc/no/such/file";
	b->entries[0].name = "fpga";
	b->entries[0].version = "2";
	run_begin(b);
	assert_int_equal(activate_commit(&b->act, &b->e), 0);
	assert_string_equal(var(b, "boot_slot"), "b");
	assert_non_null(strstr(told_lines(&b->told), "list of installed versions"));
	assert_true(journal_has(b, JOURNAL_AFTER)); /* the next start tries again */
}

static void without_a_boot_switch_the_journal_is_the_commit_point(void **state)
{
	struct bench *b = *state;

	open_env(b, "none");
	b->cfg.gen_swversions = "/proc/no/such/file"; /* keeps the journal open for us to look */
	b->entries[0].name = "fpga";
	b->entries[0].version = "2";
	run_begin(b);
	assert_false(journal_has(b, JOURNAL_COMMITTED));
	assert_int_equal(activate_commit(&b->act, &b->e), 0);
	assert_true(journal_has(b, JOURNAL_COMMITTED));
}

/* the record is in the file, and whether the medium has it nobody knows: as with the boot switch */
static void a_committed_record_that_was_not_flushed_is_left_to_recovery(void **state)
{
	struct bench *b = *state;

	open_env(b, "none");
	run_begin(b);
	fail_sync = 2; /* STAGED, COMMITTED */
	assert_true(activate_commit(&b->act, &b->e) < 0);
	assert_int_equal(b->e.code, E_JOURNAL);
	b->seen[0] = '\0';
	activate_abort(&b->act);
	assert_string_equal(b->seen, ""); /* no discard */
	assert_non_null(strstr(told_lines(&b->told), "the next start looks"));
	journal_close(b->session.journal);
	assert_int_equal(journal_open(&b->session.journal, b->dir, &(struct err){0}), 0);
	assert_true(journal_has(b, JOURNAL_COMMITTED)); /* so it finishes, and must find the new */
}

static void variables_that_cannot_be_stored_are_refused_while_planning(void **state)
{
	struct bench *b = *state;

	make_run(b);
	assert_int_equal(activate_check(&b->act, &b->e), 0);
	envset_put(&b->session.asked, "bad name", "x", &b->e);
	assert_true(activate_check(&b->act, &b->e) < 0);
	assert_int_equal(b->e.code, E_ENV_NAME);
	assert_string_equal(var(b, "recovery_status"), "");
}

static void boot_variables_without_a_boot_loader_are_told(void **state)
{
	struct bench *b = *state;

	b->cfg.slot_count = 0;
	open_env(b, "none");
	make_run(b);
	assert_int_equal(activate_check(&b->act, &b->e), 0);
	assert_non_null(
		strstr(told_lines(&b->told), "boot variables of the bundle are not stored"));
	b->cfg.strict = true;
	assert_true(activate_check(&b->act, &b->e) < 0);
	assert_int_equal(b->e.code, E_CONFIG);
	envset_clear(&b->plan.variables);
	b->plan.variables = (struct envset){0};
	err_clear(&b->e);
	assert_int_equal(activate_check(&b->act, &b->e), 0);
}

static void slots_with_variables_need_a_boot_loader(void **state)
{
	struct bench *b = *state;
	struct bootenv *env = NULL;

	assert_true(marks_env(&b->cfg, &env, &b->e) < 0);
	assert_int_equal(b->e.code, E_CONFIG);
	assert_null(env);
	err_clear(&b->e);
	b->slot[0].env = b->slot[1].env = NULL;
	assert_int_equal(marks_env(&b->cfg, &env, &b->e), 0);
	bootenv_close(env);
}

static void without_a_journal_an_image_still_installs(void **state)
{
	struct bench *b = *state;

	b->session.journal = journal_close(b->session.journal);
	run_begin(b);
	assert_int_equal(activate_commit(&b->act, &b->e), 0);
	assert_string_equal(var(b, "boot_slot"), "b");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(l3_everything_is_flushed_before_the_switch),
		T(a_device_of_many_entries_is_flushed_once),
		T(t105_the_switch_holds_all_that_decides),
		T(a_bundle_cannot_override_what_decides),
		T(t104_a_failed_flush_means_no_switch),
		T(a_handler_that_cannot_commit_undoes_all_in_reverse),
		T(cancel_before_the_switch_is_the_old_system),
		T(a_switch_that_fails_and_cannot_be_taken_back_is_left_to_recovery),
		T(nothing_is_undone_after_the_switch),
		T(markers_can_be_switched_off_by_root_or_bundle),
		T(a_slot_that_waits_for_its_reboot_is_taken_back_first),
		T(what_is_taken_back_does_not_count_as_installed),
		T(l3_a_slot_that_still_boots_next_after_it_was_taken_back_is_never_written),
		T(l3_without_variables_of_slots_a_second_install_waits_for_the_reboot),
		T(what_did_not_switch_is_noted_nowhere),
		T(l4_many_variables_are_looked_up_at_once),
		T(l3_a_switch_that_does_not_choose_the_slot_is_taken_back),
		T(boot_variables_without_a_boot_loader_are_told),
		T(slots_with_variables_need_a_boot_loader),
		T(a_pending_slot_that_cannot_be_taken_back_stops_the_install),
		T(a_plan_that_leaves_the_slots_alone_leaves_the_pending_switch_alone),
		T(installed_versions_are_written_after_the_switch),
		T(a_versions_file_that_cannot_be_written_never_fails_an_install),
		T(without_a_boot_switch_the_journal_is_the_commit_point),
		T(a_committed_record_that_was_not_flushed_is_left_to_recovery),
		T(variables_that_cannot_be_stored_are_refused_while_planning),
		T(without_a_journal_an_image_still_installs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
