/* The fill on true block devices: loop devices of 512- and 4096-byte sectors, and their partitions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "corelib/device/blkdev.h"
#include "corelib/base/digest.h"
#include "corelib/device/force_ro.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/fake_stream.h"
#include "tests/unit/kit/loopdev.h"

#define MiB  (1024u * 1024)
#define SIZE (6 * MiB)

static uint8_t *image, *medium;
static char backing[64];
static struct loopdev loop = {.fd = -1};

static int setup(void **state)
{
	(void)state;
	image = malloc(SIZE);
	medium = malloc(SIZE);
	if (!image || !medium)
		return -1;
	fake_bytes(image, SIZE, 3);
	memset(image + 2 * MiB, 0, MiB);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(image);
	free(medium);
	return 0;
}

/* 6 MiB of 0xEE behind a loop device; a partition of 4 MiB from 1 MiB on */
static void attach_or_skip(unsigned sector)
{
	const char *why;
	int fd;

	snprintf(backing, sizeof(backing), "/tmp/swinstall-loop-XXXXXX");
	fd = mkstemp(backing);
	assert_true(fd >= 0);
	memset(medium, 0xee, SIZE);
	assert_int_equal(write(fd, medium, SIZE), SIZE);
	close(fd);
	why = loopdev_attach(&loop, backing, sector, false);
	if (!why)
		why = loopdev_partition(&loop, MiB, 4 * MiB);
	if (why) {
		print_message("SKIP: %s\n", why);
		skip();
	}
}

static int detach(void **state)
{
	(void)state;
	loopdev_detach(&loop);
	unlink(backing);
	return 0;
}

static struct blkdev *open_dev(const char *path, enum blkdev_direct direct)
{
	const struct blkdev_options o = {.direct = direct};
	struct err e = {0};
	struct blkdev *d;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(blkdev_open(&d, fd, path, &o, &e), 0);
	return d;
}

/* from a descriptor of its own, without the cache that the fill may have used */
static void read_medium(const char *path, size_t n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, BLKFLSBUF, 0), 0);
	assert_int_equal(pread(fd, medium, n, 0), n);
	close(fd);
}

static void fill_ok(struct blkdev *d, uint64_t off, const uint8_t *data, size_t n, size_t piece)
{
	struct fake src = {.data = data, .size = n, .max_piece = piece};
	struct fill how = {.offset = off};
	struct err e = {0};
	struct stream *s;

	assert_int_equal(fake_stream_open(&s, &src, &e), 0);
	assert_int_equal(blkdev_fill(d, s, &how, &e), 0);
	assert_int_equal(blkdev_flush(d, &e), 0);
	stream_close(s);
}

static bool is_all(const uint8_t *p, size_t n, uint8_t byte)
{
	return n == 0 || (p[0] == byte && memcmp(p, p + 1, n - 1) == 0);
}

struct shape {
	uint64_t off;
	size_t size, piece;
};

static const struct shape shapes[] = {
	{0, 4 * MiB, MiB},	   {4096, 3 * MiB, MiB},	{512, 3 * MiB + 512, 300000},
	{1, 3 * MiB + 77, 100000}, {4 * MiB - 5, 5, 5},		{4095, 2, 2},
	{0, 4 * MiB, 0},	   {1000, 4 * MiB - 1000, MiB},
};

static void try_shapes(unsigned sector, enum blkdev_direct direct)
{
	struct blkdev *d;

	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		const struct shape *s = &shapes[i];
		uint8_t sum[32];
		struct err e = {0};

		attach_or_skip(sector);
		d = open_dev(loop.part, direct);
		assert_int_equal(d->size, 4 * MiB);
		assert_true(d->has_size);
		assert_int_equal(d->direct, direct != DIRECT_NO);
		if (d->direct)
			assert_int_equal(d->io_align, sector);
		fill_ok(d, s->off, image, s->size, s->piece);
		read_medium(loop.part, 4 * MiB);
		assert_memory_equal(medium + s->off, image, s->size);
		assert_true(is_all(medium, s->off, 0xee));
		assert_true(is_all(medium + s->off + s->size, 4 * MiB - s->off - s->size, 0xee));

		assert_int_equal(sha256_once(image, s->size, sum, &e), 0);
		assert_int_equal(blkdev_check(d, s->off, s->size, sum, &e), 0);
		sum[0] ^= 1;
		assert_true(blkdev_check(d, s->off, s->size, sum, &e) < 0);
		assert_int_equal(e.code, E_VERIFY_WRITES);

		/* T116: the same again writes nothing */
		d->written = d->zeroed = d->skipped = 0;
		fill_ok(d, s->off, image, s->size, s->piece);
		assert_int_equal(d->written + d->zeroed, 0);
		assert_int_equal(d->skipped, s->size);
		blkdev_close(d);

		/* nothing outside the partition changed */
		read_medium(loop.path, SIZE);
		assert_true(is_all(medium, MiB, 0xee));
		assert_true(is_all(medium + 5 * MiB, MiB, 0xee));
		detach(NULL);
	}
}

static void fill_is_exact_on_sectors_of_512_bytes(void **state)
{
	(void)state;
	try_shapes(512, DIRECT_AUTO);
}

static void fill_is_exact_on_sectors_of_4096_bytes(void **state)
{
	(void)state;
	try_shapes(4096, DIRECT_AUTO);
}

static void fill_is_exact_without_direct_io(void **state)
{
	(void)state;
	try_shapes(512, DIRECT_NO);
	try_shapes(4096, DIRECT_NO);
}

static void fill_zeroes_a_block_device(void **state)
{
	struct blkdev *d;

	(void)state;
	attach_or_skip(512);
	d = open_dev(loop.part, DIRECT_AUTO);
	memset(medium, 0, 4 * MiB);
	fill_ok(d, 0, medium, 4 * MiB, MiB);
	assert_int_equal(d->zeroed, 4 * MiB);
	assert_int_equal(d->written, 0);
	read_medium(loop.part, 4 * MiB);
	assert_true(is_all(medium, 4 * MiB, 0));
	blkdev_close(d);
}

static void t39_partition_that_is_too_small_stays_as_it_is(void **state)
{
	struct fake src = {.data = image, .size = 4 * MiB + 1, .max_piece = MiB};
	struct fill how = {0};
	struct err e = {0};
	struct stream *s;
	struct blkdev *d;

	(void)state;
	attach_or_skip(512);
	d = open_dev(loop.part, DIRECT_AUTO);
	assert_int_equal(fake_stream_open(&s, &src, &e), 0);
	assert_int_equal(blkdev_fill(d, s, &how, &e), -ENOSPC);
	assert_int_equal(e.code, E_TARGET_SMALL);
	assert_string_equal(e.object, loop.part);
	assert_non_null(strstr(e.why, "has 4194304 bytes; 4194305 do not fit"));
	stream_close(s);
	blkdev_close(d);
	read_medium(loop.part, 4 * MiB);
	assert_true(is_all(medium, 4 * MiB, 0xee));
}

static void read_only_device_names_the_write_that_failed(void **state)
{
	struct fake src = {.data = image, .size = MiB, .max_piece = MiB};
	struct err e = {0};
	struct blkdev *d;
	struct stream *s;
	int on = 1, off = 0, rc;

	(void)state;
	attach_or_skip(512);
	d = open_dev(loop.path, DIRECT_AUTO);
	assert_int_equal(ioctl(loop.fd, BLKROSET, &on), 0);
	assert_int_equal(fake_stream_open(&s, &src, &e), 0);
	rc = blkdev_fill(d, s, &(struct fill){.offset = MiB}, &e);
	stream_close(s);
	ioctl(loop.fd, BLKROSET, &off);
	blkdev_close(d);
	assert_true(rc < 0);
	assert_int_equal(e.code, E_TARGET_WRITE);
	assert_string_equal(e.what, "write of 1048576 bytes failed at offset 1048576");
	assert_string_equal(e.object, loop.path);
}

static void device_without_a_write_protection_switch_is_left_alone(void **state)
{
	struct err e = {0};
	bool lifted = true;

	(void)state;
	attach_or_skip(512);
	assert_int_equal(force_ro_lift(loop.fd, &lifted, &e), 0);
	assert_false(lifted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(fill_is_exact_on_sectors_of_512_bytes, detach),
		cmocka_unit_test_teardown(fill_is_exact_on_sectors_of_4096_bytes, detach),
		cmocka_unit_test_teardown(fill_is_exact_without_direct_io, detach),
		cmocka_unit_test_teardown(fill_zeroes_a_block_device, detach),
		cmocka_unit_test_teardown(t39_partition_that_is_too_small_stays_as_it_is, detach),
		cmocka_unit_test_teardown(read_only_device_names_the_write_that_failed, detach),
		cmocka_unit_test_teardown(device_without_a_write_protection_switch_is_left_alone,
					  detach),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
