#include "core/trust.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "generated/build.h"
#include "parser/encrypted_text.h"

static void cleanup_keyring(struct keyring **k)
{
	keyring_free(*k);
}

int trust_scheme(const char *provider, enum sig_scheme *s, struct err *e)
{
	static const struct {
		const char *name;
		enum sig_scheme scheme;
	} names[] = {
		/* the names that configurations of SWUpdate use, and ours */
		{"opensslRSA", SIG_RSA_PKCS1},	{"opensslRSAPSS", SIG_RSA_PSS},
		{"opensslCMS", SIG_CMS},	{"mbedtlsRSA", SIG_RSA_PKCS1},
		{"mbedtlsRSAPSS", SIG_RSA_PSS}, {"pkcs#7mbedtls", SIG_CMS},
		{"WolfSSLRSA", SIG_RSA_PKCS1},	{"WolfSSLRSAPSS", SIG_RSA_PSS},
		{"pkcs#7WolfSSL", SIG_CMS},	{"rsa", SIG_RSA_PKCS1},
		{"rsa-pss", SIG_RSA_PSS},	{"ecdsa", SIG_ECDSA},
		{"ed25519", SIG_ED25519},	{"cms", SIG_CMS},
	};

	*s = SIG_ANY;
	if (!provider || !*provider)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcasecmp(provider, names[i].name) == 0) {
			*s = names[i].scheme;
			return 0;
		}
	}
	return err_set(e, E_CONFIG, EINVAL,
		       "digest-provider '%s' is not known; rsa, rsa-pss, ecdsa, ed25519, cms are",
		       provider);
}

int64_t trust_time(void)
{
	const int64_t clock = sys_now_real(), built = SWINSTALL_BUILD_STAMP;

	return clock > built ? clock : built;
}

static int open_keys(struct keyring **k, const struct settings *cfg, struct err *e)
{
	struct keyring_options o = {
		.purpose = cfg->cert_purpose,
		.signer_name = cfg->forced_signer_name,
		.crl_file = cfg->crl_path,
		.now = trust_time(),
	};
	int rc = trust_scheme(cfg->digest_provider, &o.pinned, e);

	if (rc < 0)
		return rc;
	return keyring_open(k, cfg->public_key_file, &o, e);
}

static int no_key(const struct settings *cfg, struct err *e)
{
	int rc = err_set(e, E_KEY_FILE, ENOKEY,
			 "the bundle is signed, but this device does not know by whom: no key is "
			 "configured");

	err_fix(e,
		"copy the signer's certificate or public key to this device and name it with -k, "
		"or as public-key-file in the configuration");
	return cfg->file ? err_at(e, rc, "%s", cfg->file) : rc;
}

/* no signature or no key: refused, unless root said otherwise */
static int unsigned_bundle(struct trust *t, const struct settings *cfg, bool has_sig, struct err *e)
{
	const char *why = has_sig ? "no key is configured, so the signature was not checked"
				  : "the bundle has no signature";

	if (!cfg->allow_unsigned) {
		if (has_sig)
			return no_key(cfg, e);
		return err_set(e, E_SIG_MISSING, ENOKEY,
			       "the second member of the bundle is not its "
			       "signature, or the signature is empty");
	}
	return text_print(t->warning, sizeof(t->warning),
			  "%s; it is installed because unsigned bundles are allowed here: nobody "
			  "vouches for it",
			  why);
}

int trust_verify(struct trust *t, const struct settings *cfg, const struct bundle *b, struct err *e)
{
	__attribute__((cleanup(cleanup_keyring))) struct keyring *keys = NULL;
	size_t n, sig_len;
	const void *text = bundle_description(b, &n);
	const void *sig = bundle_signature(b, &sig_len);
	int rc;

	memset(t, 0, sizeof(*t));
	if (sig_len == 0 || !cfg->public_key_file)
		return unsigned_bundle(t, cfg, sig_len > 0, e);
	rc = open_keys(&keys, cfg, e);
	if (rc < 0)
		return err_while(e, rc, "reading the keys that may sign bundles");
	rc = sig_verify(keys, text, n, sig, sig_len, &t->info, e);
	rc = encrypted_text_explain(text, n, rc, e);
	if (rc < 0)
		return err_at(e, rc, "sw-description.sig");
	t->vouched = true;
	return 0;
}
