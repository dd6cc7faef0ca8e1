/*
 * A source for tests: known bytes in pieces of random size, which fails, ends early or counts
 * calls as it is told. Each test includes cmocka itself; nothing here asserts.
 */
#ifndef TESTS_UNIT_FAKE_STREAM_H
#define TESTS_UNIT_FAKE_STREAM_H

#include <stdatomic.h>

#include "corelib/stream/stream.h"

enum fake_way { FAKE_BOTH, FAKE_NEXT, FAKE_READ };

/* lives in the test, outlives the stream; zero everywhere = all bytes at once, proven end */
struct fake {
	const uint8_t *data;
	uint64_t size;
	uint32_t seed;	   /* 0 = pieces of max_piece; else random pieces of 1..max_piece */
	size_t max_piece;  /* 0 = as much as is asked for */
	enum fake_way way; /* which operations it offers */
	bool seekable;
	enum proof proof;
	bool no_size; /* does not tell its size */
	bool fails;   /* at byte fail_at: instead of it comes the error */
	uint64_t fail_at;
	enum errcode fail_code; /* E_NONE = E_IO */
	int fail_sys;		/* 0 = EIO */
	bool ends;		/* at byte end_at: a clean end that is a lie */
	uint64_t end_at;
	bool hangs; /* at byte hang_at: until stream_stop(), then E_CANCELED */
	uint64_t hang_at;

	/* what was seen */
	atomic_uint calls, closed, seeks;
	uint64_t at;
};

/* never fails but for memory */
int fake_stream_open(struct stream **s, struct fake *f, struct err *e);

/* the same bytes for the same seed */
void fake_bytes(uint8_t *buf, size_t n, uint32_t seed);

/*
 * Takes all bytes, by next and read in turns of random size (seed 0: next only), into out
 * (room bytes; more is an error). Returns what the stream said last: 0 or -errno; *n = count.
 */
int fake_take_all(struct stream *s, uint8_t *out, size_t room, size_t *n, uint32_t seed,
		  struct err *e);

/* stacks the stage to be tested; arg is the test's */
typedef int (*fake_stage)(struct stream **s, void *arg, struct err *e);

/* all of it: the fake, the stage over it, take everything, close. rc as fake_take_all or of
 * opening. */
struct fake_run {
	struct fake *fake;
	fake_stage stage;
	void *arg;
	uint8_t *out;
	size_t room;
	uint32_t seed; /* of taking */
	size_t n;      /* bytes that came */
};
int fake_run(struct fake_run *r, struct err *e);

#endif
