/*
 * A true block device that fails on demand: nbdkit's error filter, as a file by nbdfuse, under a
 * loop device; or qemu's blkdebug, for one sector. Needs root, these programs and /dev/fuse;
 * otherwise skipped with the reason.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "corelib/device/blkdev.h"
#include "corelib/base/sys.h"
#include "tests/unit/kit/fake_stream.h"
#include "tests/unit/kit/loopdev.h"

#define MiB  (1024u * 1024)
#define SIZE (48u * MiB)

static char dir[64], sock[96], trigger[96], face[96];
static pid_t server = -1, bridge = -1;
static struct loopdev loop = {.fd = -1};
static uint8_t *image;

static pid_t start(const char *const *argv)
{
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	return pid;
}

static bool appears(const char *path, off_t size)
{
	struct stat st;

	for (unsigned i = 0; i < 200; i++) {
		if (stat(path, &st) == 0 && st.st_size >= size)
			return true;
		usleep(10000);
	}
	return false;
}

static const char *start_device(void)
{
	char error_file[128];
	const char *const nbdkit[] = {"nbdkit",
				      "-f",
				      "-U",
				      sock,
				      "--filter=error",
				      "memory",
				      "48M",
				      "error-pwrite=EIO",
				      "error-pwrite-rate=100%",
				      error_file,
				      NULL};
	const char *const nbdfuse[] = {"nbdfuse", face, "--unix", sock, NULL};
	int fd;

	snprintf(error_file, sizeof(error_file), "error-file=%s", trigger);
	server = start(nbdkit);
	if (!appears(sock, 0))
		return "nbdkit does not start";
	fd = open(face, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	close(fd);
	bridge = start(nbdfuse);
	if (!appears(face, SIZE))
		return "nbdfuse does not start";
	return loopdev_attach(&loop, face, 512, false);
}

static void end(pid_t *pid)
{
	if (*pid > 0) {
		kill(*pid, SIGTERM);
		waitpid(*pid, NULL, 0);
	}
	*pid = -1;
}

static void set_faulty(bool on)
{
	if (!on)
		unlink(trigger);
	else
		close(open(trigger, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

/* the sector 'bad' fails once with ENOSPC */
static const char *start_blkdebug(unsigned bad)
{
	char file[160], debug[256], export[192];
	const char *const qsd[] = {"qemu-storage-daemon",
				   "--blockdev",
				   file,
				   "--blockdev",
				   debug,
				   "--export",
				   export,
				   NULL};
	int fd;

	snprintf(file, sizeof(file), "driver=file,filename=%s,node-name=f", sock);
	snprintf(debug, sizeof(debug),
		 "driver=blkdebug,image=f,node-name=b,inject-error.0.event=pwritev,"
		 "inject-error.0.errno=28,inject-error.0.sector=%u,inject-error.0.once=on",
		 bad);
	snprintf(export, sizeof(export), "type=fuse,id=e,node-name=b,mountpoint=%s,writable=on",
		 face);
	fd = open(sock, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (ftruncate(fd, SIZE) < 0)
		return "no room in /tmp";
	close(fd);
	close(open(face, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	server = start(qsd);
	if (!appears(face, SIZE))
		return "qemu-storage-daemon does not start";
	return loopdev_attach(&loop, face, 512, false);
}

static int stop_device(void **state)
{
	(void)state;
	set_faulty(false);
	loopdev_detach(&loop);
	umount2(face, MNT_DETACH);
	end(&bridge);
	end(&server);
	unlink(face);
	unlink(sock);
	rmdir(dir);
	return 0;
}

static void device_or_skip(const char *(*start_it)(void))
{
	const char *why = geteuid() ? "needs root" : NULL;

	snprintf(dir, sizeof(dir), "/tmp/swinstall-fault-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(sock, sizeof(sock), "%s/sock", dir);
	snprintf(trigger, sizeof(trigger), "%s/trigger", dir);
	snprintf(face, sizeof(face), "%s/disk", dir);
	why = why ? why : start_it();
	if (why) {
		print_message("SKIP: %s\n", why);
		skip();
	}
}

static struct blkdev *open_dev(enum blkdev_direct direct)
{
	const struct blkdev_options o = {.direct = direct, .compare = COMPARE_NO};
	struct err e = {0};
	struct blkdev *d;

	assert_int_equal(blkdev_open(&d, open(loop.path, O_RDWR | O_CLOEXEC), loop.path, &o, &e),
			 0);
	return d;
}

static int fill(struct blkdev *d, size_t n, struct err *e)
{
	struct stream *s;
	int rc;

	memset(e, 0, sizeof(*e));
	assert_int_equal(stream_mem_open(&s, image, n, e), 0);
	rc = blkdev_fill(d, s, &(struct fill){0}, e);
	stream_close(s);
	return rc;
}

static void t109_direct_write_to_a_failing_medium_names_the_place(void **state)
{
	struct blkdev *d;
	struct err e;

	(void)state;
	device_or_skip(start_device);
	d = open_dev(DIRECT_AUTO);
	assert_true(d->direct);
	assert_int_equal(fill(d, 4 * MiB, &e), 0);
	set_faulty(true);
	/* the error comes with the write, or (a cache in between) with the flush, but it comes */
	if (fill(d, 4 * MiB, &e) == 0)
		assert_int_equal(blkdev_flush(d, &e), -EIO);
	assert_int_equal(e.sys, EIO);
	assert_true(e.code == E_TARGET_WRITE || e.code == E_TARGET_FLUSH);
	assert_string_equal(e.object, loop.path);
	blkdev_close(d);
}

static void t104_buffered_writes_that_are_lost_are_told_by_the_flush(void **state)
{
	struct blkdev *d;
	struct err e;

	(void)state;
	device_or_skip(start_device);
	d = open_dev(DIRECT_NO);
	set_faulty(true);
	assert_int_equal(fill(d, 4 * MiB, &e), 0); /* all in the page cache */
	assert_int_equal(blkdev_flush(d, &e), -EIO);
	assert_int_equal(e.code, E_TARGET_FLUSH);
	assert_string_equal(e.object, loop.path);
	assert_true(d->broken);
	/* the medium is healthy again, but the bytes are gone: the flush must not become good */
	set_faulty(false);
	err_clear(&e);
	assert_int_equal(blkdev_flush(d, &e), -EIO);
	assert_int_equal(e.code, E_TARGET_FLUSH);
	blkdev_close(d);
}

/* what sync_file_range() was told no fsync() says again */
static void t104_error_of_early_writeback_is_not_lost(void **state)
{
	struct blkdev *d;
	struct err e;
	int rc;

	(void)state;
	device_or_skip(start_device);
	d = open_dev(DIRECT_NO);
	set_faulty(true);
	rc = fill(d, SIZE, &e);
	set_faulty(false);
	if (rc < 0)
		assert_int_equal(e.code, E_TARGET_WRITE);
	err_clear(&e);
	assert_true(blkdev_flush(d, &e) < 0);
	assert_int_equal(e.code, E_TARGET_FLUSH);
	blkdev_close(d);
}

static const char *start_bad_sector(void)
{
	return start_blkdebug(2 * 2048 + 80);
}

static void t108_no_space_at_one_sector_names_the_write(void **state)
{
	struct blkdev *d;
	struct err e;

	(void)state;
	device_or_skip(start_bad_sector);
	d = open_dev(DIRECT_AUTO);
	assert_int_equal(fill(d, 4 * MiB, &e), -ENOSPC);
	assert_int_equal(e.code, E_TARGET_WRITE);
	assert_string_equal(e.object, loop.path);
	assert_string_equal(e.what, "write of 1048576 bytes failed at offset 2097152");
	/* the same again: the sector is good now, and what was written is compared, not believed */
	d->compare = COMPARE_AUTO;
	d->written = 0;
	assert_int_equal(fill(d, 4 * MiB, &e), 0);
	assert_int_equal(blkdev_flush(d, &e), 0);
	assert_in_range(d->written, 1, 2 * MiB);
	blkdev_close(d);
}

static int setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	image = malloc(SIZE);
	if (!image)
		return -1;
	fake_bytes(image, SIZE, 5);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(image);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(t109_direct_write_to_a_failing_medium_names_the_place,
					  stop_device),
		cmocka_unit_test_teardown(t104_buffered_writes_that_are_lost_are_told_by_the_flush,
					  stop_device),
		cmocka_unit_test_teardown(t104_error_of_early_writeback_is_not_lost, stop_device),
		cmocka_unit_test_teardown(t108_no_space_at_one_sector_names_the_write, stop_device),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
