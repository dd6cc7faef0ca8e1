/* Devices over descriptors: what they say of themselves, exact lengths, flushes that fail,
 * read-back. */
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
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "corelib/device/blkdev.h"
#include "corelib/base/digest.h"
#include "corelib/device/force_ro.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/fail_malloc.h"
#include "tests/unit/kit/fake_blkdev.h"
#include "tests/unit/kit/fake_stream.h"

#define KiB 1024u
#define MiB (1024u * 1024)

static char path[64];
static uint8_t *image, *got;

/* ---- calls in front of libc's: a kernel and file systems of another kind ---- */

static struct {
	bool no_statx;	/* does not know STATX_DIOALIGN */
	bool says_none; /* knows, and there is no O_DIRECT */
	bool lies;	/* takes the flag, refuses the writes */
	bool no_zero_range;
	int fallocate, fsync, truncate, read; /* errno */
} kernel;

static int fails(int sys)
{
	errno = sys;
	return -1;
}

int statx(int fd, const char *restrict name, int flags, unsigned mask, struct statx *restrict sx)
{
	if (kernel.no_statx)
		return fails(ENOSYS);
	if (syscall(SYS_statx, fd, name, flags, mask, sx) < 0)
		return -1;
	if (kernel.says_none) {
		sx->stx_mask |= STATX_DIOALIGN;
		sx->stx_dio_mem_align = sx->stx_dio_offset_align = 0;
	}
	return 0;
}

ssize_t pwrite64(int fd, const void *buf, size_t n, off64_t off)
{
	if (kernel.lies && (fcntl(fd, F_GETFL) & O_DIRECT))
		return fails(EINVAL);
	return syscall(SYS_pwrite64, fd, buf, n, off);
}

ssize_t pread64(int fd, void *buf, size_t n, off64_t off)
{
	return kernel.read ? fails(kernel.read) : syscall(SYS_pread64, fd, buf, n, off);
}

int fallocate64(int fd, int mode, off64_t off, off64_t len)
{
	if (kernel.no_zero_range && (mode & FALLOC_FL_ZERO_RANGE))
		return fails(EOPNOTSUPP);
	if (kernel.fallocate)
		return fails(kernel.fallocate);
	return (int)syscall(SYS_fallocate, fd, mode, off, len);
}

int fsync(int fd)
{
	return kernel.fsync ? fails(kernel.fsync) : (int)syscall(SYS_fsync, fd);
}

int ftruncate64(int fd, off64_t size)
{
	return kernel.truncate ? fails(kernel.truncate) : (int)syscall(SYS_ftruncate, fd, size);
}

static int healthy(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	return 0;
}

static int setup(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/tmp/swinstall-blkdev-XXXXXX");
	image = malloc(24 * MiB);
	got = malloc(24 * MiB);
	if (!image || !got)
		return -1;
	fake_bytes(image, 24 * MiB, 11);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(image);
	free(got);
	return 0;
}

/* a file of 'size' bytes 0xEE, open; gone when closed */
static int new_file(size_t size, int flags)
{
	int fd, again;

	snprintf(path, sizeof(path), "/tmp/swinstall-blkdev-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	memset(got, 0xee, size);
	assert_int_equal(sys_pwrite(fd, got, size, 0), 0);
	again = open(path, flags | O_CLOEXEC);
	assert_true(again >= 0);
	unlink(path);
	close(fd);
	return again;
}

static struct blkdev *new_dev(size_t size, int flags, enum blkdev_direct direct)
{
	const struct blkdev_options o = {.direct = direct};
	struct err e = {0};
	struct blkdev *d;

	assert_int_equal(blkdev_open(&d, new_file(size, flags), "file", &o, &e), 0);
	return d;
}

static int fill(struct blkdev *d, uint64_t off, const uint8_t *data, size_t n, struct err *e)
{
	struct fake src = {.data = data, .size = n, .max_piece = 300000};
	struct fill how = {.offset = off};
	struct stream *s;
	int rc;

	assert_int_equal(fake_stream_open(&s, &src, e), 0);
	rc = blkdev_fill(d, s, &how, e);
	stream_close(s);
	return rc;
}

static bool is_all(const uint8_t *p, size_t n, uint8_t byte)
{
	return n == 0 || (p[0] == byte && memcmp(p, p + 1, n - 1) == 0);
}

static uint64_t length(const struct blkdev *d)
{
	struct stat st;

	assert_int_equal(fstat(d->fd, &st), 0);
	return (uint64_t)st.st_size;
}

/* what is in it now, whatever the alignment; the descriptor is as before afterwards */
static void read_back(const struct blkdev *d, size_t n)
{
	const int fl = fcntl(d->fd, F_GETFL);

	assert_int_equal(fcntl(d->fd, F_SETFL, fl & ~O_DIRECT), 0);
	assert_int_equal(sys_pread(d->fd, got, n, 0), n);
	assert_int_equal(fcntl(d->fd, F_SETFL, fl), 0);
}

/* ---- files ---- */

static void empty_file_grows_to_the_exact_length(void **state)
{
	static const size_t sizes[] = {0, 1, 4095, 4096, 4097, MiB - 1, MiB, 3 * MiB + 12345};

	(void)state;
	for (unsigned direct = DIRECT_AUTO; direct <= DIRECT_NO; direct += DIRECT_NO)
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			struct blkdev *d = new_dev(0, O_RDWR, direct);
			struct err e = {0};

			assert_false(d->has_size);
			assert_int_equal(fill(d, 0, image, sizes[i], &e), 0);
			assert_int_equal(blkdev_flush(d, &e), 0);
			assert_int_equal(length(d), sizes[i]);
			read_back(d, sizes[i]);
			assert_memory_equal(got, image, sizes[i]);
			/* a shorter one later leaves nothing of the longer */
			assert_int_equal(fill(d, 0, image + 1, sizes[i] / 2, &e), 0);
			assert_int_equal(length(d), sizes[i] / 2);
			assert_null(blkdev_close(d));
		}
}

static void growing_file_keeps_holes_for_zeros(void **state)
{
	struct blkdev *d = new_dev(0, O_RDWR, DIRECT_AUTO);
	struct err e = {0};
	struct stat st;

	(void)state;
	memset(image, 0, 8 * MiB);
	image[0] = 1;
	assert_int_equal(fill(d, 0, image, 8 * MiB, &e), 0);
	assert_int_equal(fstat(d->fd, &st), 0);
	assert_int_equal(st.st_size, 8 * MiB);
	assert_true(st.st_blocks * 512 <= 256 * 1024);
	read_back(d, 8 * MiB);
	assert_memory_equal(got, image, 8 * MiB);
	fake_bytes(image, 24 * MiB, 11);
	blkdev_close(d);
}

static void file_slot_keeps_its_size_like_a_partition(void **state)
{
	(void)state;
	for (unsigned direct = DIRECT_AUTO; direct <= DIRECT_NO; direct += DIRECT_NO) {
		struct blkdev *d = new_dev(2 * MiB + 100, O_RDWR, direct);
		struct err e = {0};

		assert_true(d->has_size);
		assert_int_equal(d->size, 2 * MiB + 100);
		assert_false(d->reads_zero);
		memset(image + MiB, 0, MiB);
		assert_int_equal(fill(d, 50, image, 2 * MiB + 50, &e), 0);
		assert_int_equal(length(d), 2 * MiB + 100);
		read_back(d, 2 * MiB + 100);
		assert_true(is_all(got, 50, 0xee));
		assert_memory_equal(got + 50, image, 2 * MiB + 50);
		/* T116: also the odd ends are not written again */
		d->written = d->zeroed = 0;
		assert_int_equal(fill(d, 50, image, 2 * MiB + 50, &e), 0);
		assert_int_equal(d->written + d->zeroed, 0);
		assert_int_equal(fill(d, 50, image, 2 * MiB + 51, &e), -ENOSPC);
		assert_int_equal(e.code, E_TARGET_SMALL);
		fake_bytes(image, 24 * MiB, 11);
		blkdev_close(d);
	}
}

static void file_beyond_what_is_allowed_names_the_write(void **state)
{
	struct rlimit old, small = {2 * MiB, 2 * MiB};
	struct blkdev *d = new_dev(0, O_RDWR, DIRECT_NO);
	struct err e = {0};
	int rc;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_max = old.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	rc = fill(d, 0, image, 4 * MiB, &e);
	setrlimit(RLIMIT_FSIZE, &old);
	blkdev_close(d);
	assert_int_equal(rc, -EFBIG);
	assert_int_equal(e.code, E_TARGET_WRITE);
	assert_string_equal(e.what, "write of 1048576 bytes failed at offset 2097152");
	assert_string_equal(e.object, "file");
}

static void buffered_writes_behind_are_pushed_and_forgotten(void **state)
{
	struct blkdev *d = new_dev(24 * MiB, O_RDWR, DIRECT_NO);
	struct err e = {0};

	(void)state;
	assert_false(d->direct);
	assert_int_equal(d->io_align, 1);
	assert_int_equal(fill(d, 0, image, 24 * MiB, &e), 0);
	assert_int_equal(blkdev_flush(d, &e), 0);
	read_back(d, 24 * MiB);
	assert_memory_equal(got, image, 24 * MiB);
	blkdev_close(d);
}

static void direct_io_is_used_only_where_the_file_system_takes_it(void **state)
{
	struct blkdev *d = new_dev(MiB, O_RDWR, DIRECT_AUTO);
	struct err e = {0};

	(void)state;
	if (d->direct) {
		assert_true(fcntl(d->fd, F_GETFL) & O_DIRECT);
		assert_true(d->io_align >= 512 && d->mem_align >= 1);
	} else {
		print_message("SKIP: /tmp does not take O_DIRECT\n");
	}
	/* odd bytes leave the descriptor as it was */
	assert_int_equal(fill(d, 1, image, 10, &e), 0);
	assert_int_equal(!!(fcntl(d->fd, F_GETFL) & O_DIRECT), d->direct);
	blkdev_close(d);
	d = new_dev(MiB, O_RDWR, DIRECT_NO);
	assert_false(fcntl(d->fd, F_GETFL) & O_DIRECT);
	blkdev_close(d);
}

/* /proc takes no O_DIRECT at all */
static void direct_io_that_is_demanded_and_not_there_is_an_error(void **state)
{
	const struct blkdev_options yes = {.direct = DIRECT_YES};
	int fd = open("/proc/self/comm", O_RDWR | O_CLOEXEC);
	struct err e = {0};
	struct blkdev *d;

	(void)state;
	if (fd < 0) {
		print_message("SKIP: /proc/self/comm: %s\n", strerror(errno));
		skip();
	}
	assert_true(blkdev_open(&d, dup(fd), "comm", &yes, &e) < 0);
	assert_int_equal(e.code, E_TARGET);
	assert_null(d);
	err_clear(&e);
	assert_int_equal(blkdev_open(&d, fd, "comm", NULL, &e), 0);
	assert_false(d->direct);
	blkdev_close(d);
}

static void file_that_cannot_be_read_is_not_compared(void **state)
{
	struct blkdev *d = new_dev(MiB, O_WRONLY, DIRECT_AUTO);
	struct err e = {0};
	uint8_t sum[32] = {0};

	(void)state;
	assert_null(d->ops->pread);
	assert_int_equal(fill(d, 0, image, MiB, &e), 0);
	assert_int_equal(d->written, MiB);
	assert_int_equal(blkdev_check(d, 0, MiB, sum, &e), -ENOTSUP);
	assert_int_equal(e.code, E_VERIFY_WRITES);
	blkdev_close(d);
}

static void t40_neither_device_nor_file_is_refused_and_closed(void **state)
{
	struct err e = {0};
	struct blkdev *d;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_true(blkdev_open(&d, fds[1], "a pipe", NULL, &e) < 0);
	assert_int_equal(e.code, E_TARGET);
	assert_string_equal(e.object, "a pipe");
	assert_null(d);
	assert_int_equal(fcntl(fds[1], F_GETFD), -1);
	close(fds[0]);
	err_clear(&e);
	assert_true(blkdev_open(&d, open("/tmp", O_RDONLY | O_CLOEXEC), "/tmp", NULL, &e) < 0);
	assert_int_equal(e.code, E_TARGET);
	err_clear(&e);
	assert_true(blkdev_open(&d, -1, "nothing", NULL, &e) < 0);
	assert_int_equal(e.code, E_TARGET);
}

/* an older kernel cannot be asked; the device's sector, or 4096 for files, is right there */
static void direct_io_is_tried_where_the_kernel_cannot_be_asked(void **state)
{
	struct err e = {0};
	struct blkdev *d;

	(void)state;
	kernel.no_statx = true;
	d = new_dev(MiB, O_RDWR, DIRECT_AUTO);
	assert_int_equal(d->direct ? d->io_align : 4096, 4096);
	assert_int_equal(fill(d, 0, image, MiB, &e), 0);
	read_back(d, MiB);
	assert_memory_equal(got, image, MiB);
	blkdev_close(d);
}

static void direct_io_is_not_used_where_the_kernel_says_no(void **state)
{
	const struct blkdev_options yes = {.direct = DIRECT_YES};
	struct err e = {0};
	struct blkdev *d;

	(void)state;
	kernel.says_none = true;
	d = new_dev(MiB, O_RDWR, DIRECT_AUTO);
	assert_false(d->direct);
	assert_int_equal(d->mem_align, 1);
	assert_false(fcntl(d->fd, F_GETFL) & O_DIRECT);
	blkdev_close(d);
	assert_true(blkdev_open(&d, new_file(MiB, O_RDWR), "file", &yes, &e) < 0);
	assert_int_equal(e.code, E_TARGET);
	assert_non_null(strstr(e.why, "direct-io"));
}

static void direct_io_is_given_up_when_the_first_block_is_refused(void **state)
{
	struct err e = {0};
	struct blkdev *d;

	(void)state;
	d = new_dev(4 * MiB, O_RDWR, DIRECT_AUTO);
	if (!d->direct) {
		blkdev_close(d);
		print_message("SKIP: /tmp does not take O_DIRECT\n");
		skip();
	}
	kernel.lies = true;
	assert_int_equal(fill(d, 5, image, 3 * MiB, &e), 0);
	assert_false(d->direct);
	assert_false(err_is_set(&e));
	read_back(d, 4 * MiB);
	assert_memory_equal(got + 5, image, 3 * MiB);
	blkdev_close(d);
	/* who demands it gets the error */
	kernel.lies = false;
	d = new_dev(4 * MiB, O_RDWR, DIRECT_YES);
	kernel.lies = true;
	assert_int_equal(fill(d, 0, image, MiB, &e), -EINVAL);
	assert_int_equal(e.code, E_TARGET_WRITE);
	blkdev_close(d);
}

static void file_slot_is_zeroed_by_whatever_the_file_system_has(void **state)
{
	(void)state;
	memset(image, 0, 2 * MiB);
	for (unsigned way = 0; way < 3; way++) {
		struct blkdev *d = new_dev(3 * MiB, O_RDWR, DIRECT_AUTO);
		struct err e = {0};

		kernel.no_zero_range = way == 1;
		kernel.fallocate = way == 2 ? EOPNOTSUPP : 0;
		assert_int_equal(fill(d, 0, image, 2 * MiB, &e), 0);
		if (way == 2)
			assert_int_equal(d->written, 2 * MiB);
		assert_int_equal(d->written + d->zeroed, 2 * MiB);
		assert_int_equal(length(d), 3 * MiB);
		read_back(d, 3 * MiB);
		assert_true(is_all(got, 2 * MiB, 0));
		assert_true(is_all(got + 2 * MiB, MiB, 0xee));
		blkdev_close(d);
		healthy(NULL);
	}
	kernel.fallocate = EIO;
	{
		struct blkdev *d = new_dev(3 * MiB, O_RDWR, DIRECT_AUTO);
		struct err e = {0};

		assert_int_equal(fill(d, 0, image, 2 * MiB, &e), -EIO);
		assert_int_equal(e.code, E_TARGET_WRITE);
		assert_ptr_equal(strstr(e.what, "zeroing of "), e.what);
		assert_non_null(strstr(e.what, " bytes failed at offset 0"));
		blkdev_close(d);
	}
	fake_bytes(image, 24 * MiB, 11);
}

static void t104_flush_and_length_that_fail_are_errors(void **state)
{
	struct blkdev *d = new_dev(0, O_RDWR, DIRECT_AUTO);
	struct err e = {0};
	uint8_t sum[32] = {0};

	(void)state;
	kernel.truncate = ENOSPC;
	assert_int_equal(fill(d, 0, image, 5, &e), -ENOSPC);
	assert_int_equal(e.code, E_NO_SPACE);
	healthy(NULL);
	err_clear(&e);
	kernel.fsync = EIO;
	assert_int_equal(blkdev_flush(d, &e), -EIO);
	assert_int_equal(e.code, E_TARGET_FLUSH);
	assert_string_equal(e.what, "flush failed");
	assert_true(d->broken);
	blkdev_close(d);
	healthy(NULL);
	err_clear(&e);
	d = new_dev(MiB, O_RDWR, DIRECT_AUTO);
	kernel.read = EIO;
	assert_int_equal(blkdev_check(d, 0, MiB, sum, &e), -EIO);
	assert_int_equal(e.code, E_TARGET_READ);
	assert_string_equal(e.what, "read of 1048576 bytes failed at offset 0");
	blkdev_close(d);
}

/* ---- what holds for every kind ---- */

static void t39_range_is_checked_without_wrapping(void **state)
{
	static const struct {
		uint64_t size, off, len;
		enum errcode code;
	} rows[] = {
		{100, 0, 100, E_NONE},
		{100, 100, 0, E_NONE},
		{100, 99, 1, E_NONE},
		{100, 0, 101, E_TARGET_SMALL},
		{100, 99, 2, E_TARGET_SMALL},
		{100, 1, UINT64_MAX, E_TARGET_SMALL},
		{100, 100, 1, E_RANGE},
		{100, UINT64_MAX, 1, E_RANGE},
		{100, UINT64_MAX, UINT64_MAX, E_RANGE},
		{0, 0, 1, E_RANGE},
		{UINT64_MAX, UINT64_MAX, 0, E_NONE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct blkdev d = {.name = "x", .has_size = true, .size = rows[i].size};
		struct err e = {0};

		assert_int_equal(blkdev_range(&d, rows[i].off, rows[i].len, &e),
				 rows[i].code ? -ENOSPC : 0);
		assert_int_equal(e.code, rows[i].code);
	}
}

static void t104_failed_flush_is_never_forgotten(void **state)
{
	struct err e = {0};
	struct fakedev f;

	(void)state;
	assert_int_equal(fakedev_init(&f, MiB, 0), 0);
	f.fail_op = FAKEDEV_FLUSH;
	f.fail_at = 1;
	f.fail_errno = EIO;
	assert_int_equal(blkdev_flush(&f.d, &e), -EIO);
	assert_int_equal(e.code, E_TARGET_FLUSH);
	assert_true(f.d.broken);
	err_clear(&e);
	assert_int_equal(blkdev_flush(&f.d, &e), -EIO); /* the second one would have succeeded */
	assert_int_equal(e.code, E_TARGET_FLUSH);
	assert_int_equal(fakedev_count(&f, FAKEDEV_FLUSH), 1);
	fakedev_clear(&f);
}

static void check_compares_the_medium_with_the_digest(void **state)
{
	static const struct {
		uint64_t off, len;
	} rows[] = {{0, 3 * MiB},     {1, 1},	    {4095, 2},
		    {5, 2 * MiB + 7}, {3 * MiB, 0}, {MiB - 1, MiB + 2}};
	struct fakedev f;

	(void)state;
	assert_int_equal(fakedev_init(&f, 3 * MiB, 0), 0);
	memcpy(f.mem, image, 3 * MiB);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err e = {0};
		uint8_t sum[32];

		assert_int_equal(sha256_once(image + rows[i].off, rows[i].len, sum, &e), 0);
		assert_int_equal(blkdev_check(&f.d, rows[i].off, rows[i].len, sum, &e), 0);
		if (rows[i].len == 0)
			continue;
		f.mem[rows[i].off + rows[i].len - 1] ^= 0x10;
		assert_int_equal(blkdev_check(&f.d, rows[i].off, rows[i].len, sum, &e), -EIO);
		assert_int_equal(e.code, E_VERIFY_WRITES);
		assert_string_equal(e.object, "fake");
		f.mem[rows[i].off + rows[i].len - 1] ^= 0x10;
	}
	assert_int_equal(f.misaligned, 0);
	fakedev_clear(&f);
}

static void check_tells_a_read_that_fails_from_bytes_that_differ(void **state)
{
	uint8_t sum[32] = {0};
	struct err e = {0};
	struct fakedev f;

	(void)state;
	assert_int_equal(fakedev_init(&f, 3 * MiB, 0), 0);
	f.fail_op = FAKEDEV_READ;
	f.fail_at = 2;
	f.fail_errno = EIO;
	assert_int_equal(blkdev_check(&f.d, 0, 3 * MiB, sum, &e), -EIO);
	assert_int_equal(e.code, E_TARGET_READ);
	err_clear(&e);
	assert_true(blkdev_check(&f.d, 0, 3 * MiB + 1, sum, &e) < 0);
	assert_int_equal(e.code, E_TARGET_SMALL);
	err_clear(&e);
	f.room = MiB; /* it ends before it said that it does */
	assert_true(blkdev_check(&f.d, 0, 3 * MiB, sum, &e) < 0);
	assert_int_equal(e.code, E_VERIFY_WRITES);
	fakedev_clear(&f);
}

static void device_without_memory_says_so_and_closes_its_descriptor(void **state)
{
	struct err e = {0};
	struct blkdev *d;
	int fd;

	(void)state;
	if (!fail_malloc_works())
		skip();
	fd = new_file(MiB, O_RDWR);
	fail_malloc_at(1);
	assert_int_equal(blkdev_open(&d, fd, "file", NULL, &e), -ENOMEM);
	assert_true(fail_malloc_off());
	assert_int_equal(e.code, E_MEMORY);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

/* ---- the write protection of eMMC boot partitions, in a /sys of our own ---- */

static void make_parents(char *file)
{
	for (char *p = file + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(file, 0700);
		*p = '/';
	}
}

static void force_ro_is_lifted_only_where_it_is_set(void **state)
{
	char root[] = "/tmp/swinstall-sys-XXXXXX", file[160];
	const dev_t dev = (dev_t)((179u << 8) | 8);
	struct err e = {0};
	bool was = true;
	char *text;
	size_t n;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(root));
	snprintf(file, sizeof(file), "%s/sys/dev/block/179:8/force_ro", root);
	sys_set_root(root);
	assert_int_equal(force_ro_set(dev, false, &was, &e), 0); /* no such switch */
	assert_false(was);
	make_parents(file);
	fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "1\n", 2), 2);
	assert_int_equal(force_ro_set(dev, false, &was, &e), 0);
	assert_true(was);
	assert_int_equal(sys_read_file(AT_FDCWD, file, 64, &text, &n), 0);
	assert_int_equal(text[0], '0');
	free(text);
	assert_int_equal(force_ro_set(dev, false, &was, &e), 0);
	assert_false(was);
	assert_int_equal(force_ro_set(dev, true, &was, &e), 0);
	assert_int_equal(sys_read_file(AT_FDCWD, file, 64, &text, &n), 0);
	assert_int_equal(text[0], '1');
	free(text);
	close(fd);
	/* a switch that cannot be read is not "no switch" */
	assert_int_equal(unlink(file), 0);
	assert_int_equal(mkdir(file, 0700), 0);
	assert_true(force_ro_set(dev, false, &was, &e) < 0);
	assert_int_equal(e.code, E_TARGET);
	sys_set_root(NULL);
	rmdir(file);
	for (char *p; (p = strrchr(file, '/')) > file + 5;) {
		*p = '\0';
		rmdir(file);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_file_grows_to_the_exact_length),
		cmocka_unit_test(growing_file_keeps_holes_for_zeros),
		cmocka_unit_test(file_slot_keeps_its_size_like_a_partition),
		cmocka_unit_test(file_beyond_what_is_allowed_names_the_write),
		cmocka_unit_test(buffered_writes_behind_are_pushed_and_forgotten),
		cmocka_unit_test(direct_io_is_used_only_where_the_file_system_takes_it),
		cmocka_unit_test(direct_io_that_is_demanded_and_not_there_is_an_error),
		cmocka_unit_test_teardown(direct_io_is_tried_where_the_kernel_cannot_be_asked,
					  healthy),
		cmocka_unit_test_teardown(direct_io_is_not_used_where_the_kernel_says_no, healthy),
		cmocka_unit_test_teardown(direct_io_is_given_up_when_the_first_block_is_refused,
					  healthy),
		cmocka_unit_test_teardown(file_slot_is_zeroed_by_whatever_the_file_system_has,
					  healthy),
		cmocka_unit_test_teardown(t104_flush_and_length_that_fail_are_errors, healthy),
		cmocka_unit_test(file_that_cannot_be_read_is_not_compared),
		cmocka_unit_test(t40_neither_device_nor_file_is_refused_and_closed),
		cmocka_unit_test(t39_range_is_checked_without_wrapping),
		cmocka_unit_test(t104_failed_flush_is_never_forgotten),
		cmocka_unit_test(check_compares_the_medium_with_the_digest),
		cmocka_unit_test(check_tells_a_read_that_fails_from_bytes_that_differ),
		cmocka_unit_test(device_without_memory_says_so_and_closes_its_descriptor),
		cmocka_unit_test(force_ro_is_lifted_only_where_it_is_set),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
