/*
 * What handlers that make bytes on the device (copy, rawcopy, rdiff_image) must come out with.
 *
 * The hash of a payload says nothing of what is made out of it: the property result-sha256 does. In
 * a template it may name the file that is to come out, result-sha256 = "@rootfs.new", and becomes
 * its digest here.
 */
#ifndef CORE_BUILD_RESULTS_H
#define CORE_BUILD_RESULTS_H

#include "core/build/payload.h"
#include "core/build/template.h"

#define RESULT_SHA256 "result-sha256"

/* 'scratch' as for payload_open() */
int results_fill(struct template *t, const struct payload_dirs *dirs, const struct output *scratch,
		 struct err *e);

#endif
