/* none: variables live in this process only; there is no boot switch. */
#include <errno.h>
#include <stdlib.h>

#include "corelib/bootenv/bootenv_private.h"

static int none_open(struct bootenv *b, const struct bootenv_options *o, struct err *e)
{
	(void)o;
	b->own = calloc(1, sizeof(struct envset));
	return b->own ? 0 : err_set(e, E_MEMORY, ENOMEM, "no memory for boot variables");
}

static int put_all(struct envset *to, const struct envset *from, struct err *e)
{
	for (size_t i = 0; i < from->count; i++) {
		if (!from->vars[i].value)
			continue;
		int rc = envset_put(to, from->vars[i].name, from->vars[i].value, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int none_load(struct bootenv *b, struct envset *all, struct err *e)
{
	return put_all(all, b->own, e);
}

/* the new set is made beside the old one: no memory means no change */
static int none_commit(struct bootenv *b, const struct envset *changes, struct err *e)
{
	struct envset *own = b->own, merged = {0}, next = {0};
	int rc = put_all(&merged, own, e);

	for (size_t i = 0; rc == 0 && i < changes->count; i++)
		rc = envset_put(&merged, changes->vars[i].name, changes->vars[i].value, e);
	if (rc == 0)
		rc = put_all(&next, &merged, e);
	envset_clear(&merged);
	if (rc < 0) {
		envset_clear(&next);
		return rc;
	}
	envset_clear(own);
	*own = next;
	return 0;
}

static void none_close(struct bootenv *b)
{
	if (b->own)
		envset_clear(b->own);
	free(b->own);
}

const struct bootenv_backend bootenv_none = {
	.name = "none",
	.summary = "no boot environment; variables are forgotten at the end",
	.open = none_open,
	.load = none_load,
	.commit = none_commit,
	.close = none_close,
};
