/* Parts of staged files and trees, for corelib/staged*.c only. root is -1 or that of a mounted file
 * system. */
#ifndef CORELIB_STAGED_PRIVATE_H
#define CORELIB_STAGED_PRIVATE_H

#include "corelib/files/staged.h"

/* a descriptor; -errno, with *e only where the errno does not say it all */
int staged_folder_open(const struct staged_address *p, int root, struct err *e);
int staged_folder_make(const struct staged_address *p, int root, struct err *e);
/* the bytes of the path that lead to something; 0 = all; -errno */
int staged_folder_kept(const struct staged_address *p, int root);
/* the file system of that part of a folder of the live system */
int staged_folder_mark(const struct staged_address *p, struct fsmark *m);

/* ---- shared by files and trees ---- */

int staged_at(const struct staged *s, struct err *e, int rc); /* the place in every message */
int staged_failed(const struct staged *s, struct err *e, int rc, const char *what);
/* folder and staging folder, made where they are missing */
int staged_make_stage(struct staged *s, struct err *e);
int staged_make_folder(struct staged *s, struct err *e);
int staged_remove_stage(struct staged *s, struct err *e); /* unless it holds something */

static inline bool staged_is_tree(const struct staged *s)
{
	return !s->address.name[0];
}

/* the verbs of trees, in corelib/files/staged_tree.c */
int staged_tree_sync(struct staged *s, struct err *e);
int staged_tree_publish(struct staged *s, struct err *e);
int staged_tree_revert(struct staged *s, struct err *e);
int staged_tree_drop(struct staged *s, struct err *e);

#endif
