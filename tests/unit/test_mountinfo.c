/* The kernel's list of mounts, read whole; and strange ones. */
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

#include "corelib/base/sys.h"
#include "corelib/device/mountinfo.h"
#include "kit/envkit.h"

static char root[64];

static void below(const char *name, char path[128])
{
	snprintf(path, 128, "%s%s", root, name);
}

static int setup(void **state)
{
	char path[128];

	(void)state;
	snprintf(root, sizeof(root), "/tmp/test-mountinfo-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	below("/proc", path);
	mkdir(path, 0755);
	below("/proc/self", path);
	mkdir(path, 0755);
	sys_set_root(root);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sys_set_root(NULL);
	return envkit_remove_tree(root);
}

static struct mountinfo_list list_of(const char *text)
{
	struct mountinfo_list l;
	char path[128];

	below("/proc/self/mountinfo", path);
	envkit_write_file(path, text, strlen(text));
	assert_int_equal(mountinfo_read(&l), 0);
	return l;
}

static void each_line_is_a_mount_in_the_order_of_the_kernel(void **state)
{
	struct mountinfo_list l = list_of(
		"1 1 0:2 / / rw - rootfs rootfs rw\n"
		"270 1 259:65538 /sub /a\\040place\\134x rw,noatime shared:2 master:1 - f2fs "
		"/dev/my\\040disk rw,x=y - z\n"
		"271 1 0:40 / /run/empty rw - tmpfs  rw\n"); /* mounted without a source */

	(void)state;
	assert_int_equal(l.count, 3);
	assert_int_equal(l.unread, 0);
	assert_int_equal(l.at[1].id, 270);
	assert_true(l.at[1].dev == makedev(259, 65538));
	assert_string_equal(l.at[1].point, "/a place\\x");
	assert_string_equal(l.at[1].point_text, "/a\\040place\\134x");
	assert_string_equal(l.at[1].source, "/dev/my disk");
	assert_string_equal(l.at[1].type, "f2fs");
	assert_string_equal(l.at[2].source, "");
	mountinfo_clear(&l);
}

static void lines_that_no_kernel_writes_are_counted_and_left_out(void **state)
{
	static const char *const bad[] = {
		"1",
		"1 0 8:1 / /",
		"1 0 8:1 / / rw",
		"1 0 - ext4 /dev/sda1 rw",
		"1 0 x:y / / rw - ext4 /dev/sda1 rw",
		" - ",
		" -  - ",
		"1 0 8:1 / / rw - ext4",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char text[256];

		snprintf(text, sizeof(text), "%s\n\n2 1 8:2 / /b rw - ext4 /dev/b rw\n", bad[i]);
		struct mountinfo_list l = list_of(text);
		assert_int_equal(l.count, 1);
		assert_int_equal(l.unread, 1);
		assert_string_equal(l.at[0].point, "/b");
		mountinfo_clear(&l);
	}
}

static void a_list_that_is_not_there_is_an_error(void **state)
{
	struct mountinfo_list l;

	(void)state;
	assert_int_equal(mountinfo_read(&l), -ENOENT);
	assert_null(l.at);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(each_line_is_a_mount_in_the_order_of_the_kernel),
		T(lines_that_no_kernel_writes_are_counted_and_left_out),
		T(a_list_that_is_not_there_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
