/*
 * A slot that boots next, where the configuration names no boot variables of its slots: the
 * bundle's own variables or another record switched, and until the reboot nothing can be asked
 * which slot was meant. So it is noted with the boot id of the running system: after a restart the
 * note counts no more.
 */
#ifndef CORE_PENDING_H
#define CORE_PENDING_H

#include <stdbool.h>
#include <stddef.h>

#include "corelib/base/err.h"
#include "parser/settings.h"

/* right before the switch; 'folder' is the state directory, or run-dir where that cannot be used */
int pending_note(const char *folder, const char *slot, const char *txn, struct err *e);
/* the update of this transaction did not switch; -errno where its note stays */
int pending_forget(const struct settings *cfg, const char *txn);
/* has a slot been switched to since this system started? 'slot' is its name */
bool pending_find(const struct settings *cfg, char *slot, size_t n);

#endif
