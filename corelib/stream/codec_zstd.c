/* zstd: frames in a row, skippable frames between. */
#include "corelib/stream/codec.h"

#include <errno.h>
#include <inttypes.h>

#include <zstd.h>
#include <zstd_errors.h>

/* the largest window (as a power of two) that fits into mem_max and into what the library takes */
static int zstd_window_log(uint64_t mem_max)
{
	ZSTD_bounds b = ZSTD_dParam_getBounds(ZSTD_d_windowLogMax);
	int log = b.lowerBound;

	while (log < b.upperBound && mem_max >> (log + 1))
		log++;
	return log;
}

static int zstd_open(void **state, uint64_t mem_max, struct err *e)
{
	ZSTD_DCtx *d = ZSTD_createDCtx();

	if (!d)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a zstd decoder");
	ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, zstd_window_log(mem_max));
	*state = d;
	return 0;
}

static int zstd_begin(void *state, const uint8_t *head, struct err *e)
{
	uint32_t magic = codec_le32(head);

	(void)state;
	/* the library may be built with formats of before 1.0, for which no window limit holds */
	if (magic == ZSTD_MAGICNUMBER || codec_is_skippable(magic))
		return 0;
	return err_set(e, E_DECOMPRESS, EBADMSG,
		       "no frame of zstd begins here (magic 0x%08" PRIx32 ")", magic);
}

static int zstd_fault(size_t rc, struct err *e)
{
	switch (ZSTD_getErrorCode(rc)) {
	case ZSTD_error_memory_allocation:
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a zstd decoder");
	case ZSTD_error_frameParameter_windowTooLarge:
		return err_set(e, E_LIMIT_MEM, ENOMEM,
			       "the zstd data need a larger window than mem-max allows");
	default:
		return err_set(e, E_DECOMPRESS, EBADMSG, "the zstd data are damaged: %s",
			       ZSTD_getErrorName(rc));
	}
}

static int zstd_step(void *state, struct codec_io *io, struct err *e)
{
	ZSTD_inBuffer in = {.src = io->in, .size = io->in_len};
	ZSTD_outBuffer out = {.dst = io->out, .size = io->out_len};
	size_t rc = ZSTD_decompressStream(state, &out, &in);

	if (ZSTD_isError(rc))
		return zstd_fault(rc, e);
	codec_took(io, in.pos, out.pos);
	return rc == 0;
}

static void zstd_close(void *state)
{
	ZSTD_freeDCtx(state);
}

const struct codec_ops codec_zstd = {
	.codec = CODEC_ZSTD,
	.head = 4,
	.open = zstd_open,
	.begin = zstd_begin,
	.step = zstd_step,
	.close = zstd_close,
};
