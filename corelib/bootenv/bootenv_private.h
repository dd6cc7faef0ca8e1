/* What the backends of the boot environment share. Nobody else includes this. */
#ifndef CORELIB_BOOTENV_PRIVATE_H
#define CORELIB_BOOTENV_PRIVATE_H

#include <stdint.h>

#include "corelib/bootenv/bootenv.h"

/* where bytes of the environment lie; size 0 = the whole file */
struct bootenv_place {
	char path[512];
	uint64_t off, size;
};

struct bootenv {
	const struct bootenv_backend *ops;
	char path[512]; /* grubenv, plain file, fw_env.config; links are resolved */
	char defaults[512];
	bool require_redundant;
	unsigned lock_ms, wait_left; /* wait_left: of the phase */
	const char *warning;
	struct bootenv_place places[2];
	size_t place_count;
	void *own;
};

extern const struct bootenv_backend bootenv_uboot, bootenv_grub, bootenv_file, bootenv_none;

/* limits of what is read and set: more is a damaged or hostile environment */
#define BOOTENV_FILE_MAX  (1024 * 1024)
#define BOOTENV_VALUE_MAX (64 * 1024)

/*
 * b->path from an absolute path: the file behind links, so that a rename replaces the file that the
 * boot loader reads and not the link to it. A file that does not exist yet: its folder.
 */
int bootenv_resolve(struct bootenv *b, const char *path, struct err *e);
/* the file of b->path, at most BOOTENV_FILE_MAX bytes; -ENOENT is left to the caller (e is clear)
 */
int bootenv_read(const struct bootenv *b, char **text, size_t *n, struct err *e);
/* 1 when the path lies on FAT, where a rename is not safe against a power cut; 0; -errno */
int bootenv_on_fat(const char *path, struct err *e);
/* may this process write the file and its folder? E_ENV_WRITE */
int bootenv_writable(const struct bootenv *b, bool in_place, struct err *e);

/* fw_env.config at 'path': b->path and the one or two places */
#define FWENV_SIZE_MAX (16 * 1024 * 1024)
int fwenv_read(struct bootenv *b, const char *path, struct err *e);
bool fwenv_redundant(const struct bootenv *b);
/* what the variables may take: without CRC, and without the flag byte where there are two copies */
size_t fwenv_room(const struct bootenv *b);
/* the bytes of the variable .flags, which the library writes and does not list; 0 = none */
size_t fwenv_flags(const struct bootenv *b);

bool bootenv_name_ok(const char *name);
/* all changes are there already: nothing needs to be written */
bool bootenv_same(const struct envset *all, const struct envset *changes);

#endif
