/*
 * All that is wrong or doubtful in a description, in one go: the device's reader stops at the first
 * error, an author wants the whole list.
 *
 * The same tables and rules as on the device judge each attribute, each entry and each selection;
 * beyond them stand rules for what a device accepts but nobody means. In a template that is not
 * built yet hashes, sizes and initial vectors may be missing, and calls may stand for values.
 */
#ifndef CORE_BUILD_LINT_H
#define CORE_BUILD_LINT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/build/target.h"
#include "core/build/template.h"
#include "corelib/base/err.h"

struct lint_finding {
	bool error;   /* else it is only doubtful */
	bool unknown; /* a key that nobody reads */
	bool handler; /* that the device does not have */
	unsigned line;
	const char *text; /* begins with the path of what is meant */
};

struct lint_options {
	bool finished;			  /* taken out of a bundle */
	const struct template_vars *vars; /* for @@NAME@@; NULL = they stay */
	const struct target *target;	  /* the device; NULL = this build */
	const int *bundle;		  /* its payloads are looked at too; NULL = none */
	void (*found)(void *arg, const struct lint_finding *f);
	void *arg;
};

struct lint_result {
	unsigned errors, warnings;
};

/* fails only when it could not look; findings are no failure */
int lint_description(struct lint_result *r, const char *text, size_t n,
		     const struct lint_options *o, struct err *e);

/* a description, a template or a bundle; what it is decides o->finished too */
int lint_file(struct lint_result *r, const char *path, const struct lint_options *o, struct err *e);

#endif
