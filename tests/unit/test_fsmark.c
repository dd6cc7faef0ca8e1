/* Which file system: told the same way again, and told apart from others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "corelib/device/fsmark.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/envkit.h"

static struct fsmark mark_of(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct fsmark m;

	assert_true(fd >= 0);
	assert_int_equal(fsmark_of(fd, &m), 0);
	return m;
}

static void a_folder_and_the_file_in_it_lie_on_one(void **state)
{
	const struct fsmark a = mark_of("/etc"), b = mark_of("/etc/passwd");

	(void)state;
	assert_string_equal(a.point, b.point);
	assert_string_equal(a.id, b.id);
	assert_true(fsmark_same(&a, &b));
}

static void proc_is_another_one_than_the_root(void **state)
{
	const struct fsmark a = mark_of("/"), b = mark_of("/proc");

	(void)state;
	assert_true(!a.point[0] || strcmp(a.point, "/") == 0); /* "" in a chroot */
	assert_string_equal(b.point, "/proc");
	assert_string_equal(b.type, "proc");
	assert_false(fsmark_same(&a, &b));
}

static void need_memory(void)
{
	struct statfs fs;

	if (statfs("/dev/shm", &fs) != 0 || fs.f_type != TMPFS_MAGIC) {
		print_message("SKIP: /dev/shm is no tmpfs here\n");
		skip();
	}
}

/* nothing of it survives a reboot: there is nothing to wait for */
static void memory_is_not_noted(void **state)
{
	(void)state;
	need_memory();
	const struct fsmark m = mark_of("/dev/shm");
	assert_false(fsmark_is_known(&m));
}

static void the_id_decides_where_both_have_one_of_a_kind(void **state)
{
	struct fsmark a = {.point = "/data", .type = "ext4", .id = "uuid:00ff"};
	struct fsmark b = {.point = "/elsewhere", .type = "ext4", .id = "uuid:00ff"};

	(void)state;
	assert_true(fsmark_same(&a, &b));
	strcpy(b.id, "uuid:00fe");
	strcpy(b.point, "/data");
	assert_false(fsmark_same(&a, &b));
	strcpy(b.id, "fsid:00fe"); /* told by another kernel: the mount point is left */
	assert_true(fsmark_same(&a, &b));
	strcpy(b.type, "ext3");
	assert_false(fsmark_same(&a, &b));
}

static void what_was_not_noted_is_like_any_and_what_is_not_known_now_is_not(void **state)
{
	const struct fsmark none = {.point = ""}, data = {.point = "/data", .type = "xfs"};

	(void)state;
	assert_true(fsmark_same(&none, &data));
	assert_false(fsmark_same(&data, &none)); /* an initramfs lies in memory */
}

/* ---- lists that the kernel might show ---- */

struct fake {
	char root[64];
	int fd;
};

static void put(const struct fake *f, const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", f->root, name);
	envkit_write_file(path, text, strlen(text));
}

static void remove_file(const struct fake *f, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", f->root, name);
	assert_int_equal(unlink(path), 0);
}

/* look() tells of this folder, mount 27 */
static void use(struct fake *f, const char *folder)
{
	char info[64];

	if (f->fd >= 0)
		close(f->fd);
	f->fd = open(folder, O_RDONLY | O_CLOEXEC);
	assert_true(f->fd >= 0);
	snprintf(info, sizeof(info), "proc/self/fdinfo/%d", f->fd);
	put(f, info, "pos:\t0\nflags:\t0100000\nmnt_id:\t27\nino:\t3\n");
}

static int setup(void **state)
{
	struct fake *f = calloc(1, sizeof(*f));
	static const char *const folders[] = {"/proc", "/proc/self", "/proc/self/fdinfo"};
	char path[128];

	strcpy(f->root, "/tmp/swinstall-fsmark-XXXXXX");
	assert_non_null(mkdtemp(f->root));
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		snprintf(path, sizeof(path), "%s%s", f->root, folders[i]);
		assert_int_equal(mkdir(path, 0755), 0);
	}
	f->fd = -1;
	use(f, "/proc/self");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fake *f = *state;

	sys_set_root(NULL);
	close(f->fd);
	envkit_remove_tree(f->root);
	free(f);
	return 0;
}

static int look(const struct fake *f, struct fsmark *m)
{
	int rc;

	sys_set_root(f->root);
	rc = fsmark_of(f->fd, m);
	sys_set_root(NULL);
	return rc;
}

static void the_line_of_the_mount_is_found_by_its_number(void **state)
{
	const struct fake *f = *state;
	struct fsmark m;

	put(f, "proc/self/mountinfo",
	    "2 1 8:2 / / rw - ext4 /dev/root rw\n"
	    "270 2 8:3 / /no rw - ext4 /dev/sda3 rw\n"
	    "27 2 8:4 /sub /a\\040place rw,noatime shared:2 - f2fs /dev/sda4 rw,x=y - z\n");
	assert_int_equal(look(f, &m), 0);
	assert_string_equal(m.point, "/a\\040place");
	assert_string_equal(m.type, "f2fs");
}

static void a_list_that_is_cut_short_or_not_there_is_an_error(void **state)
{
	static const char *const bad[] = {"27 2 8:4 / /data rw", "27 2 - ext4"};
	const struct fake *f = *state;
	struct fsmark m;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		put(f, "proc/self/mountinfo", bad[i]);
		assert_true(look(f, &m) < 0);
		assert_false(fsmark_is_known(&m));
	}
	put(f, "proc/self/mountinfo", "");
	remove_file(f, "proc/self/mountinfo");
	assert_int_equal(look(f, &m), -ENOENT);
}

/* in a chroot that is no mount point the list has no line for its own root */
static void what_is_mounted_above_our_root_is_told_by_its_id_alone(void **state)
{
	struct fake *f = *state;
	struct fsmark m;

	put(f, "proc/self/mountinfo", "26 2 8:4 / /proc rw - proc proc rw\n");
	assert_int_equal(look(f, &m), 0);
	assert_string_equal(m.point, "");
	assert_string_equal(m.type, "");
	assert_string_equal(m.id, ""); /* of /proc, which has none */
	use(f, "/etc");
	const struct fsmark listed = mark_of("/etc");
	assert_int_equal(look(f, &m), 0);
	assert_string_equal(m.point, "");
	assert_string_equal(m.id, listed.id);
	if (listed.id[0])
		assert_true(fsmark_same(&m, &listed));
}

static void memory_above_our_root_is_not_noted_either(void **state)
{
	struct fake *f = *state;
	struct fsmark m;

	need_memory();
	use(f, "/dev/shm");
	put(f, "proc/self/mountinfo", "26 2 8:4 / /proc rw - proc proc rw\n");
	assert_int_equal(look(f, &m), 0);
	assert_false(fsmark_is_known(&m));
}

static void a_mount_point_that_is_too_long_is_left_out(void **state)
{
	const struct fake *f = *state;
	char line[700] = "27 2 8:4 / /";
	struct fsmark m;

	memset(line + strlen(line), 'x', 600);
	strcat(line, " rw - vfat /dev/sda4 rw\n");
	put(f, "proc/self/mountinfo", line);
	assert_int_equal(look(f, &m), 0);
	assert_string_equal(m.point, "");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_folder_and_the_file_in_it_lie_on_one),
		cmocka_unit_test(proc_is_another_one_than_the_root),
		cmocka_unit_test(memory_is_not_noted),
		cmocka_unit_test(the_id_decides_where_both_have_one_of_a_kind),
		cmocka_unit_test(what_was_not_noted_is_like_any_and_what_is_not_known_now_is_not),
		T(the_line_of_the_mount_is_found_by_its_number),
		T(a_list_that_is_cut_short_or_not_there_is_an_error),
		T(what_is_mounted_above_our_root_is_told_by_its_id_alone),
		T(memory_above_our_root_is_not_noted_either),
		T(a_mount_point_that_is_too_long_is_left_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
