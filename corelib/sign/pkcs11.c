#include "corelib/sign/pkcs11.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <p11-kit/p11-kit.h>
#include <p11-kit/pkcs11.h>
#include <p11-kit/uri.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define SLOTS_MAX 64
#define PIN_MAX	  256
#define INSTALL                                                                                    \
	"install that of the token (Debian: softhsm2 for SoftHSM, opensc-pkcs11 for smart cards) " \
	"or name its file by module-path="

struct pkcs11_key {
	P11KitUri *uri;
	CK_FUNCTION_LIST **all;	    /* that p11-kit knows, ended by NULL */
	CK_FUNCTION_LIST *named[2]; /* or the one of module-path, and NULL */
	CK_FUNCTION_LIST *m;	    /* that of the token */
	CK_SLOT_ID slot;
	CK_TOKEN_INFO token;
	char label[sizeof(((CK_TOKEN_INFO *)NULL)->label) + 1];
	char seen[160]; /* labels of tokens that do not fit, for people */
	CK_SESSION_HANDLE session;
	bool has_session;
	CK_OBJECT_HANDLE object;
	enum pkcs11_kind kind;
};

static int fail(struct err *e, CK_RV rv, const char *what)
{
	if (rv == CKR_HOST_MEMORY)
		return err_set(e, E_MEMORY, ENOMEM, "%s: no memory", what);
	return err_set(e, E_TOKEN, EIO, "%s: %s", what, p11_kit_strerror(rv));
}

/* ---- the URI and the modules --------------------------------------------------------------- */

static int parse(struct pkcs11_key *k, const char *text, struct err *e)
{
	int rc;

	k->uri = p11_kit_uri_new();
	if (!k->uri)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the URI");
	rc = p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, k->uri);
	if (rc == P11_KIT_URI_NO_MEMORY)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the URI");
	if (rc != P11_KIT_URI_OK)
		return err_set(e, E_TOKEN, EINVAL, "the URI cannot be read: %s",
			       p11_kit_uri_message(rc));
	if (p11_kit_uri_any_unrecognized(k->uri))
		return err_set(e, E_TOKEN, EINVAL, "the URI has a word that is not known");
	return 0;
}

static int load_named(struct pkcs11_key *k, const char *path, struct err *e)
{
	CK_RV rv;

	k->named[0] = p11_kit_module_load(path, 0);
	if (!k->named[0])
		return err_set(e, E_TOKEN, ENOENT, "the module '%s' cannot be loaded", path);
	rv = p11_kit_module_initialize(k->named[0]);
	if (rv == CKR_OK)
		return 0;
	p11_kit_module_release(k->named[0]);
	k->named[0] = NULL;
	return fail(e, rv, "the module cannot be started");
}

static CK_FUNCTION_LIST **modules(struct pkcs11_key *k)
{
	return k->all ? k->all : k->named;
}

static int load(struct pkcs11_key *k, struct err *e)
{
	const char *path = p11_kit_uri_get_module_path(k->uri);

	if (path)
		return load_named(k, path, e);
	k->all = p11_kit_modules_load_and_initialize(0);
	if (!k->all || !k->all[0])
		return err_set(e, E_TOKEN, ENOENT, "no PKCS#11 module is known here; " INSTALL);
	return 0;
}

/* ---- the token ----------------------------------------------------------------------------- */

static bool fits_module(struct pkcs11_key *k, CK_FUNCTION_LIST *m)
{
	const char *wanted = p11_kit_uri_get_module_name(k->uri);
	char *name = wanted ? p11_kit_module_get_name(m) : NULL;
	bool fits = !wanted || (name && strcmp(name, wanted) == 0);
	CK_INFO info;

	free(name);
	return fits && m->C_GetInfo(&info) == CKR_OK &&
	       p11_kit_uri_match_module_info(k->uri, &info) == 1;
}

static void note_label(struct pkcs11_key *k, const CK_TOKEN_INFO *t)
{
	size_t n = sizeof(t->label);

	while (n && (t->label[n - 1] == ' ' || !t->label[n - 1]))
		n--;
	text_printable((const char *)t->label, n, k->label, sizeof(k->label));
}

static void pass_over(struct pkcs11_key *k, const CK_TOKEN_INFO *t)
{
	size_t at = strlen(k->seen);

	note_label(k, t);
	if (at + strlen(k->label) + 8 < sizeof(k->seen))
		(void)text_print(k->seen + at, sizeof(k->seen) - at, "%s'%s'",
				 at ? ", " : "; there is ", k->label);
}

/* how many tokens of the module the URI fits; the last one of them is kept */
static size_t look_in(struct pkcs11_key *k, CK_FUNCTION_LIST *m)
{
	CK_SLOT_ID slots[SLOTS_MAX];
	CK_ULONG n = SLOTS_MAX;
	size_t count = 0;

	if (m->C_GetSlotList(CK_TRUE, slots, &n) != CKR_OK)
		return 0;
	for (CK_ULONG i = 0; i < n; i++) {
		CK_SLOT_INFO slot;
		CK_TOKEN_INFO token;

		if (m->C_GetSlotInfo(slots[i], &slot) != CKR_OK ||
		    m->C_GetTokenInfo(slots[i], &token) != CKR_OK ||
		    !(token.flags & CKF_TOKEN_INITIALIZED))
			continue;
		if (p11_kit_uri_match_slot_info(k->uri, &slot) != 1 ||
		    p11_kit_uri_match_token_info(k->uri, &token) != 1) {
			pass_over(k, &token);
			continue;
		}
		k->m = m;
		k->slot = slots[i];
		k->token = token;
		count++;
	}
	return count;
}

static int find_token(struct pkcs11_key *k, struct err *e)
{
	size_t count = 0;

	for (CK_FUNCTION_LIST **m = modules(k); *m; m++)
		/* p11-kit's own list of certificates of authorities holds no keys */
		if (!(p11_kit_module_get_flags(*m) & P11_KIT_MODULE_TRUSTED) && fits_module(k, *m))
			count += look_in(k, *m);
	if (count == 1) {
		note_label(k, &k->token);
		return 0;
	}
	if (count)
		return err_set(e, E_TOKEN, EEXIST,
			       "%zu tokens fit the URI; name one by token=LABEL", count);
	if (*k->seen)
		return err_set(e, E_TOKEN, ENODEV, "no token fits the URI%s", k->seen);
	return err_set(e, E_TOKEN, ENODEV, "there is no token; if its module is missing, " INSTALL);
}

/* ---- logging in ---------------------------------------------------------------------------- */

/* the file's first line */
static int read_pin(const char *source, char pin[PIN_MAX + 1], struct err *e)
{
	const char *path = strncmp(source, "file:", 5) == 0 ? source + 5 : source;
	AUTO_CLOSE int fd = -1;
	ssize_t got;

	if (*source == '|')
		return err_set(e, E_TOKEN, ENOTSUP, "pin-source must be a file");
	if (strncmp(path, "///", 3) == 0)
		path += 2;
	fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY, 0);
	if (fd < 0)
		return err_sys(e, E_TOKEN, -fd, "opening the file of pin-source failed");
	got = sys_pread(fd, pin, PIN_MAX, 0);
	if (got < 0)
		return err_sys(e, E_TOKEN, (int)-got, "reading the file of pin-source failed");
	pin[got] = '\0';
	pin[strcspn(pin, "\r\n")] = '\0';
	return 0;
}

static int tell_pin(struct pkcs11_key *k, CK_USER_TYPE who, const char *pin, struct err *e)
{
	CK_RV rv = k->m->C_Login(k->session, who, (CK_UTF8CHAR *)pin, pin ? strlen(pin) : 0);

	if (rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN)
		return 0;
	if (rv == CKR_PIN_INCORRECT)
		return err_set(
			e, E_TOKEN, EACCES,
			"the PIN is not that of the token '%s'; tokens lock themselves after "
			"some wrong ones",
			k->label);
	return fail(e, rv, "logging in to the token failed");
}

static int log_in(struct pkcs11_key *k, CK_USER_TYPE who, struct err *e)
{
	const char *value = p11_kit_uri_get_pin_value(k->uri);
	const char *source = p11_kit_uri_get_pin_source(k->uri);
	char pin[PIN_MAX + 1] = "";
	int rc = 0;

	/* the token has keys of its own for the PIN */
	if (!value && !source && k->token.flags & CKF_PROTECTED_AUTHENTICATION_PATH)
		return tell_pin(k, who, NULL, e);
	if (!value && !source)
		return err_set(
			e, E_TOKEN, EACCES,
			"the token '%s' wants a PIN; add ?pin-source=file:NAME to the URI, a "
			"file that only you can read",
			k->label);
	if (!value)
		rc = read_pin(source, pin, e);
	if (rc == 0)
		rc = tell_pin(k, who, value ? value : pin, e);
	secure_zero(pin, sizeof(pin));
	return rc;
}

static int enter(struct pkcs11_key *k, struct err *e)
{
	CK_RV rv = k->m->C_OpenSession(k->slot, CKF_SERIAL_SESSION, NULL, NULL, &k->session);

	if (rv != CKR_OK)
		return fail(e, rv, "the token cannot be opened");
	k->has_session = true;
	return k->token.flags & CKF_LOGIN_REQUIRED ? log_in(k, CKU_USER, e) : 0;
}

/* ---- the key ------------------------------------------------------------------------------- */

static int find_key(struct pkcs11_key *k, struct err *e)
{
	static const CK_ATTRIBUTE_TYPE by[] = {CKA_LABEL, CKA_ID};
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_ATTRIBUTE want[1 + ARRAY_SIZE(by)] = {{CKA_CLASS, &class, sizeof(class)}};
	CK_OBJECT_HANDLE found[2];
	CK_ULONG n = 1, count = 0;
	CK_RV rv;

	for (size_t i = 0; i < ARRAY_SIZE(by); i++) {
		const CK_ATTRIBUTE *a = p11_kit_uri_get_attribute(k->uri, by[i]);

		if (a)
			want[n++] = *a;
	}
	rv = k->m->C_FindObjectsInit(k->session, want, n);
	if (rv == CKR_OK) {
		rv = k->m->C_FindObjects(k->session, found, ARRAY_SIZE(found), &count);
		k->m->C_FindObjectsFinal(k->session);
	}
	if (rv != CKR_OK)
		return fail(e, rv, "looking for the key failed");
	if (count != 1)
		return err_set(e, E_TOKEN, count ? EEXIST : ENOENT,
			       "the token '%s' has %s private key that fits the URI; see object= "
			       "and id=",
			       k->label, count ? "more than one" : "no");
	k->object = found[0];
	return 0;
}

static int tell_curve(struct pkcs11_key *k, struct err *e)
{
	static const uint8_t p256[] = {6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7};
	static const uint8_t p384[] = {6, 5, 0x2b, 0x81, 4, 0, 0x22};
	uint8_t params[64];
	CK_ATTRIBUTE a = {CKA_EC_PARAMS, params, sizeof(params)};
	CK_RV rv = k->m->C_GetAttributeValue(k->session, k->object, &a, 1);

	k->kind = PKCS11_P256;
	if (rv == CKR_OK && a.ulValueLen == sizeof(p256) && memcmp(params, p256, sizeof(p256)) == 0)
		return 0;
	k->kind = PKCS11_P384;
	if (rv == CKR_OK && a.ulValueLen == sizeof(p384) && memcmp(params, p384, sizeof(p384)) == 0)
		return 0;
	return err_set(e, E_SIG_KEY, EINVAL, "the curve of the key is neither P-256 nor P-384");
}

static int tell_kind(struct pkcs11_key *k, struct err *e)
{
	CK_KEY_TYPE type = 0;
	CK_ATTRIBUTE a = {CKA_KEY_TYPE, &type, sizeof(type)};
	CK_RV rv = k->m->C_GetAttributeValue(k->session, k->object, &a, 1);

	if (rv != CKR_OK)
		return fail(e, rv, "the token does not tell the type of the key");
	k->kind = PKCS11_RSA;
	if (type == CKK_EC)
		return tell_curve(k, e);
	return type == CKK_RSA
		       ? 0
		       : err_set(e, E_SIG_KEY, ENOTSUP,
				 "the key is neither RSA nor ECDSA; others sign no digests");
}

int pkcs11_open(struct pkcs11_key **key, const char *uri, struct err *e)
{
	struct pkcs11_key *k = calloc(1, sizeof(*k));
	int rc;

	*key = k;
	if (!k)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the token");
	rc = parse(k, uri, e);
	if (rc == 0)
		rc = load(k, e);
	if (rc == 0)
		rc = find_token(k, e);
	if (rc == 0)
		rc = enter(k, e);
	if (rc == 0)
		rc = find_key(k, e);
	if (rc == 0)
		rc = tell_kind(k, e);
	if (rc == 0)
		return 0;
	pkcs11_close(k);
	*key = NULL;
	return rc;
}

void pkcs11_close(struct pkcs11_key *k)
{
	if (!k)
		return;
	if (k->has_session)
		k->m->C_CloseSession(k->session);
	if (k->all)
		p11_kit_modules_finalize_and_release(k->all);
	if (k->named[0]) {
		p11_kit_module_finalize(k->named[0]);
		p11_kit_module_release(k->named[0]);
	}
	p11_kit_uri_free(k->uri);
	free(k);
}

enum pkcs11_kind pkcs11_kind(const struct pkcs11_key *k)
{
	return k->kind;
}

/* ---- signing ------------------------------------------------------------------------------- */

static bool wants_pin_again(struct pkcs11_key *k)
{
	CK_BBOOL always = CK_FALSE;
	CK_ATTRIBUTE a = {CKA_ALWAYS_AUTHENTICATE, &always, sizeof(always)};

	return k->m->C_GetAttributeValue(k->session, k->object, &a, 1) == CKR_OK && always;
}

static int start(struct pkcs11_key *k, enum pkcs11_how how, struct err *e)
{
	CK_RSA_PKCS_PSS_PARAMS pss = {CKM_SHA256, CKG_MGF1_SHA256, 32};
	CK_MECHANISM mech = {how == PKCS11_PKCS1 ? CKM_RSA_PKCS : CKM_ECDSA, NULL, 0};
	CK_RV rv;

	if (how == PKCS11_PSS)
		mech = (CK_MECHANISM){CKM_RSA_PKCS_PSS, &pss, sizeof(pss)};
	rv = k->m->C_SignInit(k->session, &mech, k->object);
	if (rv != CKR_OK)
		return fail(e, rv, "the token does not sign in this way");
	return wants_pin_again(k) ? log_in(k, CKU_CONTEXT_SPECIFIC, e) : 0;
}

int pkcs11_sign(struct pkcs11_key *k, const struct pkcs11_text *t, uint8_t *sig, size_t *n,
		struct err *e)
{
	/* what stands before a SHA-256 in PKCS#1 v1.5 */
	static const uint8_t head[] = {0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1,
				       0x65, 3,	   4,	 2,    1, 5, 0,	   4,	 0x20};
	uint8_t text[sizeof(head) + 64];
	CK_ULONG len = *n;
	size_t at = t->how == PKCS11_PKCS1 ? sizeof(head) : 0;
	CK_RV rv;
	int rc;

	if (t->digest_len > 64 || (t->how != PKCS11_ECDSA && t->digest_len != 32))
		return err_set(e, E_INTERNAL, EINVAL, "a digest of %zu bytes", t->digest_len);
	memcpy(text, head, at);
	memcpy(text + at, t->digest, t->digest_len);
	rc = start(k, t->how, e);
	if (rc < 0)
		return rc;
	rv = k->m->C_Sign(k->session, text, at + t->digest_len, sig, &len);
	if (rv != CKR_OK)
		return fail(e, rv, "the token did not sign");
	*n = len;
	return 0;
}
