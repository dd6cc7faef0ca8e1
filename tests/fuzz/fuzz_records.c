/*
 * The reader of records over any bytes, as a child that was taken over would send them (T54): no
 * crash, no path that leads out, the same whatever the chunks, and never more data than a file has.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/stream/records.h"
#include "tests/unit/kit/make_bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct result {
	int rc;
	uint64_t count, bytes;
};

static void look_at(const struct record *rec)
{
	if (record_path_fault(rec->path) || strlen(rec->target) > RECORD_PATH_MAX)
		abort(); /* a path that was not judged */
	if (rec->kind == RECORD_HARDLINK && record_path_fault(rec->target))
		abort();
	for (size_t i = 0; i < rec->xattr_count; i++)
		if (!rec->xattrs[i].name[0] || rec->xattrs[i].len > RECORD_XATTR_SPACE)
			abort();
}

static int read_file(struct records *r, const struct record *rec, uint64_t *bytes, struct err *e)
{
	struct record_piece p;
	uint64_t at = 0;
	int rc;

	while ((rc = records_data(r, &p, e)) > 0) {
		if (p.offset < at || p.offset > rec->size || p.len > rec->size - p.offset)
			abort(); /* bytes outside of their file */
		at = p.offset + p.len;
		*bytes += p.len;
	}
	return rc;
}

static struct result read_all(const uint8_t *data, size_t n, size_t chunk)
{
	struct stream *s = make_pipe_stream(data, n, chunk);
	struct result res = {0};
	struct err e = {0};
	struct records *r = records_new(s, &e);
	const struct record *rec;

	res.rc = r ? 1 : -1;
	while (res.rc > 0 && (res.rc = records_next(r, &rec, &e)) > 0) {
		look_at(rec);
		res.count++;
		if (read_file(r, rec, &res.bytes, &e) < 0)
			res.rc = -1;
	}
	if (res.rc < 0 && e.code == E_NONE)
		abort(); /* it failed without a reason */
	records_free(r);
	stream_close(s);
	return res;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct result one = read_all(data, n, 1 << 20), two = read_all(data, n, 7);

	if ((one.rc < 0) != (two.rc < 0) || one.count != two.count)
		abort(); /* the chunks changed the meaning */
	if (one.rc == 0 && one.bytes != two.bytes)
		abort();
	return 0;
}
