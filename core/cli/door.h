/*
 * The command line as a door: one job, shown on a terminal, as log lines, or as JSON.
 */
#ifndef CLI_DOOR_H
#define CLI_DOOR_H

#include "core/cli/configure.h"
#include "core/job.h"

struct door {
	enum output output;
	const char *program;
	const struct settings *cfg;
};

/*
 * Installs what r names and tells the verdict; the signals that end a program cancel the job. 1: it
 * is installed, and the postupdatecmd failed.
 */
int door_run(const struct door *d, const struct job_request *r, struct err *e);
/* tells a failure that came before there was a job */
void door_refuse(const struct door *d, const char *bundle, const struct err *e);

#endif
