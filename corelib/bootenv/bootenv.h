/*
 * The boot environment: what the boot loader reads to decide what starts.
 *
 * One commit changes a set of variables in one write that is torn at no place a power cut can
 * find, is flushed, and is read back. Backends: libubootenv (in a child with a deadline, because
 * its lock waits without end), GRUB's block, a plain file, none.
 */
#ifndef CORELIB_BOOTENV_H
#define CORELIB_BOOTENV_H

#include <stdbool.h>
#include <stddef.h>

#include "corelib/base/err.h"

/* changes in order; a later one of the same name wins. value NULL unsets. E_ENV_BIG beyond
 * ENVSET_MOST. */
enum { ENVSET_MOST = 4096 };
struct envset {
	struct envvar {
		char *name, *value;
	} * vars;
	size_t count, room;
};
int envset_put(struct envset *s, const char *name, const char *value, struct err *e);
const struct envvar *envset_find(const struct envset *s, const char *name);
void envset_clear(struct envset *s);
#define AUTO_ENVSET __attribute__((unused, cleanup(envset_clear)))

struct bootenv_options {
	const char *kind;	/* "uboot", "grub", "file", "none" */
	const char *path;	/* grubenv, plain file; NULL: the loader's usual place */
	const char *config;	/* fw_env.config; NULL: /etc/fw_env.config */
	const char *defaults;	/* u-boot-initial-env; may be NULL */
	const char *name_space; /* namespace for variables: -ENOTSUP where the library lacks them */
	bool require_redundant;
	unsigned lock_ms; /* the most that a phase waits for a lock; 0 = 30 s */
};

struct bootenv;
struct bootenv_backend {
	const char *name, *summary;
	int (*open)(struct bootenv *b, const struct bootenv_options *o, struct err *e);
	/* all variables, in the backend's order, into 'all' */
	int (*load)(struct bootenv *b, struct envset *all, struct err *e);
	/* would this commit be possible and untorn? called while planning */
	int (*check)(struct bootenv *b, const struct envset *changes, struct err *e);
	/* written and flushed; bootenv_commit() reads it back */
	int (*commit)(struct bootenv *b, const struct envset *changes, struct err *e);
	void (*close)(struct bootenv *b);
};
const struct bootenv_backend *bootenv_backend(size_t i); /* those built in; NULL past the last */

int bootenv_open(struct bootenv **b, const struct bootenv_options *o, struct err *e);
struct bootenv *bootenv_close(struct bootenv *b);
const char *bootenv_kind(const struct bootenv *b);
/* a line when a power cut could tear this environment (single copy), else NULL */
const char *bootenv_warning(const struct bootenv *b);
/* false for "none": there is no boot switch, the journal's own record is the commit point */
bool bootenv_is_switch(const struct bootenv *b);

/*
 * A phase of an update begins. Another program may hold the lock of the environment again and
 * again: all waits of a phase together take at most lock_ms.
 */
void bootenv_phase(struct bootenv *b);

/* 1 and a malloc'ed value, 0 when unset, -errno */
int bootenv_get(struct bootenv *b, const char *name, char **value, struct err *e);
int bootenv_load(struct bootenv *b, struct envset *all, struct err *e);
int bootenv_check(struct bootenv *b, const struct envset *changes, struct err *e);
/* one write, flushed, read back and compared: 0 = the next boot sees all of it */
int bootenv_commit(struct bootenv *b, const struct envset *changes, struct err *e);
/* the same; 'now' is all that was read back, for a look at what it chooses. Cleared on failure */
int bootenv_commit_read(struct bootenv *b, const struct envset *changes, struct envset *now,
			struct err *e);

/* does a descriptor's byte range hold the environment? (targets must not touch it) */
bool bootenv_overlaps(const struct bootenv *b, int fd, unsigned long long off,
		      unsigned long long len);

#endif
