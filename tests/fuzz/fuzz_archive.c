/*
 * What swinstall-unpack does with an archive, in this process (T48): any bytes become an error or
 * records that the reader takes, and an end that was seen is not seen one byte earlier.
 */
#include <stdint.h>
#include <stdlib.h>

#include "corelib/stream/archive.h"
#include "tests/unit/kit/make_bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { MOST = 8 << 20 };

struct result {
	int rc;
	uint64_t count, bytes;
};

static int read_records(struct stream *s, struct result *res, struct err *e)
{
	struct records *r = records_new(s, e);
	const struct record *rec;
	struct record_piece p;
	int rc = r ? 1 : -1;

	while (rc > 0 && res->bytes < MOST && (rc = records_next(r, &rec, e)) > 0) {
		res->count++;
		while ((rc = records_data(r, &p, e)) > 0 && res->bytes < MOST)
			res->bytes += p.len;
		rc = rc < 0 ? rc : 1;
	}
	records_free(r);
	return rc;
}

static struct result unpack(const uint8_t *data, size_t n, size_t chunk)
{
	struct stream *s = make_pipe_stream(data, n, chunk);
	struct result res = {0};
	struct err e = {0};

	res.rc = stage_guess_open(&s, 1 << 20, &e);
	if (res.rc == 0)
		res.rc = stage_untar_open(&s, &e);
	if (res.rc == 0)
		res.rc = read_records(s, &res, &e);
	if (res.rc < 0 && (e.code == E_NONE || e.code == E_WORKER))
		abort(); /* no reason, or a record that the reader does not take */
	stream_close(s);
	return res;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static int warm;
	struct result one, two;

	if (!warm)
		archive_warm_up();
	warm = 1;
	one = unpack(data, n, 1 << 20);
	if (one.bytes >= MOST)
		return 0;
	two = unpack(data, n, 511);
	if ((one.rc < 0) != (two.rc < 0) || (one.rc == 0 && one.count != two.count))
		abort(); /* the chunks changed the meaning */
	return 0;
}
