/*
 * All that devices only tolerate in a bundle that is good otherwise, in one go: unknown keys and
 * loose habits of the description, members that nothing names, oddities of the archive.
 *
 * verify_strict() checks the bundle as a device would and tells each thing once; what a strict
 * device refuses is never left out. 0 = good; the count is in 'found'.
 */
#ifndef CORE_BUILD_VERIFY_STRICT_H
#define CORE_BUILD_VERIFY_STRICT_H

#include "core/build/verify.h"

/* o->note hears each line; o->strict is not looked at */
int verify_strict(const struct verify_options *o, struct verify_result *r, unsigned *found,
		  struct err *e);

#endif
