#include "core/activate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/marks.h"
#include "core/plan/installed.h"
#include "core/scripts.h"
#include "core/state/pending.h"
#include "core/switches.h"
#include "corelib/stream/stream.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

static void warn_of(const struct activation *a, const char *what, const struct err *e)
{
	reporter_warn(a->session->reporter, "%s: %s", what, e->why);
}

static struct marks marks_of(const struct activation *a)
{
	return (struct marks){
		.cfg = a->session->cfg, .manifest = a->plan->manifest, .env = a->session->env};
}

/* ---- the two commits ---- */

static int put_all(struct envset *to, const struct envset *from, struct err *e)
{
	for (size_t i = 0; i < from->count; i++) {
		int rc = envset_put(to, from->vars[i].name, from->vars[i].value, e);

		if (rc < 0)
			return rc;
	}
	return 0;
}

/*
 * commit 2: what the bundle says first, so that nothing of it can override what decides the switch,
 * and the marks, which switch nothing, at the end
 */
static int final_set(const struct activation *a, const char *txn, struct envset *s, struct err *e)
{
	const struct marks m = marks_of(a);
	int rc = put_all(s, &a->plan->variables, e);

	if (rc < 0)
		return rc;
	rc = put_all(s, &a->session->asked, e);
	if (rc < 0)
		return rc;
	rc = slots_env(a->plan->taken, s, e);
	return rc < 0 ? rc : marks_put_installed(&m, s, txn, e);
}

static int check_no_loader(const struct activation *a, struct err *e)
{
	if (!a->plan->variables.count && !a->session->asked.count)
		return 0;
	if (!a->session->cfg->strict) {
		reporter_warn(
			a->session->reporter,
			"bootloader is 'none': the boot variables of the bundle are not stored");
		return 0;
	}
	err_fix(e, "set bootloader in the configuration, or build the bundle without bootenv");
	return err_set(
		e, E_CONFIG, EINVAL,
		"the bundle sets boot variables, the bootloader is 'none', and strict is on");
}

static int check_final(const struct activation *a, struct err *e)
{
	AUTO_ENVSET struct envset s = {0};
	const struct marks m = marks_of(a);
	int rc = final_set(a, "0123456789abcdef", &s, e);

	if (rc < 0)
		return rc;
	rc = marks_put_status(&m, &s, "in_progress", e); /* the longest it gets */
	return rc < 0 ? rc : bootenv_check(a->session->env, &s, e);
}

/* whatever switches to the slot, nobody can ask later which one was meant */
static bool wants_note(const struct activation *a)
{
	const struct session *s = a->session;

	return a->plan->taken && s->slots.running && !slots_have_env(s->cfg);
}

static const char *note_folder(const struct session *s)
{
	return s->journal ? s->cfg->state_dir : s->cfg->run_dir ? s->cfg->run_dir : "/run";
}

/* slots without variables: what boots next cannot be changed here, so it is not written */
static int check_pending(const struct activation *a, struct err *e)
{
	const struct slots *s = &a->session->slots;

	if (wants_note(a) && session_writes(a->session) &&
	    access(note_folder(a->session), W_OK) < 0)
		return err_sys(e, E_STATE_DIR, errno,
			       "'%s' cannot be written, and which slot boots next has to be noted "
			       "there",
			       note_folder(a->session));
	if (!a->plan->taken || !slots_pending(s) || slots_have_env(a->session->cfg))
		return 0;
	return err_set(e, E_SLOT_PENDING, EBUSY,
		       "slot '%s' boots next since an earlier update, and the slots have no boot "
		       "variables (env) by which '%s' could be chosen again",
		       s->next->name, s->running->name);
}

/* does the environment decide what boots, or does it get marks alone? */
static bool variables_switch(const struct activation *a)
{
	return bootenv_is_switch(a->session->env) &&
	       (a->plan->variables.count || a->session->asked.count ||
		(a->plan->taken && slots_have_env(a->session->cfg)));
}

int activate_check(const struct activation *a, struct err *e)
{
	int rc = check_pending(a, e);

	if (rc < 0)
		return rc;
	rc = switches_check(a->steps, variables_switch(a), e);
	if (rc < 0)
		return rc;
	if (!bootenv_is_switch(a->session->env))
		return check_no_loader(a, e);
	bootenv_phase(a->session->env);
	return err_while(e, check_final(a, e), "checking the boot variables of the bundle");
}

/* ---- begin ---- */

/* what the environment chooses now, and whether that is what was meant */
static int commit_choosing(const struct activation *a, const struct envset *changes,
			   const struct slot_setting *slot, struct err *e)
{
	AUTO_ENVSET struct envset now = {0};
	int rc = bootenv_commit_read(a->session->env, changes, &now, e);

	if (rc < 0 || !slot || !slots_have_env(a->session->cfg) ||
	    slots_only(a->session->cfg, slot, &now))
		return rc;
	return err_set(e, E_ENV_WRITE, EIO,
		       "what was read back does not choose slot '%s', or not it alone", slot->name);
}

static int boot_running_again(const struct activation *a, struct err *e)
{
	const struct marks m = marks_of(a);
	AUTO_ENVSET struct envset back = {0}, all = {0};
	int rc = bootenv_load(a->session->env, &all, e);

	if (rc < 0)
		return rc;
	rc = slots_env(a->session->slots.running, &back, e);
	if (rc < 0)
		return rc;
	rc = marks_put_taken_back(&m, &back, &all, e);
	return rc < 0 ? rc : commit_choosing(a, &back, a->session->slots.running, e);
}

/* a second install before the reboot: the slot that is about to be written must not be booted */
static int take_back(const struct activation *a, struct err *e)
{
	struct err cause = {0};
	int rc;

	if (!a->plan->taken || !slots_pending(&a->session->slots))
		return 0;
	rc = boot_running_again(a, &cause);
	if (rc < 0)
		return err_set(e, E_SLOT_PENDING, -rc,
			       "slot '%s' boots next since an earlier update; making '%s' "
			       "boot again failed: %s",
			       a->session->slots.next->name, a->session->slots.running->name,
			       cause.why);
	reporter_warn(a->session->reporter,
		      "an earlier update was waiting for its reboot: taken back, the running slot "
		      "boots until this one is complete");
	return 0;
}

static int new_txn(struct activation *a, struct err *e)
{
	uint8_t random[8];
	int rc;

	if (a->session->journal)
		return journal_begin(a->session->journal, a->plan->manifest->version,
				     a->session->txn, e);
	rc = sys_random(random, sizeof(random));
	if (rc < 0)
		return err_sys(e, E_SYS, -rc, "getting random bytes");
	text_hex(random, sizeof(random), a->session->txn);
	return 0;
}

/* nothing has happened yet: as if it had not begun */
static int not_begun(struct activation *a, int rc)
{
	struct err ignored = {0};

	if (a->session->journal)
		journal_finish(a->session->journal, &ignored);
	return rc;
}

int activate_begin(struct activation *a, struct err *e)
{
	const struct marks m = marks_of(a);
	int rc = check_pending(a, e);

	if (rc < 0)
		return rc;
	rc = new_txn(a, e);
	if (rc < 0)
		return rc;
	bootenv_phase(a->session->env);
	rc = take_back(a, e);
	if (rc < 0)
		return not_begun(a, rc);
	a->began = true;
	rc = marks_write_status(&m, "in_progress", e);
	return err_while(e, rc, "marking the beginning in the boot environment");
}

/* ---- commit ---- */

/* the old values of what commit 2 changes, should it have to be taken back */
static int old_values(const struct activation *a, const struct envset *changes, struct envset *old,
		      struct err *e)
{
	AUTO_ENVSET struct envset all = {0};
	int rc = bootenv_load(a->session->env, &all, e);

	for (size_t i = 0; rc == 0 && i < changes->count; i++) {
		const struct envvar *v = envset_find(&all, changes->vars[i].name);

		rc = envset_put(old, changes->vars[i].name, v ? v->value : NULL, e);
	}
	return rc;
}

/*
 * The commit of the switch failed: nobody knows what the medium holds. Only a good commit of the
 * old values makes it old again; else the journal stays open and the next start looks.
 */
static void take_back_switch(struct activation *a, struct envset *old)
{
	const struct marks m = marks_of(a);
	struct err ignored = {0};
	int rc = marks_put_status(&m, old, "failed", &ignored);

	if (rc == 0)
		rc = bootenv_commit(a->session->env, old, &ignored);
	a->unknown = rc < 0;
}

/* without a boot switch the record is the commit point: unknown when only its flush failed */
static int commit_journal(struct activation *a, struct err *e)
{
	int rc = a->session->journal ? journal_add(a->session->journal, JOURNAL_COMMITTED, "", e)
				     : 0;

	a->unknown = rc < 0 && journal_is_broken(a->session->journal);
	return rc;
}

/* another record switched before: it goes back too; what is not known then recovery asks them */
static void take_back_all(struct activation *a, struct envset *old)
{
	take_back_switch(a, old);
	if (!switches_back(a->steps))
		a->unknown = true;
}

/* where only marks are left to write, the system is switched: recovery writes them again */
static int after_switches(struct activation *a, int rc, struct envset *old, struct err *e)
{
	if (!switches_count(a->steps) || variables_switch(a)) {
		take_back_all(a, old);
		return rc;
	}
	warn_of(a, "the switch is done, its marks could not be written (swctl recover)", e);
	a->unmarked = true;
	err_clear(e);
	return 0;
}

static int switch_variables(struct activation *a, struct err *e)
{
	AUTO_ENVSET struct envset changes = {0}, old = {0};
	int rc = final_set(a, a->session->txn, &changes, e);

	if (rc < 0)
		return rc;
	rc = old_values(a, &changes, &old, e);
	if (rc < 0)
		return rc;
	if (switches_count(a->steps)) {
		rc = switches_note(a->steps, &changes, e);
		if (rc < 0)
			return rc;
		rc = switches_run(a->steps, &a->unknown, e);
		if (rc < 0)
			return rc;
	}
	rc = commit_choosing(a, &changes, a->plan->taken, e);
	return rc < 0 ? after_switches(a, rc, &old, e) : 0;
}

/* no boot environment: other records, else the journal's own */
static int switch_alone(struct activation *a, struct err *e)
{
	const struct envset none = {0};
	int rc;

	if (!switches_count(a->steps))
		return commit_journal(a, e);
	rc = switches_note(a->steps, &none, e);
	return rc < 0 ? rc : switches_run(a->steps, &a->unknown, e);
}

static int switch_over(struct activation *a, struct err *e)
{
	const struct session *s = a->session;

	if (wants_note(a)) {
		int rc = pending_note(note_folder(s), a->plan->taken->name, s->txn, e);

		a->noted = true; /* maybe so after a failure, too */
		if (rc < 0)
			return rc;
	}
	if (!bootenv_is_switch(s->env))
		return switch_alone(a, e);
	bootenv_phase(s->env);
	return err_while(e, switch_variables(a, e), "switching to the new system");
}

/* after the commit point nothing fails the update any more; recovery does it again if need be */
static void tidy(struct activation *a, const char *lines)
{
	bool complete = steps_settle(a->steps) && !a->unmarked;
	struct err e = {0};

	if (lines && *lines && installed_write(a->session->cfg->gen_swversions, lines, &e) < 0) {
		warn_of(a, "the list of installed versions could not be written", &e);
		complete = false;
	}
	err_clear(&e);
	if (a->session->journal && complete && journal_finish(a->session->journal, &e) < 0)
		warn_of(a, "the journal could not be finished", &e);
}

static int prepare(struct activation *a, const char *lines, struct err *e)
{
	struct journal *journal = a->session->journal;
	int rc = scripts_flush(a->steps, e);

	if (rc < 0)
		return rc;
	rc = steps_flush(a->steps, e);
	if (rc < 0)
		return rc;
	if (journal)
		rc = journal_add(journal, JOURNAL_STAGED, "", e);
	if (rc == 0 && journal && lines && *lines)
		rc = journal_add(journal, JOURNAL_AFTER, lines, e);
	if (rc < 0)
		return rc;
	rc = steps_commit(a->steps, e);
	if (rc < 0)
		return rc;
	if (flag_is_set(a->session->cancel))
		return err_set(e, E_CANCELED, ECANCELED, "cancelled before the switch");
	return 0;
}

int activate_commit(struct activation *a, struct err *e)
{
	AUTO_FREE char *lines = NULL;
	int rc = steps_close(a->steps, e);

	if (rc < 0)
		return rc;
	if (a->session->cfg->gen_swversions)
		rc = installed_lines(a->plan, &lines, e);
	if (rc < 0)
		return rc;
	rc = prepare(a, lines, e);
	if (rc < 0)
		return rc;
	rc = switch_over(a, e);
	if (rc < 0)
		return rc;
	a->switched = true;
	tidy(a, lines);
	return 0;
}

/* ---- abort ---- */

void activate_abort(struct activation *a)
{
	const struct marks m = marks_of(a);
	struct err e = {0};

	if (a->switched)
		return;
	if (a->unknown) {
		reporter_warn(
			a->session->reporter,
			"the switch may or may not have reached the medium: nothing is undone; "
			"the next start looks and finishes or undoes (swctl recover)");
		return;
	}
	steps_close(a->steps, &e);
	err_clear(&e);
	steps_postfailure(a->steps);
	steps_discard(a->steps);
	if (!a->began)
		return;
	bool noted = a->noted && pending_forget(a->session->cfg, a->session->txn) < 0;

	bootenv_phase(a->session->env);
	if (marks_write_status(&m, "failed", &e) < 0)
		warn_of(a, "recovery_status=failed could not be written", &e);
	else if (noted)
		reporter_warn(
			a->session->reporter,
			"the note of the slot that was to boot next could not be removed: the "
			"next start tries again (swctl recover)");
	else if (steps_left_something(a->steps))
		reporter_warn(
			a->session->reporter,
			"a file could not be put back: the next start tries again (swctl recover)");
	else if (a->session->journal && journal_finish(a->session->journal, &e) < 0)
		warn_of(a, "the journal could not be finished", &e);
}
