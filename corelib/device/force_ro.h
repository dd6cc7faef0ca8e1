/*
 * Boot partitions of an eMMC are write-protected by a switch of the kernel, 'force_ro' in sysfs.
 *
 * lift() clears it where it is set and says so; restore() sets it again. What was written must be
 * flushed before restore(): Linux up to 4.14 drops what the cache still holds.
 */
#ifndef CORELIB_FORCE_RO_H
#define CORELIB_FORCE_RO_H

#include <stdbool.h>
#include <sys/types.h>

#include "corelib/base/err.h"

/* for the device that fd is; *lifted = it was set. Everything without such a switch is fine. */
int force_ro_lift(int fd, bool *lifted, struct err *e);
int force_ro_restore(int fd, struct err *e);

/* the same by number */
int force_ro_set(dev_t dev, bool on, bool *was, struct err *e);

#endif
