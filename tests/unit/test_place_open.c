/* T40: what a target may be and who may say where it lies. */
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
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/session.h"
#include "kit/envkit.h"
#include "tests/unit/kit/loopdev.h"

#define NOBODY 65534

static char dir[64], file[96], link_path[96], inner[96];
static struct slot_place place;
static struct slot_setting one;
static struct settings cfg;
static const struct session s = {.cfg = &cfg};

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test-open-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(file, sizeof(file), "%s/slot", dir);
	snprintf(link_path, sizeof(link_path), "%s/link", dir);
	snprintf(inner, sizeof(inner), "%s/inner", dir);
	envkit_write_file(file, "data", 4);
	chmod(file, 0644);
	cfg = (struct settings){.slots = &one};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return envkit_remove_tree(dir);
}

static enum errcode open_code(const char *path)
{
	struct err e = {0};
	int fd = 77;
	int rc = slots_open_target(&s, path, &fd, &e);

	assert_int_equal(rc < 0, e.code != E_NONE);
	assert_int_equal(rc < 0, fd == -1);
	if (fd >= 0) {
		assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		close(fd);
	}
	return e.code;
}

static void need_root(void)
{
	if (geteuid() != 0) {
		print_message("SKIP: only root can give files to others\n");
		skip();
	}
}

static void t40_open_takes_a_file_that_is_ours(void **state)
{
	(void)state;
	assert_int_equal(open_code(file), E_NONE);
}

static void t40_open_refuses_paths_that_are_not_plain(void **state)
{
	char path[160];

	(void)state;
	assert_int_equal(open_code("slot"), E_TARGET);
	assert_int_equal(open_code(""), E_TARGET);
	assert_int_equal(open_code("/"), E_TARGET);
	assert_int_equal(open_code(dir), E_TARGET);
	assert_int_equal(open_code("/dev/../etc/passwd"), E_TARGET);
	snprintf(path, sizeof(path), "%s/..", file);
	assert_int_equal(open_code(path), E_TARGET);
	snprintf(path, sizeof(path), "%s/nothing", dir);
	assert_int_equal(open_code(path), E_TARGET);
	assert_int_equal(access(path, F_OK), -1); /* and makes nothing */
	snprintf(path, sizeof(path), "%s/./slot", dir);
	assert_int_equal(open_code(path), E_NONE);
	snprintf(path, sizeof(path), "%s/sl..ot", dir);
	envkit_write_file(path, "x", 1);
	assert_int_equal(open_code(path), E_NONE);
}

static void t40_open_refuses_fifo_tty_and_memory_without_waiting(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(link_path, 0600), 0);
	assert_int_equal(open_code(link_path), E_TARGET);
	assert_int_equal(open_code("/dev/tty"), E_TARGET);
	assert_int_equal(open_code("/dev/null"), E_TARGET);
	assert_int_equal(open_code("/dev/zero"), E_TARGET);
	need_root();
	if (mknod(inner, S_IFCHR | 0600, makedev(1, 1)) < 0) {
		print_message("SKIP: device nodes cannot be made here\n");
		skip();
	}
	assert_int_equal(open_code(inner), E_TARGET); /* /dev/mem */
}

static void t40_open_follows_our_links(void **state)
{
	(void)state;
	assert_int_equal(symlink("slot", link_path), 0);
	assert_int_equal(open_code(link_path), E_NONE);
	/* as /dev/disk/by-partlabel/x -> ../../sda1 */
	assert_int_equal(mkdir(inner, 0755), 0);
	unlink(link_path);
	snprintf(link_path, sizeof(link_path), "%s/inner/by-label", dir);
	assert_int_equal(symlink("../slot", link_path), 0);
	assert_int_equal(open_code(link_path), E_NONE);
}

static void t40_open_refuses_a_link_of_nobody(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(symlink(file, link_path), 0);
	assert_int_equal(lchown(link_path, NOBODY, NOBODY), 0);
	assert_int_equal(open_code(link_path), E_TARGET);
}

static void t40_open_refuses_our_link_where_others_can_exchange_it(void **state)
{
	(void)state;
	assert_int_equal(mkdir(inner, 0755), 0);
	snprintf(link_path, sizeof(link_path), "%s/inner/link", dir);
	assert_int_equal(symlink("../slot", link_path), 0);
	assert_int_equal(chmod(inner, 0777), 0);
	assert_int_equal(open_code(link_path), E_TARGET);
	assert_int_equal(chmod(inner, 01777), 0); /* sticky: nobody else can rename it away */
	assert_int_equal(open_code(link_path), E_NONE);
	need_root();
	assert_int_equal(chmod(inner, 0755), 0);
	assert_int_equal(chown(inner, NOBODY, NOBODY), 0);
	assert_int_equal(open_code(link_path), E_TARGET);
}

static void t40_open_refuses_a_linked_folder_of_nobody(void **state)
{
	char path[128];

	(void)state;
	need_root();
	assert_int_equal(symlink(dir, inner), 0);
	assert_int_equal(lchown(inner, NOBODY, NOBODY), 0);
	snprintf(path, sizeof(path), "%s/slot", inner);
	assert_int_equal(open_code(path), E_TARGET);
}

static void t40_open_ends_on_links_in_a_circle(void **state)
{
	(void)state;
	assert_int_equal(symlink("link", link_path), 0);
	assert_int_equal(open_code(link_path), E_TARGET);
}

static void t40_open_refuses_files_of_others(void **state)
{
	(void)state;
	assert_int_equal(chmod(file, 0646), 0);
	assert_int_equal(open_code(file), E_TARGET);
	assert_int_equal(chmod(file, 0664), 0);
	assert_int_equal(open_code(file), E_NONE);
	need_root();
	assert_int_equal(chown(file, NOBODY, NOBODY), 0);
	assert_int_equal(open_code(file), E_TARGET);
}

static void t40_open_takes_a_block_device(void **state)
{
	struct loopdev l = {.fd = -1};
	const char *why = loopdev_attach(&l, file, 512, false);

	(void)state;
	if (why) {
		print_message("SKIP: %s\n", why);
		skip();
	}
	assert_int_equal(symlink(l.path, link_path), 0);
	enum errcode direct = open_code(l.path), linked = open_code(link_path);
	loopdev_detach(&l);
	assert_int_equal(direct, E_NONE);
	assert_int_equal(linked, E_NONE);
}

static void t40_open_keeps_to_the_list_and_the_slots(void **state)
{
	char listed[96], slot[96];
	const char *list[] = {listed};

	(void)state;
	snprintf(listed, sizeof(listed), "%s/listed", dir);
	snprintf(slot, sizeof(slot), "%s/of-a-slot", dir);
	envkit_write_file(listed, "x", 1);
	envkit_write_file(slot, "x", 1);
	cfg.targets = (struct strings){list, 1};
	assert_int_equal(open_code(file), E_TARGET);
	assert_int_equal(open_code(listed), E_NONE);
	assert_int_equal(open_code(slot), E_TARGET);
	place = (struct slot_place){"rootfs", slot};
	one = (struct slot_setting){"a", NULL, NULL, &place, 1, NULL};
	cfg.slot_count = 1;
	assert_int_equal(open_code(slot), E_NONE);
	/* the same file under another name is the same file */
	assert_int_equal(symlink("listed", link_path), 0);
	assert_int_equal(open_code(link_path), E_NONE);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(t40_open_takes_a_file_that_is_ours),
		T(t40_open_refuses_paths_that_are_not_plain),
		T(t40_open_refuses_fifo_tty_and_memory_without_waiting),
		T(t40_open_follows_our_links),
		T(t40_open_refuses_a_link_of_nobody),
		T(t40_open_refuses_our_link_where_others_can_exchange_it),
		T(t40_open_refuses_a_linked_folder_of_nobody),
		T(t40_open_ends_on_links_in_a_circle),
		T(t40_open_refuses_files_of_others),
		T(t40_open_takes_a_block_device),
		T(t40_open_keeps_to_the_list_and_the_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
