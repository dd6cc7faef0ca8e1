/* gzip by zlib, where ISA-L is not at hand. */
#include "corelib/stream/codec_gzip.h"

#include <errno.h>
#include <stdlib.h>

#include <zlib.h>

#define ONCE_MAX (1u << 30) /* the library counts in 32 bits */

struct gzip {
	enum gzip_wrapper wrapper;
	z_stream z;
};

static int gzip_open(void **state, uint64_t mem_max, struct err *e)
{
	struct gzip *g = calloc(1, sizeof(*g));

	(void)mem_max; /* the window of deflate is never above 32 KiB */
	if (!g || inflateInit2(&g->z, MAX_WBITS + 16) != Z_OK) {
		free(g);
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a gzip decoder");
	}
	*state = g;
	return 0;
}

static int gzip_begin(void *state, const uint8_t *head, struct err *e)
{
	struct gzip *g = state;
	int rc = gzip_wrapper_next(&g->wrapper, head, e);

	if (rc < 0)
		return rc;
	if (inflateReset2(&g->z, MAX_WBITS + (g->wrapper == WRAPPER_GZIP ? 16 : 0)) != Z_OK)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a gzip decoder");
	return 0;
}

static int gzip_step(void *state, struct codec_io *io, struct err *e)
{
	struct gzip *g = state;
	uInt in = io->in_len < ONCE_MAX ? (uInt)io->in_len : ONCE_MAX;
	uInt out = io->out_len < ONCE_MAX ? (uInt)io->out_len : ONCE_MAX;

	g->z.next_in = (Bytef *)io->in; /* only read */
	g->z.avail_in = in;
	g->z.next_out = io->out;
	g->z.avail_out = out;

	int rc = inflate(&g->z, Z_NO_FLUSH);

	codec_took(io, in - g->z.avail_in, out - g->z.avail_out);
	switch (rc) {
	case Z_STREAM_END:
		return 1;
	case Z_OK:
	case Z_BUF_ERROR: /* no progress was possible: the stage judges */
		return 0;
	case Z_MEM_ERROR:
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a gzip decoder");
	case Z_NEED_DICT:
		return err_set(e, E_DECOMPRESS, EBADMSG,
			       "the gzip data need a dictionary, which bundles cannot have");
	default:
		return err_set(e, E_DECOMPRESS, EBADMSG, "the gzip data are damaged: %s",
			       g->z.msg ? g->z.msg : "unknown");
	}
}

static void gzip_close(void *state)
{
	struct gzip *g = state;

	inflateEnd(&g->z);
	free(g);
}

const struct codec_ops codec_gzip_zlib = {
	.codec = CODEC_GZIP,
	.head = 2,
	.open = gzip_open,
	.begin = gzip_begin,
	.step = gzip_step,
	.close = gzip_close,
};
