/* The built-in handlers: one row for each line of handlers/Makefile that the configuration chose.
 */
#include "handlers/handler.h"

#include <string.h>

#include "corelib/base/text.h"

#define HANDLER(h) extern const struct handler h;
#include "generated/handlers.inc"
#undef HANDLER

static const struct handler *const table[] = {
#define HANDLER(h) &h,
#include "generated/handlers.inc"
#undef HANDLER
	NULL,
};

const struct handler *handler_at(size_t i)
{
	const size_t last = ARRAY_SIZE(table) - 1; /* the NULL */

	return table[i > last ? last : i];
}

/* is 'name' one of the words of 'list'? */
static bool has_word(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = list; p && n; p = strchr(p, ' ')) {
		p += *p == ' ';
		if (strncmp(p, name, n) == 0 && (p[n] == ' ' || p[n] == '\0'))
			return true;
	}
	return false;
}

const struct handler *handler_find(const char *name)
{
	for (size_t i = 0; table[i]; i++)
		if (strcmp(table[i]->name, name) == 0 || has_word(table[i]->aliases, name))
			return table[i];
	return NULL;
}
