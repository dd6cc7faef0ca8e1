/* The pipeline: what is stacked, what reaches the handler, and that only a proven end passes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/pipeline.h"
#include "corelib/base/crc32c.h"
#include "corelib/base/digest.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/fake_blkdev.h"
#include "tests/unit/kit/fake_stream.h"

enum { SIZE = 1100 * 1000 };

/* a handler that takes what comes and notes what it saw */
struct seen {
	size_t bytes;
	uint32_t crc;
	int calls, last; /* what the stream said last */
	char chain[256]; /* the stages from the handler's side */
	size_t stop_at;	 /* give up early and say that all is well */
	volatile bool *cancel;
};

static int take(struct step *st, struct stream *in, struct err *e)
{
	struct seen *s = st->state;
	const uint8_t *buf;
	ssize_t n = 1;

	s->calls++;
	for (const struct stream *p = in; p; p = p->up) {
		strncat(s->chain, p->ops->name, sizeof(s->chain) - strlen(s->chain) - 2);
		strcat(s->chain, " ");
	}
	while ((!s->stop_at || s->bytes < s->stop_at) && (n = stream_next(in, &buf, e)) > 0) {
		s->crc = crc32c(s->crc, buf, (size_t)n);
		s->bytes += (size_t)n;
		if (s->cancel)
			*s->cancel = true;
	}
	s->last = n > 0 ? 0 : (int)n;
	return s->last;
}

static const struct handler taker = {.name = "taker", .kind = HANDLER_TARGET, .install = take};

struct bench {
	uint8_t data[SIZE], packed[SIZE + 4096];
	struct fake fake;
	struct entry entry;
	struct plan_step ps;
	struct settings cfg;
	struct session session;
	struct feed feed;
	struct seen seen;
	struct err e;
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	fake_bytes(b->data, SIZE, 7);
	b->fake.data = b->data;
	b->fake.size = SIZE;
	b->fake.seekable = true;
	b->fake.max_piece = 65536;
	b->entry.filename = "image";
	b->entry.has_sha256 = true;
	assert_int_equal(sha256_once(b->data, SIZE, b->entry.sha256, &b->e), 0);
	b->cfg.mem_max = 8 << 20;
	b->ps.step.entry = &b->entry;
	b->ps.step.handler = &taker;
	b->ps.step.state = &b->seen;
	b->ps.span.room = UINT64_MAX;
	b->session.cfg = &b->cfg;
	b->feed.session = &b->session;
	b->feed.threads = 1;
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static struct stream *source(struct bench *b)
{
	struct stream *s = NULL;

	assert_int_equal(fake_stream_open(&s, &b->fake, &b->e), 0);
	return s;
}

static int install(struct bench *b)
{
	struct stream *s = source(b);
	int rc;

	pipeline_fit(&b->ps, s, &b->feed);
	rc = pipeline_install(&b->ps, s, &b->feed, &b->e);

	assert_int_equal(b->fake.closed, 1);
	return rc;
}

static uint32_t crc_of_gzip(const uint8_t *p, size_t n)
{
	uint32_t c = ~0u;

	while (n--) {
		c ^= *p++;
		for (int i = 0; i < 8; i++)
			c = c >> 1 ^ (c & 1 ? 0xedb88320u : 0);
	}
	return ~c;
}

static uint8_t *put_le(uint8_t *p, uint32_t v, unsigned bytes)
{
	for (; bytes--; v >>= 8)
		*p++ = (uint8_t)v;
	return p;
}

/* gzip with stored blocks: the pipeline is tested here, not the codec */
static void pack(struct bench *b)
{
	static const uint8_t head[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};
	uint8_t *p = b->packed + sizeof(head);

	memcpy(b->packed, head, sizeof(head));
	for (size_t at = 0, n; at < SIZE; at += n) {
		n = SIZE - at > 65535 ? 65535 : SIZE - at;
		*p++ = at + n == SIZE;
		p = put_le(put_le(p, (uint32_t)n, 2), ~(uint32_t)n, 2);
		memcpy(p, b->data + at, n);
		p += n;
	}
	p = put_le(put_le(p, crc_of_gzip(b->data, SIZE), 4), SIZE, 4);
	b->fake.data = b->packed;
	b->fake.size = (size_t)(p - b->packed);
	b->entry.compressed = CODEC_GZIP;
	assert_int_equal(sha256_once(b->packed, b->fake.size, b->entry.sha256, &b->e), 0);
}

static void the_handler_gets_every_byte_and_the_proven_end(void **state)
{
	struct bench *b = *state;

	assert_int_equal(install(b), 0);
	assert_int_equal(b->seen.bytes, SIZE);
	assert_int_equal(b->seen.crc, crc32c(0, b->data, SIZE));
	assert_int_equal(b->seen.last, 0);
}

static void t1_a_changed_payload_is_an_error_instead_of_the_end(void **state)
{
	struct bench *b = *state;

	b->data[SIZE - 1] ^= 1;
	assert_true(install(b) < 0);
	assert_int_equal(b->e.code, E_PAYLOAD_HASH);
	assert_true(b->seen.last < 0); /* the handler was told, too */
}

static void a_payload_cut_short_is_never_the_end(void **state)
{
	struct bench *b = *state;

	b->fake.ends = true;
	b->fake.end_at = SIZE - 10;
	assert_true(install(b) < 0);
	assert_int_equal(b->e.code, E_PAYLOAD_HASH);
	assert_true(b->seen.last < 0);
}

static void a_handler_that_stops_early_is_not_believed(void **state)
{
	struct bench *b = *state;

	b->seen.stop_at = 1000;
	assert_true(install(b) < 0);
	assert_int_equal(b->e.code, E_INTERNAL);
}

static void a_handler_that_stops_at_the_last_byte_still_needs_the_proof(void **state)
{
	struct bench *b = *state;

	b->seen.stop_at = SIZE;
	b->data[5] ^= 1;
	assert_true(install(b) < 0);
	assert_int_equal(b->e.code, E_PAYLOAD_HASH);
}

static void t19_a_read_error_keeps_its_cause(void **state)
{
	struct bench *b = *state;

	b->fake.fails = true;
	b->fake.fail_at = 123456;
	assert_int_equal(install(b), -EIO);
	assert_int_equal(b->e.code, E_IO);
}

static void t47_more_than_the_room_is_refused(void **state)
{
	struct bench *b = *state;

	b->ps.span.room = SIZE - 1;
	assert_true(install(b) < 0);
	assert_int_equal(b->e.code, E_LIMIT_OUTPUT);
	assert_true(b->seen.bytes < SIZE);
}

static void bytes_that_are_not_proven_are_unpacked_in_the_child(void **state)
{
	struct bench *b = *state;

	pack(b);
	assert_int_equal(install(b), 0);
	assert_int_equal(b->seen.bytes, SIZE);
	assert_int_equal(b->seen.crc, crc32c(0, b->data, SIZE));
	assert_non_null(strstr(b->seen.chain, "process"));
}

static void bytes_that_are_proven_are_unpacked_here(void **state)
{
	struct bench *b = *state;
	struct notes *n;

	pack(b);
	n = notes_new(b->fake.size, &b->e);
	assert_non_null(n);
	assert_int_equal(pipeline_prove(&b->ps, source(b), &b->feed, n, -1, &b->e), 0);
	b->fake.closed = 0;
	b->feed.notes = n;
	assert_int_equal(install(b), 0);
	assert_int_equal(b->seen.crc, crc32c(0, b->data, SIZE));
	assert_null(strstr(b->seen.chain, "process"));
	notes_free(n);
}

/* allow-unsigned: read twice and found the same, they are still anybody's bytes */
static void bytes_without_a_hash_are_unpacked_in_the_child_also_when_read_twice(void **state)
{
	struct bench *b = *state;
	struct notes *n;

	pack(b);
	((struct entry *)(uintptr_t)b->ps.step.entry)->has_sha256 = false;
	n = notes_new(b->fake.size, &b->e);
	assert_non_null(n);
	assert_int_equal(pipeline_prove(&b->ps, source(b), &b->feed, n, -1, &b->e), 0);
	b->fake.closed = 0;
	b->feed.notes = n;
	assert_int_equal(install(b), 0);
	assert_int_equal(b->seen.crc, crc32c(0, b->data, SIZE));
	assert_non_null(strstr(b->seen.chain, "process"));
	notes_free(n);
}

static void t56_a_source_that_changes_between_the_passes_is_noticed(void **state)
{
	struct bench *b = *state;
	struct notes *n = notes_new(SIZE, &b->e);

	assert_int_equal(pipeline_prove(&b->ps, source(b), &b->feed, n, -1, &b->e), 0);
	b->data[300000] ^= 1;
	b->fake.closed = 0;
	b->feed.notes = n;
	assert_true(install(b) < 0);
	assert_int_equal(b->e.code, E_SOURCE_CHANGED);
	assert_true(b->seen.bytes < 300000); /* not one byte of the changed block */
	notes_free(n);
}

static void proving_keeps_a_copy_when_asked(void **state)
{
	struct bench *b = *state;
	int fd = memfd_create("copy", MFD_CLOEXEC);
	uint8_t *back = malloc(SIZE);

	assert_int_equal(pipeline_prove(&b->ps, source(b), &b->feed, NULL, fd, &b->e), 0);
	assert_int_equal(pread(fd, back, SIZE, 0), SIZE);
	assert_memory_equal(back, b->data, SIZE);
	free(back);
	close(fd);
}

static void proving_calls_no_handler(void **state)
{
	struct bench *b = *state;

	b->data[9] ^= 1;
	assert_true(pipeline_prove(&b->ps, source(b), &b->feed, NULL, -1, &b->e) < 0);
	assert_int_equal(b->e.code, E_PAYLOAD_HASH);
	assert_int_equal(b->seen.calls, 0);
}

/* two blocks, the second one short */
static void with_blocks(struct bench *b, uint8_t list[64])
{
	enum { BLOCK = 1024 * 1024 };

	assert_int_equal(sha256_once(b->data, BLOCK, list, &b->e), 0);
	assert_int_equal(sha256_once(b->data + BLOCK, SIZE - BLOCK, list + 32, &b->e), 0);
	b->ps.blocks =
		(struct block_hashes){.digests = list, .count = 2, .block = BLOCK, .size = SIZE};
}

static void a_block_that_was_not_signed_never_reaches_the_handler(void **state)
{
	struct bench *b = *state;
	uint8_t list[64];

	with_blocks(b, list);
	b->data[SIZE - 1] ^= 1;
	assert_true(install(b) < 0);
	assert_int_equal(b->e.code, E_BLOCK_HASH);
	assert_int_equal(b->seen.bytes, 1024 * 1024);
}

static void block_hashes_take_the_place_of_the_whole_hash(void **state)
{
	struct bench *b = *state;
	uint8_t list[64];

	with_blocks(b, list);
	memset(b->entry.sha256, 9, 32);
	assert_int_equal(install(b), 0);
	assert_null(strstr(b->seen.chain, "verify"));
}

static void one_thread_means_no_threads(void **state)
{
	struct bench *b = *state;

	assert_int_equal(install(b), 0);
	assert_null(strstr(b->seen.chain, "ahead"));
}

static void reading_and_hashing_run_ahead_where_there_are_cores(void **state)
{
	struct bench *b = *state;

	b->feed.threads = 2;
	assert_int_equal(install(b), 0);
	assert_int_equal(b->seen.crc, crc32c(0, b->data, SIZE));
	assert_ptr_equal(strstr(b->seen.chain, "ahead"), b->seen.chain);
}

static void a_payload_of_less_than_a_block_gets_no_thread(void **state)
{
	struct bench *b = *state;

	b->feed.threads = 2;
	b->fake.size = STREAM_BLOCK - 1;
	assert_int_equal(sha256_once(b->data, STREAM_BLOCK - 1, b->entry.sha256, &b->e), 0);
	assert_int_equal(install(b), 0);
	assert_int_equal(b->seen.crc, crc32c(0, b->data, STREAM_BLOCK - 1));
	assert_null(strstr(b->seen.chain, "ahead"));
}

static void an_error_upstream_of_a_thread_keeps_its_cause(void **state)
{
	struct bench *b = *state;

	b->feed.threads = 4;
	pack(b);
	b->packed[40000] ^=
		1; /* garbage for the unpacker, too: either name is true, the end is not proven */
	assert_true(install(b) < 0);
	assert_true(b->e.code == E_PAYLOAD_HASH || b->e.code == E_DECOMPRESS);
	assert_true(b->seen.last < 0);
}

static void cancel_ends_the_stream_with_its_own_error(void **state)
{
	struct bench *b = *state;
	volatile bool cancel = false;
	struct meter m = {.cancel = &cancel};

	b->feed.meter = &m;
	b->seen.cancel = &cancel;
	assert_true(install(b) < 0);
	assert_int_equal(b->e.code, E_CANCELED);
}

static void progress_counts_the_bytes_of_the_bundle(void **state)
{
	struct bench *b = *state;
	struct meter m = {.cancel = NULL};

	pack(b);
	b->feed.meter = &m;
	assert_int_equal(install(b), 0);
	assert_int_equal(atomic_load(&m.bytes), b->fake.size);
}

static void a_dry_run_reads_everything_and_calls_no_handler(void **state)
{
	struct bench *b = *state;

	pack(b);
	b->session.mode = JOB_DRY_RUN;
	assert_int_equal(install(b), 0);
	assert_int_equal(b->seen.calls, 0);
	b->packed[b->fake.size - 1] ^= 1;
	b->fake.closed = 0;
	assert_true(install(b) < 0);
}

/* a medium that does not keep what it took */
static int lie(struct step *st, struct stream *in, struct err *e)
{
	struct fakedev *f = st->state;
	int rc = blkdev_fill(st->dev, in, &(struct fill){.compare = COMPARE_NO}, e);

	if (f->fail_errno)
		f->mem[SIZE / 2] ^= 1;
	return rc;
}

static const struct handler liar = {.name = "liar", .kind = HANDLER_TARGET, .install = lie};

static void verify_writes_reads_the_medium_back(void **state)
{
	struct bench *b = *state;
	struct fakedev f;

	assert_int_equal(fakedev_init(&f, 2 << 20, 0), 0);
	b->ps.step.dev = &f.d;
	b->ps.step.handler = &liar;
	b->ps.step.state = &f;
	b->cfg.verify_writes = true;
	assert_int_equal(install(b), 0);
	b->fake.closed = 0;
	f.fail_errno = 1;
	assert_true(install(b) < 0);
	assert_int_equal(b->e.code, E_VERIFY_WRITES);
	b->cfg.verify_writes = false;
	b->fake.closed = 0;
	err_clear(&b->e);
	assert_int_equal(install(b), 0); /* off: nobody looks */
	fakedev_clear(&f);
}

/* a source: each byte of the payload, inverted; the step is the target's */
static ssize_t invert_read(struct stream *s, uint8_t *buf, size_t n, struct err *e)
{
	ssize_t got = stream_read(s->up, buf, n, e);

	for (ssize_t i = 0; i < got; i++)
		buf[i] = (uint8_t)~buf[i];
	return got;
}

static void invert_close(struct stream *s)
{
	free(s);
}

static int invert_open(struct step *st, struct stream **s, struct err *e)
{
	static const struct stream_ops ops = {
		.name = "invert", .read = invert_read, .close = invert_close};
	struct stream *mine = calloc(1, sizeof(*mine));

	(void)e;
	assert_string_equal(st->handler->name, "taker");
	assert_int_not_equal((*s)->proof, PROOF_NONE); /* it sees proven bytes only */
	stream_init(mine, &ops, *s);
	*s = mine;
	return 0;
}

static const struct handler inverter = {
	.name = "inverter", .kind = HANDLER_SOURCE, .open = invert_open, .chain = "taker"};

static void what_a_source_makes_goes_into_the_target_of_its_chain(void **state)
{
	struct bench *b = *state;
	uint8_t *made = malloc(SIZE);
	struct notes *n = notes_new(SIZE, &b->e);

	for (size_t i = 0; i < SIZE; i++)
		made[i] = (uint8_t)~b->data[i];
	assert_int_equal(sha256_once(made, SIZE, b->ps.result, &b->e), 0);
	b->ps.source = &inverter;
	b->ps.has_result = true;
	assert_int_equal(pipeline_prove(&b->ps, source(b), &b->feed, n, -1, &b->e), 0);
	b->feed.notes = n;
	b->fake.closed = 0;
	assert_int_equal(install(b), 0);
	assert_int_equal(b->seen.crc, crc32c(0, made, SIZE));
	/* the payload is right, and what was made of it is not what was signed */
	b->ps.result[3] ^= 1;
	b->fake.closed = 0;
	assert_true(install(b) < 0);
	assert_int_equal(b->e.code, E_PAYLOAD_HASH);
	assert_true(b->seen.last < 0);
	free(made);
	notes_free(n);
}

static void threads_of_the_configuration_win(void **state)
{
	struct bench *b = *state;

	b->cfg.threads = 3;
	assert_int_equal(pipeline_threads(&b->cfg), 3);
	b->cfg.threads = 100000;
	assert_int_equal(pipeline_threads(&b->cfg), 64);
	b->cfg.threads = 0;
	assert_true(pipeline_threads(&b->cfg) >= 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_handler_gets_every_byte_and_the_proven_end),
		T(t1_a_changed_payload_is_an_error_instead_of_the_end),
		T(a_payload_cut_short_is_never_the_end),
		T(a_handler_that_stops_early_is_not_believed),
		T(a_handler_that_stops_at_the_last_byte_still_needs_the_proof),
		T(t19_a_read_error_keeps_its_cause),
		T(t47_more_than_the_room_is_refused),
		T(bytes_that_are_not_proven_are_unpacked_in_the_child),
		T(bytes_that_are_proven_are_unpacked_here),
		T(bytes_without_a_hash_are_unpacked_in_the_child_also_when_read_twice),
		T(t56_a_source_that_changes_between_the_passes_is_noticed),
		T(proving_keeps_a_copy_when_asked),
		T(proving_calls_no_handler),
		T(a_block_that_was_not_signed_never_reaches_the_handler),
		T(block_hashes_take_the_place_of_the_whole_hash),
		T(one_thread_means_no_threads),
		T(reading_and_hashing_run_ahead_where_there_are_cores),
		T(a_payload_of_less_than_a_block_gets_no_thread),
		T(an_error_upstream_of_a_thread_keeps_its_cause),
		T(cancel_ends_the_stream_with_its_own_error),
		T(progress_counts_the_bytes_of_the_bundle),
		T(a_dry_run_reads_everything_and_calls_no_handler),
		T(verify_writes_reads_the_medium_back),
		T(what_a_source_makes_goes_into_the_target_of_its_chain),
		T(threads_of_the_configuration_win),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
