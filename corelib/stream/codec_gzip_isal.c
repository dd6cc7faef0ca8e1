/* gzip by ISA-L. The library checks CRC and length of each member itself. */
#include "corelib/stream/codec_gzip.h"

#include <errno.h>
#include <stdlib.h>

#include <isa-l/igzip_lib.h>

#define ONCE_MAX (1u << 30) /* the library counts in 32 bits */

struct gzip {
	enum gzip_wrapper wrapper;
	struct inflate_state st;
};

static int gzip_open(void **state, uint64_t mem_max, struct err *e)
{
	struct gzip *g = calloc(1, sizeof(*g));

	(void)mem_max; /* the window of deflate is never above 32 KiB */
	if (!g)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a gzip decoder");
	isal_inflate_init(&g->st);
	*state = g;
	return 0;
}

static int gzip_begin(void *state, const uint8_t *head, struct err *e)
{
	struct gzip *g = state;
	int rc = gzip_wrapper_next(&g->wrapper, head, e);

	if (rc < 0)
		return rc;
	isal_inflate_reset(&g->st);
	g->st.crc_flag = g->wrapper == WRAPPER_GZIP ? ISAL_GZIP : ISAL_ZLIB;
	return 0;
}

static const char *gzip_fault(int rc)
{
	switch (rc) {
	case ISAL_INCORRECT_CHECKSUM:
		return "the checksum or length of the gzip data is wrong";
	case ISAL_INVALID_WRAPPER:
	case ISAL_UNSUPPORTED_METHOD:
		return "the header of the gzip data is damaged";
	case ISAL_NEED_DICT:
		return "the gzip data need a dictionary, which bundles cannot have";
	default:
		return "the gzip data are damaged";
	}
}

static int gzip_step(void *state, struct codec_io *io, struct err *e)
{
	struct gzip *g = state;
	uint32_t in = io->in_len < ONCE_MAX ? (uint32_t)io->in_len : ONCE_MAX;
	uint32_t out = io->out_len < ONCE_MAX ? (uint32_t)io->out_len : ONCE_MAX;

	g->st.next_in = (uint8_t *)io->in; /* only read */
	g->st.avail_in = in;
	g->st.next_out = io->out;
	g->st.avail_out = out;

	int rc = isal_inflate(&g->st);

	if (rc != ISAL_DECOMP_OK && rc != ISAL_END_INPUT && rc != ISAL_OUT_OVERFLOW)
		return err_set(e, E_DECOMPRESS, EBADMSG, "%s", gzip_fault(rc));
	codec_took(io, in - g->st.avail_in, out - g->st.avail_out);
	if (g->st.block_state != ISAL_BLOCK_FINISH)
		return 0;
	/* whole bytes that the library took ahead lie behind the member's end */
	if (g->st.read_in_length >= 8)
		return err_set(e, E_DECOMPRESS, EBADMSG,
			       "there are bytes behind the end of the gzip data");
	return 1;
}

const struct codec_ops codec_gzip_isal = {
	.codec = CODEC_GZIP,
	.head = 2,
	.open = gzip_open,
	.begin = gzip_begin,
	.step = gzip_step,
	.close = free,
};
