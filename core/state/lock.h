/*
 * One installation at a time: a lock on a file of the state directory (T65).
 *
 * Taken by every job and by recovery, before anything else is looked at. It waits up to
 * lock-timeout (60 s unless configured) while the holder's process id is told, then E_BUSY names
 * it. The kernel frees it with the process. The run directory is locked too: who cannot write the
 * state directory has that one alone. What a killed holder has left running is ended with the
 * taking (running.h), before anybody touches what it may still write.
 */
#ifndef CORE_LOCK_H
#define CORE_LOCK_H

#include "corelib/base/err.h"

struct lock;
struct session;
int lock_take(struct lock **l, const struct session *s, struct err *e);
/* a descriptor of the folder where programs are noted while they run; lent */
int lock_folder(const struct lock *l);
struct lock *lock_release(struct lock *l); /* returns NULL; NULL is allowed */

#endif
