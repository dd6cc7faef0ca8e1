/* Records: what the writer writes the reader tells, and what cannot be is refused (T45, T54). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "corelib/stream/records_private.h"
#include "tests/unit/kit/chunks.h"
#include "tests/unit/kit/fail_malloc.h"
#include "tests/unit/kit/record_make.h"

/* ---- reading all of it --------------------------------------------------------------------------
 */

/* what was told, as text and bytes, so that two readings can be compared */
static void tell(struct blob *out, const struct record *rec)
{
	char line[256];
	int n = snprintf(line, sizeof(line), "%d %o %u:%u %llu %lld.%u %u,%u %d %zu ",
			 (int)rec->kind, rec->mode, rec->uid, rec->gid,
			 (unsigned long long)rec->size, (long long)rec->mtime, rec->mtime_ns,
			 rec->major, rec->minor, rec->attrs_lost, rec->xattr_count);

	blob_add(out, line, (size_t)n);
	blob_add(out, rec->path, strlen(rec->path) + 1);
	blob_add(out, rec->target, strlen(rec->target) + 1);
	for (size_t i = 0; i < rec->xattr_count; i++) {
		blob_add(out, rec->xattrs[i].name, strlen(rec->xattrs[i].name) + 1);
		blob_add(out, rec->xattrs[i].value, rec->xattrs[i].len);
	}
}

static int tell_data(struct blob *out, struct records *r, struct err *e)
{
	struct record_piece p;
	uint64_t at = 0;
	int rc;

	while ((rc = records_data(r, &p, e)) > 0) {
		if (p.offset != at)
			blob_add(out, &p.offset, sizeof(p.offset));
		blob_add(out, p.buf, p.len);
		at = p.offset + p.len;
	}
	return rc;
}

struct reading {
	size_t max;	  /* pieces of the stream */
	bool skip;	  /* do not look at the data */
	enum errcode end; /* of the stream */
	unsigned count;	  /* records that came */
};

static int read_all(const struct blob *in, struct reading *how, struct blob *out, struct err *e)
{
	const struct chunks src = {.bytes = *in, .max = how->max, .seed = 3, .at_end = how->end};
	AUTO_STREAM struct stream *s = chunks_open(&src);
	AUTO_RECORDS struct records *r = records_new(s, e);
	const struct record *rec;
	int rc = r ? 1 : -ENOMEM;

	how->count = 0;
	while (rc > 0 && (rc = records_next(r, &rec, e)) > 0) {
		how->count++;
		tell(out, rec);
		if (!how->skip && rec->kind == RECORD_FILE)
			rc = tell_data(out, r, e) < 0 ? -e->sys : 1;
	}
	return rc;
}

/* the reason that a reading ends with; E_NONE = it is well */
static enum errcode code_of(const struct blob *in)
{
	struct reading how = {0};
	struct blob out = {0};
	struct err e = {0};
	int rc = read_all(in, &how, &out, &e);

	blob_clear(&out);
	assert_int_equal(rc < 0, err_is_set(&e));
	return e.code;
}

static enum errcode code_of_one(const struct record *rec)
{
	struct blob b = {0};
	enum errcode code;

	record_put(&b, rec);
	if (rec->kind == RECORD_FILE)
		record_put_extent(&b, rec->size, 0);
	code = code_of(&b);
	blob_clear(&b);
	return code;
}

/* ---- one of each --------------------------------------------------------------------------------
 */

static struct blob one_of_each(void)
{
	static const struct record_xattr xattrs[] = {
		{"user.comment", (const uint8_t *)"hello", 5},
		{"security.capability", (const uint8_t *)"\1\0\0\2\0\0\0\0", 8},
		{"user.empty", NULL, 0},
	};
	struct blob b = {0};
	struct record r = record_of(RECORD_DIR, ".");

	record_put(&b, &r);
	r = record_of(RECORD_FILE, "etc/na\xc3\xafve\\x2d name");
	r.xattrs = xattrs;
	r.xattr_count = 3;
	r.mode = 06755;
	r.uid = 4294967294u;
	r.gid = 7;
	r.mtime = -5;
	r.mtime_ns = 999999999;
	record_put_file(&b, &r, "some bytes", 10);
	r = record_of(RECORD_FILE, "holes");
	r.size = UINT64_C(1) << 40;
	record_put(&b, &r);
	record_put_extent(&b, 4096, 4);
	blob_add(&b, "abcd", 4);
	record_put_extent(&b, UINT64_C(1) << 39, 2);
	blob_add(&b, "ef", 2);
	record_put_extent(&b, r.size, 0);
	r = record_of(RECORD_FILE, "empty");
	record_put_file(&b, &r, NULL, 0);
	r = record_of(RECORD_SYMLINK, "etc/link");
	r.target = "../../anywhere";
	r.attrs_lost = true;
	record_put(&b, &r);
	r = record_of(RECORD_HARDLINK, "etc/again");
	r.target = "etc/na\xc3\xafve\\x2d name";
	record_put(&b, &r);
	r = record_of(RECORD_CHAR, "dev/null");
	r.major = 1;
	r.minor = 3;
	record_put(&b, &r);
	r.kind = RECORD_BLOCK;
	r.path = "dev/sda";
	record_put(&b, &r);
	r = record_of(RECORD_FIFO, "run/fifo");
	record_put(&b, &r);
	return b;
}

static void what_was_written_is_told(void **state)
{
	struct blob in = one_of_each(), whole = {0}, pieces = {0};
	struct err e = {0};
	struct reading how = {0};

	(void)state;
	assert_int_equal(read_all(&in, &how, &whole, &e), 0);
	assert_int_equal(how.count, 9);
	assert_non_null(memmem(whole.data, whole.len, "some bytes", 10));
	assert_non_null(memmem(whole.data, whole.len, "2 755 0:0 0 1000000000.0 0,0 0 0 .", 35));
	assert_non_null(
		memmem(whole.data, whole.len, "1 6755 4294967294:7 10 -5.999999999 0,0 0 3 ", 44));
	assert_non_null(memmem(whole.data, whole.len, "user.comment\0hello", 18));
	assert_non_null(memmem(whole.data, whole.len, " 1 0 etc/link\0../../anywhere", 28));
	assert_non_null(memmem(whole.data, whole.len, " 1,3 0 0 dev/null", 18));
	for (how.max = 1; how.max < 80; how.max += 7) {
		assert_int_equal(read_all(&in, &how, &pieces, &e), 0);
		assert_int_equal(pieces.len, whole.len);
		assert_memory_equal(pieces.data, whole.data, whole.len);
		blob_clear(&pieces);
	}
	blob_clear(&in);
	blob_clear(&whole);
}

static void data_that_nobody_wants_is_read_past(void **state)
{
	struct blob in = one_of_each(), out = {0};
	struct reading how = {.max = 11, .skip = true};
	struct err e = {0};

	(void)state;
	assert_int_equal(read_all(&in, &how, &out, &e), 0);
	assert_int_equal(how.count, 9);
	assert_null(memmem(out.data, out.len, "some bytes", 10));
	blob_clear(&in);
	blob_clear(&out);
}

static void no_record_at_all_is_an_empty_archive(void **state)
{
	const struct blob none = {0};

	(void)state;
	assert_int_equal(code_of(&none), E_NONE);
}

/* ---- a stream that is not whole -----------------------------------------------------------------
 */

/* T54: only the ends of records are ends */
static void cut_at_every_byte_is_an_error(void **state)
{
	struct blob in = one_of_each();
	unsigned ends = 0;

	(void)state;
	for (size_t n = 0; n < in.len; n++) {
		const struct blob cut = {in.data, n};
		enum errcode code = code_of(&cut);

		if (code == E_NONE)
			ends++;
		else
			assert_int_equal(code, E_WORKER);
	}
	assert_int_equal(ends, 9);
	blob_clear(&in);
}

static void the_error_of_the_stream_stays(void **state)
{
	struct blob in = one_of_each(), out = {0};

	(void)state;
	for (size_t n = 0; n <= in.len; n += 13) {
		const struct blob cut = {in.data, n};
		struct reading how = {.end = E_PAYLOAD_HASH};
		struct err e = {0};

		assert_true(read_all(&cut, &how, &out, &e) < 0);
		assert_int_equal(e.code, E_PAYLOAD_HASH);
	}
	blob_clear(&in);
	blob_clear(&out);
}

/* T54: what comes of it is an error, or a record within all bounds; the sanitizers look on */
static void each_bit_flipped_is_an_error_or_another_record(void **state)
{
	struct blob in = one_of_each();
	unsigned refused = 0;

	(void)state;
	for (size_t bit = 0; bit < in.len * 8; bit++) {
		in.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		enum errcode code = code_of(&in);

		assert_true(code == E_NONE || code == E_WORKER || code == E_ARCHIVE_PATH);
		refused += code != E_NONE;
		in.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_true(refused > in.len * 2);
	blob_clear(&in);
}

/* ---- paths --------------------------------------------------------------------------------------
 */

/* T45 */
static void a_path_that_leads_out_is_refused(void **state)
{
	static const char *const bad[] = {
		"/etc/passwd", "..",  "../x", "a/../b", "a/..", "a//b", "a/",
		"/",	       "./a", "a/.",  "a/./b",	"",	"//",	".//",
	};
	static const char *const good[] = {
		"a", "...", "..a", "a/..b", "a.", "-", " ", "a\\..\\b", "C:\\x", "\xff\xfe", "a\nb",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct record r = record_of(RECORD_FILE, bad[i]);

		if (code_of_one(&r) != E_ARCHIVE_PATH)
			fail_msg("'%s' was taken", bad[i]);
		r = record_of(RECORD_HARDLINK, "link");
		r.target = bad[i];
		if (bad[i][0] && code_of_one(&r) != E_ARCHIVE_PATH)
			fail_msg("a hard link to '%s' was taken", bad[i]);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		const struct record r = record_of(RECORD_FILE, good[i]);

		if (code_of_one(&r) != E_NONE)
			fail_msg("'%s' was refused", good[i]);
	}
}

static void an_error_shows_no_control_bytes(void **state)
{
	const struct record r = record_of(RECORD_FILE, "/\033[2J\n");
	struct reading how = {0};
	struct blob in = {0}, out = {0};
	struct err e = {0};

	(void)state;
	record_put(&in, &r);
	assert_int_equal(read_all(&in, &how, &out, &e), -EXDEV);
	assert_null(strpbrk(e.why, "\033\n"));
	assert_non_null(strstr(e.why, "is absolute"));
	blob_clear(&in);
	blob_clear(&out);
}

static void lengths_at_their_edges(void **state)
{
	static char path[RECORD_PATH_MAX + 2];
	struct record r = record_of(RECORD_DIR, path);

	(void)state;
	for (size_t i = 0; i < sizeof(path) - 1; i++)
		path[i] = i % 256 == 255 ? '/' : 'x';
	path[RECORD_PATH_MAX] = '\0';
	assert_int_equal(code_of_one(&r), E_NONE);
	path[255] = 'x';
	assert_int_equal(code_of_one(&r), E_ARCHIVE_PATH);

	static uint8_t buf[RECORD_HEAD_MAX];

	path[RECORD_PATH_MAX] = 'x';
	assert_int_equal(record_write(&r, buf, sizeof(buf)), -EINVAL);
	r.path = "a";
	assert_int_equal(record_write(&r, buf, RECORD_FIXED), -ENOSPC);
	assert_int_equal(record_write(&r, buf, RECORD_FIXED + 1), RECORD_FIXED + 1);
}

/* ---- numbers ------------------------------------------------------------------------------------
 */

static void what_cannot_be_is_refused(void **state)
{
	struct record bad[] = {
		record_of((enum record_kind)0, "a"),   record_of(RECORD_KINDS, "a"),
		record_of((enum record_kind)255, "a"), record_of(RECORD_FILE, "a"),
		record_of(RECORD_FILE, "a"),	       record_of(RECORD_FILE, "a"),
		record_of(RECORD_FIFO, "a"),	       record_of(RECORD_FILE, "a"),
		record_of(RECORD_SYMLINK, "a"),	       record_of(RECORD_FILE, "a"),
		record_of(RECORD_FILE, "."),	       record_of(RECORD_HARDLINK, "a"),
	};

	(void)state;
	bad[3].mode = 010000;
	bad[4].mtime_ns = 1000000000;
	bad[5].size = UINT64_C(1) << 63;
	bad[6].size = 1;
	bad[7].minor = 1;
	bad[9].target = "b";
	bad[11].target = ".";
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (code_of_one(&bad[i]) != E_WORKER)
			fail_msg("record %zu was taken", i);
}

static enum errcode code_of_extents(const uint64_t (*x)[2], size_t n)
{
	static const uint8_t zeros[64];
	struct record r = record_of(RECORD_FILE, "a");
	struct blob b = {0};
	enum errcode code;

	r.size = 100;
	record_put(&b, &r);
	for (size_t i = 0; i < n; i++) {
		record_put_extent(&b, x[i][0], x[i][1]);
		blob_add(&b, zeros, x[i][1] < 64 ? x[i][1] : 64);
	}
	code = code_of(&b);
	blob_clear(&b);
	return code;
}

static void bytes_outside_their_file_are_refused(void **state)
{
	static const uint64_t good[][2] = {{0, 10}, {10, 5}, {95, 5}, {100, 0}};
	static const uint64_t hole[][2] = {{100, 0}};
	static const uint64_t back[][2] = {{50, 10}, {59, 5}, {100, 0}};
	static const uint64_t over[][2] = {{99, 2}, {100, 0}};
	static const uint64_t far[][2] = {{101, 0}};
	static const uint64_t wrap[][2] = {{50, UINT64_MAX - 10}, {100, 0}};
	static const uint64_t early[][2] = {{0, 10}, {10, 0}};

	(void)state;
	assert_int_equal(code_of_extents(good, 4), E_NONE);
	assert_int_equal(code_of_extents(hole, 1), E_NONE);
	assert_int_equal(code_of_extents(back, 3), E_WORKER);
	assert_int_equal(code_of_extents(over, 2), E_WORKER);
	assert_int_equal(code_of_extents(far, 1), E_WORKER);
	assert_int_equal(code_of_extents(wrap, 2), E_WORKER);
	assert_int_equal(code_of_extents(early, 2), E_WORKER);
}

/* ---- attributes ---------------------------------------------------------------------------------
 */

static void attributes_at_their_edges(void **state)
{
	static uint8_t value[RECORD_XATTR_SPACE], buf[RECORD_HEAD_MAX];
	static char name[RECORD_NAME_MAX + 2];
	struct record_xattr x[RECORD_XATTRS_MAX + 1];
	struct record r = record_of(RECORD_FILE, "a");

	(void)state;
	memset(name, 'n', RECORD_NAME_MAX);
	for (size_t i = 0; i <= RECORD_XATTRS_MAX; i++)
		x[i] = (struct record_xattr){name, value, 1};
	r.xattrs = x;
	r.xattr_count = RECORD_XATTRS_MAX;
	assert_int_equal(code_of_one(&r), E_NONE);
	r.xattr_count++;
	assert_int_equal(record_write(&r, buf, sizeof(buf)), -EINVAL);
	r.xattr_count = 1;
	x[0].len = RECORD_XATTR_SPACE - RECORD_NAME_MAX - RECORD_XATTR_HEAD;
	assert_int_equal(code_of_one(&r), E_NONE);
	x[0].len++;
	assert_int_equal(record_write(&r, buf, sizeof(buf)), -EINVAL);
	x[0].len = 1;
	name[RECORD_NAME_MAX] = 'n';
	assert_int_equal(record_write(&r, buf, sizeof(buf)), -EINVAL);
	name[0] = '\0';
	assert_int_equal(record_write(&r, buf, sizeof(buf)), -EINVAL);
}

/* change one byte of a record with one attribute "user.a" = "bc" */
static enum errcode code_of_changed(size_t at, uint8_t v)
{
	static const struct record_xattr x = {"user.a", (const uint8_t *)"bc", 2};
	struct record r = record_of(RECORD_DIR, "dir");
	struct blob b = {0};
	enum errcode code;

	r.xattrs = &x;
	r.xattr_count = 1;
	record_put(&b, &r);
	b.data[at] = v;
	code = code_of(&b);
	blob_clear(&b);
	return code;
}

static void lengths_that_lie_are_refused(void **state)
{
	const size_t x = RECORD_FIXED + 3;

	(void)state;
	assert_int_equal(code_of_changed(RECORD_FIXED, 'D'), E_NONE);
	assert_int_equal(code_of_changed(RECORD_FIXED, '\0'), E_WORKER);
	assert_int_equal(code_of_changed(RECORD_AT_PATH + 1, 0xff), E_WORKER);
	assert_int_equal(code_of_changed(RECORD_AT_TARGET + 1, 0xff), E_WORKER);
	assert_int_equal(code_of_changed(RECORD_AT_XATTRS, 0), E_WORKER);
	assert_int_equal(code_of_changed(RECORD_AT_XATTRS, 2), E_WORKER);
	assert_int_equal(code_of_changed(RECORD_AT_XATTRS + 1, 1), E_WORKER);
	assert_int_equal(code_of_changed(RECORD_AT_XATTR_SPACE, 15), E_WORKER);
	assert_int_equal(code_of_changed(RECORD_AT_XATTR_SPACE, 7), E_WORKER);
	assert_int_equal(code_of_changed(RECORD_AT_XATTR_SPACE + 3, 1), E_WORKER);
	assert_int_equal(code_of_changed(RECORD_AT_ZERO, 1), E_WORKER);
	assert_int_equal(code_of_changed(RECORD_AT_FLAGS, 2), E_WORKER);
	assert_int_equal(code_of_changed(RECORD_AT_MAGIC, 0), E_WORKER);
	assert_int_equal(code_of_changed(x, 0), E_WORKER);
	assert_int_equal(code_of_changed(x, 9), E_WORKER);
	assert_int_equal(code_of_changed(x + 1, 1), E_WORKER);
	assert_int_equal(code_of_changed(x + 2, 1), E_WORKER);
	assert_int_equal(code_of_changed(x + 4, 1), E_WORKER);
	assert_int_equal(code_of_changed(x + 7, 0x80), E_WORKER);
	assert_int_equal(code_of_changed(x + RECORD_XATTR_HEAD, 0), E_WORKER);
}

/* ---- memory -------------------------------------------------------------------------------------
 */

static void memory_that_runs_out_is_an_error(void **state)
{
	struct blob in = one_of_each();

	(void)state;
	for (unsigned n = 1; fail_malloc_works(); n++) {
		AUTO_STREAM struct stream *s = NULL;
		const struct record *rec;
		struct err e = {0};
		int rc = stream_mem_open(&s, in.data, in.len, &e);

		assert_int_equal(rc, 0);
		fail_malloc_at(n);
		struct records *r = records_new(s, &e);

		rc = r ? 1 : -ENOMEM;
		while (rc > 0)
			rc = records_next(r, &rec, &e);
		bool failed = fail_malloc_off();

		records_free(r);
		if (!failed)
			break;
		assert_int_equal(rc, -ENOMEM);
		assert_int_equal(e.code, E_MEMORY);
	}
	blob_clear(&in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_told),
		cmocka_unit_test(data_that_nobody_wants_is_read_past),
		cmocka_unit_test(no_record_at_all_is_an_empty_archive),
		cmocka_unit_test(cut_at_every_byte_is_an_error),
		cmocka_unit_test(the_error_of_the_stream_stays),
		cmocka_unit_test(each_bit_flipped_is_an_error_or_another_record),
		cmocka_unit_test(a_path_that_leads_out_is_refused),
		cmocka_unit_test(an_error_shows_no_control_bytes),
		cmocka_unit_test(lengths_at_their_edges),
		cmocka_unit_test(what_cannot_be_is_refused),
		cmocka_unit_test(bytes_outside_their_file_are_refused),
		cmocka_unit_test(attributes_at_their_edges),
		cmocka_unit_test(lengths_that_lie_are_refused),
		cmocka_unit_test(memory_that_runs_out_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
