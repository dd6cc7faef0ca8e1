/* Built without Lua: what code would decide must not be left undecided. */
#include "core/hooks.h"

#include <errno.h>

int hooks_open(struct hooks **h, const struct manifest *m, struct session *s, struct err *e)
{
	const char *why = "this build does not run the Lua of descriptions (CONFIG_LUA)";

	(void)s;
	*h = NULL;
	if (m->embedded_script)
		return err_set(e, E_NOT_BUILT, ENOTSUP, "embedded-script: %s", why);
	for (size_t i = 0; i < m->entry_count; i++)
		if (m->entries[i].hook || m->entries[i].preinstall || m->entries[i].postinstall)
			return err_set(e, E_NOT_BUILT, ENOTSUP, "line %u: %s", m->entries[i].line,
				       why);
	for (size_t i = 0; i < m->bootenv_count; i++)
		if (m->bootenv[i].hook)
			return err_set(e, E_NOT_BUILT, ENOTSUP, "line %u: %s", m->bootenv[i].line,
				       why);
	return 0;
}

void hooks_free(struct hooks *h)
{
	(void)h;
}

int hooks_apply(struct hooks *h, struct manifest **m, const struct manifest_options *o,
		struct err *e)
{
	(void)h;
	(void)m;
	(void)o;
	(void)e;
	return 0;
}

int hooks_call(struct hooks *h, const char *name, const struct entry *t, struct err *e)
{
	(void)h;
	(void)t;
	return err_set(e, E_NOT_BUILT, ENOTSUP, "no Lua for the function %s", name);
}

struct handler_rows hooks_handlers(const struct hooks *h)
{
	(void)h;
	return (struct handler_rows){.count = 0};
}

struct lua_state *hooks_state(struct hooks *h)
{
	(void)h;
	return NULL;
}
