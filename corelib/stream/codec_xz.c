/* xz by liblzma: streams in a row with padding between are one member to the library. */
#include "corelib/stream/codec.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include <lzma.h>

/* what the decoder needs beside the dictionary, so that mem_max may mean the dictionary alone */
#define XZ_OVERHEAD (1024u * 1024)

struct xz {
	uint64_t limit;
	lzma_stream lzma;
};

static int xz_open(void **state, uint64_t mem_max, struct err *e)
{
	struct xz *x = calloc(1, sizeof(*x));

	if (!x)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for an xz decoder");
	x->limit = mem_max > UINT64_MAX - XZ_OVERHEAD ? UINT64_MAX : mem_max + XZ_OVERHEAD;
	*state = x;
	return 0;
}

static int xz_begin(void *state, const uint8_t *head, struct err *e)
{
	struct xz *x = state;

	(void)head; /* the library knows the magic */
	if (lzma_stream_decoder(&x->lzma, x->limit,
				LZMA_CONCATENATED | LZMA_TELL_UNSUPPORTED_CHECK) != LZMA_OK)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for an xz decoder");
	return 0;
}

static int xz_fault(struct xz *x, lzma_ret rc, struct err *e)
{
	switch (rc) {
	case LZMA_MEM_ERROR:
		return err_set(e, E_MEMORY, ENOMEM, "no memory for an xz decoder");
	case LZMA_MEMLIMIT_ERROR:
		return err_set(e, E_LIMIT_MEM, ENOMEM,
			       "the xz data need %" PRIu64 " bytes, mem-max allows %" PRIu64,
			       lzma_memusage(&x->lzma), x->limit - XZ_OVERHEAD);
	case LZMA_FORMAT_ERROR:
		return err_set(e, E_DECOMPRESS, EBADMSG, "%s",
			       x->lzma.total_in > LZMA_STREAM_HEADER_SIZE
				       ? "there are bytes behind the end of the xz data"
				       : "these are not xz data");
	case LZMA_UNSUPPORTED_CHECK:
	case LZMA_OPTIONS_ERROR:
		return err_set(e, E_DECOMPRESS, EBADMSG,
			       "the xz data use a filter or check that is not supported");
	default:
		return err_set(e, E_DECOMPRESS, EBADMSG, "the xz data are damaged");
	}
}

static int xz_step(void *state, struct codec_io *io, struct err *e)
{
	struct xz *x = state;

	x->lzma.next_in = io->in;
	x->lzma.avail_in = io->in_len;
	x->lzma.next_out = io->out;
	x->lzma.avail_out = io->out_len;

	lzma_ret rc = lzma_code(&x->lzma, io->last ? LZMA_FINISH : LZMA_RUN);

	codec_took(io, io->in_len - x->lzma.avail_in, io->out_len - x->lzma.avail_out);
	if (rc == LZMA_STREAM_END)
		return 1;
	if (rc == LZMA_OK || rc == LZMA_BUF_ERROR) /* no progress was possible: the stage judges */
		return 0;
	return xz_fault(x, rc, e);
}

static void xz_close(void *state)
{
	struct xz *x = state;

	lzma_end(&x->lzma);
	free(x);
}

const struct codec_ops codec_xz = {
	.codec = CODEC_XZ,
	.head = 1,
	.open = xz_open,
	.begin = xz_begin,
	.step = xz_step,
	.close = xz_close,
};
