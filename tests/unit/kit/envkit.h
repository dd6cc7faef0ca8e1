/* Boot environments on files for tests: made fresh, changed and read by the real programs. */
#ifndef TESTS_ENVKIT_H
#define TESTS_ENVKIT_H

#include <stdbool.h>
#include <stddef.h>

#include "corelib/bootenv/bootenv.h"

#define ENVKIT_UBOOT_SIZE 0x1000

struct envkit_kind {
	const char *label;    /* "uboot redundant" */
	const char *backend;  /* "uboot" */
	const char *program;  /* reads and writes it without us; NULL = a text editor will do */
	bool fat;	      /* the test pretends that the folder lies on FAT */
	bool single;	      /* a power cut may destroy it (documented) */
	bool volatile_;	      /* lives in memory */
	enum errcode too_big; /* of a value of 5000 bytes */
};
extern const struct envkit_kind envkit_kinds[];
extern const size_t envkit_kind_count;

struct envkit {
	const struct envkit_kind *kind;
	char dir[64], path[128], config[128], copies[2][128];
	struct bootenv_options options;
};

/* a fresh environment with a=1, keep=me, zero=0; false when the programs for it are missing */
bool envkit_make(struct envkit *k, const struct envkit_kind *kind);
void envkit_remove(struct envkit *k);
/* another program sets a variable / reads all as "name=value\n" lines; -1 when it fails */
int envkit_foreign_set(const struct envkit *k, const char *name, const char *value);
int envkit_foreign_list(const struct envkit *k, char *out, size_t n);
/* the bytes of all its files, to put them back */
struct envkit_state {
	char *bytes[2];
	size_t size[2];
};
void envkit_save(const struct envkit *k, struct envkit_state *s);
void envkit_restore(const struct envkit *k, const struct envkit_state *s);
void envkit_state_free(struct envkit_state *s);

/* run a program, its output in 'out'; the exit status, -1 when it cannot be started */
int envkit_run(const char *const *argv, char *out, size_t n);
bool envkit_has(const char *program);
void envkit_write_file(const char *path, const void *bytes, size_t n);
char *envkit_read_file(const char *path, size_t *n);
int envkit_remove_tree(const char *path);

#endif
