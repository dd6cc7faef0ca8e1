/*
 * The text of a file with an AES key: one line "KEY IV" as devices have it, or lines "key=KEY" and
 * "iv=IV" as `openssl enc -P` prints them and other generators read them.
 */
#ifndef PARSER_KEYFILE_H
#define PARSER_KEYFILE_H

#include <stddef.h>

#include "corelib/base/err.h"
#include "corelib/stream/stages.h"

/* sets key, bits and iv; E_KEY_AES, never with a word of the content */
int keyfile_parse(struct aes_key *k, const char *text, size_t n, struct err *e);

#endif
