/*
 * What happened last, for people who come later: a small file "status" in the state directory.
 *
 * One line each: state, version, time, code, what, where, why, fix; printable text without line
 * ends. Written by replacement; that it cannot be written never fails an install.
 */
#ifndef CORE_STATUS_H
#define CORE_STATUS_H

#include <stdint.h>

#include "corelib/base/err.h"

struct status {
	char state[16]; /* "success", "failure", "interrupted", "installing"; "" = nothing known */
	char version[128]; /* of the release */
	char bundle[192];  /* name of the bundle as it was given */
	int64_t time;	   /* seconds since 1970 */
	struct err err;	   /* of a failure */
};
int status_write(const char *state_dir, const struct status *s);
void status_tidy(
	const char *state_dir); /* what a write that was cut left; under the install lock */
int status_read(const char *state_dir, struct status *s); /* 0 with state "" when there is none */

#endif
