/* Every codec over any bytes: no crash, no endless output, and an end is only reported where a whole member ended. */
#include <stdint.h>
#include <stdlib.h>

#include "corelib/stages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct stream *s = NULL;
	struct err e = {0};
	const uint8_t *buf;
	uint64_t total = 0;
	ssize_t k;

	if (n < 1 || stream_mem_open(&s, data + 1, n - 1, &e) < 0)
		return 0;
	if (stage_decompress_open(&s, (enum codec)(1 + data[0] % (CODEC_COUNT - 1)), 1 << 20, &e) == 0) {
		while ((k = stream_next(s, &buf, &e)) > 0 && total < (16u << 20))
			total += (uint64_t)k;
		if (k == 0 && n == 1)
			abort(); /* nothing is no member */
	}
	stream_close(s);
	return 0;
}
