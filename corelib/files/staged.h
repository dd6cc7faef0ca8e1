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
 * published; before that, 'N.old' (a second name of the old file, see keep.h) or 'N.none' (there
 * was none) is made durable. So published is: N.old or N.none, and no N.new. A power cut may keep
 * each half of a move by itself: N.new that is the target too is published as well. (An exchange of
 * two names could not be told from its absence after a cut.)
 *
 * A path that ends with '/' is a tree: what staged_tree_folder() gives is filled, and
 * staged_publish() puts it into the folder: what is new by one move (a folder with all that is in
 * it), what is there is replaced file by file, a folder on both sides takes owner, mode and ACLs of
 * the new one (which are its own unless the archive says others), all else stays as it is. Before
 * the first move 'N.list' says all of them, durable, and 'N.old/' holds a second name of each file
 * that will go; so staged_revert() knows what to bring back, move by move, by what still is in
 * 'N.new/'. A link or another file system where the tree has a folder, and a folder where it has
 * none, are E_FILE before the first move.
 */
#ifndef CORELIB_STAGED_H
#define CORELIB_STAGED_H

#include <stdbool.h>

#include "corelib/base/err.h"
#include "corelib/device/fsmark.h"

/* everything that recovery needs to find it again; printable, no line ends */
struct staged_address {
	char folder[1024]; /* of the target, absolute */
	char name[256];	   /* of the target in it; empty = the folder itself, a tree */
	char txn[24];	   /* 16 hex digits */
	unsigned index;	   /* of the step: several targets may share a folder */
	/* empty, or what has to be mounted: folder begins at the root of that file system */
	char device[512], filesystem[64];
	unsigned kept;	  /* so many bytes of folder were there before; 0 = all of it */
	struct fsmark fs; /* without device: what the folder lies on; not known in old journals */
};

#define STAGED_CLOSED 12

struct staged {
	struct staged_address address;
	int folder_fd, stage_fd; /* the target's folder; the '.swinstall-<txn>' folder; -1 = not
				    made yet */
	bool existed;		 /* a target was there when we looked */
	bool create;		 /* missing parts of the folder are made by staged_create() */
	bool published;
	bool straight; /* a tree that goes live by the switch alone: nothing is staged or undone */
	int root_fd;   /* lent; -1 = the root of the system */
	char *closed[STAGED_CLOSED]; /* of a tree: paths in it that nothing may touch; NULL past the
					last; freed with it */
};

/* writes nothing. The folder must exist unless create: then staged_create() makes its missing parts
 */
int staged_open(struct staged **s, const char *path, const char *txn, unsigned index, bool create,
		struct err *e);
/* the update begins: its number, where opening gave none (NULL); 'straight': see above */
int staged_begin(struct staged *s, const char *txn, bool straight, struct err *e);
/*
 * On a file system that is not mounted yet: only the path is looked at; staged_bind() gives its
 * root, which is lent, and looks at the target. Nothing outside that root is reached: no part of
 * the path may be a link.
 */
int staged_name(struct staged **s, const char *path, unsigned index, bool create, struct err *e);
int staged_bind(struct staged *s, int root, struct err *e);
/*
 * The same place again after a restart; 1, or 0 when nothing of it is left; root as above or -1.
 * E_NOT_MOUNTED when its file system is not there: -EAGAIN, or -ESTALE when another one is.
 */
int staged_find(struct staged **s, const struct staged_address *p, int root, struct err *e);
struct staged *staged_close(struct staged *s);

/* a new file for the content, open for reading and writing, to be written and flushed by the
 * caller; mode is for a new target, an existing one keeps mode, owner and attributes; -errno */
int staged_create(struct staged *s, unsigned mode, struct err *e);
/* the new content once more, until it is published: a descriptor; -errno */
int staged_content(struct staged *s, struct err *e);
/* a new, empty folder for the content of a tree, or the target itself where it goes straight;
 * -errno
 */
int staged_tree_folder(struct staged *s, struct err *e);
int staged_sync(struct staged *s, struct err *e);    /* content and folders are durable */
int staged_publish(struct staged *s, struct err *e); /* one rename, fsync the folders */
int staged_revert(struct staged *s, struct err *e);  /* the old one back, or the new one away */
int staged_drop(struct staged *s, struct err *e);    /* remove old content and the staging folder */

/* how much of the folder is there and on what; goes into place.kept and place.fs, to be written
 * down before staged_create() */
int staged_look_kept(struct staged *s, struct err *e);
/* after revert and drop: the parts of the folder that were made go away while they are empty */
int staged_unmake(const struct staged_address *p, int root, struct err *e);
/* all three. What fails is tried again by recovery: the journal still lists the place */
void staged_undo(struct staged *s);

#endif
