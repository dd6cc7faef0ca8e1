/* Several steps may name one payload: who they are, and whether what they say of it fits together.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/plan/plan_private.h"
#include "corelib/base/text.h"

static const char *name_of(const struct plan_step *ps)
{
	return ps->step.entry->filename;
}

static int by_name(const void *x, const void *y)
{
	const struct plan_step *a = *(struct plan_step *const *)x;
	const struct plan_step *b = *(struct plan_step *const *)y;
	int c = strcmp(name_of(a), name_of(b));

	return c ? c : a < b ? -1 : a > b;
}

static size_t collect(struct plan *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->count; i++)
		if (name_of(&p->steps[i]) && !p->steps[i].skipped)
			p->users[n++] = &p->steps[i];
	qsort(p->users, n, sizeof(struct plan_step *), by_name);
	return n;
}

static void group(struct plan *p, size_t n)
{
	struct intake *in = NULL;

	p->intake_count = 0;
	for (size_t i = 0; i < n; i++) {
		struct plan_step *ps = p->users[i];

		if (!in || strcmp(in->name, name_of(ps)) != 0) {
			in = &p->intakes[p->intake_count++];
			in->name = name_of(ps);
			in->users = &p->users[i];
		}
		in->count++;
		ps->intake = in;
	}
}

/* the same bytes: one hash, one length, one that flows */
static int check(const struct intake *in, struct err *e)
{
	const struct entry *first = in->users[0]->step.entry;
	unsigned direct = first->installed_directly;

	for (size_t i = 1; i < in->count; i++) {
		const struct entry *t = in->users[i]->step.entry;

		if (t->has_sha256 != first->has_sha256 ||
		    memcmp(t->sha256, first->sha256, sizeof(t->sha256)) != 0)
			return err_set(e, E_DESC_HASH, EINVAL,
				       "lines %u and %u name the file '%s' "
				       "with different sha256",
				       first->line, t->line, in->name);
		direct += t->installed_directly;
		if (direct > 1)
			return err_set(e, E_DESC_VALUE, EINVAL,
				       "line %u: a second entry asks for "
				       "installed-directly of the file '%s'; one may",
				       t->line, in->name);
	}
	return 0;
}

int plan_share(struct plan *p, struct err *e)
{
	size_t n;

	p->spool.fd = -1;
	p->users = calloc(p->count + 1, sizeof(struct plan_step *));
	p->intakes = calloc(p->count + 1, sizeof(*p->intakes));
	if (!p->users || !p->intakes)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the plan");
	n = collect(p);
	group(p, n);
	for (size_t i = 0; i < p->intake_count; i++) {
		int rc = check(&p->intakes[i], e);

		if (rc < 0)
			return rc;
	}
	return 0;
}

struct intake *plan_intake(const struct plan *p, const char *name)
{
	size_t low = 0, high = p->intake_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = strcmp(name, p->intakes[mid].name);

		if (c == 0)
			return &p->intakes[mid];
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

void plan_share_free(struct plan *p)
{
	for (size_t i = 0; i < p->intake_count; i++)
		notes_free(p->intakes[i].notes);
	cleanup_close(&p->spool.fd);
	free(p->intakes);
	free(p->users);
}
