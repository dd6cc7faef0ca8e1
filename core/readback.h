/* verify-writes: a stage that hashes what reaches the handler, and the read-back that compares it.
 */
#ifndef CORE_READBACK_H
#define CORE_READBACK_H

#include "corelib/stream/stream.h"
#include "handlers/handler.h"

struct readback; /* lives as long as the stream */
int readback_open(struct stream **s, struct readback **t, struct err *e);
/* flush the step's device, or the file that is staged, and compare what the medium holds:
 * E_VERIFY_WRITES. Archives are many files: who makes them compares (tree.h) */
int readback_check(struct readback *t, const struct step *st, struct err *e);

#endif
