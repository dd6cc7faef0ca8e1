/* Real programs in tests: bytes in, bytes out. */
#ifndef TESTS_TOOL_H
#define TESTS_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct blob {
	uint8_t *data;
	size_t len;
};

void blob_clear(struct blob *b);
void blob_add(struct blob *b, const void *data,
	      size_t n); /* ends the test program without memory */
/* bytes that look like an image: text, zeros, noise */
struct blob blob_image(size_t n, unsigned seed);

/* argv[0] is looked up in PATH; the exit status, or -1 when it could not be run. in may be NULL. */
int tool_filter(const char *const *argv, const struct blob *in, struct blob *out);
/* is it there? prints SKIP: when not */
bool tool_there(const char *name);

/* the same row of numbers for the same seed */
unsigned tool_random(unsigned *seed);

#endif
