/*
 * Every codec over any bytes: no crash, no endless output, the same whatever the chunks, and an end
 * only where a whole member ended: one byte less is refused.
 */
#include <stdint.h>
#include <stdlib.h>

#include "corelib/stream/stages.h"
#include "tests/unit/kit/make_bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { MOST = 16 << 20 };

struct result {
	bool ended, much;
	uint64_t total, sum;
};

static struct result decode(enum codec c, const uint8_t *data, size_t n, size_t chunk)
{
	struct stream *s = make_pipe_stream(data, n, chunk);
	struct result r = {.sum = 1469598103934665603u};
	struct err e = {0};
	const uint8_t *buf;
	ssize_t k = -1;

	if (stage_decompress_open(&s, c, 1 << 20, &e) == 0)
		while ((k = stream_next(s, &buf, &e)) > 0 && r.total < MOST) {
			for (ssize_t i = 0; i < k; i++)
				r.sum = (r.sum ^ buf[i]) * 1099511628211u;
			r.total += (uint64_t)k;
		}
	stream_close(s);
	if (k < 0 && e.code == E_NONE)
		abort(); /* it failed without a reason */
	r.ended = k == 0;
	r.much = k > 0;
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct result one, two;
	enum codec c;

	if (n < 1)
		return 0;
	c = (enum codec)(1 + data[0] % CODEC_COUNT);
	if (c == CODEC_COUNT)
		c = CODEC_BZIP2;
	one = decode(c, data + 1, n - 1, 1 << 20);
	if (one.ended && n == 1)
		abort(); /* nothing is no member */
	if (one.much || one.total > (1 << 20))
		return 0;
	two = decode(c, data + 1, n - 1, 7);
	if (one.ended != two.ended || (one.ended && (one.total != two.total || one.sum != two.sum)))
		abort(); /* the chunks changed the meaning */
	if (one.ended && decode(c, data + 1, n - 2, 1 << 20).ended)
		abort(); /* cut, and not seen */
	return 0;
}
