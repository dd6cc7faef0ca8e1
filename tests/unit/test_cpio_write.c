/* The archive writer: bytes that depend on names, order and content only, and a file that changed
 * is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <fcntl.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/build/cpio_write.h"
#include "corelib/base/digest.h"
#include "corelib/base/text.h"
#include "parser/bundle.h"

struct archive {
	struct cpio_writer w;
	uint8_t bytes[8192];
	size_t n;
};

static void start(struct archive *a)
{
	memset(a, 0, sizeof(*a));
	a->w.fd = memfd_create("archive", MFD_CLOEXEC);
	assert_true(a->w.fd >= 0);
}

static void finish(struct archive *a)
{
	struct err e;
	ssize_t n;

	err_clear(&e);
	assert_int_equal(cpio_write_trailer(&a->w, &e), 0);
	n = pread(a->w.fd, a->bytes, sizeof(a->bytes), 0);
	assert_true(n > 0 && (size_t)n < sizeof(a->bytes));
	a->n = (size_t)n;
	close(a->w.fd);
}

static void add(struct archive *a, const char *name, const char *data)
{
	struct err e;

	err_clear(&e);
	assert_int_equal(cpio_write_mem(&a->w, name, data, strlen(data), &e), 0);
}

static enum errcode begin(struct archive *a, const char *name, uint64_t size)
{
	const struct cpio_member m = {.name = name, .size = size};
	struct err e;
	int rc;

	err_clear(&e);
	rc = cpio_write_begin(&a->w, &m, &e);
	assert_int_equal(rc < 0, err_is_set(&e));
	return e.code;
}

static void cpio_header_has_no_trace_of_the_build_machine(void **state)
{
	static const char want[] = "070702"
				   "00000001" /* ino: the first */
				   "000081A4" /* mode: a file of 0644 */
				   "00000000"
				   "00000000" /* uid, gid */
				   "00000001" /* nlink */
				   "00000000" /* mtime */
				   "00000005" /* size */
				   "00000000"
				   "00000000"
				   "00000000"
				   "00000000"  /* devices */
				   "00000002"  /* name with its NUL */
				   "00000214"; /* sum of 'hello' */
	struct archive a;

	(void)state;
	start(&a);
	add(&a, "n", "hello");
	finish(&a);
	assert_memory_equal(a.bytes, want, CPIO_HEAD);
	assert_memory_equal(a.bytes + CPIO_HEAD,
			    "n\0hello\0\0\0"
			    "070702",
			    16);
}

static void cpio_same_members_make_the_same_bytes(void **state)
{
	struct archive a[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		start(&a[i]);
		add(&a[i], "sw-description", "one");
		add(&a[i], "two", "");
		finish(&a[i]);
	}
	assert_int_equal(a[0].n, a[1].n);
	assert_memory_equal(a[0].bytes, a[1].bytes, a[0].n);
	assert_int_equal(a[0].n % 512, 0);
}

static void cpio_mtime_is_the_one_given(void **state)
{
	struct archive a;

	(void)state;
	start(&a);
	a.w.mtime = 0x65000000;
	add(&a, "n", "x");
	finish(&a);
	assert_memory_equal(a.bytes + 46, "65000000", 8);
}

static void cpio_headers_are_what_the_parser_reads(void **state)
{
	struct archive a;
	struct cpio_head h;
	struct err e;

	(void)state;
	start(&a);
	add(&a, "four", "\xff\xff\xff\xff");
	finish(&a);
	err_clear(&e);
	assert_int_equal(cpio_head_parse(&h, a.bytes, false, &e), 0);
	assert_int_equal(h.size, 4);
	assert_int_equal(h.sum, 4 * 255);
	assert_true(h.has_sum);
	assert_int_equal(h.namesize, 5);
}

static void t22_a_member_of_4_gib_is_refused(void **state)
{
	struct archive a;

	(void)state;
	start(&a);
	assert_int_equal(begin(&a, "large", (uint64_t)UINT32_MAX), E_NONE);
	assert_int_equal(begin(&a, "larger", (uint64_t)UINT32_MAX + 1), E_BUILD);
	close(a.w.fd);
}

static void t21_names_that_devices_refuse_are_not_written(void **state)
{
	static const char *const bad[] = {"",	  "a/b",	"..",  "/etc/passwd",
					  "a\nb", "TRAILER!!!", "\xff"};
	struct archive a;

	(void)state;
	start(&a);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(begin(&a, bad[i], 1), E_CPIO_NAME);
	assert_int_equal(lseek(a.w.fd, 0, SEEK_CUR), 0);
	close(a.w.fd);
}

static void cpio_a_file_that_changed_is_told(void **state)
{
	const struct cpio_member m = {.name = "f", .size = 4, .sum = 'a' + 'b' + 'c' + 'd'};
	static const struct {
		const char *data;
		bool good;
	} rows[] = {{"abcd", true}, {"abc", false}, {"abcde", false}, {"abce", false}};
	struct archive a;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err e;
		int rc;

		err_clear(&e);
		start(&a);
		rc = cpio_write_begin(&a.w, &m, &e);
		assert_int_equal(rc, 0);
		rc = cpio_write_data(&a.w, rows[i].data, strlen(rows[i].data), &e);
		if (rc == 0)
			rc = cpio_write_end(&a.w, &e);
		assert_int_equal(rc == 0, rows[i].good);
		assert_int_equal(e.code, rows[i].good ? E_NONE : E_BUILD);
		close(a.w.fd);
	}
}

static void cpio_a_full_disk_is_told(void **state)
{
	struct archive a = {.w.fd = open("/dev/full", O_WRONLY | O_CLOEXEC)};
	struct err e;

	(void)state;
	err_clear(&e);
	assert_true(cpio_write_mem(&a.w, "n", "x", 1, &e) < 0);
	assert_int_equal(e.code, E_BUILD);
	assert_non_null(strstr(e.why, "No space left"));
	close(a.w.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cpio_header_has_no_trace_of_the_build_machine),
		cmocka_unit_test(cpio_same_members_make_the_same_bytes),
		cmocka_unit_test(cpio_mtime_is_the_one_given),
		cmocka_unit_test(cpio_headers_are_what_the_parser_reads),
		cmocka_unit_test(t22_a_member_of_4_gib_is_refused),
		cmocka_unit_test(t21_names_that_devices_refuse_are_not_written),
		cmocka_unit_test(cpio_a_file_that_changed_is_told),
		cmocka_unit_test(cpio_a_full_disk_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
