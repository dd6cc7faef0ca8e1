/* swbundle sign: a signature for a bundle that is there. */
#include <inttypes.h>
#include <stdio.h>

#include "core/build/sign.h"
#include "core/cli/swbundle_commands.h"

int swbundle_sign(const struct swbundle_cli *c, struct err *e)
{
	const char *output = c->output ? c->output : c->word;
	struct sign_options o = {.key_file = c->key,
				 .cert_file = c->cert,
				 .command = c->command,
				 .scheme = swbundle_scheme(c->scheme)};
	uint64_t size = 0;
	int rc = swbundle_check_signing(c, e);

	if (rc == 0)
		rc = swbundle_epoch(&o.has_epoch, &o.epoch, e);
	if (rc == 0)
		rc = sign_bundle(&o, c->word, output, &size, e);
	if (rc == 0)
		printf("%s: %" PRIu64 " bytes, signed by %s\n", output, size,
		       c->scheme ? c->scheme : "cms");
	return rc;
}
