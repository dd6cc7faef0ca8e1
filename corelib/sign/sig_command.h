/* Signatures by an external program: hardware modules and key services. */
#ifndef CORELIB_SIG_COMMAND_H
#define CORELIB_SIG_COMMAND_H

#include <stddef.h>
#include <stdint.h>

#include "corelib/base/err.h"

/*
 * Runs the program with its words (split at blanks, no shell) and the whole environment. It reads
 * the raw digest on descriptor 0 and writes the raw signature on 1; 2 is ours. *n: room, then
 * length.
 */
int sig_command(const char *command, const uint8_t *digest, size_t digest_len, uint8_t *sig,
		size_t *n, struct err *e);

#endif
