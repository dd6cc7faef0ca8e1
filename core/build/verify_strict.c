#include "core/build/verify_strict.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "core/build/contents.h"
#include "core/build/lint.h"
#include "core/build/members.h"
#include "core/build/variables.h"
#include "corelib/base/arena.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "parser/text/node.h"

#define ARENA_MAX (64 * 1024 * 1024)
#define TEXT_MAX  (1024u * 1024)

struct said {
	struct said *next;
	const char *text;
};

struct strict_check {
	const struct verify_options *o;
	struct arena *arena;
	struct said *said;
	unsigned found;
	bool no_memory;
	int fd;
	const struct node *root;
	unsigned unlisted;
};

/* the same thing is met in each selection: it is told once */
static void tolerated_tell(void *arg, const char *text)
{
	struct strict_check *t = arg;
	struct said *s;

	for (s = t->said; s; s = s->next)
		if (strcmp(s->text, text) == 0)
			return;
	s = arena_alloc(t->arena, sizeof(*s));
	if (s)
		s->text = arena_strndup(t->arena, text, strlen(text));
	if (!s || !s->text) {
		t->no_memory = true;
		return;
	}
	s->next = t->said;
	t->said = s;
	t->found++;
	if (t->o->note)
		t->o->note(t->o->arg, text);
}

/* ---- members that nothing names ----------------------------------------------------------- */

/* NAME, or NAME.001 of its parts */
static bool is_named(const char *member, const char *name)
{
	size_t n = strlen(name);

	if (strncmp(member, name, n) != 0)
		return false;
	return !member[n] || (member[n] == '.' && strlen(member + n) == 4 &&
			      strspn(member + n + 1, "0123456789") == 3);
}

/* depth is bounded by the reader that made the tree */
static bool names_it(const struct node *n, const char *member)
{
	bool names = n->type == NODE_STRING && n->name &&
		     (strcmp(n->name, "filename") == 0 || strcmp(n->name, "hash-list") == 0);

	if (names && is_named(member, n->string))
		return true;
	node_for_each(c, n)
		if (names_it(c, member))
			return true;
	return false;
}

/* lint sees keys at every level; the reader of a device only those where it looks */
static void take_unknown(void *arg, const struct lint_finding *f)
{
	char line[800];

	if (!f->unknown && !f->handler)
		return;
	(void)text_print(line, sizeof(line), "line %u: %.700s", f->line, f->text);
	tolerated_tell(arg, line);
}

static void take_contents(void *arg, const struct entry *x, const struct contents *c)
{
	char line[640], label[256];

	entry_label(x, label, sizeof(label));
	(void)text_print(line, sizeof(line), "%s: the payload %s", label, c->why);
	tolerated_tell(arg, line);
}

static int read_tree(struct strict_check *t, const struct member *m, struct err *e)
{
	const struct contents_options payloads = {take_contents, t};
	const struct lint_options keys = {
		.finished = true, .target = t->o->target, .found = take_unknown, .arg = t};
	AUTO_FREE char *text = NULL;
	struct lint_result r;
	ssize_t got;
	int rc;

	if (m->size > TEXT_MAX)
		return err_set(e, E_DESC_LIMIT, EFBIG, "the description is too large");
	text = malloc((size_t)m->size + 1);
	if (!text)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the description");
	got = sys_pread(t->fd, text, (size_t)m->size, m->data);
	if (got < 0 || (uint64_t)got != m->size)
		return err_set(e, E_TRUNCATED, 0, "the description ends too early");
	rc = node_parse(&t->root, text, (size_t)m->size, t->arena, NULL, e);
	if (rc < 0)
		return rc;
	rc = lint_description(&r, text, (size_t)m->size, &keys, e);
	return rc < 0 ? rc : contents_judge_bundle(t->fd, &payloads, e);
}

static int look_at(void *arg, const struct member *m, struct err *e)
{
	struct strict_check *t = arg;
	char line[400], name[300];

	if (m->index == 0)
		return read_tree(t, m, e);
	if (strcmp(m->name, "sw-description.sig") == 0 || names_it(t->root, m->name))
		return 0;
	text_printable(m->name, strlen(m->name), name, sizeof(name));
	(void)text_print(line, sizeof(line), "member %s is not named by the description", name);
	t->unlisted++;
	tolerated_tell(t, line);
	return 0;
}

/* ---- all of it ---------------------------------------------------------------------------- */

/* what stops a strict reader and was not told yet */
static void tell_refusal(struct strict_check *t, const struct err *e, unsigned before)
{
	char line[sizeof(e->why) + 64];
	bool listed = (e->code == E_MEMBER_UNLISTED && t->unlisted) ||
		      (e->code >= E_DESC_SYNTAX && e->code <= E_SELECT && before);

	if (listed || (e->code == E_CPIO_TRAILER && before))
		return;
	(void)text_print(line, sizeof(line), "%s: %s", err_info(e->code)->name, e->why);
	tolerated_tell(t, line);
}

static int look(struct strict_check *t, struct verify_result *r, struct err *e)
{
	struct verify_options o = *t->o;
	const struct member_walk w = {look_at, t};
	struct verify_result again;
	unsigned noted;
	struct err strict;
	int rc;

	o.strict = false;
	o.note = tolerated_tell;
	o.arg = t;
	rc = verify_bundle(&o, r, e);
	noted = t->found;
	if (rc == 0)
		rc = err_at(e, members_walk(t->fd, &w, e), "%s", o.bundle);
	if (rc < 0)
		return rc;
	o.strict = true;
	o.note = NULL;
	err_clear(&strict);
	if (verify_bundle(&o, &again, &strict) < 0)
		tell_refusal(t, &strict, noted);
	return t->no_memory || strict.code == E_MEMORY
		       ? err_set(e, E_MEMORY, ENOMEM, "no memory for what is found")
		       : 0;
}

int verify_strict(const struct verify_options *o, struct verify_result *r, unsigned *found,
		  struct err *e)
{
	AUTO_CLOSE int fd = build_open(o->bundle, E_IO, "the bundle", e);
	struct strict_check t = {.o = o, .fd = fd, .arena = arena_new(ARENA_MAX)};
	int rc;

	if (fd < 0)
		rc = fd;
	else if (!t.arena)
		rc = err_set(e, E_MEMORY, ENOMEM, "no memory for what is found");
	else
		rc = look(&t, r, e);
	arena_free(t.arena);
	*found = t.found;
	return rc;
}
