/*
 * A file that becomes live in one move.
 *
 * The new content is written beside the target in a folder '.swinstall-<txn>' on the same file
 * system (made 0700), fsynced with its folders, and put in place by one rename; until
 * staged_drop() the old one stays there, so that staged_revert() brings it back. All by descriptors
 * beneath the opened folder; no symbolic link is followed in the last component.
 * sync, publish, revert and drop are idempotent: recovery runs them again after a cut.
 *
 * The names in the folder alone tell the state, N being the index: 'N.new' is there until it is
 * published; before that, 'N.old' (a second link to the old file) or 'N.none' (there was none) is
 * made durable. So published is: no N.new, but N.old or N.none. (An exchange of two names could not
 * be told from its absence after a cut.) A file system without links gets two renames instead, with
 * a moment between them in which only recovery brings a file back.
 */
#ifndef CORELIB_STAGED_H
#define CORELIB_STAGED_H

#include <stdbool.h>

#include "corelib/err.h"

/* everything that recovery needs to find it again; printable, no line ends */
struct staged_place {
	char folder[1024]; /* of the target, absolute */
	char name[256];	   /* of the target in it */
	char txn[24];	   /* 16 hex digits */
	unsigned index;	   /* of the step: several targets may share a folder */
};

struct staged {
	struct staged_place place;
	int folder_fd, stage_fd; /* the target's folder; the '.swinstall-<txn>' folder; -1 = not
				    made yet */
	bool existed;		 /* a target was there when we looked */
	bool create;		 /* missing parts of the folder are made by staged_create() */
	bool published;
};

/* writes nothing. The folder must exist unless create: then staged_create() makes its missing parts
 */
int staged_open(struct staged **s, const char *path, const char *txn, unsigned index, bool create,
		struct err *e);
/* the same place again after a restart; 1, or 0 when nothing of it is left */
int staged_find(struct staged **s, const struct staged_place *p, struct err *e);
struct staged *staged_close(struct staged *s);

/* a new file for the content, open for reading and writing, to be written and flushed by the
 * caller; mode is for a new target, an existing one keeps mode, owner and attributes; -errno */
int staged_create(struct staged *s, unsigned mode, struct err *e);
int staged_sync(struct staged *s, struct err *e);    /* content and folders are durable */
int staged_publish(struct staged *s, struct err *e); /* one rename, fsync the folders */
int staged_revert(struct staged *s, struct err *e);  /* the old one back, or the new one away */
int staged_drop(struct staged *s, struct err *e);    /* remove old content and the staging folder */

#endif
