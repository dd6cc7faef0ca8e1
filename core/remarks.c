#include "core/remarks.h"

#include <stdio.h>

static void put(const struct remarks *r, const char *text)
{
	reporter_warn(r->reporter, "%s%s%s", r->about ? r->about : "", r->about ? ": " : "", text);
}

void remarks_note(void *remarks, const char *text)
{
	struct remarks *r = remarks;

	if (r->count++ < REMARKS_MAX)
		put(r, text);
}

void remarks_end(struct remarks *r)
{
	char text[64];

	if (r->count <= REMARKS_MAX)
		return;
	snprintf(text, sizeof(text), "and %lu more remarks of this kind", r->count - REMARKS_MAX);
	put(r, text);
}
