/*
 * Does a key of ours vouch for the description? Asked once, over the bytes in memory that are
 * parsed next.
 *
 * Without a signature, or without a key, only root's own "allow-unsigned" lets a bundle in (T6),
 * and the caller warns each time with the text left in 'warning'.
 */
#ifndef CORE_TRUST_H
#define CORE_TRUST_H

#include "corelib/sign/sig.h"
#include "parser/bundle.h"
#include "parser/settings.h"

struct trust {
	bool vouched; /* a key said yes; false only under allow-unsigned */
	struct sig_info info;
	char warning[256]; /* "" when vouched */
};

/* the kind of signature that the configuration pins ("opensslRSAPSS" …): SIG_ANY for none, -EINVAL
 */
int trust_scheme(const char *provider, enum sig_scheme *s, struct err *e);
/* seconds since 1970 at which certificates must be valid: the clock, but never before the build,
 * for a clock without battery says 1970 (T14) */
int64_t trust_time(void);
int trust_verify(struct trust *t, const struct settings *cfg, const struct bundle *b,
		 struct err *e);

#endif
