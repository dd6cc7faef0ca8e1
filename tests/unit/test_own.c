/* What the installer depends on is known by what it is, whatever leads there (T17, T40). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/plan/own.h"
#include "tests/unit/kit/envkit.h"

static char dir[64];
static struct settings cfg;
static struct own *own;
static struct err e;
static char closed[512]; /* the paths that nothing may touch, one behind the other */

static const char *in_dir(const char *name)
{
	static char at[8][128];
	static unsigned next;
	char *out = at[next++ % 8];

	snprintf(out, 128, "%s/%s", dir, name);
	return out;
}

static char state_dir[128], key[128];

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test-own-XXXXXX");
	if (!mkdtemp(dir) || mkdir(in_dir("etc"), 0755) < 0 || mkdir(in_dir("var"), 0755) < 0 ||
	    mkdir(in_dir("free"), 0755) < 0)
		return -1;
	strcpy(key, in_dir("etc/key.pem"));
	envkit_write_file(key, "key", 3);
	strcpy(state_dir, in_dir("var/state"));
	cfg = (struct settings){.state_dir = state_dir, .public_key_file = key};
	e = (struct err){0};
	closed[0] = '\0';
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	own_free(own);
	own = NULL;
	umount2(in_dir("bind"), MNT_DETACH);
	umount2(in_dir("key"), MNT_DETACH);
	return envkit_remove_tree(dir);
}

static int note(void *arg, const char *path, struct err *err)
{
	(void)arg;
	(void)err;
	snprintf(closed + strlen(closed), sizeof(closed) - strlen(closed), "%s ", path);
	return 0;
}

static void look(void)
{
	own_free(own);
	assert_int_equal(own_new(&own, &cfg, &e), 0);
}

static void is_protected(const char *folder, const char *name)
{
	int rc = own_check(own, folder, name, note, NULL, &e);

	if (rc >= 0)
		print_message("%s/%s was not found to be ours\n", folder, name);
	assert_true(rc < 0);
	assert_int_equal(e.code, E_TARGET_PROTECTED);
	err_clear(&e);
}

static void is_free(const char *folder, const char *name)
{
	assert_int_equal(own_check(own, folder, name, note, NULL, &e), 0);
}

static bool can_bind(const char *from, const char *to)
{
	if (mount(from, to, NULL, MS_BIND, NULL) == 0)
		return true;
	print_message("SKIP: bind mounts are not possible: %s\n", strerror(errno));
	return false;
}

static void t17_keys_and_state_are_ours_by_their_names(void **state)
{
	(void)state;
	look();
	is_protected(in_dir("etc"), "key.pem");
	is_free(in_dir("etc"), "key.pem.new");
	is_protected(in_dir("var"), "state"); /* also while it is not there */
	is_protected(in_dir("var/state"), "x");
	is_protected(in_dir("var/state/deeper"), "");
	is_free(in_dir("var/state-of-others"), "x");
	is_free(in_dir("free"), "x");
}

static void t17_a_tree_around_them_leaves_them_alone(void **state)
{
	(void)state;
	look();
	is_free(dir, "");
	assert_non_null(strstr(closed, "etc/key.pem "));
	assert_non_null(strstr(closed, "var/state "));
}

static void t17_a_bind_mount_leads_to_the_same_key(void **state)
{
	(void)state;
	assert_int_equal(mkdir(in_dir("bind"), 0755), 0);
	if (!can_bind(in_dir("etc"), in_dir("bind")))
		skip();
	look();
	is_protected(in_dir("bind"), "key.pem");
	is_free(in_dir("bind"), "other");
	is_free(in_dir("bind"), "");
	assert_string_equal(closed, "key.pem ");
	/* what is not there yet, too: the name behind the folder counts */
	assert_int_equal(unlink(key), 0);
	look();
	is_protected(in_dir("bind"), "key.pem");
}

static void t17_a_key_that_is_mounted_over_another_name_is_the_key(void **state)
{
	(void)state;
	envkit_write_file(in_dir("key"), "", 0);
	if (!can_bind(key, in_dir("key")))
		skip();
	look();
	is_protected(dir, "key");
	int fd = open(in_dir("key"), O_RDWR | O_CLOEXEC);
	assert_true(own_check_file(own, fd, &e) < 0);
	assert_int_equal(e.code, E_TARGET_PROTECTED);
	close(fd);
}

/* the folder of the state is missing, and a link leads to where it will be */
static void t40_a_missing_folder_behind_a_link_is_found(void **state)
{
	(void)state;
	assert_int_equal(symlink("var", in_dir("link")), 0);
	assert_int_equal(symlink(state_dir, in_dir("dangling")), 0);
	look();
	is_protected(in_dir("link/state/new"), "x");
	is_protected(in_dir("dangling/new"), "x");
	is_free(in_dir("link/other/new"), "x");
	assert_true(own_is_beneath(in_dir("link/list/new"), in_dir("var/list")));
	assert_false(own_is_beneath(in_dir("link/list/new"), in_dir("free")));
}

/* whoever replaces a link on the way chooses what is read */
static void t17_links_on_the_way_are_ours(void **state)
{
	static char by_link[128];

	(void)state;
	assert_int_equal(symlink("etc", in_dir("conf")), 0);
	assert_int_equal(symlink("key.pem", in_dir("etc/current")), 0);
	strcpy(by_link, in_dir("conf/current"));
	cfg.public_key_file = by_link;
	look();
	is_protected(dir, "conf");
	is_protected(in_dir("etc"), "current");
	is_protected(in_dir("etc"), "key.pem");
}

static void t17_a_second_name_of_the_key_is_the_key(void **state)
{
	(void)state;
	assert_int_equal(link(key, in_dir("free/name")), 0);
	look();
	is_protected(in_dir("free"), "name");
	int fd = open(in_dir("free/name"), O_RDWR | O_CLOEXEC);
	assert_true(own_check_file(own, fd, &e) < 0);
	assert_int_equal(e.code, E_TARGET_PROTECTED);
	close(fd);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(t17_keys_and_state_are_ours_by_their_names),
		T(t17_a_tree_around_them_leaves_them_alone),
		T(t17_a_bind_mount_leads_to_the_same_key),
		T(t17_a_key_that_is_mounted_over_another_name_is_the_key),
		T(t40_a_missing_folder_behind_a_link_is_found),
		T(t17_links_on_the_way_are_ours),
		T(t17_a_second_name_of_the_key_is_the_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
