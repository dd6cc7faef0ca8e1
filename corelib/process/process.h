/*
 * Other programs, without a shell.
 *
 * argv[0] is an absolute path, or a file descriptor is executed. The child gets exactly the
 * environment and descriptors that are named; it leads a process group of its own that is killed
 * whole at the deadline. Its output is read without blocking and handed on line by line, made
 * printable: at most 1000 bytes a line, 1 MiB of descriptors 1 and 2 together; the rest is read and
 * dropped. What a program leaves running after a good end lives on; what made a session of its own
 * is ended after a bad one only with 'whole'.
 */
#ifndef CORELIB_PROCESS_H
#define CORELIB_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "corelib/base/err.h"

struct process_line {
	int from;	  /* the child's descriptor number: 1, 2, or one of 'extra' */
	const char *text; /* printable, without line end */
};

struct process {
	const char *const *argv;
	const char *name;	/* in messages; NULL = argv[0] */
	const char *const *env; /* NULL: PATH and HOME only */
	int exec_fd;		/* execute this descriptor instead of argv[0]; -1 = argv[0] */
	int stdin_fd;		/* -1 = /dev/null */
	/*
	 * Instead of stdin_fd: the child reads what this lends, 1..n bytes at *buf until the next
	 * call, 0 at the proven end, -errno. A child that ends well before it has read the end has
	 * failed: E_PROCESS. May be NULL.
	 */
	ssize_t (*input)(void *arg, const uint8_t **buf, struct err *e);
	unsigned extra;	      /* so many further pipes of output from descriptor 3 on, at most 4 */
	uint64_t deadline_ms; /* 0 = 10 minutes */
	const volatile bool *cancel;
	uid_t uid; /* used with gid when drop is set */
	gid_t gid;
	int noted_in; /* a folder where a note stands while it runs (running.h); 0 = none */
	bool drop;    /* give up user, groups, capabilities; no new privileges */
	bool whole;   /* end all that it started, sessions of their own too, when it fails */
	void (*line)(void *arg, const struct process_line *l); /* may be NULL */
	void *arg;
};

/* runs to the end: 0 when the exit status is 0; else E_PROCESS, E_DEADLINE, E_CANCELED, E_SYS */
int process_run(const struct process *p, struct err *e);

/* the folder of helper programs: beside this program, or ../libexec/swinstall from there */
int process_helper(const char *name, char *path, size_t n);

#endif
