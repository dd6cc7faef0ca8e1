#include "core/build/encrypt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "core/build/variables.h"
#include "corelib/base/digest.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "parser/keyfile.h"

#define CHUNK	  (256u * 1024)
#define AES_BLOCK 16u
#define LABEL	  "swinstall ivt 1" /* its NUL counts: it parts label and name */

struct run {
	int in, out;
	EVP_CIPHER_CTX *ctx;
	struct sha256 sum; /* of what was read */
	uint8_t *from, *to;
	uint64_t at;
	size_t got; /* bytes in 'from'; 0 = the end */
	struct err *e;
};

static int fill(struct run *r)
{
	ssize_t n = sys_pread(r->in, r->from, CHUNK, r->at);

	if (n < 0)
		return err_sys(r->e, E_BUILD, (int)-n, "reading it failed");
	r->got = (size_t)n;
	r->at += r->got;
	return 0;
}

static int fail(struct err *e)
{
	return err_set(e, E_BUILD, EIO, "encrypting it failed");
}

/* ---- the initial vector ----------------------------------------------------------------- */

static int read_on(struct run *r)
{
	int rc = fill(r);

	return rc < 0 ? rc : sha256_update(&r->sum, r->from, r->got, r->e);
}

static int sum_file(struct run *r, uint8_t sum[SHA256_LEN])
{
	int rc = sha256_init(&r->sum, r->e);

	for (r->at = 0, r->got = 1; rc == 0 && r->got;)
		rc = read_on(r);
	return rc < 0 ? rc : sha256_final(&r->sum, sum, r->e);
}

static int make_iv(struct encryption *x, struct run *r)
{
	uint8_t text[sizeof(LABEL) + 1 + SHA256_LEN + 256], mac[SHA256_LEN];
	const struct bytes key = {x->key->key, x->key->bits / 8};
	size_t name = strlen(x->name);
	struct bytes all = {.at = text};
	uint8_t *to = text;
	int rc;

	if (name > 255)
		return err_set(r->e, E_BUILD, ENAMETOOLONG, "its name is too long");
	memcpy(to, LABEL, sizeof(LABEL));
	to += sizeof(LABEL);
	*to++ = (uint8_t)x->cipher;
	rc = sum_file(r, x->sha256);
	if (rc < 0)
		return rc;
	memcpy(to, x->sha256, SHA256_LEN);
	to += SHA256_LEN;
	memcpy(to, x->name, name);
	to += name;
	all.n = (size_t)(to - text);
	rc = hmac_sha256(&key, &all, mac, r->e);
	if (rc < 0)
		return rc;
	memcpy(x->iv, mac, sizeof(x->iv));
	return 0;
}

/* ---- the bytes -------------------------------------------------------------------------- */

static const EVP_CIPHER *find_cipher(enum cipher c, unsigned bits)
{
	if (c == CIPHER_AES_CTR)
		return bits == 256   ? EVP_aes_256_ctr()
		       : bits == 192 ? EVP_aes_192_ctr()
				     : EVP_aes_128_ctr();
	return bits == 256   ? EVP_aes_256_cbc()
	       : bits == 192 ? EVP_aes_192_cbc()
			     : EVP_aes_128_cbc();
}

static int drain(struct run *r, int n)
{
	int rc = sys_write(r->out, r->to, (size_t)n);

	return rc < 0 ? err_sys(r->e, E_BUILD, -rc, "writing what was encrypted failed") : 0;
}

static int run_all(struct run *r)
{
	int n = 0, rc = sha256_init(&r->sum, r->e);

	for (r->at = 0, r->got = 1; rc == 0 && r->got;) {
		rc = read_on(r);
		if (rc == 0 && EVP_EncryptUpdate(r->ctx, r->to, &n, r->from, (int)r->got) != 1)
			rc = fail(r->e);
		if (rc == 0)
			rc = drain(r, n);
	}
	if (rc < 0)
		return rc;
	if (EVP_EncryptFinal_ex(r->ctx, r->to, &n) != 1)
		rc = fail(r->e);
	return rc < 0 ? rc : drain(r, n);
}

/* what was encrypted must be what the vector was made of */
static int compare(struct run *r, const uint8_t want[SHA256_LEN])
{
	uint8_t got[SHA256_LEN];
	int rc = sha256_final(&r->sum, got, r->e);

	if (rc < 0 || memcmp(got, want, SHA256_LEN) == 0)
		return rc;
	return err_set(r->e, E_BUILD, EBUSY, "it changed while it was read");
}

int encrypt_vector(struct encryption *x, int in, struct err *e)
{
	AUTO_FREE uint8_t *from = malloc(CHUNK);
	struct run r = {.in = in, .from = from, .e = e};
	int rc;

	if (!from)
		return err_set(e, E_MEMORY, ENOMEM, "no memory to encrypt");
	rc = make_iv(x, &r);
	sha256_clear(&r.sum);
	secure_zero(from, CHUNK);
	return rc;
}

int encrypt_file(struct encryption *x, int in, int out, struct err *e)
{
	AUTO_FREE uint8_t *from = malloc(CHUNK);
	AUTO_FREE uint8_t *to = malloc(CHUNK + AES_BLOCK);
	struct run r = {.in = in, .out = out, .from = from, .to = to, .e = e};
	int rc = 0;

	if (!from || !to)
		return err_set(e, E_MEMORY, ENOMEM, "no memory to encrypt");
	r.ctx = EVP_CIPHER_CTX_new();
	if (!r.ctx)
		rc = err_set(e, E_MEMORY, ENOMEM, "no memory to encrypt");
	if (rc == 0 && EVP_EncryptInit_ex(r.ctx, find_cipher(x->cipher, x->key->bits), NULL,
					  x->key->key, x->iv) != 1)
		rc = fail(e);
	if (rc == 0)
		rc = run_all(&r);
	if (rc == 0)
		rc = compare(&r, x->sha256);
	sha256_clear(&r.sum);
	EVP_CIPHER_CTX_free(r.ctx);
	secure_zero(from, CHUNK);
	return rc;
}

int encrypt_read_key(struct aes_key *k, const char *path, struct err *e)
{
	char *text = NULL;
	size_t n = 0;
	int rc = build_read_text(path, &text, &n, e);

	if (rc == 0)
		rc = err_at(e, keyfile_parse(k, text, n, e), "%s", path);
	if (text)
		secure_zero(text, n);
	free(text);
	return rc;
}
