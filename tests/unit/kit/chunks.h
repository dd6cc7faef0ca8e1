/* A source that lends its bytes in pieces of odd sizes and ends as it is told. */
#ifndef TESTS_CHUNKS_H
#define TESTS_CHUNKS_H

#include "corelib/stream/stream.h"
#include "tests/unit/kit/tool.h"

struct chunks {
	struct blob bytes; /* not owned */
	size_t max;	   /* pieces of 1..max bytes; 0 = all at once */
	unsigned seed;
	enum errcode at_end; /* this error instead of the end; E_NONE = a proven end */
	unsigned *closed;    /* counted up by close; may be NULL */
};
struct stream *chunks_open(const struct chunks *c);

/*
 * Read to the end in pieces of 1..max bytes (0: by stream_next). The bytes of a proven end go to
 * 'out' and 0 is returned, else -errno.
 */
int chunks_read(struct stream *s, size_t max, struct blob *out, struct err *e);

#endif
