/* Walking a cpio archive, over a seekable source or a pipe. */
#include "parser/cpio_read.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "corelib/base/crc32c.h"
#include "corelib/base/digest.h"
#include "corelib/base/text.h"

#define TAIL_LOOK (1024u * 1024)

void cpio_reader_init(struct cpio_reader *r, struct stream *src, const struct bundle_options *o)
{
	*r = (struct cpio_reader){
		.src = src,
		.seek = stream_can_seek(src) && src->has_size,
		.loose = o->loose,
		.strict = o->strict,
	};
}

/* payloads of a file are read in any order: bring the source to r->at */
static int go_there(struct cpio_reader *r, struct err *e)
{
	if (!r->seek || r->src->pos == r->at)
		return 0;
	return stream_seek(r->src, r->at, e);
}

/* up to n bytes; fewer only at the end of the source */
static ssize_t take(struct cpio_reader *r, uint8_t *buf, size_t n, struct err *e)
{
	size_t got = 0;
	int rc = go_there(r, e);

	if (rc < 0)
		return rc;
	while (got < n) {
		const uint8_t *p;
		/* not stream_read(): a pipe is read in blocks, not in headers */
		ssize_t k = stream_next_max(r->src, n - got, &p, e);

		if (k < 0)
			return k;
		if (k == 0)
			break;
		memcpy(buf + got, p, (size_t)k);
		got += (size_t)k;
		r->at += (uint64_t)k;
	}
	return (ssize_t)got;
}

static int truncated(const struct cpio_reader *r, const char *inside, struct err *e)
{
	return err_set(e, E_TRUNCATED, EIO, "the bundle ends at byte %" PRIu64 ", inside %s", r->at,
		       inside);
}

static int take_all(struct cpio_reader *r, uint8_t *buf, size_t n, const char *inside,
		    struct err *e)
{
	ssize_t k = take(r, buf, n, e);

	if (k < 0)
		return (int)k;
	return (size_t)k == n ? 0 : truncated(r, inside, e);
}

/* members and contents begin at multiples of 4, counted from the start of the archive */
static int skip_padding(struct cpio_reader *r, struct err *e)
{
	uint8_t pad[3];
	size_t n = (4 - r->at % 4) % 4;
	ssize_t k;

	if (r->seek && !r->strict) {
		r->at += n;
		return 0;
	}
	k = take(r, pad, n, e);
	for (ssize_t i = 0; r->strict && i < k; i++)
		if (pad[i])
			return err_set(e, E_CPIO_HEADER, EINVAL,
				       "the padding before byte %" PRIu64 " is not NUL", r->at);
	return k < 0 ? (int)k : 0; /* an end here is told by what must follow */
}

static int no_trailer(const struct cpio_reader *r, struct err *e)
{
	return err_set(e, E_CPIO_TRAILER, EIO,
		       "the bundle ends at byte %" PRIu64 " without the member TRAILER!!!", r->at);
}

/* 0 or -errno */
static int read_head(struct cpio_reader *r, struct cpio_head *h, struct err *e)
{
	uint8_t head[CPIO_HEAD] = {0};
	uint64_t start = r->at;
	ssize_t k = take(r, head, sizeof(head), e);

	if (k < 0)
		return (int)k;
	if (k == 0 && start > 0)
		return no_trailer(r, e);
	if (k >= 6 && start > 0 && memcmp(head, "07070", 5) != 0)
		return err_set(e, E_CPIO_HEADER, EINVAL,
			       "no member begins at byte %" PRIu64 ", where one must", start);
	if (k < CPIO_HEAD && (k < 6 || memcmp(head, "07070", 5) == 0))
		return truncated(r, "a member's header", e);
	return cpio_head_parse(h, head, r->loose, e);
}

static bool is_plain_file(uint32_t mode)
{
	return (mode & S_IFMT) == S_IFREG || (mode & S_IFMT) == 0;
}

static int check_member(const struct cpio_reader *r, const struct cpio_member *m, struct err *e)
{
	uint64_t end;

	if (r->seek && (u64_add(m->data, m->head.size, &end) || end > r->src->size))
		return err_set(e, E_TRUNCATED, EIO,
			       "'%s' should have %" PRIu64 " bytes from byte %" PRIu64
			       " on, but the bundle ends at byte %" PRIu64,
			       m->name, m->head.size, m->data, r->src->size);
	if (r->strict && !is_plain_file(m->head.mode))
		return err_set(e, E_CPIO_TYPE, EINVAL, "'%s' has the mode %o", m->name,
			       m->head.mode);
	return 0;
}

int cpio_read_member(struct cpio_reader *r, struct cpio_member *m, struct err *e)
{
	int rc = skip_padding(r, e);

	memset(m, 0, sizeof(*m));
	if (rc == 0)
		rc = read_head(r, &m->head, e);
	if (rc < 0)
		return rc;
	rc = take_all(r, (uint8_t *)m->name, m->head.namesize, "a member's name", e);
	if (rc == 0)
		rc = cpio_name_check(m->name, m->head.namesize, e);
	if (rc < 0)
		return rc;
	if (strcmp(m->name, CPIO_TRAILER) == 0) {
		if (m->head.size)
			return err_set(e, E_CPIO_TRAILER, EINVAL,
				       "TRAILER!!! has %" PRIu64 " bytes of content", m->head.size);
		return 0; /* some writers end right here, without padding */
	}
	rc = skip_padding(r, e);
	if (rc < 0)
		return rc;
	m->data = r->at;
	rc = check_member(r, m, e);
	return rc < 0 ? rc : 1;
}

/* the count of a read of content */
static ssize_t content(struct cpio_reader *r, ssize_t k, struct err *e)
{
	if (k == 0)
		return truncated(r, "a member's content", e);
	if (k > 0)
		r->at += (uint64_t)k;
	return k;
}

ssize_t cpio_lend(struct cpio_reader *r, uint64_t max, const uint8_t **buf, struct err *e)
{
	int rc = go_there(r, e);

	if (rc < 0)
		return rc;
	return content(r, stream_next_max(r->src, max, buf, e), e);
}

ssize_t cpio_read(struct cpio_reader *r, uint8_t *buf, uint64_t max, struct err *e)
{
	int rc = go_there(r, e);

	if (rc < 0)
		return rc;
	return content(r, stream_read(r->src, buf, max, e), e);
}

int cpio_sum_check(const struct cpio_head *h, uint32_t sum, struct err *e)
{
	if (!h->has_sum || h->sum == sum)
		return 0;
	return err_set(e, E_CPIO_SUM, EIO,
		       "the bytes add up to %08" PRIx32 ", the header says %08" PRIx32, sum,
		       h->sum);
}

int cpio_read_content(struct cpio_reader *r, const struct cpio_member *m, uint8_t *buf,
		      struct err *e)
{
	int rc = take_all(r, buf, m->head.size, "a member's content", e);

	if (rc == 0)
		rc = cpio_sum_check(&m->head, bytesum(0, buf, m->head.size), e);
	return err_at(e, rc, "member '%s'", m->name);
}

int cpio_skip_content(struct cpio_reader *r, const struct cpio_member *m, struct err *e)
{
	uint32_t sum = 0;
	int rc;

	if (r->seek) {
		r->at = m->data + m->head.size; /* check_member() has compared it with the end */
		return 0;
	}
	for (uint64_t left = m->head.size; left;) {
		const uint8_t *p;
		ssize_t k = cpio_lend(r, left, &p, e);

		if (k < 0)
			return err_at(e, (int)k, "member '%s'", m->name);
		if (m->head.has_sum)
			sum = bytesum(sum, p, (size_t)k);
		left -= (uint64_t)k;
	}
	rc = cpio_sum_check(&m->head, sum, e);
	return err_at(e, rc, "member '%s'", m->name);
}

static bool all_nul(const uint8_t *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

int cpio_read_tail(struct cpio_reader *r, struct err *e)
{
	uint64_t looked = 0;
	int rc;

	if (!r->seek)
		return !all_nul(r->src->lent, r->src->lent_len);
	rc = go_there(r, e);
	while (rc == 0 && (r->strict || looked < TAIL_LOOK)) {
		const uint8_t *p;
		ssize_t k = stream_next(r->src, &p, e);

		if (k <= 0)
			return (int)k;
		r->at += (uint64_t)k;
		looked += (uint64_t)k;
		rc = !all_nul(p, (size_t)k);
	}
	return rc;
}
