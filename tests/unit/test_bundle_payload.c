/* Payloads as streams: again, in turns, in parts, left early. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "corelib/base/text.h"
#include "tests/unit/kit/bundle_run.h"

static void parts_are_one_payload_of_their_total_size(void **state)
{
	static const char *const names[] = {"other", "big.001", "big.002", "big.003", "b.x"};
	struct make_bundle mb = {0};
	struct br_want w = br_want_names("big", "b.x");

	(void)state;
	w.entries[0].parts = 3;
	br_parts_bundle(&mb, names, ARRAY_SIZE(names));
	for (size_t i = 0; i < BR_CHUNKS; i++) {
		struct br_result r = br_install(mb.bytes, mb.n, &w, br_chunks[i]);

		assert_int_equal(r.code, E_NONE);
		assert_string_equal(r.got[0], "001002003");
		assert_string_equal(r.got[1], "b.x");
		assert_int_equal(r.skipped, 1);
	}
	make_bundle_free(&mb);
}

static void parts_are_refused_unless_complete_in_order_and_adjacent(void **state)
{
	static const struct {
		const char *names[5];
		size_t n;
		enum errcode code;
	} rows[] = {
		{{"big.001", "big.002"}, 2, E_PARTS},
		{{"big.001", "big.003", "big.002"}, 3, E_PARTS},
		{{"big.002", "big.001", "big.003"}, 3, E_PARTS},
		{{"big.002", "big.002", "big.003"}, 3, E_PARTS},
		{{"big.002", "big.003"}, 2, E_PARTS},
		{{"big.001", "big.002", "other", "big.003"}, 4, E_PARTS},
		{{"big.001", "big.002", "a", "big.003"}, 4, E_PARTS},
		{{"big.001", "big.001", "big.002", "big.003"}, 4, E_PARTS},
		{{"big.001", "big.002", "big.003", "big.002"}, 4, E_CPIO_DUP},
		{{"big.001", "big.002", "big.003", "big.001"}, 4, E_CPIO_DUP},
		{{"big"}, 1, E_MEMBER_MISSING},
		{{"big.01", "big.02", "big.03"}, 3, E_MEMBER_MISSING},
		{{"big.0x1", "big001"}, 2, E_MEMBER_MISSING},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct make_bundle mb = {0};
		struct br_want w = br_want_names("big", NULL);

		w.entries[0].parts = 3;
		br_parts_bundle(&mb, rows[i].names, rows[i].n);
		br_expect(&mb, &w, rows[i].code);
	}
}

static void parts_behind_the_last_are_members_that_nobody_names(void **state)
{
	static const char *const names[] = {"big.001", "big.002", "big.003", "big.004", "big.000"};
	struct make_bundle mb = {0};
	struct br_want w = br_want_names("big", NULL);

	(void)state;
	w.entries[0].parts = 3;
	br_parts_bundle(&mb, names, ARRAY_SIZE(names));
	assert_int_equal(br_install(mb.bytes, mb.n, &w, 0).skipped, 2);
	br_expect(&mb, &w, E_NONE);
}

static void parts_that_contradict_each_other_are_refused(void **state)
{
	struct make_bundle mb = {0};
	struct br_want w = br_want_names("big", "big");

	(void)state;
	w.entries[0].parts = 3; /* one entry says parts, the other does not */
	br_good_bundle(&mb);
	br_expect(&mb, &w, E_PARTS);
	w = br_want_names("big", "big.002");
	w.entries[0].parts = 3;
	br_good_bundle(&mb);
	br_expect(&mb, &w, E_PARTS);
	w = br_want_names("big", NULL);
	w.entries[0].parts = 1000;
	br_good_bundle(&mb);
	br_expect(&mb, &w, E_PARTS);
}

static void a_file_gives_payloads_again_and_in_any_order(void **state)
{
	struct make_bundle mb = {0};
	struct br_want w = br_want_names("a", "b");
	struct bundle *b;
	struct br_result r = {0};
	struct err e = {0};

	(void)state;
	br_good_bundle(&mb);
	b = br_open_bound(&mb, &w, 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(br_read_file(b, &w, &r, &e), 0);
		assert_string_equal(r.got[0], "alpha");
		assert_int_equal(br_read_payload(b, bundle_find(b, "a"), r.got[1], 64, &e), 0);
		assert_string_equal(r.got[1], "alpha");
	}
	assert_null(bundle_find(b, "README"));
	assert_null(bundle_find(b, "sw-description"));
	assert_int_equal(bundle_find(b, "a")->index, 2);
	assert_int_equal(bundle_find(b, "b")->index, 4);
	bundle_close(b);
	make_bundle_free(&mb);
}

static void two_payloads_of_a_file_may_be_read_in_turns(void **state)
{
	struct make_bundle mb = {0};
	struct br_want w = br_want_names("a", "b");
	struct bundle *b;
	AUTO_STREAM struct stream *s1 = NULL;
	AUTO_STREAM struct stream *s2 = NULL;
	char one[8] = "", two[8] = "";
	struct err e = {0};

	(void)state;
	br_good_bundle(&mb);
	b = br_open_bound(&mb, &w, 0);
	assert_int_equal(bundle_payload(b, bundle_find(b, "a"), &s1, &e), 0);
	assert_int_equal(bundle_payload(b, bundle_find(b, "b"), &s2, &e), 0);
	assert_int_equal(stream_read(s1, one, 2, &e), 2);
	assert_int_equal(stream_read(s2, two, 3, &e), 3);
	assert_int_equal(stream_read(s1, one + 2, 3, &e), 3);
	assert_int_equal(stream_read(s2, two + 3, 1, &e), 1);
	assert_string_equal(one, "alpha");
	assert_string_equal(two, "beta");
	s1 = stream_close(s1);
	s2 = stream_close(s2);
	bundle_close(b);
	make_bundle_free(&mb);
}

static void payloads_of_a_file_can_be_sought_across_parts(void **state)
{
	static const char *const names[] = {"big.001", "big.002", "big.003"};
	static const char all[] = "001002003";
	struct make_bundle mb = {0};
	struct br_want w = br_want_names("big", NULL);
	struct bundle *b;
	AUTO_STREAM struct stream *s = NULL;
	struct err e = {0};

	(void)state;
	w.entries[0].parts = 3;
	br_parts_bundle(&mb, names, ARRAY_SIZE(names));
	b = br_open_bound(&mb, &w, 0);
	assert_int_equal(bundle_payload(b, bundle_find(b, "big"), &s, &e), 0);
	assert_true(stream_can_seek(s));
	assert_int_equal(s->size, 9);
	for (size_t off = 10; off--;) {
		char out[16] = "";

		assert_int_equal(stream_seek(s, off, &e), 0);
		assert_int_equal(br_collect(s, out, sizeof(out), &e), 0);
		assert_string_equal(out, all + off);
	}
	assert_true(stream_seek(s, 10, &e) < 0);
	assert_int_equal(e.code, E_RANGE);
	s = stream_close(s);
	bundle_close(b);
	make_bundle_free(&mb);
}

#define PART UINT64_C(0xFFFFFFFC) /* the most that a header can say, padded to 4 */

/* an archive with holes: two parts of nearly 4 GiB that end with a letter, and a short third one */
static int parts_with_holes(void)
{
	const struct make_head full = {.field = {[6] = "FFFFFFFC", [12] = "00000000"}};
	int fd = memfd_create("parts", MFD_CLOEXEC);
	uint64_t at = 0;

	assert_true(fd >= 0);
	for (unsigned i = 0; i < 3; i++) {
		struct make_bundle mb = {.newc = true};

		if (i == 0)
			make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN);
		if (i < 2)
			make_bundle_add_head(&mb, i ? "big.002" : "big.001", "", 0, &full);
		else
			make_bundle_add(&mb, "big.003", "tail", 4);
		if (i == 2)
			make_bundle_trailer(&mb);
		assert_int_equal(pwrite(fd, mb.bytes, mb.n, (off_t)at), mb.n);
		at += mb.n + (i < 2 ? PART : 0);
		if (i < 2)
			assert_int_equal(pwrite(fd, i ? "2" : "1", 1, (off_t)at - 1), 1);
		make_bundle_free(&mb);
	}
	return fd;
}

static void parts_above_4_gib_are_one_payload_of_64_bits(void **state)
{
	const struct stream_fd_options so = {.size = UINT64_MAX, .block = 4096};
	struct br_want w = br_want_names("big", NULL);
	struct manifest m = {.entries = w.entries, .entry_count = w.count};
	AUTO_STREAM struct stream *src = NULL, *s = NULL;
	struct bundle *b = NULL;
	struct err e = {0};
	int fd = parts_with_holes();

	(void)state;
	w.entries[0].parts = 3;
	assert_int_equal(stream_fd_open(&src, fd, &so, &e), 0);
	assert_int_equal(bundle_open(&b, &src, &w.opt, &e), 0);
	assert_int_equal(bundle_bind(b, &m, &e), 0);
	assert_int_equal(bundle_find(b, "big")->size, 2 * PART + 4);
	assert_int_equal(bundle_payload(b, bundle_find(b, "big"), &s, &e), 0);
	static const struct {
		uint64_t off;
		const char *want;
	} rows[] = {{2 * PART, "tail"},
		    {2 * PART + 3, "l"},
		    {2 * PART - 1, "2tail"},
		    {2 * PART + 4, ""},
		    {2 * PART - 3, "--2tail"}};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char out[16] = "";
		size_t n = strlen(rows[i].want);

		assert_int_equal(stream_seek(s, rows[i].off, &e), 0);
		assert_int_equal(stream_read_all(s, out, n, &e), 0);
		for (size_t k = 0; k < n; k++)
			assert_int_equal(out[k] ? out[k] : '-', rows[i].want[k]);
	}
	char two[4];
	assert_int_equal(stream_seek(s, PART - 1, &e), 0);
	assert_int_equal(stream_read_all(s, two, 2, &e), 0);
	assert_memory_equal(two, "1", 2);
	assert_true(stream_seek(s, 2 * PART + 5, &e) < 0);
	assert_int_equal(e.code, E_RANGE);
	s = stream_close(s);
	bundle_close(b);
	close(fd);
}

/* 999 of them, each named with three digits */
static void parts_go_up_to_999(void **state)
{
	struct make_bundle mb = {.newc = true};
	struct br_want w = br_want_names("big", NULL);
	struct bundle *b;
	char name[16];

	(void)state;
	w.entries[0].parts = 999;
	make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN);
	for (unsigned i = 1; i <= 999; i++) {
		snprintf(name, sizeof(name), "big.%03u", i);
		make_bundle_add(&mb, name, name + 4, 3);
	}
	make_bundle_trailer(&mb);
	b = br_open_bound(&mb, &w, 0);
	assert_int_equal(bundle_find(b, "big")->size, 2997);
	bundle_close(b);
	make_bundle_free(&mb);
}

/* a seek leaves out bytes of one part only; the checksums of all others are compared */
static void checksums_are_compared_again_behind_a_seek(void **state)
{
	struct make_head wrong = {.field = {[12] = "00000001"}};
	struct make_bundle mb = {0};
	struct br_want w = br_want_names("big", NULL);

	(void)state;
	w.entries[0].parts = 2;
	for (int bad = 0; bad < 2; bad++) {
		struct stream *s = NULL;
		struct bundle *b;
		struct err e = {0};

		make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN);
		make_bundle_add_head(&mb, "big.001", "one", 3, bad == 0 ? &wrong : NULL);
		make_bundle_add_head(&mb, "big.002", "two", 3, bad == 1 ? &wrong : NULL);
		make_bundle_trailer(&mb);
		b = br_open_bound(&mb, &w, 0);
		assert_int_equal(bundle_payload(b, bundle_find(b, "big"), &s, &e), 0);
		assert_int_equal(stream_seek(s, 1, &e), 0);
		if (bad == 0) {
			assert_int_equal(stream_drain(s, &e), 0);
			assert_int_equal(stream_seek(s, 0, &e), 0);
		}
		assert_true(stream_drain(s, &e) < 0);
		assert_int_equal(e.code, E_CPIO_SUM);
		stream_close(s);
		bundle_close(b);
		make_bundle_free(&mb);
	}
}

static void a_pipe_goes_on_when_a_payload_is_left_early(void **state)
{
	static const char *const names[] = {"big.001", "big.002", "big.003", "a", "b"};
	struct make_bundle mb = {0};
	struct br_want w = br_want_names("big", "b");
	struct bundle *b;
	const struct payload *p;
	struct stream *s = NULL;
	struct err e = {0};
	char out[8] = "";

	(void)state;
	w.entries[0].parts = 3;
	br_parts_bundle(&mb, names, 4);
	make_bundle_free(&mb);
	make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN);
	for (size_t i = 0; i < 5; i++)
		make_bundle_add(&mb, names[i], "xyz", 3);
	make_bundle_trailer(&mb);
	for (int how = 0; how < 3; how++) {
		b = br_open_bound(&mb, &w, 2);
		assert_int_equal(bundle_next(b, &p, &e), 1);
		assert_string_equal(p->name, "big");
		assert_false(p->has_size);
		if (how)
			assert_int_equal(bundle_payload(b, p, &s, &e), 0);
		if (how == 2)
			assert_int_equal(stream_read_all(s, out, 4, &e),
					 0); /* into the second part */
		s = stream_close(s);
		assert_int_equal(bundle_next(b, &p, &e), 1);
		assert_string_equal(p->name, "b");
		assert_int_equal(bundle_next(b, &p, &e), 0);
		assert_int_equal(bundle_next(b, &p, &e), 0);
		bundle_close(b);
	}
	make_bundle_free(&mb);
}

static void a_payload_of_a_pipe_ends_when_the_bundle_goes_on(void **state)
{
	struct make_bundle mb = {0};
	struct br_want w = br_want_names("a", "b");
	struct bundle *b;
	const struct payload *p;
	AUTO_STREAM struct stream *s = NULL;
	struct stream *twice = NULL;
	struct err e = {0};
	char c;

	(void)state;
	br_good_bundle(&mb);
	b = br_open_bound(&mb, &w, 16);
	assert_int_equal(bundle_next(b, &p, &e), 1);
	assert_int_equal(bundle_payload(b, p, &s, &e), 0);
	assert_true(bundle_payload(b, p, &twice, &e) < 0);
	assert_int_equal(e.code, E_INTERNAL);
	err_clear(&e);
	assert_int_equal(bundle_next(b, &p, &e), 1);
	assert_true(stream_read(s, &c, 1, &e) < 0);
	assert_int_equal(e.code, E_INTERNAL);
	bundle_close(b);
	make_bundle_free(&mb);
}

static void an_error_of_a_pipe_stays(void **state)
{
	struct make_head wrong = {.field = {[12] = "00000001"}};
	struct make_bundle mb = {0};
	struct br_want w = br_want_names("a", NULL);
	struct bundle *b;
	const struct payload *p;

	(void)state;
	make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN);
	make_bundle_add_head(&mb, "x", "alpha", 5, &wrong);
	make_bundle_add(&mb, "a", "alpha", 5);
	make_bundle_trailer(&mb);
	b = br_open_bound(&mb, &w, 16);
	for (int i = 0; i < 3; i++) {
		struct err e = {0};

		assert_true(bundle_next(b, &p, &e) < 0);
		assert_int_equal(e.code, E_CPIO_SUM);
	}
	bundle_close(b);
	make_bundle_free(&mb);
}

static int note_name(void *arg, const char *name, const struct cpio_head *h)
{
	char *all = arg;
	size_t n = strlen(all);

	snprintf(all + n, 200 - n, "%s:%u ", name, (unsigned)h->size);
	return strcmp(name, "b") == 0;
}

static void bundle_lists_its_members_in_order(void **state)
{
	struct make_bundle mb = {0};
	struct br_want w = br_want_names("a", NULL);
	struct bundle *b;
	struct br_result r = {0};
	struct err e = {0};
	char all[200] = "";

	(void)state;
	br_good_bundle(&mb);
	b = br_open_bound(&mb, &w, 0);
	assert_int_equal(bundle_list(b, note_name, all, &e), 0);
	assert_string_equal(all, "sw-description:30 sw-description.sig:3 a:5 README:16 b:4 ");
	assert_int_equal(br_read_file(b, &w, &r, &e), 0);
	assert_string_equal(r.got[0], "alpha");
	bundle_close(b);
	b = br_open_bound(&mb, &w, 16);
	assert_true(bundle_list(b, note_name, all, &e) < 0);
	assert_int_equal(e.code, E_INTERNAL);
	bundle_close(b);
	make_bundle_free(&mb);
}

/* looking names up must not be a product of entries and members */
static void binding_four_thousand_members_is_quick(void **state)
{
	enum { N = 4000 };
	AUTO_FREE struct entry *entries = calloc(N, sizeof(*entries));
	AUTO_FREE char *names = calloc(N, 16);
	struct make_bundle mb = {0};
	struct manifest m = {.entries = entries, .entry_count = N};
	struct bundle_options o = {0};
	struct bundle *b = NULL;
	struct stream *src = NULL;
	struct err e = {0};
	double start;

	(void)state;
	make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN);
	for (size_t i = 0; i < N; i++) {
		snprintf(names + 16 * i, 16, "file-%zu", (i * 2654435761u) % 100000);
		entries[i].filename = names + 16 * i;
		make_bundle_add(&mb, names + 16 * i, "x", 1);
	}
	make_bundle_trailer(&mb);
	assert_int_equal(stream_mem_open(&src, mb.bytes, mb.n, &e), 0);
	start = br_seconds();
	assert_int_equal(bundle_open(&b, &src, &o, &e), 0);
	assert_int_equal(bundle_bind(b, &m, &e), 0);
	for (size_t i = 0; i < N; i++)
		assert_non_null(bundle_find(b, entries[i].filename));
	assert_true(br_seconds() - start < 0.5);
	bundle_close(b);
	make_bundle_free(&mb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_are_one_payload_of_their_total_size),
		cmocka_unit_test(parts_are_refused_unless_complete_in_order_and_adjacent),
		cmocka_unit_test(parts_behind_the_last_are_members_that_nobody_names),
		cmocka_unit_test(parts_that_contradict_each_other_are_refused),
		cmocka_unit_test(a_file_gives_payloads_again_and_in_any_order),
		cmocka_unit_test(two_payloads_of_a_file_may_be_read_in_turns),
		cmocka_unit_test(payloads_of_a_file_can_be_sought_across_parts),
		cmocka_unit_test(parts_above_4_gib_are_one_payload_of_64_bits),
		cmocka_unit_test(parts_go_up_to_999),
		cmocka_unit_test(checksums_are_compared_again_behind_a_seek),
		cmocka_unit_test(a_pipe_goes_on_when_a_payload_is_left_early),
		cmocka_unit_test(a_payload_of_a_pipe_ends_when_the_bundle_goes_on),
		cmocka_unit_test(an_error_of_a_pipe_stays),
		cmocka_unit_test(bundle_lists_its_members_in_order),
		cmocka_unit_test(binding_four_thousand_members_is_quick),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
