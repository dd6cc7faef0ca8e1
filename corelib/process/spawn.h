/*
 * Start a program with exactly the descriptors, environment and rights that are named.
 *
 * It leads a session and process group of its own, signals are at their defaults, umask is 077. It
 * dies with the thread that started it (what it has started itself does not: see running.h), so
 * that thread must stay until it has ended.
 * Only corelib uses this: others run programs by corelib/process/process.h.
 */
#ifndef CORELIB_SPAWN_H
#define CORELIB_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "corelib/base/err.h"

#define SPAWN_FDS_MAX 16

struct spawn {
	const char *const *argv; /* argv[0] is an absolute path */
	const char *const *env;	 /* NULL: PATH and HOME only */
	int exec_fd;		 /* execute this descriptor instead of argv[0]; -1 = argv[0] */
	const int *fds;		 /* fds[i] becomes descriptor i of the child; -1 = /dev/null */
	unsigned fd_count;	 /* at least 3 */
	bool drop;		 /* give up user, groups, capabilities; no new privileges */
	uid_t uid;
	gid_t gid;
	/* called when the process is there and before it becomes the program: it waits for that.
	 * Below 0: it never does. May be NULL */
	int (*born)(void *arg, pid_t pid, struct err *e);
	void *arg;
};

/* returns when the program runs: > 0 = its id, -errno when it could not be started */
pid_t spawn_start(const struct spawn *sp, struct err *e);

/*
 * A function instead of a program, in a copy of this process: for a library that may hang or end
 * its process. fd becomes descriptor 3, no other above 2 goes along; it dies with us as a program
 * does; signals stay blocked in it: what asks us to stop does not cut what it is doing. > 0 = its
 * id, -errno.
 */
pid_t spawn_function(void (*child)(void *arg, int fd), void *arg, int fd, struct err *e);

/* kill the whole group and reap its leader; waits a few seconds at most. The status of waitpid, -1
 * = unknown */
int spawn_end(pid_t pid);
/* 1 and *status when it has ended (then it is reaped), 0 = it runs */
int spawn_poll(pid_t pid, int *status);

/* "ended with status 3", "was ended by signal 9 (Killed)" */
void spawn_tell(int status, char *text, size_t n);

#endif
