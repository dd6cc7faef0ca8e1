/* stage_decompress: members of one format become one stream. */
#include "corelib/stream/codec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define SETTLE_MS 1000

#define CODEC(ops) extern const struct codec_ops ops;
#include "generated/codecs.inc"
#undef CODEC

static const struct codec_ops *const built[] = {
#define CODEC(ops) &ops,
#include "generated/codecs.inc"
#undef CODEC
	NULL,
};

static const struct codec_word {
	const char *name, *symbol;
} words[CODEC_BZIP2 + 1] = {
	[CODEC_NONE] = {"none", ""},  [CODEC_GZIP] = {"zlib", "GZIP_ISAL or GZIP_ZLIB"},
	[CODEC_XZ] = {"xz", "XZ"},    [CODEC_ZSTD] = {"zstd", "ZSTD"},
	[CODEC_LZ4] = {"lz4", "LZ4"}, [CODEC_BZIP2] = {"bzip2", "BZIP2"},
};

struct unpack {
	struct stream stream;
	const struct codec_ops *codec;
	void *state;
	const uint8_t *in; /* lent by the upstream */
	size_t in_len;
	uint8_t head[CODEC_HEAD_MAX];
	size_t head_len, head_fed;
	uint64_t members;
	bool in_member, up_ended, ended;
};

const char *codec_name(enum codec c)
{
	return (unsigned)c < ARRAY_SIZE(words) && words[c].name ? words[c].name : "unknown";
}

enum codec codec_parse(const char *name)
{
	for (int c = CODEC_NONE + 1; c < CODEC_COUNT; c++)
		if (!strcmp(name, words[c].name))
			return (enum codec)c;
	return CODEC_NONE;
}

static const struct codec_ops *codec_find(enum codec c)
{
	for (size_t i = 0; built[i]; i++)
		if (built[i]->codec == c)
			return built[i];
	return NULL;
}

bool codec_is_built(enum codec c)
{
	return c == CODEC_NONE || codec_find(c);
}

int codec_need(enum codec c, struct err *e)
{
	if (codec_is_built(c))
		return 0;
	return err_set(e, E_NOT_BUILT, ENOTSUP, "%s is not built in (Kconfig: %s)", codec_name(c),
		       (unsigned)c < ARRAY_SIZE(words) && words[c].symbol ? words[c].symbol : "?");
}

int codec_settle(struct stream *up, int rc, struct err *e)
{
	if (up->rc < 0 || up->proof != PROOF_NONE)
		return rc; /* the upstream's own error already, or nothing left for it to find */

	struct err mine = *e;
	const uint8_t *buf;
	uint64_t until = sys_now_ms() + SETTLE_MS;
	ssize_t n;

	err_clear(e);
	do
		n = stream_next(up, &buf, e);
	while (n > 0 && sys_now_ms() < until);
	if (n < 0)
		return (int)n;
	*e = mine;
	return rc;
}

/* 1 = there is input, 0 = the upstream has ended and is proven */
static int unpack_pull(struct unpack *u, struct err *e)
{
	if (u->in_len || u->up_ended)
		return u->in_len != 0;

	ssize_t n = stream_next(u->stream.up, &u->in, e);

	if (n < 0)
		return (int)n;
	u->in_len = (size_t)n;
	u->up_ended = n == 0;
	return n > 0;
}

/* collect the first bytes of a member: 1 = a member begins, 0 = there is none any more */
static int unpack_begin(struct unpack *u, struct err *e)
{
	int rc = 1;

	for (u->head_len = u->head_fed = 0; u->head_len < u->codec->head && rc > 0;) {
		rc = unpack_pull(u, e);
		if (rc <= 0)
			break;
		u->head[u->head_len++] = *u->in++;
		u->in_len--;
	}
	if (rc < 0)
		return rc;
	if (u->head_len == 0 && u->members > 0)
		return 0;
	if (u->head_len == 0)
		return err_set(e, E_DECOMPRESS, EBADMSG, "the payload is empty, no %s data in it",
			       codec_name(u->codec->codec));
	if (u->head_len == u->codec->head)
		rc = u->codec->begin(u->state, u->head, e);
	else
		rc = err_set(e, E_DECOMPRESS, EBADMSG, "%s",
			     u->members ? "there are bytes behind the end of the compressed data"
					: "the compressed data end in the first header");
	if (rc < 0)
		return rc;
	u->in_member = true;
	return 1;
}

/* one step of the decoder: bytes made, or -errno */
static ssize_t unpack_step(struct unpack *u, uint8_t *buf, size_t n, struct err *e)
{
	bool from_head = u->head_fed < u->head_len;
	int rc = from_head ? 1 : unpack_pull(u, e);

	if (rc < 0)
		return rc;

	struct codec_io io = {
		.in = from_head ? u->head + u->head_fed : u->in,
		.in_len = from_head ? u->head_len - u->head_fed : u->in_len,
		.out = buf,
		.out_len = n,
		.last = rc == 0,
	};
	size_t had = io.in_len;

	rc = u->codec->step(u->state, &io, e);
	if (rc < 0)
		return rc;

	size_t took = had - io.in_len, made = n - io.out_len;

	if (from_head) {
		u->head_fed += took;
	} else {
		u->in += took;
		u->in_len -= took;
	}
	if (rc > 0) {
		u->in_member = false;
		u->members++;
	} else if (!took && !made) {
		return err_set(e, E_DECOMPRESS, EBADMSG, "%s",
			       io.last ? "the compressed data end too early"
				       : "the compressed data make no sense");
	}
	return (ssize_t)made;
}

static ssize_t unpack_fill(struct unpack *u, uint8_t *buf, size_t n, struct err *e)
{
	size_t got = 0;

	while (got < n && !u->ended) {
		if (!u->in_member) {
			int rc = unpack_begin(u, e);

			if (rc < 0)
				return rc;
			u->ended = rc == 0;
			continue;
		}

		ssize_t made = unpack_step(u, buf + got, n - got, e);

		if (made < 0)
			return made;
		got += (size_t)made;
	}
	return (ssize_t)got;
}

static ssize_t unpack_read(struct stream *s, uint8_t *buf, size_t n, struct err *e)
{
	struct unpack *u = (struct unpack *)s;
	ssize_t got = unpack_fill(u, buf, n, e);

	return got < 0 ? codec_settle(s->up, (int)got, e) : got;
}

static void unpack_close(struct stream *s)
{
	struct unpack *u = (struct unpack *)s;

	u->codec->close(u->state);
	free(u);
}

static const struct stream_ops unpack_ops = {
	.name = "decompress",
	.read = unpack_read,
	.close = unpack_close,
};

int stage_decompress_open(struct stream **s, enum codec c, uint64_t mem_max, struct err *e)
{
	const struct codec_ops *codec = codec_find(c);

	if (!codec)
		return codec_need(c, e);

	AUTO_FREE struct unpack *u = calloc(1, sizeof(*u));

	if (!u)
		return err_set(e, E_MEMORY, ENOMEM, "no memory to decompress %s", codec_name(c));

	int rc = codec->open(&u->state, mem_max, e);

	if (rc < 0)
		return rc;
	u->codec = codec;
	stream_init(&u->stream, &unpack_ops, *s);
	u->stream.has_size = false;
	*s = &u->stream;
	u = NULL;
	return 0;
}
