/* What swctl can be told: options, then a verb. */
#ifndef CLI_SWCTL_OPTIONS_H
#define CLI_SWCTL_OPTIONS_H

#include "core/cli/options.h"

struct swctl_cli {
	const char *file;
	bool json, forget, version, help;
};

struct swctl_verb {
	const char *name, *help;
	const char *symbol; /* a verb of a part that is not built in; NULL = there */
};

extern const struct option_table swctl_table;
extern const struct swctl_verb swctl_verbs[]; /* name NULL at the end */

/* *verb is NULL for questions (help, version) */
int swctl_cli_parse(struct swctl_cli *c, struct options *o, const struct swctl_verb **verb,
		    int argc, char **argv, struct err *e);
/* --help with the verbs; malloc'ed */
char *swctl_help(void);

#endif
