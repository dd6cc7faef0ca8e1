/* Which stages the bytes of a step pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/plan/plan.h"
#include "corelib/base/text.h"

static const struct handler plain = {.name = "plain", .kind = HANDLER_TARGET};
static const struct handler tree = {.name = "tree", .kind = HANDLER_TARGET, .records = true};
static const struct handler maker = {.name = "maker", .kind = HANDLER_SOURCE};
static struct blkdev dev;

enum {
	HASHED = 1,
	LISTED = 2,
	PACKED = 4,
	SECRET = 8,
	TREE = 16,
	MADE = 32,
	RESULT = 64,
	DEV = 128
};

static struct stages list(unsigned how, enum pass pass, unsigned threads, uint64_t size)
{
	const struct entry t = {.has_sha256 = how & HASHED,
				.hashes.name = how & LISTED ? "list" : NULL,
				.compressed = how & PACKED ? (int)CODEC_GZIP : (int)CODEC_NONE};
	struct aes_key key = {.bits = 128};
	struct plan_step ps = {.step = {.entry = &t, .handler = how & TREE ? &tree : &plain},
			       .source = how & MADE ? &maker : NULL,
			       .has_result = how & RESULT,
			       .key = how & SECRET ? &key : NULL};
	const struct reading r = {.pass = pass,
				  .list = how & LISTED,
				  .size = size,
				  .threads = threads,
				  .read_back = how & DEV};
	struct stages l;

	span_init(&ps.span);
	if (how & DEV) {
		ps.step.dev = &dev;
		ps.span.room = 4096;
	}
	stages_list(&l, &ps, &r);
	return l;
}

static void says(unsigned how, enum pass pass, unsigned threads, const char *text)
{
	const struct stages l = list(how, pass, threads, UINT64_MAX);
	char got[256];

	stages_text(&l, got, sizeof(got));
	assert_string_equal(got, text);
	assert_int_equal(stages_want_process(&l),
			 strstr(text, "unpack") || strstr(text, "archive"));
}

static void the_list_is_that_of_the_way_the_bytes_go(void **state)
{
	(void)state;
	says(HASHED, PASS_ONLY, 1, "count, verify");
	says(HASHED, PASS_AGAIN, 1, "count, same");
	says(HASHED, PASS_FIRST, 2, "count, verify, ahead, note");
	says(HASHED, PASS_ONLY, 2, "count, verify, ahead");
	says(HASHED | PACKED, PASS_AGAIN, 2, "count, same, ahead, decompress, ahead");
	says(HASHED | PACKED | SECRET, PASS_AGAIN, 1, "count, same, decrypt, decompress");
	says(LISTED, PASS_ONLY, 2, "count, blocks, ahead");
	says(LISTED, PASS_ONLY, 4, "count, blocks"); /* has threads of its own */
	says(HASHED | DEV, PASS_ONLY, 1, "count, verify, cap 4096, readback");
}

static void unproven_bytes_are_unpacked_in_the_process_without_rights(void **state)
{
	(void)state;
	says(HASHED | PACKED, PASS_ONLY, 2, "count, verify, unpack");
	/* decrypting keeps the reader busy: hashing gets a thread */
	says(HASHED | PACKED | SECRET, PASS_ONLY, 2, "count, verify, ahead, decrypt, unpack");
	says(LISTED | PACKED, PASS_ONLY, 1, "count, blocks, decompress");
}

static void an_archive_is_read_there_whatever_is_proven(void **state)
{
	(void)state;
	says(HASHED | TREE, PASS_AGAIN, 2, "count, same, archive");
	says(HASHED | TREE | PACKED, PASS_ONLY, 2, "count, verify, archive");
	says(LISTED | TREE | DEV, PASS_ONLY, 1, "count, blocks, archive, readback");
}

/* only where root allows unsigned bundles: reading twice proves that they stay, not what they are
 */
static void l1_bytes_without_a_hash_are_never_unpacked_with_rights(void **state)
{
	(void)state;
	says(PACKED, PASS_AGAIN, 1, "count, same, unpack");
	says(PACKED, PASS_ONLY, 1, "count, unpack");
}

static void what_a_source_makes_is_proven_last(void **state)
{
	(void)state;
	says(HASHED | MADE | RESULT | DEV, PASS_AGAIN, 1,
	     "count, same, source, result, cap 4096, readback");
	says(HASHED | MADE | RESULT, PASS_AGAIN, 2, "count, same, ahead, source, result, ahead");
	says(MADE | DEV, PASS_ONLY, 1, "count, source, cap 4096, readback");
}

static void less_than_a_block_gets_no_thread(void **state)
{
	struct stages l = list(HASHED, PASS_ONLY, 4, STREAM_BLOCK - 1);
	char got[64];

	(void)state;
	stages_text(&l, got, sizeof(got));
	assert_string_equal(got, "count, verify");
}

static void each_stage_says_how_far_its_bytes_are_proven(void **state)
{
	struct stages l = list(HASHED | PACKED, PASS_AGAIN, 1, UINT64_MAX);

	(void)state;
	assert_int_equal(l.at[0].proof, PROOF_NONE);
	assert_int_equal(l.at[l.count - 1].proof, PROOF_WHOLE);
	l = list(LISTED, PASS_ONLY, 1, UINT64_MAX);
	assert_int_equal(l.at[1].proof, PROOF_BLOCK);
	l = list(HASHED | MADE | RESULT, PASS_AGAIN, 1, UINT64_MAX);
	assert_int_equal(l.at[l.count - 1].proof, PROOF_NONE);
}

static void each_list_fits_and_each_stage_has_a_word(void **state)
{
	(void)state;
	for (unsigned how = 0; how < 256; how++)
		for (int pass = PASS_ONLY; pass <= PASS_AGAIN; pass++)
			for (unsigned threads = 1; threads < 5; threads++)
				assert_in_range(
					list(how, (enum pass)pass, threads, UINT64_MAX).count, 1,
					STAGES_MOST);
	for (int k = 0; k < STAGE_KINDS; k++)
		assert_true(*stage_name((enum stage_kind)k));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_list_is_that_of_the_way_the_bytes_go),
		cmocka_unit_test(unproven_bytes_are_unpacked_in_the_process_without_rights),
		cmocka_unit_test(an_archive_is_read_there_whatever_is_proven),
		cmocka_unit_test(l1_bytes_without_a_hash_are_never_unpacked_with_rights),
		cmocka_unit_test(what_a_source_makes_is_proven_last),
		cmocka_unit_test(less_than_a_block_gets_no_thread),
		cmocka_unit_test(each_stage_says_how_far_its_bytes_are_proven),
		cmocka_unit_test(each_list_fits_and_each_stage_has_a_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
