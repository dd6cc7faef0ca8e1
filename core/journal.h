/*
 * What was begun and how to undo it, so that a power cut leaves old or new.
 *
 * A file in state-dir of appended records: magic, version, length, txn, type, payload, CRC32C;
 * fdatasync after each; a torn tail is ignored. The commit point is the boot switch, which also sets
 * the variable swinstall_txn; without a boot switch it is the record JOURNAL_COMMITTED.
 */
#ifndef CORE_JOURNAL_H
#define CORE_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "corelib/err.h"

enum journal_type {
	JOURNAL_BEGIN = 1,  /* version of the release, plain text */
	JOURNAL_FILE,       /* a struct staged_place as text: about to be staged */
	JOURNAL_STAGED,     /* all payloads written and flushed */
	JOURNAL_COMMITTED,  /* commit point where there is no boot switch */
	JOURNAL_AFTER,      /* what is left to do after the commit: "name version" of the versions file */
	JOURNAL_DONE,       /* nothing left to undo or finish */
};

struct journal_record {
	enum journal_type type;
	char txn[17];
	uint32_t length;
	const char *payload; /* NUL behind it */
};

struct journal;
/* opens or makes state-dir/journal; a torn tail is cut off; refuses a journal of a newer format */
int journal_open(struct journal **j, const char *state_dir, struct err *e);
struct journal *journal_close(struct journal *j);
/* the records of the last transaction that is not DONE, oldest first; NULL past the last */
const struct journal_record *journal_at(const struct journal *j, size_t i);
int journal_begin(struct journal *j, const char *version, char txn[17], struct err *e);
int journal_add(struct journal *j, enum journal_type type, const char *payload, struct err *e);
/* a flush failed: whether the medium holds the last record nobody knows, and none follows it */
bool journal_is_broken(const struct journal *j);
/* DONE, then the file starts anew */
int journal_finish(struct journal *j, struct err *e);

#endif
