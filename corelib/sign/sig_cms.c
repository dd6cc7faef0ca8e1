/* CMS, detached: signed attributes demanded, every signer must pass, each by the very certificate
 * that vouches. */
#include "corelib/sign/keyring.h"

#include <errno.h>
#include <string.h>

#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "corelib/base/text.h"

struct cms {
	const struct keyring *k;
	const struct sig_input *in;
	CMS_ContentInfo *info;
	STACK_OF(X509) * certs;		    /* those in the signature, owned */
	STACK_OF(CMS_SignerInfo) * signers; /* lent */
};

static void cms_clear(struct cms *c)
{
	sk_X509_pop_free(c->certs, X509_free);
	CMS_ContentInfo_free(c->info);
}

/* ---- form (T11, T18) -------------------------------------------------------------------- */

static int check_content(CMS_ContentInfo *info, struct err *e)
{
	ASN1_OCTET_STRING **content;

	if (OBJ_obj2nid(CMS_get0_type(info)) != NID_pkcs7_signed)
		return err_set(e, E_SIG_FORMAT, EBADMSG, "it is CMS, but not signed data");
	if (OBJ_obj2nid(CMS_get0_eContentType(info)) != NID_pkcs7_data)
		return err_set(e, E_SIG_FORMAT, EBADMSG,
			       "the CMS signature is for another type of content");
	content = CMS_get0_content(info);
	if (!content || *content)
		return err_set(e, E_SIG_FORMAT, EBADMSG,
			       "the CMS signature carries its own content; it must be detached");
	return 0;
}

static int parse_cms(struct cms *c, struct err *e)
{
	const unsigned char *at = c->in->sig;
	int rc, signers;

	c->info = d2i_CMS_ContentInfo(NULL, &at, (long)c->in->sig_len);
	if (!c->info)
		return sig_openssl_err(e, E_SIG_FORMAT,
				       "the key is a certificate, but the signature is not CMS");
	if (at != c->in->sig + c->in->sig_len)
		return err_set(e, E_SIG_FORMAT, EBADMSG,
			       "there are bytes behind the CMS signature");
	rc = check_content(c->info, e);
	if (rc < 0)
		return rc;
	c->certs = CMS_get1_certs(c->info);
	c->signers = CMS_get0_SignerInfos(c->info);
	signers = c->signers ? sk_CMS_SignerInfo_num(c->signers) : 0;
	if (signers < 1)
		return err_set(e, E_SIG_FORMAT, EBADMSG, "nobody signed the CMS signature");
	if (signers > SIG_CERTS_MAX || (c->certs && sk_X509_num(c->certs) > SIG_CERTS_MAX))
		return err_set(
			e, E_SIG_LIMIT, E2BIG,
			"the CMS signature has %d signers and %d certificates; %d are allowed",
			signers, c->certs ? sk_X509_num(c->certs) : 0, SIG_CERTS_MAX);
	return 0;
}

static const EVP_MD *allowed_digest(const X509_ALGOR *alg)
{
	const ASN1_OBJECT *oid;

	X509_ALGOR_get0(&oid, NULL, NULL, alg);
	switch (OBJ_obj2nid(oid)) {
	case NID_sha256:
		return EVP_sha256();
	case NID_sha384:
		return EVP_sha384();
	case NID_sha512:
		return EVP_sha512();
	}
	return NULL;
}

/* T8 inside CMS: a PSS signature names its salt and hashes */
static int check_pss(const X509_ALGOR *sig, const EVP_MD *md, struct err *e)
{
	const ASN1_OBJECT *oid;
	const void *value;
	int type;
	RSA_PSS_PARAMS *p;
	X509_ALGOR *mgf = NULL;
	bool good;

	X509_ALGOR_get0(&oid, &type, &value, sig);
	if (OBJ_obj2nid(oid) != NID_rsassaPss)
		return 0;
	p = type == V_ASN1_SEQUENCE ? ASN1_item_unpack(value, ASN1_ITEM_rptr(RSA_PSS_PARAMS))
				    : NULL;
	if (p && p->maskGenAlgorithm && p->maskGenAlgorithm->parameter &&
	    p->maskGenAlgorithm->parameter->type == V_ASN1_SEQUENCE)
		mgf = ASN1_item_unpack(p->maskGenAlgorithm->parameter->value.sequence,
				       ASN1_ITEM_rptr(X509_ALGOR));
	good = mgf && allowed_digest(mgf) == md && p->hashAlgorithm &&
	       allowed_digest(p->hashAlgorithm) == md && p->saltLength &&
	       ASN1_INTEGER_get(p->saltLength) >= EVP_MD_get_size(md);
	X509_ALGOR_free(mgf);
	RSA_PSS_PARAMS_free(p);
	ERR_clear_error();
	return good ? 0
		    : err_set(e, E_SIG_FORMAT, EBADMSG,
			      "the PSS parameters of the CMS signature are too weak (salt or hash)");
}

static int check_algorithms(CMS_SignerInfo *si, const EVP_MD **md, struct err *e)
{
	X509_ALGOR *digest = NULL, *sig = NULL;

	CMS_SignerInfo_get0_algs(si, NULL, NULL, &digest, &sig);
	*md = allowed_digest(digest);
	if (!*md)
		return err_set(
			e, E_SIG_FORMAT, EBADMSG,
			"the CMS signature uses a weak or unknown digest; SHA-256, 384 or 512 is needed");
	return check_pss(sig, *md, e);
}

/* what is signed are the attributes; they must bind exactly our bytes as plain data */
static int check_attributes(const struct cms *c, CMS_SignerInfo *si, const EVP_MD *md,
			    struct err *e)
{
	const int only_one = -3; /* one attribute of this type with one value, else NULL */
	const ASN1_OBJECT *type;
	const ASN1_OCTET_STRING *sum;
	uint8_t ours[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (CMS_signed_get_attr_count(si) < 1)
		return err_set(e, E_SIG_FORMAT, EBADMSG,
			       "the CMS signature has no signed attributes");
	type = CMS_signed_get0_data_by_OBJ(si, OBJ_nid2obj(NID_pkcs9_contentType), only_one,
					   V_ASN1_OBJECT);
	sum = CMS_signed_get0_data_by_OBJ(si, OBJ_nid2obj(NID_pkcs9_messageDigest), only_one,
					  V_ASN1_OCTET_STRING);
	if (!type || OBJ_obj2nid(type) != NID_pkcs7_data || !sum)
		return err_set(
			e, E_SIG_FORMAT, EBADMSG,
			"the signed attributes of the CMS signature lack content type or digest");
	if (EVP_Digest(c->in->data, c->in->n, ours, &n, md, NULL) != 1)
		return sig_openssl_err(e, E_INTERNAL,
				       "the digest of the description cannot be computed");
	if ((unsigned)ASN1_STRING_length(sum) != n ||
	    memcmp(ASN1_STRING_get0_data(sum), ours, n) != 0)
		return err_set(
			e, E_SIG_BAD, EBADMSG,
			"the CMS signature is for other content: its digest is not that of the description");
	return 0;
}

/* ---- certificates (T12, T13, T14) ------------------------------------------------------- */

static int check_usage(X509 *cert, bool signer, uint32_t purpose, struct err *e)
{
	uint32_t flags = X509_get_extension_flags(cert);
	uint32_t xku = X509_get_extended_key_usage(cert);
	uint32_t ku = X509_get_key_usage(cert);

	if (signer && !(ku & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)))
		return err_set(e, E_CERT_PURPOSE, EPERM, "its key usage does not allow signatures");
	if (!purpose || !(flags & EXFLAG_XKUSAGE) || (xku & purpose))
		return 0;
	return err_set(e, E_CERT_PURPOSE, EPERM, "its extended key usage does not allow %s%s",
		       purpose == XKU_SMIME ? "emailProtection" : "codeSigning",
		       signer ? "" : " (an authority in the chain)");
}

static int check_name(X509 *cert, const char *want, struct err *e)
{
	X509_NAME *subject = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	unsigned char *cn = NULL;
	char shown[128] = "none";
	bool same;
	int n;

	if (!want)
		return 0;
	if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
		return err_set(
			e, E_CERT_NAME, EPERM,
			"the signer's certificate has none or several common names; '%s' is demanded",
			want);
	n = ASN1_STRING_to_UTF8(&cn, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	same = n >= 0 && (size_t)n == strlen(want) && memcmp(cn, want, (size_t)n) == 0;
	if (n >= 0)
		text_printable((char *)cn, (size_t)n, shown, sizeof(shown));
	OPENSSL_free(cn);
	ERR_clear_error();
	return same ? 0
		    : err_set(e, E_CERT_NAME, EPERM, "it was signed by '%s'; '%s' is demanded",
			      shown, want);
}

static enum errcode chain_code(int why)
{
	switch (why) {
	case X509_V_ERR_CERT_NOT_YET_VALID:
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CRL_NOT_YET_VALID:
	case X509_V_ERR_CRL_HAS_EXPIRED:
		return E_CERT_TIME;
	case X509_V_ERR_CERT_REVOKED:
		return E_CERT_REVOKED;
	case X509_V_ERR_CERT_CHAIN_TOO_LONG:
		return E_SIG_LIMIT;
	case X509_V_ERR_EE_KEY_TOO_SMALL:
	case X509_V_ERR_CA_KEY_TOO_SMALL:
	case X509_V_ERR_CA_MD_TOO_WEAK:
		return E_SIG_KEY;
	case X509_V_ERR_OUT_OF_MEM:
		return E_MEMORY;
	}
	return E_CERT_CHAIN;
}

/* an authority without a list is accepted, the signer's own issuer must have one */
static int allow_missing_crl(int ok, X509_STORE_CTX *ctx)
{
	if (ok || X509_STORE_CTX_get_error(ctx) != X509_V_ERR_UNABLE_TO_GET_CRL ||
	    X509_STORE_CTX_get_error_depth(ctx) == 0)
		return ok;
	X509_STORE_CTX_set_error(ctx, X509_V_OK);
	return 1;
}

static void set_params(const struct keyring *k, X509_STORE_CTX *ctx)
{
	X509_VERIFY_PARAM *p = X509_STORE_CTX_get0_param(ctx);
	/* What the device names is trusted as it stands: it need not be self-signed, and where it
	 * is, its signature says nothing. To check it would ask of a signer's own certificate that
	 * it may sign certificates, which those with the key usage digitalSignature may not. */
	unsigned long flags = X509_V_FLAG_PARTIAL_CHAIN;

	if (k->has_crl)
		flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL;
	X509_VERIFY_PARAM_set_flags(p, flags);
	X509_VERIFY_PARAM_set_time(p, (time_t)k->now);
	X509_VERIFY_PARAM_set_depth(p, SIG_CHAIN_MAX);
	X509_VERIFY_PARAM_set_auth_level(
		p, 2); /* 112 bits: no SHA-1, no RSA below 2048 in the chain */
	X509_STORE_CTX_set_verify_cb(ctx, allow_missing_crl);
}

static int check_each(const STACK_OF(X509) * chain, const struct keyring *k, struct err *e)
{
	enum key_kind kind;
	int rc = 0, n = sk_X509_num(chain);

	if (n > SIG_CHAIN_MAX)
		return err_set(e, E_SIG_LIMIT, E2BIG,
			       "the chain has %d certificates; %d are allowed", n, SIG_CHAIN_MAX);
	for (int i = 0; rc == 0 && i < n; i++) {
		X509 *cert = sk_X509_value(chain, i);

		rc = key_check(X509_get0_pubkey(cert), &kind, e);
		if (rc == 0)
			rc = check_usage(cert, i == 0, k->purpose, e);
	}
	return rc;
}

static int name_signer(X509 *cert, char *out, size_t n, struct err *e)
{
	AUTO(BIO_free_all) BIO *text = BIO_new(BIO_s_mem());
	char *s = NULL;
	long len;

	if (!text || X509_NAME_print_ex(text, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253) < 0)
		return sig_openssl_err(e, E_MEMORY, "the signer's name cannot be read");
	len = BIO_get_mem_data(text, &s);
	text_printable(s, len > 0 ? (size_t)len : 0, out, n);
	return 0;
}

/* 'depth' counts from the signer's own certificate */
static int not_trusted(X509 *cert, int why, int depth, struct err *e)
{
	char shown[128] = "";
	int rc = name_signer(cert, shown, sizeof(shown), e);

	if (rc < 0)
		return rc;
	if (chain_code(why) != E_CERT_CHAIN)
		return err_set(e, chain_code(why), EPERM,
			       "%s (certificate %d of the chain of '%s')",
			       X509_verify_cert_error_string(why), depth + 1, shown);
	return err_set(e, E_CERT_CHAIN, EPERM,
		       "it was signed by '%s', for whom no certificate of this device vouches: %s "
		       "(certificate %d of the chain)",
		       shown, X509_verify_cert_error_string(why), depth + 1);
}

static int check_chain(const struct cms *c, X509 *cert, struct err *e)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	int rc;

	if (!ctx || X509_STORE_CTX_init(ctx, c->k->store, cert, c->certs) != 1) {
		X509_STORE_CTX_free(ctx);
		return sig_openssl_err(e, E_MEMORY, "the certificates cannot be checked");
	}
	set_params(c->k, ctx);
	if (X509_verify_cert(ctx) == 1) {
		rc = check_each(X509_STORE_CTX_get0_chain(ctx), c->k, e);
	} else {
		rc = not_trusted(cert, X509_STORE_CTX_get_error(ctx),
				 X509_STORE_CTX_get_error_depth(ctx), e);
	}
	X509_STORE_CTX_free(ctx);
	ERR_clear_error();
	return rc;
}

/* ---- one signer ------------------------------------------------------------------------- */

/* does this certificate vouch? E_SIG_BAD: it did not make the signature */
static int try_cert(const struct cms *c, CMS_SignerInfo *si, X509 *cert, struct err *e)
{
	EVP_PKEY *key = X509_get0_pubkey(cert);
	enum key_kind kind;
	int rc;

	if (!key)
		return sig_openssl_err(e, E_SIG_KEY,
				       "the key of the signer's certificate cannot be read");
	rc = key_check(key, &kind, e);
	if (rc < 0)
		return rc;
	CMS_SignerInfo_set1_signer_cert(si, cert);
	if (CMS_SignerInfo_verify(si) != 1)
		return sig_openssl_err(e, E_SIG_BAD,
				       "the CMS signature does not match its certificate");
	rc = check_chain(c, cert, e);
	return rc < 0 ? rc : check_name(cert, c->k->signer_name, e);
}

struct verdict {
	X509 *cert; /* that vouched; lent */
	struct err err;
	bool made; /* err is of a certificate that did make the signature */
};

static void try_certs(const struct cms *c, CMS_SignerInfo *si, const STACK_OF(X509) * certs,
		      struct verdict *v)
{
	for (int i = 0; !v->cert && certs && i < sk_X509_num(certs); i++) {
		X509 *cert = sk_X509_value(certs, i);
		struct err e;

		err_clear(&e);
		if (CMS_SignerInfo_cert_cmp(si, cert) != 0)
			continue;
		if (try_cert(c, si, cert, &e) == 0) {
			v->cert = cert;
		} else if (!v->made) { /* several may bear this name: the nearest miss is told */
			v->err = e;
			v->made = e.code != E_SIG_BAD && e.code != E_SIG_KEY;
		}
	}
}

static int check_signer(const struct cms *c, CMS_SignerInfo *si, struct sig_info *info,
			struct err *e)
{
	struct verdict v = {0};
	const EVP_MD *md;
	int rc;

	rc = check_algorithms(si, &md, e);
	if (rc == 0)
		rc = check_attributes(c, si, md, e);
	if (rc < 0)
		return rc;
	try_certs(c, si, c->certs, &v);
	try_certs(c, si, c->k->anchors, &v);
	if (!v.cert && !err_is_set(&v.err))
		return err_set(
			e, E_CERT_CHAIN, ENOENT,
			"the signer's certificate is neither in the signature nor in the key file");
	if (!v.cert)
		return *e = v.err, -v.err.sys;
	if (info->scheme == SIG_CMS)
		return 0;
	info->scheme = SIG_CMS;
	return name_signer(v.cert, info->signer, sizeof(info->signer), e);
}

int sig_cms_verify(const struct keyring *k, const struct sig_input *in, struct sig_info *info,
		   struct err *e)
{
	struct cms c __attribute__((cleanup(cms_clear))) = {.k = k, .in = in};
	int rc = parse_cms(&c, e);

	/* each signer must pass (T12): one that does not spoils the signature */
	for (int i = 0; rc == 0 && i < sk_CMS_SignerInfo_num(c.signers); i++)
		rc = check_signer(&c, sk_CMS_SignerInfo_value(c.signers, i), info, e);
	if (rc < 0)
		memset(info, 0, sizeof(*info));
	return rc;
}

/* ---- for inspect ------------------------------------------------------------------------ */

int sig_claimed_signer(const void *sig, size_t n, char *name, size_t size)
{
	const struct sig_input in = {.sig = sig, .sig_len = n};
	struct cms c __attribute__((cleanup(cms_clear))) = {.in = &in};
	CMS_SignerInfo *si;
	struct err e;
	int rc;

	err_clear(&e);
	rc = n <= SIG_MAX ? sig_openssl_init(&e) : -EFBIG;
	if (rc == 0)
		rc = parse_cms(&c, &e);
	if (rc < 0)
		return rc;
	si = sk_CMS_SignerInfo_value(c.signers, 0);
	rc = -ENOENT;
	for (int i = 0; rc == -ENOENT && c.certs && i < sk_X509_num(c.certs); i++)
		if (CMS_SignerInfo_cert_cmp(si, sk_X509_value(c.certs, i)) == 0)
			rc = name_signer(sk_X509_value(c.certs, i), name, size, &e);
	ERR_clear_error();
	return rc;
}
