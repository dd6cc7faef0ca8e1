/*
 * The way of an archive (signed bytes, swinstall-unpack, records, files) cancelled by another
 * thread at each block: it ends with E_CANCELED, no child and no descriptor stay, and nothing that
 * the archive does not hold is made. T54, T64.
 *
 * Where a gate says so the reading thread waits until the other one has cancelled, so that each
 * block is met, on any machine. TSan sees both.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "corelib/files/tree.h"
#include "tests/unit/kit/archives.h"
#include "tests/unit/kit/chunks.h"

#define MEM_MAX	    (1u << 20) /* the small rings: more blocks */
#define FOLDER	    "tree"     /* beneath a folder of our own */
#define MOST_BLOCKS 200

/* ---- a meeting of the reading thread and the one that cancels ----------------------------------
 */

/* relaxed only: a lock would put the two in an order, and TSan would miss what lacks one */
struct meeting {
	atomic_bool reached, over, canceled;
	void (*cancel)(struct meeting *m);
	bool flag;	       /* of the meter */
	struct stream *target; /* whose stream_stop() is called */
};

static bool is_set(atomic_bool *b)
{
	return atomic_load_explicit(b, memory_order_relaxed);
}

static void set(atomic_bool *b)
{
	atomic_store_explicit(b, true, memory_order_relaxed);
}

static void by_flag(struct meeting *m)
{
	__atomic_store_n(&m->flag, true, __ATOMIC_RELAXED);
}

static void by_stop(struct meeting *m)
{
	stream_stop(m->target);
}

static void *canceller(void *arg)
{
	struct meeting *m = arg;

	while (!is_set(&m->reached) && !is_set(&m->over))
		usleep(20);
	if (is_set(&m->reached))
		m->cancel(m);
	set(&m->canceled);
	return NULL;
}

static void meet(struct meeting *m)
{
	set(&m->reached);
	while (!is_set(&m->canceled))
		usleep(20);
}

/* ---- a stage that meets the other thread at its n-th call ---------------------------------------
 */

struct gate {
	struct stream stream;
	struct meeting *meeting;
	unsigned calls, at; /* at 0: never */
};

static ssize_t gate_next(struct stream *s, const uint8_t **buf, struct err *e)
{
	struct gate *g = (struct gate *)s;

	if (++g->calls == g->at)
		meet(g->meeting);
	return stream_next(s->up, buf, e);
}

static void gate_close(struct stream *s)
{
	free(s);
}

static const struct stream_ops gate_ops = {
	.name = "gate",
	.next = gate_next,
	.close = gate_close,
};

static void gate_open(struct stream **s, struct meeting *m, unsigned at)
{
	struct gate *g = calloc(1, sizeof(*g));

	assert_non_null(g);
	stream_init(&g->stream, &gate_ops, *s);
	g->meeting = m;
	g->at = at;
	*s = &g->stream;
}

/* ---- one run ------------------------------------------------------------------------------------
 */

struct run {
	struct blob in;
	size_t max;		/* of a block of input; 0 = 4096 */
	unsigned in_at, out_at; /* the block of input or output that cancels; 0 = none */
	void (*cancel)(struct meeting *m);
	bool met; /* the block was there */
	struct tree_count count;
	struct err e;
};

static int write_tree(struct run *r, struct stream *s)
{
	const struct tree_options o = {.max_bytes = UINT64_MAX};
	AUTO_CLOSE int root = -1;
	int rc;

	if (mkdir(FOLDER, 0755) < 0 && errno != EEXIST)
		fail_msg("a folder: %s", strerror(errno));
	root = open(FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(root >= 0);
	struct records *records = records_new(s, &r->e);

	assert_non_null(records);
	rc = tree_write(root, records, &o, &r->count, &r->e);
	records_free(records);
	return rc;
}

static int stack_and_write(struct run *r, struct meeting *m)
{
	const struct chunks src = {.bytes = r->in, .max = r->max ? r->max : 4096, .seed = 5};
	struct meter meter = {.cancel = &m->flag};
	AUTO_STREAM struct stream *s = chunks_open(&src);
	pthread_t thread;
	int rc;

	gate_open(&s, m, r->in_at);
	assert_int_equal(stage_count_open(&s, &meter, &r->e), 0);
	if (stage_archive_open(&s, CODEC_NONE, MEM_MAX, &r->e) < 0)
		fail_msg("%s", r->e.why);
	m->target = s;
	gate_open(&s, m, r->out_at);
	assert_int_equal(pthread_create(&thread, NULL, canceller, m), 0);
	rc = write_tree(r, s);
	set(&m->over);
	assert_int_equal(pthread_join(thread, NULL), 0);
	return rc;
}

static unsigned open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* E_NONE, or what it ended with */
static enum errcode run(struct run *r)
{
	struct meeting m = {.cancel = r->cancel};
	unsigned before = open_descriptors();
	int rc;

	err_clear(&r->e);
	r->count = (struct tree_count){0};
	rc = stack_and_write(r, &m);
	r->met = is_set(&m.reached);
	assert_int_equal(rc < 0, err_is_set(&r->e));
	assert_int_equal(open_descriptors(), before);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* the child is gone, and waited for */
	assert_int_equal(errno, ECHILD);
	return r->e.code;
}

/* ---- what holds ---------------------------------------------------------------------------------
 */

/* what cancelled runs left does not hinder a whole one, and all that is there is its own */
static void whole_after(struct run *r)
{
	struct archives_look want = {.here = true};
	struct err e = {0};
	char name[64];

	r->in_at = r->out_at = 0;
	if (run(r) != E_NONE)
		fail_msg("%s", r->e.why);
	assert_int_equal(archives_look_at(&want, &r->in, &e), 0);
	assert_int_equal(r->count.entries, want.count);
	assert_int_equal(r->count.bytes, want.bytes);
	for (unsigned i = 0; i < want.count; i++) {
		snprintf(name, sizeof(name), FOLDER "/d%u/file-%u", i / 100, i);
		assert_int_equal(unlink(name), 0);
	}
	for (unsigned i = 0; i < want.count; i += 100) {
		snprintf(name, sizeof(name), FOLDER "/d%u", i / 100);
		assert_int_equal(rmdir(name), 0); /* it was empty: nothing else was made */
	}
	assert_int_equal(rmdir(FOLDER), 0);
	blob_clear(&r->in);
}

/*
 * At every block of one side until a run ends before it; how many were ended so. A run may only be
 * whole when the cancel came after all of the archive.
 */
static unsigned cancel_at_each(struct run *r, unsigned *at)
{
	unsigned ended = 0, whole = 0;

	for (*at = 1; *at < MOST_BLOCKS; ++*at) {
		enum errcode code = run(r);

		if (!r->met && code == E_NONE)
			return ended;
		if (!r->met || (code != E_NONE && code != E_CANCELED))
			fail_msg("block %u: %d %s", *at, code, r->e.why);
		if (code == E_CANCELED && whole)
			fail_msg("block %u ends it, block %u did not", *at, whole);
		ended += code == E_CANCELED;
		whole = code == E_NONE ? *at : 0;
	}
	fail_msg("more than %d blocks", MOST_BLOCKS);
	return 0;
}

/* the wish of a user, seen where the payload is read: each block but the end of the last */
static void t54_a_cancel_at_each_block_of_the_archive_ends_it(void **state)
{
	struct run r = {.in = archives_get("many", "30"), .cancel = by_flag};

	(void)state;
	assert_true(cancel_at_each(&r, &r.in_at) + 2 == r.in_at);
	assert_true(r.in_at > 10);
	whole_after(&r);
}

/* the stage itself is stopped while the child works and files are written: no block goes on */
static void t54_a_stop_at_each_block_of_records_ends_it(void **state)
{
	struct run r = {.in = archives_get("big", "-"), .max = 256 * 1024, .cancel = by_stop};

	(void)state;
	assert_true(cancel_at_each(&r, &r.out_at) + 1 == r.out_at);
	assert_true(r.out_at > 5);
	whole_after(&r);
}

/* the stop comes while the stage fills the ring: it ends, or all of the archive had come already */
static void t54_a_stop_while_the_ring_is_filled_ends_it(void **state)
{
	struct run r = {.in = archives_get("big", "-"), .max = 256 * 1024, .cancel = by_stop};
	unsigned ended = 0;

	(void)state;
	for (r.in_at = 1, r.met = true; r.met; r.in_at++) {
		enum errcode code = run(&r);

		assert_true(r.in_at < MOST_BLOCKS);
		assert_true(code == E_CANCELED || (code == E_NONE && r.count.entries == 6));
		ended += code == E_CANCELED;
	}
	assert_true(ended > 5);
	whole_after(&r);
}

static int setup(void **state)
{
	static char home[] = "/tmp/swinstall-test-XXXXXX";

	*state = home;
	umask(022);
	return archives_load(state) < 0 || !mkdtemp(home) || chdir(home) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	const char *home = *state;

	archives_forget(state);
	return chdir("/") < 0 || rmdir(home) < 0 ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t54_a_cancel_at_each_block_of_the_archive_ends_it),
		cmocka_unit_test(t54_a_stop_at_each_block_of_records_ends_it),
		cmocka_unit_test(t54_a_stop_while_the_ring_is_filled_ends_it),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
