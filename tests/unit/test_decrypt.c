/* stage_decrypt against the openssl program, cut, flipped, and in pieces of any size. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "corelib/stream/stages.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/chunks.h"
#include "tests/unit/kit/fail_malloc.h"

static const char hex_key[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
static const char hex_iv[] = "fedcba98765432100123456789abcdef";

static struct aes_key make_key(enum cipher c, unsigned bits)
{
	struct aes_key k = {.cipher = c, .bits = bits};

	assert_int_equal(text_unhex(hex_key, bits / 4, k.key, bits / 8), 0);
	assert_int_equal(text_unhex(hex_iv, 32, k.iv, 16), 0);
	return k;
}

static struct blob encrypted(const struct aes_key *k, const struct blob *plain, bool padded)
{
	char cipher[32], key[65];
	const char *argv[] = {
		"openssl", "enc", cipher, "-K", key, "-iv", hex_iv, padded ? NULL : "-nopad", NULL};
	struct blob out = {0};

	assert_int_equal(text_print(cipher, sizeof(cipher), "-aes-%u-%s", k->bits,
				    k->cipher == CIPHER_AES_CBC ? "cbc" : "ctr"),
			 0);
	assert_int_equal(text_print(key, sizeof(key), "%.*s", (int)(k->bits / 4), hex_key), 0);
	assert_int_equal(tool_filter(argv, plain, &out), 0);
	return out;
}

struct run {
	struct blob in;
	size_t in_max, out_max;
	enum errcode at_end;
};

static int decrypt(const struct aes_key *k, const struct run *r, struct blob *out, struct err *e)
{
	const struct chunks src = {
		.bytes = r->in, .max = r->in_max, .seed = 2, .at_end = r->at_end};
	AUTO_STREAM struct stream *s = chunks_open(&src);
	int rc = stage_decrypt_open(&s, k, e);

	return rc < 0 ? rc : chunks_read(s, r->out_max, out, e);
}

static void expect_bytes(const struct aes_key *k, const struct run *r, const struct blob *want)
{
	struct blob got = {0};
	struct err e = {0};

	if (decrypt(k, r, &got, &e) != 0)
		fail_msg("%zu bytes: %s", r->in.len, e.why);
	assert_int_equal(got.len, want->len);
	if (want->len)
		assert_memory_equal(got.data, want->data, want->len);
	blob_clear(&got);
}

static void decrypt_reads_what_openssl_wrote(void **state)
{
	static const size_t sizes[] = {0, 1, 15, 16, 17, 31, 32, 4096, 100003, 2 << 20};

	(void)state;
	for (unsigned bits = 128; bits <= 256; bits += 64)
		for (int c = CIPHER_AES_CBC; c <= CIPHER_AES_CTR; c++)
			for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
				struct aes_key k = make_key((enum cipher)c, bits);
				struct blob plain = blob_image(sizes[i], 4);
				struct run r = {.in = encrypted(&k, &plain, true)};

				expect_bytes(&k, &r, &plain);
				r.in_max = 70000, r.out_max = 50000;
				expect_bytes(&k, &r, &plain);
				blob_clear(&plain);
				blob_clear(&r.in);
			}
}

static void decrypt_takes_any_piece_sizes(void **state)
{
	static const size_t max[] = {1, 2, 15, 16, 17, 40, 1000};

	(void)state;
	for (int c = CIPHER_AES_CBC; c <= CIPHER_AES_CTR; c++)
		for (size_t len = 990; len < 1010; len++) {
			struct aes_key k = make_key((enum cipher)c, 256);
			struct blob plain = blob_image(len, 4);
			struct run r = {.in = encrypted(&k, &plain, true)};

			for (size_t i = 0; i < 49; i++) {
				r.in_max = max[i / 7], r.out_max = max[i % 7];
				expect_bytes(&k, &r, &plain);
			}
			blob_clear(&plain);
			blob_clear(&r.in);
		}
}

/* every failure reads the same (T49) */
static void expect_refusal(const struct aes_key *k, const struct run *r, char text[512])
{
	struct blob got = {0};
	struct err e = {0};
	int rc = decrypt(k, r, &got, &e);

	assert_true(rc < 0);
	assert_int_equal(e.code, E_DECRYPT);
	if (!text[0])
		memcpy(text, e.why, sizeof(e.why));
	assert_string_equal(e.why, text);
	blob_clear(&got);
}

static void t49_every_wrong_end_reads_the_same(void **state)
{
	struct aes_key k = make_key(CIPHER_AES_CBC, 256), other = make_key(CIPHER_AES_CBC, 128);
	struct blob plain = blob_image(48, 4), good = encrypted(&k, &plain, true);
	char text[512] = "";

	(void)state;
	for (size_t cut = 0; cut < good.len; cut++) /* also inside a block, also nothing at all */
		if (cut % 16)
			expect_refusal(&k, &(struct run){.in = {good.data, cut}}, text);
	expect_refusal(&k, &(struct run){.in = {good.data, 0}}, text);
	expect_refusal(&other, &(struct run){.in = good}, text);
	for (unsigned last = 0; last < 256; last++) { /* each value of the padding byte */
		struct blob block = blob_image(16, 9);

		block.data[14] = 0xee;
		block.data[15] = (uint8_t)last;
		struct run r = {.in = encrypted(&k, &block, false), .out_max = 8};
		struct blob one = {block.data, 15};

		if (last == 1)
			expect_bytes(&k, &r, &one);
		else
			expect_refusal(&k, &r, text);
		blob_clear(&block);
		blob_clear(&r.in);
	}
	blob_clear(&plain);
	blob_clear(&good);
}

static void padding_is_right_for_each_length_and_wrong_with_one_byte_changed(void **state)
{
	struct aes_key k = make_key(CIPHER_AES_CBC, 192);
	char text[512] = "";

	(void)state;
	for (unsigned pad = 1; pad <= 16; pad++)
		for (unsigned bad = 0; bad < pad; bad++) {
			uint8_t block[16] = "0123456789abcdef";

			memset(block + 16 - pad, (int)pad, pad);
			struct blob plain = {block, 16}, want = {block, 16 - pad};
			struct run r = {.in = encrypted(&k, &plain, false)};

			expect_bytes(&k, &r, &want);
			blob_clear(&r.in);
			if (!bad)
				continue;
			block[15 - bad] ^= 1;
			r.in = encrypted(&k, &plain, false);
			expect_refusal(&k, &r, text);
			blob_clear(&r.in);
		}
}

static void t49_a_wrong_hash_is_seen_before_the_padding(void **state)
{
	struct aes_key k = make_key(CIPHER_AES_CBC, 256);
	struct blob plain = blob_image(100, 4);
	struct run r = {.in = encrypted(&k, &plain, true), .at_end = E_PAYLOAD_HASH};

	(void)state;
	for (size_t i = 0; i < r.in.len; i++) {
		struct blob got = {0};
		struct err e = {0};

		r.in.data[i] ^= 0x41;
		assert_true(decrypt(&k, &r, &got, &e) < 0);
		assert_int_equal(e.code, E_PAYLOAD_HASH);
		r.in.data[i] ^= 0x41;
		blob_clear(&got);
	}
	blob_clear(&plain);
	blob_clear(&r.in);
}

static void the_last_block_is_withheld_until_the_end_is_proven(void **state)
{
	struct aes_key k = make_key(CIPHER_AES_CBC, 256);
	struct blob plain = blob_image(4095, 4), got = {0};
	struct run r = {.in = encrypted(&k, &plain, true), .out_max = 16, .at_end = E_PAYLOAD_HASH};
	struct err e = {0};

	(void)state;
	assert_true(decrypt(&k, &r, &got, &e) < 0);
	assert_true(got.len <= 4080);
	assert_memory_equal(got.data, plain.data, got.len);
	blob_clear(&plain);
	blob_clear(&r.in);
	blob_clear(&got);
}

static void a_key_of_no_possible_kind_is_refused(void **state)
{
	const struct chunks src = {.bytes = {(uint8_t *)"x", 1}};
	struct stream *up = chunks_open(&src);
	AUTO_STREAM struct stream *s = up;
	struct aes_key k = {.cipher = CIPHER_AES_CBC, .bits = 64};
	struct err e = {0};

	(void)state;
	assert_int_equal(stage_decrypt_open(&s, &k, &e), -EINVAL);
	assert_int_equal(e.code, E_KEY_AES);
	err_clear(&e);
	k = (struct aes_key){.cipher = CIPHER_NONE, .bits = 128};
	assert_int_equal(stage_decrypt_open(&s, &k, &e), -EINVAL);
	assert_ptr_equal(s, up);
}

static void decrypt_then_decompress(void **state)
{
	static const char *const gzip[] = {"gzip", "-c", NULL};
	struct aes_key k = make_key(CIPHER_AES_CBC, 256);
	struct blob plain = blob_image(300000, 4), packed = {0}, got = {0};
	struct err e = {0};

	(void)state;
	assert_int_equal(tool_filter(gzip, &plain, &packed), 0);
	struct blob secret = encrypted(&k, &packed, true);
	const struct chunks src = {.bytes = secret, .max = 9000, .seed = 3};
	AUTO_STREAM struct stream *s = chunks_open(&src);

	assert_int_equal(stage_decrypt_open(&s, &k, &e), 0);
	assert_int_equal(stage_decompress_open(&s, CODEC_GZIP, 1 << 20, &e), 0);
	assert_int_equal(chunks_read(s, 0, &got, &e), 0);
	assert_int_equal(got.len, plain.len);
	assert_memory_equal(got.data, plain.data, plain.len);
	blob_clear(&plain);
	blob_clear(&packed);
	blob_clear(&secret);
	blob_clear(&got);
}

static int decrypt_plainly(const struct aes_key *k, const struct blob *in, const struct blob *want,
			   struct err *e)
{
	static uint8_t buf[65536];
	AUTO_STREAM struct stream *s = NULL;
	int rc = stream_mem_open(&s, in->data, in->len, e);

	if (rc == 0)
		rc = stage_decrypt_open(&s, k, e);
	if (rc < 0)
		return rc;
	ssize_t n = stream_read(s, buf, sizeof(buf), e);

	if (n < 0)
		return (int)n;
	assert_int_equal(n, want->len);
	assert_memory_equal(buf, want->data, want->len);
	return (int)stream_read(s, buf, sizeof(buf), e);
}

/* all allocations fail in turn: how many there were */
static unsigned fail_all(const struct aes_key *k, const struct blob *in, const struct blob *want)
{
	for (unsigned n = 1;; n++) {
		struct err e = {0};

		fail_malloc_at(n);
		int rc = decrypt_plainly(k, in, want, &e);

		if (!fail_malloc_off())
			return rc == 0 ? n : 0;
		/* the library does without some of its own */
		assert_true(rc == 0 || (rc == -ENOMEM && e.code == E_MEMORY));
	}
}

static void each_allocation_that_fails_is_told(void **state)
{
	struct aes_key k = make_key(CIPHER_AES_CBC, 256);
	struct blob plain, in;

	(void)state;
	if (!fail_malloc_works())
		skip();
	plain = blob_image(1000, 5);
	in = encrypted(&k, &plain, true);
	assert_true(fail_all(&k, &in, &plain) > 3);

	long before = fail_malloc_live(); /* what the library keeps, it has by now */

	assert_true(fail_all(&k, &in, &plain) > 3);
	assert_int_equal(fail_malloc_live(), before);
	blob_clear(&plain);
	blob_clear(&in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decrypt_reads_what_openssl_wrote),
		cmocka_unit_test(decrypt_takes_any_piece_sizes),
		cmocka_unit_test(t49_every_wrong_end_reads_the_same),
		cmocka_unit_test(padding_is_right_for_each_length_and_wrong_with_one_byte_changed),
		cmocka_unit_test(t49_a_wrong_hash_is_seen_before_the_padding),
		cmocka_unit_test(the_last_block_is_withheld_until_the_end_is_proven),
		cmocka_unit_test(a_key_of_no_possible_kind_is_refused),
		cmocka_unit_test(decrypt_then_decompress),
		cmocka_unit_test(each_allocation_that_fails_is_told),
	};
	const struct chunks none = {0};
	AUTO_STREAM struct stream *s = chunks_open(&none);
	struct aes_key k = {.cipher = CIPHER_AES_CBC, .bits = 128};
	struct err e = {0};

	if (stage_decrypt_open(&s, &k, &e) == -ENOTSUP && e.code == E_NOT_BUILT) {
		printf("SKIP: %s\n", e.why);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
