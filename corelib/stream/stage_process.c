/*
 * stage_process: decompression in a child of no rights.
 *
 * The caller's thread does it all: it fills the ring of input as far as it goes, lends what lies in
 * the ring of output, and waits only when the child has work and nothing is ready. The child
 * overlaps.
 *
 * Input is copied into the ring after the upstream has looked at it. Reading straight into the
 * ring would let a child that the payload took over swap bytes before they are hashed, so that a
 * wrong payload would pass as the signed one.
 */
#include "corelib/stream/stage_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "corelib/stream/codec.h"
#include "corelib/process/process.h"
#include "corelib/process/spawn.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "corelib/stream/worker.h"

#define SILENCE_MS   10000
#define TICK_MS	     100
#define LAST_WAIT_MS 200
#define SMALL_MEMORY (4u << 20)
#define PATIENCE     6 /* silences that a child may fill with wake-ups alone */

struct process_stage {
	struct stream stream;
	struct ring_pair rings;
	pid_t pid;
	int wake, tell, verdict;
	unsigned silence_ms;
	uint64_t moved_at; /* when a block went in or out, or we were asked for one */
	bool lent, up_ended, said;
	struct worker_verdict last;
};

/* ---- what the child says ------------------------------------------------------------------------
 */

static int nonsense(struct err *e, const char *what)
{
	return err_set(e, E_WORKER, EBADMSG, "swinstall-unpack sent %s", what);
}

static int gone(struct err *e, int status)
{
	char how[80];

	spawn_tell(status, how, sizeof(how));
	return err_set(e, E_WORKER, EPIPE, "swinstall-unpack %s", how);
}

/* its pipe was closed: it is about to end, or pretends to */
static int ended(struct process_stage *p, struct err *e)
{
	uint64_t until = sys_now_ms() + LAST_WAIT_MS;
	int status = -1;

	while (!spawn_poll(p->pid, &status))
		if (sys_now_ms() > until) {
			status = spawn_end(p->pid);
			break;
		} else {
			poll(NULL, 0, 1);
		}
	p->pid = 0;
	return gone(e, status);
}

static int read_verdict(struct process_stage *p, struct err *e)
{
	ssize_t n = read(p->verdict, &p->last, sizeof(p->last));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return ended(p, e);
	p->said = true;
	if (n != (ssize_t)sizeof(p->last) || p->last.magic != WORKER_MAGIC)
		return nonsense(e, "a message of the wrong shape");
	p->last.why[sizeof(p->last.why) - 1] = '\0';
	return 1;
}

/* wait up to ms for the child: 1 = something moved, 0 = nothing */
static int look(struct process_stage *p, int ms, struct err *e)
{
	struct pollfd fds[] = {{.fd = p->tell, .events = POLLIN},
			       {.fd = p->verdict, .events = POLLIN}};

	if (p->said)
		return 1;
	if (poll(fds, 2, ms) <= 0)
		return 0;
	if (fds[0].revents)
		ring_awake(p->tell);
	return fds[1].revents ? read_verdict(p, e) : 1;
}

/* a child that stands still by a signal would never tell */
static int still_runs(struct process_stage *p, struct err *e)
{
	int status;

	if (waitpid(p->pid, &status, WNOHANG | WUNTRACED) != p->pid)
		return 0;
	if (WIFSTOPPED(status))
		return err_set(e, E_WORKER, EBUSY, "swinstall-unpack was stopped by signal %d",
			       WSTOPSIG(status));
	p->pid = 0;
	return gone(e, status);
}

static int stuck(struct process_stage *p, struct err *e)
{
	return err_set(e, E_WORKER, ETIMEDOUT, "swinstall-unpack has not moved for %llu ms",
		       (unsigned long long)(sys_now_ms() - p->moved_at));
}

static int wait_for_child(struct process_stage *p, struct err *e)
{
	uint64_t patience = (uint64_t)p->silence_ms * PATIENCE;

	for (unsigned waited = 0; waited < p->silence_ms; waited += TICK_MS) {
		int rc = look(p, TICK_MS, e);

		if (rc < 0 || (rc > 0 && sys_now_ms() - p->moved_at < patience))
			return rc;
		if (rc > 0)
			break;
		rc = still_runs(p, e);
		if (rc < 0)
			return rc;
		if (atomic_load(&p->stream.stop))
			return err_set(e, E_CANCELED, ECANCELED, "the stream was stopped");
	}
	return stuck(p, e);
}

static bool may_say(uint32_t code)
{
	switch (code) {
	case E_DECOMPRESS:
	case E_LIMIT_MEM:
	case E_MEMORY:
	case E_NOT_BUILT:
	case E_WORKER:
	case E_ARCHIVE:
	case E_ARCHIVE_PATH:
		return true;
	default:
		return false;
	}
}

/* all blocks are taken and the child has said its last word: 0 = a proven end */
static int judge(struct process_stage *p, struct err *e)
{
	const struct worker_verdict *v = &p->last;
	int sys = v->sys > 0 && v->sys < 4096 ? (int)v->sys : EBADMSG;

	if (v->code == E_NONE)
		return p->up_ended ? 0 : nonsense(e, "the end before it had all of the payload");
	if (!may_say(v->code))
		return nonsense(e, "an error that it cannot have");
	return codec_settle(p->stream.up, err_set(e, (enum errcode)v->code, sys, "%s", v->why), e);
}

/* ---- bytes --------------------------------------------------------------------------------------
 */

/* one block of the upstream, or its proven end, into the ring */
static int feed_one(struct process_stage *p, uint8_t *slot, struct err *e)
{
	const uint8_t *buf;
	ssize_t n = stream_next_max(p->stream.up, p->rings.in.slot_size, &buf, e);

	if (n < 0)
		return (int)n;
	memcpy(slot, buf, (size_t)n);
	ring_put(&p->rings.in, (uint32_t)n);
	ring_wake(p->wake);
	p->moved_at = sys_now_ms();
	p->up_ended = n == 0;
	return 0;
}

/* as much as the ring takes */
static int feed(struct process_stage *p, struct err *e)
{
	while (!p->up_ended) {
		uint8_t *slot;
		int rc = look(p, 0, e);

		if (rc < 0 || p->said)
			return rc < 0 ? rc : 0;
		rc = ring_room(&p->rings.in, &slot);
		if (rc < 0)
			return nonsense(e, "a count that cannot be");
		if (rc == 0)
			return 0;
		rc = feed_one(p, slot, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static void give_back(struct process_stage *p)
{
	if (!p->lent)
		return;
	p->lent = false;
	ring_drop(&p->rings.out);
	ring_wake(p->wake);
}

static ssize_t process_next(struct stream *s, const uint8_t **buf, struct err *e)
{
	struct process_stage *p = (struct process_stage *)s;
	uint32_t len = 0;
	int rc;

	give_back(p);
	p->moved_at = sys_now_ms();
	for (;;) {
		rc = feed(p, e);
		if (rc < 0)
			return rc;

		bool last =
			p->said; /* asked before the ring: what was put before the word counts */

		rc = ring_peek(&p->rings.out, buf, &len);
		if (rc < 0 || (rc > 0 && len == 0))
			return nonsense(e, "a block of impossible length");
		p->lent = rc > 0;
		if (p->lent)
			return (ssize_t)len;
		if (last)
			return judge(p, e);
		rc = wait_for_child(p, e);
		if (rc < 0)
			return rc;
	}
}

/* ---- life ---------------------------------------------------------------------------------------
 */

static void process_clear(struct process_stage *p)
{
	if (p->pid > 0)
		spawn_end(p->pid);
	ring_pair_clear(&p->rings);
	sys_close(&p->wake);
	sys_close(&p->tell);
	sys_close(&p->verdict);
	free(p);
}

static void process_close(struct stream *s)
{
	process_clear((struct process_stage *)s);
}

static const struct stream_ops process_ops = {
	.name = "process",
	.next = process_next,
	.close = process_close,
};

static pid_t start_child(const struct process_stage_options *o, const struct ring_shape *shape,
			 const int *theirs, struct err *e)
{
	char mem[24], in[12], out[12];
	const char *const argv[] = {
		o->program, o->records ? "records" : "bytes", codec_name(o->codec), mem, in, out,
		NULL};
	static const char *const env[] = {NULL};
	const struct spawn sp = {
		.argv = argv, .env = env, .exec_fd = -1, .fds = theirs, .fd_count = WORKER_FDS};

	text_print(mem, sizeof(mem), "%llu", (unsigned long long)o->mem_max);
	text_print(in, sizeof(in), "%u", shape->in);
	text_print(out, sizeof(out), "%u", shape->out);
	return spawn_start(&sp, e);
}

/* memory, wake-ups and pipe, then the child; descriptors of the child's side are closed here again
 */
static int process_init(struct process_stage *p, const struct process_stage_options *o,
			struct err *e)
{
	const bool small = o->mem_max < SMALL_MEMORY || sys_is_small();
	const struct ring_shape shape = {.in = small ? 64 * 1024 : 256 * 1024,
					 .out = small ? STREAM_BLOCK_SMALL : STREAM_BLOCK};
	AUTO_CLOSE int memory = -1;
	int ends[2];

	if (ring_pair_make(&p->rings, &shape, &memory, e) < 0)
		return -e->sys;
	p->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->tell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->wake < 0 || p->tell < 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_sys(e, E_NONE, errno, "eventfd or pipe for swinstall-unpack");
	p->verdict = ends[0];

	AUTO_CLOSE int said = ends[1];
	const int theirs[WORKER_FDS] = {-1, -1, -1, memory, p->wake, p->tell, said};
	pid_t pid = start_child(o, &shape, theirs, e);

	if (pid > 0)
		p->pid = pid;
	return pid > 0 ? 0 : pid;
}

int stage_process_start(struct stream **s, const struct process_stage_options *o, struct err *e)
{
	struct process_stage *p = calloc(1, sizeof(*p));
	int rc;

	if (!p)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a child process");
	p->wake = p->tell = p->verdict = -1;
	p->silence_ms = o->silence_ms;
	rc = process_init(p, o, e);
	if (rc < 0) {
		process_clear(p);
		return rc;
	}
	stream_init(&p->stream, &process_ops, *s);
	*s = &p->stream;
	return 0;
}

int stage_process_pid(const struct stream *s)
{
	return ((const struct process_stage *)s)->pid;
}

static int start_installed(struct stream **s, struct process_stage_options *o, struct err *e)
{
	char program[4096];
	int rc = codec_need(o->codec, e);

	if (rc < 0)
		return rc;
	rc = process_helper("swinstall-unpack", program, sizeof(program));
	if (rc < 0) {
		rc = err_set(
			e, E_WORKER, -rc,
			"swinstall-unpack is neither beside this program nor in ../libexec/swinstall");
		err_fix(e, "install swinstall-unpack in one of the two (make install does)");
		return rc;
	}
	o->program = program;
	rc = stage_process_start(s, o, e);
	o->program = NULL;
	return rc;
}

int stage_process_open(struct stream **s, enum codec c, uint64_t mem_max, struct err *e)
{
	struct process_stage_options o = {.codec = c, .mem_max = mem_max, .silence_ms = SILENCE_MS};

	return c == CODEC_NONE ? 0 : start_installed(s, &o, e);
}

int stage_archive_open(struct stream **s, enum codec c, uint64_t mem_max, struct err *e)
{
	struct process_stage_options o = {
		.codec = c, .records = true, .mem_max = mem_max, .silence_ms = SILENCE_MS};

	return start_installed(s, &o, e);
}
