/* swbundle init: a project to begin with. */
#include <stdio.h>

#include "core/build/init.h"
#include "core/cli/swbundle_commands.h"

int swbundle_init(const struct swbundle_cli *c, struct err *e)
{
	int rc = init_project(c->word, c->swupdate, e);

	if (rc == 0)
		printf("%s: begin with its README\n", c->word);
	return rc;
}
