/* Whole updates on a device of files: the new state or the old one, and the reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/state/journal.h"
#include "core/state/status.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/envkit.h"
#include "tests/unit/kit/fake_stream.h"
#include "tests/unit/kit/jobkit.h"

enum { IMAGE = 300 * 1024 + 17 };
static uint8_t image[IMAGE];

static const char file_text[] = "a file of release 2\n";

#define ROOTFS                                                                                     \
	"images: ( { filename = \"rootfs.img\"; slot = \"rootfs\"; sha256 = \"@rootfs.img@\"; } );\n"
#define APP                                                                                        \
	"files: ( { filename = \"app.txt\"; path = \"%DIR%/app/app.txt\"; type = \"rawfile\"; "    \
	"sha256 = \"@app.txt@\"; name = \"app\"; version = \"2.0\"; } );\n"
#define SOFTWARE(x) "software = {\nversion = \"2.0\";\n" x "};\n"

static const struct jobkit_part parts[] = {
	{"rootfs.img", image, IMAGE},
	{"app.txt", file_text, sizeof(file_text) - 1},
};

static int setup(void **state)
{
	struct jobkit *k = calloc(1, sizeof(*k));

	fake_bytes(image, sizeof(image), 3);
	jobkit_make(k, "file");
	*state = k;
	return 0;
}

static int teardown(void **state)
{
	jobkit_remove(*state);
	free(*state);
	return 0;
}

static void old_app(struct jobkit *k)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/app.txt", k->app);
	f = fopen(path, "w");
	fputs("old\n", f);
	fclose(f);
}

static bool app_is(struct jobkit *k, const char *text)
{
	char path[256], *now;
	bool same;

	snprintf(path, sizeof(path), "%s/app.txt", k->app);
	now = jobkit_text(path);
	same = now && strcmp(now, text) == 0;
	free(now);
	return same;
}

static void assert_new(struct jobkit *k)
{
	assert_true(jobkit_holds(k->slot[1], image, IMAGE));
	assert_string_equal(jobkit_var(k, "boot_slot"), "b");
	assert_string_equal(jobkit_var(k, "ustate"), "1");
	assert_string_equal(jobkit_var(k, "recovery_status"), "");
	assert_int_equal(strlen(jobkit_var(k, "swinstall_txn")), 16);
	assert_int_equal(jobkit_leftovers(k), 0);
}

static void an_image_goes_into_the_inactive_slot_and_the_switch_follows(void **state)
{
	struct jobkit *k = *state;

	jobkit_bundle(k, SOFTWARE(ROOTFS), parts, 1);
	assert_int_equal(jobkit_install(k, JOB_INSTALL), 0);
	assert_new(k);
	assert_string_equal(job_version(k->job), "2.0");
	assert_true(job_wants_reboot(k->job));
}

static void the_same_comes_through_a_pipe(void **state)
{
	struct jobkit *k = *state;

	jobkit_bundle(k, SOFTWARE(ROOTFS APP), parts, 2);
	assert_int_equal(jobkit_install_pipe(k, JOB_INSTALL), 0);
	assert_new(k);
	assert_true(app_is(k, file_text));
}

static void a_file_is_replaced_with_the_switch(void **state)
{
	struct jobkit *k = *state;

	old_app(k);
	jobkit_bundle(k, SOFTWARE(ROOTFS APP), parts, 2);
	assert_int_equal(jobkit_install(k, JOB_INSTALL), 0);
	assert_new(k);
	assert_true(app_is(k, file_text));
}

static void t1_a_flipped_payload_leaves_every_byte_as_it_was(void **state)
{
	struct jobkit *k = *state;
	uint32_t before;

	old_app(k);
	before = jobkit_sum(k);
	jobkit_bundle(k, SOFTWARE(ROOTFS APP), parts, 2);
	jobkit_flip(k, jobkit_find(k, "a file of release 2"));
	assert_true(jobkit_install(k, JOB_INSTALL) < 0);
	assert_int_equal(k->e.code, E_PAYLOAD_HASH);
	assert_int_equal(jobkit_sum(k), before);
	assert_int_equal(jobkit_leftovers(k), 0);
	assert_true(jobkit_install_pipe(k, JOB_INSTALL) < 0);
	assert_int_equal(k->e.code, E_PAYLOAD_HASH);
	assert_int_equal(jobkit_sum(k), before);
	assert_int_equal(jobkit_leftovers(k), 0);
}

static void a_flipped_description_is_refused_before_it_is_read(void **state)
{
	struct jobkit *k = *state;
	uint32_t before = jobkit_sum(k);

	jobkit_bundle(k, SOFTWARE(ROOTFS), parts, 1);
	jobkit_flip(k, jobkit_find(k, "version"));
	assert_true(jobkit_install(k, JOB_INSTALL) < 0);
	assert_int_equal(k->e.code, E_SIG_BAD);
	assert_int_equal(jobkit_sum(k), before);
}

static void checking_proves_every_payload_and_writes_nothing(void **state)
{
	struct jobkit *k = *state;
	uint32_t before = jobkit_sum(k);

	jobkit_bundle(k, SOFTWARE(ROOTFS APP), parts, 2);
	assert_int_equal(jobkit_install(k, JOB_CHECK), 0);
	assert_int_equal(jobkit_install_pipe(k, JOB_CHECK), 0);
	assert_int_equal(jobkit_install(k, JOB_DRY_RUN), 0);
	assert_int_equal(jobkit_install_pipe(k, JOB_DRY_RUN), 0);
	jobkit_flip(k, jobkit_find(k, "a file of release 2"));
	assert_true(jobkit_install(k, JOB_CHECK) < 0);
	assert_int_equal(k->e.code, E_PAYLOAD_HASH);
	assert_true(jobkit_install_pipe(k, JOB_CHECK) < 0);
	assert_int_equal(k->e.code, E_PAYLOAD_HASH);
	assert_int_equal(jobkit_sum(k), before);
}

static void check_fails(struct jobkit *k, const char *more, enum errcode code)
{
	char text[2048];

	snprintf(text, sizeof(text),
		 SOFTWARE("images: ( { filename = \"rootfs.img\"; slot = \"rootfs\"; sha256 = "
			  "\"@rootfs.img@\"; %s } );"),
		 more);
	jobkit_bundle(k, text, parts, 1);
	for (int pipe = 0; pipe < 2; pipe++) {
		assert_true((pipe ? jobkit_install_pipe : jobkit_install)(k, JOB_CHECK) < 0);
		assert_int_equal(k->e.code, code);
	}
}

/* signed, complete, and still nothing that could be installed */
static void checking_finds_what_only_the_whole_way_of_a_payload_shows(void **state)
{
	static const char key[] = "000102030405060708090a0b0c0d0e0f "
				  "000102030405060708090a0b0c0d0e0f\n";
	struct jobkit *k = *state;
	char path[128];

	snprintf(path, sizeof(path), "%s/aes", k->dir);
	envkit_write_file(path, key, sizeof(key) - 1);
	assert_int_equal(chmod(path, 0600), 0);
	snprintf(k->globals + strlen(k->globals), sizeof(k->globals) - strlen(k->globals),
		 " aes-key-file = \"%s\";", path);
	jobkit_configure(k);
	check_fails(k, "compressed = \"zlib\";", E_DECOMPRESS);
	check_fails(k, "encrypted = \"aes-cbc\";", E_DECRYPT);
}

/* a sender that says a little and then nothing, before anybody vouches for it */
static void l4_a_slow_sender_whom_nobody_vouches_for_keeps_no_install_waiting(void **state)
{
	static const char head[] = "070702";
	struct jobkit *k = *state;
	int fds[2], waiting = 1;
	pid_t child;

	jobkit_bundle(k, SOFTWARE(ROOTFS), parts, 1);
	assert_int_equal(pipe(fds), 0);
	child = fork();
	if (child == 0) {
		const struct job_request r = {.fd = fds[0], .name = "slow", .mode = JOB_INSTALL};
		struct err e = {0};

		job_submit(k->job, &r, &e);
		_exit(0);
	}
	assert_int_equal(write(fds[1], head, sizeof(head) - 1), sizeof(head) - 1);
	while (ioctl(fds[1], FIONREAD, &waiting) == 0 && waiting) /* it is reading now */
		usleep(10000);
	k->cfg->lock_timeout = 0;
	assert_int_equal(jobkit_install(k, JOB_INSTALL), 0);
	assert_new(k);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(fds[0]);
	close(fds[1]);
}

static void the_status_of_the_last_job_is_kept(void **state)
{
	struct jobkit *k = *state;
	struct status s;

	assert_int_equal(status_read(k->state, &s), 0);
	assert_string_equal(s.state, "");
	jobkit_bundle(k, SOFTWARE(ROOTFS), parts, 1);
	assert_int_equal(jobkit_install(k, JOB_INSTALL), 0);
	assert_int_equal(status_read(k->state, &s), 0);
	assert_string_equal(s.state, "success");
	assert_string_equal(s.version, "2.0");
	jobkit_flip(k, jobkit_find(k, "version"));
	assert_true(jobkit_install(k, JOB_INSTALL) < 0);
	assert_int_equal(status_read(k->state, &s), 0);
	assert_string_equal(s.state, "failure");
	assert_int_equal(s.err.code, E_SIG_BAD);
}

static void t6_an_unsigned_bundle_is_refused(void **state)
{
	struct jobkit *k = *state;
	uint32_t before = jobkit_sum(k);

	for (int i = 0; i < 2; i++) {
		k->no_signature = i == 0;
		k->empty_signature = i == 1;
		jobkit_bundle(k, SOFTWARE(ROOTFS), parts, 1);
		assert_true(jobkit_install(k, JOB_INSTALL) < 0);
		assert_int_equal(k->e.code, E_SIG_MISSING);
		assert_true(jobkit_install_pipe(k, JOB_INSTALL) < 0);
		assert_int_equal(k->e.code, E_SIG_MISSING);
	}
	assert_int_equal(jobkit_sum(k), before);
}

static void t6_root_may_allow_unsigned_bundles_and_is_warned_each_time(void **state)
{
	struct jobkit *k = *state;

	k->no_signature = true;
	jobkit_bundle(k, SOFTWARE(ROOTFS), parts, 1);
	k->cfg->allow_unsigned = true;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(jobkit_install(k, JOB_INSTALL), 0);
		assert_non_null(strstr(k->notes, "nobody vouches for it"));
	}
}

static void a_bad_signature_is_refused_even_where_none_is_needed(void **state)
{
	struct jobkit *k = *state;

	k->cfg->allow_unsigned = true;
	jobkit_bundle(k, SOFTWARE(ROOTFS), parts, 1);
	jobkit_flip(k, jobkit_find(k, "version"));
	assert_true(jobkit_install(k, JOB_INSTALL) < 0);
	assert_int_equal(k->e.code, E_SIG_BAD);
}

static void without_a_key_nothing_is_installed(void **state)
{
	struct jobkit *k = *state;

	k->cfg->public_key_file = NULL;
	jobkit_bundle(k, SOFTWARE(ROOTFS), parts, 1);
	assert_true(jobkit_install(k, JOB_INSTALL) < 0);
	assert_int_equal(k->e.code, E_KEY_FILE);
}

static void t3_a_member_that_nobody_names_reaches_nothing(void **state)
{
	struct jobkit *k = *state;
	char path[256];

	jobkit_bundle(k, SOFTWARE(ROOTFS), parts, 2); /* app.txt is not named */
	assert_int_equal(jobkit_install(k, JOB_INSTALL), 0);
	assert_new(k);
	snprintf(path, sizeof(path), "%s/app.txt", k->app);
	assert_int_not_equal(access(path, F_OK), 0);
}

static void t24_a_bundle_cut_anywhere_changes_nothing(void **state)
{
	struct jobkit *k = *state;
	uint32_t before;
	struct stat st;
	char *whole;
	size_t n;
	FILE *f;

	old_app(k);
	before = jobkit_sum(k);
	jobkit_bundle(k, SOFTWARE(APP), parts + 1, 1);
	assert_int_equal(stat(k->bundle, &st), 0);
	whole = jobkit_text(k->bundle);
	n = jobkit_find(k, "TRAILER!!!") + 11; /* padding may be missing */
	for (size_t cut = 0; cut < n; cut += 13) {
		f = fopen(k->bundle, "w");
		fwrite(whole, 1, cut, f);
		fclose(f);
		assert_true((cut % 2 ? jobkit_install : jobkit_install_pipe)(k, JOB_INSTALL) < 0);
		assert_int_not_equal(k->e.code, E_NONE);
	}
	free(whole);
	assert_int_equal(jobkit_sum(k), before);
	assert_int_equal(jobkit_leftovers(k), 0);
}

static void a_second_install_goes_into_the_other_slot(void **state)
{
	struct jobkit *k = *state;

	jobkit_bundle(k, SOFTWARE(ROOTFS), parts, 1);
	assert_int_equal(jobkit_install(k, JOB_INSTALL), 0);
	assert_string_equal(jobkit_var(k, "boot_slot"), "b");
	assert_int_equal(jobkit_install(k, JOB_INSTALL), 0);
	assert_string_equal(jobkit_var(k, "boot_slot"), "a");
	assert_true(jobkit_holds(k->slot[0], image, IMAGE));
	assert_true(jobkit_holds(k->slot[1], image, IMAGE));
}

static void t2_the_running_slot_is_never_a_target(void **state)
{
	struct jobkit *k = *state;
	uint32_t before = jobkit_sum(k);

	jobkit_bundle(k,
		      SOFTWARE("images: ( { filename = \"rootfs.img\"; device = \"%DIR%/slot-a\"; "
			       "sha256 = \"@rootfs.img@\"; installed-directly = true; } );\n"),
		      parts, 1);
	assert_true(jobkit_install(k, JOB_INSTALL) < 0);
	assert_int_equal(k->e.code, E_TARGET_ACTIVE);
	assert_int_equal(jobkit_sum(k), before);
}

static void a_target_named_by_its_device_takes_the_slot_along(void **state)
{
	struct jobkit *k = *state;

	jobkit_bundle(k,
		      SOFTWARE("images: ( { filename = \"rootfs.img\"; device = \"%DIR%/slot-b\"; "
			       "sha256 = \"@rootfs.img@\"; installed-directly = true; } );\n"),
		      parts, 1);
	assert_int_equal(jobkit_install_pipe(k, JOB_INSTALL), 0);
	assert_new(k);
}

static void what_flowed_and_was_wrong_is_not_switched_to(void **state)
{
	struct jobkit *k = *state;

	jobkit_bundle(k,
		      SOFTWARE("images: ( { filename = \"rootfs.img\"; device = \"%DIR%/slot-b\"; "
			       "sha256 = \"@app.txt@\"; installed-directly = true; } );\n"),
		      parts, 2);
	assert_true(jobkit_install(k, JOB_INSTALL) < 0);
	assert_int_equal(k->e.code, E_PAYLOAD_HASH);
	assert_string_equal(jobkit_var(k, "boot_slot"), "a");
	assert_string_equal(jobkit_var(k, "swinstall_txn"), "");
	assert_string_equal(jobkit_var(k, "recovery_status"), "failed");
	assert_non_null(strstr(k->e.where, "images[0] of release 2.0"));
}

static void without_a_state_directory_only_what_needs_no_undo_is_installed(void **state)
{
	struct jobkit *k = *state;
	char run[256];

	snprintf(run, sizeof(run), "%s/run", k->dir);
	assert_int_equal(mkdir(run, 0700), 0);
	k->cfg->state_dir = "/proc/no-such-folder";
	k->cfg->run_dir = run;
	k->cfg->spool_dir = run;
	jobkit_bundle(k, SOFTWARE(ROOTFS APP), parts, 2);
	assert_true(jobkit_install(k, JOB_INSTALL) < 0);
	assert_int_equal(k->e.code, E_STATE_DIR);
	assert_string_equal(jobkit_var(k, "recovery_status"), "");
	jobkit_bundle(k, SOFTWARE(ROOTFS), parts, 1);
	assert_int_equal(jobkit_install(k, JOB_INSTALL), 0);
	assert_non_null(strstr(k->notes, "there is no journal"));
	assert_new(k);
}

/* an interrupted installation of two records, one bit of the first flipped when 'damaged' */
static void leave_a_journal(struct jobkit *k, bool damaged)
{
	struct journal *j;
	char path[256], txn[17];
	size_t n;

	assert_int_equal(journal_open(&j, k->state, &k->e), 0);
	assert_int_equal(journal_begin(j, "1.5", txn, &k->e), 0);
	assert_int_equal(journal_add(j, JOURNAL_STAGED, "", &k->e), 0);
	journal_close(j);
	snprintf(path, sizeof(path), "%s/journal", k->state);
	AUTO_FREE char *bytes = envkit_read_file(path, &n);
	bytes[29] ^= damaged;
	envkit_write_file(path, bytes, n);
}

/* swinstall_txn would be overwritten: nobody could tell any more whether the other one was switched
 */
static void a_damaged_journal_stops_also_what_needs_no_undo(void **state)
{
	struct jobkit *k = *state;
	char did[512];

	leave_a_journal(k, true);
	jobkit_bundle(k, SOFTWARE(ROOTFS), parts, 1);
	assert_true(jobkit_install(k, JOB_INSTALL) < 0);
	assert_int_equal(k->e.code, E_JOURNAL);
	assert_non_null(strstr(k->e.fix, "--forget"));
	assert_string_equal(jobkit_var(k, "swinstall_txn"), "");
	err_clear(&k->e);
	assert_true(job_recover(k->cfg, did, sizeof(did), &k->e) < 0);
	assert_int_equal(k->e.code, E_JOURNAL);
	err_clear(&k->e);
	assert_int_equal(job_forget(k->cfg, did, sizeof(did), &k->e), 0);
	assert_non_null(strstr(did, "neither undone nor finished"));
	assert_int_equal(jobkit_install(k, JOB_INSTALL), 0);
	assert_new(k);
}

static void a_journal_that_cannot_be_written_stops_it_when_something_is_unsettled(void **state)
{
	struct jobkit *k = *state;

	jobkit_bundle(k, SOFTWARE(ROOTFS), parts, 1);
	leave_a_journal(k, false);
	assert_int_equal(chmod(k->state, 0777), 0); /* others could write there: not used */
	assert_true(jobkit_install(k, JOB_INSTALL) < 0);
	assert_int_equal(k->e.code, E_RECOVER);
	assert_string_equal(jobkit_var(k, "swinstall_txn"), "");
	assert_int_equal(chmod(k->state, 0700), 0);
	assert_int_equal(jobkit_install(k, JOB_INSTALL), 0);
	assert_new(k);
}

static void cancel_in_the_middle_leaves_the_old_system(void **state)
{
	struct jobkit *k = *state;

	jobkit_bundle(k, SOFTWARE(ROOTFS APP), parts, 2);
	job_subscribe(k->job, (void (*)(void *))job_cancel, k->job); /* with the first event */
	assert_true(jobkit_install(k, JOB_INSTALL) < 0);
	assert_int_equal(k->e.code, E_CANCELED);
	assert_string_equal(jobkit_var(k, "boot_slot"), "a");
	assert_int_equal(jobkit_leftovers(k), 0);
}

static void without_a_boot_loader_files_and_images_are_installed_all_the_same(void **state)
{
	struct jobkit *k = *state;

	teardown(state);
	*state = k = calloc(1, sizeof(*k));
	jobkit_make(k, "none");
	old_app(k);
	jobkit_bundle(k, SOFTWARE(APP), parts + 1, 1);
	assert_int_equal(jobkit_install(k, JOB_INSTALL), 0);
	assert_true(app_is(k, file_text));
	assert_int_equal(jobkit_leftovers(k), 0);
}

static void errors_of_a_target_name_device_handler_and_entry(void **state)
{
	struct jobkit *k = *state;

	assert_int_equal(truncate(k->slot[1], 1000), 0);
	jobkit_bundle(k, SOFTWARE(ROOTFS), parts, 1);
	assert_true(jobkit_install(k, JOB_INSTALL) < 0);
	assert_int_equal(k->e.code, E_TARGET_SMALL);
	assert_non_null(strstr(k->e.why, "slot-b"));
	assert_non_null(strstr(k->e.where, "handler raw"));
	assert_non_null(strstr(k->e.where, "images[0] of release 2.0"));
}

static void events_end_with_the_result(void **state)
{
	struct jobkit *k = *state;
	struct event ev, last = {.type = EVENT_LOG};
	uint64_t cursor = 0, lost;
	unsigned steps = 0, of = 0;

	jobkit_bundle(k, SOFTWARE(ROOTFS APP), parts, 2);
	assert_int_equal(jobkit_install(k, JOB_INSTALL), 0);
	while (progress_get(job_progress(k->job), &cursor, &ev, &lost) > 0) {
		if (ev.type == EVENT_STEP) {
			steps++;
			of = ev.steps;
			assert_int_equal(ev.step, steps);
		}
		last = ev;
	}
	assert_int_equal(steps, of);
	assert_int_equal(steps, 4); /* two payloads checked, two steps written */
	assert_int_equal(last.type, EVENT_RESULT);
	assert_int_equal(last.state, STATE_SUCCESS);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_image_goes_into_the_inactive_slot_and_the_switch_follows),
		T(the_same_comes_through_a_pipe),
		T(a_file_is_replaced_with_the_switch),
		T(t1_a_flipped_payload_leaves_every_byte_as_it_was),
		T(a_flipped_description_is_refused_before_it_is_read),
		T(checking_proves_every_payload_and_writes_nothing),
		T(checking_finds_what_only_the_whole_way_of_a_payload_shows),
		T(l4_a_slow_sender_whom_nobody_vouches_for_keeps_no_install_waiting),
		T(the_status_of_the_last_job_is_kept),
		T(t6_an_unsigned_bundle_is_refused),
		T(t6_root_may_allow_unsigned_bundles_and_is_warned_each_time),
		T(a_bad_signature_is_refused_even_where_none_is_needed),
		T(without_a_key_nothing_is_installed),
		T(t3_a_member_that_nobody_names_reaches_nothing),
		T(t24_a_bundle_cut_anywhere_changes_nothing),
		T(a_second_install_goes_into_the_other_slot),
		T(t2_the_running_slot_is_never_a_target),
		T(a_target_named_by_its_device_takes_the_slot_along),
		T(what_flowed_and_was_wrong_is_not_switched_to),
		T(without_a_state_directory_only_what_needs_no_undo_is_installed),
		T(a_damaged_journal_stops_also_what_needs_no_undo),
		T(a_journal_that_cannot_be_written_stops_it_when_something_is_unsettled),
		T(cancel_in_the_middle_leaves_the_old_system),
		T(without_a_boot_loader_files_and_images_are_installed_all_the_same),
		T(errors_of_a_target_name_device_handler_and_entry),
		T(events_end_with_the_result),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
