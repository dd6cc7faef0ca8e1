/*
 * The environment of a program that root's bundle or configuration runs (T60): PATH, HOME=/, what
 * of ours begins with SWUPDATE_ or SWINSTALL_, and what the caller adds. Nothing else, whatever we
 * were started with.
 */
#ifndef CORELIB_CHILDENV_H
#define CORELIB_CHILDENV_H

#include "corelib/base/err.h"

/* what every program has */
#define CHILDENV_ALWAYS "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/"

/* 'more': "NAME=value", ends with NULL; it stands above a variable of the same name. *env is one
 * piece: free() */
int childenv_make(const char ***env, const char *const *more, struct err *e);

#endif
