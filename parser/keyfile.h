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

/*
 * The property by which a description says which key and initial vector a payload needs, so that a
 * device with another key refuses the bundle before it writes. It is the first 32 bits of
 * HMAC-SHA-256 under the key, over a label and the vector: enough that a wrong key passes once in
 * four thousand million times, and too few to single out a key of 128 bits or more. Whoever guesses
 * keys learns nothing by it that the padding and the first bytes of the ciphertext do not tell.
 */
#define KEY_CHECK     "aes-key-check"
#define KEY_CHECK_LEN 4
int aes_key_check(const struct aes_key *k, uint8_t check[KEY_CHECK_LEN], struct err *e);

#endif
