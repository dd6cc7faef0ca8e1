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
		if (name_of(&p->steps[i]) && !p->steps[i].left_out)
			p->users[n++] = &p->steps[i];
	qsort(p->users, n, sizeof(struct plan_step *), by_name);
	return n;
}

static void group(struct plan *p, size_t n)
{
	struct plan_payload *in = NULL;

	p->payload_count = 0;
	for (size_t i = 0; i < n; i++) {
		struct plan_step *ps = p->users[i];

		if (!in || strcmp(in->name, name_of(ps)) != 0) {
			in = &p->payloads[p->payload_count++];
			in->name = name_of(ps);
			in->users = &p->users[i];
		}
		in->count++;
		ps->payload = in;
	}
}

/* the same bytes: one hash, one length, one that flows */
static int check(const struct plan_payload *in, struct err *e)
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

	p->users = calloc(p->count + 1, sizeof(struct plan_step *));
	p->payloads = calloc(p->count + 1, sizeof(*p->payloads));
	if (!p->users || !p->payloads)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the plan");
	n = collect(p);
	group(p, n);
	for (size_t i = 0; i < p->payload_count; i++) {
		int rc = check(&p->payloads[i], e);

		if (rc < 0)
			return rc;
	}
	return 0;
}

const struct plan_payload *plan_payload(const struct plan *p, const char *name)
{
	size_t low = 0, high = p->payload_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = strcmp(name, p->payloads[mid].name);

		if (c == 0)
			return &p->payloads[mid];
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

void plan_share_free(struct plan *p)
{
	free(p->payloads);
	free(p->users);
}
