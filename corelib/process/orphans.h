/*
 * What a program leaves behind when it is ended: grandchildren that made a session of their own
 * (T64).
 *
 * Between orphans_watch() and orphans_release() they become children of this process instead of
 * init's. Those that were its children before are never touched. For corelib/process/process.c.
 */
#ifndef CORELIB_ORPHANS_H
#define CORELIB_ORPHANS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define ORPHANS_KNOWN 64

struct orphans {
	pid_t known[ORPHANS_KNOWN]; /* children from before */
	size_t count;
	bool watching; /* false: too many of them, or no /proc: nothing is ended */
	int before;    /* the state of the flag */
};

void orphans_watch(struct orphans *o);
/* kill what has become our child since, and what follows it; waits two seconds at most */
void orphans_end(struct orphans *o);
void orphans_release(struct orphans *o);

#endif
