/*
 * A device made of files, for tests of whole jobs: two slots, a boot environment, a state
 * directory, a key, and bundles signed with it. What fails here aborts the test program.
 */
#ifndef TESTS_UNIT_JOBKIT_H
#define TESTS_UNIT_JOBKIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/job.h"

#define JOBKIT_SLOT (512 * 1024)

struct jobkit_part {
	const char *name;
	const void *data;
	size_t n;
};

struct jobkit {
	char dir[64];
	char slot[2][128]; /* "slot-a" runs, "slot-b" is the target */
	char env[128], bundle[128], state[128], app[128];
	char globals[1024]; /* more lines of the configuration, set before jobkit_configure() */
	char *key_pem;
	struct settings *cfg;
	struct job *job;
	struct err e;
	char notes[4096];		    /* warnings of the last job */
	bool no_signature, empty_signature; /* of the next bundle */
	int (*feeder)(int fd, const uint8_t *bytes,
		      size_t n); /* of pipes; NULL: write all, close */
};

void jobkit_make(struct jobkit *k, const char *bootloader); /* "file", "grub", "none" */
void jobkit_configure(struct jobkit *k); /* reads the configuration again, after changes */
void jobkit_remove(struct jobkit *k);

/*
 * Writes and signs k->bundle. In the description '@NAME@' becomes the sha256 of the part NAME,
 * and '%DIR%' the folder of the device.
 */
void jobkit_bundle(struct jobkit *k, const char *description, const struct jobkit_part *parts,
		   size_t count);
char *jobkit_filled(const struct jobkit *k, const char *with_names); /* '%DIR%' alone */
/* flips one bit of the bundle file */
void jobkit_flip(const struct jobkit *k, size_t at);
size_t jobkit_find(const struct jobkit *k, const char *text); /* where it is in the bundle */
void jobkit_cut(const struct jobkit *k, size_t size);

int jobkit_install(struct jobkit *k, enum job_mode mode); /* from the file */
int jobkit_install_pipe(struct jobkit *k, enum job_mode mode);

/* what the boot environment says; "" when unset. The text lives until the next call */
const char *jobkit_var(struct jobkit *k, const char *name);
bool jobkit_holds(const char *path, const void *data,
		  size_t n); /* the file begins with these bytes */
char *jobkit_text(const char *path);
/* names in a folder beside those that belong there; 0 = nothing is left over */
unsigned jobkit_leftovers(const struct jobkit *k);
uint32_t jobkit_sum(const struct jobkit *k); /* of slots, app folder and environment */

#endif
