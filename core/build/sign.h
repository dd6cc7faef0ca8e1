/*
 * Signatures of descriptions: with a key file, or by an external program; and a new signature for a
 * bundle that is there, whose other bytes stay.
 */
#ifndef CORE_BUILD_SIGN_H
#define CORE_BUILD_SIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "corelib/base/err.h"
#include "corelib/sign/sig.h"

struct sign_options {
	const char *key_file; /* PEM, or a pkcs11: URI */
	const char *cert_file;
	const char *command;	/* instead of key_file: see corelib/sign/sig_command.h */
	enum sig_scheme scheme; /* SIG_ANY: CMS */
	bool has_epoch;
	int64_t epoch; /* SOURCE_DATE_EPOCH */
};

/* *sig is malloc'ed */
int sign_text(const struct sign_options *o, const void *text, size_t n, uint8_t **sig,
	      size_t *sig_n, struct err *e);
/* output may be the bundle itself; it appears whole or not at all */
int sign_bundle(const struct sign_options *o, const char *bundle, const char *output,
		uint64_t *size, struct err *e);

#endif
