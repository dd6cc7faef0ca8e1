/* File systems that /etc/fstab promises and that are not mounted: lists made by the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/state/awaited.h"
#include "corelib/base/sys.h"
#include "kit/envkit.h"

static char dir[64], root[80];

static void put(const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s%s", root, name);
	envkit_write_file(path, text, strlen(text));
}

static int setup(void **state)
{
	static const char *const folders[] = {"", "/etc", "/proc", "/proc/self"};
	char path[128];

	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test-awaited-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(root, sizeof(root), "%s/root", dir);
	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s%s", root, folders[i]);
		if (mkdir(path, 0755) < 0)
			return -1;
	}
	put("/proc/self/mountinfo", "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
				    "2 1 8:2 / /srv rw - ext4 /dev/sda2 rw\n"
				    "3 1 8:3 / /my\\040data rw - ext4 /dev/sda3 rw\n");
	sys_set_root(root);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sys_set_root(NULL);
	return envkit_remove_tree(dir);
}

static enum errcode judge(const char *path)
{
	struct err e = {0};
	int rc = awaited_check(path, &e);

	assert_int_equal(rc < 0, e.code != E_NONE);
	if (rc < 0)
		assert_non_null(strstr(e.why, path));
	return e.code;
}

static void awaited_is_nothing_without_a_list(void **state)
{
	(void)state;
	assert_int_equal(judge("/nowhere/swinstall"), E_NONE);
}

static void awaited_is_what_the_list_has_and_nobody_mounted(void **state)
{
	(void)state;
	put("/etc/fstab", "# a comment\n"
			  "/dev/sda1 / ext4 defaults 0 1\n"
			  "/dev/sda2 /srv ext4 defaults 0 2\n"
			  "/dev/sda3 /my\\040data/ ext4 defaults 0 2\n"
			  "/dev/sda4 none swap sw 0 0\n"
			  "/dev/sda5 /nowhere/ ext4 defaults 0 2\n");
	assert_int_equal(judge("/srv/swinstall"), E_NONE);
	assert_int_equal(judge("/my data/swinstall"), E_NONE);
	assert_int_equal(judge("/other/swinstall"), E_NONE);
	assert_int_equal(judge("/nowhere/lib/swinstall"), E_NOT_MOUNTED);
	assert_int_equal(judge("/nowhere"), E_NOT_MOUNTED);
	assert_int_equal(judge("/nowhere2/swinstall"), E_NONE);
}

static void awaited_is_not_what_may_be_missing(void **state)
{
	(void)state;
	put("/etc/fstab", "/dev/sda5 /nowhere ext4 noauto 0 2\n"
			  "/dev/sda6 /neither ext4 rw,nofail,noatime 0 2\n");
	assert_int_equal(judge("/nowhere/swinstall"), E_NONE);
	assert_int_equal(judge("/neither/swinstall"), E_NONE);
}

static void awaited_the_nearest_mount_point_counts(void **state)
{
	(void)state;
	put("/etc/fstab", "/dev/sda5 /srv/deep ext4 defaults 0 2\n"
			  "/dev/sda2 /srv ext4 defaults 0 2\n");
	assert_int_equal(judge("/srv/deep/swinstall"), E_NOT_MOUNTED);
	assert_int_equal(judge("/srv/deeper"), E_NONE);
	put("/etc/fstab", "/dev/sda5 / ext4 defaults 0 2\n/dev/sda2 /srv ext4 defaults 0 2\n");
	put("/proc/self/mountinfo", "2 1 8:2 / /srv rw - ext4 /dev/sda2 rw\n");
	assert_int_equal(judge("/srv/swinstall"), E_NONE);
}

static void awaited_follows_the_links_of_the_path(void **state)
{
	char target[96], link[96], line[160];
	struct err e = {0};

	(void)state;
	snprintf(target, sizeof(target), "%s/data", dir);
	snprintf(link, sizeof(link), "%s/link", dir);
	assert_int_equal(mkdir(target, 0700), 0);
	assert_int_equal(symlink(target, link), 0);
	snprintf(line, sizeof(line), "/dev/sda5 %s ext4 defaults 0 2\n", target);
	put("/etc/fstab", line);
	assert_true(awaited_check(link, &e) < 0);
	assert_int_equal(e.code, E_NOT_MOUNTED);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(awaited_is_nothing_without_a_list),
		T(awaited_is_what_the_list_has_and_nobody_mounted),
		T(awaited_is_not_what_may_be_missing),
		T(awaited_the_nearest_mount_point_counts),
		T(awaited_follows_the_links_of_the_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
