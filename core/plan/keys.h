/* The keys that open encrypted payloads: root's file, or the signed entry's own. In
 * memory of corelib/base/secret.h. */
#ifndef CORE_KEYS_H
#define CORE_KEYS_H

#include "corelib/stream/stages.h"
#include "parser/manifest.h"
#include "parser/settings.h"

/* the key of an encrypted entry; E_KEY_AES. 1: others than its owner can read the key file, which
 * is worth a warning. keys_free wipes it. */
int keys_find(struct aes_key **k, const struct settings *cfg, const struct entry *t, struct err *e);
void keys_free(struct aes_key *k);

#endif
