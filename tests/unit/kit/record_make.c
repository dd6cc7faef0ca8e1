#include "tests/unit/kit/record_make.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/stream/records_private.h"

struct record record_of(enum record_kind kind, const char *path)
{
	return (struct record){.kind = kind,
			       .path = path,
			       .target = "",
			       .mode = kind == RECORD_DIR ? 0755 : 0644,
			       .mtime = 1000000000};
}

/* a head that the writer refuses is written as a harmless one and changed afterwards */
static void put_wild(struct blob *b, const struct record *rec)
{
	struct record tame = *rec;
	size_t at = b->len;

	tame.kind = RECORD_DIR;
	tame.mode = 0;
	tame.target = "";
	tame.size = 0;
	tame.major = tame.minor = tame.mtime_ns = 0;
	record_put(b, &tame);

	uint8_t *h = b->data + at;

	h[RECORD_AT_KIND] = (uint8_t)rec->kind;
	for (unsigned i = 0; i < 8; i++) {
		h[RECORD_AT_SIZE + i] = (uint8_t)(rec->size >> 8 * i);
		if (i < 4) {
			h[RECORD_AT_MODE + i] = (uint8_t)(rec->mode >> 8 * i);
			h[RECORD_AT_MTIME_NS + i] = (uint8_t)(rec->mtime_ns >> 8 * i);
			h[RECORD_AT_MAJOR + i] = (uint8_t)(rec->major >> 8 * i);
			h[RECORD_AT_MINOR + i] = (uint8_t)(rec->minor >> 8 * i);
		}
	}
	h[RECORD_AT_TARGET] = (uint8_t)strlen(rec->target);
	h[RECORD_AT_TARGET + 1] = (uint8_t)(strlen(rec->target) >> 8);
	blob_add(b, rec->target, strlen(rec->target));
}

void record_put(struct blob *b, const struct record *rec)
{
	uint8_t *buf = malloc(RECORD_HEAD_MAX);
	ssize_t n = buf ? record_write(rec, buf, RECORD_HEAD_MAX) : -1;

	if (n >= 0) {
		blob_add(b, buf, (size_t)n);
	} else if (rec->kind == RECORD_DIR && !rec->mode && !rec->size && !rec->target[0]) {
		fprintf(stderr, "no record can be made of this\n");
		exit(99);
	} else {
		put_wild(b, rec);
	}
	free(buf);
}

void record_put_extent(struct blob *b, uint64_t offset, uint64_t len)
{
	uint8_t buf[RECORD_EXTENT];

	record_write_extent(offset, len, buf);
	blob_add(b, buf, sizeof(buf));
}

void record_put_file(struct blob *b, const struct record *rec, const void *data, size_t n)
{
	struct record r = *rec;

	r.size = n;
	record_put(b, &r);
	if (n) {
		record_put_extent(b, 0, n);
		blob_add(b, data, n);
	}
	record_put_extent(b, n, 0);
}
