/*
 * Does a board revision fit what the bundle asks for?
 *
 * A pattern comes from a signed description, yet it must not hold up the installer (T44). glibc's
 * regcomp() takes hours for some of a few dozen characters, optional parts in repetitions in
 * repetitions, and no bound on length or depth has caught all of them: parser/pattern.c is used.
 */
#include <errno.h>
#include <string.h>

#include "parser/pattern.h"
#include "parser/version.h"

#define PREFIX "#RE:"

int hardware_matches(const char *pattern, const char *revision, struct err *e)
{
	const char *why;
	int rc;

	if (strlen(pattern) > PATTERN_LENGTH || strlen(revision) > PATTERN_LENGTH)
		return err_set(e, E_HARDWARE, EINVAL,
			       "a hardware revision or its pattern is longer than %d bytes",
			       PATTERN_LENGTH);
	if (strncmp(pattern, PREFIX, strlen(PREFIX)) != 0)
		return !strcmp(pattern, revision);
	rc = pattern_matches(pattern + strlen(PREFIX), revision, &why);
	return rc < 0 ? err_set(e, E_HARDWARE, EINVAL, "the pattern %.80s %s", pattern, why) : rc;
}
