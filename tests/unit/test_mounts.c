/* Mounts of our own: never in the tree, never left behind. */
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
#include <sys/utsname.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "corelib/device/mounts.h"
#include "corelib/files/staged.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/envkit.h"
#include "tests/unit/kit/loopdev.h"

#define TXN "00112233445566ff"

/* another installer's sweep of the same folder, before or behind each mount that is still counted
 */
static struct {
	const char *folder;
	unsigned before, behind;
} sweeper;

static char foreign[256]; /* what was left alone last */

static void note_foreign(void *arg, const char *path)
{
	(void)arg;
	snprintf(foreign, sizeof(foreign), "%s", path);
}

static void sweep_now(unsigned *left)
{
	struct err e = {0};

	if (*left == 0)
		return;
	if (--*left % 2 == 0 && left == &sweeper.behind)
		return;
	assert_int_equal(mounts_sweep(sweeper.folder, note_foreign, NULL, &e), 0);
}

int mount(const char *source, const char *point, const char *type, unsigned long flags,
	  const void *data)
{
	int rc;

	sweep_now(&sweeper.before);
	rc = (int)syscall(SYS_mount, source, point, type, flags, data);
	if (rc == 0 && sweeper.behind % 2) /* half of a sweep: the folder is still there */
		assert_int_equal(umount2(point, MNT_DETACH), 0);
	if (rc == 0)
		sweep_now(&sweeper.behind);
	return rc;
}

struct bench {
	char dir[64], image[96];
	struct loopdev loop;
	struct mounts *m;
	struct err e;
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	b->loop.fd = -1;
	strcpy(b->dir, "/tmp/swinstall-mounts-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->image, sizeof(b->image), "%s/image", b->dir);
	assert_int_equal(mounts_new(&b->m, b->dir, &b->e), 0);
	*state = b;
	return 0;
}

static bool is_mounted(const char *what)
{
	AUTO_FREE char *text = NULL;

	assert_int_equal(sys_read_file(AT_FDCWD, "/proc/self/mounts", 1 << 20, &text, NULL), 0);
	return strstr(text, what) != NULL;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	mounts_free(b->m);
	assert_false(is_mounted(b->dir)); /* whatever happened */
	if (b->loop.fd >= 0)
		loopdev_detach(&b->loop);
	unlink(b->image);
	assert_int_equal(rmdir(b->dir), 0); /* and no folder */
	free(b);
	return 0;
}

static void skip_for(const char *why)
{
	print_message("SKIP: %s\n", why);
	skip();
}

/* ext2 on a loop device, known to b->m */
static struct mount *make_device(struct bench *b, const char *type)
{
	const char *mkfs[] = {"/sbin/mkfs.ext2", "-q", "-F", b->image, NULL};
	char out[256];
	const char *why;
	struct mount *m;
	int fd;

	if (geteuid() != 0)
		skip_for("only root mounts");
	fd = open(b->image, O_RDWR | O_CREAT, 0600);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	close(fd);
	if (access(mkfs[0], X_OK) != 0 || envkit_run(mkfs, out, sizeof(out)) != 0)
		skip_for("no mkfs.ext2");
	why = loopdev_attach(&b->loop, b->image, 512, false);
	if (why)
		skip_for(why);
	fd = open(b->loop.path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(mounts_add(b->m, &m, &fd, b->loop.path, type, &b->e), 0);
	assert_int_equal(fd, -1);
	return m;
}

static int open_or_skip(struct bench *b, struct mount *m)
{
	int root = mount_open(m, &b->e);

	if (root == -EPERM || root == -ENODEV)
		skip_for("file systems cannot be mounted here");
	return root;
}

static void t46_a_mount_is_nosuid_nodev_noexec_and_in_no_list(void **state)
{
	struct bench *b = *state;
	struct mount *m = make_device(b, "ext2");
	int root = open_or_skip(b, m);
	struct statvfs v;

	assert_true(root >= 0);
	assert_int_equal(fstatvfs(root, &v), 0);
	assert_int_equal(v.f_flag & (ST_NOSUID | ST_NODEV | ST_NOEXEC),
			 ST_NOSUID | ST_NODEV | ST_NOEXEC);
	assert_int_equal(v.f_flag & ST_RDONLY, 0);
	assert_false(is_mounted(b->dir));
	assert_int_equal(faccessat(root, "lost+found", F_OK, 0), 0);
	assert_int_equal(mount_open(m, &b->e), root); /* once */
	assert_int_equal(mounts_flush(b->m, &b->e), 0);
	b->m = mounts_free(b->m);
	/* free at once: nobody holds it any more */
	root = open(b->loop.path, O_RDWR | O_EXCL | O_CLOEXEC);
	assert_true(root >= 0);
	close(root);
}

/* seen: two installers with state directories of their own and one run directory */
static void a_sweep_by_another_installer_neither_fails_nor_misleads_a_mount(void **state)
{
	struct bench *b = *state;
	struct mount *m = make_device(b, "ext2");
	int root;

	sweeper.folder = b->dir;
	sweeper.before = 2;
	sweeper.behind = 2;
	root = open_or_skip(b, m);
	assert_true(root >= 0);
	assert_int_equal(sweeper.before + sweeper.behind, 0);
	assert_int_equal(faccessat(root, "lost+found", F_OK, 0), 0);
	assert_false(is_mounted(b->dir));
}

static void a_sweep_without_end_is_told(void **state)
{
	struct bench *b = *state;
	struct mount *m = make_device(b, "ext2");

	sweeper.folder = b->dir;
	sweeper.before = 1000;
	assert_true(open_or_skip(b, m) < 0);
	sweeper.before = 0;
	assert_int_equal(b->e.code, E_MOUNT);
}

static void entries_of_one_device_share_one_mount_of_one_type(void **state)
{
	struct bench *b = *state;
	struct mount *m = make_device(b, "ext2"), *again;
	int fd = open(b->loop.path, O_RDWR | O_CLOEXEC);

	assert_int_equal(mounts_add(b->m, &again, &fd, b->loop.path, "ext2", &b->e), 0);
	assert_ptr_equal(again, m);
	fd = open(b->loop.path, O_RDWR | O_CLOEXEC);
	assert_int_equal(mounts_add(b->m, &again, &fd, b->loop.path, "vfat", &b->e), -EINVAL);
	assert_int_equal(b->e.code, E_MOUNT);
	assert_int_equal(fd, -1);
}

static void a_device_without_this_file_system_says_so(void **state)
{
	struct bench *b = *state;
	struct mount *m = make_device(b, "ext2");
	char zero[4096] = "";

	assert_int_equal(pwrite(b->loop.fd, zero, sizeof(zero), 0), sizeof(zero));
	assert_int_equal(fsync(b->loop.fd), 0);
	assert_int_equal(open_or_skip(b, m), -EINVAL);
	assert_int_equal(b->e.code, E_MOUNT);
	assert_non_null(strstr(b->e.why, "ext2"));
	assert_int_equal(mount_root(m), -1);
}

static void a_file_system_without_device_is_refused(void **state)
{
	struct bench *b = *state;
	struct mount *m = make_device(b, "tmpfs");

	assert_int_equal(mount_open(m, &b->e), -ENOTBLK);
	assert_int_equal(b->e.code, E_MOUNT);
}

static void a_file_is_no_device(void **state)
{
	struct bench *b = *state;
	struct mount *m;
	int fd = open(b->image, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(mounts_add(b->m, &m, &fd, b->image, "ext2", &b->e), -ENOTBLK);
	assert_int_equal(b->e.code, E_MOUNT);
	assert_int_equal(fd, -1);
}

static void the_kernel_is_asked_for_file_systems_and_modules(void **state)
{
	struct utsname u;
	char root[] = "/tmp/swinstall-fs-XXXXXX", path[512];

	(void)state;
	assert_int_equal(uname(&u), 0);
	assert_non_null(mkdtemp(root));
	sys_set_root(root);
	assert_true(mounts_knows("ext5")); /* nobody can be asked */
	snprintf(path, sizeof(path), "%s/proc", root);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/proc/filesystems", root);
	envkit_write_file(path, "nodev\tproc\n\text4\n", 17);
	assert_true(mounts_knows("ext4"));
	assert_false(mounts_knows("ext5"));
	assert_false(mounts_knows("xt4"));
	assert_false(mounts_knows("vfat"));
	snprintf(path, sizeof(path), "%s/lib/modules/%s", root, u.release);
	for (char *at = path + strlen(root) + 1; (at = strchr(at, '/')); at++) {
		*at = '\0';
		mkdir(path, 0755);
		*at = '/';
	}
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/lib/modules/%s/modules.alias", root, u.release);
	envkit_write_file(path, "alias fs-vfat vfat\n", 19);
	assert_true(mounts_knows("vfat"));
	assert_false(mounts_knows("ext5"));
	sys_set_root("");
	envkit_remove_tree(root);
}

static void a_type_is_a_plain_word(void **state)
{
	static const char *const bad[] = {"", "ext4,loop", "../x", "EXT4", "a b", "x\n"};
	struct bench *b = *state;
	struct mount *m;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

		err_clear(&b->e);
		assert_int_equal(mounts_add(b->m, &m, &fd, "/dev/null", bad[i], &b->e), -EINVAL);
		assert_int_equal(b->e.code, E_MOUNT);
	}
}

static void what_a_killed_process_left_is_swept_and_nothing_else(void **state)
{
	struct bench *b = *state;
	char ours[128], theirs[128];

	snprintf(ours, sizeof(ours), "%s/mnt-0123456789abcdef", b->dir);
	snprintf(theirs, sizeof(theirs), "%s/mnt-of-somebody", b->dir);
	assert_int_equal(mkdir(ours, 0700), 0);
	assert_int_equal(mkdir(theirs, 0700), 0);
	if (mount("none", ours, "tmpfs", 0, NULL) < 0)
		print_message("SKIP: nothing can be mounted here, only the folder is tried\n");
	assert_int_equal(mounts_sweep(b->dir, note_foreign, NULL, &b->e), 0);
	assert_false(is_mounted(ours));
	assert_int_equal(access(ours, F_OK), -1);
	assert_int_equal(rmdir(theirs), 0);
	assert_int_equal(mounts_sweep("/nowhere/at/all", note_foreign, NULL, &b->e), 0);
	assert_string_equal(foreign, "");
	assert_int_equal(mounts_sweep(NULL, note_foreign, NULL, &b->e), 0);
}

/* it must not make every later install and recovery fail */
static void t17_what_others_put_where_mounts_are_made_is_left_alone(void **state)
{
	struct bench *b = *state;
	char folder[128], file[160], plain[128];

	snprintf(folder, sizeof(folder), "%s/mnt-0123456789abcdef", b->dir);
	snprintf(file, sizeof(file), "%s/file", folder);
	assert_int_equal(mkdir(folder, 0700), 0);
	envkit_write_file(file, "x", 1);
	assert_int_equal(mounts_sweep(b->dir, note_foreign, NULL, &b->e), 0);
	assert_string_equal(foreign, folder);
	assert_int_equal(access(file, F_OK), 0);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(rmdir(folder), 0);
	snprintf(plain, sizeof(plain), "%s/mnt-fedcba9876543210", b->dir);
	envkit_write_file(plain, "x", 1);
	assert_int_equal(mounts_sweep(b->dir, note_foreign, NULL, &b->e), 0);
	assert_string_equal(foreign, plain);
	assert_int_equal(unlink(plain), 0);
	foreign[0] = '\0';
}

/* ---- a staged file beneath such a root: any folder will do ---- */

static int stage(struct bench *b, const char *path, bool create, struct staged **s)
{
	int root = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = staged_name(s, path, 0, create, &b->e), fd;

	assert_int_equal(rc, 0);
	strcpy((*s)->address.txn, TXN);
	rc = staged_bind(*s, root, &b->e);
	if (rc == 0)
		rc = staged_look_kept(*s, &b->e);
	if (rc == 0) {
		rc = fd = staged_create(*s, 0600, &b->e);
		if (fd >= 0)
			close(fd);
	}
	if (rc < 0)
		close(root);
	return rc < 0 ? rc : 0;
}

static void t40_no_link_leads_out_of_the_file_system(void **state)
{
	static const char *const paths[] = {"/link/file", "/up/file", "/etc/deep/link/x"};
	struct bench *b = *state;
	char path[128];

	snprintf(path, sizeof(path), "%s/link", b->dir);
	assert_int_equal(symlink("/tmp", path), 0);
	snprintf(path, sizeof(path), "%s/up", b->dir);
	assert_int_equal(symlink("../..", path), 0);
	snprintf(path, sizeof(path), "%s/etc", b->dir);
	assert_int_equal(symlink("/etc", path), 0);
	for (size_t i = 0; i < 2 * ARRAY_SIZE(paths); i++) {
		struct staged *s = NULL;

		err_clear(&b->e);
		assert_int_equal(stage(b, paths[i / 2], i % 2, &s), -ELOOP);
		assert_int_equal(b->e.code, E_FILE);
		assert_non_null(strstr(b->e.why, "link"));
		staged_close(s);
	}
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", b->dir,
			 (const char *[]){"link", "up", "etc"}[i]);
		unlink(path);
	}
}

static void folders_that_were_made_go_away_with_an_undo_while_they_are_empty(void **state)
{
	struct bench *b = *state;
	struct staged *s = NULL;
	char path[128];

	assert_int_equal(stage(b, "/a/b/c/file", true, &s), 0);
	assert_int_equal(s->address.kept, 1);
	assert_int_equal(staged_publish(s, &b->e), 0);
	assert_int_equal(staged_revert(s, &b->e), 0);
	assert_int_equal(staged_drop(s, &b->e), 0);
	snprintf(path, sizeof(path), "%s/a/mine", b->dir);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(staged_unmake(&s->address, s->root_fd, &b->e), 0);
	assert_int_equal(rmdir(path), 0);
	snprintf(path, sizeof(path), "%s/a/b", b->dir);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(staged_unmake(&s->address, s->root_fd, &b->e), 0); /* again, after a cut */
	close(s->root_fd);
	staged_close(s);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(t46_a_mount_is_nosuid_nodev_noexec_and_in_no_list),
		T(a_sweep_by_another_installer_neither_fails_nor_misleads_a_mount),
		T(a_sweep_without_end_is_told),
		T(entries_of_one_device_share_one_mount_of_one_type),
		T(a_device_without_this_file_system_says_so),
		T(a_file_system_without_device_is_refused),
		T(a_file_is_no_device),
		T(a_type_is_a_plain_word),
		cmocka_unit_test(the_kernel_is_asked_for_file_systems_and_modules),
		T(what_a_killed_process_left_is_swept_and_nothing_else),
		T(t17_what_others_put_where_mounts_are_made_is_left_alone),
		T(t40_no_link_leads_out_of_the_file_system),
		T(folders_that_were_made_go_away_with_an_undo_while_they_are_empty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
