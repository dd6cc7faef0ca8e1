/* lz4: frames in a row, skippable frames between. */
#include "corelib/stream/codec.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <lz4frame.h>

#define LZ4_MAGIC 0x184d2204u

struct lz4 {
	uint64_t mem_max;
	LZ4F_dctx *dctx;
};

static int lz4_open(void **state, uint64_t mem_max, struct err *e)
{
	struct lz4 *l = calloc(1, sizeof(*l));

	if (!l || LZ4F_isError(LZ4F_createDecompressionContext(&l->dctx, LZ4F_VERSION))) {
		free(l);
		return err_set(e, E_MEMORY, ENOMEM, "no memory for an lz4 decoder");
	}
	l->mem_max = mem_max;
	*state = l;
	return 0;
}

/* magic, flags, and the byte that tells the size of a block: 4 = 64 KiB, then four times each */
static int lz4_begin(void *state, const uint8_t *head, struct err *e)
{
	struct lz4 *l = state;
	uint32_t magic = codec_le32(head);
	unsigned size_id = head[5] >> 4 & 7;

	if (codec_is_skippable(magic))
		return 0;
	if (magic != LZ4_MAGIC)
		return err_set(e, E_DECOMPRESS, EBADMSG,
			       "no frame of lz4 begins here (magic 0x%08" PRIx32 ")", magic);

	uint64_t block = UINT64_C(1) << (8 + 2 * size_id);

	if (block > l->mem_max)
		return err_set(e, E_LIMIT_MEM, ENOMEM,
			       "the lz4 data have blocks of %" PRIu64
			       " bytes, mem-max allows %" PRIu64,
			       block, l->mem_max);
	return 0;
}

static int lz4_step(void *state, struct codec_io *io, struct err *e)
{
	struct lz4 *l = state;
	size_t in = io->in_len, out = io->out_len;
	size_t rc = LZ4F_decompress(l->dctx, io->out, &out, io->in, &in, NULL);

	if (LZ4F_isError(rc)) {
		if (!strcmp(LZ4F_getErrorName(rc), "ERROR_allocation_failed"))
			return err_set(e, E_MEMORY, ENOMEM, "no memory for an lz4 decoder");
		return err_set(e, E_DECOMPRESS, EBADMSG, "the lz4 data are damaged: %s",
			       LZ4F_getErrorName(rc));
	}
	codec_took(io, in, out);
	return rc == 0;
}

static void lz4_close(void *state)
{
	struct lz4 *l = state;

	LZ4F_freeDecompressionContext(l->dctx);
	free(l);
}

const struct codec_ops codec_lz4 = {
	.codec = CODEC_LZ4,
	.head = 6,
	.open = lz4_open,
	.begin = lz4_begin,
	.step = lz4_step,
	.close = lz4_close,
};
