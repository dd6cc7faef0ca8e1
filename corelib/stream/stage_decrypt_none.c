/* A build without CONFIG_ENCRYPTION says so. */
#include "corelib/stream/stages.h"

#include <errno.h>

int stage_decrypt_open(struct stream **s, const struct aes_key *k, struct err *e)
{
	(void)s;
	(void)k;
	return err_set(e, E_NOT_BUILT, ENOTSUP, "decryption is not built in (Kconfig: ENCRYPTION)");
}
