#include "core/build/keygen.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "corelib/sign/keyring.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define RSA_BITS 3072
#define YEARS	 20

static int make_key(EVP_PKEY **key, const char *type, struct err *e)
{
	if (strcmp(type, "cms") == 0 || strcmp(type, "rsa") == 0)
		*key = EVP_RSA_gen(RSA_BITS);
	else if (strcmp(type, "ecdsa") == 0)
		*key = EVP_EC_gen("P-256");
	else if (strcmp(type, "ed25519") == 0)
		*key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	else
		return err_set(e, E_USAGE, EINVAL,
			       "'%s' is no type of key; there are cms, rsa, ecdsa, ed25519", type);
	return *key ? 0 : sig_openssl_err(e, E_BUILD, "no key could be made");
}

/* what a BIO in memory holds, as text */
static char *text_of(BIO *b)
{
	char *at = NULL;
	long n = BIO_get_mem_data(b, &at);

	return n > 0 ? strndup(at, (size_t)n) : NULL;
}

static char *key_text(EVP_PKEY *key, bool private)
{
	AUTO(BIO_free_all) BIO *b = BIO_new(private ? BIO_s_secmem() : BIO_s_mem());
	int ok = 0;

	if (b && private)
		ok = PEM_write_bio_PKCS8PrivateKey(b, key, NULL, NULL, 0, NULL, NULL);
	else if (b)
		ok = PEM_write_bio_PUBKEY(b, key);
	return ok == 1 ? text_of(b) : NULL;
}

static int add_extension(X509 *cert, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *x;
	int ok;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	x = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = x && X509_add_ext(cert, x, -1) == 1;
	X509_EXTENSION_free(x);
	return ok;
}

/* a device without a clock believes in the date it was built, which may lie before that of the key
 */
static int set_times(X509 *cert)
{
	return ASN1_TIME_set_string_X509(X509_getm_notBefore(cert), "20000101000000Z") == 1 &&
	       X509_time_adj_ex(X509_getm_notAfter(cert), YEARS * 365 + YEARS / 4, 0, NULL);
}

static int set_names(X509 *cert, const char *name)
{
	X509_NAME *subject = X509_get_subject_name(cert);
	BIGNUM *serial = BN_new();
	int ok = serial && BN_rand(serial, 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
		 BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(cert)) &&
		 X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
					    (const unsigned char *)name, -1, -1, 0) == 1 &&
		 X509_set_issuer_name(cert, subject) == 1;

	BN_free(serial);
	return ok;
}

static char *cert_text(EVP_PKEY *key, const char *name)
{
	AUTO(X509_free) X509 *cert = X509_new();
	AUTO(BIO_free_all) BIO *b = BIO_new(BIO_s_mem());
	int ok = cert && b && X509_set_version(cert, X509_VERSION_3) == 1 &&
		 set_names(cert, name) && set_times(cert) && X509_set_pubkey(cert, key) == 1 &&
		 add_extension(cert, NID_basic_constraints, "critical,CA:FALSE") &&
		 add_extension(cert, NID_key_usage, "critical,digitalSignature") &&
		 add_extension(cert, NID_ext_key_usage, "emailProtection,codeSigning") &&
		 add_extension(cert, NID_subject_key_identifier, "hash") &&
		 X509_sign(cert, key, EVP_sha256()) > 0 && PEM_write_bio_X509(b, cert) == 1;

	return ok ? text_of(b) : NULL;
}

int keygen_make(struct keygen_pair *p, const char *type, const char *name, struct err *e)
{
	AUTO(EVP_PKEY_free) EVP_PKEY *key = NULL;
	bool with_cert = !type || strcmp(type, "cms") == 0;
	int rc = sig_openssl_init(e);

	memset(p, 0, sizeof(*p));
	if (rc == 0)
		rc = make_key(&key, type ? type : "cms", e);
	if (rc < 0)
		return rc;
	p->key_pem = key_text(key, true);
	p->pub_pem = key_text(key, false);
	if (with_cert)
		p->cert_pem = cert_text(key, name);
	if (p->key_pem && p->pub_pem && (p->cert_pem || !with_cert))
		return 0;
	keygen_clear(p);
	return sig_openssl_err(e, E_BUILD,
			       with_cert ? "the certificate could not be made"
					 : "the key could not be written");
}

void keygen_clear(struct keygen_pair *p)
{
	if (p->key_pem)
		secure_zero(p->key_pem, strlen(p->key_pem));
	free(p->key_pem);
	free(p->cert_pem);
	free(p->pub_pem);
	memset(p, 0, sizeof(*p));
}

/* ---- files ------------------------------------------------------------------------------ */

static int write_new(int dir, const char *file, const char *text, unsigned mode, struct err *e)
{
	int fd = sys_openat(dir, file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	int rc, closed;

	if (fd == -EEXIST) {
		err_fix(e,
			"name another folder (--dir) or another name (--name), or move the old key away; "
			"devices that know the old one refuse bundles of a new one");
		return err_set(e, E_BUILD, EEXIST,
			       "%s is there already; keys are never overwritten", file);
	}
	if (fd < 0)
		return err_sys(e, E_BUILD, -fd, "creating %s failed", file);
	rc = sys_write(fd, text, strlen(text));
	if (rc == 0)
		rc = sys_fsync(fd);
	closed = sys_close(&fd);
	if (rc == 0)
		rc = closed;
	if (rc == 0)
		return 0;
	sys_unlinkat(dir, file, 0);
	return err_sys(e, E_BUILD, -rc, "writing %s failed", file);
}

static int write_pair(int dir, const void *what, const char *name, struct err *e)
{
	const struct keygen_pair *p = what;
	const char *open_text = p->cert_pem ? p->cert_pem : p->pub_pem;
	char secret[NAME_MAX + 1], open_name[NAME_MAX + 1];
	int rc;

	if (text_print(secret, sizeof(secret), "%s.key.pem", name) < 0 ||
	    text_print(open_name, sizeof(open_name), "%s.%s.pem", name,
		       p->cert_pem ? "cert" : "pub") < 0)
		return err_set(e, E_USAGE, ENAMETOOLONG, "the name of the key is too long");
	rc = write_new(dir, open_name, open_text, 0644, e);
	if (rc < 0)
		return rc;
	rc = write_new(dir, secret, p->key_pem, 0600, e);
	if (rc < 0)
		sys_unlinkat(dir, open_name, 0);
	return rc;
}

/* what is to be written into the folder, which is made when absent */
struct writing {
	int (*write)(int dir, const void *what, const char *name, struct err *e);
	const void *what;
};

static int write_into(const char *dir, const char *name, const struct writing *w, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	int rc;

	if (!*name || strchr(name, '/') || text_has_control(name, strlen(name)))
		return err_set(e, E_USAGE, EINVAL, "the name of the key must be a plain file name");
	rc = sys_mkdirat(AT_FDCWD, dir, 0700);
	if (rc < 0 && rc != -EEXIST)
		return err_at(e, err_sys(e, E_BUILD, -rc, "creating the folder failed"), "%s", dir);
	fd = sys_openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		return err_at(e, err_sys(e, E_BUILD, -fd, "opening the folder failed"), "%s", dir);
	rc = w->write(fd, w->what, name, e);
	if (rc == 0) {
		rc = sys_fsync(fd);
		if (rc < 0)
			err_sys(e, E_BUILD, -rc, "writing the folder failed");
	}
	return err_while(e, err_at(e, rc, "%s", dir), "the key cannot be stored");
}

int keygen_write(const struct keygen_pair *p, const char *dir, const char *name, struct err *e)
{
	const struct writing w = {write_pair, p};

	return write_into(dir, name, &w, e);
}

static int write_aes(int dir, const void *what, const char *name, struct err *e)
{
	char file[NAME_MAX + 1];

	if (text_print(file, sizeof(file), "%s.aes", name) < 0)
		return err_set(e, E_USAGE, ENAMETOOLONG, "the name of the key is too long");
	return write_new(dir, file, what, 0600, e);
}

int keygen_aes(const char *dir, const char *name, struct err *e)
{
	uint8_t bytes[32 + 16];
	char text[2 * sizeof(bytes) + 3];
	const struct writing w = {write_aes, text};
	int rc = sys_random(bytes, sizeof(bytes));

	if (rc < 0)
		return err_sys(e, E_BUILD, -rc, "no random bytes for the key");
	text_hex(bytes, 32, text);
	text[64] = ' ';
	text_hex(bytes + 32, 16, text + 65);
	memcpy(text + 65 + 32, "\n", 2);
	rc = write_into(dir, name, &w, e);
	secure_zero(bytes, sizeof(bytes));
	secure_zero(text, sizeof(text));
	return rc;
}
