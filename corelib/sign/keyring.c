#include "corelib/sign/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192
#define RSA_E_MIN    65537

/* ---- one key ---------------------------------------------------------------------------- */

static int check_rsa(const EVP_PKEY *key, struct err *e)
{
	int bits = EVP_PKEY_get_bits(key);
	BIGNUM *exponent = NULL;
	bool good;

	if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)
		return err_set(e, E_SIG_KEY, EINVAL,
			       "the RSA key has %d bits; %d to %d are allowed", bits, RSA_BITS_MIN,
			       RSA_BITS_MAX);
	if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) != 1)
		return sig_openssl_err(e, E_SIG_KEY, "the RSA key has no exponent");
	good = BN_is_odd(exponent) &&
	       (BN_num_bits(exponent) > 32 || BN_get_word(exponent) >= RSA_E_MIN);
	BN_free(exponent);
	if (!good)
		return err_set(e, E_SIG_KEY, EINVAL,
			       "the public exponent of the RSA key is even or less than %d",
			       RSA_E_MIN);
	return 0;
}

static int check_ec(const EVP_PKEY *key, enum key_kind *kind, struct err *e)
{
	char curve[64] = "";
	size_t n;

	if (EVP_PKEY_get_group_name(key, curve, sizeof(curve), &n) != 1) {
		ERR_clear_error();
		text_copy(curve, sizeof(curve), "without a name");
	}
	*kind = strcmp(curve, "secp384r1") == 0 ? KEY_EC_P384 : KEY_EC_P256;
	if (*kind == KEY_EC_P384 || strcmp(curve, "prime256v1") == 0)
		return 0;
	return err_set(e, E_SIG_KEY, EINVAL, "the key is on the curve %s; P-256 or P-384 is needed",
		       curve);
}

int key_check(const EVP_PKEY *key, enum key_kind *kind, struct err *e)
{
	const char *name;

	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
		*kind = KEY_RSA;
		return check_rsa(key, e);
	case EVP_PKEY_EC:
		return check_ec(key, kind, e);
	case EVP_PKEY_ED25519:
		*kind = KEY_ED25519;
		return 0;
	}
	name = EVP_PKEY_get0_type_name(key);
	return err_set(e, E_SIG_KEY, EINVAL, "the key is of the kind %s", name ? name : "unknown");
}

const EVP_MD *key_digest(enum key_kind kind)
{
	if (kind == KEY_ED25519)
		return NULL;
	return kind == KEY_EC_P384 ? EVP_sha384() : EVP_sha256();
}

/* ---- PEM -------------------------------------------------------------------------------- */

struct pem {
	char *name, *header;
	unsigned char *data;
	long len;
};

static void cleanup_pem(struct pem *p)
{
	OPENSSL_free(p->name);
	OPENSSL_free(p->header);
	OPENSSL_clear_free(p->data, p->len > 0 ? (size_t)p->len : 0);
}

/* 1 and a block, 0 at the end, -errno */
static int next_block(BIO *in, struct pem *p, struct err *e)
{
	if (PEM_read_bio(in, &p->name, &p->header, &p->data, &p->len) == 1)
		return 1;
	if (ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE) {
		ERR_clear_error();
		return 0;
	}
	return sig_openssl_err(e, E_KEY_FILE, "a PEM block is damaged");
}

static int set_kind(struct keyring *k, enum sig_scheme kind, struct err *e)
{
	if (k->kind != SIG_ANY && k->kind != kind)
		return err_set(
			e, E_KEY_FILE, EINVAL,
			"keys of several kinds are mixed (%s and %s); one file holds one kind",
			sig_scheme_name(k->kind), sig_scheme_name(kind));
	k->kind = kind;
	return 0;
}

static int add_key(struct keyring *k, const struct pem *p, struct err *e)
{
	static const enum sig_scheme schemes[] = {
		[KEY_RSA] = SIG_RSA_PKCS1,
		[KEY_EC_P256] = SIG_ECDSA,
		[KEY_EC_P384] = SIG_ECDSA,
		[KEY_ED25519] = SIG_ED25519,
	};
	const unsigned char *at = p->data;
	EVP_PKEY *key;
	enum key_kind kind;
	int rc;

	if (k->key_count == KEYRING_MAX)
		return err_set(e, E_KEY_FILE, E2BIG, "there are more than %d keys", KEYRING_MAX);
	if (strcmp(p->name, "RSA PUBLIC KEY") == 0)
		key = d2i_PublicKey(EVP_PKEY_RSA, NULL, &at, p->len);
	else
		key = d2i_PUBKEY(NULL, &at, p->len);
	if (!key)
		return sig_openssl_err(e, E_KEY_FILE, "a public key cannot be read");
	k->keys[k->key_count++] = key;
	if (at != p->data + p->len)
		return err_set(e, E_KEY_FILE, EBADMSG, "there are bytes behind a public key");
	rc = key_check(key, &kind, e);
	return rc < 0 ? rc : set_kind(k, schemes[kind], e);
}

static int add_cert(struct keyring *k, const struct pem *p, struct err *e)
{
	const unsigned char *at = p->data;
	AUTO(X509_free) X509 *cert = d2i_X509(NULL, &at, p->len);

	if (!cert || at != p->data + p->len)
		return sig_openssl_err(e, E_KEY_FILE, "a certificate cannot be read");
	if (sk_X509_num(k->anchors) >= KEYRING_MAX)
		return err_set(e, E_KEY_FILE, E2BIG, "there are more than %d certificates",
			       KEYRING_MAX);
	if (X509_STORE_add_cert(k->store, cert) != 1)
		return sig_openssl_err(e, E_KEY_FILE, "a certificate cannot be stored");
	if (sk_X509_push(k->anchors, cert) <= 0)
		return sig_openssl_err(e, E_MEMORY, "a certificate cannot be stored");
	cert = NULL; /* the list owns it */
	return set_kind(k, SIG_CMS, e);
}

static int add_block(struct keyring *k, const struct pem *p, struct err *e)
{
	size_t n = strlen(p->name);
	char name[64];

	if (strcmp(p->name, "PUBLIC KEY") == 0 || strcmp(p->name, "RSA PUBLIC KEY") == 0)
		return add_key(k, p, e);
	if (strcmp(p->name, "CERTIFICATE") == 0)
		return add_cert(k, p, e);
	if (n >= 11 && strcmp(p->name + n - 11, "PRIVATE KEY") == 0)
		return err_set(e, E_KEY_FILE, EINVAL,
			       "this is a private key, which only the signer has; "
			       "the device needs the public key or the certificate");
	text_printable(p->name, n, name, sizeof(name));
	return err_set(e, E_KEY_FILE, EINVAL, "'%s' is neither a public key nor a certificate",
		       name);
}

static int read_keys(struct keyring *k, const void *pem, size_t n, struct err *e)
{
	AUTO(BIO_free_all) BIO *in = BIO_new_mem_buf(pem, (int)n);

	if (!in)
		return sig_openssl_err(e, E_MEMORY, "the keys cannot be read");
	for (;;) {
		struct pem p __attribute__((cleanup(cleanup_pem))) = {0};
		int rc = next_block(in, &p, e);

		if (rc > 0)
			rc = add_block(k, &p, e);
		else if (rc == 0)
			break;
		if (rc < 0)
			return rc;
	}
	if (k->kind == SIG_ANY)
		return err_set(e, E_KEY_FILE, EINVAL,
			       "there is no public key or certificate in PEM form");
	return 0;
}

/* ---- revocation lists ------------------------------------------------------------------- */

static int add_crl(struct keyring *k, X509_CRL *crl, struct err *e)
{
	int ok = crl && X509_STORE_add_crl(k->store, crl) == 1;

	X509_CRL_free(crl);
	if (!ok)
		return sig_openssl_err(e, E_KEY_FILE, "the revocation list cannot be read");
	k->has_crl = true;
	return 0;
}

static int read_crls_pem(struct keyring *k, const void *text, size_t n, struct err *e)
{
	AUTO(BIO_free_all) BIO *in = BIO_new_mem_buf(text, (int)n);
	int rc = 0;

	if (!in)
		return sig_openssl_err(e, E_MEMORY, "the revocation list cannot be read");
	while (rc == 0) {
		X509_CRL *crl = PEM_read_bio_X509_CRL(in, NULL, NULL, NULL);

		if (!crl && k->has_crl &&
		    ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
			break;
		rc = add_crl(k, crl, e);
	}
	ERR_clear_error();
	return rc;
}

static int read_crls(struct keyring *k, const void *crl, size_t n, struct err *e)
{
	const unsigned char *at = crl;
	X509_CRL *one;

	if (memmem(crl, n, "-----BEGIN", 10))
		return read_crls_pem(k, crl, n, e);
	one = d2i_X509_CRL(NULL, &at, (long)n);
	if (one && at != (const unsigned char *)crl + n) {
		X509_CRL_free(one);
		return err_set(e, E_KEY_FILE, EBADMSG,
			       "there are bytes behind the revocation list");
	}
	return add_crl(k, one, e);
}

/* ---- the ring --------------------------------------------------------------------------- */

static int set_purpose(struct keyring *k, const char *purpose, struct err *e)
{
	char shown[64];

	if (!purpose || strcmp(purpose, "emailProtection") == 0)
		k->purpose = XKU_SMIME;
	else if (strcmp(purpose, "codeSigning") == 0)
		k->purpose = XKU_CODE_SIGN;
	else if (strcmp(purpose, "any") == 0)
		k->purpose = 0;
	else {
		text_printable(purpose, strlen(purpose), shown, sizeof(shown));
		return err_set(e, E_CONFIG, EINVAL,
			       "the certificate purpose '%s' is not known; there are "
			       "emailProtection, codeSigning, any",
			       shown);
	}
	return 0;
}

static int set_pinned(struct keyring *k, enum sig_scheme pinned, struct err *e)
{
	bool suits = pinned == SIG_ANY || pinned == k->kind ||
		     (pinned == SIG_RSA_PSS && k->kind == SIG_RSA_PKCS1);
	int rc;

	k->pinned = pinned;
	if (suits)
		return 0;
	rc = err_set(e, E_KEY_FILE, EINVAL, "the method %s is demanded, but the key is for %s",
		     sig_scheme_name(pinned), sig_scheme_name(k->kind));
	err_fix(e, "leave digest-provider out, or name a key that belongs to it");
	return rc;
}

static int make_store(struct keyring *k, struct err *e)
{
	k->anchors = sk_X509_new_null();
	k->store = X509_STORE_new();
	if (!k->anchors || !k->store)
		return sig_openssl_err(e, E_MEMORY, "the keys cannot be stored");
	return 0;
}

struct material {
	const void *pem, *crl;
	size_t n, crl_len;
};

static int fill(struct keyring *k, const struct material *m, const struct keyring_options *o,
		struct err *e)
{
	int rc = make_store(k, e);

	if (rc == 0)
		rc = set_purpose(k, o->purpose, e);
	if (rc == 0)
		rc = read_keys(k, m->pem, m->n, e);
	if (rc == 0)
		rc = set_pinned(k, o->pinned, e);
	if (rc == 0 && m->crl)
		rc = read_crls(k, m->crl, m->crl_len, e);
	if (rc == 0 && o->signer_name) {
		k->signer_name = strdup(o->signer_name);
		if (!k->signer_name)
			rc = err_set(e, E_MEMORY, ENOMEM, "no memory for the signer's name");
		else if (k->kind != SIG_CMS)
			rc = err_set(e, E_KEY_FILE, EINVAL,
				     "a signer's name is demanded, but bare keys "
				     "have none; give certificates");
	}
	return rc;
}

int keyring_parse(struct keyring **out, const void *pem, size_t n, const void *crl, size_t crl_len,
		  const struct keyring_options *o, struct err *e)
{
	const struct material m = {.pem = pem, .n = n, .crl = crl, .crl_len = crl_len};
	struct keyring *k;
	int rc = sig_openssl_init(e);

	*out = NULL;
	if (rc < 0)
		return rc;
	if (n > KEYRING_FILE_MAX || crl_len > 16 * (size_t)KEYRING_FILE_MAX)
		return err_set(e, E_KEY_FILE, EFBIG, "the file is larger than any file of keys");
	k = calloc(1, sizeof(*k));
	if (!k)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the keys");
	k->now = o->now;
	rc = fill(k, &m, o, e);
	ERR_clear_error();
	if (rc < 0) {
		keyring_free(k);
		return rc;
	}
	*out = k;
	return 0;
}

void keyring_free(struct keyring *k)
{
	if (!k)
		return;
	for (size_t i = 0; i < k->key_count; i++)
		EVP_PKEY_free(k->keys[i]);
	sk_X509_pop_free(k->anchors, X509_free);
	X509_STORE_free(k->store);
	free(k->signer_name);
	free(k);
}

/* ---- files (T17) ------------------------------------------------------------------------ */

/* a link counts when root made it and what it leads to is safe too */
static int resolve(const char *file, char real[PATH_MAX], struct err *e)
{
	struct stat st;

	if (lstat(file, &st) < 0) {
		int rc = err_sys(e, E_KEY_FILE, errno, "opening it failed");

		if (rc == -EACCES) /* err_sys() has said what to do */
			return rc;
		err_fix(e, "check the name (-k, or public-key-file in the configuration), and that "
			   "the file was copied to this device");
		return rc;
	}
	if (S_ISLNK(st.st_mode) && st.st_uid != 0)
		return err_set(e, E_KEY_FILE, EPERM,
			       "it is a symbolic link that root does not own");
	if (!sys_path_is_safe(file))
		return err_set(e, E_KEY_FILE, EPERM, "others can change it or a folder above it");
	if (!realpath(file, real))
		return err_sys(e, E_KEY_FILE, errno, "opening it failed");
	if (S_ISLNK(st.st_mode) && !sys_path_is_safe(real))
		return err_set(e, E_KEY_FILE, EPERM,
			       "others can change the file it links to or a folder above");
	return 0;
}

static int check_owner(int fd, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, E_KEY_FILE, errno, "reading it failed");
	if (!S_ISREG(st.st_mode))
		return err_set(e, E_KEY_FILE, EINVAL, "it is not a plain file");
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return err_set(e, E_KEY_FILE, EPERM, "it belongs to user %u, not to root",
			       (unsigned)st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return err_set(e, E_KEY_FILE, EPERM, "its mode %04o lets others change it",
			       (unsigned)st.st_mode & 07777);
	return 0;
}

/* *buf is malloc'ed */
static int read_safe(const char *file, size_t max, uint8_t **buf, size_t *len, struct err *e)
{
	char real[PATH_MAX];
	AUTO_CLOSE int fd = -1;
	ssize_t got;
	int rc = resolve(file, real, e);

	if (rc < 0)
		return rc;
	fd = sys_openat(AT_FDCWD, real, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY,
			0);
	if (fd < 0)
		return err_sys(e, E_KEY_FILE, -fd, "opening it failed");
	rc = check_owner(fd, e);
	if (rc < 0)
		return rc;
	*buf = malloc(max + 1);
	if (!*buf)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the key file");
	got = sys_read(fd, *buf, max + 1);
	if (got < 0)
		return err_sys(e, E_KEY_FILE, (int)-got, "reading it failed");
	if ((size_t)got > max)
		return err_set(e, E_KEY_FILE, EFBIG, "it is larger than %zu bytes", max);
	*len = (size_t)got;
	return 0;
}

int keyring_open(struct keyring **k, const char *file, const struct keyring_options *o,
		 struct err *e)
{
	AUTO_FREE uint8_t *pem = NULL;
	AUTO_FREE uint8_t *crl = NULL;
	size_t n = 0, crl_len = 0;
	int rc = read_safe(file, KEYRING_FILE_MAX, &pem, &n, e);

	*k = NULL;
	if (rc < 0)
		return err_at(e, rc, "%s", file);
	if (o->crl_file) {
		rc = read_safe(o->crl_file, 16 * (size_t)KEYRING_FILE_MAX, &crl, &crl_len, e);
		if (rc < 0)
			return err_at(e, rc, "%s", o->crl_file);
	}
	rc = keyring_parse(k, pem, n, crl, crl_len, o, e);
	return err_at(e, rc, "%s", file);
}
