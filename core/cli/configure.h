/*
 * Settings of a run: the configuration file, then the command line over it.
 *
 * The file is -f, else /etc/swinstall.cfg, else /etc/swupdate.cfg; a program called as 'swupdate'
 * reads only the last. A file that others than root (or we) can change is refused: it names
 * commands and keys.
 */
#ifndef CLI_CONFIGURE_H
#define CLI_CONFIGURE_H

#include "core/cli/options.h"
#include "parser/settings.h"

struct configure {
	const char *file;	       /* -f, or NULL */
	const char *board;	       /* "board:revision", or NULL */
	const struct options *options; /* what the command line adds; may be NULL */
	bool compat;		       /* called as swupdate */
	bool may_lack;		       /* no file at all is no error */
};
/* notes about the file are logged */
int configure(struct settings **s, const struct configure *c, struct err *e);

/* argv[0] names the program 'swupdate' */
bool configure_is_compat(const char *argv0);

/* how a program shows what it does */
enum output {
	OUTPUT_LINES,	 /* log lines */
	OUTPUT_TERMINAL, /* a bar and sentences for a person */
	OUTPUT_JSON,	 /* objects on standard output, log lines on standard error */
};
/*
 * What standard error is decides. Callers of swupdate read its standard output: where that is no
 * terminal, they get the lines.
 */
enum output configure_output(bool json, bool compat);
/*
 * Log level and syslog as the settings say; on a terminal only warnings unless told otherwise.
 * Called as swupdate, lines that are no errors go to standard output, where its callers look for
 * them.
 */
void configure_log(const struct settings *s, int fd, enum output output);

#endif
