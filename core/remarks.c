#include "core/remarks.h"

#include "corelib/base/text.h"

void remarks_note(void *remarks, const char *text)
{
	struct remarks *r = remarks;

	if (r->count++ < REMARKS_MAX)
		r->note(r->arg, text);
}

void remarks_end(struct remarks *r)
{
	char text[64];

	if (r->count <= REMARKS_MAX)
		return;
	text_print(text, sizeof(text), "and %lu more remarks of this kind", r->count - REMARKS_MAX);
	r->note(r->arg, text);
}
