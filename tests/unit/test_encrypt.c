/* Encrypting payloads: what the device decrypts, vectors that no two contents share, and failures
 * on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/build/encrypt.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/fail_malloc.h"

#define BIG (600u * 1024 + 7) /* some chunks and a tail */

static struct aes_key key(unsigned bits)
{
	struct aes_key k = {.bits = bits};

	memset(k.key, 0x5a, bits / 8);
	return k;
}

static int file_of(const uint8_t *bytes, size_t n)
{
	int fd = memfd_create("in", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(sys_pwrite(fd, bytes, n, 0), 0);
	return fd;
}

static uint8_t *pattern(size_t n)
{
	uint8_t *p = malloc(n ? n : 1);

	assert_non_null(p);
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 7 + i / 251);
	return p;
}

static int encrypt(struct encryption *x, int in, int out, struct err *e)
{
	int rc = encrypt_vector(x, in, e);

	return rc < 0 ? rc : encrypt_file(x, in, out, e);
}

/* encrypts; *made is malloc'ed */
static size_t run(struct encryption *x, const uint8_t *bytes, size_t n, uint8_t **made)
{
	int in = file_of(bytes, n), out = memfd_create("out", MFD_CLOEXEC);
	off_t size;
	struct err e;

	err_clear(&e);
	assert_int_equal(encrypt(x, in, out, &e), 0);
	size = lseek(out, 0, SEEK_END);
	*made = malloc((size_t)size + 1);
	assert_non_null(*made);
	assert_int_equal(sys_pread(out, *made, (size_t)size, 0), size);
	close(in);
	close(out);
	return (size_t)size;
}

/* as the device does it */
static void assert_decrypts(const struct encryption *x, const uint8_t *stored, size_t stored_n,
			    const uint8_t *want, size_t n)
{
	struct stream *s = NULL;
	struct aes_key k = *x->key;
	uint8_t *back = malloc(n + 1);
	struct err e;

	assert_non_null(back);
	err_clear(&e);
	k.cipher = x->cipher;
	memcpy(k.iv, x->iv, sizeof(k.iv));
	assert_int_equal(stream_mem_open(&s, stored, stored_n, &e), 0);
	assert_int_equal(stage_decrypt_open(&s, &k, &e), 0);
	assert_int_equal(stream_read_all(s, back, n, &e), 0);
	assert_int_equal(stream_drain(s, &e), 0);
	assert_memory_equal(back, want, n);
	stream_close(s);
	free(back);
}

static void the_device_decrypts_each_size_and_key(void **state)
{
	static const size_t sizes[] = {0, 1, 15, 16, 17, 4096, 256 * 1024, 256 * 1024 + 1, BIG};
	static const unsigned bits[] = {128, 192, 256};
	uint8_t *bytes = pattern(BIG);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (size_t b = 0; b < 2 * ARRAY_SIZE(bits); b++) {
			const struct aes_key k = key(bits[b / 2]);
			struct encryption x = {.key = &k,
					       .cipher = b % 2 ? CIPHER_AES_CTR : CIPHER_AES_CBC,
					       .name = "a"};
			uint8_t *made;
			size_t n = run(&x, bytes, sizes[i], &made);

			assert_int_equal(n, x.cipher == CIPHER_AES_CTR ? sizes[i]
								       : sizes[i] / 16 * 16 + 16);
			assert_decrypts(&x, made, n, bytes, sizes[i]);
			free(made);
		}
	}
	free(bytes);
}

/* T50: one difference in content, name, key or cipher, and the vector is another */
static void t50_no_two_payloads_share_a_vector(void **state)
{
	uint8_t *bytes = pattern(1000), *made;
	const struct aes_key a = key(256), b = key(128);
	struct encryption x[] = {
		{.key = &a, .cipher = CIPHER_AES_CBC, .name = "a"},
		{.key = &a, .cipher = CIPHER_AES_CBC, .name = "b"},
		{.key = &a, .cipher = CIPHER_AES_CTR, .name = "a"},
		{.key = &b, .cipher = CIPHER_AES_CBC, .name = "a"},
		{.key = &a, .cipher = CIPHER_AES_CBC, .name = "a"}, /* one byte of content */
		{.key = &a, .cipher = CIPHER_AES_CBC, .name = "a"}, /* one byte less */
		{.key = &a, .cipher = CIPHER_AES_CBC, .name = "a"}, /* as the first */
	};
	size_t last = ARRAY_SIZE(x) - 1;

	(void)state;
	for (size_t i = 0; i <= last; i++) {
		bytes[999] ^= i == 4;
		run(&x[i], bytes, i == 5 ? 999 : 1000, &made);
		bytes[999] ^= i == 4;
		free(made);
	}
	for (size_t i = 0; i < last; i++)
		for (size_t j = i + 1; j < last; j++)
			assert_memory_not_equal(x[i].iv, x[j].iv, sizeof(x[i].iv));
	assert_memory_equal(x[0].iv, x[last].iv, sizeof(x[0].iv));
	free(bytes);
}

/* The vector is part of what makes builds reproducible for ever: this value must never change. */
static void the_vector_of_a_known_payload_stays(void **state)
{
	const struct aes_key k = key(256);
	struct encryption x = {.key = &k, .cipher = CIPHER_AES_CBC, .name = "rootfs.img.enc"};
	uint8_t *made;
	char hex[33];

	(void)state;
	run(&x, (const uint8_t *)"release 1.0.0\n", 14, &made);
	free(made);
	text_hex(x.iv, sizeof(x.iv), hex);
	assert_string_equal(hex, "002ed0abb807561e46c5fbe41efb9581");
}

static void what_cannot_be_read_or_written_is_told(void **state)
{
	const struct aes_key k = key(256);
	struct encryption x = {.key = &k, .cipher = CIPHER_AES_CBC, .name = "a"};
	int in = file_of((const uint8_t *)"x", 1), full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	char name[300];
	struct err e;

	(void)state;
	err_clear(&e);
	assert_true(encrypt(&x, -1, full, &e) < 0);
	assert_int_equal(e.code, E_BUILD);
	err_clear(&e);
	assert_true(encrypt(&x, in, full, &e) < 0);
	assert_int_equal(e.code, E_BUILD);
	assert_non_null(strstr(e.why, "No space"));
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	x.name = name;
	err_clear(&e);
	assert_true(encrypt(&x, in, full, &e) < 0);
	assert_non_null(strstr(e.why, "too long"));
	close(in);
	close(full);
}

/* T50: the vector belongs to one content */
static void t50_a_file_that_changes_after_its_vector_was_made_is_not_encrypted(void **state)
{
	static const char *const later[] = {"release 2.0.0\n", "release 1.0.0", "release 1.0.0\n\n",
					    "release 0.1.0\n", ""};
	const struct aes_key k = key(256);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(later); i++) {
		struct encryption x = {.key = &k, .cipher = CIPHER_AES_CBC, .name = "a"};
		int in = file_of((const uint8_t *)"release 1.0.0\n", 14);
		int out = memfd_create("out", MFD_CLOEXEC);
		struct err e;

		err_clear(&e);
		assert_int_equal(encrypt_vector(&x, in, &e), 0);
		assert_int_equal(ftruncate(in, 0), 0);
		assert_int_equal(sys_pwrite(in, later[i], strlen(later[i]), 0), 0);
		assert_true(encrypt_file(&x, in, out, &e) < 0);
		assert_int_equal(e.code, E_BUILD);
		assert_non_null(strstr(e.why, "changed"));
		close(in);
		close(out);
	}
}

static void a_key_file_that_is_none_is_told_with_its_name(void **state)
{
	struct aes_key k = {0};
	struct err e;

	(void)state;
	err_clear(&e);
	assert_true(encrypt_read_key(&k, "/nonexistent/aes", &e) < 0);
	assert_non_null(strstr(e.where, "/nonexistent/aes"));
	err_clear(&e);
	assert_true(encrypt_read_key(&k, "/dev/null", &e) < 0);
	err_clear(&e);
	assert_true(encrypt_read_key(&k, "/proc/self/comm", &e) < 0);
	assert_int_equal(e.code, E_KEY_AES);
	assert_int_equal(k.bits, 0);
}

static void encrypting_without_memory_is_an_error(void **state)
{
	const struct aes_key k = key(256);
	struct encryption x = {.key = &k, .cipher = CIPHER_AES_CBC, .name = "a"};
	int in = file_of((const uint8_t *)"some bytes", 10);

	(void)state;
	if (!fail_malloc_works())
		skip();
	for (unsigned n = 1;; n++) {
		int out = memfd_create("out", MFD_CLOEXEC), rc;
		struct err e;

		err_clear(&e);
		fail_malloc_at(n);
		rc = encrypt(&x, in, out, &e);
		close(out);
		if (!fail_malloc_off()) {
			assert_int_equal(rc, 0);
			break;
		}
		assert_int_equal(rc < 0, err_is_set(&e));
	}
	close(in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_device_decrypts_each_size_and_key),
		cmocka_unit_test(t50_no_two_payloads_share_a_vector),
		cmocka_unit_test(the_vector_of_a_known_payload_stays),
		cmocka_unit_test(what_cannot_be_read_or_written_is_told),
		cmocka_unit_test(
			t50_a_file_that_changes_after_its_vector_was_made_is_not_encrypted),
		cmocka_unit_test(a_key_file_that_is_none_is_told_with_its_name),
		cmocka_unit_test(encrypting_without_memory_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
