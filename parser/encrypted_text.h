/*
 * Descriptions that are encrypted as a whole (by the device's AES key, or by CMS), as SWUpdate can
 * be built to read. They are not read here; this only finds the right words for them.
 */
#ifndef PARSER_ENCRYPTED_TEXT_H
#define PARSER_ENCRYPTED_TEXT_H

#include <stddef.h>

#include "corelib/base/err.h"

/* what failed with rc on this description: when it is no text at all, *e becomes E_DESC_SEALED;
 * returns the new rc, or the old one */
int encrypted_text_explain(const void *text, size_t n, int rc, struct err *e);

#endif
