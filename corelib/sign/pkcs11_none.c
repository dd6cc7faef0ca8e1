#include "corelib/sign/pkcs11.h"

#include <errno.h>

int pkcs11_open(struct pkcs11_key **key, const char *uri, struct err *e)
{
	(void)uri;
	*key = NULL;
	return err_set(e, E_NOT_BUILT, ENOTSUP,
		       "keys in tokens need CONFIG_PKCS11; or sign by a program (--signer)");
}

enum pkcs11_kind pkcs11_kind(const struct pkcs11_key *key)
{
	(void)key;
	return PKCS11_RSA;
}

int pkcs11_sign(struct pkcs11_key *key, const struct pkcs11_text *text, uint8_t *sig, size_t *n,
		struct err *e)
{
	(void)key, (void)text, (void)sig, (void)n;
	return err_set(e, E_NOT_BUILT, ENOTSUP, "keys in tokens need CONFIG_PKCS11");
}

void pkcs11_close(struct pkcs11_key *key)
{
	(void)key;
}
