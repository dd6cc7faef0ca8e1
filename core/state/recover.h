/* After a power cut or kill: which side of the commit point was it, then undo or finish. May be cut
 * itself. */
#ifndef CORE_RECOVER_H
#define CORE_RECOVER_H

#include "core/session.h"

enum recovered { RECOVERED_NOTHING, RECOVERED_UNDONE, RECOVERED_FINISHED };

struct recovery {
	const struct session *session;
	enum recovered did;
	char version[128]; /* of the release that was interrupted */
	char text[512];	   /* what was done, for people */
	char left[128];	   /* where old files could not be removed; empty = nowhere */
};
/*
 * Under the install lock. Without a journal only the marker is looked at. JOB_RECOVER runs early in
 * the boot: what is not mounted may still come, so nothing is given up. 0; E_RECOVER: an
 * interrupted install could not be settled, the journal stays for the next try
 * (-EAGAIN: a file system is not mounted yet); or the error of an environment that cannot be read
 * or written, where nothing was interrupted.
 */
int recover_run(struct recovery *r, struct err *e);

/* one staged file: its old content goes ('keep'), or comes back; in core/state/recover_file.c */
int recover_file(struct recovery *r, const struct journal_record *rec, bool keep, struct err *e);

#endif
