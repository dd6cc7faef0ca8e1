/* raw: a payload, byte for byte, to its device; nothing before the check, nothing hidden after it.
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
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "handlers/handler.h"
#include "tests/unit/kit/fake_blkdev.h"
#include "tests/unit/kit/fake_stream.h"
#include "tests/unit/kit/loopdev.h"

#define MiB (1024u * 1024)

extern const struct handler handler_raw;

static uint8_t image[3 * MiB];

static int install(struct step *st, struct fake *src, struct err *e)
{
	struct stream *s;
	int rc;

	memset(e, 0, sizeof(*e));
	assert_int_equal(fake_stream_open(&s, src, e), 0);
	rc = handler_raw.install(st, s, e);
	stream_close(s);
	return rc;
}

static void raw_writes_the_payload_at_its_offset(void **state)
{
	struct fake src = {.data = image, .size = sizeof(image), .max_piece = 100000, .seed = 4};
	const struct entry en = {.offset = 1000, .has_offset = true};
	struct fakedev f;
	struct step st = {.entry = &en, .dev = &f.d};
	struct err e;

	(void)state;
	assert_int_equal(fakedev_init(&f, 4 * MiB, 0x11), 0);
	memset(&e, 0, sizeof(e));
	assert_int_equal(handler_raw.check(&st, &e), 0);
	assert_int_equal(install(&st, &src, &e), 0);
	assert_memory_equal(f.mem + 1000, image, sizeof(image));
	assert_int_equal(f.mem[999], 0x11);
	assert_int_equal(f.mem[1000 + sizeof(image)], 0x11);
	fakedev_clear(&f);
}

static void raw_truncated_payload_is_never_flushed(void **state)
{
	struct fake src = {.data = image,
			   .size = sizeof(image),
			   .max_piece = MiB,
			   .fails = true,
			   .fail_at = 2 * MiB + 5,
			   .fail_code = E_TRUNCATED};
	const struct entry en = {0};
	struct fakedev f;
	struct step st = {.entry = &en, .dev = &f.d};
	struct err e;

	(void)state;
	assert_int_equal(fakedev_init(&f, 4 * MiB, 0), 0);
	assert_int_equal(install(&st, &src, &e), -EIO);
	assert_int_equal(e.code, E_TRUNCATED);
	assert_int_equal(fakedev_count(&f, FAKEDEV_FLUSH), 0);
	assert_int_equal(fakedev_count(&f, FAKEDEV_FINISH), 0);
	fakedev_clear(&f);
}

static void t39_raw_check_refuses_what_cannot_fit_before_any_write(void **state)
{
	static const struct {
		uint64_t off, size;
		bool has_size;
		enum errcode code;
	} rows[] = {
		{0, MiB, true, E_NONE},		{0, MiB + 1, true, E_TARGET_SMALL},
		{1, MiB, true, E_TARGET_SMALL}, {MiB, 1, true, E_RANGE},
		{MiB, 0, false, E_NONE},	{MiB + 1, 0, false, E_RANGE},
		{UINT64_MAX, 2, true, E_RANGE}, {2, UINT64_MAX, true, E_TARGET_SMALL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct entry en = {.offset = rows[i].off};
		struct err e = {0};
		struct fakedev f;
		struct step st = {.entry = &en,
				  .dev = &f.d,
				  .has_size = rows[i].has_size,
				  .size = rows[i].size};

		assert_int_equal(fakedev_init(&f, MiB, 0), 0);
		assert_int_equal(handler_raw.check(&st, &e) < 0, rows[i].code != E_NONE);
		assert_int_equal(e.code, rows[i].code);
		assert_int_equal(f.count, 0);
		fakedev_clear(&f);
	}
}

static void raw_without_a_device_says_what_is_missing(void **state)
{
	const struct entry en = {0};
	struct step st = {.entry = &en};
	struct err e = {0};

	(void)state;
	assert_true(handler_raw.check(&st, &e) < 0);
	assert_int_equal(e.code, E_DESC_MISSING);
}

static void t109_raw_reports_the_device_that_failed(void **state)
{
	struct fake src = {.data = image, .size = sizeof(image), .max_piece = MiB};
	const struct entry en = {0};
	struct fakedev f;
	struct step st = {.entry = &en, .dev = &f.d};
	struct err e;

	(void)state;
	assert_int_equal(fakedev_init(&f, 4 * MiB, 0), 0);
	f.fail_op = FAKEDEV_WRITE;
	f.fail_at = 2;
	f.fail_errno = EIO;
	assert_int_equal(install(&st, &src, &e), -EIO);
	assert_int_equal(e.code, E_TARGET_WRITE);
	assert_string_equal(e.object, "fake");
	fakedev_clear(&f);
}

static void raw_has_what_bundles_expect(void **state)
{
	(void)state;
	assert_string_equal(handler_raw.name, "raw");
	assert_int_equal(handler_raw.sections, SECTION_IMAGES);
	assert_int_equal(handler_raw.holds, HOLDS_DEVICE);
	assert_false(handler_raw.no_data);
}

/* ---- the write protection of an eMMC boot partition, for a loop device, in a /sys of our own ----
 */

static char root[] = "/tmp/swinstall-raw-XXXXXX", file[96], ro[192];
static struct loopdev loop = {.fd = -1};

static void make_protected_device(void)
{
	struct stat sb;
	const char *why;
	char *p;
	int fd;

	assert_non_null(mkdtemp(root));
	snprintf(file, sizeof(file), "%s/medium", root);
	fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, 4 * MiB), 0);
	close(fd);
	why = loopdev_attach(&loop, file, 512, false);
	if (why) {
		print_message("SKIP: %s\n", why);
		skip();
	}
	assert_int_equal(fstat(loop.fd, &sb), 0);
	snprintf(ro, sizeof(ro), "%s/sys/dev/block/%u:%u/force_ro", root, major(sb.st_rdev),
		 minor(sb.st_rdev));
	for (p = ro + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(ro, 0700);
		*p = '/';
	}
	fd = open(ro, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "1\n", 2), 2);
	close(fd);
	sys_set_root(root);
}

static int remove_device(void **state)
{
	(void)state;
	sys_set_root(NULL);
	loopdev_detach(&loop);
	unlink(file);
	unlink(ro);
	for (char *p; (p = strrchr(ro, '/')) > ro + strlen("/tmp");) {
		*p = '\0';
		rmdir(ro);
	}
	snprintf(root, sizeof(root), "/tmp/swinstall-raw-XXXXXX");
	return 0;
}

static char protection(void)
{
	char *text, now;
	size_t n;

	assert_int_equal(sys_read_file(AT_FDCWD, ro, 64, &text, &n), 0);
	now = text[0];
	free(text);
	return now;
}

/* looks at the protection while bytes flow */
static char seen;
static ssize_t spy_next(struct stream *s, const uint8_t **buf, struct err *e)
{
	seen = protection();
	return stream_next(s->up, buf, e);
}
static void spy_close(struct stream *s)
{
	(void)s;
}
static const struct stream_ops spy_ops = {.name = "spy", .next = spy_next, .close = spy_close};

static void raw_lifts_the_protection_of_a_boot_partition_only_while_it_writes(void **state)
{
	(void)state;
	make_protected_device();
	for (unsigned fails = 0; fails < 2; fails++) {
		struct fake src = {.data = image,
				   .size = 2 * MiB,
				   .max_piece = MiB,
				   .fails = fails,
				   .fail_at = MiB,
				   .fail_code = E_TRUNCATED};
		const struct entry en = {0};
		struct step st = {.entry = &en};
		struct stream *up, spy;
		struct err e = {0};
		int rc;

		assert_int_equal(blkdev_open(&st.dev, open(loop.path, O_RDWR | O_CLOEXEC),
					     loop.path, NULL, &e),
				 0);
		assert_int_equal(fake_stream_open(&up, &src, &e), 0);
		stream_init(&spy, &spy_ops, up);
		seen = '?';
		rc = handler_raw.install(&st, &spy, &e);
		assert_int_equal(rc < 0, fails);
		assert_int_equal(e.code, fails ? E_TRUNCATED : E_NONE);
		assert_int_equal(seen, '0');
		assert_int_equal(protection(), '1');
		stream_close(up);
		blkdev_close(st.dev);
	}
}

static int setup(void **state)
{
	(void)state;
	fake_bytes(image, sizeof(image), 9);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(raw_writes_the_payload_at_its_offset),
		cmocka_unit_test(raw_truncated_payload_is_never_flushed),
		cmocka_unit_test(t39_raw_check_refuses_what_cannot_fit_before_any_write),
		cmocka_unit_test(raw_without_a_device_says_what_is_missing),
		cmocka_unit_test(t109_raw_reports_the_device_that_failed),
		cmocka_unit_test(raw_has_what_bundles_expect),
		cmocka_unit_test_teardown(
			raw_lifts_the_protection_of_a_boot_partition_only_while_it_writes,
			remove_device),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
