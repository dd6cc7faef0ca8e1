#include "corelib/sign/keyring.h"

#include <errno.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "corelib/base/text.h"

const char *sig_scheme_name(enum sig_scheme s)
{
	static const char *const names[] = {
		[SIG_ANY] = "any",     [SIG_RSA_PKCS1] = "rsa",	  [SIG_RSA_PSS] = "rsa-pss",
		[SIG_ECDSA] = "ecdsa", [SIG_ED25519] = "ed25519", [SIG_CMS] = "cms",
	};
	return (size_t)s < ARRAY_SIZE(names) ? names[s] : "unknown";
}

int sig_openssl_init(struct err *e)
{
	/* whoever initialises first decides, so each entry point asks for it */
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) == 1)
		return 0;
	return err_set(e, E_INTERNAL, EINVAL, "the crypto library OpenSSL cannot be started");
}

int sig_openssl_err(struct err *e, enum errcode code, const char *what)
{
	const char *reason = NULL;
	bool memory = false;
	unsigned long c;

	while ((c = ERR_get_error()) != 0) {
		if (!reason)
			reason = ERR_reason_error_string(c);
		memory = memory || ERR_GET_REASON(c) == ERR_R_MALLOC_FAILURE;
	}
	if (memory)
		return err_set(e, E_MEMORY, ENOMEM, "%s: no memory", what);
	if (!reason)
		return err_set(e, code, EBADMSG, "%s", what);
	return err_set(e, code, EBADMSG, "%s (OpenSSL: %s)", what, reason);
}

/* the object identifier of CMS signed data, which stands right behind two lengths */
static bool looks_like_cms(const uint8_t *sig, size_t n)
{
	static const uint8_t signed_data[] = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
					      0xf7, 0x0d, 0x01, 0x07, 0x02};

	for (size_t at = 2; at <= 6 && at + sizeof(signed_data) <= n; at++)
		if (memcmp(sig + at, signed_data, sizeof(signed_data)) == 0)
			return sig[0] == 0x30;
	return false;
}

enum sig_scheme sig_guess(const void *sig, size_t n)
{
	const uint8_t *s = sig;

	if (looks_like_cms(s, n))
		return SIG_CMS;
	if (n == 64)
		return SIG_ED25519;
	if (n >= 8 && n <= 110 && s[0] == 0x30 && s[1] == n - 2 && s[2] == 0x02)
		return SIG_ECDSA;
	if (n >= 256 && n <= 1024 && n % 8 == 0)
		return SIG_RSA_PKCS1;
	return SIG_ANY;
}

int sig_verify(const struct keyring *k, const void *data, size_t n, const void *sig, size_t sig_len,
	       struct sig_info *info, struct err *e)
{
	const struct sig_input in = {.data = data, .n = n, .sig = sig, .sig_len = sig_len};
	int rc;

	memset(info, 0, sizeof(*info));
	if (sig_len == 0)
		return err_set(e, E_SIG_MISSING, ENOENT, "the signature is empty");
	if (sig_len > SIG_MAX)
		return err_set(e, E_SIG_LIMIT, EFBIG, "the signature has %zu bytes; %d are allowed",
			       sig_len, SIG_MAX);
	rc = sig_openssl_init(e);
	if (rc < 0)
		return rc;
	rc = k->kind == SIG_CMS ? sig_cms_verify(k, &in, info, e) : sig_raw_verify(k, &in, info, e);
	ERR_clear_error();
	return rc;
}
