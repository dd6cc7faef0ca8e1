/* swbundle extract: the members of a bundle as files. */
#include <stdio.h>

#include "core/build/extract.h"
#include "core/cli/swbundle_commands.h"

static void print(void *arg, const char *name, unsigned long long size)
{
	printf("%s/%s: %llu bytes\n", (const char *)arg, name, size);
}

int swbundle_extract(const struct swbundle_cli *c, struct err *e)
{
	const char *folder = c->dir ? c->dir : ".";
	const struct extract_options o = {
		.bundle = c->word, .folder = folder, .told = print, .arg = (void *)folder};

	return extract_bundle(&o, e);
}
