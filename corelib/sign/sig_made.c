/*
 * A signature that was just made is checked by its public part before anybody gets it: a token or a
 * program may hold another key, and OpenSSL 3.5 reports success for some signatures whose making
 * ran out of memory, although they match nothing.
 */
#include "corelib/sign/keyring.h"

#include <errno.h>

#include <openssl/cms.h>
#include <openssl/err.h>

static int check_raw(const struct sig_made *m, const struct sig_input *in, struct err *e)
{
	const struct keyring k = {
		.kind = m->scheme, .pinned = m->scheme, .keys = {m->key}, .key_count = 1};
	struct sig_info info;

	return sig_raw_verify(&k, in, &info, e);
}

/* only by the certificate that was given; whether anybody trusts it is for the device to say */
static int check_cms(const struct sig_made *m, const struct sig_input *in, struct err *e)
{
	const unsigned flags = CMS_BINARY | CMS_NOINTERN | CMS_NO_SIGNER_CERT_VERIFY;
	const unsigned char *at = in->sig;
	AUTO(BIO_free_all) BIO *data = BIO_new_mem_buf(in->data, (int)in->n);
	CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &at, (long)in->sig_len);
	STACK_OF(X509) *signer = sk_X509_new_null();
	int ok = data && cms && signer && sk_X509_push(signer, m->cert) > 0 &&
		 CMS_verify(cms, signer, NULL, data, NULL, flags) == 1;

	sk_X509_free(signer);
	CMS_ContentInfo_free(cms);
	return ok ? 0 : sig_openssl_err(e, E_SIG_BAD, "CMS");
}

int sig_made_check(const struct sig_made *m, const struct sig_input *in, struct err *e)
{
	struct err why;
	int rc;

	err_clear(&why);
	rc = m->scheme == SIG_CMS ? check_cms(m, in, &why) : check_raw(m, in, &why);
	if (rc == 0)
		return 0;
	if (why.code == E_MEMORY)
		return err_set(e, E_MEMORY, ENOMEM, "no memory to check the signature");
	err_set(e, E_SIG_BAD, EBADMSG, "what was made just now is no signature by the %s (%s)",
		m->cert ? "key of the certificate" : "public part of the key", why.why);
	err_fix(e, "%s; no bundle was written",
		m->away ? "let the signer or the token use the key of the certificate that is given"
			: "try again; when it stays, take the key from its backup, because its "
			  "private and its public part do not belong together");
	return -EBADMSG;
}
