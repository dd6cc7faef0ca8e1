/*
 * What happened last and before, and what happens now, for people who come later or look on.
 *
 * Three small files of lines "key=value" of printable text: "status" in the state directory is the
 * last result and what each slot holds; "history" beside it has the newest results, an empty line
 * behind each; "status" in the run directory is the installation that runs. Written by replacement;
 * that one cannot be written never fails an install.
 */
#ifndef CORE_STATUS_H
#define CORE_STATUS_H

#include <stddef.h>
#include <stdint.h>

#include "corelib/base/err.h"

enum { STATUS_SLOTS = 8, STATUS_HISTORY = 50 };

struct status {
	char state[16]; /* "success", "failure", "interrupted"; of one that runs "check", "install",
			   "activate"; "" = nothing known */
	char version[128]; /* of the release */
	char bundle[192];  /* name of the bundle as it was given */
	char slot[64];	   /* that was written; "" = none */
	int64_t time;	   /* seconds since 1970 */
	struct err err;	   /* of a failure */
	/* of the last result: the release that swinstall put into each slot, the newest first */
	struct status_slot {
		char name[64], version[128];
	} slots[STATUS_SLOTS];
	/* of an installation that runs */
	char owner[256];	       /* its state directory */
	char action[16], name[128];    /* "writing", "rootfs.img" */
	unsigned step, steps, percent; /* step 0 = none yet */
};

/* an installation that runs: the file in run-dir, made anew, or -errno; then written in place,
 * since it is memory and a reader who finds half of it asks again */
int status_publish(const char *run_dir);
void status_update(int fd, const struct status *s);

int status_write(const char *dir, const struct status *s);
int status_read(const char *dir, struct status *s); /* 0 with state "" when there is none */
void status_remove(const char *dir);
/* what a killed job of this state directory has left in run-dir; under the install lock */
void status_remove_stale(const char *run_dir, const char *state_dir);
/* a result becomes the last one and the newest of the history; its slot holds the release after a
 * success. 'lost' is a slot of which nobody knows what it holds now; NULL: none */
void status_keep(const char *state_dir, struct status *s, const char *lost);
/* at most STATUS_HISTORY results, the newest first; malloc'ed */
int status_history(const char *state_dir, struct status **list, size_t *count);
/* what writes that were cut left; under the install lock */
void status_tidy(const char *state_dir);

#endif
