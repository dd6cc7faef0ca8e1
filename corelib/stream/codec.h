/*
 * One decoder behind stage_decompress.
 *
 * A decoder knows one format and one member (frame) at a time; the stage feeds it, asks for the
 * next member, and judges ends: upstream, members and truncation. The Makefile line of a codec
 * writes its row into generated/codecs.inc, so what is not built costs nothing.
 */
#ifndef CORELIB_CODEC_H
#define CORELIB_CODEC_H

#include "corelib/stream/stages.h"

#define CODEC_HEAD_MAX 8

struct codec_io {
	const uint8_t *in;
	size_t in_len;
	uint8_t *out;
	size_t out_len;
	bool last; /* nothing follows behind 'in' */
};

struct codec_ops {
	enum codec codec;
	size_t head; /* bytes that tell a member by its start, 1..CODEC_HEAD_MAX */
	int (*open)(void **state, uint64_t mem_max, struct err *e);
	/* is this the start of a member? The same bytes come again through step(). */
	int (*begin)(void *state, const uint8_t *head, struct err *e);
	/* moves in and out forward as far as possible: 1 = the member is complete, 0 = not yet,
	 * -errno */
	int (*step)(void *state, struct codec_io *io, struct err *e);
	void (*close)(void *state);
};

/* NULL when it is not built */

/* 0 when it is built (or NONE), else E_NOT_BUILT naming the symbol */
int codec_need(enum codec c, struct err *e);

/* the codec of an attribute value ("zlib", "xz", ...), CODEC_NONE when there is none of that name
 */
enum codec codec_parse(const char *name);

/*
 * A stage's own verdict over bytes that were not proven when they were lent: rc and *e are kept,
 * unless the upstream, read on for about a second, turns out to be wrong itself. A damaged payload
 * is then told by its hash and not by the decoder that stumbled over it. Returns the rc to return.
 */
int codec_settle(struct stream *up, int rc, struct err *e);

static inline void codec_took(struct codec_io *io, size_t in, size_t out)
{
	io->in += in;
	io->in_len -= in;
	io->out += out;
	io->out_len -= out;
}

static inline uint32_t codec_le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline bool codec_is_bzip2(const uint8_t *head, size_t n)
{
	return n >= 4 && head[0] == 'B' && head[1] == 'Z' && head[2] == 'h' && head[3] >= '1' &&
	       head[3] <= '9';
}

/* frames that zstd and lz4 agree to read past */
static inline bool codec_is_skippable(uint32_t magic)
{
	return (magic & 0xfffffff0u) == 0x184d2a50u;
}

#endif
