/* Reading bundles in tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <time.h>

#include "corelib/base/text.h"
#include "tests/unit/kit/bundle_run.h"

const char br_desc[BR_DESC_LEN + 1] = "software = { version = \"1\"; };";

struct br_want br_want_names(const char *a, const char *b)
{
	struct br_want w = {.entries = {{.filename = a}, {.filename = b}}};

	w.count = (a != NULL) + (b != NULL);
	return w;
}

int br_collect(struct stream *s, char *out, size_t room, struct err *e)
{
	const uint8_t *p;
	ssize_t k;
	size_t n = strlen(out);

	while ((k = stream_next(s, &p, e)) > 0) {
		for (ssize_t i = 0; i < k && n + 1 < room; i++)
			out[n++] = (char)p[i];
		out[n] = '\0';
	}
	return (int)k;
}

int br_read_payload(struct bundle *b, const struct payload *p, char *out, size_t room,
		    struct err *e)
{
	AUTO_STREAM struct stream *s = NULL;
	int rc = bundle_payload(b, p, &s, e);

	out[0] = '\0';
	return rc < 0 ? rc : br_collect(s, out, room, e);
}

static size_t br_which(const struct br_want *w, const char *name)
{
	for (size_t i = 0; i < w->count; i++)
		if (strcmp(w->entries[i].filename, name) == 0)
			return i;
	fail_msg("'%s' was not asked for", name);
	return 0;
}

int br_read_file(struct bundle *b, const struct br_want *w, struct br_result *r, struct err *e)
{
	for (size_t i = 0; i < w->count; i++) {
		const struct payload *p = bundle_find(b, w->entries[i].filename);
		int rc;

		assert_non_null(p);
		assert_true(p->has_size);
		rc = br_read_payload(b, p, r->got[i], sizeof(r->got[i]), e);
		if (rc < 0)
			return rc;
		r->size[i] = p->size;
	}
	return 0;
}

static int br_read_pipe(struct bundle *b, const struct br_want *w, struct br_result *r,
			struct err *e)
{
	const struct payload *p;
	int rc;

	while ((rc = bundle_next(b, &p, e)) > 0) {
		size_t i = br_which(w, p->name);

		rc = br_read_payload(b, p, r->got[i], sizeof(r->got[i]), e);
		if (rc < 0)
			return rc;
	}
	return rc;
}

int br_run(struct stream **src, const struct br_want *w, struct br_result *r, struct err *e)
{
	struct manifest m = {.entries = w->entries, .entry_count = w->count};
	struct bundle *b = NULL;
	int rc = bundle_open(&b, src, &w->opt, e);

	if (rc == 0)
		rc = bundle_bind(b, &m, e);
	if (rc == 0)
		rc = bundle_can_seek(b) ? br_read_file(b, w, r, e) : br_read_pipe(b, w, r, e);
	if (b) {
		r->skipped = bundle_skipped(b);
		r->tail = bundle_has_tail(b);
	}
	bundle_close(b);
	return rc;
}

/* chunk 0: a file */
struct br_result br_install(const void *bytes, size_t n, const struct br_want *w, size_t chunk)
{
	AUTO_STREAM struct stream *src = NULL;
	struct br_result r = {0};
	struct err e = {0};
	int rc = 0;

	if (chunk)
		src = make_pipe_stream(bytes, n, chunk);
	else
		rc = stream_mem_open(&src, bytes, n, &e);
	if (rc == 0)
		rc = br_run(&src, w, &r, &e);
	r.code = rc < 0 ? e.code : E_NONE;
	if (rc < 0)
		assert_int_not_equal(e.code, E_NONE);
	memcpy(r.why, e.why, sizeof(r.why));
	return r;
}

enum errcode br_install_fake(struct fake *f, const struct br_want *w, struct br_result *r)
{
	AUTO_STREAM struct stream *src = NULL;
	struct err e = {0};
	int rc;

	assert_int_equal(fake_stream_open(&src, f, &e), 0);
	rc = br_run(&src, w, r, &e);
	src = stream_close(src);
	assert_int_equal(f->closed, 1);
	return rc < 0 ? e.code : E_NONE;
}

const size_t br_chunks[BR_CHUNKS] = {0, 1, 7, 4096, 1u << 20};

/* the same answer from a file and from pipes of any grain */
void br_expect(struct make_bundle *mb, const struct br_want *w, enum errcode code)
{
	for (size_t i = 0; i < BR_CHUNKS; i++) {
		struct br_result r = br_install(mb->bytes, mb->n, w, br_chunks[i]);

		if (r.code != code)
			fail_msg("chunk %zu: code %d instead of %d (%s)", br_chunks[i], r.code,
				 code, r.why);
	}
	make_bundle_free(mb);
}

void br_good_bundle(struct make_bundle *mb)
{
	make_bundle_add(mb, "sw-description", br_desc, BR_DESC_LEN);
	make_bundle_add(mb, "sw-description.sig", "sig", 3);
	make_bundle_add(mb, "a", "alpha", 5);
	make_bundle_add(mb, "README", "for other boards", 16);
	make_bundle_add(mb, "b", "beta", 4);
	make_bundle_add(mb, "empty", "", 0);
	make_bundle_trailer(mb);
}

double br_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void br_parts_bundle(struct make_bundle *mb, const char *const *names, size_t n)
{
	make_bundle_add(mb, "sw-description", br_desc, BR_DESC_LEN);
	for (size_t i = 0; i < n; i++) {
		size_t n3 = strlen(names[i]) < 3 ? strlen(names[i]) : 3;

		make_bundle_add(mb, names[i], names[i] + strlen(names[i]) - n3, n3);
	}
	make_bundle_trailer(mb);
}

struct bundle *br_open_bound(struct make_bundle *mb, const struct br_want *w, size_t chunk)
{
	struct manifest m = {.entries = w->entries, .entry_count = w->count};
	struct stream *src = NULL;
	struct bundle *b = NULL;
	struct err e = {0};

	if (chunk)
		src = make_pipe_stream(mb->bytes, mb->n, chunk);
	else
		assert_int_equal(stream_mem_open(&src, mb->bytes, mb->n, &e), 0);
	assert_int_equal(bundle_open(&b, &src, &w->opt, &e), 0);
	assert_int_equal(bundle_bind(b, &m, &e), 0);
	return b;
}
