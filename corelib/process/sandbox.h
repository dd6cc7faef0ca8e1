/*
 * Rights that a process gives up for good, before it reads a foreign byte.
 *
 * What the kernel lacks (Landlock before 5.13, seccomp where it is not compiled in) is left out and
 * told in 'missing'; what it has and refuses is an error.
 */
#ifndef CORELIB_SANDBOX_H
#define CORELIB_SANDBOX_H

#include <stdint.h>
#include <sys/types.h>

#include "corelib/base/err.h"

#define SANDBOX_NOBODY 65534

/*
 * User, groups, capabilities, no new privileges; looked at afterwards. Without root only what can
 * be given up is. Async-signal-safe. 0, or -errno with errno set and *step naming the call.
 */
int sandbox_drop(uid_t uid, gid_t gid, const char **step);

enum sandbox_part { SANDBOX_LANDLOCK = 1, SANDBOX_SECCOMP = 2 };

struct sandbox {
	unsigned keep_fds;		 /* descriptors below this stay, all others are closed */
	const int *read_fds, *write_fds; /* of them these may be read, these written; end with -1 */
	uint64_t memory;  /* bytes that may be mapped in addition to what is mapped now */
	unsigned missing; /* out: parts that this kernel does not have */
};

/*
 * From here on: memory, read and write of the named descriptors, waiting, time, exit. Any other
 * system call ends the process (SIGSYS). The process dies with its parent's thread that started it.
 */
int sandbox_enter(struct sandbox *s, struct err *e);

/* parts that sandbox_enter() would leave out, because this kernel does not have them */
unsigned sandbox_missing(void);

#endif
