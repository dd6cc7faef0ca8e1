/* A bundle read as a device reads it, from a file and from pipes, for the tests of bundles. */
#ifndef TESTS_BUNDLE_RUN_H
#define TESTS_BUNDLE_RUN_H

#include "parser/bundle.h"
#include "tests/unit/kit/fake_stream.h"
#include "tests/unit/kit/make_bundle.h"

#define BR_DESC_LEN 30
extern const char br_desc[BR_DESC_LEN + 1];

/* a device: what it wants, how it reads */
struct br_want {
	struct entry entries[4];
	size_t count;
	struct bundle_options opt;
};

struct br_result {
	enum errcode code;
	char got[4][64];  /* what came out of each wanted payload */
	uint64_t size[4]; /* from a file */
	uint64_t skipped;
	bool tail;
	char why[512];
};

/* 0: a file; else a pipe that gives so many bytes at a time */
#define BR_CHUNKS 5
extern const size_t br_chunks[BR_CHUNKS];

struct br_want br_want_names(const char *a, const char *b);
/* open, bind, read all that is wanted */
int br_run(struct stream **src, const struct br_want *w, struct br_result *r, struct err *e);
struct br_result br_install(const void *bytes, size_t n, const struct br_want *w, size_t chunk);
enum errcode br_install_fake(struct fake *f, const struct br_want *w, struct br_result *r);
/* the same code from a file and from pipes of any grain; frees the bundle */
void br_expect(struct make_bundle *mb, const struct br_want *w, enum errcode code);

struct bundle *br_open_bound(struct make_bundle *mb, const struct br_want *w, size_t chunk);
int br_read_file(struct bundle *b, const struct br_want *w, struct br_result *r, struct err *e);
int br_read_payload(struct bundle *b, const struct payload *p, char *out, size_t room,
		    struct err *e);
int br_collect(struct stream *s, char *out, size_t room, struct err *e);

/* description, signature, a, README, b, empty */
void br_good_bundle(struct make_bundle *mb);
/* a description and members that hold the last three letters of their names */
void br_parts_bundle(struct make_bundle *mb, const char *const *names, size_t n);
double br_seconds(void);

#endif
