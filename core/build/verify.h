/*
 * Check a bundle as a device would: signature, description, members, sizes, digests, hash lists;
 * for one selection or all that are offered. Needs a seekable file. Nothing is installed.
 */
#ifndef CORE_BUILD_VERIFY_H
#define CORE_BUILD_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "corelib/base/err.h"
#include "core/build/target.h"
#include "corelib/sign/sig.h"
#include "parser/manifest.h"

struct verify_options {
	const char *bundle;
	const struct keyring *keys; /* NULL: the signature is not asked for */
	bool strict;
	const struct target *target;  /* strict: its handlers; NULL: those of this build */
	const struct selection *only; /* NULL: all that are offered */
	void (*note)(void *arg, const char *text);
	void *arg;
};

struct verify_result {
	struct sig_info signature;
	char version[256];
	unsigned selections, payloads;
	uint64_t bytes;
};

int verify_bundle(const struct verify_options *o, struct verify_result *r, struct err *e);

#endif
