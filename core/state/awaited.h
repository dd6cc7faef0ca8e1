/* File systems that the system mounts by itself and that are not there yet, or not any more. */
#ifndef CORE_AWAITED_H
#define CORE_AWAITED_H

#include "corelib/base/err.h"

/*
 * E_NOT_MOUNTED when /etc/fstab has a file system for the place where 'path' lies, and nothing is
 * mounted there: what is found or written there now would be hidden later. Lines with noauto or
 * nofail are passed over.
 */
int awaited_check(const char *path, struct err *e);

#endif
