/* verify-writes: a stage that hashes what reaches the handler, and the read-back that compares it.
 */
#ifndef CORE_TAP_H
#define CORE_TAP_H

#include "corelib/stream/stream.h"
#include "handlers/handler.h"

struct tap; /* lives as long as the stream */
int tap_open(struct stream **s, struct tap **t, struct err *e);
/* flush the step's device, or the file that is staged, and compare what the medium holds:
 * E_VERIFY_WRITES. Archives are many files: who makes them compares (tree.h) */
int tap_check(struct tap *t, const struct step *st, struct err *e);

#endif
