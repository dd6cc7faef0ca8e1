#include "core/build/compress.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lz4frame.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define CHUNK (256u * 1024)

struct run {
	int in, out;
	uint8_t *from, *to;
	size_t got; /* bytes in 'from'; less than CHUNK: the last */
	struct err *e;
};

static const struct {
	const char *suffix;
	uint8_t magic[6];
	size_t n;
} kinds[CODEC_COUNT] = {
	[CODEC_NONE] = {"", {0}, 0},
	[CODEC_GZIP] = {".gz", {0x1f, 0x8b}, 2},
	[CODEC_XZ] = {".xz", {0xfd, '7', 'z', 'X', 'Z', 0}, 6},
	[CODEC_ZSTD] = {".zst", {0x28, 0xb5, 0x2f, 0xfd}, 4},
	[CODEC_LZ4] = {".lz4", {0x04, 0x22, 0x4d, 0x18}, 4},
};

const char *compress_suffix(enum codec c)
{
	return kinds[c].suffix;
}

int compress_is_done(int fd, enum codec c, struct err *e)
{
	uint8_t head[6];
	ssize_t n = sys_pread(fd, head, sizeof(head), 0);

	if (n < 0)
		return err_sys(e, E_BUILD, (int)-n, "reading it failed");
	return (size_t)n >= kinds[c].n && memcmp(head, kinds[c].magic, kinds[c].n) == 0;
}

static int fail(struct run *r, const char *what)
{
	return err_set(r->e, E_BUILD, EIO, "compressing it failed: %s", what);
}

static int fill(struct run *r)
{
	ssize_t n = sys_read(r->in, r->from, CHUNK);

	if (n < 0)
		return err_sys(r->e, E_BUILD, (int)-n, "reading it failed");
	r->got = (size_t)n;
	return 0;
}

static int drain(struct run *r, size_t n)
{
	int rc = sys_write(r->out, r->to, n);

	return rc < 0 ? err_sys(r->e, E_BUILD, -rc, "writing what was compressed failed") : 0;
}

static int gzip_chunk(struct run *r, z_stream *z)
{
	int flush = r->got < CHUNK ? Z_FINISH : Z_NO_FLUSH, zrc, rc;

	z->next_in = r->from;
	z->avail_in = (uInt)r->got;
	do {
		z->next_out = r->to;
		z->avail_out = CHUNK;
		zrc = deflate(z, flush);
		if (zrc != Z_OK && zrc != Z_STREAM_END && zrc != Z_BUF_ERROR)
			return fail(r, "zlib");
		rc = drain(r, CHUNK - z->avail_out);
		if (rc < 0)
			return rc;
	} while (z->avail_out == 0);
	return 0;
}

static int run_gzip(struct run *r)
{
	z_stream z = {0};
	int rc;

	/* 15 bits of window, and 16 more ask for gzip's frame, whose time is 0 */
	if (deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return fail(r, "zlib");
	do {
		rc = fill(r);
		if (rc == 0)
			rc = gzip_chunk(r, &z);
	} while (rc == 0 && r->got == CHUNK);
	deflateEnd(&z);
	return rc;
}

static int xz_chunk(struct run *r, lzma_stream *x)
{
	lzma_action action = r->got < CHUNK ? LZMA_FINISH : LZMA_RUN;
	lzma_ret xrc;
	int rc;

	x->next_in = r->from;
	x->avail_in = r->got;
	do {
		x->next_out = r->to;
		x->avail_out = CHUNK;
		xrc = lzma_code(x, action);
		if (xrc != LZMA_OK && xrc != LZMA_STREAM_END && xrc != LZMA_BUF_ERROR)
			return fail(r, xrc == LZMA_MEM_ERROR ? "no memory for xz" : "xz");
		rc = drain(r, CHUNK - x->avail_out);
		if (rc < 0)
			return rc;
	} while (x->avail_out == 0 || (action == LZMA_FINISH && xrc != LZMA_STREAM_END));
	return 0;
}

static int run_xz(struct run *r)
{
	lzma_stream x = LZMA_STREAM_INIT;
	int rc;

	if (lzma_easy_encoder(&x, 6, LZMA_CHECK_CRC64) != LZMA_OK)
		return fail(r, "no memory for xz");
	do {
		rc = fill(r);
		if (rc == 0)
			rc = xz_chunk(r, &x);
	} while (rc == 0 && r->got == CHUNK);
	lzma_end(&x);
	return rc;
}

static int zstd_chunk(struct run *r, ZSTD_CCtx *c)
{
	ZSTD_EndDirective end = r->got < CHUNK ? ZSTD_e_end : ZSTD_e_continue;
	ZSTD_inBuffer in = {r->from, r->got, 0};
	size_t left;
	int rc;

	do {
		ZSTD_outBuffer out = {r->to, CHUNK, 0};

		left = ZSTD_compressStream2(c, &out, &in, end);
		if (ZSTD_isError(left))
			return fail(r, ZSTD_getErrorName(left));
		rc = drain(r, out.pos);
		if (rc < 0)
			return rc;
	} while (end == ZSTD_e_end ? left != 0 : in.pos < in.size);
	return 0;
}

static int run_zstd(struct run *r)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	int rc;

	if (!c || ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, 15)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1))) {
		ZSTD_freeCCtx(c);
		return fail(r, "no memory for zstd");
	}
	do {
		rc = fill(r);
		if (rc == 0)
			rc = zstd_chunk(r, c);
	} while (rc == 0 && r->got == CHUNK);
	ZSTD_freeCCtx(c);
	return rc;
}

static int lz4_step(struct run *r, size_t n)
{
	return LZ4F_isError(n) ? fail(r, LZ4F_getErrorName(n)) : drain(r, n);
}

static int run_lz4(struct run *r)
{
	const LZ4F_preferences_t how = {
		.frameInfo = {.blockSizeID = LZ4F_max256KB,
			      .contentChecksumFlag = LZ4F_contentChecksumEnabled},
		.compressionLevel = 9,
		.autoFlush = 1,
	};
	size_t room = LZ4F_compressBound(CHUNK, &how) + LZ4F_HEADER_SIZE_MAX;
	LZ4F_cctx *c = NULL;
	int rc;

	free(r->to);
	r->to = malloc(room);
	if (!r->to || LZ4F_isError(LZ4F_createCompressionContext(&c, LZ4F_VERSION)))
		return fail(r, "no memory for lz4");
	rc = lz4_step(r, LZ4F_compressBegin(c, r->to, room, &how));
	while (rc == 0) {
		rc = fill(r);
		if (rc == 0 && r->got)
			rc = lz4_step(r,
				      LZ4F_compressUpdate(c, r->to, room, r->from, r->got, NULL));
		if (rc < 0 || r->got < CHUNK)
			break;
	}
	if (rc == 0)
		rc = lz4_step(r, LZ4F_compressEnd(c, r->to, room, NULL));
	LZ4F_freeCompressionContext(c);
	return rc;
}

int compress_file(enum codec c, int in, int out, struct err *e)
{
	static int (*const runs[CODEC_COUNT])(struct run * r) = {
		[CODEC_GZIP] = run_gzip,
		[CODEC_XZ] = run_xz,
		[CODEC_ZSTD] = run_zstd,
		[CODEC_LZ4] = run_lz4,
	};
	struct run r = {.in = in, .out = out, .from = malloc(CHUNK), .to = malloc(CHUNK), .e = e};
	int rc;

	if (!r.from || !r.to)
		rc = err_set(e, E_MEMORY, ENOMEM, "no memory to compress");
	else
		rc = runs[c] ? runs[c](&r)
			     : err_set(e, E_BUILD, EINVAL, "there is no such compression");
	free(r.from);
	free(r.to);
	return rc;
}
