#include "core/switches.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

/* ---- in the plan ---- */

static const struct switch_record *record_of(const struct run_step *rs)
{
	return rs->known.step.handler->record;
}

size_t switches_count(const struct steps *all)
{
	size_t n = 0;

	steps_each(rs, all) n += record_of(rs) != NULL;
	return n;
}

/* two records of one place would each be made of what the other one changes */
static int check_apart(const struct steps *all, struct err *e)
{
	steps_each(rs, all)
	{
		const struct run_step *other = record_of(rs) ? steps_next(all, rs) : NULL;

		for (; other; other = steps_next(all, other))
			if (record_of(other) && other->known.step.dev == rs->known.step.dev)
				return step_at(all, other,
					       err_set(e, E_DESC_VALUE, EEXIST,
						       "two entries switch by the same disk: put "
						       "all into one entry (swap-0, swap-1)"),
					       e);
	}
	return 0;
}

int switches_check(const struct steps *all, bool variables, struct err *e)
{
	const struct session *s = all->session;
	size_t n = switches_count(all);

	if (!n)
		return 0;
	if (!s->journal && session_writes(s))
		return err_set(
			e, E_STATE_DIR, EROFS,
			"a switch by the partition table needs a journal to be settled after "
			"a power cut, and there is none");
	if (n + variables < 2)
		return 0;
	if (!s->cfg->several_switches && !s->cfg->compat) {
		err_fix(e, "switch by one of them (leave out env of the slots and bootenv, or the "
			   "other entries), or set several-switches in the configuration");
		return err_set(
			e, E_CONFIG, EPERM,
			"the bundle switches in %zu places%s: between two of them a power cut "
			"boots what was not meant",
			n + variables, variables ? ", the boot environment among them" : "");
	}
	if (!s->cfg->several_switches)
		reporter_warn(s->reporter,
			      "the bundle switches in %zu places: a power cut between them is "
			      "finished by the next start only (several-switches = true allows it)",
			      n + variables);
	return check_apart(all, e);
}

/* ---- in the journal ---- */

/* HANDLER, blank, device, line end; then what the handler says */
static int note_one(const struct steps *all, struct run_step *rs, struct err *e)
{
	struct step *st = &rs->known.step;
	AUTO_FREE char *text = malloc(SWITCH_TEXT);
	AUTO_FREE char *line = NULL;
	int rc;

	if (!text)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a record of the journal");
	rc = st->handler->record->record(st, text, SWITCH_TEXT, e);
	if (rc < 0)
		return step_at(all, rs, rc, e);
	if (asprintf(&line, "%s %s\n%s", st->handler->name, st->dev->name, text) < 0)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a record of the journal");
	return journal_add(all->session->journal, JOURNAL_SWITCH, line, e);
}

/* lines of NAME=VALUE; a line that begins with '-' unsets. Values have no line ends */
static int note_variables(const struct session *s, const struct envset *after, struct err *e)
{
	AUTO_FREE char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	int rc;

	if (!f)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a record of the journal");
	for (size_t i = 0; i < after->count; i++)
		fprintf(f, "%s%s%s%s\n", after->vars[i].value ? "+" : "-", after->vars[i].name,
			after->vars[i].value ? "=" : "",
			after->vars[i].value ? after->vars[i].value : "");
	rc = ferror(f);
	if (fclose(f) != 0 || rc)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a record of the journal");
	return journal_add(s->journal, JOURNAL_VARIABLES, text, e);
}

int switches_note(const struct steps *all, const struct envset *after, struct err *e)
{
	int rc = check_apart(all, e);

	steps_each(rs, all)
	{
		if (rc == 0 && record_of(rs))
			rc = note_one(all, rs, e);
	}
	return rc < 0 ? rc : note_variables(all->session, after, e);
}

/* ---- what a record says ---- */

static const struct journal_record *next_record(const struct session *s, size_t *i,
						enum journal_type type)
{
	const struct journal_record *r;

	while (s->journal && (r = journal_at(s->journal, (*i)++)))
		if (r->type == type)
			return r;
	return NULL;
}

struct noted {
	const struct switch_record *record;
	const char *text; /* lent from the journal */
	int fd;
};

static int open_noted(const struct session *s, const struct journal_record *r, struct noted *n,
		      struct err *e)
{
	const char *blank = strchr(r->payload, ' '), *line = strchr(r->payload, '\n');
	char name[64], path[4096];
	const struct handler *h;

	if (!blank || !line || line < blank || (size_t)(blank - r->payload) >= sizeof(name) ||
	    (size_t)(line - blank) >= sizeof(path))
		return err_set(e, E_JOURNAL, EBADMSG, "a record of a switch cannot be read");
	text_print(name, sizeof(name), "%.*s", (int)(blank - r->payload), r->payload);
	text_print(path, sizeof(path), "%.*s", (int)(line - blank - 1), blank + 1);
	h = handler_find(name);
	if (!h || !h->record)
		return err_set(e, E_HANDLER, ENOENT,
			       "the journal has a switch by '%s', which is not built in", name);
	n->record = h->record;
	n->text = line + 1;
	return slots_open_target(s, path, &n->fd, e);
}

static int set_one(const struct session *s, const struct journal_record *r, enum switch_side side,
		   struct err *e)
{
	struct noted n = {.fd = -1};
	int rc = open_noted(s, r, &n, e);

	if (rc == 0)
		rc = n.record->set(n.fd, n.text, side, e);
	sys_close(&n.fd);
	return rc;
}

static int set_all(const struct session *s, enum switch_side side, struct err *e)
{
	const struct journal_record *r;
	size_t i = 0;

	while ((r = next_record(s, &i, JOURNAL_SWITCH))) {
		int rc = set_one(s, r, side, e);

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* ---- switching ---- */

bool switches_back(const struct steps *all)
{
	struct err ignored = {0};

	return !switches_count(all) || set_all(all->session, SWITCH_OLD, &ignored) == 0;
}

int switches_run(struct steps *all, bool *unknown, struct err *e)
{
	steps_each(rs, all)
	{
		int rc = record_of(rs) ? step_run(all, rs, PHASE_SWITCH, e) : 0;

		if (rc < 0) {
			*unknown = !switches_back(all);
			return rc;
		}
	}
	return 0;
}

/* ---- recovery ---- */

int switches_any_new(const struct session *s, bool *yes, struct err *e)
{
	const struct journal_record *r;
	size_t i = 0;
	int rc = 0;

	*yes = false;
	while (rc == 0 && !*yes && (r = next_record(s, &i, JOURNAL_SWITCH))) {
		struct noted n = {.fd = -1};
		enum switch_side side = SWITCH_OLD;

		rc = open_noted(s, r, &n, e);
		if (rc == 0)
			rc = n.record->side(n.fd, n.text, &side, e);
		sys_close(&n.fd);
		*yes = rc == 0 && side == SWITCH_NEW;
	}
	return rc;
}

static int read_variables(const struct journal_record *r, struct envset *s, struct err *e)
{
	AUTO_FREE char *copy = strdup(r->payload);
	char *rest = copy, *line;

	if (!copy)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for boot variables");
	while ((line = strsep(&rest, "\n")) && *line) {
		char *value = *line == '+' ? strchr(line, '=') : NULL;
		int rc;

		if (value)
			*value++ = '\0';
		rc = envset_put(s, line + 1, value, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int finish_variables(const struct session *s, struct err *e)
{
	const struct journal_record *r;
	AUTO_ENVSET struct envset after = {0};
	size_t i = 0;

	if (!bootenv_is_switch(s->env))
		return 0;
	while ((r = next_record(s, &i, JOURNAL_VARIABLES))) {
		int rc = read_variables(r, &after, e);

		if (rc < 0)
			return rc;
	}
	return after.count ? bootenv_commit(s->env, &after, e) : 0;
}

int switches_settle(const struct session *s, enum switch_side side, struct err *e)
{
	int rc = set_all(s, side, e);

	return rc < 0 || side == SWITCH_OLD ? rc : finish_variables(s, e);
}
