/*
 * The text of a JOURNAL_FILE record: where a file of the bundle is staged, and back. Records of
 * older releases are shorter; their text stays readable.
 */
#ifndef CORE_JOURNAL_PLACE_H
#define CORE_JOURNAL_PLACE_H

#include <stddef.h>

struct staged_place;
enum { PLACE_TEXT = 4096 }; /* the longest */
/* -EINVAL for names with a line end, -ENAMETOOLONG */
int journal_place_text(const struct staged_place *place, char *out, size_t n);
int journal_place_parse(struct staged_place *place, const char *text);

#endif
