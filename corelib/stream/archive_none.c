#include "corelib/stream/archive.h"

#include <errno.h>

int stage_untar_open(struct stream **s, struct err *e)
{
	(void)s;
	return err_set(e, E_NOT_BUILT, ENOTSUP, "archives are not built in (Kconfig: ARCHIVE)");
}

void archive_warm_up(void)
{
}
