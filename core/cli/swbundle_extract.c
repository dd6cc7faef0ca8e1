/* swbundle extract: the members of a bundle as files. */
#include <stdio.h>

#include "core/build/encrypt.h"
#include "core/build/extract.h"
#include "core/cli/swbundle_commands.h"
#include "corelib/base/text.h"

static void print(void *arg, const char *name, unsigned long long size)
{
	printf("%s/%s: %llu bytes\n", (const char *)arg, name, size);
}

int swbundle_extract(const struct swbundle_cli *c, struct err *e)
{
	const char *folder = c->dir ? c->dir : ".";
	struct extract_options o = {.bundle = c->word,
				    .folder = folder,
				    .decode = c->decode,
				    .told = print,
				    .arg = (void *)folder};
	struct aes_key k = {0};
	int rc;

	if (c->key_aes && !c->decode)
		return swbundle_usage(e, "-K is for --decode");
	rc = c->key_aes ? encrypt_read_key(&k, c->key_aes, e) : 0;
	o.aes = c->key_aes ? &k : NULL;
	if (rc == 0)
		rc = extract_bundle(&o, e);
	secure_zero(&k, sizeof(k));
	return rc;
}
