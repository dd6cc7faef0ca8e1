/*
 * An error is told once, where the fact is known, and read by a tired person.
 *
 * A fallible function returns 0 or a positive result, or -errno with *e filled;
 * e is its last parameter and never NULL. The first cause stays: err_set() on an
 * error that is already set changes nothing. Outer levels only add place
 * (err_at) and activity (err_while). Fixed memory: nothing here can fail.
 * Foreign text is made printable when it enters (no control bytes survive).
 */
#ifndef CORELIB_ERR_H
#define CORELIB_ERR_H

#include <stdbool.h>
#include <stddef.h>

enum errcode {
	E_NONE = 0,
#define ERRCODE(number, name, title, fix) name = number,
#include "corelib/base/errcat.def"
#undef ERRCODE
};

struct err {
	enum errcode code;
	int sys;	  /* errno of the cause, > 0 once set */
	char what[256];	  /* what was being done: "write of 1048576 bytes at offset 0 failed" */
	char object[192]; /* the innermost place: "/dev/mmcblk0p3" */
	char where[512];  /* all places, from the inside out, ", " between */
	char why[512];	  /* the fact */
	char fix[256];	  /* overrides the catalogue's text when not empty */
};

/* one row of the catalogue corelib/base/errcat.def */
struct errinfo {
	enum errcode code;
	const char *name;  /* "E_TARGET_SMALL" */
	const char *title; /* "the target is too small" */
	const char *fix;
};

void err_clear(struct err *e);

static inline bool err_is_set(const struct err *e)
{
	return e->code != E_NONE;
}

/* the first cause; returns -sys. sys 0 means EINVAL. The text becomes 'why'. */
int err_set(struct err *e, enum errcode code, int sys, const char *why, ...)
	__attribute__((format(printf, 4, 5)));

/* as err_set for a failed system call: code E_SYS unless code is given, why = what + strerror */
int err_sys(struct err *e, enum errcode code, int sys, const char *what, ...)
	__attribute__((format(printf, 4, 5)));

/* add a place; returns rc unchanged so that a caller can `return err_at(e, rc, ...)`. A place that
 * is among them already is not told twice. Does nothing when rc >= 0. */
int err_at(struct err *e, int rc, const char *place, ...) __attribute__((format(printf, 3, 4)));

/* name what was going on; the innermost text stays. Does nothing when rc >= 0. */
int err_while(struct err *e, int rc, const char *what, ...) __attribute__((format(printf, 3, 4)));

/* a better fix than the catalogue's; the first one stays */
void err_fix(struct err *e, const char *fix, ...) __attribute__((format(printf, 2, 3)));

/* the catalogue's row; never NULL (an unknown code gives the row of E_INTERNAL) */
const struct errinfo *err_info(enum errcode code);
const struct errinfo *err_row(size_t index); /* NULL past the last: for doc/errors.md */

/* what to print as fix: e->fix, else the catalogue's */
const char *err_fix_text(const struct err *e);

#if defined(__clang_analyzer__) && !defined(ERR_C)
/* the analyzer looks at one file at a time: what it must know of these */
#define err_set(...) ((err_set)(__VA_ARGS__), -1)
#define err_sys(...) ((err_sys)(__VA_ARGS__), -1)
#define err_at(e, rc, ...)                                                                         \
	({                                                                                         \
		int rc_ = (rc);                                                                    \
		(void)(err_at)(e, rc_, __VA_ARGS__);                                               \
		rc_;                                                                               \
	})
#define err_while(e, rc, ...)                                                                      \
	({                                                                                         \
		int rc_ = (rc);                                                                    \
		(void)(err_while)(e, rc_, __VA_ARGS__);                                            \
		rc_;                                                                               \
	})
#endif

#endif
