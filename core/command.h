/*
 * The two commands of root's configuration, preupdatecmd and postupdatecmd: the only text that a
 * shell reads (T41).
 *
 * No byte of a bundle is among their words. Output goes to the log line by line.
 */
#ifndef CORE_COMMAND_H
#define CORE_COMMAND_H

#include "core/session.h"

/* 'name' is the key that the line comes from; a NULL line runs nothing. E_PROCESS, E_DEADLINE,
 * E_CANCELED */
int command_run(const struct session *s, const char *name, const char *line, struct err *e);

#endif
