/* Digests against known values, in any cutting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "corelib/base/crc32c.h"
#include "corelib/base/digest.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/fake_stream.h"

static void sha256_known_value_in_any_cutting(void **state)
{
	const char *abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
	uint8_t out[SHA256_LEN];
	char hex[65];
	struct sha256 h;
	struct err e = {0};

	(void)state;
	assert_int_equal(sha256_once("abc", 3, out, &e), 0);
	text_hex(out, SHA256_LEN, hex);
	assert_string_equal(hex, abc);
	assert_int_equal(sha256_init(&h, &e), 0);
	for (int round = 0; round < 3; round++) {
		assert_int_equal(sha256_update(&h, "a", 1, &e), 0);
		assert_int_equal(sha256_update(&h, "", 0, &e), 0);
		assert_int_equal(sha256_update(&h, "bc", 2, &e), 0);
		assert_int_equal(sha256_final(&h, out, &e), 0);
		text_hex(out, SHA256_LEN, hex);
		assert_string_equal(hex, abc);
		assert_int_equal(sha256_again(&h, &e), 0);
	}
	sha256_clear(&h);
	sha256_clear(&h);
}

static void crc32c_known_value_in_both_ways_and_any_cutting(void **state)
{
	uint8_t buf[300];

	(void)state;
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c_portable(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c(crc32c(0, "12345", 5), "6789", 4), 0xe3069283);
	assert_int_equal(crc32c(0, "", 0), 0);
	fake_bytes(buf, sizeof(buf), 1);
	for (size_t n = 0; n < sizeof(buf); n++)
		assert_int_equal(crc32c(0, buf + n % 7, n - n % 7),
				 crc32c_portable(0, buf + n % 7, n - n % 7));
}

static uint32_t slow_sum(const uint8_t *p, size_t n)
{
	uint32_t sum = 0;

	while (n-- > 0)
		sum += *p++;
	return sum;
}

static void bytesum_is_the_sum_at_every_length_and_alignment(void **state)
{
	size_t size = 40000;
	uint8_t *buf = malloc(size);

	(void)state;
	assert_non_null(buf);
	fake_bytes(buf, size, 2);
	for (size_t n = 0; n < 200; n++)
		for (size_t off = 0; off < 9; off++)
			assert_int_equal(bytesum(0, buf + off, n), slow_sum(buf + off, n));
	assert_int_equal(bytesum(7, buf, size), slow_sum(buf, size) + 7);
	memset(buf, 0xff, size);
	assert_int_equal(bytesum(0, buf, size), 255 * size);
	assert_int_equal(bytesum(0xffffffffu, buf, 1), 254);
	free(buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_known_value_in_any_cutting),
		cmocka_unit_test(crc32c_known_value_in_both_ways_and_any_cutting),
		cmocka_unit_test(bytesum_is_the_sum_at_every_length_and_alignment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
