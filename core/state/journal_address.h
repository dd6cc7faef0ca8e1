/*
 * The text of a JOURNAL_FILE record: where a file of the bundle is staged, and back. Records of
 * older releases are shorter; their text stays readable.
 */
#ifndef CORE_JOURNAL_ADDRESS_H
#define CORE_JOURNAL_ADDRESS_H

#include <stddef.h>

struct staged_address;
enum { ADDRESS_TEXT = 4096 }; /* the longest */
/* -EINVAL for names with a line end, -ENAMETOOLONG */
int journal_address_text(const struct staged_address *place, char *out, size_t n);
int journal_address_parse(struct staged_address *place, const char *text);

#endif
