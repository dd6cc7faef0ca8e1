/*
 * stage_process with the real swinstall-unpack, and with children that lie: the test program plays
 * them itself when it is called by a name that begins with "evil-".
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "corelib/process/process.h"
#include "corelib/process/sandbox.h"
#include "corelib/stream/stage_process.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "corelib/stream/worker.h"
#include "tests/unit/kit/chunks.h"
#include "tests/unit/kit/fail_malloc.h"
#include "tests/unit/kit/hang.h"

#define MEM_MAX (8u << 20)

/* ---- children that lie --------------------------------------------------------------------------
 */

/* the shared page, by its raw words: put, taken, len[] of each lane, 64 bytes apart */
static _Atomic uint32_t *word(struct worker *w, unsigned lane, unsigned index)
{
	return (_Atomic uint32_t *)((uint8_t *)w->rings.base + lane * 192 + index * 64);
}

static void verdict(uint32_t magic, uint32_t code, size_t len)
{
	struct worker_verdict v = {.magic = magic, .code = code, .sys = 5};

	memset(v.why, 'A', sizeof(v.why));
	v.why[1] = '\033';
	if (write(WORKER_VERDICT, &v, len) < 0)
		_exit(9);
}

static void evil_exit(struct worker *w)
{
	(void)w;
	_exit(7);
}
static void evil_crash(struct worker *w)
{
	(void)w;
	signal(SIGSEGV, SIG_DFL); /* sanitizers have a handler */
	raise(SIGSEGV);
}
static void evil_silent(struct worker *w)
{
	(void)w;
	for (;;)
		pause();
}
static void evil_stop(struct worker *w)
{
	(void)w;
	raise(SIGSTOP);
	_exit(0);
}
static void evil_deaf(struct worker *w)
{
	close(WORKER_VERDICT);
	evil_silent(w);
}
static void evil_early(struct worker *w)
{
	verdict(WORKER_MAGIC, E_NONE, sizeof(struct worker_verdict));
	evil_silent(w);
}
static void evil_short(struct worker *w)
{
	verdict(WORKER_MAGIC, E_NONE, 10);
	evil_silent(w);
}
static void evil_magic(struct worker *w)
{
	verdict(WORKER_MAGIC + 1, E_NONE, sizeof(struct worker_verdict));
	evil_silent(w);
}
static void evil_code(struct worker *w)
{
	verdict(WORKER_MAGIC, E_SIG_MISSING, sizeof(struct worker_verdict));
	evil_silent(w);
}
static void evil_number(struct worker *w)
{
	verdict(WORKER_MAGIC, 0xffffffffu, sizeof(struct worker_verdict));
	evil_silent(w);
}
static void evil_text(struct worker *w)
{
	verdict(WORKER_MAGIC, E_DECOMPRESS, sizeof(struct worker_verdict));
	evil_silent(w);
}
static void evil_huge(struct worker *w)
{
	ring_put(&w->rings.out, w->rings.out.slot_size + 1);
	ring_wake(w->tell);
	evil_silent(w);
}
static void evil_zero(struct worker *w)
{
	ring_put(&w->rings.out, 0);
	ring_wake(w->tell);
	evil_silent(w);
}
static void evil_jump(struct worker *w)
{
	atomic_store(word(w, 1, 0), RING_SLOTS + 1);
	ring_wake(w->tell);
	evil_silent(w);
}
static void evil_taken(struct worker *w)
{
	atomic_store(word(w, 0, 1), 0x80000000u);
	ring_wake(w->tell);
	evil_silent(w);
}
/* wakes the job for ever, does nothing, and leaves the counter full so that a write would block */
static void evil_flood(struct worker *w)
{
	const uint64_t most = UINT64_MAX - 1;

	for (;;)
		if (write(w->wake, &most, 8) < 0)
			ring_wake(w->tell);
}
static void evil_forbidden(struct worker *w)
{
	static const int reads[] = {WORKER_WAKE, -1}, writes[] = {WORKER_TELL, -1};
	struct sandbox s = {
		.keep_fds = WORKER_FDS, .read_fds = reads, .write_fds = writes, .memory = 64 << 20};
	struct err e = {0};

	(void)w;
	if (sandbox_enter(&s, &e) == 0)
		kill(getppid(), SIGTERM);
	_exit(9);
}
/* no liar: the real work outside the sandbox, where coverage and sanitizers can see it */
static void evil_honest(struct worker *w)
{
	exit(worker_run(w));
}

static const struct liar {
	const char *name;
	void (*act)(struct worker *w);
	enum errcode code;
	const char *why;
} liars[] = {
	{"evil-exit", evil_exit, E_WORKER, "ended with status 7"},
	{"evil-crash", evil_crash, E_WORKER, "ended by signal 11"},
	{"evil-silent", evil_silent, E_WORKER, "has not moved for"},
	{"evil-stop", evil_stop, E_WORKER, "was stopped by signal 19"},
	{"evil-deaf", evil_deaf, E_WORKER, "ended by signal 9"},
	{"evil-early", evil_early, E_WORKER, "the end before it had all"},
	{"evil-short", evil_short, E_WORKER, "a message of the wrong shape"},
	{"evil-magic", evil_magic, E_WORKER, "a message of the wrong shape"},
	{"evil-code", evil_code, E_WORKER, "an error that it cannot have"},
	{"evil-number", evil_number, E_WORKER, "an error that it cannot have"},
	{"evil-text", evil_text, E_DECOMPRESS, "A\\x1bAAAA"},
	{"evil-huge", evil_huge, E_WORKER, "impossible length"},
	{"evil-zero", evil_zero, E_WORKER, "impossible length"},
	{"evil-jump", evil_jump, E_WORKER, "impossible length"},
	{"evil-taken", evil_taken, E_WORKER, "a count that cannot be"},
	{"evil-flood", evil_flood, E_WORKER, "has not moved for"},
	{"evil-forbidden", evil_forbidden, E_WORKER, "ended by signal 31"},
	{"evil-honest", evil_honest, E_NONE, ""},
};

static int play(const char *name, char **argv)
{
	struct worker w = {.wake = WORKER_WAKE, .tell = WORKER_TELL, .verdict = WORKER_VERDICT};
	uint64_t in = 0, out = 0;
	struct err e = {0};

	w.codec = CODEC_GZIP;
	w.mem_max = MEM_MAX;
	if (text_u64(argv[4], &in) < 0 || text_u64(argv[5], &out) < 0)
		return 98;
	const struct ring_shape shape = {(uint32_t)in, (uint32_t)out};

	if (ring_pair_join(&w.rings, &shape, WORKER_RING, &e) < 0)
		return 97;
	for (size_t i = 0; i < ARRAY_SIZE(liars); i++)
		if (!strcmp(liars[i].name, name))
			liars[i].act(&w);
	return 96;
}

/* a folder with one name for this program */
struct stage_dir {
	char dir[32], path[64];
};

static void dir_make(struct stage_dir *d, const char *name)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	assert_true(n > 0);
	self[n] = '\0';
	assert_int_equal(text_copy(d->dir, sizeof(d->dir), "/tmp/swinstall-test-XXXXXX"), 0);
	assert_non_null(mkdtemp(d->dir));
	assert_int_equal(text_print(d->path, sizeof(d->path), "%s/%s", d->dir, name), 0);
	assert_int_equal(symlink(self, d->path), 0);
}

static void dir_clear(struct stage_dir *d)
{
	unlink(d->path);
	rmdir(d->dir);
}

/* ---- helpers ------------------------------------------------------------------------------------
 */

static const struct format {
	enum codec codec;
	const char *argv[4];
} formats[] = {
	{CODEC_GZIP, {"gzip", "-c1", NULL}},
	{CODEC_XZ, {"xz", "-c0", NULL}},
	{CODEC_ZSTD, {"zstd", "-qc", NULL}},
	{CODEC_LZ4, {"lz4", "-qc", NULL}},
};

static struct blob packed(size_t f, const struct blob *plain)
{
	struct blob out = {0};

	assert_int_equal(tool_filter(formats[f].argv, plain, &out), 0);
	return out;
}

static void no_child_is_left(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

struct run {
	struct blob in;
	size_t in_max, out_max;
	uint64_t mem_max;
	enum errcode at_end;
};

static int unpack(enum codec c, const struct run *r, struct blob *out, struct err *e)
{
	const struct chunks src = {
		.bytes = r->in, .max = r->in_max, .seed = 1, .at_end = r->at_end};
	struct stream *s = chunks_open(&src);
	int rc = stage_process_open(&s, c, r->mem_max ? r->mem_max : MEM_MAX, e);

	if (rc == 0)
		rc = chunks_read(s, r->out_max, out, e);
	stream_close(s);
	no_child_is_left();
	return rc;
}

static void expect_code(enum codec c, const struct run *r, enum errcode code)
{
	struct blob got = {0};
	struct err e = {0};
	int rc = unpack(c, r, &got, &e);

	if (rc >= 0 || e.code != code)
		fail_msg("%s: rc %d, %s instead of %s: %s", codec_name(c), rc,
			 err_info(e.code)->name, err_info(code)->name, e.why);
	blob_clear(&got);
}

/* ---- promises -----------------------------------------------------------------------------------
 */

static void the_child_makes_the_same_bytes(void **state)
{
	static const size_t sizes[] = {0, 1, 70000, 6 << 20}, pieces[] = {0, 100, 300000};

	(void)state;
	for (size_t f = 0; f < ARRAY_SIZE(formats); f++)
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			struct blob plain = blob_image(sizes[i], 5);
			struct run r = {.in = packed(f, &plain)};

			for (size_t p = 0; p < ARRAY_SIZE(pieces); p++) {
				struct blob got = {0};
				struct err e = {0};

				if (pieces[p] == 100 && sizes[i] > 100000)
					continue;
				r.in_max = r.out_max = pieces[p];
				r.mem_max = p ? 1 << 20 : MEM_MAX; /* also the small rings */
				if (formats[f].codec != CODEC_GZIP)
					r.mem_max = MEM_MAX - 1;
				if (unpack(formats[f].codec, &r, &got, &e) != 0)
					fail_msg("%s: %s", codec_name(formats[f].codec), e.why);
				assert_int_equal(got.len, plain.len);
				assert_memory_equal(got.data ? got.data : (uint8_t *)"", plain.data,
						    plain.len);
				blob_clear(&got);
			}
			blob_clear(&plain);
			blob_clear(&r.in);
		}
}

static void blocks_are_lent_aligned_and_whole(void **state)
{
	struct blob plain = blob_image(3500000, 5), in = packed(2, &plain);
	const struct chunks src = {.bytes = in, .max = 50000, .seed = 4};
	AUTO_STREAM struct stream *s = chunks_open(&src);
	const uint8_t *buf;
	struct err e = {0};
	size_t at = 0;

	(void)state;
	s->proof = PROOF_BLOCK;
	assert_int_equal(stage_process_open(&s, CODEC_ZSTD, MEM_MAX, &e), 0);
	assert_int_equal(s->proof, PROOF_BLOCK);
	assert_false(s->has_size);
	for (ssize_t n; (n = stream_next(s, &buf, &e)) != 0; at += (size_t)n) {
		size_t left = plain.len - at;

		assert_int_equal(n, left < STREAM_BLOCK ? left : STREAM_BLOCK);
		assert_int_equal((uintptr_t)buf % STREAM_ALIGN, 0);
		assert_memory_equal(buf, plain.data + at, (size_t)n);
	}
	assert_int_equal(at, plain.len);
	assert_int_equal(stream_next(s, &buf, &e), 0);
	blob_clear(&plain);
	blob_clear(&in);
}

static void none_is_no_stage(void **state)
{
	const struct chunks src = {.bytes = {(uint8_t *)"x", 1}};
	struct stream *up = chunks_open(&src);
	AUTO_STREAM struct stream *s = up;
	struct err e = {0};

	(void)state;
	assert_int_equal(stage_process_open(&s, CODEC_NONE, MEM_MAX, &e), 0);
	assert_ptr_equal(s, up);
	assert_int_equal(stage_process_open(&s, CODEC_COUNT, MEM_MAX, &e), -ENOTSUP);
	assert_int_equal(e.code, E_NOT_BUILT);
	assert_ptr_equal(s, up);
}

static void damage_is_told_as_in_the_job(void **state)
{
	struct blob plain = blob_image(200000, 5);

	(void)state;
	for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
		struct run r = {.in = packed(f, &plain), .in_max = 7000};

		r.in.len--;
		expect_code(formats[f].codec, &r, E_DECOMPRESS);
		r.in.len /= 2;
		expect_code(formats[f].codec, &r, E_DECOMPRESS);
		r.in.len = 0;
		expect_code(formats[f].codec, &r, E_DECOMPRESS);
		expect_code(formats[f].codec, &(struct run){.in = plain}, E_DECOMPRESS);
		blob_clear(&r.in);
	}
	blob_clear(&plain);
}

static void t47_a_window_above_mem_max_is_refused(void **state)
{
	static const char *const zstd[] = {"zstd", "-qc", "--long=27", NULL}, *const xz[] = {"xz",
											     "-c9",
											     NULL};
	struct blob plain = blob_image(50000, 5);
	struct run r = {0};

	(void)state;
	assert_int_equal(tool_filter(zstd, &plain, &r.in), 0);
	expect_code(CODEC_ZSTD, &r, E_LIMIT_MEM);
	assert_int_equal(tool_filter(xz, &plain, &r.in), 0);
	expect_code(CODEC_XZ, &r, E_LIMIT_MEM);
	blob_clear(&plain);
	blob_clear(&r.in);
}

/* what mem-max allows must also fit below the child's RLIMIT_AS */
static void large_windows_fit_when_allowed(void **state)
{
	static const struct big {
		enum codec codec;
		uint64_t mem_max;
		const char *argv[4];
	} big[] = {{CODEC_ZSTD, 128 << 20, {"zstd", "-qc", "--long=27", NULL}},
		   {CODEC_XZ, 64 << 20, {"xz", "-c9", NULL}},
		   {CODEC_XZ, UINT64_MAX, {"xz", "-c6", NULL}},
		   {CODEC_LZ4, 4 << 20, {"lz4", "-qc", "-B7", NULL}}};
	struct blob plain = blob_image(3 << 20, 5);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(big); i++) {
		struct run r = {.mem_max = big[i].mem_max};
		struct blob got = {0};
		struct err e = {0};

		assert_int_equal(tool_filter(big[i].argv, &plain, &r.in), 0);
		if (unpack(big[i].codec, &r, &got, &e) != 0)
			fail_msg("%s: %s", codec_name(big[i].codec), e.why);
		assert_int_equal(got.len, plain.len);
		blob_clear(&got);
		blob_clear(&r.in);
	}
	blob_clear(&plain);
}

static void an_error_of_the_upstream_wins(void **state)
{
	struct blob plain = blob_image(600000, 5);

	(void)state;
	for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
		struct run r = {.in = packed(f, &plain), .in_max = 9000, .at_end = E_PAYLOAD_HASH};

		expect_code(formats[f].codec, &r, E_PAYLOAD_HASH);
		for (size_t i = 0; i < 10; i++) { /* the decoder stumbles, the hash says why */
			r.in.data[i * r.in.len / 10] ^= 0x55;
			expect_code(formats[f].codec, &r, E_PAYLOAD_HASH);
			r.in.data[i * r.in.len / 10] ^= 0x55;
		}
		r.in.len /= 2, r.at_end = E_TRUNCATED;
		expect_code(formats[f].codec, &r, E_TRUNCATED);
		blob_clear(&r.in);
	}
	blob_clear(&plain);
}

static void t54_a_child_that_lies_is_found_out(void **state)
{
	struct blob plain = blob_image(4 << 20, 5), in = packed(0, &plain);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(liars); i++) {
		const struct chunks src = {.bytes = in, .max = 100000, .seed = 4};
		struct stream *s = chunks_open(&src);
		struct stage_dir dir;
		struct err e = {0};
		struct blob got = {0};
		uint64_t start = sys_now_ms();
		int rc;

		dir_make(&dir, liars[i].name);
		const struct process_stage_options o = {
			.program = dir.path,
			.codec = CODEC_GZIP,
			.mem_max = MEM_MAX,
			.silence_ms = strstr(liars[i].why, "not moved") ? 100 : 30000};

		rc = stage_process_start(&s, &o, &e);
		assert_int_equal(rc, 0);
		rc = chunks_read(s, 0, &got, &e);
		if (e.code != liars[i].code || !strstr(e.why, liars[i].why))
			fail_msg("%s: %d, %s: %s", liars[i].name, rc, err_info(e.code)->name,
				 e.why);
		assert_int_equal(rc < 0, liars[i].code != E_NONE);
		stream_close(s);
		no_child_is_left();
		assert_true(sys_now_ms() - start < HANG_MS);
		dir_clear(&dir);
		blob_clear(&got);
	}
	blob_clear(&plain);
	blob_clear(&in);
}

struct live {
	struct blob plain, in;
	struct stream *s;
	int pid;
};

/* the real child, after its first block */
static void live_open(struct live *l)
{
	struct err e = {0};
	const uint8_t *buf;

	l->plain = blob_image(8 << 20, 5);
	l->in = packed(2, &l->plain);
	const struct chunks src = {.bytes = l->in, .max = 20000, .seed = 4};

	l->s = chunks_open(&src);
	assert_int_equal(stage_process_open(&l->s, CODEC_ZSTD, MEM_MAX, &e), 0);
	assert_int_equal(stream_next(l->s, &buf, &e), STREAM_BLOCK);
	l->pid = stage_process_pid(l->s);
	assert_true(l->pid > 0);
}

static void live_close(struct live *l)
{
	l->s = stream_close(l->s);
	blob_clear(&l->plain);
	blob_clear(&l->in);
	no_child_is_left();
}

static void t54_a_killed_child_is_an_error_at_once(void **state)
{
	static const struct end {
		int sig;
		const char *why;
	} ends[] = {{SIGKILL, "ended by signal 9"},
		    {SIGSEGV, "ended by signal "}, /* a sanitizer catches it first */
		    {SIGSYS, "ended by signal 31"},
		    {SIGSTOP, "was stopped by signal 19"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct live l;
		struct err e = {0};
		struct blob rest = {0};

		live_open(&l);
		uint64_t start = sys_now_ms();

		kill(l.pid, ends[i].sig);
		assert_true(chunks_read(l.s, 0, &rest, &e) < 0);
		assert_true(sys_now_ms() - start < HANG_MS);
		assert_int_equal(e.code, E_WORKER);
		if (!strstr(e.why, ends[i].why))
			fail_msg("signal %d: %s", ends[i].sig, e.why);
		blob_clear(&rest);
		live_close(&l);
	}
}

static void t62_the_kernel_says_that_the_child_has_nothing(void **state)
{
	static const char *const want[] = {"\nUid:\t65534\t65534\t65534\t65534\n",
					   "\nGid:\t65534\t65534\t65534\t65534\n",
					   "\nGroups:\t \n",
					   "\nCapInh:\t0000000000000000\n",
					   "\nCapPrm:\t0000000000000000\n",
					   "\nCapEff:\t0000000000000000\n",
					   "\nCapBnd:\t0000000000000000\n",
					   "\nNoNewPrivs:\t1\n",
					   "\nSeccomp:\t2\n"};
	char path[64], cwd[64], *text = NULL;
	struct live l;
	size_t len = 0;

	(void)state;
	live_open(&l);
	assert_int_equal(text_print(path, sizeof(path), "/proc/%d/status", l.pid), 0);
	assert_int_equal(sys_read_file(AT_FDCWD, path, 65536, &text, &len), 0);
	for (size_t i = geteuid() ? 7 : 0; i < ARRAY_SIZE(want); i++)
		if (!strstr(text, want[i]))
			fail_msg("no '%s' in:%s", want[i], text);
	free(text);
	assert_int_equal(text_print(path, sizeof(path), "/proc/%d/cwd", l.pid), 0);
	assert_int_equal(readlink(path, cwd, sizeof(cwd)), 1);
	live_close(&l);
}

static void t61_the_child_has_its_own_descriptors_only(void **state)
{
	static const char *const want[WORKER_FDS] = {"/dev/null",
						     "/dev/null",
						     "/dev/null",
						     "/memfd:swinstall-ring (deleted)",
						     "anon_inode:[eventfd]",
						     "anon_inode:[eventfd]",
						     "pipe:"};
	char path[64], to[128];
	struct live l;
	unsigned count = 0;

	(void)state;
	live_open(&l);
	assert_int_equal(text_print(path, sizeof(path), "/proc/%d/fd", l.pid), 0);
	DIR *d = opendir(path);

	assert_non_null(d);
	for (struct dirent *f; (f = readdir(d));) {
		uint64_t fd;

		if (f->d_name[0] == '.')
			continue;
		assert_int_equal(text_u64(f->d_name, &fd), 0);
		assert_true(fd < WORKER_FDS);
		ssize_t n = readlinkat(dirfd(d), f->d_name, to, sizeof(to) - 1);

		assert_true(n > 0);
		to[n] = '\0';
		assert_memory_equal(to, want[fd], strlen(want[fd]));
		count++;
	}
	closedir(d);
	assert_int_equal(count, WORKER_FDS);
	live_close(&l);
}

static void t47_the_kernel_holds_the_childs_limits(void **state)
{
	static const char *const want[] = {"\nMax open files            7                    7 ",
					   "\nMax core file size        0                    0 ",
					   "\nMax processes             0                    0 ",
					   "\nMax file size             0                    0 "};
	char path[64], *text = NULL;
	struct live l;
	size_t len = 0;

	(void)state;
	live_open(&l);
	assert_int_equal(text_print(path, sizeof(path), "/proc/%d/limits", l.pid), 0);
	assert_int_equal(sys_read_file(AT_FDCWD, path, 65536, &text, &len), 0);
	live_close(&l);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		if (!strstr(text, want[i]))
			fail_msg("no '%s' in:%s", want[i], text);
	free(text);
}

static void closing_at_any_block_leaves_no_child(void **state)
{
	struct blob plain = blob_image(9 << 20, 5), in = packed(3, &plain);

	(void)state;
	for (unsigned blocks = 0; blocks < 10; blocks++) {
		unsigned closed = 0;
		const struct chunks src = {
			.bytes = in, .max = 100000, .seed = 4, .closed = &closed};
		struct stream *s = chunks_open(&src);
		struct err e = {0};
		const uint8_t *buf;

		assert_int_equal(stage_process_open(&s, CODEC_LZ4, MEM_MAX, &e), 0);
		for (unsigned i = 0; i < blocks; i++)
			assert_true(stream_next(s, &buf, &e) >= 0);
		stream_close(s);
		assert_int_equal(closed, 1);
		no_child_is_left();
	}
	blob_clear(&plain);
	blob_clear(&in);
}

static void *stop_soon(void *arg)
{
	usleep(50000);
	stream_stop(arg);
	return NULL;
}

static void cancel_ends_a_wait_for_the_child(void **state)
{
	struct blob plain = blob_image(4 << 20, 5), in = packed(0, &plain);
	const struct chunks src = {.bytes = in};
	struct stream *s = chunks_open(&src);
	struct stage_dir dir;
	struct err e = {0};
	const uint8_t *buf;
	pthread_t t;

	(void)state;
	dir_make(&dir, "evil-silent");
	const struct process_stage_options o = {
		.program = dir.path, .codec = CODEC_GZIP, .mem_max = MEM_MAX, .silence_ms = 60000};
	uint64_t start = sys_now_ms();

	assert_int_equal(stage_process_start(&s, &o, &e), 0);
	assert_int_equal(pthread_create(&t, NULL, stop_soon, s), 0);
	assert_true(stream_next(s, &buf, &e) < 0);
	assert_int_equal(e.code, E_CANCELED);
	assert_true(sys_now_ms() - start < HANG_MS);
	pthread_join(t, NULL);
	stream_close(s);
	no_child_is_left();
	dir_clear(&dir);
	blob_clear(&plain);
	blob_clear(&in);
}

static void a_program_that_cannot_start_is_named(void **state)
{
	unsigned closed = 0;
	const struct chunks src = {.bytes = {(uint8_t *)"x", 1}, .closed = &closed};
	struct stream *up = chunks_open(&src), *s = up;
	const struct process_stage_options o = {
		.program = "/no/such/swinstall-unpack", .codec = CODEC_GZIP, .mem_max = MEM_MAX};
	struct err e = {0};

	(void)state;
	assert_int_equal(stage_process_start(&s, &o, &e), -ENOENT);
	assert_non_null(strstr(e.why, "/no/such/swinstall-unpack"));
	assert_ptr_equal(s, up);
	assert_int_equal(closed, 0);
	stream_close(s);
	no_child_is_left();
}

static void without_descriptors_it_is_an_error_and_nothing_leaks(void **state)
{
	const struct chunks src = {.bytes = {(uint8_t *)"x", 1}};
	struct stream *up = chunks_open(&src), *s = up;
	struct rlimit old, few;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	for (rlim_t n = 3; n < 30; n++) {
		struct err e = {0};
		int first = dup(0), rc;

		few = (struct rlimit){n, old.rlim_max};
		setrlimit(RLIMIT_NOFILE, &few);
		rc = stage_process_open(&s, CODEC_GZIP, MEM_MAX, &e);
		setrlimit(RLIMIT_NOFILE, &old);
		close(first);
		assert_true(rc == 0 || (rc < 0 && err_is_set(&e)));
		if (rc == 0)
			break;
		assert_ptr_equal(s, up);
		int again = dup(0);

		assert_int_equal(again, first);
		close(again);
		no_child_is_left();
	}
	stream_close(s);
	no_child_is_left();
}

static void each_allocation_that_fails_is_told(void **state)
{
	struct blob plain, in;
	bool failed = true;

	(void)state;
	if (!fail_malloc_works())
		skip();
	plain = blob_image(100000, 5);
	in = packed(2, &plain);
	for (unsigned n = 1; failed; n++) {
		AUTO_STREAM struct stream *s = NULL;
		struct err e = {0};

		fail_malloc_at(n);
		int rc = stream_mem_open(&s, in.data, in.len, &e);

		if (rc == 0)
			rc = stage_process_open(&s, CODEC_ZSTD, MEM_MAX, &e);
		if (rc == 0)
			rc = stream_drain(s, &e);
		failed = fail_malloc_off();
		if (failed && (rc != -ENOMEM || e.code != E_MEMORY))
			fail_msg("allocation %u: %d, %s", n, rc, e.why);
	}
	no_child_is_left();
	blob_clear(&plain);
	blob_clear(&in);
}

static void by_hand_the_program_refuses(void **state)
{
	char path[4096];
	const char *argv[] = {path, NULL, NULL, NULL, NULL, NULL, NULL, NULL};
	static const char *const wrong[][6] = {
		{NULL},
		{"bytes", "zstd", "1", "4096"},
		{"bytes", "none", "1", "4096", "4096"},
		{"bytes", "zstd", "x", "4096", "4096"},
		{"records", "none", "x", "4096", "4096"},
		{"bytes", "zstd", "1", "-1", "4096"},
		{"bytes", "zstd", "1", "4096", "99999999999"},
		{"bytes", "zstd", "1", "4096", "4096", "more"},
	};

	(void)state;
	assert_int_equal(process_helper("swinstall-unpack", path, sizeof(path)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct process p = {.argv = argv, .exec_fd = -1, .stdin_fd = -1};
		struct err e = {0};

		memcpy(argv + 1, wrong[i], sizeof(wrong[i]));
		assert_int_equal(process_run(&p, &e), -ECHILD);
		assert_non_null(strstr(e.why, "ended with status 2"));
	}
}

static void a_ring_of_another_size_is_refused(void **state)
{
	const struct ring_shape shape = {4096, 8192}, odd = {4096, 4095}, other = {8192, 8192},
				none = {0, 8192};
	struct ring_pair a, b;
	struct err e = {0};
	int fd = -1;

	(void)state;
	assert_int_equal(ring_pair_make(&a, &shape, &fd, &e), 0);
	assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL |
							 (fcntl(fd, F_GET_SEALS) & 0x20));
	assert_int_equal(ftruncate(fd, 4096), -1);
	assert_int_equal(ring_pair_join(&b, &odd, fd, &e), -EINVAL);
	assert_int_equal(e.code, E_WORKER);
	assert_int_equal(ring_pair_join(&b, &other, fd, &e), -EINVAL);
	assert_int_equal(ring_pair_join(&b, &none, fd, &e), -EINVAL);
	err_clear(&e);
	assert_int_equal(ring_pair_join(&b, &shape, fd, &e), 0);
	ring_pair_clear(&b);
	ring_pair_clear(&a);
	close(fd);
}

static void the_ring_wraps_around_without_loss(void **state)
{
	const struct ring_shape shape = {4096, 4096};
	struct ring_pair a, b;
	struct err e = {0};
	uint32_t put = 0, took = 0, len, start = UINT32_MAX - 100;
	const uint8_t *block;
	uint8_t *slot;
	int fd = -1;

	(void)state;
	assert_int_equal(ring_pair_make(&a, &shape, &fd, &e), 0);
	assert_int_equal(ring_pair_join(&b, &shape, fd, &e), 0);
	/* counts of 32 bits run over after some petabytes */
	a.in.count = b.in.count = start;
	atomic_store((_Atomic uint32_t *)a.base, start);
	atomic_store((_Atomic uint32_t *)a.base + 16, start);
	for (unsigned seed = 1; took < 300;) {
		if (tool_random(&seed) & 1) {
			if (ring_room(&a.in, &slot) == 1) {
				memcpy(slot, &put, 4);
				ring_put(&a.in, 4 + put++ % 100);
			} else {
				assert_int_equal(put - took, RING_SLOTS);
			}
		} else if (ring_peek(&b.in, &block, &len) == 1) {
			assert_memory_equal(block, &took, 4);
			assert_int_equal(len, 4 + took++ % 100);
			ring_drop(&b.in);
		} else {
			assert_int_equal(put, took);
		}
	}
	ring_pair_clear(&a);
	ring_pair_clear(&b);
	close(fd);
}

int main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/');
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_child_makes_the_same_bytes),
		cmocka_unit_test(blocks_are_lent_aligned_and_whole),
		cmocka_unit_test(none_is_no_stage),
		cmocka_unit_test(damage_is_told_as_in_the_job),
		cmocka_unit_test(t47_a_window_above_mem_max_is_refused),
		cmocka_unit_test(large_windows_fit_when_allowed),
		cmocka_unit_test(an_error_of_the_upstream_wins),
		cmocka_unit_test(t54_a_child_that_lies_is_found_out),
		cmocka_unit_test(t54_a_killed_child_is_an_error_at_once),
		cmocka_unit_test(t62_the_kernel_says_that_the_child_has_nothing),
		cmocka_unit_test(t61_the_child_has_its_own_descriptors_only),
		cmocka_unit_test(t47_the_kernel_holds_the_childs_limits),
		cmocka_unit_test(closing_at_any_block_leaves_no_child),
		cmocka_unit_test(cancel_ends_a_wait_for_the_child),
		cmocka_unit_test(a_program_that_cannot_start_is_named),
		cmocka_unit_test(without_descriptors_it_is_an_error_and_nothing_leaks),
		cmocka_unit_test(each_allocation_that_fails_is_told),
		cmocka_unit_test(by_hand_the_program_refuses),
		cmocka_unit_test(a_ring_of_another_size_is_refused),
		cmocka_unit_test(the_ring_wraps_around_without_loss),
	};

	if (name && !strncmp(name + 1, "evil-", 5) && argc == 6)
		return play(name + 1, argv);
	for (size_t f = 0; f < ARRAY_SIZE(formats); f++)
		if (!codec_is_built(formats[f].codec)) {
			printf("SKIP: %s is not built in\n", codec_name(formats[f].codec));
			return 0;
		}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
