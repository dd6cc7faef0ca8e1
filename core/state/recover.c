#include "core/state/recover.h"

#include <errno.h>
#include <string.h>

#include "core/activate.h"
#include "core/plan/installed.h"
#include "core/state/status.h"
#include "corelib/device/mounts.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

/* ---- which side of the commit point ---- */

static bool has_record(const struct journal *j, enum journal_type type)
{
	const struct journal_record *r;

	for (size_t i = 0; (r = journal_at(j, i)); i++)
		if (r->type == type)
			return true;
	return false;
}

static int was_committed(const struct recovery *r, const char *txn, bool *yes, struct err *e)
{
	AUTO_FREE char *value = NULL;
	int rc;

	*yes = has_record(r->session->journal, JOURNAL_COMMITTED);
	if (*yes || !bootenv_is_switch(r->session->env))
		return 0;
	rc = bootenv_get(r->session->env, TXN_VARIABLE, &value, e);
	if (rc > 0)
		*yes = strcmp(value, txn) == 0;
	return rc < 0 ? rc : 0;
}

/* ---- files ---- */

static size_t count_records(const struct journal *j)
{
	size_t n = 0;

	while (journal_at(j, n))
		n++;
	return n;
}

/* undo in reverse, finish in order: the order matters only when two steps share a folder */
static int settle_files(struct recovery *r, bool keep, struct err *e)
{
	size_t n = count_records(r->session->journal);

	for (size_t i = 0; i < n; i++) {
		const struct journal_record *rec =
			journal_at(r->session->journal, keep ? i : n - 1 - i);
		int rc = rec->type == JOURNAL_FILE ? recover_file(r, rec, keep, e) : 0;

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* ---- after the commit point ---- */

/* a list that cannot be written now (read-only, moved) must not stop every later install */
static bool redo_after(const struct recovery *r)
{
	const struct journal_record *rec;
	struct err ignored = {0};
	bool all = true;

	for (size_t i = 0; (rec = journal_at(r->session->journal, i)); i++)
		if (rec->type == JOURNAL_AFTER && r->session->cfg->gen_swversions)
			all &= installed_write(r->session->cfg->gen_swversions, rec->payload,
					       &ignored) == 0;
	return all;
}

static int finish(struct recovery *r, struct err *e)
{
	int rc = settle_files(r, true, e);

	if (rc < 0)
		return rc;
	r->did = RECOVERED_FINISHED;
	text_print(r->text, sizeof(r->text),
		   "the installation of release %s was interrupted after its "
		   "switch: finished, the new system is active%s%s%s",
		   r->version,
		   r->left[0] ? "; an old file stays, in a folder .swinstall-*, on " : "", r->left,
		   redo_after(r) ? "" : "; the list of installed versions could not be written");
	return 0;
}

/* ---- before it ---- */

static int write_marker(const struct recovery *r, const char *value, struct err *e)
{
	struct envset s = {0};
	int rc = envset_put(&s, RECOVERY_STATUS, value, e);

	if (rc == 0)
		rc = bootenv_commit(r->session->env, &s, e);
	envset_clear(&s);
	return rc;
}

/*
 * A marker of a run that is no more: we hold the install lock, so nobody else is at it. 'always':
 * write what is there once more, because a commit that was cut may have left its temporary file.
 */
static int clear_marker(struct recovery *r, bool always, bool *was, struct err *e)
{
	AUTO_FREE char *value = NULL;
	int rc;

	*was = false;
	if (!bootenv_is_switch(r->session->env))
		return 0;
	rc = bootenv_get(r->session->env, RECOVERY_STATUS, &value, e);
	if (rc < 0)
		return rc;
	*was = value && strcmp(value, "in_progress") == 0 &&
	       !r->session->cfg->no_transaction_marker;
	if (!*was && !always)
		return 0;
	return write_marker(r, *was ? "failed" : value, e);
}

static int undo(struct recovery *r, struct err *e)
{
	bool marker;
	int rc = settle_files(r, false, e);

	if (rc == 0)
		rc = clear_marker(r, true, &marker, e);
	if (rc < 0)
		return rc;
	r->did = RECOVERED_UNDONE;
	text_print(r->text, sizeof(r->text),
		   "the installation of release %s was interrupted before its "
		   "switch: undone, the old system is active",
		   r->version);
	return 0;
}

/* ---- all ---- */

/* told once: the journal is finished right after */
static void keep_status(const struct recovery *r)
{
	struct status s = {.time = sys_now_real()};

	text_copy(s.state, sizeof(s.state),
		  r->did == RECOVERED_FINISHED ? "success" : "interrupted");
	text_copy(s.version, sizeof(s.version), r->version);
	status_write(r->session->cfg->state_dir, &s);
}

static int settle(struct recovery *r, struct err *e)
{
	const struct journal_record *first = journal_at(r->session->journal, 0);
	char txn[17];
	bool committed;
	int rc;

	text_copy(txn, sizeof(txn), first->txn);
	if (first->type == JOURNAL_BEGIN)
		text_printable(first->payload, first->length, r->version, sizeof(r->version));
	rc = was_committed(r, txn, &committed, e);
	if (rc == 0)
		rc = committed ? finish(r, e) : undo(r, e);
	if (rc < 0)
		return rc;
	keep_status(r);
	return journal_finish(r->session->journal, e);
}

static int only_marker(struct recovery *r, struct err *e)
{
	bool marker;
	int rc = clear_marker(r, false, &marker, e);

	if (rc == 0 && marker) {
		r->did = RECOVERED_UNDONE;
		text_copy(r->text, sizeof(r->text),
			  "an installation without journal was interrupted: "
			  "the old system is active");
	}
	return rc;
}

/* mounts of a killed process, in either of the folders that they are made in */
static int sweep(const struct recovery *r, struct err *e)
{
	int rc = mounts_sweep(r->session->cfg->run_dir, e);

	return rc < 0 ? rc : mounts_sweep(r->session->cfg->state_dir, e);
}

static int not_settled(const struct err *cause, int rc, struct err *e)
{
	err_set(e, E_RECOVER, -rc, "%s: %s", err_info(cause->code)->title, cause->why);
	if (cause->code == E_NOT_MOUNTED)
		err_fix(e, "%s", err_fix_text(cause));
	return rc;
}

int recover_run(struct recovery *r, struct err *e)
{
	struct err cause = {0};
	int rc;

	status_tidy(r->session->cfg->state_dir);
	r->did = RECOVERED_NOTHING;
	r->left[0] = '\0';
	text_copy(r->version, sizeof(r->version), "?");
	text_copy(r->text, sizeof(r->text), "nothing to do");
	rc = sweep(r, &cause);
	if (rc == 0 && r->session->journal && journal_at(r->session->journal, 0))
		rc = settle(r, &cause);
	else if (rc == 0)
		return only_marker(r, e);
	return rc < 0 ? not_settled(&cause, rc, e) : 0;
}
