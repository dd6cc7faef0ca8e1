/*
 * A private folder in memory for targets that read and write files. As root, everything between
 * fuzzkit_drop() and fuzzkit_regain() runs as the user 65534: what an input names outside of the
 * folder cannot be hurt.
 */
#ifndef TESTS_FUZZ_FUZZKIT_H
#define TESTS_FUZZ_FUZZKIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* made at the first call, the same for the whole run, removed at the exit */
const char *fuzzkit_folder(void);
/* the folder's content is taken away; subfolders of the list are made anew, NULL at its end */
void fuzzkit_empty(const char *const *folders);
void fuzzkit_drop(void);
void fuzzkit_regain(void);

/* path beneath the folder: lent until the 8th following call */
const char *fuzzkit_path(const char *name);
void fuzzkit_write(const char *name, const void *bytes, size_t n);
/* malloc'ed, NUL behind it; "" when there is no such file */
char *fuzzkit_read(const char *path, size_t *n);
/* a file or a folder with all its files, names and content; 0 = nothing there */
uint32_t fuzzkit_sum(const char *name);
/* names of staging folders and temporary files in a folder */
unsigned fuzzkit_leftovers(const char *name);

/* no descriptor is open that was not at fuzzkit_drop(): lost ones add up until nothing can be
 * opened, and that looks like anything but its cause */
void fuzzkit_expect_closed(void);

/* every 'what' in a malloc'ed text replaced */
void fuzzkit_replace(char **text, size_t *n, const char *what, const char *with);

/* says why on stderr, as the first user, and aborts */
void fuzzkit_fail(const char *why, const char *detail) __attribute__((noreturn));

#endif
