/* Published vectors: each answer agrees, but where our floor is higher than theirs (T8, T9). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "corelib/sign/sig.h"
#include "corelib/base/text.h"

struct vectors {
	const char *file;
	enum sig_scheme pinned;
	bool none;   /* their valid ones are refused: our floor is higher */
	int also[2]; /* accepted here: salts of another length that is long enough */
	unsigned accepted, refused;
};

static struct keyring *load(const char *base64, enum sig_scheme pinned)
{
	const struct keyring_options o = {.pinned = pinned};
	char pem[2048] = "-----BEGIN PUBLIC KEY-----\n";
	size_t at = strlen(pem);
	struct keyring *k;
	struct err e;

	for (size_t i = 0; base64[i] && base64[i] != '\n'; i++) {
		pem[at++] = base64[i];
		if (i % 64 == 63)
			pem[at++] = '\n';
	}
	snprintf(pem + at, sizeof(pem) - at, "\n-----END PUBLIC KEY-----\n");
	err_clear(&e);
	if (keyring_parse(&k, pem, strlen(pem), NULL, 0, &o, &e) == 0)
		return k;
	assert_int_equal(e.code, E_SIG_KEY);
	return NULL;
}

static size_t unhex(const char *hex, uint8_t *out, size_t room)
{
	size_t n = strcmp(hex, "-") == 0 ? 0 : strlen(hex) / 2;

	assert_true(n <= room);
	assert_int_equal(text_unhex(hex, 2 * n, out, n), 0);
	return n;
}

static void one(struct vectors *v, const struct keyring *k, char *line)
{
	static uint8_t msg[16384], sig[8192];
	char *save, *result = strtok_r(line, " ", &save), *id = strtok_r(NULL, " ", &save);
	size_t n = unhex(strtok_r(NULL, " ", &save), msg, sizeof(msg));
	size_t sig_len = unhex(strtok_r(NULL, " \n", &save), sig, sizeof(sig));
	struct sig_info info;
	struct err e;
	bool good, want = strcmp(result, "valid") == 0 && !v->none;
	int number = (int)strtol(id, NULL, 10);

	err_clear(&e);
	want = want || number == v->also[0] || number == v->also[1];
	good = k && sig_verify(k, msg, n, sig, sig_len, &info, &e) == 0;
	if (good != want && k)
		fail_msg("%s: vector %s is %s, but %s", v->file, id, result,
			 good ? "accepted" : e.why);
	*(good ? &v->accepted : &v->refused) += 1;
}

static void walk(struct vectors v, unsigned accepted)
{
	struct keyring *k = NULL;
	char path[128];
	static char line[65536];
	FILE *in;

	text_print(path, sizeof(path), "tests/unit/vectors/%s", v.file);
	in = fopen(path, "r");
	assert_non_null(in);
	while (fgets(line, sizeof(line), in)) {
		if (strncmp(line, "key ", 4) == 0) {
			keyring_free(k);
			k = load(line + 4, v.pinned);
		} else if (line[0] != '#') {
			one(&v, k, line);
		}
	}
	keyring_free(k);
	fclose(in);
	assert_int_equal(v.accepted, accepted);
	assert_true(v.refused > 40);
}

static void t9_ecdsa_p256_vectors(void **state)
{
	(void)state;
	walk((struct vectors){.file = "ecdsa_p256.txt"}, 170);
}

static void t9_ecdsa_p384_vectors(void **state)
{
	(void)state;
	walk((struct vectors){.file = "ecdsa_p384.txt"}, 190);
}

static void t9_ed25519_vectors(void **state)
{
	(void)state;
	walk((struct vectors){.file = "ed25519.txt"}, 88);
}

/* two keys of this file have e = 3: refused with the key, 2 of the 9 valid ones with them */
static void t8_rsa_pkcs1_vectors(void **state)
{
	(void)state;
	walk((struct vectors){.file = "rsa_pkcs1.txt", .pinned = SIG_RSA_PKCS1}, 7);
}

static void t8_rsa_pss_vectors(void **state)
{
	(void)state;
	walk((struct vectors){.file = "rsa_pss_salt32.txt",
			      .pinned = SIG_RSA_PSS,
			      .also = {71, 72}},
	     65);
}

static void t8_rsa_pss_vectors_without_salt_are_refused(void **state)
{
	(void)state;
	walk((struct vectors){.file = "rsa_pss_salt0.txt",
			      .pinned = SIG_RSA_PSS,
			      .none = true,
			      .also = {69, 70}},
	     2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t9_ecdsa_p256_vectors),
		cmocka_unit_test(t9_ecdsa_p384_vectors),
		cmocka_unit_test(t9_ed25519_vectors),
		cmocka_unit_test(t8_rsa_pkcs1_vectors),
		cmocka_unit_test(t8_rsa_pss_vectors),
		cmocka_unit_test(t8_rsa_pss_vectors_without_salt_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
