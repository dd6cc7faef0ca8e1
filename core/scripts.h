/*
 * The programs that a job runs for the bundle: where they lie, what they leave behind.
 *
 * The folder is made by the job, mode 0700, in the state directory, else the run directory; both
 * are the owner's alone and the install lock keeps other jobs away (T58).
 */
#ifndef CORE_SCRIPTS_H
#define CORE_SCRIPTS_H

#include "core/step.h"

/* a new, empty folder; what an earlier job left there goes first */
int scripts_make(const struct settings *cfg, char *path, size_t n, struct err *e);
/* with what was mounted beneath it; "" = there is none */
void scripts_remove(const char *path);
void scripts_tidy(
	const struct settings *cfg); /* after a kill or power cut; under the install lock */

/* flush what scripts left mounted on the targets; nothing when none ran */
int scripts_flush(const struct steps *all, struct err *e);

#endif
