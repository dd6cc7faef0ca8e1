/* The child's side of stage_process: a stream over the ring, the decoder over it, blocks out. */
#include "corelib/stream/worker.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "corelib/stream/archive.h"
#include "corelib/base/text.h"

#define PIECE (256u * 1024) /* the job is told that we live after each */

struct ring_source {
	struct stream stream;
	struct worker *w;
	bool lent;
};

/* until the job did something; its end, which also ends the pipe, is an error */
static int wait_for_job(struct worker *w, struct err *e)
{
	struct pollfd fds[] = {{.fd = w->wake, .events = POLLIN}, {.fd = w->verdict}};

	if (poll(fds, 2, -1) < 0 && errno != EINTR)
		return err_sys(e, E_WORKER, errno, "poll");
	if (fds[1].revents & (POLLERR | POLLHUP | POLLNVAL))
		return err_set(e, E_WORKER, EPIPE, "the job is gone");
	ring_awake(w->wake);
	return 0;
}

static int bad_ring(struct err *e)
{
	return err_set(e, E_WORKER, EBADMSG, "the shared memory makes no sense");
}

static ssize_t ring_next(struct stream *s, const uint8_t **buf, struct err *e)
{
	struct ring_source *src = (struct ring_source *)s;
	struct worker *w = src->w;
	uint32_t len = 0;
	int rc;

	if (src->lent) {
		ring_drop(&w->rings.in);
		ring_wake(w->tell);
		src->lent = false;
	}
	while ((rc = ring_peek(&w->rings.in, buf, &len)) == 0) {
		rc = wait_for_job(w, e);
		if (rc < 0)
			return rc;
	}
	if (rc < 0)
		return bad_ring(e);
	src->lent = true;
	return (ssize_t)len;
}

static void ring_close(struct stream *s)
{
	(void)s; /* it lives in worker_run */
}

static const struct stream_ops ring_ops = {
	.name = "ring",
	.next = ring_next,
	.close = ring_close,
};

static int free_slot(struct worker *w, uint8_t **slot, struct err *e)
{
	int rc;

	while ((rc = ring_room(&w->rings.out, slot)) == 0) {
		rc = wait_for_job(w, e);
		if (rc < 0)
			return rc;
	}
	return rc < 0 ? bad_ring(e) : 0;
}

/* fill one block as far as there are bytes: its length, 0 = the end */
static ssize_t fill_block(struct worker *w, struct stream *s, uint8_t *slot, struct err *e)
{
	size_t room = w->rings.out.slot_size, got = 0;
	ssize_t n = 1;

	while (got < room && n > 0) {
		n = stream_read(s, slot + got, room - got < PIECE ? room - got : PIECE, e);
		if (n < 0)
			return n;
		got += (size_t)n;
		ring_wake(w->tell);
	}
	return (ssize_t)got;
}

static int move_all(struct worker *w, struct stream *s, struct err *e)
{
	uint8_t *slot;
	ssize_t n;

	do {
		int rc = free_slot(w, &slot, e);

		if (rc < 0)
			return rc;
		n = fill_block(w, s, slot, e);
		if (n > 0) {
			ring_put(&w->rings.out, (uint32_t)n);
			ring_wake(w->tell);
		}
	} while (n > 0);
	return (int)n;
}

static int unpack(struct worker *w, struct err *e)
{
	struct ring_source src = {.w = w};

	stream_init(&src.stream, &ring_ops, NULL);
	src.stream.proof = PROOF_BLOCK; /* what there is to prove, the job proves */
	AUTO_STREAM struct stream *s = &src.stream;
	int rc = w->codec == CODEC_NONE ? 0 : stage_decompress_open(&s, w->codec, w->mem_max, e);

	if (rc == 0 && w->records)
		rc = stage_guess_open(&s, w->mem_max, e);
	if (rc == 0 && w->records)
		rc = stage_untar_open(&s, e);

	return rc < 0 ? rc : move_all(w, s, e);
}

int worker_run(struct worker *w)
{
	struct worker_verdict v = {.magic = WORKER_MAGIC};
	struct err e;

	err_clear(&e);
	if (unpack(w, &e) < 0) {
		v.code = e.code;
		v.sys = (uint32_t)e.sys;
		text_printable(e.why, strlen(e.why), v.why, sizeof(v.why));
	}
	return write(w->verdict, &v, sizeof(v)) != (ssize_t)sizeof(v);
}
