/*
 * swinstall-unpack: decompresses bytes that nobody has vouched for yet, and reads archives, in a
 * process that can do nothing else. Started by a job only; corelib/stream/worker.h says how.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "corelib/stream/archive.h"
#include "corelib/stream/codec.h"
#include "corelib/process/sandbox.h"
#include "corelib/base/text.h"
#include "corelib/stream/worker.h"

/* the decoder's tables, the libraries' own needs, and the rounding of allocators */
#define MEMORY_BESIDE (24u << 20)

static int usage(void)
{
	fputs("swinstall-unpack is started by swinstall, not by hand\n", stderr);
	return 2;
}

static int parse(char **argv, struct worker *w, struct ring_shape *shape)
{
	uint64_t in = 0, out = 0;

	w->records = !strcmp(argv[1], "records");
	w->codec = codec_parse(argv[2]);
	if ((w->codec == CODEC_NONE && !w->records) || text_u64(argv[3], &w->mem_max) < 0 ||
	    text_u64(argv[4], &in) < 0 || text_u64(argv[5], &out) < 0 || in > UINT32_MAX ||
	    out > UINT32_MAX)
		return -1;
	*shape = (struct ring_shape){.in = (uint32_t)in, .out = (uint32_t)out};
	return 0;
}

/* before the first foreign byte is looked at; a failure is the verdict */
static int lock_up(const struct worker *w, struct err *e)
{
	static const int reads[] = {WORKER_WAKE, -1};
	static const int writes[] = {WORKER_TELL, WORKER_VERDICT, -1};
	struct sandbox s = {.keep_fds = WORKER_FDS, .read_fds = reads, .write_fds = writes};

	if (u64_add(w->mem_max, MEMORY_BESIDE, &s.memory))
		s.memory = UINT64_MAX;
	return sandbox_enter(&s, e);
}

static int give_up(const struct worker *w, const struct err *e)
{
	struct worker_verdict v = {.magic = WORKER_MAGIC, .code = e->code, .sys = (uint32_t)e->sys};

	text_printable(e->why, strlen(e->why), v.why, sizeof(v.why));
	return write(w->verdict, &v, sizeof(v)) == (ssize_t)sizeof(v) ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct worker w = {.wake = WORKER_WAKE, .tell = WORKER_TELL, .verdict = WORKER_VERDICT};
	struct ring_shape shape;
	struct err e;

	err_clear(&e);
	if (argc != 6 || parse(argv, &w, &shape) < 0)
		return usage();
	if (w.records)
		archive_warm_up();
	if (ring_pair_join(&w.rings, &shape, WORKER_RING, &e) < 0 || lock_up(&w, &e) < 0)
		_exit(give_up(&w, &e));
	/* no exit handlers: they want more than is allowed in here */
	_exit(worker_run(&w));
}
