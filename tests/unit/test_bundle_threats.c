/* What hostile or broken bundles do: rows T19 to T32 of the list of threats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "corelib/base/text.h"
#include "tests/unit/kit/bundle_run.h"

/* T19: a read that fails at any byte ends the install with that error; a source that lies about its
 * end, and reads that come in pieces, too */
static void t19_reads_that_fail_at_any_byte_are_told(void **state)
{
	struct br_want w = br_want_names("a", "b");
	struct make_bundle mb = {0};
	size_t end;

	(void)state;
	br_good_bundle(&mb);
	for (end = mb.n; mb.bytes[end - 2] == 0;)
		end--;
	for (size_t at = 0; at < end; at++)
		for (int seekable = 0; seekable < 2; seekable++) {
			struct fake fails = {.data = mb.bytes,
					     .size = mb.n,
					     .seed = (uint32_t)at + 1,
					     .max_piece = 50,
					     .seekable = seekable,
					     .fails = true,
					     .fail_at = at};
			struct fake lies = {.data = mb.bytes,
					    .size = mb.n,
					    .seed = (uint32_t)at + 1,
					    .max_piece = 50,
					    .seekable = seekable,
					    .ends = true,
					    .end_at = at};
			struct br_result r = {0};
			enum errcode code = br_install_fake(&fails, &w, &r);

			/* a file is not read where nobody asks for its bytes */
			assert_true(code == E_IO || (seekable && code == E_NONE));
			code = br_install_fake(&lies, &w, &r);
			assert_true(code == E_TRUNCATED || code == E_CPIO_TRAILER ||
				    (seekable && code == E_NONE));
		}
	make_bundle_free(&mb);
}

static void *stop_soon(void *arg)
{
	struct timespec t = {.tv_nsec = 20 * 1000 * 1000};

	nanosleep(&t, NULL);
	stream_stop(arg);
	return NULL;
}

/* T19, L4: a payload that another thread waits for can be stopped through the bundle */
static void t19_a_stopped_payload_wakes_the_source(void **state)
{
	struct br_want w = br_want_names("a", NULL);
	struct manifest m = {.entries = w.entries, .entry_count = 1};
	struct make_bundle mb = {0};
	struct fake f = {.hangs = true};
	struct stream *src = NULL, *s = NULL;
	struct bundle *b = NULL;
	const struct payload *p;
	struct err e = {0};
	pthread_t t;

	(void)state;
	make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN);
	f.hang_at = make_bundle_add(&mb, "a", "alpha", 5) + CPIO_HEAD + 2 + 3;
	make_bundle_trailer(&mb);
	f.data = mb.bytes;
	f.size = mb.n;
	assert_int_equal(fake_stream_open(&src, &f, &e), 0);
	assert_int_equal(bundle_open(&b, &src, &w.opt, &e), 0);
	assert_int_equal(bundle_bind(b, &m, &e), 0);
	assert_int_equal(bundle_next(b, &p, &e), 1);
	assert_int_equal(bundle_payload(b, p, &s, &e), 0);
	assert_int_equal(pthread_create(&t, NULL, stop_soon, s), 0);
	assert_true(stream_drain(s, &e) < 0);
	assert_int_equal(e.code, E_CANCELED);
	pthread_join(t, NULL);
	stream_close(s);
	bundle_close(b);
	make_bundle_free(&mb);
}

static void t20_bad_name_size_is_refused_without_reading_on(void **state)
{
	static const char *const sizes[] = {"00000000", "00000001", "00000101", "00001000",
					    "FFFFFFFF"};
	struct br_want w = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct make_bundle mb = {0};
		struct make_head h = {.field = {[11] = sizes[i]}};

		make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN);
		make_bundle_add_head(&mb, "x", "", 0, &h);
		br_expect(&mb, &w, E_CPIO_NAME);
	}
}

static void t21_paths_are_stepped_over_unlisted_and_refused_listed(void **state)
{
	static const char *const names[] = {"../x", "/x",   "a/../x", "a/b", ".",
					    "..",   "a/..", "./x",    "x/"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct make_bundle mb = {0};
		struct br_want a = br_want_names("a", NULL), path = br_want_names(names[i], NULL);

		make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN);
		make_bundle_add(&mb, names[i], "evil", 4);
		make_bundle_add(&mb, "a", "alpha", 5);
		make_bundle_trailer(&mb);
		for (size_t k = 0; k < BR_CHUNKS; k++)
			assert_int_equal(br_install(mb.bytes, mb.n, &a, br_chunks[k]).code, E_NONE);
		br_expect(&mb, &path, E_CPIO_NAME);
	}
}

static void t21_names_with_nul_or_control_bytes_are_refused_anywhere(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} names[] = {{"a\0../../x", 10}, {"abc", 3},  {"a\nb", 4},
		     {"a\x1b[31m", 7},	 {"\xff", 2}, {"\0", 2}};
	struct br_want w = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct make_bundle mb = {0};
		struct make_head h = {.name = names[i].bytes, .name_len = names[i].n};

		make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN);
		make_bundle_add_head(&mb, NULL, "", 0, &h);
		make_bundle_trailer(&mb);
		br_expect(&mb, &w, E_CPIO_NAME);
	}
}

static void t22_content_that_is_not_there_is_truncation(void **state)
{
	struct br_want listed = br_want_names("a", NULL), none = {0};
	struct make_head h = {.field = {[6] = "FFFFFFFF"}};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct make_bundle mb = {0};

		make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN);
		make_bundle_add_head(&mb, "a", "ten bytes.", 10, &h);
		br_expect(&mb, i ? &listed : &none, E_TRUNCATED);
	}
}

static void t22_a_file_knows_while_binding_that_content_is_missing(void **state)
{
	struct make_bundle mb = {0};
	struct make_head h = {.field = {[6] = "0000000B"}};
	struct br_want w = br_want_names("a", NULL);
	struct manifest m = {.entries = w.entries, .entry_count = 1};
	AUTO_STREAM struct stream *src = NULL;
	struct bundle *b = NULL;
	struct err e = {0};

	(void)state;
	make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN);
	make_bundle_add(&mb, "sw-description.sig", "sig", 3);
	make_bundle_add_head(&mb, "a", "ten bytes.", 10, &h);
	mb.n -= 2;
	assert_int_equal(stream_mem_open(&src, mb.bytes, mb.n, &e), 0);
	assert_int_equal(bundle_open(&b, &src, &w.opt, &e), 0);
	assert_true(bundle_bind(b, &m, &e) < 0);
	assert_int_equal(e.code, E_TRUNCATED);
	bundle_close(b);
	make_bundle_free(&mb);
}

/* T24, T25: a good bundle cut at every byte never gives all its payloads and a proven end */
static void t24_t25_cut_at_every_byte_is_never_a_proven_end(void **state)
{
	struct br_want w = br_want_names("a", "b");
	struct make_bundle mb = {0};
	size_t end;

	(void)state;
	br_good_bundle(&mb);
	end = mb.n;
	while (mb.bytes[end - 1] == 0)
		end--; /* the last '!' of TRAILER!!!; its NUL follows */
	for (size_t cut = 0; cut <= mb.n; cut++)
		for (size_t i = 0; i < 3; i++) {
			/* an exact copy, so that the sanitizer sees a read behind the cut */
			AUTO_FREE uint8_t *copy = malloc(cut ? cut : 1);
			struct br_result r;

			assert_non_null(copy);
			memcpy(copy, mb.bytes, cut);
			r = br_install(copy, cut, &w, br_chunks[i]);
			if (cut > end)
				assert_int_equal(r.code, E_NONE);
			else
				assert_true(r.code == E_TRUNCATED || r.code == E_CPIO_TRAILER);
		}
	make_bundle_free(&mb);
}

static void t24_every_flipped_bit_of_a_header_is_refused_or_harmless(void **state)
{
	struct br_want w = br_want_names("a", "b");
	struct make_bundle mb = {0};

	(void)state;
	br_good_bundle(&mb);
	for (size_t bit = 0; bit < mb.n * 8; bit++) {
		struct br_result r;

		mb.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		r = br_install(mb.bytes, mb.n, &w, bit % 3 ? 0 : 64);
		mb.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (r.code == E_NONE) {
			assert_string_equal(r.got[0], "alpha");
			assert_string_equal(r.got[1], "beta");
		}
	}
	make_bundle_free(&mb);
}

static void t26_duplicates_of_what_counts_are_refused_before_their_content(void **state)
{
	static const char *const second[] = {"a", "sw-description", "sw-description.sig"};
	struct make_head missing = {.field = {[6] = "00000100"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(second); i++) {
		struct make_bundle mb = {0};
		struct br_want w = br_want_names("a", NULL);

		make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN);
		make_bundle_add(&mb, "sw-description.sig", "sig", 3);
		make_bundle_add(&mb, "a", "alpha", 5);
		make_bundle_add(&mb, second[i], "other", 5);
		make_bundle_trailer(&mb);
		br_expect(&mb, &w, E_CPIO_DUP);
		/* refused at the header: the content does not even have to be there */
		make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN);
		make_bundle_add(&mb, "sw-description.sig", "sig", 3);
		make_bundle_add(&mb, "a", "alpha", 5);
		make_bundle_add_head(&mb, second[i], "", 0, &missing);
		assert_int_equal(br_install(mb.bytes, mb.n, &w, 50).code, E_CPIO_DUP);
		make_bundle_free(&mb);
	}
}

static void t26_duplicates_of_unlisted_names_do_not_matter(void **state)
{
	struct make_bundle mb = {0};
	struct br_want w = br_want_names("a", NULL);

	(void)state;
	make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN);
	make_bundle_add(&mb, "x", "1", 1);
	make_bundle_add(&mb, "x", "2", 1);
	make_bundle_add(&mb, "a", "alpha", 5);
	make_bundle_trailer(&mb);
	br_expect(&mb, &w, E_NONE);
}

static void t27_trailer_must_be_there_and_have_no_content(void **state)
{
	struct make_bundle mb = {0};
	struct br_want w = br_want_names("a", NULL);

	(void)state;
	make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN); /* missing */
	make_bundle_add(&mb, "a", "alpha", 5);
	br_expect(&mb, &w, E_CPIO_TRAILER);

	make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN); /* with content */
	make_bundle_add(&mb, "a", "alpha", 5);
	make_bundle_add(&mb, "TRAILER!!!", "x", 1);
	br_expect(&mb, &w, E_CPIO_TRAILER);

	make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN); /* early */
	make_bundle_trailer(&mb);
	make_bundle_add(&mb, "a", "alpha", 5);
	make_bundle_trailer(&mb);
	br_expect(&mb, &w, E_MEMBER_MISSING);
}

static void t27_nul_after_the_trailer_or_nothing_is_normal(void **state)
{
	static const char nul[5000];
	struct br_want w = br_want_names("a", NULL);

	(void)state;
	w.opt.strict = true;
	for (size_t n = 0; n <= sizeof(nul); n += 1000) {
		struct make_bundle mb = {0};

		make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN);
		make_bundle_add(&mb, "a", "alpha", 5);
		make_bundle_add(&mb, "TRAILER!!!", "", 0);
		if (n == 0)
			mb.n -= 3; /* not even padded to 4 */
		make_bundle_bytes(&mb, nul, n);
		assert_false(br_install(mb.bytes, mb.n, &w, 0).tail);
		br_expect(&mb, &w, E_NONE);
	}
}

static void t27_what_follows_the_trailer_is_never_parsed(void **state)
{
	struct br_want w = br_want_names("a", "b");

	(void)state;
	w.entries[w.count++].filename = "README";
	w.entries[w.count++].filename = "empty";
	for (int second = 0; second < 2; second++) {
		struct make_bundle mb = {0};

		br_good_bundle(&mb);
		if (second)
			br_good_bundle(&mb); /* a whole archive */
		else
			make_bundle_bytes(&mb, "junk", 4);
		assert_true(br_install(mb.bytes, mb.n, &w, 0).tail);
		assert_true(br_install(mb.bytes, mb.n, &w, 1u << 20).tail);
		assert_string_equal(br_install(mb.bytes, mb.n, &w, 0).got[0], "alpha");
		w.opt.strict = true;
		assert_int_equal(br_install(mb.bytes, mb.n, &w, 0).code, E_CPIO_TRAILER);
		w.opt.strict = false;
		br_expect(&mb, &w, E_NONE);
	}
}

struct stuck {
	struct stream s;
	struct stream *in;
	size_t left;
};

static ssize_t stuck_next(struct stream *s, const uint8_t **buf, struct err *e)
{
	struct stuck *p = (struct stuck *)s;
	ssize_t k;

	if (p->left == 0)
		fail_msg("a pipe was read behind the end of the bundle: this would wait for ever");
	k = stream_next(p->in, buf, e);
	if (k > 0)
		p->left -= (size_t)k;
	return k;
}

static void stuck_close(struct stream *s)
{
	stream_close(((struct stuck *)s)->in);
	free(s);
}

/* a sender that keeps the connection open behind the trailer does not make us wait (L4) */
static void t27_a_pipe_is_not_read_behind_the_trailer(void **state)
{
	static const struct stream_ops ops = {
		.name = "stuck", .next = stuck_next, .close = stuck_close};
	struct make_bundle mb = {0};
	struct br_want w = br_want_names("a", "b");
	struct stuck *p = calloc(1, sizeof(*p));
	struct stream *src;
	struct br_result r = {0};
	struct err e = {0};

	(void)state;
	assert_non_null(p);
	br_good_bundle(&mb);
	while (mb.bytes[mb.n - 2] == 0)
		mb.n--;
	stream_init(&p->s, &ops, NULL);
	p->in = make_pipe_stream(mb.bytes, mb.n, 1);
	p->left = mb.n;
	src = &p->s;
	assert_int_equal(br_run(&src, &w, &r, &e), 0);
	assert_string_equal(r.got[1], "beta");
	make_bundle_free(&mb);
}

static void t28_checksums_of_the_crc_format_are_compared(void **state)
{
	struct make_head wrong = {.field = {[12] = "00000001"}};

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct make_bundle mb = {0};
		struct br_want w = br_want_names("a", NULL);

		make_bundle_add_head(&mb, "sw-description", br_desc, BR_DESC_LEN,
				     i == 0 ? &wrong : NULL);
		make_bundle_add_head(&mb, "sw-description.sig", "sig", 3, i == 1 ? &wrong : NULL);
		make_bundle_add_head(&mb, "a", "alpha", 5, i == 2 ? &wrong : NULL);
		make_bundle_trailer(&mb);
		br_expect(&mb, &w, E_CPIO_SUM);
	}
}

static void t28_a_pipe_adds_up_what_it_steps_over(void **state)
{
	struct make_head wrong = {.field = {[12] = "00000001"}};
	struct make_bundle mb = {0};
	struct br_want w = {0};

	(void)state;
	make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN);
	make_bundle_add_head(&mb, "x", "alpha", 5, &wrong);
	make_bundle_trailer(&mb);
	assert_int_equal(br_install(mb.bytes, mb.n, &w, 100).code, E_CPIO_SUM);
	assert_int_equal(br_install(mb.bytes, mb.n, &w, 0).code, E_NONE); /* not read at all */
	make_bundle_free(&mb);
}

static void t28_a_checksum_in_newc_means_nothing(void **state)
{
	struct make_head sum = {.field = {[12] = "00000001"}};
	struct make_bundle mb = {.newc = true};
	struct br_want w = br_want_names("a", NULL);

	(void)state;
	make_bundle_add_head(&mb, "sw-description", br_desc, BR_DESC_LEN, &sum);
	make_bundle_add_head(&mb, "a", "alpha", 5, &sum);
	make_bundle_trailer(&mb);
	br_expect(&mb, &w, E_NONE);
}

static void t29_modes_mean_nothing_unless_strict(void **state)
{
	static const char *const modes[] = {"000061B0", "0000A1FF", "000011A4", "000041ED",
					    "000021B6"};
	struct br_want w = br_want_names("a", NULL);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct make_head h = {.field = {[1] = modes[i]}};
		struct make_bundle mb = {0};

		make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN);
		make_bundle_add_head(&mb, "a", "alpha", 5, &h);
		make_bundle_trailer(&mb);
		w.opt.strict = false;
		assert_string_equal(br_install(mb.bytes, mb.n, &w, 0).got[0], "alpha");
		w.opt.strict = true;
		br_expect(&mb, &w, E_CPIO_TYPE);
	}
}

static void t30_other_archives_are_no_bundles(void **state)
{
	static const char *const starts[] = {"070707",	   "\xc7\x71", "\x1f\x8b\x08",
					     "PK\x03\x04", "<html>",   "ustar"};
	struct br_want w = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		static const char rest[600];
		struct make_bundle mb = {0};

		make_bundle_bytes(&mb, starts[i], strlen(starts[i]));
		make_bundle_bytes(&mb, rest, i == 5 ? 20 : sizeof(rest));
		br_expect(&mb, &w, E_CPIO_MAGIC);
	}
}

static void t31_a_million_empty_members_are_refused_at_once(void **state)
{
	struct make_bundle mb = {0}, one = {0};
	struct br_want w = {0};
	double start;

	(void)state;
	make_bundle_add(&mb, "sw-description", br_desc, BR_DESC_LEN);
	make_bundle_add(&one, "empty", "", 0);
	for (int i = 0; i < 1000000; i++)
		make_bundle_bytes(&mb, one.bytes, one.n);
	make_bundle_trailer(&mb);
	start = br_seconds();
	for (size_t i = 0; i < BR_CHUNKS; i++)
		assert_int_equal(br_install(mb.bytes, mb.n, &w, br_chunks[i]).code,
				 E_LIMIT_MEMBERS);
	assert_true(br_seconds() - start < 1);
	make_bundle_free(&one);
	make_bundle_free(&mb);
}

static void t32_padding_other_than_nul_is_refused_when_strict(void **state)
{
	struct make_head h = {.pad = 'x'};
	struct make_bundle mb = {0};
	struct br_want w = br_want_names("a", NULL);

	(void)state;
	make_bundle_add_head(&mb, "sw-description", br_desc, BR_DESC_LEN, &h);
	make_bundle_add(&mb, "a", "alpha", 5);
	make_bundle_trailer(&mb);
	assert_int_equal(br_install(mb.bytes, mb.n, &w, 0).code, E_NONE);
	assert_int_equal(br_install(mb.bytes, mb.n, &w, 5).code, E_NONE);
	w.opt.strict = true;
	br_expect(&mb, &w, E_CPIO_HEADER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t19_reads_that_fail_at_any_byte_are_told),
		cmocka_unit_test(t19_a_stopped_payload_wakes_the_source),
		cmocka_unit_test(t20_bad_name_size_is_refused_without_reading_on),
		cmocka_unit_test(t21_paths_are_stepped_over_unlisted_and_refused_listed),
		cmocka_unit_test(t21_names_with_nul_or_control_bytes_are_refused_anywhere),
		cmocka_unit_test(t22_content_that_is_not_there_is_truncation),
		cmocka_unit_test(t22_a_file_knows_while_binding_that_content_is_missing),
		cmocka_unit_test(t24_t25_cut_at_every_byte_is_never_a_proven_end),
		cmocka_unit_test(t24_every_flipped_bit_of_a_header_is_refused_or_harmless),
		cmocka_unit_test(t26_duplicates_of_what_counts_are_refused_before_their_content),
		cmocka_unit_test(t26_duplicates_of_unlisted_names_do_not_matter),
		cmocka_unit_test(t27_trailer_must_be_there_and_have_no_content),
		cmocka_unit_test(t27_nul_after_the_trailer_or_nothing_is_normal),
		cmocka_unit_test(t27_what_follows_the_trailer_is_never_parsed),
		cmocka_unit_test(t27_a_pipe_is_not_read_behind_the_trailer),
		cmocka_unit_test(t28_checksums_of_the_crc_format_are_compared),
		cmocka_unit_test(t28_a_pipe_adds_up_what_it_steps_over),
		cmocka_unit_test(t28_a_checksum_in_newc_means_nothing),
		cmocka_unit_test(t29_modes_mean_nothing_unless_strict),
		cmocka_unit_test(t30_other_archives_are_no_bundles),
		cmocka_unit_test(t31_a_million_empty_members_are_refused_at_once),
		cmocka_unit_test(t32_padding_other_than_nul_is_refused_when_strict),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
