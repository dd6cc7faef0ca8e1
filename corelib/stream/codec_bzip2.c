/* bzip2: streams in a row. No attribute names it: it is met around archives that were made so. */
#include "corelib/stream/codec.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <bzlib.h>

#define ONCE_MAX (1u << 30) /* the library counts in 32 bits */

struct bzip2 {
	uint64_t mem_max;
	bool open;
	bz_stream st;
};

static int bzip2_open(void **state, uint64_t mem_max, struct err *e)
{
	struct bzip2 *b = calloc(1, sizeof(*b));

	if (!b)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a bzip2 decoder");
	b->mem_max = mem_max;
	*state = b;
	return 0;
}

/* "BZh" and a digit: blocks of so many times 100 000 bytes, for which four times that is needed */
static int bzip2_begin(void *state, const uint8_t *head, struct err *e)
{
	struct bzip2 *b = state;
	uint64_t memory;

	if (memcmp(head, "BZh", 3) != 0 || head[3] < '1' || head[3] > '9')
		return err_set(e, E_DECOMPRESS, EBADMSG, "no bzip2 data begin here");
	memory = (uint64_t)(head[3] - '0') * 400000 + 100000;
	if (memory > b->mem_max)
		return err_set(e, E_LIMIT_MEM, ENOMEM,
			       "the bzip2 data need %" PRIu64 " bytes, mem-max allows %" PRIu64,
			       memory, b->mem_max);
	if (b->open)
		BZ2_bzDecompressEnd(&b->st);
	memset(&b->st, 0, sizeof(b->st));
	b->open = BZ2_bzDecompressInit(&b->st, 0, 0) == BZ_OK;
	return b->open ? 0 : err_set(e, E_MEMORY, ENOMEM, "no memory for a bzip2 decoder");
}

static int bzip2_step(void *state, struct codec_io *io, struct err *e)
{
	struct bzip2 *b = state;
	unsigned in = io->in_len < ONCE_MAX ? (unsigned)io->in_len : ONCE_MAX;
	unsigned out = io->out_len < ONCE_MAX ? (unsigned)io->out_len : ONCE_MAX;

	b->st.next_in = (char *)(uintptr_t)io->in; /* only read */
	b->st.avail_in = in;
	b->st.next_out = (char *)io->out;
	b->st.avail_out = out;

	int rc = BZ2_bzDecompress(&b->st);

	if (rc == BZ_MEM_ERROR)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a bzip2 decoder");
	if (rc != BZ_OK && rc != BZ_STREAM_END)
		return err_set(e, E_DECOMPRESS, EBADMSG, "the bzip2 data are damaged");
	codec_took(io, in - b->st.avail_in, out - b->st.avail_out);
	return rc == BZ_STREAM_END;
}

static void bzip2_close(void *state)
{
	struct bzip2 *b = state;

	if (b->open)
		BZ2_bzDecompressEnd(&b->st);
	free(b);
}

const struct codec_ops codec_bzip2 = {
	.codec = CODEC_BZIP2,
	.head = 4,
	.open = bzip2_open,
	.begin = bzip2_begin,
	.step = bzip2_step,
	.close = bzip2_close,
};
