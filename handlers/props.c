/* Typed properties. */
#include "handlers/props.h"

#include <errno.h>
#include <string.h>

int props_flag(const struct entry *t, const char *name, bool *on, struct err *e)
{
	const char *v = entry_property(t, name);

	*on = v && strcmp(v, "true") == 0;
	if (!v || *on || strcmp(v, "false") == 0)
		return 0;
	return err_set(e, E_PROPERTY, EINVAL, "%s is \"%s\", but can be \"true\" or \"false\" only",
		       name, v);
}
