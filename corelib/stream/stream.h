/*
 * A stream is a source of bytes, or a stage that transforms another stream.
 *
 * Bytes are taken in one of two ways, which may be mixed: stream_next() lends 1..n bytes at
 * *buf until the following call; stream_read() fills the caller's memory. Both return
 * the count, or -errno with *e set. They return 0 only for a proven end: the declared
 * length arrived and the digest matched. Whoever has seen 0 may trust every byte before it.
 * An error is sticky: the same is returned again. A stage owns its upstream and closes it.
 * Sources and stage_ahead lend blocks aligned for O_DIRECT. Not thread safe.
 *
 * 'proof' says how far a byte may be trusted when it is lent: not before the end (NONE), each
 * block as it is lent (BLOCK), or everything was proven before the first byte (WHOLE). With NONE
 * 'end_proves' says whether a signed digest is compared at the end; without it bytes of a bundle
 * that allow-unsigned lets in are never proven.
 */
#ifndef CORELIB_STREAM_H
#define CORELIB_STREAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "corelib/base/err.h"
#include "corelib/base/flag.h"

#define STREAM_ALIGN	   4096u	  /* alignment of lent memory where it is promised */
#define STREAM_BLOCK	   (1024u * 1024) /* what sources read at once unless told otherwise */
#define STREAM_BLOCK_SMALL (256u * 1024)  /* the same where memory is short (sys_is_small) */

enum proof { PROOF_NONE, PROOF_BLOCK, PROOF_WHOLE };

struct stream;

struct stream_ops {
	const char *name;
	/* a stage has next or read, or both; the missing one is made of the other */
	ssize_t (*next)(struct stream *s, const uint8_t **buf, struct err *e);
	ssize_t (*read)(struct stream *s, uint8_t *buf, size_t n, struct err *e);
	/* go to an absolute place of what this stream yields; NULL = one pass only */
	int (*seek)(struct stream *s, uint64_t off, struct err *e);
	/* for a stage that reads from a stream which it does not own: pass stream_stop() on; may be
	 * NULL */
	void (*stop)(struct stream *s);
	/* frees the stage's own things and its struct, not the upstream; called once, downstream
	 * first */
	void (*close)(struct stream *s);
};

/* the head of each stage's own struct; the fields are read-only outside corelib/stream*.c */
struct stream {
	const struct stream_ops *ops;
	struct stream *up; /* owned; NULL for a source */
	enum proof proof;
	bool end_proves;
	bool has_size;
	uint64_t size;	  /* of what this stream yields, when known beforehand */
	atomic_bool stop; /* set by stream_stop(); sources that wait look at it each 100 ms */
	/* kept by corelib/stream/stream.c */
	uint64_t pos; /* bytes that were taken so far, or the place of the last seek and on */
	int rc;	      /* sticky error, or 0 */
	bool ended;
	struct err err;
	const uint8_t *lent;
	size_t lent_len;
	uint8_t *own;
	size_t own_size;
};

ssize_t stream_next(struct stream *s, const uint8_t **buf, struct err *e);
/* lends at most max; what is left of the block is lent by the next call */
ssize_t stream_next_max(struct stream *s, size_t max, const uint8_t **buf, struct err *e);
ssize_t stream_read(struct stream *s, void *buf, size_t n, struct err *e);
/* exactly n bytes; an earlier end is E_TRUNCATED */
int stream_read_all(struct stream *s, void *buf, size_t n, struct err *e);
/* read to the proven end and drop it */
int stream_drain(struct stream *s, struct err *e);
bool stream_can_seek(const struct stream *s);
int stream_seek(struct stream *s, uint64_t off, struct err *e);

/*
 * From any thread: this stage and all above it fail with E_CANCELED at the next call, and a source
 * that waits ends its wait within 100 ms. The only call that another thread may make.
 */
void stream_stop(struct stream *s);

/* close the stage and all above it; returns NULL: s = stream_close(s). NULL is allowed. */
struct stream *stream_close(struct stream *s);
void cleanup_stream(struct stream **s);
#define AUTO_STREAM __attribute__((unused, cleanup(cleanup_stream)))

/*
 * Sources. fd: reads from the descriptor (not owned); seekable when it is a regular file or a
 * block device, then by pread from 'start' for 'size' bytes (size UINT64_MAX: to its end), so
 * that several streams may share it. mem: lends the caller's memory (not owned).
 * A pipe that stays silent for idle_ms (0: for ever), a FIFO that nobody opens for writing, and a
 * sender that brings less than 16 KiB in a minute (or idle_ms, if longer) of waiting for it are
 * E_DEADLINE; *cancel true ends a wait within 100 ms.
 */
struct stream_fd_options {
	uint64_t start, size;
	size_t block; /* 0 = STREAM_BLOCK */
	unsigned idle_ms;
	const volatile bool *cancel; /* may be NULL */
};
int stream_fd_open(struct stream **s, int fd, const struct stream_fd_options *o, struct err *e);
int stream_mem_open(struct stream **s, const void *buf, size_t n, struct err *e);

/* for stages: fill the head. proof is the upstream's; has_size stays false until the stage sets it.
 */
void stream_init(struct stream *s, const struct stream_ops *ops, struct stream *up);

#endif
