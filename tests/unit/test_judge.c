/*
 * Live or not (T2, DESIGN 5): loop devices and files of this machine, with lists of /proc and /sys
 * made by the test where the machine must not be touched.
 */
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
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/plan/inuse.h"
#include "core/plan/judge.h"
#include "corelib/base/sys.h"
#include "kit/envkit.h"
#include "tests/unit/kit/fail_malloc.h"
#include "tests/unit/kit/loopdev.h"

#define MIB (1024 * 1024)

static char dir[64], image[96], other[96], root[96];
static struct slot_place place_a, place_b;
static struct slot_setting two[2];
static struct settings cfg;
static struct slots s;
static struct loopdev loop;

static const char *in_dir(char *out, const char *name)
{
	snprintf(out, 96, "%s/%s", dir, name);
	return out;
}

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test-place-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	in_dir(image, "image");
	in_dir(other, "other");
	in_dir(root, "root");
	envkit_write_file(image, "", 0);
	envkit_write_file(other, "data", 4);
	if (truncate(image, 8 * MIB) < 0)
		return -1;
	loop = (struct loopdev){.fd = -1};
	cfg = (struct settings){.slots = two};
	s = (struct slots){.cfg = &cfg};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sys_set_root(NULL);
	if (loop.fd >= 0)
		loopdev_detach(&loop);
	return envkit_remove_tree(dir);
}

static void need_loop(bool partition)
{
	const char *why = loopdev_attach(&loop, image, 512, false);

	if (!why && partition)
		why = loopdev_partition(&loop, MIB, 2 * MIB);
	if (why) {
		print_message("SKIP: %s\n", why);
		skip();
	}
}

static void use_slots(const char *a, const char *b, const struct slot_setting *running)
{
	place_a = (struct slot_place){"rootfs", a};
	place_b = (struct slot_place){"rootfs", b};
	two[0] = (struct slot_setting){"a", NULL, NULL, &place_a, 1, NULL};
	two[1] = (struct slot_setting){"b", NULL, NULL, &place_b, 1, NULL};
	cfg.slot_count = 2;
	s.running = running;
	s.target = running == &two[0] ? &two[1] : running ? &two[0] : NULL;
}

/* 'i' idle, 'l' live, or the code of the refusal */
static int judge_env(const char *path, uint64_t off, uint64_t len, struct bootenv *env)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const struct range r = {.fd = fd, .path = path, .off = off, .len = len};
	struct judge *j = NULL;
	struct err e = {0};
	bool live = true;

	assert_true(fd >= 0);
	int rc = judge_new(&j, &s, env, &e);
	if (rc == 0)
		rc = judge_range(j, &r, &live, &e);
	judge_free(j);
	close(fd);
	assert_int_equal(rc < 0, e.code != E_NONE);
	if (rc < 0) {
		if (j)
			assert_non_null(strstr(e.where, path));
		return (int)e.code;
	}
	return live ? 'l' : 'i';
}

static int judge(const char *path, uint64_t off, uint64_t len)
{
	return judge_env(path, off, len, NULL);
}

/* ---- files ---- */

static void place_file_of_the_running_slot_is_active(void **state)
{
	(void)state;
	use_slots(image, other, &two[0]);
	assert_int_equal(judge(image, 0, 10), E_TARGET_ACTIVE);
	assert_int_equal(judge(other, 0, 0), 'i');
}

static void place_file_of_a_slot_is_refused_while_nobody_knows_what_runs(void **state)
{
	(void)state;
	use_slots(image, other, NULL);
	assert_int_equal(judge(image, 0, 10), E_SLOT);
	s.target = &two[0]; /* plain files that were never booted */
	assert_int_equal(judge(image, 0, 10), 'i');
}

/* L1: nobody knows who reads such a file just now */
static void place_file_of_no_slot_is_live_unless_listed(void **state)
{
	const char *listed[] = {other};

	(void)state;
	assert_int_equal(judge(other, 0, 0), 'l');
	cfg.targets = (struct strings){listed, 1};
	assert_int_equal(judge(other, 0, 0), 'i');
	assert_int_equal(judge(image, 0, 0), 'l');
}

/* T17, T40 */
static void t40_place_of_the_installer_itself_is_protected(void **state)
{
	char key[96], state_dir[96], journal[128], second[96];

	(void)state;
	envkit_write_file(in_dir(key, "key.pem"), "k", 1);
	mkdir(in_dir(state_dir, "state"), 0700);
	snprintf(journal, sizeof(journal), "%s/journal", state_dir);
	envkit_write_file(journal, "j", 1);
	assert_int_equal(link(key, in_dir(second, "second")), 0);
	cfg.public_key_file = key;
	cfg.state_dir = state_dir;
	cfg.file = other;
	assert_int_equal(judge(key, 0, 0), E_TARGET_PROTECTED);
	assert_int_equal(judge(second, 0, 0), E_TARGET_PROTECTED);
	assert_int_equal(judge(journal, 0, 0), E_TARGET_PROTECTED);
	assert_int_equal(judge(other, 0, 0), E_TARGET_PROTECTED);
	assert_int_equal(judge(image, 0, 0), 'l');
}

static void place_of_the_boot_environment_is_live(void **state)
{
	struct bootenv_options o = {.kind = "file", .path = other};
	struct bootenv *env = NULL;
	struct err e = {0};

	(void)state;
	envkit_write_file(other, "a=1\n", 4);
	use_slots(image, other, &two[0]);
	assert_int_equal(bootenv_open(&env, &o, &e), 0);
	assert_int_equal(judge_env(other, 0, 0, env), 'l');
	bootenv_close(env);
}

/* ---- loop devices ---- */

static void place_idle_loop_device_is_idle(void **state)
{
	(void)state;
	need_loop(false);
	assert_int_equal(judge(loop.path, 0, 0), 'i');
	assert_int_equal(judge(image, 0, 0), 'l'); /* the file behind it is nobody's slot */
}

static void place_loop_device_over_the_running_slot_is_active(void **state)
{
	(void)state;
	need_loop(false);
	use_slots(image, other, &two[0]);
	assert_int_equal(judge(loop.path, 0, 0), E_TARGET_ACTIVE);
	use_slots(other, loop.path, &two[0]);
	assert_int_equal(judge(image, 0, 0), 'i'); /* the target slot's own file */
}

static void t2_place_held_by_another_program_is_active(void **state)
{
	(void)state;
	need_loop(false);
	int held = open(loop.path, O_RDONLY | O_EXCL | O_CLOEXEC);
	assert_true(held >= 0);
	assert_int_equal(judge(loop.path, 0, 0), E_TARGET_ACTIVE);
	assert_int_equal(judge(image, 0, 0), E_TARGET_ACTIVE);
	close(held);
	assert_int_equal(judge(loop.path, 0, 0), 'i');
}

/* a second loop device shows the bytes of the first one, and nothing of it is mounted itself */
static void t40_place_behind_a_second_loop_device_is_what_the_first_one_is(void **state)
{
	struct loopdev second;

	(void)state;
	need_loop(false);
	assert_null(loopdev_attach(&second, image, 512, false));
	int idle = judge(second.path, 0, 0);
	int held = open(loop.path, O_RDONLY | O_EXCL | O_CLOEXEC);
	int used = judge(second.path, 0, 0);
	close(held);
	loopdev_detach(&second);
	assert_int_equal(idle, 'i');
	assert_int_equal(used, E_TARGET_ACTIVE);
}

static void t40_place_on_a_loop_device_over_a_device_in_use_is_active(void **state)
{
	struct loopdev second;

	(void)state;
	need_loop(false);
	assert_null(loopdev_attach(&second, loop.path, 512, false));
	int idle = judge(second.path, 0, 0);
	int held = open(loop.path, O_RDONLY | O_EXCL | O_CLOEXEC);
	int used = judge(second.path, 0, 0);
	close(held);
	loopdev_detach(&second);
	assert_int_equal(idle, 'i');
	assert_int_equal(used, E_TARGET_ACTIVE);
}

/* the name that sysfs shows says "(deleted)" and leads nowhere: the kernel knows the inode */
static void t2_place_behind_a_loop_device_is_found_when_its_name_is_gone(void **state)
{
	char second[96];

	(void)state;
	assert_int_equal(link(image, in_dir(second, "second name")), 0);
	need_loop(false);
	assert_int_equal(unlink(image), 0);
	int held = open(loop.path, O_RDONLY | O_EXCL | O_CLOEXEC);
	assert_true(held >= 0);
	assert_int_equal(judge(second, 0, 0), E_TARGET_ACTIVE);
	close(held);
	assert_int_equal(judge(second, 0, 0), 'l');
}

/* a loop device over a partition of the running slot shows the running slot */
static void t40_place_on_a_loop_device_over_the_running_slot_is_active(void **state)
{
	struct loopdev over;

	(void)state;
	need_loop(true);
	use_slots(loop.part, other, &two[0]);
	assert_null(loopdev_attach(&over, loop.part, 512, false));
	int shown = judge(over.path, 0, 0);
	loopdev_detach(&over);
	assert_int_equal(shown, E_TARGET_ACTIVE);
}

static void t2_place_that_is_mounted_is_active_also_as_inactive_slot(void **state)
{
	char point[96], out[256];

	(void)state;
	need_loop(false);
	if (!envkit_has("mkfs.ext2") ||
	    envkit_run((const char *[]){"mkfs.ext2", "-q", "-F", loop.path, NULL}, out, 256) != 0) {
		print_message("SKIP: no mkfs.ext2\n");
		skip();
	}
	mkdir(in_dir(point, "mount point"), 0700);
	if (mount(loop.path, point, "ext2", 0, NULL) < 0) {
		print_message("SKIP: file systems cannot be mounted here\n");
		skip();
	}
	use_slots(other, loop.path, &two[0]);
	int device = judge(loop.path, 0, 0), file = judge(image, 0, 0);
	umount(point);
	assert_int_equal(device, E_TARGET_ACTIVE);
	assert_int_equal(file, E_TARGET_ACTIVE);
	assert_int_equal(judge(loop.path, 0, 0), 'i');
}

static void place_partition_is_idle_and_the_rest_of_its_disk_is_live(void **state)
{
	(void)state;
	need_loop(true);
	assert_int_equal(judge(loop.part, 0, 0), 'i');
	assert_int_equal(judge(loop.path, 0, 0), 'l');
	assert_int_equal(judge(loop.path, 0, MIB), 'l');       /* where boot loaders live */
	assert_int_equal(judge(loop.path, MIB, 2 * MIB), 'i'); /* exactly the partition */
	assert_int_equal(judge(loop.path, MIB, 2 * MIB + 1), 'l');
	assert_int_equal(judge(loop.path, MIB - 1, 10), 'l');
	assert_int_equal(judge(loop.path, 3 * MIB, MIB), 'l');
}

static void t40_place_range_that_touches_a_partition_in_use_is_active(void **state)
{
	(void)state;
	need_loop(true);
	int held = open(loop.part, O_RDONLY | O_EXCL | O_CLOEXEC);
	assert_true(held >= 0);
	assert_int_equal(judge(loop.part, 0, 0), E_TARGET_ACTIVE);
	assert_int_equal(judge(loop.path, 0, 0), E_TARGET_ACTIVE);
	assert_int_equal(judge(loop.path, 3 * MIB - 1, 1), E_TARGET_ACTIVE);
	assert_int_equal(judge(loop.path, 0, MIB), 'l');
	assert_int_equal(judge(loop.path, 3 * MIB, MIB), 'l');
	close(held);
}

static void place_of_the_running_slot_is_found_through_the_whole_disk(void **state)
{
	(void)state;
	need_loop(true);
	use_slots(loop.part, other, &two[0]);
	assert_int_equal(judge(loop.path, 2 * MIB, 10), E_TARGET_ACTIVE);
	assert_int_equal(judge(loop.path, 0, 0), E_TARGET_ACTIVE);
	use_slots(other, loop.part, &two[0]);
	assert_int_equal(judge(loop.path, 2 * MIB, 10), 'i');
	assert_int_equal(judge(loop.path, 0, 0), 'l');
}

/* ---- lists of the kernel, made by the test around a real device ---- */

static void put(const char *path, const char *text)
{
	char full[256], at[256];

	snprintf(full, sizeof(full), "%s%s", root, path);
	mkdir(root, 0755);
	snprintf(at, sizeof(at), "%s", full);
	for (char *p = at + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(at, 0755);
		*p = '/';
	}
	envkit_write_file(full, text, strlen(text));
}

/* "/sys/dev/block/7:0/NAME" of the loop device */
static void put_sys(const char *name, const char *text)
{
	char path[256];
	struct stat st;

	assert_int_equal(fstat(loop.fd, &st), 0);
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", major(st.st_rdev),
		 minor(st.st_rdev), name);
	put(path, text);
}

static void need_fake(void)
{
	need_loop(false);
	put("/proc/self/mountinfo", "1 0 0:1 / / rw - rootfs rootfs rw\n");
	put_sys("size", "16384\n");
	sys_set_root(root);
}

static void place_emmc_boot_partition_is_live(void **state)
{
	(void)state;
	need_fake();
	put_sys("uevent", "MAJOR=7\nMINOR=0\nDEVNAME=mmcblk0boot1\nDEVTYPE=disk\n");
	assert_int_equal(judge(loop.path, 0, 0), 'l');
	put_sys("uevent", "MAJOR=7\nMINOR=0\nDEVNAME=mmcblk0boot\nDEVTYPE=disk\n");
	assert_int_equal(judge(loop.path, 0, 0), 'i');
	put_sys("uevent", "MAJOR=7\nMINOR=0\nDEVNAME=mmcblk0boot1p\nDEVTYPE=disk\n");
	assert_int_equal(judge(loop.path, 0, 0), 'i');
}

static void place_disk_of_hardware_without_partitions_is_live(void **state)
{
	(void)state;
	need_fake();
	assert_int_equal(judge(loop.path, 0, 0), 'i');
	put_sys("device/uevent", "DRIVER=mmcblk\n");
	assert_int_equal(judge(loop.path, 0, 0), 'l');
}

static void t2_place_with_holders_is_active(void **state)
{
	(void)state;
	need_fake();
	put_sys("holders/dm-0/dev", "254:0\n");
	assert_int_equal(judge(loop.path, 0, 0), E_TARGET_ACTIVE);
}

static void t2_place_that_is_the_root_device_is_active(void **state)
{
	char line[128];
	struct stat st;

	(void)state;
	need_fake();
	assert_int_equal(fstat(loop.fd, &st), 0);
	put("/sys/dev/block/254:0/slaves/x/dev", "999:1\n");
	snprintf(line, sizeof(line), "%u:%u\n", major(st.st_rdev), minor(st.st_rdev));
	put("/sys/dev/block/254:0/slaves/loop/dev", line);
	put("/proc/self/mountinfo", "1 0 254:0 / / rw - ext4 /dev/mapper/root rw\n");
	assert_int_equal(judge(loop.path, 0, 0), E_TARGET_ACTIVE);
	put("/proc/self/mountinfo", "1 0 253:0 / / rw - ext4 /dev/mapper/root rw\n");
	assert_int_equal(judge(loop.path, 0, 0), 'i');
}

static void t2_place_used_as_swap_is_active(void **state)
{
	char text[256], fake[160];
	struct stat st;

	(void)state;
	need_fake();
	assert_int_equal(fstat(loop.fd, &st), 0);
	put("/dev/my swap", "");
	snprintf(fake, sizeof(fake), "%s/dev/my swap", root);
	unlink(fake);
	if (mknod(fake, S_IFBLK | 0600, st.st_rdev) < 0) {
		print_message("SKIP: device nodes cannot be made here\n");
		skip();
	}
	snprintf(text, sizeof(text),
		 "Filename\tType\tSize\tUsed\tPriority\n"
		 "/dev/my\\040swap partition\t8188\t0\t-2\n");
	put("/proc/swaps", text);
	assert_int_equal(judge(loop.path, 0, 0), E_TARGET_ACTIVE);
}

static void t2_place_swap_file_is_active(void **state)
{
	char full[160];

	(void)state;
	put("/proc/self/mountinfo", "");
	put("/swapfile", "s");
	put("/proc/swaps", "Filename\tType\n/swapfile file 1 0 -2\n");
	sys_set_root(root);
	snprintf(full, sizeof(full), "%s/swapfile", root);
	assert_int_equal(judge(full, 0, 0), E_TARGET_ACTIVE);
}

/* erofs mounts a plain file, and no loop device tells of it */
static void t2_place_of_a_mounted_file_is_active(void **state)
{
	char full[160], beside[160];

	(void)state;
	put("/proc/self/mountinfo", "2 1 0:50 / /app ro - erofs /my\\040images/app.erofs ro\n");
	put("/my images/app.erofs", "e");
	put("/my images/beside", "e");
	sys_set_root(root);
	snprintf(full, sizeof(full), "%s/my images/app.erofs", root);
	snprintf(beside, sizeof(beside), "%s/my images/beside", root);
	assert_int_equal(judge(full, 0, 0), E_TARGET_ACTIVE);
	assert_int_equal(judge(beside, 0, 0), 'l');
	put("/proc/self/mountinfo", "");
	assert_int_equal(judge(full, 0, 0), 'l');
}

/* ---- flash: nothing holds a character device, so lists and sysfs tell ---- */

static bool flash_in_use(dev_t dev, const char *mounts, char *why, size_t n)
{
	struct inuse u;
	struct err e = {0};

	put("/proc/self/mountinfo", mounts);
	assert_int_equal(inuse_read(&u, &e), 0);
	bool used = inuse_flash(&u, dev, why, n);
	inuse_clear(&u);
	return used;
}

static void t2_flash_that_is_mounted_or_attached_is_active(void **state)
{
	const dev_t mtd = makedev(90, 4), vol = makedev(250, 2);
	static const char *const by_mtd[] = {"mtd2", "/dev/mtdblock2", "mtd:data", "mtd!data"};
	static const char *const by_vol[] = {"ubi0_1", "ubi0:rootfs", "ubi0!rootfs", "ubi:rootfs",
					     "ubi1",   "/dev/ubi0_1", "ubi!rootfs"};
	char line[128], why[192];

	(void)state;
	sys_set_root(root);
	put("/sys/class/mtd/mtd2/name", "data\n");
	put("/sys/dev/char/250:2/uevent", "MAJOR=250\nMINOR=2\nDEVNAME=ubi0_1\n");
	put("/sys/dev/char/250:2/name", "rootfs\n");
	put("/sys/class/ubi/ubi0/mtd_num", "7\n");
	assert_false(flash_in_use(mtd, "", why, sizeof(why)));
	assert_false(flash_in_use(vol, "", why, sizeof(why)));
	for (size_t i = 0; i < 4; i++) {
		snprintf(line, sizeof(line), "2 1 0:50 / /data rw - jffs2 %s rw\n", by_mtd[i]);
		assert_true(flash_in_use(mtd, line, why, sizeof(why)));
		assert_string_equal(why, "is mounted on /data");
		assert_false(flash_in_use(makedev(90, 6), line, why, sizeof(why)));
	}
	assert_true(flash_in_use(mtd, "2 1 31:2 / /data rw - jffs2 x rw\n", why, sizeof(why)));
	for (size_t i = 0; i < 7; i++) {
		snprintf(line, sizeof(line), "2 1 0:50 / /r rw - ubifs %s rw\n", by_vol[i]);
		assert_true(flash_in_use(vol, line, why, sizeof(why)));
	}
	assert_false(flash_in_use(vol, "2 1 0:5 / /r rw - ubifs ubi1:rootfs rw\n", why, 99));
	/* attached: what lies in it is UBI's */
	assert_true(flash_in_use(makedev(90, 14), "", why, sizeof(why)));
	assert_string_equal(why, "is attached as ubi0");
}

/* an installer that was killed may leave "/proc/self/fd/4": that was its own descriptor */
static void place_is_not_taken_for_what_another_process_mounted_by_descriptor(void **state)
{
	char full[160], name[160];

	(void)state;
	put("/image", "i");
	put("/proc/self/fd/x", "");
	snprintf(full, sizeof(full), "%s/image", root);
	snprintf(name, sizeof(name), "%s/proc/self/fd/4", root);
	assert_int_equal(link(full, name), 0);
	put("/proc/self/mountinfo", "2 1 7:9 / /run/mnt rw - ext4 /proc/self/fd/4 rw\n");
	sys_set_root(root);
	assert_int_equal(judge(full, 0, 0), 'l');
}

static void place_that_is_no_storage_is_refused(void **state)
{
	(void)state;
	assert_int_equal(judge(dir, 0, 0), E_TARGET);
}

/* T111: a verdict without memory is the true one or a refusal */
static void t111_place_without_memory_is_never_judged_milder(void **state)
{
	(void)state;
	if (!fail_malloc_works())
		skip();
	need_loop(true);
	use_slots(other, image, &two[0]);
	int held = open(loop.part, O_RDONLY | O_EXCL | O_CLOEXEC);
	for (unsigned n = 1; n < 1000; n++) {
		fail_malloc_at(n);
		int verdict = judge(loop.path, 2 * MIB, 10);
		if (!fail_malloc_off())
			break;
		assert_true(verdict != 'i' && verdict != 'l');
	}
	close(held);
	s.target = &two[1];
	for (unsigned n = 1; n < 1000; n++) {
		fail_malloc_at(n);
		int verdict = judge(other, 0, 0);
		if (!fail_malloc_off())
			break;
		assert_true(verdict != 'i' && verdict != 'l');
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(place_file_of_the_running_slot_is_active),
		T(place_file_of_a_slot_is_refused_while_nobody_knows_what_runs),
		T(place_file_of_no_slot_is_live_unless_listed),
		T(t40_place_of_the_installer_itself_is_protected),
		T(place_of_the_boot_environment_is_live),
		T(place_idle_loop_device_is_idle),
		T(place_loop_device_over_the_running_slot_is_active),
		T(t2_place_held_by_another_program_is_active),
		T(t40_place_behind_a_second_loop_device_is_what_the_first_one_is),
		T(t40_place_on_a_loop_device_over_a_device_in_use_is_active),
		T(t2_place_that_is_mounted_is_active_also_as_inactive_slot),
		T(t2_place_behind_a_loop_device_is_found_when_its_name_is_gone),
		T(t40_place_on_a_loop_device_over_the_running_slot_is_active),
		T(place_partition_is_idle_and_the_rest_of_its_disk_is_live),
		T(t40_place_range_that_touches_a_partition_in_use_is_active),
		T(place_of_the_running_slot_is_found_through_the_whole_disk),
		T(place_emmc_boot_partition_is_live),
		T(place_disk_of_hardware_without_partitions_is_live),
		T(t2_place_with_holders_is_active),
		T(t2_place_that_is_the_root_device_is_active),
		T(t2_place_used_as_swap_is_active),
		T(t2_place_swap_file_is_active),
		T(t2_place_of_a_mounted_file_is_active),
		T(t2_flash_that_is_mounted_or_attached_is_active),
		T(place_is_not_taken_for_what_another_process_mounted_by_descriptor),
		T(place_that_is_no_storage_is_refused),
		T(t111_place_without_memory_is_never_judged_milder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
