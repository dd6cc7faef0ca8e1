/*
 * Programs that run are noted in a folder, so that whoever comes after a killed process can end
 * them (T64, T114).
 *
 * A parent-death signal ends the program itself with us, but not what it has started. So a note
 * stands from before the program's first instruction until it has ended well: its group, when the
 * leader was started, in which boot, and a random word that the program and all that it starts have
 * in their environment. What a program leaves running after a good end has no note and lives on.
 */
#ifndef CORELIB_RUNNING_H
#define CORELIB_RUNNING_H

#include <stddef.h>
#include <sys/types.h>

#include "corelib/base/err.h"

#define RUNNING_VARIABLE "SWINSTALL_RUN"

struct running {
	int dir;	   /* where notes are; 0 = nowhere, then the rest does nothing */
	char word[17];	   /* the name of the note */
	char variable[40]; /* RUNNING_VARIABLE=word */
};

/* 'dir' is lent */
int running_open(struct running *r, int dir, struct err *e);
/* for struct spawn, between fork and the program's first instruction; arg is the struct running */
int running_note(void *arg, pid_t group, struct err *e);
/* 'own' (NULL: PATH and HOME only) with the word that what it starts inherits: *env is one piece,
 * free() */
int running_environment(const struct running *r, const char *const *own, const char ***env,
			struct err *e);
void running_forget(const struct running *r);
/* ends what a program that failed has left running, in whatever session; it has a note */
void running_sweep(const struct running *r, pid_t group);

/*
 * Ends everything that notes in the folder name, waits until it has ended and removes the notes;
 * but for those of another process that still lives. The number of processes; E_BUSY where one does
 * not end. Never a process that only has the id of another: where no leader with the noted start
 * and no word is left, nothing is touched.
 */
int running_end(int dir, struct err *e);

#endif
