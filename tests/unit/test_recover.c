/* After a cut: old before the commit point, new after it, and the same again when recovery itself
 * is cut. */
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
#include <unistd.h>

#include "core/activate.h"
#include "core/state/journal_address.h"
#include "core/state/pending.h"
#include "core/state/recover.h"
#include "core/state/status.h"
#include "corelib/files/staged.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/envkit.h"

struct bench {
	char dir[64], env_path[96], versions[96], file[2][96], state[96];
	char txn[17];
	struct settings cfg;
	struct session session;
	struct recovery r;
	struct err e;
};

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

	strcpy(b->dir, "/tmp/swinstall-recover-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(path, sizeof(path), "%s/app", b->dir);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(b->state, sizeof(b->state), "%s/state", b->dir);
	assert_int_equal(mkdir(b->state, 0700), 0);
	snprintf(b->env_path, sizeof(b->env_path), "%s/bootenv", b->dir);
	snprintf(b->versions, sizeof(b->versions), "%s/sw-versions", b->dir);
	snprintf(b->file[0], sizeof(b->file[0]), "%s/app/one", b->dir);
	snprintf(b->file[1], sizeof(b->file[1]), "%s/app/two", b->dir);
	envkit_write_file(b->env_path, "boot_slot=a\n", 12);
	envkit_write_file(b->file[0], "old", 3); /* 'two' is new in the release */
	b->cfg.state_dir = b->state;
	b->cfg.gen_swversions = b->versions;
	b->session.cfg = &b->cfg;
	b->r.session = &b->session;
	open_env(b, "file");
	assert_int_equal(journal_open(&b->session.journal, b->state, &b->e), 0);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	journal_close(b->session.journal);
	bootenv_close(b->session.env);
	envkit_remove_tree(b->dir);
	free(b);
	return 0;
}

static void set(struct bench *b, const char *name, const char *value)
{
	struct envset s = {0};

	assert_int_equal(envset_put(&s, name, value, &b->e), 0);
	assert_int_equal(bootenv_commit(b->session.env, &s, &b->e), 0);
	envset_clear(&s);
}

static const char *var(struct bench *b, const char *name)
{
	static char text[256];
	AUTO_FREE char *value = NULL;

	text[0] = '\0';
	if (bootenv_get(b->session.env, name, &value, &b->e) > 0)
		snprintf(text, sizeof(text), "%s", value);
	return text;
}

/* how far the install came before the cut */
enum came { NOTED, STAGED, PUBLISHED };

static void stage_path(struct bench *b, const char *path, unsigned i, bool create, enum came how)
{
	struct staged *s = NULL;
	char text[ADDRESS_TEXT];
	int fd;

	assert_int_equal(staged_open(&s, path, b->txn, i, create, &b->e), 0);
	assert_int_equal(staged_look_kept(s, &b->e), 0);
	assert_int_equal(journal_address_text(&s->address, text, sizeof(text)), 0);
	assert_int_equal(journal_add(b->session.journal, JOURNAL_FILE, text, &b->e), 0);
	if (how >= STAGED) {
		fd = staged_create(s, 0600, &b->e);
		assert_true(fd >= 0);
		assert_int_equal(sys_write(fd, "new", 3), 0);
		close(fd);
		assert_int_equal(staged_sync(s, &b->e), 0);
	}
	if (how >= PUBLISHED)
		assert_int_equal(staged_publish(s, &b->e), 0);
	staged_close(s);
}

static void stage_file(struct bench *b, unsigned i, bool create, enum came how)
{
	stage_path(b, b->file[i], i, create, how);
}

static void stage(struct bench *b, unsigned i, enum came how)
{
	stage_file(b, i, false, how);
}

static void stage_made(struct bench *b, enum came how)
{
	stage_file(b, 1, true, how);
}

static void begin(struct bench *b)
{
	assert_int_equal(journal_begin(b->session.journal, "2.0", b->txn, &b->e), 0);
	set(b, "recovery_status", "in_progress");
}

static bool file_is(struct bench *b, unsigned i, const char *text)
{
	AUTO_FREE char *now = NULL;
	size_t n;

	if (access(b->file[i], F_OK) != 0)
		return text == NULL;
	now = envkit_read_file(b->file[i], &n);
	return text && strcmp(now, text) == 0;
}

static unsigned leftovers(const struct bench *b)
{
	char cmd[128], out[256] = "";
	const char *argv[] = {"/bin/sh", "-c", cmd, NULL};

	snprintf(cmd, sizeof(cmd), "find %s -name '.swinstall-*'", b->dir);
	envkit_run(argv, out, sizeof(out));
	return (unsigned)strlen(out);
}

static void recovers(struct bench *b, enum recovered how)
{
	/* as after a reboot: everything is opened again */
	journal_close(b->session.journal);
	assert_int_equal(journal_open(&b->session.journal, b->state, &b->e), 0);
	if (recover_run(&b->r, &b->e) != 0)
		print_message("%s\n", b->e.why);
	assert_int_equal(b->e.code, E_NONE);
	assert_int_equal(b->r.did, how);
	assert_null(journal_at(b->session.journal, 0));
	assert_int_equal(leftovers(b), 0);
}

static void without_a_journal_entry_there_is_nothing_to_do(void **state)
{
	struct bench *b = *state;

	recovers(b, RECOVERED_NOTHING);
	assert_string_equal(b->r.text, "nothing to do");
}

static void t103_a_cut_while_staging_leaves_the_old_files(void **state)
{
	struct bench *b = *state;

	begin(b);
	stage(b, 0, STAGED);
	stage(b, 1, NOTED);
	recovers(b, RECOVERED_UNDONE);
	assert_true(file_is(b, 0, "old"));
	assert_true(file_is(b, 1, NULL));
	assert_string_equal(var(b, "recovery_status"), "failed");
	assert_non_null(strstr(b->r.text, "release 2.0"));
	recovers(b, RECOVERED_NOTHING); /* told once */
}

/* two archives may go into one folder: the second one's old version is the first one's new one */
static void t103_what_two_steps_replaced_is_undone_in_reverse(void **state)
{
	struct bench *b = *state;

	begin(b);
	stage_path(b, b->file[0], 0, false, PUBLISHED);
	stage_path(b, b->file[0], 1, false, PUBLISHED);
	assert_true(file_is(b, 0, "new"));
	recovers(b, RECOVERED_UNDONE);
	assert_true(file_is(b, 0, "old"));
}

/* what was noted right before a switch that never came stops no later install */
static void an_undone_update_has_no_slot_that_boots_next(void **state)
{
	struct bench *b = *state;
	char name[64];

	begin(b);
	assert_int_equal(pending_note(b->state, "b", "0000000000000000", &b->e), 0);
	recovers(b, RECOVERED_UNDONE);
	assert_true(pending_find(&b->cfg, name, sizeof(name))); /* of another update */
	begin(b);
	assert_int_equal(pending_note(b->state, "b", b->txn, &b->e), 0);
	recovers(b, RECOVERED_UNDONE);
	assert_false(pending_find(&b->cfg, name, sizeof(name)));
	begin(b);
	assert_int_equal(pending_note(b->state, "b", b->txn, &b->e), 0);
	set(b, "swinstall_txn", b->txn);
	recovers(b, RECOVERED_FINISHED);
	assert_true(pending_find(&b->cfg, name, sizeof(name)));
}

static void a_cut_between_publishing_and_the_switch_brings_the_old_files_back(void **state)
{
	struct bench *b = *state;

	begin(b);
	stage(b, 0, PUBLISHED);
	stage(b, 1, PUBLISHED);
	assert_true(file_is(b, 0, "new"));
	journal_add(b->session.journal, JOURNAL_STAGED, "", &b->e);
	journal_add(b->session.journal, JOURNAL_AFTER, "app 2.0\n", &b->e);
	recovers(b, RECOVERED_UNDONE);
	assert_true(file_is(b, 0, "old"));
	assert_true(file_is(b, 1, NULL));
	assert_int_not_equal(access(b->versions, F_OK), 0);
}

static void a_cut_after_the_switch_keeps_the_new_files_and_finishes(void **state)
{
	struct bench *b = *state;
	AUTO_FREE char *text = NULL;
	size_t n;

	begin(b);
	stage(b, 0, PUBLISHED);
	stage(b, 1, PUBLISHED);
	journal_add(b->session.journal, JOURNAL_STAGED, "", &b->e);
	journal_add(b->session.journal, JOURNAL_AFTER, "app 2.0\n", &b->e);
	set(b, "swinstall_txn", b->txn);
	set(b, "recovery_status", NULL);
	recovers(b, RECOVERED_FINISHED);
	assert_true(file_is(b, 0, "new"));
	assert_true(file_is(b, 1, "new"));
	text = envkit_read_file(b->versions, &n);
	assert_string_equal(text, "app\t\t2.0\n");
	assert_string_equal(var(b, "recovery_status"), "");
	recovers(b, RECOVERED_NOTHING);
}

/* the new system may have no place for the list: that must not stop every later install */
static void a_versions_file_that_cannot_be_written_does_not_hold_recovery_up(void **state)
{
	struct bench *b = *state;

	b->cfg.gen_swversions = "/proc/no/such/file";
	begin(b);
	stage(b, 0, PUBLISHED);
	journal_add(b->session.journal, JOURNAL_AFTER, "app 2.0\n", &b->e);
	set(b, "swinstall_txn", b->txn);
	set(b, "recovery_status", NULL);
	recovers(b, RECOVERED_FINISHED);
	assert_true(file_is(b, 0, "new"));
	assert_non_null(strstr(b->r.text, "list of installed versions"));
	recovers(b, RECOVERED_NOTHING);
}

static void only_swinstall_txn_decides_not_what_boot_scripts_change(void **state)
{
	struct bench *b = *state;

	begin(b);
	stage(b, 0, PUBLISHED);
	set(b, "boot_slot", "b");
	set(b, "recovery_status", NULL);
	set(b, "swinstall_txn", "0123456789abcdef"); /* of an earlier update */
	recovers(b, RECOVERED_UNDONE);
	assert_true(file_is(b, 0, "old"));
}

static void without_a_boot_switch_the_committed_record_decides(void **state)
{
	struct bench *b = *state;

	open_env(b, "none");
	assert_int_equal(journal_begin(b->session.journal, "2.0", b->txn, &b->e), 0);
	stage(b, 0, PUBLISHED);
	journal_add(b->session.journal, JOURNAL_COMMITTED, "", &b->e);
	recovers(b, RECOVERED_FINISHED);
	assert_true(file_is(b, 0, "new"));
	assert_int_equal(journal_begin(b->session.journal, "2.1", b->txn, &b->e), 0);
	stage(b, 1, PUBLISHED);
	recovers(b, RECOVERED_UNDONE);
	assert_true(file_is(b, 1, NULL));
}

static void recovery_that_was_cut_itself_goes_on(void **state)
{
	struct bench *b = *state;
	struct staged *s;
	struct staged_address place;
	const struct journal_record *rec;

	begin(b);
	stage(b, 0, PUBLISHED);
	stage(b, 1, PUBLISHED);
	/* the second file was undone, then the power went */
	rec = journal_at(b->session.journal, 2);
	assert_int_equal(journal_address_parse(&place, rec->payload), 0);
	text_copy(place.txn, sizeof(place.txn), b->txn);
	assert_int_equal(staged_find(&s, &place, -1, &b->e), 1);
	assert_int_equal(staged_revert(s, &b->e), 0);
	assert_int_equal(staged_drop(s, &b->e), 0);
	staged_close(s);
	recovers(b, RECOVERED_UNDONE);
	assert_true(file_is(b, 0, "old"));
	assert_true(file_is(b, 1, NULL));
}

static void an_environment_that_cannot_be_read_keeps_the_journal(void **state)
{
	struct bench *b = *state;
	char garbage[600];

	begin(b);
	stage(b, 0, PUBLISHED);
	open_env(b, "file");
	memset(garbage, 0, sizeof(garbage));
	envkit_write_file(b->env_path, garbage, sizeof(garbage));
	assert_true(recover_run(&b->r, &b->e) < 0);
	assert_int_equal(b->e.code, E_RECOVER);
	assert_non_null(journal_at(b->session.journal, 0));
	assert_true(file_is(b, 0, "new")); /* nothing is guessed */
	err_clear(&b->e);
	envkit_write_file(b->env_path, "boot_slot=a\n", 12);
	recovers(b, RECOVERED_UNDONE);
	assert_true(file_is(b, 0, "old"));
}

static void a_marker_without_a_journal_is_cleared(void **state)
{
	struct bench *b = *state;

	set(b, "recovery_status", "in_progress");
	recovers(b, RECOVERED_UNDONE);
	assert_string_equal(var(b, "recovery_status"), "failed");
	recovers(b, RECOVERED_NOTHING);
}

static void markers_that_are_off_stay_off(void **state)
{
	struct bench *b = *state;

	b->cfg.no_transaction_marker = true;
	assert_int_equal(journal_begin(b->session.journal, "2.0", b->txn, &b->e), 0);
	recovers(b, RECOVERED_UNDONE);
	assert_string_equal(var(b, "recovery_status"), "");
}

static void t114_the_status_says_interrupted(void **state)
{
	struct bench *b = *state;
	struct status s;

	begin(b);
	recovers(b, RECOVERED_UNDONE);
	assert_int_equal(status_read(b->state, &s), 0);
	assert_string_equal(s.state, "interrupted");
	assert_string_equal(s.version, "2.0");
}

static void a_damaged_record_of_a_place_is_not_guessed(void **state)
{
	struct bench *b = *state;

	begin(b);
	journal_add(b->session.journal, JOURNAL_FILE, "no number\nx", &b->e);
	assert_true(recover_run(&b->r, &b->e) < 0);
	assert_int_equal(b->e.code, E_RECOVER);
	assert_non_null(journal_at(b->session.journal, 0));
}

static void places_survive_being_written_down(void **state)
{
	struct staged_address in = {.index = 4000000000u}, out;
	char text[1536];

	(void)state;
	strcpy(in.folder, "/a folder\twith blanks");
	strcpy(in.name, "name of it");
	assert_int_equal(journal_address_text(&in, text, sizeof(text)), 0);
	assert_int_equal(journal_address_parse(&out, text), 0);
	assert_string_equal(out.folder, in.folder);
	assert_string_equal(out.name, in.name);
	assert_int_equal(out.index, in.index);
	strcpy(in.name, "line\nend");
	assert_true(journal_address_text(&in, text, sizeof(text)) < 0);
}

static void places_of_before_mounts_are_read_and_half_ones_are_not(void **state)
{
	static const char *const bad[] = {"",
					  "1",
					  "1\nname",
					  "x\nname\n/folder",
					  "1\nname\n/folder\n",
					  "1\nname\n/folder\n7",
					  "1\nname\n/folder\n7\n/dev/x",
					  "1\nname\n/folder\nx\n/dev/x\next4",
					  "1\nname\n/folder\n7\n/dev/x\next4\nmore",
					  "1\nname\n/folder\n7\n\n\n/data\next4",
					  "1\nname\n/folder\n7\n\n\n/data\next4\nid\nmore"};
	struct staged_address in = {.index = 3, .kept = 2}, out;
	char text[ADDRESS_TEXT];

	(void)state;
	assert_int_equal(journal_address_parse(&out, "7\nname\n/folder"), 0);
	assert_int_equal(out.index, 7);
	assert_string_equal(out.folder, "/folder");
	assert_string_equal(out.device, "");
	assert_int_equal(out.kept, 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(journal_address_parse(&out, bad[i]), -EINVAL);
	strcpy(in.folder, "/f");
	strcpy(in.name, "n");
	strcpy(in.device, "/dev/x");
	strcpy(in.filesystem, "ext4");
	assert_int_equal(journal_address_text(&in, text, sizeof(text)), 0);
	assert_int_equal(journal_address_parse(&out, text), 0);
	assert_memory_equal(&in, &out, sizeof(in));
	strcpy(in.fs.point, "/data");
	strcpy(in.fs.type, "ext4");
	strcpy(in.fs.id, "fsid:0011223344556677");
	assert_int_equal(journal_address_text(&in, text, sizeof(text)), 0);
	assert_int_equal(journal_address_parse(&out, text), 0);
	assert_memory_equal(&in, &out, sizeof(in));
	in.device[4] = '\n';
	assert_true(journal_address_text(&in, text, sizeof(text)) < 0);
}

/* 'how': killed before anything was made, with the folders made, or with the file published */
static void made_folders_go(struct bench *b, enum came how)
{
	char path[128];

	snprintf(b->file[1], sizeof(b->file[1]), "%s/app/x/y/two", b->dir);
	begin(b);
	stage_made(b, how);
	recovers(b, RECOVERED_UNDONE);
	snprintf(path, sizeof(path), "%s/app/x", b->dir);
	assert_int_not_equal(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/app", b->dir);
	assert_int_equal(access(path, F_OK), 0);
}

static void folders_made_by_an_undone_install_go_away(void **state)
{
	for (enum came how = NOTED; how <= PUBLISHED; how++)
		made_folders_go(*state, how);
}

static void a_device_that_is_gone_keeps_the_journal(void **state)
{
	struct bench *b = *state;

	begin(b);
	journal_add(b->session.journal, JOURNAL_FILE, "0\none\n/\n0\n/dev/no-such-device\next4",
		    &b->e);
	assert_true(recover_run(&b->r, &b->e) < 0);
	assert_int_equal(b->e.code, E_RECOVER);
	assert_non_null(strstr(b->e.why, "no-such-device"));
	assert_non_null(journal_at(b->session.journal, 0));
}

/* ---- the file system of the file is not mounted ---- */

/* a file that was noted on a file system which is not where it was: 'mark' is what the journal says
 */
static void note_elsewhere(struct bench *b, const char *mark)
{
	char text[ADDRESS_TEXT];

	begin(b);
	text_print(text, sizeof(text), "0\nfile\n%s/not-mounted/etc\n0\n\n\n%s", b->dir, mark);
	assert_int_equal(journal_add(b->session.journal, JOURNAL_FILE, text, &b->e), 0);
}

/* nothing is settled, the journal stays, and the message names the mount point */
static void waits(struct bench *b, int rc)
{
	err_clear(&b->e);
	assert_int_equal(recover_run(&b->r, &b->e), rc);
	assert_int_equal(b->e.code, E_RECOVER);
	assert_non_null(strstr(b->e.why, "/data"));
	assert_non_null(strstr(b->e.fix, "swctl recover"));
	assert_non_null(journal_at(b->session.journal, 0));
	assert_string_equal(var(b, "recovery_status"), "in_progress");
	err_clear(&b->e);
}

static void t103_a_file_system_that_is_not_mounted_yet_keeps_the_journal(void **state)
{
	struct bench *b = *state;

	note_elsewhere(b, "/data\next4\nuuid:00112233445566778899aabbccddeeff");
	waits(b, -EAGAIN);
	b->session.mode = JOB_RECOVER;
	waits(b, -EAGAIN);
}

static void t103_a_file_system_without_an_id_is_known_by_its_mount_point(void **state)
{
	struct bench *b = *state;

	note_elsewhere(b, "/data\nvfat\n");
	waits(b, -EAGAIN);
}

/* the committed file is in place: only its old content stays, unless it may be mounted yet */
static void after_the_switch_an_old_file_on_what_is_not_mounted_stays(void **state)
{
	struct bench *b = *state;

	note_elsewhere(b, "/data\next4\n");
	set(b, "swinstall_txn", b->txn);
	b->session.mode = JOB_RECOVER;
	assert_int_equal(recover_run(&b->r, &b->e), -EAGAIN);
	assert_non_null(journal_at(b->session.journal, 0));
	err_clear(&b->e);
	b->session.mode = JOB_INSTALL;
	recovers(b, RECOVERED_FINISHED);
	assert_non_null(strstr(b->r.text, "not-mounted"));
}

/* as it is noted by the program itself: found, and a wrong id on the same mount point is another
 * one */
static void t103_another_file_system_at_the_same_place_is_not_the_one_noted(void **state)
{
	struct bench *b = *state;
	struct staged *s = NULL, *again = NULL;
	struct staged_address place;

	begin(b);
	stage(b, 0, PUBLISHED);
	assert_int_equal(journal_address_parse(&place, journal_at(b->session.journal, 1)->payload),
			 0);
	if (!place.fs.id[0]) {
		print_message("SKIP: the file system of /tmp has no id\n");
		skip();
	}
	text_copy(place.txn, sizeof(place.txn), b->txn);
	assert_int_equal(staged_find(&s, &place, -1, &b->e), 1);
	staged_close(s);
	place.fs.id[5] = place.fs.id[5] == 'e' ? 'f' : 'e';
	assert_int_equal(staged_find(&again, &place, -1, &b->e), -ESTALE);
	assert_int_equal(b->e.code, E_NOT_MOUNTED);
	err_clear(&b->e);
	recovers(b, RECOVERED_UNDONE);
	assert_true(file_is(b, 0, "old"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(without_a_journal_entry_there_is_nothing_to_do),
		T(t103_a_cut_while_staging_leaves_the_old_files),
		T(t103_what_two_steps_replaced_is_undone_in_reverse),
		T(an_undone_update_has_no_slot_that_boots_next),
		T(a_cut_between_publishing_and_the_switch_brings_the_old_files_back),
		T(a_cut_after_the_switch_keeps_the_new_files_and_finishes),
		T(a_versions_file_that_cannot_be_written_does_not_hold_recovery_up),
		T(only_swinstall_txn_decides_not_what_boot_scripts_change),
		T(without_a_boot_switch_the_committed_record_decides),
		T(recovery_that_was_cut_itself_goes_on),
		T(an_environment_that_cannot_be_read_keeps_the_journal),
		T(a_marker_without_a_journal_is_cleared),
		T(markers_that_are_off_stay_off),
		T(t114_the_status_says_interrupted),
		T(a_damaged_record_of_a_place_is_not_guessed),
		T(places_survive_being_written_down),
		T(places_of_before_mounts_are_read_and_half_ones_are_not),
		T(folders_made_by_an_undone_install_go_away),
		T(a_device_that_is_gone_keeps_the_journal),
		T(t103_a_file_system_that_is_not_mounted_yet_keeps_the_journal),
		T(t103_a_file_system_without_an_id_is_known_by_its_mount_point),
		T(after_the_switch_an_old_file_on_what_is_not_mounted_stays),
		T(t103_another_file_system_at_the_same_place_is_not_the_one_noted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
