/* What root's configuration says about this release: hardware, update type, versions. No writes. */
#ifndef CORE_POLICY_H
#define CORE_POLICY_H

#include "core/session.h"
#include "parser/manifest.h"

/*
 * E_HARDWARE, E_UPDATE_TYPE, E_VERSION, E_REINSTALL; warns of what is odd but allowed. *type is the
 * policy of the release's update type, NULL where the globals hold.
 */
int policy_check(const struct update_policy **type, const struct session *s,
		 const struct manifest *m, struct err *e);

/* a process without rights is about to be used: warned of where this kernel lacks some of its
 * walls, E_SANDBOX under 'strict'. 'what' is done in it */
int policy_walls(const struct session *s, const char *what, struct err *e);

#endif
