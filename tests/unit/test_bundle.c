/* Bundles, good and bad, from a file and from a pipe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "corelib/base/text.h"
#include "tests/unit/kit/bundle_run.h"
#include "tests/unit/kit/fail_malloc.h"
static void bundle_gives_description_signature_and_payloads(void **state)
{
	struct br_want w = br_want_names("b", "a");

	(void)state;
	w.entries[w.count++].filename = "empty";
	for (int newc = 0; newc < 2; newc++) {
		struct make_bundle mb = {.newc = newc};

		br_good_bundle(&mb);
		for (size_t i = 0; i < BR_CHUNKS; i++) {
			struct br_result r = br_install(mb.bytes, mb.n, &w, br_chunks[i]);

			assert_int_equal(r.code, E_NONE);
			assert_string_equal(r.got[0], "beta");
			assert_string_equal(r.got[1], "alpha");
			assert_string_equal(r.got[2], "");
			assert_int_equal(r.skipped, 1);
			assert_false(r.tail);
			assert_int_equal(r.size[0] + r.size[1] + r.size[2], i ? 0 : 9);
		}
		make_bundle_free(&mb);
	}
}

static void bundle_keeps_description_and_signature_in_memory(void **state)
{
	struct make_bundle mb = {0};
	struct bundle_options o = {.need_signature = true};
	AUTO_STREAM struct stream *src = NULL;
	struct bundle *b = NULL;
	struct err e = {0};
	size_t n;

	(void)state;
	br_good_bundle(&mb);
	assert_int_equal(stream_mem_open(&src, mb.bytes, mb.n, &e), 0);
	assert_int_equal(bundle_open(&b, &src, &o, &e), 0);
	assert_null(src);
	assert_memory_equal(bundle_description(b, &n), br_desc, BR_DESC_LEN);
	assert_int_equal(n, BR_DESC_LEN);
	assert_memory_equal(bundle_signature(b, &n), "sig", 3);
	assert_int_equal(n, 3);
	bundle_close(b);
	make_bundle_free(&mb);
}

static void bundle_without_signature_passes_only_when_none_is_needed(void **state)
{
	struct make_bundle mb = {0};
	struct br_want w = br_want_names("a", NULL);

	(void)state;
	make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN);
	make_bundle_add(&mb, "a", "alpha", 5);
	make_bundle_trailer(&mb);
	assert_int_equal(br_install(mb.bytes, mb.n, &w, 0).code, E_NONE);
	assert_string_equal(br_install(mb.bytes, mb.n, &w, 3).got[0], "alpha");
	w.opt.need_signature = true;
	br_expect(&mb, &w, E_SIG_MISSING);
}

static void bundle_of_a_description_only_is_read_to_its_end(void **state)
{
	struct make_bundle mb = {0};
	struct br_want none = {0}, one = br_want_names("a", NULL);

	(void)state;
	make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN);
	make_bundle_trailer(&mb);
	for (size_t i = 0; i < BR_CHUNKS; i++)
		assert_int_equal(br_install(mb.bytes, mb.n, &none, br_chunks[i]).code, E_NONE);
	br_expect(&mb, &one, E_MEMBER_MISSING);
}

/* T6: .sig empty, before the description, twice, late */
static void t06_signature_stands_second_and_is_not_empty(void **state)
{
	struct make_bundle mb = {0};
	struct br_want w = {.opt = {.need_signature = true}};
	struct br_want any = {0};

	(void)state;
	make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN);
	make_bundle_add(&mb, "sw-description.sig", "", 0);
	make_bundle_trailer(&mb);
	br_expect(&mb, &w, E_SIG_MISSING);

	make_bundle_add(&mb, "sw-description.sig", "sig", 3);
	make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN);
	make_bundle_trailer(&mb);
	br_expect(&mb, &w, E_ORDER);

	make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN);
	make_bundle_add(&mb, "sw-description.sig", "sig", 3);
	make_bundle_add(&mb, "sw-description.sig", "sig", 3);
	make_bundle_trailer(&mb);
	br_expect(&mb, &w, E_CPIO_DUP);

	make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN);
	make_bundle_add(&mb, "x", "x", 1);
	make_bundle_add(&mb, "sw-description.sig", "sig", 3);
	make_bundle_trailer(&mb);
	assert_int_equal(br_install(mb.bytes, mb.n, &w, 0).code, E_SIG_MISSING);
	br_expect(&mb, &any, E_ORDER);
}

static void bundle_begins_with_the_description(void **state)
{
	struct make_bundle mb = {0};
	struct br_want w = {0};

	(void)state;
	make_bundle_add(&mb, "a", "alpha", 5);
	make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN);
	make_bundle_trailer(&mb);
	br_expect(&mb, &w, E_ORDER);
	make_bundle_trailer(&mb);
	br_expect(&mb, &w, E_ORDER);
}

static void t03_unlisted_members_are_read_past_or_refused_when_strict(void **state)
{
	struct make_bundle mb = {0};
	struct br_want w = br_want_names("a", "b");

	(void)state;
	make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN);
	make_bundle_add(&mb, "sw-description.sh", "#!/bin/sh", 9);
	make_bundle_add(&mb, "a", "alpha", 5);
	make_bundle_add(&mb, "foo.lua", "x", 1);
	make_bundle_add(&mb, "b", "beta", 4);
	make_bundle_trailer(&mb);
	for (size_t i = 0; i < BR_CHUNKS; i++) {
		struct br_result r = br_install(mb.bytes, mb.n, &w, br_chunks[i]);

		assert_int_equal(r.code, E_NONE);
		assert_int_equal(r.skipped, 2);
	}
	w.opt.strict = true;
	br_expect(&mb, &w, E_MEMBER_UNLISTED);
}

/* the description's size is judged before a byte of it is read; sizes near 2^31 and 2^32 */
static void t05_t18_sizes_of_metadata_are_refused_before_reading(void **state)
{
	static const char *const sizes[] = {"00100001", "7FFFFFFF", "80000000", "80000001",
					    "FFFFFFFF"};
	struct make_bundle mb = {0};
	struct br_want w = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct make_head h = {.field = {[6] = sizes[i]}};

		make_bundle_add_head(&mb, "sw-description", "", 0, &h);
		/* nothing follows: reading on would be E_TRUNCATED; a file knows that at once */
		assert_int_equal(br_install(mb.bytes, mb.n, &w, 0).code, E_TRUNCATED);
		assert_int_equal(br_install(mb.bytes, mb.n, &w, 99).code, E_DESC_LIMIT);
		make_bundle_free(&mb);
		h.field[6] = i ? sizes[i] : "00010001";
		make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN);
		make_bundle_add_head(&mb, "sw-description.sig", "", 0, &h);
		assert_int_equal(br_install(mb.bytes, mb.n, &w, 99).code, E_SIG_LIMIT);
		make_bundle_free(&mb);
	}
}

static void description_limit_is_what_the_options_say(void **state)
{
	struct make_bundle mb = {0};
	struct br_want w = {.opt = {.max_description = 30}};

	(void)state;
	make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN);
	make_bundle_trailer(&mb);
	assert_int_equal(br_install(mb.bytes, mb.n, &w, 0).code, E_NONE);
	w.opt.max_description = 29;
	br_expect(&mb, &w, E_DESC_LIMIT);
}

static void names_of_the_container_are_no_payloads(void **state)
{
	static const char *const names[] = {"sw-description", "sw-description.sig", "TRAILER!!!"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct make_bundle mb = {0};
		struct br_want w = br_want_names(names[i], NULL);

		br_good_bundle(&mb);
		br_expect(&mb, &w, E_CPIO_NAME);
	}
}

static void garbage_between_members_is_a_damaged_header(void **state)
{
	struct make_bundle mb = {0};
	struct br_want w = {0};

	(void)state;
	make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN);
	make_bundle_bytes(&mb, "garbage!", 8);
	make_bundle_trailer(&mb);
	br_expect(&mb, &w, E_CPIO_HEADER);
}

static void members_up_to_the_limit_are_read(void **state)
{
	struct make_bundle mb = {0};
	struct br_want w = br_want_names("a", "b");

	(void)state;
	br_good_bundle(&mb);
	w.opt.max_members = 6;
	assert_int_equal(br_install(mb.bytes, mb.n, &w, 0).code, E_NONE);
	w.opt.max_members = 5;
	br_expect(&mb, &w, E_LIMIT_MEMBERS);
}

static void missing_members_are_named(void **state)
{
	struct make_bundle mb = {0};
	struct br_want w = br_want_names("a", "no-such");
	struct br_result r;

	(void)state;
	br_good_bundle(&mb);
	r = br_install(mb.bytes, mb.n, &w, 0);
	assert_non_null(strstr(r.why, "no-such"));
	br_expect(&mb, &w, E_MEMBER_MISSING);
}

static void hash_lists_are_wanted_too(void **state)
{
	struct make_bundle mb = {0};
	struct br_want w = br_want_names("a", NULL);

	(void)state;
	w.entries[0].hashes.name = "a.hashes";
	br_good_bundle(&mb);
	br_expect(&mb, &w, E_MEMBER_MISSING);
}

/* every allocation of opening, binding and reading is checked, and nothing leaks */
static void a_bundle_survives_memory_running_out_anywhere(void **state)
{
	struct make_bundle mb = {0};
	struct br_want w = br_want_names("a", "b");

	(void)state;
	if (!fail_malloc_works())
		skip();
	br_good_bundle(&mb);
	for (size_t i = 0; i < BR_CHUNKS; i++)
		for (unsigned n = 1;; n++) {
			long live = fail_malloc_live();
			AUTO_STREAM struct stream *src =
				br_chunks[i] ? make_pipe_stream(mb.bytes, mb.n, br_chunks[i])
					     : NULL;
			struct br_result r = {0};
			struct err e = {0};
			bool failed;
			int rc = 0;

			fail_malloc_at(n);
			if (!src)
				rc = stream_mem_open(&src, mb.bytes, mb.n, &e);
			if (rc == 0)
				rc = br_run(&src, &w, &r, &e);
			failed = fail_malloc_off();
			src = stream_close(src);
			assert_int_equal(fail_malloc_live(), live);
			if (!failed)
				break;
			assert_true(rc < 0);
			assert_int_equal(e.code, E_MEMORY);
		}
	make_bundle_free(&mb);
}

static void entries_may_share_a_member(void **state)
{
	struct make_bundle mb = {0};
	struct br_want w = br_want_names("a", "a");

	(void)state;
	br_good_bundle(&mb);
	assert_string_equal(br_install(mb.bytes, mb.n, &w, 0).got[1], "alpha");
	br_expect(&mb, &w, E_NONE);
}

static void names_of_parts_must_fit_with_their_number(void **state)
{
	struct make_bundle mb = {0};
	char name[253];
	struct br_want w;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	w = br_want_names(name, NULL);
	w.entries[0].parts = 2;
	br_good_bundle(&mb);
	br_expect(&mb, &w, E_CPIO_NAME);
	name[251] = '\0'; /* with ".001" it has 255 bytes */
	br_good_bundle(&mb);
	br_expect(&mb, &w, E_MEMBER_MISSING);
}

static void calls_in_the_wrong_order_are_told(void **state)
{
	struct make_bundle mb = {0};
	struct br_want w = br_want_names("a", NULL);
	struct manifest m = {.entries = w.entries, .entry_count = 1};
	const struct payload *p;
	struct stream *s = NULL;
	struct bundle *b;
	struct err e = {0};
	char c;

	(void)state;
	br_good_bundle(&mb);
	b = br_open_bound(&mb, &w, 0);
	assert_true(bundle_bind(b, &m, &e) < 0);
	assert_int_equal(e.code, E_INTERNAL);
	err_clear(&e);
	assert_true(bundle_next(b, &p, &e) < 0);
	assert_int_equal(e.code, E_INTERNAL);
	bundle_close(b);
	/* a payload that outlives its bundle says so instead of reading freed memory */
	err_clear(&e);
	b = br_open_bound(&mb, &w, 16);
	assert_int_equal(bundle_next(b, &p, &e), 1);
	assert_int_equal(bundle_payload(b, p, &s, &e), 0);
	bundle_close(b);
	assert_true(stream_read(s, &c, 1, &e) < 0);
	assert_int_equal(e.code, E_INTERNAL);
	stream_close(s);
	make_bundle_free(&mb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bundle_gives_description_signature_and_payloads),
		cmocka_unit_test(bundle_keeps_description_and_signature_in_memory),
		cmocka_unit_test(bundle_without_signature_passes_only_when_none_is_needed),
		cmocka_unit_test(bundle_of_a_description_only_is_read_to_its_end),
		cmocka_unit_test(t06_signature_stands_second_and_is_not_empty),
		cmocka_unit_test(bundle_begins_with_the_description),
		cmocka_unit_test(t03_unlisted_members_are_read_past_or_refused_when_strict),
		cmocka_unit_test(t05_t18_sizes_of_metadata_are_refused_before_reading),
		cmocka_unit_test(description_limit_is_what_the_options_say),
		cmocka_unit_test(names_of_the_container_are_no_payloads),
		cmocka_unit_test(garbage_between_members_is_a_damaged_header),
		cmocka_unit_test(members_up_to_the_limit_are_read),
		cmocka_unit_test(missing_members_are_named),
		cmocka_unit_test(hash_lists_are_wanted_too),
		cmocka_unit_test(a_bundle_survives_memory_running_out_anywhere),
		cmocka_unit_test(entries_may_share_a_member),
		cmocka_unit_test(names_of_parts_must_fit_with_their_number),
		cmocka_unit_test(calls_in_the_wrong_order_are_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
