/* What root's configuration says about this release: hardware, update type, versions. No writes. */
#ifndef CORE_POLICY_H
#define CORE_POLICY_H

#include "parser/manifest.h"
#include "parser/settings.h"

struct policy {
	const struct update_policy *type; /* of the release's update type; NULL: globals */
	void (*note)(void *arg, const char *text);
	void *arg;
};

/* E_HARDWARE, E_UPDATE_TYPE, E_VERSION, E_REINSTALL; notes what is odd but allowed */
int policy_check(struct policy *p, const struct settings *cfg, const struct manifest *m,
		 struct err *e);

#endif
