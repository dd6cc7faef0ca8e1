/* The folder of a staged file, for corelib/staged.c only. root is -1 or that of a mounted file system. */
#ifndef CORELIB_STAGED_PRIVATE_H
#define CORELIB_STAGED_PRIVATE_H

#include "corelib/staged.h"

/* a folder that is no link */
int staged_open_dir(int dir, const char *name);
/* a descriptor; -errno, with *e only where the errno does not say it all */
int staged_folder_open(const struct staged_place *p, int root, struct err *e);
int staged_folder_make(const struct staged_place *p, int root, struct err *e);
/* the bytes of the path that lead to something; 0 = all; -errno */
int staged_folder_kept(const struct staged_place *p, int root);
/* the file system of that part of a folder of the live system */
int staged_folder_mark(const struct staged_place *p, struct fsmark *m);

#endif
