/* Two passes over one descriptor: what was verified is what is used (L2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "corelib/stream/stages.h"
#include "tests/unit/kit/fake_stream.h"

#define BLOCK (256u * 1024)
#define SIZE  (3 * BLOCK + 777)
static uint8_t *data, *bad, *got;

static int stack_note(struct stream **s, void *arg, struct err *e)
{
	(*s)->end_proves = true; /* as behind a stage that compares the digest */
	return stage_note_open(s, arg, e);
}

static int stack_proven(struct stream **s, void *arg, struct err *e)
{
	return stage_proven_open(s, arg, e);
}

struct outcome {
	size_t n;
	struct err e;
};

static int run(fake_stage stage, struct fake *f, struct notes *notes, struct outcome *o)
{
	struct fake_run r = {.fake = f,
			     .stage = stage,
			     .arg = notes,
			     .out = got,
			     .room = SIZE + 10,
			     .seed = f->seed / 3};
	int rc;

	err_clear(&o->e);
	rc = fake_run(&r, &o->e);
	o->n = r.n;
	return rc;
}

static struct fake any_fake(const uint8_t *bytes, uint32_t seed)
{
	return (struct fake){.data = bytes,
			     .size = SIZE,
			     .way = (enum fake_way)(seed % 3),
			     .seed = seed,
			     .max_piece = seed * 9973};
}

/* notes of the good bytes */
static struct notes *good_notes(void)
{
	struct fake f = any_fake(data, 0);
	struct outcome o;
	struct notes *notes = notes_new(SIZE, &o.e);

	assert_non_null(notes);
	assert_int_equal(run(stack_note, &f, notes, &o), 0);
	return notes;
}

static void notes_first_pass_changes_nothing_second_pass_agrees_in_any_cutting(void **state)
{
	(void)state;
	for (uint32_t seed = 0; seed < 12; seed++) {
		struct fake f = any_fake(data, seed);
		struct outcome o = {0};
		struct notes *notes = notes_new(SIZE, &o.e);

		assert_non_null(notes);
		assert_int_equal(run(stack_note, &f, notes, &o), 0);
		assert_int_equal(o.n, SIZE);
		assert_memory_equal(got, data, SIZE);
		f = any_fake(data, seed + 1);
		assert_int_equal(run(stack_proven, &f, notes, &o), 0);
		assert_int_equal(o.n, SIZE);
		assert_memory_equal(got, data, SIZE);
		notes_free(notes);
	}
}

static void notes_any_change_between_the_passes_stops_before_its_block(void **state)
{
	struct notes *notes = good_notes();

	(void)state;
	for (size_t at = 0; at < SIZE; at += SIZE / 17) {
		struct fake f = any_fake(bad, (uint32_t)at % 5);
		struct outcome o = {0};

		memcpy(bad, data, SIZE);
		bad[at] ^= (uint8_t)(1 << at % 8);
		assert_int_equal(run(stack_proven, &f, notes, &o), -EBADMSG);
		assert_int_equal(o.e.code, E_SOURCE_CHANGED);
		assert_int_equal(o.n, at / BLOCK * BLOCK);
		assert_memory_equal(got, data, o.n);
	}
	notes_free(notes);
}

static void notes_swapped_blocks_are_a_change(void **state)
{
	struct notes *notes = good_notes();
	struct fake f = any_fake(bad, 0);
	struct outcome o = {0};

	(void)state;
	memcpy(bad, data, SIZE);
	memcpy(bad, data + BLOCK, BLOCK);
	memcpy(bad + BLOCK, data, BLOCK);
	assert_int_equal(run(stack_proven, &f, notes, &o), -EBADMSG);
	assert_int_equal(o.e.code, E_SOURCE_CHANGED);
	assert_int_equal(o.n, 0);
	notes_free(notes);
}

static void notes_shorter_or_longer_in_the_second_pass_is_a_change(void **state)
{
	struct notes *notes = good_notes();

	(void)state;
	for (uint64_t size = 0; size <= SIZE + 1; size += SIZE / 11 + 1) {
		struct fake f = any_fake(data, (uint32_t)size % 4);
		struct outcome o = {0};

		f.size = size;
		assert_int_equal(run(stack_proven, &f, notes, &o), -EBADMSG);
		assert_int_equal(o.e.code, E_SOURCE_CHANGED);
	}
	struct fake f = any_fake(data, 0);
	struct outcome o = {0};

	f.size = SIZE + 1;
	assert_int_equal(run(stack_proven, &f, notes, &o), -EBADMSG);
	assert_int_equal(o.e.code, E_SOURCE_CHANGED);
	assert_int_equal(o.n, SIZE);
	notes_free(notes);
}

static void notes_first_pass_refuses_another_size(void **state)
{
	struct outcome o = {0};
	struct notes *notes = notes_new(SIZE, &o.e);
	struct fake f = any_fake(data, 0);

	(void)state;
	assert_non_null(notes);
	f.size = SIZE - 1;
	assert_int_equal(run(stack_note, &f, notes, &o), -ENODATA);
	assert_int_equal(o.e.code, E_TRUNCATED);
	f.size = SIZE + 1;
	assert_int_equal(run(stack_note, &f, notes, &o), -EFBIG);
	assert_int_equal(o.e.code, E_SOURCE_CHANGED);
	notes_free(notes);
}

static void notes_that_are_not_complete_prove_nothing(void **state)
{
	static const uint64_t breaks[] = {0, 1, BLOCK, SIZE - 1, SIZE};
	struct outcome o = {0};
	struct notes *notes = good_notes();

	(void)state;
	/* a second first pass that breaks off, even at once, takes the proof away */
	for (size_t i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++) {
		struct fake f = any_fake(data, 0);

		assert_int_equal(run(stack_note, &f, notes, &o), 0);
		f.fails = true;
		f.fail_at = breaks[i];
		assert_int_equal(run(stack_note, &f, notes, &o), -EIO);
		f.fails = false;
		assert_int_equal(run(stack_proven, &f, notes, &o), -EINVAL);
		assert_int_equal(o.e.code, E_INTERNAL);
	}
	notes_free(notes);
	notes_free(NULL);
}

static void notes_of_an_empty_payload_and_of_a_full_last_block(void **state)
{
	static const uint64_t sizes[] = {0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct fake f = any_fake(data, (uint32_t)i);
		struct outcome o = {0};
		struct notes *notes = notes_new(sizes[i], &o.e);

		assert_non_null(notes);
		f.size = sizes[i];
		assert_int_equal(run(stack_note, &f, notes, &o), 0);
		assert_int_equal(run(stack_proven, &f, notes, &o), 0);
		assert_int_equal(o.n, sizes[i]);
		notes_free(notes);
	}
}

/* large reads go past the stage's own block; small ones leave a rest that the next large one takes
 */
static void notes_second_pass_fills_the_callers_memory_in_any_size(void **state)
{
	static const size_t sizes[] = {SIZE, 100, SIZE, BLOCK, BLOCK - 1, 2, SIZE};
	struct notes *notes = good_notes();
	struct stream *s = NULL;
	struct err e;
	size_t at = 0;
	ssize_t r = 1;

	(void)state;
	err_clear(&e);
	assert_int_equal(stream_mem_open(&s, data, SIZE, &e), 0);
	assert_int_equal(stage_proven_open(&s, notes, &e), 0);
	for (size_t i = 0; r > 0; i++) {
		r = stream_read(s, got + at,
				sizes[i % 7] < SIZE - at ? sizes[i % 7] : SIZE - at + 10, &e);
		assert_true(r >= 0);
		at += (size_t)r;
	}
	assert_int_equal(at, SIZE);
	assert_memory_equal(got, data, SIZE);
	s = stream_close(s);
	notes_free(notes);
}

static void notes_of_bytes_that_nothing_has_proven_prove_nothing(void **state)
{
	struct fake f = any_fake(data, 0), g = any_fake(data, 1);
	struct err e = {0};
	struct notes *notes = notes_new(SIZE, &e);
	struct stream *s = NULL;

	(void)state;
	assert_int_equal(fake_stream_open(&s, &f, &e), 0);
	assert_int_equal(stage_note_open(&s, notes, &e), 0);
	assert_int_equal(stream_drain(s, &e), 0);
	stream_close(s);
	assert_int_equal(fake_stream_open(&s, &g, &e), 0);
	assert_int_equal(stage_proven_open(&s, notes, &e), 0);
	assert_int_equal(s->proof, PROOF_NONE);
	stream_close(s);
	notes_free(notes);
}

static void notes_second_pass_is_proven_as_a_whole_and_aligned(void **state)
{
	struct notes *notes = good_notes();
	struct fake f = any_fake(data, 5);
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL;
	const uint8_t *buf;

	(void)state;
	assert_int_equal(fake_stream_open(&s, &f, &e), 0);
	assert_int_equal(stage_proven_open(&s, notes, &e), 0);
	assert_int_equal(s->proof, PROOF_WHOLE);
	assert_true(s->has_size && s->size == SIZE);
	assert_int_equal(stream_next(s, &buf, &e), BLOCK);
	assert_int_equal((uintptr_t)buf % STREAM_ALIGN, 0);
	stream_close(s);
	s = NULL;
	notes_free(notes);
}

static void notes_error_from_above_keeps_its_code(void **state)
{
	struct notes *notes = good_notes();
	struct fake f = any_fake(data, 0);
	struct outcome o = {0};

	(void)state;
	f.fails = true;
	for (f.fail_at = 0; f.fail_at <= SIZE; f.fail_at += SIZE / 3) {
		assert_int_equal(run(stack_proven, &f, notes, &o), -EIO);
		assert_int_equal(o.e.code, E_IO);
	}
	notes_free(notes);
}

/* the real thing: one descriptor, changed by another writer between the passes */
static void notes_over_a_file_that_another_changes(void **state)
{
	char path[] = "/tmp/swinstall-notes-XXXXXX";
	int fd = mkstemp(path);
	struct err e = {0};
	struct notes *notes = notes_new(SIZE, &e);
	struct stream *s;

	(void)state;
	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(write(fd, data, SIZE), SIZE);
	assert_int_equal(stream_fd_open(&s, fd, NULL, &e), 0);
	assert_int_equal(stage_note_open(&s, notes, &e), 0);
	assert_int_equal(stream_drain(s, &e), 0);
	stream_close(s);
	assert_int_equal(pwrite(fd, "\xff\x00", 2, BLOCK + 5), 2);
	assert_int_equal(stream_fd_open(&s, fd, NULL, &e), 0);
	assert_int_equal(stage_proven_open(&s, notes, &e), 0);
	assert_int_equal(stream_drain(s, &e), -EBADMSG);
	assert_int_equal(e.code, E_SOURCE_CHANGED);
	assert_int_equal(s->pos, BLOCK);
	stream_close(s);
	notes_free(notes);
	close(fd);
}

static int make_data(void **state)
{
	(void)state;
	data = malloc(SIZE + 10);
	bad = malloc(SIZE + 10);
	got = malloc(SIZE + 10);
	if (!data || !bad || !got)
		return -1;
	fake_bytes(data, SIZE + 10, 10);
	return 0;
}

static int free_data(void **state)
{
	(void)state;
	free(data);
	free(bad);
	free(got);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			notes_first_pass_changes_nothing_second_pass_agrees_in_any_cutting),
		cmocka_unit_test(notes_any_change_between_the_passes_stops_before_its_block),
		cmocka_unit_test(notes_swapped_blocks_are_a_change),
		cmocka_unit_test(notes_shorter_or_longer_in_the_second_pass_is_a_change),
		cmocka_unit_test(notes_first_pass_refuses_another_size),
		cmocka_unit_test(notes_that_are_not_complete_prove_nothing),
		cmocka_unit_test(notes_of_an_empty_payload_and_of_a_full_last_block),
		cmocka_unit_test(notes_of_bytes_that_nothing_has_proven_prove_nothing),
		cmocka_unit_test(notes_second_pass_is_proven_as_a_whole_and_aligned),
		cmocka_unit_test(notes_second_pass_fills_the_callers_memory_in_any_size),
		cmocka_unit_test(notes_error_from_above_keeps_its_code),
		cmocka_unit_test(notes_over_a_file_that_another_changes),
	};
	return cmocka_run_group_tests(tests, make_data, free_data);
}
