/* Which members a manifest asks for, and which of them were met. */
#include "parser/wanted.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/text.h"

static int by_name(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;

	return strcmp(x->payload.name, y->payload.name);
}

struct wanted *wanted_find(const struct wanted_list *w, const char *name)
{
	struct wanted key = {.payload = {.name = name}};

	if (w->count == 0)
		return NULL;
	return bsearch(&key, w->rows, w->count, sizeof(*w->rows), by_name);
}

/* "NAME.007" is part 7 of NAME: its row, or NULL */
static struct wanted *find_part(const struct wanted_list *w, const char *name, unsigned *part)
{
	struct wanted *row;
	char base[CPIO_NAME_MAX];
	size_t n = strlen(name);

	*part = 0;
	if (n < 5 || n >= sizeof(base) || name[n - 4] != '.')
		return NULL;
	for (size_t i = n - 3; i < n; i++) {
		if (name[i] < '0' || name[i] > '9')
			return NULL;
		*part = *part * 10 + (unsigned)(name[i] - '0');
	}
	memcpy(base, name, n - 4);
	base[n - 4] = '\0';
	row = wanted_find(w, base);
	return row && *part >= 1 && *part <= row->parts ? row : NULL;
}

/* *part is 0 for a payload of one member */
static struct wanted *find_member(const struct wanted_list *w, const char *name, unsigned *part)
{
	struct wanted *row = wanted_find(w, name);

	*part = 0;
	return row && row->parts == 0 ? row : find_part(w, name, part);
}

/* names are looked up and never opened, yet a path in a description is a mistake or a trick (T21)
 */
static int name_plain(const char *name, struct err *e)
{
	int rc = cpio_name_check(name, strlen(name) + 1, e);

	if (rc < 0)
		return rc;
	if (strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return err_set(e, E_CPIO_NAME, EINVAL,
			       "the description asks for '%s', which is a path", name);
	if (strcmp(name, DESCRIPTION_NAME) == 0 || strcmp(name, SIGNATURE_NAME) == 0 ||
	    strcmp(name, CPIO_TRAILER) == 0)
		return err_set(e, E_CPIO_NAME, EINVAL,
			       "the description asks for '%s', which is no payload", name);
	return 0;
}

static int put(struct wanted_list *w, const struct entry *t, const char *name, uint64_t parts,
	       struct err *e)
{
	int rc = name_plain(name, e);

	if (rc < 0)
		return rc;
	if (parts > PARTS_MAX)
		return err_set(e, E_PARTS, EINVAL, "'%s' has %" PRIu64 " parts; %u are possible",
			       name, parts, PARTS_MAX);
	if (parts && strlen(name) + sizeof(".001") > CPIO_NAME_MAX)
		return err_set(e, E_CPIO_NAME, EINVAL, "'%s' is too long for a payload in parts",
			       name);
	w->rows[w->count++] = (struct wanted){
		.payload = {.name = name},
		.parts = parts,
		.may_lack = t->install_if_different || t->install_if_higher,
	};
	return 0;
}

/* sort; several entries may use one member, but then they must agree what it is */
static int merge(struct wanted_list *w, struct err *e)
{
	size_t n = 0;

	if (w->count)
		qsort(w->rows, w->count, sizeof(*w->rows), by_name);
	for (size_t i = 0; i < w->count; i++) {
		if (n && by_name(&w->rows[n - 1], &w->rows[i]) == 0) {
			if (w->rows[n - 1].parts != w->rows[i].parts)
				return err_set(
					e, E_PARTS, EINVAL,
					"two entries use '%s' with different numbers of parts",
					w->rows[i].payload.name);
			w->rows[n - 1].may_lack &= w->rows[i].may_lack;
			continue;
		}
		w->rows[n++] = w->rows[i];
	}
	w->count = n;
	return 0;
}

/* 'a.001' of its own beside 'a' in parts: one member would be two things */
static int check_parts(const struct wanted_list *w, struct err *e)
{
	for (size_t i = 0; i < w->count; i++) {
		const char *name = w->rows[i].payload.name;
		unsigned part;
		const struct wanted *row = find_part(w, name, &part);

		if (row && w->rows[i].parts == 0)
			return err_set(e, E_PARTS, EINVAL,
				       "'%s' is both a payload and a part of '%s'", name,
				       row->payload.name);
	}
	return 0;
}

static int collect(struct wanted_list *w, const struct manifest *m, struct err *e)
{
	for (size_t i = 0; i < m->entry_count; i++) {
		const struct entry *t = &m->entries[i];
		int rc = 0;

		if (t->filename)
			rc = put(w, t, t->filename, t->parts, e);
		if (rc == 0 && t->hashes.name)
			rc = put(w, t, t->hashes.name, 0, e);
		if (rc < 0)
			return err_at(e, rc, "line %u of the description", t->line);
	}
	return 0;
}

int wanted_build(struct wanted_list *w, const struct manifest *m, struct err *e)
{
	int rc;

	memset(w, 0, sizeof(*w));
	if (m->entry_count == 0)
		return 0;
	w->rows = calloc(m->entry_count, 2 * sizeof(*w->rows));
	if (!w->rows)
		return err_set(e, E_MEMORY, ENOMEM, "a table of %zu payloads", m->entry_count);
	rc = collect(w, m, e);
	if (rc == 0)
		rc = merge(w, e);
	if (rc == 0)
		rc = check_parts(w, e);
	if (rc < 0)
		wanted_clear(w);
	return rc;
}

void wanted_clear(struct wanted_list *w)
{
	free(w->rows);
	free(w->pieces);
	memset(w, 0, sizeof(*w));
}

static int not_the_part(const struct wanted *open, const char *name, struct err *e)
{
	return err_set(e, E_PARTS, EINVAL, "'%s.%03u' of %" PRIu64 " must follow, but '%s' does",
		       open->payload.name, (unsigned)open->found + 1, open->parts, name);
}

int wanted_accept(struct wanted_list *w, const struct cpio_member *m, struct wanted **row,
		  struct err *e)
{
	unsigned part;

	*row = NULL;
	if (strcmp(m->name, DESCRIPTION_NAME) == 0)
		return err_set(e, E_CPIO_DUP, EINVAL, "'%s' is in the bundle a second time",
			       m->name);
	*row = find_member(w, m->name, &part);
	if (w->open && (*row != w->open || part != w->open->found + 1))
		return not_the_part(w->open, m->name, e);
	if (!*row)
		return 0;
	if ((*row)->found >= (part ? part : 1))
		return err_set(e, E_CPIO_DUP, EINVAL, "'%s' is in the bundle a second time",
			       m->name);
	if (part > 1 && !w->open)
		return err_set(e, E_PARTS, EINVAL, "'%s' comes before '%s.001'", m->name,
			       (*row)->payload.name);
	return 0;
}

static int grow_pieces(struct wanted_list *w, struct err *e)
{
	size_t room = w->piece_room ? 2 * w->piece_room : 64;
	struct piece *p;

	if (w->piece_count < w->piece_room)
		return 0;
	p = reallocarray(w->pieces, room, sizeof(*p));
	if (!p)
		return err_set(e, E_MEMORY, ENOMEM, "a table of %zu members", room);
	w->pieces = p;
	w->piece_room = room;
	return 0;
}

int wanted_add(struct wanted_list *w, struct wanted *row, const struct cpio_member *m,
	       uint64_t index, struct err *e)
{
	int rc = grow_pieces(w, e);

	if (rc < 0)
		return rc;
	if (row->found == 0) {
		row->first = w->piece_count;
		row->payload.index = index;
	}
	w->pieces[w->piece_count++] = (struct piece){.head = m->head, .data = m->data};
	row->found++;
	if (u64_add(row->payload.size, m->head.size, &row->payload.size))
		return err_set(e, E_PARTS, EOVERFLOW, "the parts of '%s' are too large",
			       row->payload.name);
	row->payload.has_size = row->found == wanted_members(row);
	w->open = row->payload.has_size ? NULL : row;
	return 0;
}

int wanted_complete(const struct wanted_list *w, struct err *e)
{
	if (w->open)
		return not_the_part(w->open, "the end of the bundle", e);
	for (size_t i = 0; i < w->count; i++) {
		const struct wanted *row = &w->rows[i];

		if (row->found || row->may_lack) /* who needs it all the same says so */
			continue;
		if (row->parts)
			return err_set(e, E_MEMBER_MISSING, ENOENT, "'%s.001' is not in the bundle",
				       row->payload.name);
		return err_set(e, E_MEMBER_MISSING, ENOENT, "'%s' is not in the bundle",
			       row->payload.name);
	}
	return 0;
}
