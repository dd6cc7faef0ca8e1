/*
 * A function in a process of its own that can be ended: at a deadline, by a cancel, with all that
 * it started. What it says comes back as records, what it and its programs print as lines.
 *
 * The child is a copy of this process and changes nothing in it; it leads a session of its own.
 */
#ifndef CORELIB_FORKED_H
#define CORELIB_FORKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "corelib/base/err.h"

enum { FORKED_RECORD = 8192 }; /* most bytes of one */

struct forked {
	const char *name;		  /* in messages */
	void (*child)(int fd, void *arg); /* tells by forked_tell(fd) */
	/* may answer by forked_answer(fd); the time that it takes is not the child's */
	void (*record)(void *arg, int fd, const char *bytes, size_t n);
	void (*line)(void *arg, const char *text); /* printable, LINES_TOTAL bytes at most */
	void *arg;
	uint64_t deadline_ms;
	const volatile bool *cancel;
	int noted_in; /* as in struct process */
};

/* 0 when it ended by itself; E_PROCESS when it died, E_DEADLINE, E_CANCELED, E_SYS */
int forked_run(const struct forked *f, struct err *e);
int forked_tell(int fd, const void *bytes, size_t n);	/* in the child */
int forked_answer(int fd, const void *bytes, size_t n); /* in the job: never waits */
/* in the child: waits for an answer; its length, or -errno */
ssize_t forked_hear(int fd, void *bytes, size_t n);

#endif
