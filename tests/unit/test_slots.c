/* Which slot runs, which boots next, which is the target. /proc, /sys and /dev are folders of the
 * test. */
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
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/plan/slots.h"
#include "core/state/pending.h"
#include "corelib/base/sys.h"
#include "kit/envkit.h"
#include "parser/text/node.h"
#include "tests/unit/kit/fail_malloc.h"

/* ---- two slots ---- */

static const struct node env_a2 = {.type = NODE_STRING, .name = "second", .string = ""};
static const struct node env_a = {
	.type = NODE_STRING, .name = "slot", .string = "a", .next = &env_a2};
static const struct node env_b2 = {.type = NODE_STRING, .name = "second", .string = "yes"};
static const struct node env_b = {
	.type = NODE_STRING, .name = "slot", .string = "b", .next = &env_b2};
static const struct node group_a = {.type = NODE_GROUP, .child = &env_a, .count = 2};
static const struct node group_b = {.type = NODE_GROUP, .child = &env_b, .count = 2};

static struct slot_place places_a[2], places_b[2];
static struct slot_setting two[2];
static struct settings cfg;
static struct bootenv *env;
static struct slots s;
static char root[64];

static void make(const char *path, const char *text)
{
	char full[256], dir[256];

	snprintf(full, sizeof(full), "%s%s", root, path);
	snprintf(dir, sizeof(dir), "%s", full);
	for (char *p = dir + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(dir, 0755);
		*p = '/';
	}
	if (text)
		envkit_write_file(full, text, strlen(text));
}

static void make_device(const char *path, unsigned ma, unsigned mi)
{
	char full[256];

	make(path, NULL);
	snprintf(full, sizeof(full), "%s%s", root, path);
	if (mknod(full, S_IFBLK | 0600, makedev(ma, mi)) < 0) {
		print_message("SKIP: device nodes cannot be made here\n");
		skip();
	}
}

static int setup(void **state)
{
	const struct bootenv_options o = {.kind = "none"};
	struct err e = {0};

	(void)state;
	snprintf(root, sizeof(root), "/tmp/test-slots-XXXXXX");
	if (!mkdtemp(root) || bootenv_open(&env, &o, &e) < 0)
		return -1;
	sys_set_root(root);
	places_a[0] = (struct slot_place){"rootfs", "/dev/sda1"};
	places_b[0] = (struct slot_place){"rootfs", "/dev/sda2"};
	places_b[1] = (struct slot_place){"kernel", "/dev/sda4"};
	two[0] = (struct slot_setting){"a", "root=PARTLABEL=a rauc", &group_a, places_a, 1, NULL};
	two[1] = (struct slot_setting){"b", "root=PARTLABEL=b", &group_b, places_b, 2, NULL};
	cfg = (struct settings){.slots = two, .slot_count = 2};
	make("/proc/cmdline", "console=ttyS0 quiet\n");
	make("/proc/self/mountinfo", "1 0 0:1 / / rw - rootfs rootfs rw\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sys_set_root(NULL);
	env = bootenv_close(env);
	return envkit_remove_tree(root);
}

static void set_env(const char *name, const char *value)
{
	struct envset set = {0};
	struct err e = {0};

	assert_int_equal(envset_put(&set, name, value, &e), 0);
	assert_int_equal(bootenv_commit(env, &set, &e), 0);
	envset_clear(&set);
}

static void observe(void)
{
	struct err e = {0};

	if (slots_observe(&s, &cfg, env, &e) < 0)
		fail_msg("%s", e.why);
}

static void make_two_devices(void)
{
	make_device("/dev/sda1", 8, 1);
	make_device("/dev/sda2", 8, 2);
	make("/sys/dev/block/8:1/size", "2048\n");
	make("/sys/dev/block/8:2/size", "2048\n");
}

#define ROOT_IS(dev, source)                                                                       \
	"1 0 0:1 / / rw - rootfs rootfs rw\n"                                                      \
	"22 1 " dev " / / rw,relatime shared:1 - ext4 " source " rw\n"                             \
	"23 22 0:5 / /proc rw - proc proc rw\n"

static void slots_selection_is_that_of_the_target(void **state)
{
	const char *text = NULL;
	struct err e = {0};

	(void)state;
	make_two_devices();
	make("/proc/self/mountinfo", ROOT_IS("8:2", "/dev/root"));
	two[0].select = "stable,a";
	observe();
	assert_int_equal(slots_selection(&s, &text, &e), 0);
	assert_string_equal(text, "stable,a");
	two[0].select = NULL; /* that of the running one is never taken */
	two[1].select = "stable,b";
	assert_true(slots_selection(&s, &text, &e) < 0);
	assert_int_equal(e.code, E_SLOT);
	assert_non_null(strstr(e.why, "'a'"));
	err_clear(&e);
	make("/proc/self/mountinfo", "1 0 0:1 / / rw - rootfs rootfs rw\n");
	observe();
	assert_null(s.target);
	assert_true(slots_selection(&s, &text, &e) < 0);
	assert_non_null(strstr(e.why, "not known"));
}

/* ---- running ---- */

static void slots_running_is_the_one_on_the_root_device(void **state)
{
	(void)state;
	make_two_devices();
	make("/proc/self/mountinfo", ROOT_IS("8:2", "/dev/root"));
	make("/proc/cmdline", "root=PARTLABEL=a rauc\n"); /* counts less */
	observe();
	assert_ptr_equal(s.running, &two[1]);
	assert_ptr_equal(s.target, &two[0]);
}

static void slots_running_is_found_by_the_source_where_the_number_is_anonymous(void **state)
{
	(void)state;
	make_two_devices();
	make("/proc/self/mountinfo", ROOT_IS("0:30", "/dev/sda1"));
	observe();
	assert_ptr_equal(s.running, &two[0]);
	assert_ptr_equal(s.target, &two[1]);
}

/* T2: dm-verity over the slot */
static void t2_slots_running_is_found_below_device_mapper(void **state)
{
	(void)state;
	make_two_devices();
	make("/sys/dev/block/254:0/slaves/dm-1/dev", "254:1\n");
	make("/sys/dev/block/254:1/slaves/sda2/dev", "8:2\n");
	make("/proc/self/mountinfo", ROOT_IS("254:0", "/dev/mapper/vroot"));
	observe();
	assert_ptr_equal(s.running, &two[1]);
}

static void slots_running_is_found_by_words_of_the_command_line(void **state)
{
	(void)state;
	make_two_devices();
	make("/proc/cmdline", "quiet rauc root=PARTLABEL=a\n");
	observe();
	assert_ptr_equal(s.running, &two[0]);
	make("/proc/cmdline", "root=PARTLABEL=b");
	observe();
	assert_ptr_equal(s.running, &two[1]);
	/* whole words, and all of them */
	make("/proc/cmdline", "root=PARTLABEL=a xrauc root=PARTLABEL=bb\n");
	observe();
	assert_null(s.running);
}

static void slots_command_line_of_two_slots_is_an_error(void **state)
{
	struct err e = {0};

	(void)state;
	make_two_devices();
	make("/proc/cmdline", "root=PARTLABEL=a rauc root=PARTLABEL=b\n");
	assert_true(slots_observe(&s, &cfg, env, &e) < 0);
	assert_int_equal(e.code, E_SLOT);
}

static void slots_without_a_known_running_slot_have_no_target(void **state)
{
	const char *path;
	struct err e = {0};

	(void)state;
	make_two_devices();
	set_env("slot", "a");
	observe();
	assert_null(s.running); /* next does not stand for it: these are devices */
	assert_ptr_equal(s.next, &two[0]);
	assert_null(s.target);
	assert_true(slots_place(&s, "rootfs", &path, &e) < 0);
	assert_int_equal(e.code, E_SLOT);
}

/* ---- next ---- */

static void slots_next_is_the_one_whose_variables_are_all_set(void **state)
{
	(void)state;
	make_two_devices();
	make("/proc/self/mountinfo", ROOT_IS("8:1", "/dev/root"));
	observe();
	assert_null(s.next);
	assert_false(slots_pending(&s));
	set_env("slot", "b");
	observe();
	assert_null(s.next);
	set_env("second", "yes");
	observe();
	assert_ptr_equal(s.next, &two[1]);
	assert_ptr_equal(s.target,
			 &two[1]); /* the pending one is written again, never the running one */
	assert_true(slots_pending(&s));
	set_env("slot", "a");
	observe();
	assert_null(s.next); /* an empty value means unset */
	set_env("second", NULL);
	observe();
	assert_ptr_equal(s.next, &two[0]);
	assert_false(slots_pending(&s));
}

/* what the configuration forbids; whoever asks is told that it is not one slot alone */
static void slots_only_means_this_one_and_no_other(void **state)
{
	static const struct node both = {.type = NODE_GROUP, .child = &env_b2, .count = 1};
	struct envset all = {0};
	struct err e = {0};

	(void)state;
	assert_false(slots_only(&cfg, &two[1], &all));
	assert_int_equal(slots_env(&two[1], &all, &e), 0);
	assert_true(slots_only(&cfg, &two[1], &all));
	assert_false(slots_only(&cfg, &two[0], &all));
	two[0].env = &both;
	assert_false(slots_only(&cfg, &two[1], &all));
	envset_clear(&all);
}

/* nothing can be asked which slot boots next: the note of the update says it, until the restart */
static void slots_without_variables_boot_next_what_an_update_noted(void **state)
{
	char state_dir[128], run_dir[128];
	struct err e = {0};

	(void)state;
	make_two_devices();
	make("/proc/self/mountinfo", ROOT_IS("8:1", "/dev/root"));
	make("/proc/sys/kernel/random/boot_id", "11111111-2222\n");
	make("/state/x", "");
	make("/run/x", "");
	snprintf(state_dir, sizeof(state_dir), "%s/state", root);
	snprintf(run_dir, sizeof(run_dir), "%s/run", root);
	cfg.state_dir = state_dir;
	cfg.run_dir = run_dir;
	two[0].env = two[1].env = NULL;
	observe();
	assert_null(s.next);
	assert_int_equal(pending_note(cfg.state_dir, "b", "0123456789abcdef", &e), 0);
	observe();
	assert_ptr_equal(s.next, &two[1]);
	assert_true(slots_pending(&s));
	pending_forget(&cfg, "0000000000000000"); /* of another update */
	observe();
	assert_true(slots_pending(&s));
	make("/proc/sys/kernel/random/boot_id", "33333333-4444\n");
	observe();
	assert_null(s.next);
	assert_false(slots_pending(&s));
	assert_int_equal(pending_note(cfg.state_dir, "b", "0123456789abcdef", &e), 0);
	observe();
	assert_true(slots_pending(&s));
	pending_forget(&cfg, "0123456789abcdef");
	observe();
	assert_false(slots_pending(&s));
	assert_true(pending_note("/nowhere/at/all", "b", "0123456789abcdef", &e) < 0);
	assert_int_equal(e.code, E_STATE_DIR);
	err_clear(&e);
	cfg.state_dir = "/nowhere/at/all"; /* then in run-dir, which a restart empties */
	assert_int_equal(pending_note(run_dir, "b", "0123456789abcdef", &e), 0);
	observe();
	assert_true(slots_pending(&s));
}

static void slots_running_may_be_told_by_a_file(void **state)
{
	char file[128];
	struct err e = {0};

	(void)state;
	make("/dev/sda1", "x");
	make("/dev/sda2", "x");
	make("/dev/sda4", "x");
	make("/running", "a\n");
	snprintf(file, sizeof(file), "%s/running", root);
	cfg.running_slot_file = file;
	set_env("slot", "b");
	set_env("second", "yes");
	observe();
	assert_ptr_equal(s.running, &two[0]);
	assert_ptr_equal(s.next, &two[1]);
	assert_true(slots_pending(&s));
	make("/running", "b\n"); /* as after a reboot */
	observe();
	assert_ptr_equal(s.running, &two[1]);
	assert_ptr_equal(s.target, &two[0]);
	assert_false(slots_pending(&s));
	make("/running", "c\n");
	assert_true(slots_observe(&s, &cfg, env, &e) < 0);
	assert_int_equal(e.code, E_SLOT);
	assert_non_null(strstr(e.why, "slot 'c'"));
	err_clear(&e);
	unlink(file);
	assert_true(slots_observe(&s, &cfg, env, &e) < 0);
	assert_int_equal(e.code, E_SLOT);
}

static void slots_of_plain_files_run_what_boots_next(void **state)
{
	(void)state;
	make("/dev/sda1", "x");
	make("/dev/sda2", "x");
	make("/dev/sda4", "x");
	observe();
	assert_null(s.running);
	assert_ptr_equal(s.target, &two[0]);
	set_env("slot", "a");
	observe();
	assert_ptr_equal(s.running, &two[0]);
	assert_ptr_equal(s.target, &two[1]);
	set_env("slot", "b");
	set_env("second", "yes");
	observe();
	assert_ptr_equal(s.running, &two[1]);
	assert_ptr_equal(s.target, &two[0]);
	assert_false(slots_pending(&s));
}

/* ---- roles and variables ---- */

static void slots_place_gives_roles_of_the_target_only(void **state)
{
	struct err e = {0};
	const char *path = NULL;

	(void)state;
	make_two_devices();
	make("/proc/self/mountinfo", ROOT_IS("8:1", "/dev/root"));
	observe();
	assert_int_equal(slots_place(&s, "kernel", &path, &e), 0);
	assert_string_equal(path, "/dev/sda4");
	assert_true(slots_place(&s, "bott", &path, &e) < 0);
	assert_int_equal(e.code, E_SLOT);
	assert_non_null(strstr(e.why, "rootfs, kernel"));
}

static void slots_without_configuration_have_no_place(void **state)
{
	struct err e = {0};
	const char *path;

	(void)state;
	cfg.slot_count = 0;
	observe();
	assert_true(slots_place(&s, "rootfs", &path, &e) < 0);
	assert_int_equal(e.code, E_SLOT);
}

static void slots_with_one_slot_have_no_target(void **state)
{
	struct err e = {0};
	const char *path;

	(void)state;
	make_two_devices();
	make("/proc/self/mountinfo", ROOT_IS("8:1", "/dev/root"));
	cfg.slot_count = 1;
	observe();
	assert_ptr_equal(s.running, &two[0]);
	assert_true(slots_place(&s, "rootfs", &path, &e) < 0);
	assert_int_equal(e.code, E_SLOT);
}

static void slots_env_lists_what_chooses_a_slot(void **state)
{
	struct envset set = {0};
	struct err e = {0};

	(void)state;
	assert_int_equal(slots_env(&two[1], &set, &e), 0);
	assert_int_equal(set.count, 2);
	assert_string_equal(envset_find(&set, "slot")->value, "b");
	assert_string_equal(envset_find(&set, "second")->value, "yes");
	envset_clear(&set);
	assert_int_equal(slots_env(NULL, &set, &e), 0);
	assert_int_equal(set.count, 0);
}

static void slots_survive_strange_lists_of_the_kernel(void **state)
{
	static const char *const lists[] = {
		"",
		"\n\n",
		"1",
		"1 0 8:1 / /",
		"1 0 x:y / / rw - ext4 /dev/sda1 rw\n",
		" - ",
		" -  - \n",
		"1 0 8:1 / / rw - ext4",
		"1 0 8:1 / \\040\\ rw - ext4 \\0 rw\n",
	};

	(void)state;
	make_two_devices();
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		make("/proc/self/mountinfo", lists[i]);
		make("/proc/swaps", lists[i]);
		observe();
		assert_null(s.running);
	}
}

/* T111 */
static void t111_slots_without_memory_say_so(void **state)
{
	(void)state;
	if (!fail_malloc_works())
		skip();
	make_two_devices();
	make("/proc/self/mountinfo", ROOT_IS("8:1", "/dev/root"));
	set_env("slot", "a");
	for (unsigned n = 1; n < 1000; n++) {
		struct err e = {0};

		fail_malloc_at(n);
		int rc = slots_observe(&s, &cfg, env, &e);
		if (!fail_malloc_off())
			break;
		assert_int_equal(rc < 0, e.code != E_NONE);
		if (rc == 0) {
			assert_ptr_equal(s.running, &two[0]);
			assert_ptr_equal(s.next, &two[0]);
		}
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(slots_running_is_the_one_on_the_root_device),
		T(slots_selection_is_that_of_the_target),
		T(slots_running_is_found_by_the_source_where_the_number_is_anonymous),
		T(t2_slots_running_is_found_below_device_mapper),
		T(slots_running_is_found_by_words_of_the_command_line),
		T(slots_command_line_of_two_slots_is_an_error),
		T(slots_without_a_known_running_slot_have_no_target),
		T(slots_next_is_the_one_whose_variables_are_all_set),
		T(slots_only_means_this_one_and_no_other),
		T(slots_without_variables_boot_next_what_an_update_noted),
		T(slots_running_may_be_told_by_a_file),
		T(slots_of_plain_files_run_what_boots_next),
		T(slots_place_gives_roles_of_the_target_only),
		T(slots_without_configuration_have_no_place),
		T(slots_with_one_slot_have_no_target),
		T(slots_env_lists_what_chooses_a_slot),
		T(slots_survive_strange_lists_of_the_kernel),
		T(t111_slots_without_memory_say_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
