/* dummy: read a payload to its proven end and throw it away. */
#include "handlers/handler.h"

static int dummy_install(struct step *st, struct stream *in, struct err *e)
{
	(void)st;
	return stream_drain(in, e);
}

const struct handler handler_dummy = {
	.name = "dummy",
	.summary = "read a payload and throw it away",
	.kind = HANDLER_TARGET,
	.sections = SECTION_IMAGES | SECTION_FILES | SECTION_SCRIPTS | SECTION_PARTITIONS,
	.holds = HOLDS_NOTHING,
	.install = dummy_install,
};
