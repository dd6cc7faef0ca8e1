#include "core/state/recover.h"

#include <errno.h>
#include <string.h>

#include "core/marks.h"
#include "core/plan/installed.h"
#include "core/state/pending.h"
#include "core/state/status.h"
#include "core/switches.h"
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

static struct marks marks_of(const struct recovery *r)
{
	return (struct marks){.cfg = r->session->cfg, .env = r->session->env};
}

static int was_committed(const struct recovery *r, const char *txn, bool *yes, struct err *e)
{
	const struct marks m = marks_of(r);
	int rc;

	*yes = has_record(r->session->journal, JOURNAL_COMMITTED);
	if (*yes)
		return 0;
	rc = switches_any_new(r->session, yes, e);
	return rc < 0 || *yes ? rc : marks_have_txn(&m, txn, yes, e);
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
	int rc = switches_settle(r->session, SWITCH_NEW, e);

	if (rc == 0)
		rc = settle_files(r, true, e);
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

static int undo(struct recovery *r, const char *txn, struct err *e)
{
	const struct marks m = marks_of(r);
	bool marker;
	int rc = switches_settle(r->session, SWITCH_OLD, e);

	if (rc == 0)
		rc = settle_files(r, false, e);
	if (rc == 0)
		rc = marks_clear(&m, true, &marker, e);
	if (rc < 0)
		return rc;
	rc = pending_forget(r->session->cfg, txn);
	if (rc < 0)
		return err_sys(e, E_STATE_DIR, -rc,
			       "removing the note of the slot that boots next");
	r->did = RECOVERED_UNDONE;
	text_print(r->text, sizeof(r->text),
		   "the installation of release %s was interrupted before its "
		   "switch: undone, the old system is active",
		   r->version);
	return 0;
}

/* ---- all ---- */

/*
 * Told once: the journal is finished right after. Whether the bundle wrote a slot is not in the
 * journal: what the slot in question holds is not known then.
 */
static void keep_status(const struct recovery *r)
{
	struct status s = {.time = sys_now_real()};
	const struct slot_setting *lost = NULL;
	struct err ignored = {0};
	struct slots slots;

	text_copy(s.state, sizeof(s.state),
		  r->did == RECOVERED_FINISHED ? "success" : "interrupted");
	text_copy(s.version, sizeof(s.version), r->version);
	if (slots_observe(&slots, r->session->cfg, r->session->env, &ignored) == 0)
		lost = r->did == RECOVERED_FINISHED ? slots.next : slots.target;
	status_keep(r->session->cfg->state_dir, &s, lost ? lost->name : NULL);
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
		rc = committed ? finish(r, e) : undo(r, txn, e);
	if (rc < 0)
		return rc;
	keep_status(r);
	return journal_finish(r->session->journal, e);
}

static int only_marker(struct recovery *r, struct err *e)
{
	const struct marks m = marks_of(r);
	bool marker;
	int rc = marks_clear(&m, false, &marker, e);

	if (rc == 0 && marker) {
		r->did = RECOVERED_UNDONE;
		text_copy(r->text, sizeof(r->text),
			  "an installation without journal was interrupted: "
			  "the old system is active");
	}
	return rc;
}

/* mounts of a killed process, in either of the folders that they are made in */
static void leave_foreign(void *reporter, const char *path)
{
	reporter_warn(reporter, "%s is not of this program: left alone", path);
}

static int sweep(const struct recovery *r, struct err *e)
{
	struct reporter *told = r->session->reporter;
	int rc = mounts_sweep(r->session->cfg->run_dir, leave_foreign, told, e);

	return rc < 0 ? rc : mounts_sweep(r->session->cfg->state_dir, leave_foreign, told, e);
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
