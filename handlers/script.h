/*
 * What shellscript, preinstall and postinstall share: the payload becomes a file in the job's
 * private folder, a phase runs it (T41, T58-T60, T63, T64); and how any program of a step is run.
 *
 * Arguments: the word of the phase (only shellscript), then the words of 'data'. Environment:
 * childenv.h and SWUPDATE_INFO_FD=3, SWUPDATE_WARN_FD=4. Standard output is told as TRACE, standard
 * error as ERROR.
 */
#ifndef HANDLERS_SCRIPT_H
#define HANDLERS_SCRIPT_H

#include "handlers/handler.h"

enum { SCRIPT_TIMEOUT = 600, SCRIPT_TIMEOUT_MOST = 7200 }; /* seconds */

extern const struct attr script_props[];
enum { SCRIPT_PROPS = 1 };

struct process;
/*
 * Runs p->argv by 'run' with the environment, descriptors, deadline (property timeout) and messages
 * of a script; input and cancel are the caller's, and arg goes to input.
 */
int script_follow(struct step *st, struct process *p, int (*run)(struct process *p, struct err *e),
		  struct err *e);

/* milliseconds that a program of this entry may run: its property timeout, or the usual */
uint64_t script_deadline(const struct entry *t);

int script_check(struct step *st, struct err *e);
int script_install(struct step *st, struct stream *in, struct err *e);
int script_run(struct step *st, enum phase phase, struct err *e); /* the word comes first */
int script_run_plain(struct step *st, enum phase phase,
		     struct err *e); /* the words of 'data' only */
int script_commit(struct step *st, struct err *e);
void script_discard(struct step *st);

#endif
