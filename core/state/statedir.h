/*
 * The folder that survives updates: journal, lock, status. For its owner only.
 *
 * Opened once, then named by descriptor. Made (mode 0700) when it is missing; its parent must
 * exist.
 */
#ifndef CORE_STATEDIR_H
#define CORE_STATEDIR_H

#include "corelib/base/err.h"

/* a descriptor of the folder, or E_STATE_DIR: missing parent, somebody else's, writable by others
 */
int statedir_open(const char *path, struct err *e);
/* a file in it, made with mode 0600 when missing: a descriptor, -errno with E_STATE_DIR where the
 * folder cannot be written, 'code' otherwise */
int statedir_file(int dirfd, const char *name, enum errcode code, struct err *e);

#endif
