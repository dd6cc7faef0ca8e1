/* A bundle: its description and signature in memory, its payloads as streams. */
#include "parser/bundle.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/crc32c.h"
#include "corelib/base/digest.h"
#include "corelib/sign/sig.h"
#include "corelib/base/text.h"
#include "parser/wanted.h"

#define MEMBERS_MAX	4096u
#define DESCRIPTION_MAX (1024u * 1024)

struct blob {
	uint8_t *bytes;
	size_t n;
};

/* how far a payload was read */
struct cursor {
	struct wanted *row; /* NULL: none */
	uint64_t part;	    /* from 0 */
	uint64_t left;	    /* of this part */
	uint32_t sum;
	bool sum_off; /* after a seek not every byte was seen */
};

/* bytes that were taken: lent at 'bytes', or copied to 'mem' when that is set */
struct span {
	uint8_t *mem;
	size_t room;
	const uint8_t *bytes;
};

/* the stream that bundle_payload() gives */
struct payload_stream {
	struct stream s;
	struct bundle *b; /* NULL: the bundle went on without it */
	struct cursor *c; /* its own, or the bundle's on a pipe */
	struct cursor own;
	atomic_bool over; /* its end was read */
};

struct bundle {
	struct stream *src;
	struct bundle_options opt;
	struct cpio_reader reader;
	struct blob description, signature;
	struct wanted_list wanted;
	uint64_t members; /* met so far */
	uint64_t skipped;
	struct cpio_member pending; /* a header that was read while looking for the signature */
	bool has_pending;
	bool trailer; /* was read */
	bool bound, ended, tail;
	struct cursor cursor;		/* pipe: the payload under way */
	struct payload_stream *streams; /* pipe: the one that is open */
	int rc;				/* sticky */
	struct err err;
};

/* ---- opening: the first two members ---------------------------------------------------------- */

/* 1 with the next header in b->pending, or 0 at the trailer */
static int peek(struct bundle *b, struct err *e)
{
	int rc;

	if (b->has_pending || b->trailer)
		return b->has_pending;
	rc = cpio_read_member(&b->reader, &b->pending, e);
	b->trailer = rc == 0;
	if (rc <= 0)
		return rc;
	if (b->members >= b->opt.max_members)
		return err_set(e, E_LIMIT_MEMBERS, EINVAL,
			       "there are more than %" PRIu64 " members", b->opt.max_members);
	b->members++;
	b->has_pending = true;
	return 1;
}

static int read_blob(struct bundle *b, struct blob *out, struct err *e)
{
	out->bytes = malloc(b->pending.head.size + 1);
	if (!out->bytes)
		return err_set(e, E_MEMORY, ENOMEM, "'%s' of %" PRIu64 " bytes", b->pending.name,
			       b->pending.head.size);
	out->n = b->pending.head.size;
	out->bytes[out->n] = '\0';
	b->has_pending = false;
	return cpio_read_content(&b->reader, &b->pending, out->bytes, e);
}

static int read_description(struct bundle *b, struct err *e)
{
	int rc = peek(b, e);

	if (rc < 0)
		return rc;
	if (rc == 0)
		return err_set(e, E_ORDER, EINVAL, "the bundle has no members");
	if (strcmp(b->pending.name, DESCRIPTION_NAME) != 0)
		return err_set(e, E_ORDER, EINVAL, "the first member is '%s', not %s",
			       b->pending.name, DESCRIPTION_NAME);
	if (b->pending.head.size > b->opt.max_description)
		return err_set(e, E_DESC_LIMIT, EFBIG,
			       "%s has %" PRIu64 " bytes; %" PRIu64 " are allowed",
			       DESCRIPTION_NAME, b->pending.head.size, b->opt.max_description);
	return read_blob(b, &b->description, e);
}

static int read_signature(struct bundle *b, struct err *e)
{
	int rc = peek(b, e);

	if (rc < 0)
		return rc;
	if (rc == 0 || strcmp(b->pending.name, SIGNATURE_NAME) != 0) {
		if (!b->opt.need_signature)
			return 0;
		return err_set(e, E_SIG_MISSING, EINVAL, "the second member is '%s', not %s",
			       b->pending.name, SIGNATURE_NAME);
	}
	if (b->pending.head.size > SIG_MAX)
		return err_set(e, E_SIG_LIMIT, EFBIG, "%s has %" PRIu64 " bytes; %u are allowed",
			       SIGNATURE_NAME, b->pending.head.size, SIG_MAX);
	if (b->pending.head.size == 0 && b->opt.need_signature)
		return err_set(e, E_SIG_MISSING, EINVAL, "%s is empty", SIGNATURE_NAME);
	return read_blob(b, &b->signature, e);
}

int bundle_open(struct bundle **out, struct stream **src, const struct bundle_options *o,
		struct err *e)
{
	struct bundle *b = calloc(1, sizeof(*b));
	int rc;

	if (!b)
		return err_set(e, E_MEMORY, ENOMEM, "a bundle");
	b->opt = *o;
	if (!b->opt.max_members)
		b->opt.max_members = MEMBERS_MAX;
	if (!b->opt.max_description)
		b->opt.max_description = DESCRIPTION_MAX;
	cpio_reader_init(&b->reader, *src, o);
	rc = read_description(b, e);
	if (rc == 0)
		rc = read_signature(b, e);
	if (rc < 0) {
		bundle_close(b);
		return rc;
	}
	b->src = *src;
	*src = NULL;
	*out = b;
	return 0;
}

struct bundle *bundle_close(struct bundle *b)
{
	if (!b)
		return NULL;
	if (b->streams)
		b->streams->b = NULL;
	stream_close(b->src);
	wanted_clear(&b->wanted);
	free(b->description.bytes);
	free(b->signature.bytes);
	free(b);
	return NULL;
}

const void *bundle_description(const struct bundle *b, size_t *n)
{
	*n = b->description.n;
	return b->description.bytes;
}

const void *bundle_signature(const struct bundle *b, size_t *n)
{
	*n = b->signature.n;
	return b->signature.bytes;
}

bool bundle_can_seek(const struct bundle *b)
{
	return b->reader.seek;
}

uint64_t bundle_skipped(const struct bundle *b)
{
	return b->skipped;
}

bool bundle_has_tail(const struct bundle *b)
{
	return b->tail;
}

/* ---- walking --------------------------------------------------------------------------------- */

static int walk_end(struct bundle *b, struct err *e)
{
	int rc = wanted_complete(&b->wanted, e);

	b->ended = true;
	if (rc == 0)
		rc = cpio_read_tail(&b->reader, e);
	if (rc < 0)
		return rc;
	b->tail = rc > 0;
	if (b->tail && b->opt.strict)
		return err_set(e, E_CPIO_TRAILER, EINVAL, "bytes other than NUL follow TRAILER!!!");
	return 0;
}

static int check_unlisted(struct bundle *b, struct err *e)
{
	const char *name = b->pending.name;

	if (strcmp(name, SIGNATURE_NAME) == 0)
		return err_set(e, b->signature.bytes ? E_CPIO_DUP : E_ORDER, EINVAL,
			       b->signature.bytes ? "'%s' is in the bundle a second time"
						  : "'%s' is not the second member",
			       name);
	if (b->opt.strict)
		return err_set(e, E_MEMBER_UNLISTED, EINVAL, "the description does not name '%s'",
			       name);
	return 0;
}

/* the next member that somebody wants, its header taken: 1, or 0 at the end; others are stepped
 * over */
static int walk(struct bundle *b, struct wanted **row, struct err *e)
{
	while (!b->ended) {
		int rc = peek(b, e);

		if (rc < 0)
			return rc;
		if (rc == 0)
			return walk_end(b, e);
		rc = wanted_accept(&b->wanted, &b->pending, row, e);
		if (rc < 0)
			return rc;
		b->has_pending = false;
		if (*row) {
			rc = wanted_add(&b->wanted, *row, &b->pending, b->members - 1, e);
			return rc < 0 ? rc : 1;
		}
		rc = check_unlisted(b, e);
		if (rc == 0)
			rc = cpio_skip_content(&b->reader, &b->pending, e);
		if (rc < 0)
			return rc;
		b->skipped++;
	}
	return 0;
}

static int walk_all(struct bundle *b, struct err *e)
{
	struct wanted *row;
	int rc;

	while ((rc = walk(b, &row, e)) > 0) {
		rc = cpio_skip_content(&b->reader, &b->pending, e);
		if (rc < 0)
			break;
	}
	return rc;
}

int bundle_bind(struct bundle *b, const struct manifest *m, struct err *e)
{
	int rc;

	if (b->bound)
		return err_set(e, E_INTERNAL, EINVAL, "a bundle was bound twice");
	rc = wanted_build(&b->wanted, m, e);
	if (rc < 0)
		return rc;
	b->bound = true;
	if (b->reader.seek)
		return walk_all(b, e);
	return 0;
}

const struct payload *bundle_find(const struct bundle *b, const char *name)
{
	const struct wanted *row = b->reader.seek ? wanted_find(&b->wanted, name) : NULL;

	return row && row->found ? &row->payload : NULL;
}

/* ---- payloads -------------------------------------------------------------------------------- */

static const struct piece *cursor_piece(const struct bundle *b, const struct cursor *c)
{
	return &b->wanted.pieces[c->row->first + c->part];
}

static void cursor_start(const struct bundle *b, struct cursor *c, struct wanted *row,
			 uint64_t part)
{
	c->row = row;
	c->part = part;
	c->sum = 0;
	c->left = cursor_piece(b, c)->head.size;
}

/* the part is through: compare its checksum, go to the next one; 1, or 0 behind the last */
static int cursor_turn(struct bundle *b, struct cursor *c, struct err *e)
{
	struct wanted *row = c->row;
	int rc = c->sum_off ? 0 : cpio_sum_check(&cursor_piece(b, c)->head, c->sum, e);

	if (rc < 0 || c->part + 1 == wanted_members(row))
		return rc;
	if (!b->reader.seek) {
		rc = walk(b, &row, e); /* wanted_accept() lets nothing in but the next part */
		if (rc <= 0)
			return rc;
	}
	c->sum_off = false;
	cursor_start(b, c, row, c->part + 1);
	return 1;
}

/* 1 when bytes of a part are to be read and the reader stands there, 0 at the end */
static int cursor_ready(struct bundle *b, struct cursor *c, struct err *e)
{
	const struct piece *piece;

	while (c->left == 0) {
		int rc = cursor_turn(b, c, e);

		if (rc <= 0)
			return rc;
	}
	piece = cursor_piece(b, c);
	if (b->reader.seek)
		b->reader.at = piece->data + piece->head.size - c->left;
	return 1;
}

static ssize_t cursor_take(struct bundle *b, struct cursor *c, struct span *out, struct err *e)
{
	ssize_t k = cursor_ready(b, c, e);
	uint64_t max = c->left < out->room ? c->left : out->room;

	if (k > 0 && out->mem)
		k = cpio_read(&b->reader, out->mem, max, e);
	else if (k > 0)
		k = cpio_lend(&b->reader, max, &out->bytes, e);
	if (k < 0)
		return err_at(e, (int)k, "member '%s'", c->row->payload.name);
	if (k > 0 && !c->sum_off && cursor_piece(b, c)->head.has_sum)
		c->sum = bytesum(c->sum, out->mem ? out->mem : out->bytes, (size_t)k);
	c->left -= (uint64_t)k;
	return k;
}

/* pipe: read the rest of the payload under way, so that the next header can be read */
static int cursor_finish(struct bundle *b, struct err *e)
{
	struct span out = {.room = SIZE_MAX};
	ssize_t k = b->cursor.row ? 1 : 0;

	while (k > 0)
		k = cursor_take(b, &b->cursor, &out, e);
	b->cursor.row = NULL;
	return (int)k;
}

/* after a failure nothing of the bundle can be trusted to be where it should be */
static int keep(struct bundle *b, int rc, const struct err *e)
{
	if (rc < 0 && b->rc == 0) {
		b->rc = rc;
		b->err = *e;
	}
	return rc;
}

static int next_wanted(struct bundle *b, const struct payload **p, struct err *e)
{
	struct wanted *row = NULL;
	int rc;

	if (b->streams)
		b->streams->b = NULL;
	b->streams = NULL;
	rc = cursor_finish(b, e);
	if (rc == 0)
		rc = walk(b, &row, e);
	if (rc <= 0 || !row)
		return rc;
	cursor_start(b, &b->cursor, row, 0);
	*p = &row->payload;
	return 1;
}

int bundle_next(struct bundle *b, const struct payload **p, struct err *e)
{
	if (b->rc < 0) {
		*e = b->err;
		return b->rc;
	}
	if (b->reader.seek || !b->bound)
		return err_set(e, E_INTERNAL, EINVAL, "bundle_next() is for pipes that were bound");
	return keep(b, next_wanted(b, p, e), e);
}

static ssize_t payload_take(struct stream *s, struct span *out, struct err *e)
{
	struct payload_stream *ps = (struct payload_stream *)s;
	ssize_t k;

	if (!ps->b)
		return err_set(e, E_INTERNAL, EINVAL,
			       "a payload was read after the bundle went on");
	k = cursor_take(ps->b, ps->c, out, e);
	if (ps->b->reader.seek || k > 0)
		return k;
	ps->b->cursor.row = NULL;
	atomic_store(&ps->over, true);
	return keep(ps->b, (int)k, e);
}

static ssize_t payload_next(struct stream *s, const uint8_t **buf, struct err *e)
{
	struct span out = {.room = SIZE_MAX};
	ssize_t k = payload_take(s, &out, e);

	*buf = out.bytes;
	return k;
}

/* straight into the caller's aligned memory, wherever in the archive the payload lies */
static ssize_t payload_read(struct stream *s, uint8_t *buf, size_t n, struct err *e)
{
	struct span out = {.mem = buf, .room = n};

	return payload_take(s, &out, e);
}

static int payload_seek(struct stream *s, uint64_t off, struct err *e)
{
	struct payload_stream *ps = (struct payload_stream *)s;
	struct cursor *c = ps->c;

	if (off > s->size)
		return err_set(e, E_RANGE, EINVAL, "byte %" PRIu64 " of a payload of %" PRIu64, off,
			       s->size);
	cursor_start(ps->b, c, c->row, 0);
	c->sum_off = false;
	while (off > c->left && c->part + 1 < wanted_members(c->row)) {
		off -= c->left;
		cursor_start(ps->b, c, c->row, c->part + 1);
	}
	c->sum_off = off != 0;
	c->left -= off;
	return 0;
}

/* another thread may wait in the bundle's source for the rest of this payload */
static void payload_stop(struct stream *s)
{
	struct payload_stream *ps = (struct payload_stream *)s;

	if (ps->b && !atomic_load(&ps->over))
		stream_stop(ps->b->src);
}

static void payload_close(struct stream *s)
{
	struct payload_stream *ps = (struct payload_stream *)s;

	if (ps->b && ps->b->streams == ps)
		ps->b->streams = NULL;
	free(ps);
}

static const struct stream_ops file_ops = {
	.name = "payload",
	.next = payload_next,
	.read = payload_read,
	.seek = payload_seek,
	.close = payload_close,
};

static const struct stream_ops pipe_ops = {
	.name = "payload",
	.next = payload_next,
	.read = payload_read,
	.stop = payload_stop,
	.close = payload_close,
};

int bundle_payload(struct bundle *b, const struct payload *p, struct stream **out, struct err *e)
{
	struct wanted *row = wanted_find(&b->wanted, p->name);
	struct payload_stream *ps;

	if (!row || (!b->reader.seek && (b->cursor.row != row || b->streams)))
		return err_set(e, E_INTERNAL, EINVAL, "'%s' is not the payload at hand", p->name);
	ps = calloc(1, sizeof(*ps));
	if (!ps)
		return err_set(e, E_MEMORY, ENOMEM, "a payload");
	stream_init(&ps->s, b->reader.seek ? &file_ops : &pipe_ops, NULL);
	ps->s.has_size = p->has_size;
	ps->s.size = p->size;
	ps->b = b;
	ps->c = b->reader.seek ? &ps->own : &b->cursor;
	if (b->reader.seek)
		cursor_start(b, ps->c, row, 0);
	else
		b->streams = ps;
	*out = &ps->s;
	return 0;
}

int bundle_list(struct bundle *b, int (*cb)(void *arg, const char *name, const struct cpio_head *h),
		void *arg, struct err *e)
{
	struct cpio_reader r;
	struct cpio_member m;
	int rc;

	if (!b->reader.seek)
		return err_set(e, E_INTERNAL, EINVAL, "a pipe cannot be listed");
	cpio_reader_init(&r, b->src, &b->opt);
	while ((rc = cpio_read_member(&r, &m, e)) > 0) {
		if (cb(arg, m.name, &m.head))
			break;
		rc = cpio_skip_content(&r, &m, e);
		if (rc < 0)
			break;
	}
	return rc < 0 ? rc : 0;
}
