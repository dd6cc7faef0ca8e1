/*
 * The records that switch, beside the boot environment: steps whose handler has a switch record.
 *
 * All are flushed targets later; the first that is written is the commit point. Before it the
 * journal has what each changes (JOURNAL_SWITCH) and what the environment gets after them
 * (JOURNAL_VARIABLES), so that a cut behind it is finished from there, and one before it undone.
 */
#ifndef CORE_SWITCHES_H
#define CORE_SWITCHES_H

#include "core/step.h"

/* how many there are */
size_t switches_count(const struct steps *all);
/* before any write: is more than one switch allowed? 'variables': the boot environment switches too
 */
int switches_check(const struct steps *all, bool variables, struct err *e);
/* into the journal: what they change, and what the environment gets after them */
int switches_note(const struct steps *all, const struct envset *after, struct err *e);
/* write them; after a failure all are old again, or 'unknown' is set: recovery decides */
int switches_run(struct steps *all, bool *unknown, struct err *e);
/* all old again; false: recovery decides */
bool switches_back(const struct steps *all);

/* recovery: did one of the journal's records reach its place? */
int switches_any_new(const struct session *s, bool *yes, struct err *e);
/* all of them to one side, whole; on the new one the environment gets what was to come after them
 */
int switches_settle(const struct session *s, enum switch_side side, struct err *e);

#endif
