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

static bool is_named(const char *row, const char *name)
{
	size_t n = strlen(row);

	if (strcmp(row, name) == 0)
		return true;
	if (n < 2 || strcmp(row + n - 2, "-N") != 0 || strncmp(row, name, n - 1) != 0)
		return false;
	name += n - 1;
	return *name && strspn(name, "0123456789") == strlen(name);
}

const struct attr *props_row(const struct handler *h, const char *name)
{
	for (size_t i = 0; i < h->prop_count; i++)
		if (is_named(h->props[i].name, name))
			return &h->props[i];
	return NULL;
}
