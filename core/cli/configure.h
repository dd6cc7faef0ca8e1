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
/* log level and syslog as the settings say; on a terminal only warnings unless told otherwise */
void configure_log(const struct settings *s, int fd, bool terminal);

#endif
