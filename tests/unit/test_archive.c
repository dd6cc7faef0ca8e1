/*
 * Archives become records: in this process, and in the real swinstall-unpack. T45, T47, T48, T54,
 * T62.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/pipeline.h"
#include "corelib/stream/archive.h"
#include "corelib/base/digest.h"
#include "corelib/process/process.h"
#include "corelib/stream/stage_process.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/archives.h"
#include "tests/unit/kit/chunks.h"
#include "tests/unit/kit/fail_malloc.h"
#include "tests/unit/kit/hang.h"

/* ---- archives -----------------------------------------------------------------------------------
 */

static struct blob piped(const struct blob *in, const char *a, const char *b, const char *c)
{
	const char *const argv[] = {a, b, c, NULL};
	struct blob out = {0};

	assert_int_equal(tool_filter(argv, in, &out), 0);
	return out;
}

static void expect_text(const char *name, const char *form, const char *want)
{
	struct blob in = archives_get(name, form);

	for (int here = 0; here < 2; here++) {
		struct archives_look l = {.here = here};
		struct err e = {0};

		if (archives_look_at(&l, &in, &e) != 0)
			fail_msg("%s: %s", name, e.why);
		assert_string_equal(l.text, want);
	}
	blob_clear(&in);
}

/* ---- what is taken ------------------------------------------------------------------------------
 */

static void each_kind_is_told(void **state)
{
	(void)state;
	expect_text("spellings", "-", "d .\nd a/b\nf a/b/f\n");
	expect_text("hardlink", "-", "f f\nh h -> f\n");
	expect_text("nodes", "-", "c c\nb b\np p\n");
	expect_text("twice", "gnu", "f f\nf f\n");
	expect_text("empty", "-", "");
	expect_text("symlink-out", "ustar", "l s -> /etc\nf s/evil\n");
	expect_text("symlink-later", "-", "d d\nf d/f\nl d -> /tmp\n");
}

/* names are bytes: nothing is looked up, converted or cut, in no locale */
static void names_are_bytes(void **state)
{
	(void)state;
	expect_text("names", "gnu",
		    "f gr\xc3\xbc\xc3\x9f \xe4\xb8\x96\xe7\x95\x8c\nf raw \xff\xfe\nf a\nb\n");
	expect_text("names", "pax",
		    "f gr\xc3\xbc\xc3\x9f \xe4\xb8\x96\xe7\x95\x8c\nf raw \xff\xfe\nf a\nb\n");
	expect_text("backslash", "-", "f ..\\evil\nf C:\\evil\n");
}

static void attributes_are_told_or_said_to_be_lost(void **state)
{
	(void)state;
	expect_text("xattr", "-", "f f user.a[1] system.posix_acl_access[44]\n");
	expect_text("acl-name", "-", "f f lost\n");
}

static void each_compression_around_it_is_seen(void **state)
{
	static const char *const tools[][3] = {{"gzip", "-c", NULL},
					       {"xz", "-c0", NULL},
					       {"zstd", "-qc", NULL},
					       {"lz4", "-qc", NULL},
					       {"cat", NULL, NULL}};
	struct blob plain = archives_get("many", "300");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tools); i++) {
		struct blob in = piped(&plain, tools[i][0], tools[i][1], tools[i][2]);

		for (size_t max = 0; max < 3000; max += 1009) {
			struct archives_look l = {.max = max, .here = max == 1009};
			struct err e = {0};

			if (archives_look_at(&l, &in, &e) != 0)
				fail_msg("%s: %s", tools[i][0], e.why);
			assert_int_equal(l.count, 300);
			assert_true(l.bytes > 100000);
		}
		blob_clear(&in);
	}
	blob_clear(&plain);
}

/* the attribute "compressed" of the description around a compressed archive */
static void two_compressions_are_undone(void **state)
{
	struct blob plain = archives_get("many", "30"), in = piped(&plain, "gzip", "-c", NULL),
		    twice = piped(&in, "zstd", "-qc", NULL);
	struct archives_look l = {.codec = CODEC_ZSTD};

	(void)state;
	assert_int_equal(archives_code_of(&twice, &l), E_NONE);
	assert_int_equal(l.count, 30);
	blob_clear(&plain);
	blob_clear(&in);
	blob_clear(&twice);
}

/* ---- what is refused ----------------------------------------------------------------------------
 */

static void t45_names_that_lead_out_are_refused(void **state)
{
	const char *name;
	unsigned count;
	struct blob in;

	(void)state;
	for (count = 0; (name = archives_at("evil", count, &in)); count++) {
		struct archives_look l = {.here = true}, child = {0};
		enum errcode code = archives_code_of(&in, &l);

		if (code != E_ARCHIVE_PATH && code != E_ARCHIVE)
			fail_msg("%s was taken (%d): %s", name, code, l.text);
		assert_int_equal(archives_code_of(&in, &child), code);
		assert_int_equal(child.count, 0);
		if (strstr(name, "dotdot") || strstr(name, "absolute") || strstr(name, "pax"))
			assert_int_equal(code, E_ARCHIVE_PATH);
		blob_clear(&in);
	}
	assert_int_equal(count, 25);
}

static void cut_anywhere_is_an_error(void **state)
{
	struct blob in = archives_get("many", "7");
	size_t end = in.len;

	(void)state;
	while (end > 0 && !in.data[end - 1])
		end--;
	end = (end + 511) / 512 * 512 + 1024;
	assert_true(end <= in.len);
	for (size_t n = 0; n < end; n += 1 + n % 97) {
		const struct blob cut = {in.data, n};
		struct archives_look l = {.here = true};
		enum errcode code = archives_code_of(&cut, &l);

		if (code != E_ARCHIVE)
			fail_msg("cut at %zu of %zu: %d", n, end, code);
	}
	const struct blob least = {in.data, end};
	struct archives_look l = {.here = true};

	assert_int_equal(archives_code_of(&least, &l), E_NONE);
	blob_clear(&in);
}

/* T26: what lies behind the end is padding or an error */
static void bytes_behind_the_end_are_refused(void **state)
{
	struct blob in = archives_get("hardlink", "-"), zeros = {calloc(1, 1 << 20), 1 << 20};
	struct archives_look l = {0};

	(void)state;
	assert_non_null(zeros.data);
	blob_add(&in, zeros.data, zeros.len);
	assert_int_equal(archives_code_of(&in, &l), E_NONE);
	in.data[in.len - 1] = 1;
	assert_int_equal(archives_code_of(&in, &l), E_ARCHIVE);
	blob_clear(&in);
	blob_clear(&zeros);
}

static void other_formats_are_refused(void **state)
{
	static const char text[] = "this is a text and not an archive, however long it may be\n";
	struct blob b = {0}, name = {0}, cpio;
	struct archives_look l = {0};

	(void)state;
	assert_int_equal(archives_code_of(&b, &l), E_ARCHIVE);
	for (int i = 0; i < 100; i++)
		blob_add(&b, text, sizeof(text) - 1);
	assert_int_equal(archives_code_of(&b, &l), E_ARCHIVE);
	blob_add(&name, "Makefile\n", 9);
	if (tool_there("cpio")) {
		const char *const argv[] = {"cpio", "--quiet", "-oHnewc", NULL};

		cpio = (struct blob){0};
		assert_int_equal(tool_filter(argv, &name, &cpio), 0);
		assert_int_equal(archives_code_of(&cpio, &l), E_ARCHIVE);
		blob_clear(&cpio);
	}
	blob_clear(&b);
	blob_clear(&name);
}

/* what the payload's hash says goes before what the parser says */
static void a_wrong_hash_is_told_as_such(void **state)
{
	struct blob in = archives_get("many", "7");
	struct archives_look l = {.at_end = E_PAYLOAD_HASH};

	(void)state;
	assert_int_equal(archives_code_of(&in, &l), E_PAYLOAD_HASH);
	in.data[0] ^= 1;
	assert_int_equal(archives_code_of(&in, &l), E_PAYLOAD_HASH);
	l.here = true;
	assert_int_equal(archives_code_of(&in, &l), E_PAYLOAD_HASH);
	blob_clear(&in);
}

/* each bit of a header, in this process: the sanitizers look on */
static void t48_flipped_bits_do_no_harm(void **state)
{
	struct blob in = archives_get("xattr", "-");

	(void)state;
	for (size_t bit = 0; bit < 2560 * 8; bit += 3) {
		struct archives_look l = {.here = true};

		in.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		archives_code_of(&in, &l);
		in.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	blob_clear(&in);
}

/* ---- limits -------------------------------------------------------------------------------------
 */

static void t47_windows_above_the_limit_are_refused(void **state)
{
	static const char *const big[][3] = {{"xz", "-c9", NULL}, {"zstd", "-qc", "--long=27"}};
	struct blob plain = {calloc(1, 1 << 20), 1 << 20};

	(void)state;
	assert_non_null(plain.data);
	for (size_t i = 0; i < ARRAY_SIZE(big); i++) {
		struct blob in = piped(&plain, big[i][0], big[i][1], big[i][2]);
		struct archives_look l = {0};

		if (archives_code_of(&in, &l) != E_LIMIT_MEM)
			fail_msg("%s was not refused", big[i][0]);
		blob_clear(&in);
	}
	blob_clear(&plain);
}

/* zeros without an end behind the end mark, in few bytes */
static void t47_padding_has_a_limit(void **state)
{
	struct blob plain = {calloc(1, 20 << 20), 20 << 20},
		    in = piped(&plain, "zstd", "-qc", NULL);
	struct archives_look l = {0};

	(void)state;
	assert_int_equal(archives_code_of(&in, &l), E_ARCHIVE);
	blob_clear(&in);
	blob_clear(&plain);
}

static void t47_a_cap_counts_what_comes_out(void **state)
{
	struct blob plain = archives_get("many", "300"), in = piped(&plain, "zstd", "-qc", NULL);
	const struct chunks src = {.bytes = in};
	AUTO_STREAM struct stream *s = chunks_open(&src);
	struct archives_look l = {0};
	struct err e = {0};

	(void)state;
	assert_int_equal(stage_archive_open(&s, CODEC_NONE, ARCHIVES_MEM_MAX, &e), 0);
	assert_int_equal(stage_cap_open(&s, 100000, &e), 0);
	assert_int_equal(archives_read(&l, s, &e), -EFBIG);
	assert_int_equal(e.code, E_LIMIT_OUTPUT);
	blob_clear(&in);
	blob_clear(&plain);
}

/* ---- the child ----------------------------------------------------------------------------------
 */

static char *status_of(int pid)
{
	char path[64], *text = NULL;
	size_t len;

	assert_int_equal(text_print(path, sizeof(path), "/proc/%d/status", pid), 0);
	assert_int_equal(sys_read_file(AT_FDCWD, path, 65536, &text, &len), 0);
	return text;
}

/* T54, T48: killed in the middle of a record */
static void t54_a_child_that_is_killed_is_told_at_once(void **state)
{
	struct blob in;
	struct archives_look l = {0};
	struct err e = {0};
	AUTO_STREAM struct stream *s = archives_half_way(&in, &e);
	uint64_t start = sys_now_ms();

	(void)state;
	assert_int_equal(kill(stage_process_pid(s), SIGKILL), 0);
	assert_true(stream_drain(s, &e) < 0);
	assert_int_equal(e.code, E_WORKER);
	assert_non_null(strstr(e.why, "signal 9"));
	assert_true(sys_now_ms() - start < HANG_MS);
	(void)l;
	blob_clear(&in);
}

/* T62: asked of the kernel, while it reads an archive */
static void t62_the_child_has_no_rights(void **state)
{
	static const char *const lines[] = {"\nUid:\t65534\t65534\t65534\t65534\n",
					    "\nGid:\t65534\t65534\t65534\t65534\n",
					    "\nGroups:\t",
					    "\nCapInh:\t0000000000000000\n",
					    "\nCapPrm:\t0000000000000000\n",
					    "\nCapEff:\t0000000000000000\n",
					    "\nCapBnd:\t0000000000000000\n",
					    "\nCapAmb:\t0000000000000000\n",
					    "\nNoNewPrivs:\t1\n",
					    "\nSeccomp:\t2\n",
					    "\nThreads:\t1\n"};
	struct blob in;
	struct err e = {0};
	AUTO_STREAM struct stream *s = archives_half_way(&in, &e);
	AUTO_FREE char *text = status_of(stage_process_pid(s));

	(void)state;
	for (size_t i = geteuid() == 0 ? 0 : 3; i < ARRAY_SIZE(lines); i++)
		if (!strstr(text, lines[i]))
			fail_msg("not there: %s in %s", lines[i], text);
	if (geteuid() == 0) {
		const char *groups = strstr(text, "\nGroups:\t") + 9;

		assert_int_equal(groups[strspn(groups, " ")], '\n');
	}
	blob_clear(&in);
}

/* ---- the pipeline -------------------------------------------------------------------------------
 */

static int collect(struct step *st, struct stream *in, struct err *e)
{
	return archives_read(st->state, in, e);
}

static const struct handler collector = {
	.name = "collector", .kind = HANDLER_TARGET, .records = true, .install = collect};

/* also where every byte was proven before: no archive is parsed in the job */
static void a_handler_that_wants_records_gets_them(void **state)
{
	struct blob plain = archives_get("many", "30"), in = piped(&plain, "xz", "-c0", NULL),
		    twice = piped(&in, "gzip", "-c", NULL);

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		const struct blob *bytes = i & 1 ? &twice : &in;
		const struct chunks src = {.bytes = *bytes, .max = 5000, .seed = i};
		struct settings cfg = {.mem_max = ARCHIVES_MEM_MAX};
		struct entry entry = {.filename = "a.tar.xz",
				      .has_sha256 = true,
				      .compressed = i & 1 ? (int)CODEC_GZIP : (int)CODEC_NONE};
		struct archives_look l = {0};
		struct plan_step ps = {
			.step = {.entry = &entry, .handler = &collector, .state = &l},
			.span = {.room = UINT64_MAX}};
		struct session session = {.cfg = &cfg};
		struct feed feed = {.session = &session, .threads = i & 2 ? 4 : 1};
		struct err e = {0};

		assert_int_equal(sha256_once(bytes->data, bytes->len, entry.sha256, &e), 0);
		entry.sha256[0] ^= i & 4 ? 1 : 0;
		struct stream *s = chunks_open(&src);
		pipeline_fit(&ps, s, &feed);
		int rc = pipeline_install(&ps, s, &feed, &e);

		assert_int_equal(e.code, i & 4 ? E_PAYLOAD_HASH : E_NONE);
		assert_int_equal(rc == 0, !(i & 4));
		if (rc == 0)
			assert_int_equal(l.count, 30);
	}
	blob_clear(&plain);
	blob_clear(&in);
	blob_clear(&twice);
}

static void each_allocation_that_fails_is_told(void **state)
{
	struct blob in;
	bool failed = true;

	(void)state;
	if (!fail_malloc_works())
		skip();
	in = archives_get("xattr", "-");
	for (unsigned n = 1; failed; n++) {
		struct archives_look l = {.here = true};
		struct err e = {0};
		const struct chunks src = {.bytes = in};
		AUTO_STREAM struct stream *s = chunks_open(&src);

		fail_malloc_ours_at(n);
		int rc = stage_guess_open(&s, ARCHIVES_MEM_MAX, &e);

		if (rc == 0)
			rc = stage_untar_open(&s, &e);
		if (rc == 0)
			rc = archives_read(&l, s, &e);
		failed = fail_malloc_off();
		assert_int_equal(rc < 0, failed);
		if (failed && e.code != E_MEMORY)
			fail_msg("allocation %u: %d, %s", n, rc, e.why);
	}
	blob_clear(&in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_is_told),
		cmocka_unit_test(names_are_bytes),
		cmocka_unit_test(attributes_are_told_or_said_to_be_lost),
		cmocka_unit_test(each_compression_around_it_is_seen),
		cmocka_unit_test(two_compressions_are_undone),
		cmocka_unit_test(t45_names_that_lead_out_are_refused),
		cmocka_unit_test(cut_anywhere_is_an_error),
		cmocka_unit_test(bytes_behind_the_end_are_refused),
		cmocka_unit_test(other_formats_are_refused),
		cmocka_unit_test(a_wrong_hash_is_told_as_such),
		cmocka_unit_test(t48_flipped_bits_do_no_harm),
		cmocka_unit_test(t47_windows_above_the_limit_are_refused),
		cmocka_unit_test(t47_padding_has_a_limit),
		cmocka_unit_test(t47_a_cap_counts_what_comes_out),
		cmocka_unit_test(t54_a_child_that_is_killed_is_told_at_once),
		cmocka_unit_test(t62_the_child_has_no_rights),
		cmocka_unit_test(a_handler_that_wants_records_gets_them),
		cmocka_unit_test(each_allocation_that_fails_is_told),
	};

	archive_warm_up();
	return cmocka_run_group_tests(tests, archives_load, archives_forget);
}
