/* What swinstall can be told: the table, what it fills, and which options go together. */
#ifndef CLI_SWINSTALL_OPTIONS_H
#define CLI_SWINSTALL_OPTIONS_H

#include "core/cli/options.h"

struct swinstall_cli {
	const char *file;    /* configuration */
	const char *image;   /* the bundle; "-" = standard input */
	const char *board;   /* "board:revision" */
	const char *explain; /* "SWI-210", "210" or "E_TARGET_SMALL" */
	bool check, json, handlers, get_root, version, help;
};

extern const struct option_table swinstall_table;

/* reads everything but the settings; o is to be cleared by the caller, also after an error */
int swinstall_cli_parse(struct swinstall_cli *c, struct options *o, int argc, char **argv,
			struct err *e);

#endif
