/* stage_untar: libarchive pulls from the upstream, records are pulled from here. */
#include "corelib/stream/archive.h"

#include <archive.h>
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/stream/archive_private.h"
#include "corelib/stream/codec.h"

#define BLOCK	    512u
#define END_MARK    (2 * BLOCK)
#define PADDING_MAX (16u << 20) /* zeros behind the end mark; tar pads to its blocking factor */

struct untar {
	struct stream stream;
	struct archive *a;
	struct archive_entry *entry;
	struct archive_draft draft;
	bool opened, in_file, ended;
	uint64_t size, at;  /* of the file */
	const uint8_t *out; /* ready to be taken: of the draft, or lent by the library */
	size_t out_len;
	const uint8_t *data; /* what follows them */
	size_t data_len;
	/* of the upstream */
	uint64_t total, zeros_from; /* behind this place there were zeros only */
	struct err cause;
	int cause_rc;
};

/* ---- the library's source -----------------------------------------------------------------------
 */

static void note_zeros(struct untar *u, const uint8_t *buf, size_t n)
{
	for (size_t i = n; i > 0; i--)
		if (buf[i - 1]) {
			u->zeros_from = u->total + i;
			break;
		}
	u->total += n;
}

static la_ssize_t pull(struct archive *a, void *arg, const void **buf)
{
	struct untar *u = arg;
	const uint8_t *block;
	ssize_t n = stream_next(u->stream.up, &block, &u->cause);

	if (n < 0) {
		u->cause_rc = (int)n;
		archive_set_error(a, EIO, "%s", "the source failed");
		return -1;
	}
	if (n > 0)
		note_zeros(u, block, (size_t)n);
	*buf = block;
	return n;
}

/* what went wrong: the source's own error, else what the library says */
static int failed(struct untar *u, struct err *e)
{
	const char *why = archive_error_string(u->a);
	const char *path = u->entry ? archive_entry_pathname(u->entry) : NULL;
	bool memory = archive_errno(u->a) == ENOMEM;

	if (u->cause_rc < 0) {
		*e = u->cause;
		return u->cause_rc;
	}
	return err_set(e, memory ? E_LIMIT_MEM : E_ARCHIVE, memory ? ENOMEM : EBADMSG,
		       "%s (entry %d%s%.100s)", why ? why : "the archive makes no sense",
		       archive_file_count(u->a), path ? ", at or behind " : "", path ? path : "");
}

/* ---- the end ------------------------------------------------------------------------------------
 */

/* the library takes any end between two entries for the end; only the mark is one */
static int check_end(struct untar *u, struct err *e)
{
	uint64_t mark = (uint64_t)archive_read_header_position(u->a);
	const uint8_t *buf;
	ssize_t n;

	while ((n = stream_next(u->stream.up, &buf, e)) > 0) {
		note_zeros(u, buf, (size_t)n);
		if (u->zeros_from > mark || u->total - mark > PADDING_MAX)
			break;
	}
	if (n < 0)
		return (int)n;
	if (u->total < mark || u->total - mark < END_MARK)
		return err_set(e, E_ARCHIVE, ENODATA, "the archive ends without its end mark");
	if (n > 0 || u->zeros_from > mark)
		return err_set(e, E_ARCHIVE, EBADMSG, "there are bytes behind the end mark");
	u->ended = true;
	return 0;
}

/* ---- records ------------------------------------------------------------------------------------
 */

static void ready_extent(struct untar *u, uint64_t offset, size_t len)
{
	record_write_extent(offset, len, u->draft.head);
	u->out = u->draft.head;
	u->out_len = RECORD_EXTENT;
}

static int next_entry(struct untar *u, struct err *e)
{
	int rc = archive_read_next_header2(u->a, u->entry);

	if (rc == ARCHIVE_EOF)
		return check_end(u, e);
	if (rc != ARCHIVE_OK)
		return failed(u, e);

	ssize_t n = archive_draft_write(&u->draft, u->entry, e);

	if (n < 0)
		return (int)n;
	u->out = u->draft.head;
	u->out_len = (size_t)n;
	u->size = archive_draft_size(u->entry);
	u->at = 0;
	u->in_file =
		archive_entry_filetype(u->entry) == AE_IFREG && !archive_entry_hardlink(u->entry);
	return 1;
}

static int next_data(struct untar *u, struct err *e)
{
	const void *block = NULL;
	size_t len = 0;
	la_int64_t offset = 0;
	int rc;

	do
		rc = archive_read_data_block(u->a, &block, &len, &offset);
	while (rc == ARCHIVE_OK && len == 0);
	if (rc != ARCHIVE_OK && rc != ARCHIVE_EOF)
		return failed(u, e);
	if (rc == ARCHIVE_EOF) {
		ready_extent(u, u->size, 0);
		u->in_file = false;
		return 1;
	}
	if (offset < 0 || (uint64_t)offset < u->at || (uint64_t)offset > u->size ||
	    len > u->size - (uint64_t)offset)
		return err_set(e, E_ARCHIVE, EBADMSG, "a file has bytes outside of its size");
	u->at = (uint64_t)offset + len;
	ready_extent(u, (uint64_t)offset, len);
	u->data = block;
	u->data_len = len;
	return 1;
}

/* 1 = bytes are ready, 0 = the end */
static int advance(struct untar *u, struct err *e)
{
	if (u->out_len)
		return 1;
	if (u->data_len) {
		u->out = u->data;
		u->out_len = u->data_len;
		u->data_len = 0;
		return 1;
	}
	if (u->ended)
		return 0;
	if (!u->opened && archive_read_open1(u->a) != ARCHIVE_OK)
		return failed(u, e);
	u->opened = true;
	return u->in_file ? next_data(u, e) : next_entry(u, e);
}

static ssize_t untar_read(struct stream *s, uint8_t *buf, size_t n, struct err *e)
{
	struct untar *u = (struct untar *)s;
	size_t got = 0;

	while (got < n) {
		int rc = advance(u, e);

		if (rc < 0)
			return codec_settle(s->up, rc, e);
		if (rc == 0)
			break;

		size_t k = u->out_len < n - got ? u->out_len : n - got;

		memcpy(buf + got, u->out, k);
		u->out += k;
		u->out_len -= k;
		got += k;
	}
	return (ssize_t)got;
}

/* ---- life ---------------------------------------------------------------------------------------
 */

static void untar_close(struct stream *s)
{
	struct untar *u = (struct untar *)s;

	archive_entry_free(u->entry);
	archive_read_free(u->a);
	free(u);
}

static const struct stream_ops untar_ops = {
	.name = "untar",
	.read = untar_read,
	.close = untar_close,
};

void archive_warm_up(void)
{
	/* names in pax headers are UTF-8; in another locale iconv would open its modules */
	setlocale(LC_CTYPE, "C.UTF-8");
}

int stage_untar_open(struct stream **s, struct err *e)
{
	struct untar *u = calloc(1, sizeof(*u));

	if (!u)
		return err_set(e, E_MEMORY, ENOMEM, "no memory to read an archive");
	u->a = archive_read_new();
	u->entry = u->a ? archive_entry_new2(u->a) : NULL;
	if (!u->entry || archive_read_support_format_tar(u->a) != ARCHIVE_OK ||
	    archive_read_set_read_callback(u->a, pull) != ARCHIVE_OK ||
	    archive_read_set_callback_data(u->a, u) != ARCHIVE_OK) {
		archive_entry_free(u->entry);
		archive_read_free(u->a);
		free(u);
		return err_set(e, E_MEMORY, ENOMEM, "no memory to read an archive");
	}
	stream_init(&u->stream, &untar_ops, *s);
	*s = &u->stream;
	return 0;
}
