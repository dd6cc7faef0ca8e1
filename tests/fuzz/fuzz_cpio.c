/* The bundle reader: any bytes, in any chunking, from memory that can seek and from one that
 * cannot. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "parser/bundle.h"
#include "tests/unit/kit/make_bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* two images and a payload in parts, as a description would name them */
static const struct entry entries[] = {
	{.section = SECTION_IMAGES, .filename = "a", .type = "raw"},
	{.section = SECTION_IMAGES,
	 .filename = "b.bin",
	 .type = "raw",
	 .hashes = {.name = "b.bin.hl", .block = 65536}},
	{.section = SECTION_IMAGES, .filename = "big", .type = "raw", .parts = 2},
};

/* everything that was read, as one sum: the same for each chunking */
static uint64_t walk(struct stream *src, uint64_t size)
{
	const struct manifest m = {.version = "1", .entries = entries, .entry_count = 3};
	const struct bundle_options o = {.max_members = 64};
	const struct payload *p;
	struct bundle *b = NULL;
	struct err e = {0};
	uint64_t sum = 1469598103934665603u;
	int rc = bundle_open(&b, &src, &o, &e);

	if (rc < 0) {
		stream_close(src);
		return (uint64_t)e.code;
	}
	rc = bundle_bind(b, &m, &e);
	while (rc >= 0 && !bundle_can_seek(b) && (rc = bundle_next(b, &p, &e)) > 0) {
		struct stream *in = NULL;
		const uint8_t *buf;
		uint64_t got = 0;
		ssize_t k = bundle_payload(b, p, &in, &e);

		while (k >= 0 && (k = stream_next(in, &buf, &e)) > 0) {
			got += (uint64_t)k;
			for (ssize_t i = 0; i < k; i++)
				sum = (sum ^ buf[i]) * 1099511628211u;
		}
		if (got > size)
			abort(); /* more than there was */
		stream_close(in);
		rc = k < 0 ? (int)k : 0;
		if (rc < 0)
			break;
	}
	bundle_close(b);
	return rc < 0 ? (uint64_t)e.code : sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const size_t chunks[] = {1 << 20, 1, 7, 4096};
	struct stream *s = NULL;
	struct err e = {0};
	uint64_t first;

	if (n > 65536)
		return 0;
	first = walk(make_pipe_stream(data, n, chunks[0]), n);
	for (size_t i = 1; i < 4; i++)
		if (walk(make_pipe_stream(data, n, chunks[i]), n) != first)
			abort(); /* the chunking changed the meaning */
	if (stream_mem_open(&s, data, n, &e) == 0)
		walk(s, n);
	return 0;
}
