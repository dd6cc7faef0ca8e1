/*
 * What was begun and how to undo it, so that a power cut leaves old or new.
 *
 * A file in state-dir of appended records: magic, version, length, txn, type, payload, CRC32C;
 * fdatasync after each; a torn tail is ignored. The commit point is the boot switch, which also
 * sets the variable swinstall_txn; without a boot switch it is the record JOURNAL_COMMITTED.
 */
#ifndef CORE_JOURNAL_H
#define CORE_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "corelib/base/err.h"

enum journal_type {
	JOURNAL_BEGIN = 1, /* version of the release, plain text */
	JOURNAL_FILE,	   /* a struct staged_address as text: about to be staged */
	JOURNAL_STAGED,	   /* all payloads written and flushed */
	JOURNAL_COMMITTED, /* commit point where there is no boot switch */
	JOURNAL_AFTER,	/* what is left to do after the commit: "name version" of the versions file
			 */
	JOURNAL_DONE,	/* nothing left to undo or finish; this number in every version */
	JOURNAL_SWITCH, /* what a switch record is about to change: core/switches.c */
	JOURNAL_VARIABLES, /* what the boot environment gets after them */
};

struct journal_record {
	enum journal_type type;
	char txn[17];
	uint32_t length;
	const char *payload; /* NUL behind it */
};

struct journal;
#define JOURNAL_ASIDE "journal.forgotten"
/* opens or makes state-dir/journal; a torn tail is cut off; a damaged one or one of a newer format
 * is E_JOURNAL, unless its last record is DONE */
int journal_open(struct journal **j, const char *state_dir, struct err *e);
struct journal *journal_close(struct journal *j);
/* without writing: 1 when there is none or nothing is left to undo or finish, 0, or -errno when
 * that is not known */
int journal_is_settled(const char *state_dir, struct err *e);
/* for a person who gives up what it says: renamed to JOURNAL_ASIDE */
int journal_put_aside(const char *state_dir, struct err *e);
/* the records of the last transaction that is not DONE, oldest first; NULL past the last */
const struct journal_record *journal_at(const struct journal *j, size_t i);
int journal_begin(struct journal *j, const char *version, char txn[17], struct err *e);
int journal_add(struct journal *j, enum journal_type type, const char *payload, struct err *e);
/* a flush failed: whether the medium holds the last record nobody knows, and none follows it */
bool journal_is_broken(const struct journal *j);
/* DONE, then the file starts anew */
int journal_finish(struct journal *j, struct err *e);

#endif
