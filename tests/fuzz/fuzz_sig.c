/*
 * Signature blobs of every kind against keys of every kind: nothing but the one good blob is
 * accepted. The keys and their good signatures are made anew at the start; the input is mixed into
 * a good blob or taken as it is.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/build/keygen.h"
#include "corelib/sign/sig.h"
#include "corelib/base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char text[] = "software = { version = \"1\"; };\n";

static struct kind {
	const char *type;
	struct keyring *ring;
	uint8_t *good;
	size_t len;
} kinds[] = {{.type = "rsa"}, {.type = "ecdsa"}, {.type = "ed25519"}, {.type = "cms"}};

int LLVMFuzzerInitialize(int *argc, char ***argv);

/* an RSA key takes its time: not within the time of one input */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const struct keyring_options o = {.now = 1800000000};
	struct err e = {0};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct keygen_pair p = {0};
		struct sig_signer s = {0};

		if (keygen_make(&p, strcmp(kinds[i].type, "cms") == 0 ? NULL : kinds[i].type,
				"fuzz", &e) < 0)
			abort();
		s.key_pem = p.key_pem;
		s.cert_pem = p.cert_pem;
		if (sig_sign(&s, text, sizeof(text) - 1, &kinds[i].good, &kinds[i].len, &e) < 0 ||
		    keyring_parse(&kinds[i].ring, p.cert_pem ? p.cert_pem : p.pub_pem,
				  strlen(p.cert_pem ? p.cert_pem : p.pub_pem), NULL, 0, &o, &e) < 0)
			abort();
		keygen_clear(&p);
	}
	(void)argc;
	(void)argv;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct sig_info info;
	struct err e = {0};
	uint8_t blob[4096];
	struct kind *k;

	if (n < 4 || n > sizeof(blob))
		return 0;
	k = &kinds[data[0] % ARRAY_SIZE(kinds)];
	if (data[1] & 1) { /* a good blob with some bytes replaced */
		size_t at = (data[2] | (size_t)data[3] << 8) % k->len,
		       len = n - 4 < k->len - at ? n - 4 : k->len - at;

		if (k->len > sizeof(blob))
			return 0;
		memcpy(blob, k->good, k->len);
		memcpy(blob + at, data + 4, len);
		n = k->len;
	} else {
		n -= 4;
		memcpy(blob, data + 4, n);
	}
	if (sig_verify(k->ring, text, sizeof(text) - 1, blob, n, &info, &e) == 0 &&
	    (n != k->len || memcmp(blob, k->good, n) != 0) && strcmp(k->type, "cms") != 0)
		abort(); /* CMS has bytes that no signature covers: unsigned attributes, the
			    certificate's own encoding */
	return 0;
}
