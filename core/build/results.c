#include "core/build/results.h"

#include <string.h>

#include "corelib/base/text.h"

struct filling {
	struct template *t;
	const struct payload_dirs *dirs;
	const struct output *scratch;
};

static int digest_file(const struct filling *f, const char *path, uint8_t sum[SHA256_LEN],
		       struct err *e)
{
	struct payload_file p = {.path = path, .fd = -1};
	int rc = payload_open(&p, f->dirs, f->scratch, e);

	if (rc == 0)
		rc = payload_measure(&p, e);
	memcpy(sum, p.sha256, SHA256_LEN);
	payload_close(&p);
	return rc;
}

/* depth is bounded by the parser that made the tree */
static int fill(const struct filling *f, struct node *group, struct err *e)
{
	for (struct node *n = (struct node *)group->child; n; n = (struct node *)n->next) {
		uint8_t sum[SHA256_LEN];
		char hex[2 * SHA256_LEN + 1];
		int rc = fill(f, n, e);

		if (rc < 0)
			return rc;
		if (n->type != NODE_STRING || n->string[0] != '@' || !n->name ||
		    strcmp(n->name, RESULT_SHA256) != 0)
			continue;
		rc = digest_file(f, n->string + 1, sum, e);
		if (rc < 0)
			return err_at(e, rc, "line %u", n->line);
		text_hex(sum, SHA256_LEN, hex);
		rc = template_set_text(f->t, group, RESULT_SHA256, hex, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int results_fill(struct template *t, const struct payload_dirs *dirs, const struct output *scratch,
		 struct err *e)
{
	const struct filling f = {.t = t, .dirs = dirs, .scratch = scratch};

	return fill(&f, t->root, e);
}
