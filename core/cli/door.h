/*
 * The command line as a door: one job, shown on a terminal, as log lines, or as JSON.
 */
#ifndef CLI_DOOR_H
#define CLI_DOOR_H

#include "core/job.h"

enum door_output { DOOR_LINES, DOOR_TERMINAL, DOOR_JSON };

struct door {
	enum door_output output;
	const char *program;
	const struct settings *cfg;
};

/* what standard error is decides; JSON goes to standard output */
enum door_output door_output(bool json);
/* installs what r names and tells the verdict; the signals that end a program cancel the job */
int door_run(const struct door *d, const struct job_request *r, struct err *e);
/* tells a failure that came before there was a job */
void door_refuse(const struct door *d, const char *bundle, const struct err *e);

#endif
