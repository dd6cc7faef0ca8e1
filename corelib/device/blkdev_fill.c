/* The fill: a stream goes to a device in whole aligned blocks, and only what is not there already.
 */
#include "corelib/device/blkdev.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/text.h"

#define WINDOW STREAM_BLOCK
#define GATHER (WINDOW / 4) /* smaller blocks are copied together: small direct writes are slow */
#define GRAIN  4096u	    /* unit of comparing: what file systems are made of */
#define PIECE  (64u * 1024) /* what one look costs while nothing is found equal */
#define RUNS   32u /* so many separate writes in a window, then small gaps are written too */
#define GAP    4u  /* in grains */
#define EAGER  8u  /* a row of n different windows is followed by n / EAGER unseen ones */
#define LAZY   64u

struct filler {
	struct blkdev *d;
	uint64_t pos; /* where the next byte of the stream goes */
	uint64_t end; /* the first byte that must not be written */
	uint8_t *buf; /* gathers [pos - have, pos); the byte for offset o is at o % WINDOW */
	size_t have;
	enum blkdev_compare compare;
	uint8_t *old;	 /* what the medium holds */
	bool equal;	 /* the last window that was looked at had something equal */
	uint64_t misses; /* windows in a row without anything equal */
	uint64_t unseen; /* windows to be written without a look */
	bool zeroing;
};

/* ---- small helpers ---- */

static bool is_zero(const uint8_t *p, size_t n)
{
	static const uint8_t zero[64];

	if (n <= sizeof(zero))
		return memcmp(p, zero, n) == 0;
	return memcmp(p, zero, sizeof(zero)) == 0 &&
	       memcmp(p, p + sizeof(zero), n - sizeof(zero)) == 0;
}

static size_t grain_of(const struct filler *f)
{
	return f->d->io_align > GRAIN ? f->d->io_align : GRAIN;
}

static int window_new(const struct filler *f, uint8_t **buf, struct err *e)
{
	size_t align = f->d->mem_align > STREAM_ALIGN ? f->d->mem_align : STREAM_ALIGN;

	if (*buf)
		return 0;
	if (posix_memalign((void **)buf, align, WINDOW)) {
		*buf = NULL;
		return err_set(e, E_MEMORY, ENOMEM, "a block to write");
	}
	return 0;
}

/* ---- writing ---- */

static int write_out(struct filler *f, uint64_t off, const uint8_t *p, size_t n, struct err *e)
{
	int rc = f->d->ops->pwrite(f->d, p, n, off, e);

	if (rc == 0)
		f->d->written += n;
	return rc;
}

static int zero_out(struct filler *f, uint64_t off, const uint8_t *p, size_t n, struct err *e)
{
	struct err own;
	int rc = -EOPNOTSUPP;

	if (off % GRAIN ||
	    n % GRAIN) /* a device knows sectors only: no reason to give up zeroing */
		return write_out(f, off, p, n, e);
	err_clear(&own);
	if (f->zeroing)
		rc = f->d->ops->zero(f->d, off, n, &own);
	if (rc == 0) {
		f->d->zeroed += n;
		return 0;
	}
	if (rc != -EOPNOTSUPP) {
		*e = own;
		return rc;
	}
	f->zeroing = false;
	return write_out(f, off, p, n, e);
}

/* into a place that reads zero: runs of zeros are left out */
static int write_sparse(struct filler *f, uint64_t off, const uint8_t *p, size_t n, struct err *e)
{
	size_t from = 0, to;

	for (size_t i = 0; i < n; i = to) {
		to = n - i > PIECE ? i + PIECE : n;
		if (!is_zero(p + i, to - i))
			continue;
		if (i > from && write_out(f, off + from, p + from, i - from, e) < 0)
			return -e->sys;
		f->d->skipped += to - i;
		from = to;
	}
	return n > from ? write_out(f, off + from, p + from, n - from, e) : 0;
}

/* ---- comparing ---- */

/* a part of the medium that cannot be read counts as different: writing may heal it */
static bool read_old(struct filler *f, uint64_t off, size_t n, size_t need)
{
	struct err own;

	err_clear(&own);
	return f->d->ops->pread(f->d, f->old, n, off, &own) >= (ssize_t)need;
}

static void found(struct filler *f)
{
	f->equal = true;
	f->misses = 0;
}

static void missed(struct filler *f)
{
	uint64_t row = ++f->misses / EAGER;

	f->equal = false;
	if (f->compare == COMPARE_AUTO)
		f->unseen = row < LAZY ? row : LAZY;
}

static bool wants_look(struct filler *f)
{
	if (f->compare == COMPARE_NO)
		return false;
	if (f->unseen == 0)
		return true;
	f->unseen--;
	f->misses++;
	return false;
}

/* is any grain of the first piece that is not zero on the medium? zeros say nothing about an image
 */
static bool probe(struct filler *f, uint64_t off, const uint8_t *p, size_t n)
{
	const size_t grain = grain_of(f);
	size_t at = 0, len;

	while (n - at > PIECE && is_zero(p + at, PIECE))
		at += PIECE;
	len = n - at < PIECE ? n - at : PIECE;
	if (!read_old(f, off + at, len, len))
		return false;
	for (size_t i = 0; i < len; i += grain) {
		size_t m = len - i < grain ? len - i : grain;

		if (memcmp(p + at + i, f->old + i, m) == 0 && !is_zero(p + at + i, m))
			return true;
	}
	return false;
}

struct diff {
	bool differs[WINDOW / GRAIN + 1];
	size_t grains, count, runs;
	bool hit; /* something other than zeros is equal */
};

static void find_diff(const struct filler *f, const uint8_t *p, size_t n, struct diff *df)
{
	const size_t grain = grain_of(f);

	memset(df, 0, sizeof(*df));
	for (size_t i = 0; i < n; i += grain, df->grains++) {
		size_t m = n - i < grain ? n - i : grain;
		bool differs = memcmp(p + i, f->old + i, m) != 0;

		df->differs[df->grains] = differs;
		df->count += differs;
		df->runs += differs && (df->grains == 0 || !df->differs[df->grains - 1]);
		df->hit = df->hit || (!differs && !is_zero(p + i, m));
	}
}

/* the end of the run of differing grains that begins at i; gaps up to 'gap' belong to it */
static size_t run_end(const struct diff *df, size_t i, size_t gap)
{
	size_t end = i;

	for (; i < df->grains && i - end <= gap; i++)
		if (df->differs[i])
			end = i + 1;
	return end;
}

static int write_diff(struct filler *f, uint64_t off, const uint8_t *p, size_t n, struct err *e)
{
	const size_t grain = grain_of(f);
	struct diff df;
	size_t gap, to;

	find_diff(f, p, n, &df);
	if (df.hit)
		found(f);
	else
		missed(f);
	if (df.count * 8 >= df.grains * 7)
		return write_out(f, off, p, n, e);
	gap = df.runs > RUNS ? GAP : 0;
	for (size_t i = 0; i < df.grains; i = to) {
		size_t from = i * grain, last;

		to = i + 1;
		if (df.differs[i]) {
			to = run_end(&df, i, gap);
			last = to * grain < n ? to * grain : n;
			if (write_out(f, off + from, p + from, last - from, e) < 0)
				return -e->sys;
		} else {
			f->d->skipped += grain < n - from ? grain : n - from;
		}
	}
	return 0;
}

static int compare_block(struct filler *f, uint64_t off, const uint8_t *p, size_t n, struct err *e)
{
	const bool zero = is_zero(p, n), eager = f->equal || f->compare == COMPARE_YES;

	if (window_new(f, &f->old, e) < 0)
		return -e->sys;
	if (zero && ((f->misses && !eager) || !read_old(f, off, n, n)))
		return zero_out(f, off, p, n, e);
	if (!zero && ((!eager && !probe(f, off, p, n)) || !read_old(f, off, n, n))) {
		missed(f);
		return write_out(f, off, p, n, e);
	}
	if (memcmp(p, f->old, n) != 0)
		return zero ? zero_out(f, off, p, n, e) : write_diff(f, off, p, n, e);
	if (!zero)
		found(f);
	f->d->skipped += n;
	return 0;
}

/* ---- from bytes to aligned blocks ---- */

static int put_block(struct filler *f, uint64_t off, const uint8_t *p, size_t n, struct err *e)
{
	if (f->d->reads_zero)
		return write_sparse(f, off, p, n, e);
	if (wants_look(f))
		return compare_block(f, off, p, n, e);
	if (f->zeroing && is_zero(p, n))
		return zero_out(f, off, p, n, e);
	return write_out(f, off, p, n, e);
}

static bool rest_is_there(struct filler *f, uint64_t off, const uint8_t *p, size_t n)
{
	const uint8_t *old = f->old;
	const size_t in = off % f->d->io_align;

	return read_old(f, off - in, f->d->io_align, in + n) && memcmp(old + in, p, n) == 0;
}

/* a head or tail smaller than the device's unit */
static int put_rest(struct filler *f, uint64_t off, const uint8_t *p, size_t n, struct err *e)
{
	int (*any)(struct blkdev *, const void *, size_t, uint64_t, struct err *);
	int rc;

	if (f->compare != COMPARE_NO) {
		if (window_new(f, &f->old, e) < 0)
			return -e->sys;
		if (rest_is_there(f, off, p, n)) {
			f->d->skipped += n;
			return 0;
		}
	}
	any = f->d->ops->pwrite_any ? f->d->ops->pwrite_any : f->d->ops->pwrite;
	rc = any(f->d, p, n, off, e);
	if (rc == 0)
		f->d->written += n;
	return rc;
}

static int put(struct filler *f, uint64_t off, const uint8_t *p, size_t n, struct err *e)
{
	const size_t align = f->d->io_align;
	size_t head = off % align ? align - off % align : 0, body;
	int rc = 0;

	if (off > f->end || n > f->end - off) /* a stream of unknown size, or one that lied */
		return err_at(e,
			      err_set(e, E_TARGET_SMALL, ENOSPC,
				      "there is room up to byte %" PRIu64 ", the payload is longer",
				      f->end),
			      "%s", f->d->name);
	head = head < n ? head : n;
	body = (n - head) / align * align;
	if (head)
		rc = put_rest(f, off, p, head, e);
	if (rc < 0)
		return rc;
	if (body)
		rc = put_block(f, off + head, p + head, body, e);
	if (rc < 0)
		return rc;
	if (head + body < n)
		rc = put_rest(f, off + head + body, p + head + body, n - head - body, e);
	return rc;
}

/* how much of a lent block can be written from where it lies; 0 = copy */
static size_t as_it_is(const struct filler *f, const uint8_t *p, size_t n)
{
	const size_t unit = grain_of(f);

	if (f->have || n < GATHER || (uintptr_t)p % f->d->mem_align || f->pos % unit)
		return 0;
	return (n < WINDOW ? n : WINDOW) / unit * unit;
}

static int put_gathered(struct filler *f, struct err *e)
{
	const uint64_t off = f->pos - f->have;
	const size_t n = f->have;

	f->have = 0;
	return n ? put(f, off, f->buf + off % WINDOW, n, e) : 0;
}

/* ---- the whole ---- */

static enum blkdev_compare choose_compare(const struct blkdev *d, enum blkdev_compare want)
{
	if (!d->ops->pread || d->sequential || d->broken || d->reads_zero)
		return COMPARE_NO;
	return want == COMPARE_AUTO ? d->compare : want;
}

static int check_room(struct filler *f, const struct stream *in, const struct fill *how,
		      struct err *e)
{
	const uint64_t need = in->has_size ? in->size : 0;
	const struct blkdev *d = f->d;

	if (blkdev_range(d, how->offset, need, e) < 0)
		return -e->sys;
	f->end = d->has_size ? d->size : INT64_MAX;
	if (how->limit && how->limit < f->end - how->offset)
		f->end = how->offset + how->limit;
	if (need > f->end - how->offset)
		return err_at(e,
			      err_set(e, E_TARGET_SMALL, ENOSPC,
				      "%" PRIu64 " bytes may be written at "
				      "offset %" PRIu64 ", the payload has %" PRIu64,
				      how->limit, how->offset, need),
			      "%s", d->name);
	if (d->sequential && how->offset)
		return err_at(e, err_set(e, E_RANGE, ESPIPE, "it is written from its start only"),
			      "%s", d->name);
	if (d->needs_total && !in->has_size)
		return err_at(e,
			      err_set(e, E_TARGET, EINVAL,
				      "it must know the size of the payload "
				      "beforehand"),
			      "%s", d->name);
	return 0;
}

/* what can be written from where it lies is; the rest is gathered into whole windows */
static int pour(struct filler *f, struct stream *in, struct err *e)
{
	const uint8_t *p;
	ssize_t n;
	int rc;

	while ((n = stream_next(in, &p, e)) > 0) {
		for (size_t left = (size_t)n, m; left > 0; p += m, left -= m) {
			m = as_it_is(f, p, left);
			if (m > 0) {
				rc = put(f, f->pos, p, m, e);
				f->pos += m;
			} else if (window_new(f, &f->buf, e) < 0) {
				return -e->sys;
			} else {
				const size_t at = f->pos % WINDOW;

				m = left < WINDOW - at ? left : WINDOW - at;
				memcpy(f->buf + at, p, m);
				f->have += m;
				f->pos += m;
				rc = f->pos % WINDOW == 0 ? put_gathered(f, e) : 0;
			}
			if (rc < 0)
				return rc;
		}
	}
	if (n < 0)
		return (int)n;
	rc = put_gathered(f, e);
	if (rc < 0)
		return rc;
	return f->d->ops->finish ? f->d->ops->finish(f->d, f->pos, e) : 0;
}

int blkdev_fill(struct blkdev *d, struct stream *in, const struct fill *how, struct err *e)
{
	struct filler f = {
		.d = d,
		.pos = how->offset,
		.compare = choose_compare(d, how->compare),
		.zeroing = d->ops->zero && !d->sequential,
	};
	int rc = check_room(&f, in, how, e);

	if (rc == 0)
		rc = pour(&f, in, e);
	d->reads_zero = false; /* only once is it fresh */
	free(f.buf);
	free(f.old);
	return rc;
}
