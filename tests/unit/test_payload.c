/* Payloads on their way into a bundle: what is written is what was measured, or nothing is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include <errno.h>

#include "core/build/cpio_write.h"
#include "core/build/output.h"
#include "core/build/payload.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "parser/manifest.h"

static const char first[] = "abcdefgh";

static int file_of(const char *text)
{
	int fd = memfd_create("in", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(sys_pwrite(fd, text, strlen(text), 0), 0);
	return fd;
}

/* measures a file with the first content, gives it 'later', and writes it */
static int write_changed(const char *later, uint64_t part_size, struct err *e)
{
	struct payload_file p = {.path = "dir/image",
				 .fd = file_of(first),
				 .size = strlen(first),
				 .part_size = part_size};
	struct cpio_writer w = {.fd = memfd_create("out", MFD_CLOEXEC)};
	int rc;

	err_clear(e);
	assert_int_equal(text_copy(p.member, sizeof(p.member), "image"), 0);
	assert_int_equal(payload_measure(&p, e), 0);
	assert_int_equal(ftruncate(p.fd, 0), 0);
	assert_int_equal(sys_pwrite(p.fd, later, strlen(later), 0), 0);
	rc = payload_write(&p, &w, e);
	payload_close(&p);
	close(w.fd);
	return rc;
}

static void a_payload_that_stays_is_written(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(write_changed(first, 0, &e), 0);
	assert_int_equal(write_changed(first, 3, &e), 0);
}

/* the archive's sum adds bytes: it does not see two that change places */
static void a_payload_that_changes_after_it_was_measured_is_refused(void **state)
{
	static const char *const later[] = {"bacdefgh", "abcdefg", "", "xbcdefgh", "hgfedcba"};
	static const uint64_t parts[] = {0, 3, 4};
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(later); i++)
		for (size_t k = 0; k < ARRAY_SIZE(parts); k++) {
			assert_true(write_changed(later[i], parts[k], &e) < 0);
			assert_int_equal(e.code, E_BUILD);
			assert_non_null(strstr(e.where, "dir/image"));
		}
	assert_true(write_changed("bacdefgh", 0, &e) < 0);
	assert_non_null(strstr(e.why, "changed"));
}

/* what is added behind the end is not part of what was measured */
static void bytes_that_are_added_later_are_left_out(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(write_changed("abcdefgh and more", 0, &e), 0);
}

/* its size is written into the description, so it must be the one that was compressed; files of
 * proc tell a size of 0 */
static void a_payload_whose_size_is_another_when_it_is_compressed_is_refused(void **state)
{
	const struct payload_dirs dirs = {.count = 0};
	struct output scratch = {.fd = -1, .folder = -1};
	struct payload_file p = {.path = "/proc/version", .fd = -1};
	struct err e;

	(void)state;
	err_clear(&e);
	assert_int_equal(output_open(&scratch, "/tmp/test_payload.out", &e), 0);
	for (enum codec c = CODEC_GZIP; c < CODEC_COUNT; c++) {
		p.codec = c;
		err_clear(&e);
		assert_true(payload_open(&p, &dirs, &scratch, &e) < 0);
		assert_int_equal(e.code, E_BUILD);
		assert_non_null(strstr(e.why, "changed"));
		payload_close(&p);
	}
	output_close(&scratch);
}

/* the reader of a device takes no longer list, nor does verify */
static void a_hash_list_that_no_device_takes_is_refused_before_it_is_made(void **state)
{
	struct payload_file p = {
		.path = "image", .fd = memfd_create("in", MFD_CLOEXEC), .block = 64 * 1024};
	struct err e = {0};

	(void)state;
	p.size = HASH_LIST_MAX / 32 * p.block + 1;
	assert_int_equal(ftruncate(p.fd, (off_t)p.size), 0);
	assert_int_equal(payload_measure(&p, &e), -EFBIG);
	assert_int_equal(e.code, E_BUILD);
	assert_non_null(strstr(e.why, "hash-block"));
	payload_close(&p);
}

/* ---- what a power cut on the build machine finds ---- */

static char order[64]; /* w: content written, f: file flushed, r: renamed, d: folder flushed */

static void note(char what)
{
	size_t n = strlen(order);

	if (n + 1 < sizeof(order) && (n == 0 || order[n - 1] != what))
		order[n] = what;
}

ssize_t write(int fd, const void *buf, size_t n)
{
	note('w');
	return syscall(SYS_write, fd, buf, n);
}

int fsync(int fd)
{
	struct stat st;

	note(fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) ? 'd' : 'f');
	return (int)syscall(SYS_fsync, fd);
}

int renameat(int from, const char *old, int to, const char *new)
{
	note('r');
	return (int)syscall(SYS_renameat2, from, old, to, new, 0);
}

static void a_bundle_has_its_name_only_when_its_content_is_on_the_medium(void **state)
{
	char folder[] = "/tmp/test-payload-XXXXXX", path[64];
	struct output o;
	struct err e = {0};

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/out.swu", folder);
	memset(order, 0, sizeof(order));
	assert_int_equal(output_open(&o, path, &e), 0);
	assert_int_equal(sys_write(o.fd, "bundle", 6), 0);
	assert_int_equal(output_commit(&o, &e), 0);
	output_close(&o);
	assert_string_equal(order, "wfrd");
	unlink(path);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_payload_that_stays_is_written),
		cmocka_unit_test(a_payload_that_changes_after_it_was_measured_is_refused),
		cmocka_unit_test(a_payload_whose_size_is_another_when_it_is_compressed_is_refused),
		cmocka_unit_test(bytes_that_are_added_later_are_left_out),
		cmocka_unit_test(a_bundle_has_its_name_only_when_its_content_is_on_the_medium),
		cmocka_unit_test(a_hash_list_that_no_device_takes_is_refused_before_it_is_made),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
