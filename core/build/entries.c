#include "core/build/entries.h"

#include "core/build/choices.h"

static int open_bundle(struct bundle **b, int fd, struct err *e)
{
	const struct stream_fd_options whole = {.size = UINT64_MAX};
	const struct bundle_options how = {0};
	AUTO_STREAM struct stream *s = NULL;
	int rc = stream_fd_open(&s, fd, &whole, e);

	return rc < 0 ? rc : bundle_open(b, &s, &how, e);
}

/* a bundle is bound to one manifest, so each selection opens it again */
static int walk_selection(int fd, const struct selection *sel, const struct entry_walk *w,
			  struct err *e)
{
	const struct manifest_options wanted = {.sel = *sel};
	struct bundle *b = NULL;
	struct manifest *m = NULL;
	const void *text;
	size_t n;
	int rc = open_bundle(&b, fd, e);

	if (rc < 0)
		return rc;
	text = bundle_description(b, &n);
	rc = manifest_parse(&m, text, n, &wanted, e);
	if (rc == 0)
		rc = bundle_bind(b, m, e);
	for (size_t i = 0; rc == 0 && i < m->entry_count; i++)
		rc = w->cb(w->arg, b, &m->entries[i], e);
	manifest_free(m);
	bundle_close(b);
	return rc;
}

int entries_walk(int fd, const struct entry_walk *w, struct err *e)
{
	struct choices all = {0};
	struct bundle *b = NULL;
	const void *text;
	size_t n;
	int rc = open_bundle(&b, fd, e);

	if (rc < 0)
		return rc;
	text = bundle_description(b, &n);
	rc = choices_find(&all, text, n, e);
	for (size_t i = 0; rc == 0 && i < all.count; i++)
		rc = walk_selection(fd, &all.at[i], w, e);
	choices_clear(&all);
	bundle_close(b);
	return rc;
}
