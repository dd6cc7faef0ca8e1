/* The processes of this system, as /proc shows them. */
#ifndef CORELIB_PROCS_H
#define CORELIB_PROCS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct proc {
	pid_t pid, parent, group, session;
	uint64_t start; /* ticks since boot: with the id it names one process and no later one */
	bool ended;	/* a zombie, which only waits to be reaped */
};

/* 0, or -errno where there is no such process */
int procs_read(pid_t pid, struct proc *p);
/* calls f with every process; false where they cannot be listed */
bool procs_each(void (*f)(void *arg, const struct proc *p), void *arg);

#endif
