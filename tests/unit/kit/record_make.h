/* Records for tests: written into a blob as the child writes them. */
#ifndef TESTS_RECORD_MAKE_H
#define TESTS_RECORD_MAKE_H

#include "corelib/stream/records.h"
#include "tests/unit/kit/tool.h"

/* with no target, owner 0:0, mode 0644 or 0755, time 1 000 000 000 */
struct record record_of(enum record_kind kind, const char *path);

/* the head as it is, even where the writer would refuse it; ends the test program on other trouble
 */
void record_put(struct blob *b, const struct record *rec);
/* a file in one piece; rec->size becomes n */
void record_put_file(struct blob *b, const struct record *rec, const void *data, size_t n);
void record_put_extent(struct blob *b, uint64_t offset, uint64_t len);

#endif
