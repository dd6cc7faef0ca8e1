/* partition tables: what is made can be read by others, what is written survives any cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "corelib/base/text.h"
#include "corelib/device/parttable.h"
#include "tests/unit/kit/fake_blkdev.h"
#include "tests/unit/kit/tool.h"

#define MiB    (1024u * 1024)
#define LINUX  "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
#define ROOT_X "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"
#define SIZE   (16 * MiB)
#define A_UUID "11111111-2222-3333-4444-555555555555"

static struct fakedev disk;

static void fresh_disk(void)
{
	assert_int_equal(fakedev_init(&disk, SIZE, 0), 0);
	disk.d.io_align = 512;
}

static struct parttable *read_disk(void)
{
	struct parttable *t = NULL;
	struct err e = {0};

	if (parttable_read(&t, &disk.d, 512, &e) < 0)
		fail_msg("%s", e.why);
	return t;
}

/* the table of 'wanted' on the disk; returns what is there then */
static struct parttable *put(const struct parttable *wanted)
{
	AUTO_PARTTABLE struct parttable *old = read_disk();
	AUTO_PARTTABLE struct parttable *new = NULL;
	struct err e = {0};

	if (parttable_make(&new, wanted, old, &e) < 0 || parttable_write(&disk.d, new, old, &e) < 0)
		fail_msg("%s", e.why);
	return read_disk();
}

static struct parttable gpt_of_two(void)
{
	struct parttable t = {.kind = PARTTABLE_GPT, .count = 2};

	t.parts[0] = (struct partition){
		.number = 1, .start = 1 * MiB, .size = 4 * MiB, .name = "rootfs_a", .type = ROOT_X};
	t.parts[1] = (struct partition){.number = 2, .name = "data"};
	return t;
}

static struct parttable dos_of_two(void)
{
	struct parttable t = {.kind = PARTTABLE_DOS, .count = 2};

	t.parts[0] = (struct partition){
		.number = 1, .start = 1 * MiB, .size = 2 * MiB, .type = "0c", .boot = true};
	t.parts[1] = (struct partition){.number = 2, .type = "83"};
	return t;
}

/* what another program says of the disk; NULL where it is not installed */
static void others_read(const char *kind, size_t count)
{
	char path[] = "/tmp/parttable.XXXXXX", cmd[200], line[300];
	int fd = mkstemp(path);
	size_t n = 0;
	bool label = false;
	FILE *f;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, disk.mem, SIZE), SIZE);
	close(fd);
	text_print(cmd, sizeof(cmd), "/sbin/sfdisk --dump %s 2>&1", path);
	f = popen(cmd, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		label = label || (strncmp(line, "label: ", 7) == 0 &&
				  strncmp(line + 7, kind, strlen(kind)) == 0);
		n += strncmp(line, path, strlen(path)) == 0;
	}
	pclose(f);
	unlink(path);
	assert_true(label);
	assert_int_equal(n, count);
}

static void a_disk_without_a_table_has_none(void **state)
{
	AUTO_PARTTABLE struct parttable *t = NULL;

	(void)state;
	fresh_disk();
	t = read_disk();
	assert_int_equal(t->kind, PARTTABLE_NONE);
	assert_int_equal(t->count, 0);
	fakedev_clear(&disk);
}

static void a_new_gpt_is_what_was_asked_for(void **state)
{
	struct parttable wanted = gpt_of_two();
	AUTO_PARTTABLE struct parttable *now = NULL;

	(void)state;
	fresh_disk();
	now = put(&wanted);
	assert_int_equal(now->kind, PARTTABLE_GPT);
	assert_int_equal(now->count, 2);
	assert_string_equal(now->parts[0].name, "rootfs_a");
	assert_string_equal(now->parts[0].type, ROOT_X);
	assert_int_equal(now->parts[0].start, 1 * MiB);
	assert_int_equal(now->parts[0].size, 4 * MiB);
	assert_string_equal(now->parts[1].type, LINUX);
	assert_int_equal(now->parts[1].start, 5 * MiB);
	assert_true(now->parts[1].size >= 10 * MiB);
	others_read("gpt", 2);
	fakedev_clear(&disk);
}

static void a_new_dos_table_is_what_was_asked_for(void **state)
{
	struct parttable wanted = dos_of_two();
	AUTO_PARTTABLE struct parttable *now = NULL;

	(void)state;
	fresh_disk();
	now = put(&wanted);
	assert_int_equal(now->kind, PARTTABLE_DOS);
	assert_int_equal(now->count, 2);
	assert_string_equal(now->parts[0].type, "0c");
	assert_true(now->parts[0].boot);
	assert_false(now->parts[1].boot);
	assert_string_equal(now->parts[1].type, "83");
	others_read("dos", 2);
	fakedev_clear(&disk);
}

static void logical_partitions_are_written_and_found_again(void **state)
{
	struct parttable wanted = {.kind = PARTTABLE_DOS, .count = 4};
	AUTO_PARTTABLE struct parttable *now = NULL;
	AUTO_PARTTABLE struct parttable *again = NULL;

	(void)state;
	fresh_disk();
	wanted.parts[0] = (struct partition){.number = 1, .start = MiB, .size = MiB, .type = "83"};
	wanted.parts[1] = (struct partition){.number = 2, .start = 3 * MiB, .type = "05"};
	wanted.parts[2] = (struct partition){.number = 5, .size = 2 * MiB, .type = "83"};
	wanted.parts[3] = (struct partition){.number = 6, .size = 3 * MiB, .type = "82"};
	now = put(&wanted);
	assert_int_equal(now->count, 4);
	assert_int_equal(now->parts[3].number, 6);
	assert_string_equal(now->parts[3].type, "82");
	others_read("dos", 4);
	/* the same once more changes nothing */
	fakedev_forget(&disk);
	again = put(&wanted);
	assert_true(parttable_same(now, again));
	assert_int_equal(fakedev_bytes(&disk, FAKEDEV_WRITE), 0);
	assert_int_equal(fakedev_bytes(&disk, FAKEDEV_ANY), 0);
	fakedev_clear(&disk);
}

static void the_same_table_again_writes_nothing(void **state)
{
	struct parttable wanted = gpt_of_two();
	AUTO_PARTTABLE struct parttable *now = NULL;
	AUTO_PARTTABLE struct parttable *new = NULL;
	struct err e = {0};

	(void)state;
	fresh_disk();
	now = put(&wanted);
	assert_int_equal(parttable_make(&new, &wanted, now, &e), 0);
	/* the second one has no start: its uuid is chosen anew, but the first keeps its own */
	assert_string_equal(new->parts[0].uuid, now->parts[0].uuid);
	assert_string_equal(new->id, now->id);
	wanted.parts[1].start = 5 * MiB;
	new = parttable_free(new);
	assert_int_equal(parttable_make(&new, &wanted, now, &e), 0);
	assert_true(parttable_same(new, now));
	fakedev_clear(&disk);
}

static void the_boot_loader_in_sector_0_stays(void **state)
{
	struct parttable gpt = gpt_of_two(), dos = dos_of_two();

	(void)state;
	fresh_disk();
	memset(disk.mem, 0x90, 440);
	parttable_free(put(&dos));
	parttable_free(put(&gpt));
	parttable_free(put(&dos));
	for (size_t i = 0; i < 440; i++)
		assert_int_equal(disk.mem[i], 0x90);
	fakedev_clear(&disk);
}

static void a_dos_table_in_place_of_a_gpt_leaves_no_mark_of_it(void **state)
{
	struct parttable gpt = gpt_of_two(), dos = dos_of_two();
	AUTO_PARTTABLE struct parttable *now = NULL;

	(void)state;
	fresh_disk();
	parttable_free(put(&gpt));
	assert_memory_equal(disk.mem + 512, "EFI PART", 8);
	now = put(&dos);
	assert_int_equal(now->kind, PARTTABLE_DOS);
	assert_memory_not_equal(disk.mem + 512, "EFI PART", 8);
	assert_memory_not_equal(disk.mem + SIZE - 512, "EFI PART", 8);
	others_read("dos", 2);
	fakedev_clear(&disk);
}

static void a_hybrid_record_names_up_to_three_partitions(void **state)
{
	struct parttable wanted = {.kind = PARTTABLE_GPT, .count = 4};
	AUTO_PARTTABLE struct parttable *now = NULL;
	AUTO_PARTTABLE struct parttable *new = NULL;
	struct err e = {0};

	(void)state;
	fresh_disk();
	for (unsigned i = 0; i < 4; i++)
		wanted.parts[i] = (struct partition){
			.number = i + 1, .start = (1 + 3 * i) * MiB, .size = 2 * MiB};
	strcpy(wanted.parts[0].dos_type, "0c");
	strcpy(wanted.parts[2].dos_type, "83");
	now = put(&wanted);
	assert_int_equal(now->kind, PARTTABLE_GPT);
	assert_string_equal(now->parts[0].dos_type, "0c");
	assert_string_equal(now->parts[1].dos_type, "");
	assert_string_equal(now->parts[2].dos_type, "83");
	assert_int_equal(disk.mem[446 + 4], 0xee);
	others_read("gpt", 4);
	strcpy(wanted.parts[1].dos_type, "83");
	strcpy(wanted.parts[3].dos_type, "83");
	assert_true(parttable_make(&new, &wanted, now, &e) < 0);
	assert_int_equal(e.code, E_PROPERTY);
	fakedev_clear(&disk);
}

static void what_does_not_fit_is_refused_before_any_write(void **state)
{
	struct parttable wanted = gpt_of_two();
	AUTO_PARTTABLE struct parttable *old = NULL;
	AUTO_PARTTABLE struct parttable *new = NULL;
	struct err e = {0};

	(void)state;
	fresh_disk();
	old = read_disk();
	wanted.parts[0].size = 20 * MiB;
	assert_true(parttable_make(&new, &wanted, old, &e) < 0);
	assert_int_equal(e.code, E_TARGET_SMALL);
	err_clear(&e);
	wanted = gpt_of_two();
	strcpy(wanted.parts[0].type, "no-type");
	assert_true(parttable_make(&new, &wanted, old, &e) < 0);
	assert_int_equal(e.code, E_PROPERTY);
	err_clear(&e);
	wanted = gpt_of_two();
	strcpy(wanted.parts[0].uuid, "11111111-2222-3333-4444-55555555555g");
	assert_true(parttable_make(&new, &wanted, old, &e) < 0);
	assert_int_equal(e.code, E_PROPERTY);
	fakedev_clear(&disk);
}

/* ---- cuts ---- */

/* only the first 'keep' writes reach the medium */
static unsigned cut_after, seen;
static const struct blkdev_ops *real;

static int cut_write(struct blkdev *d, const void *buf, size_t n, uint64_t off, struct err *e)
{
	if (seen++ >= cut_after)
		return err_set(e, E_TARGET_WRITE, EIO, "cut");
	return (real->pwrite_any ?: real->pwrite)(d, buf, n, off, e);
}

static void cut_everywhere(const struct parttable *before, const struct parttable *after)
{
	AUTO_PARTTABLE struct parttable *old = NULL;
	AUTO_PARTTABLE struct parttable *new = NULL;
	AUTO_FREE uint8_t *mem = malloc(SIZE);
	struct blkdev_ops ops;
	struct err e = {0};
	bool done = false;

	fresh_disk();
	if (before)
		parttable_free(put(before));
	old = read_disk();
	memcpy(mem, disk.mem, SIZE);
	assert_int_equal(parttable_make(&new, after, old, &e), 0);
	real = disk.d.ops;
	ops = *real;
	ops.pwrite = ops.pwrite_any = cut_write;
	for (cut_after = 0; !done; cut_after++) {
		AUTO_PARTTABLE struct parttable *now = NULL;

		memcpy(disk.mem, mem, SIZE);
		disk.d.broken = false;
		seen = 0;
		disk.d.ops = &ops;
		err_clear(&e);
		done = parttable_write(&disk.d, new, old, &e) == 0;
		disk.d.ops = real;
		now = read_disk();
		assert_true(parttable_same(now, done ? new : old) || parttable_same(now, new));
	}
	assert_true(cut_after > 3);
	fakedev_clear(&disk);
}

static void t103_a_cut_while_a_gpt_is_written_leaves_old_or_new(void **state)
{
	struct parttable a = gpt_of_two(), b = gpt_of_two();

	(void)state;
	b.parts[0].size = 6 * MiB;
	strcpy(b.parts[0].uuid, A_UUID);
	cut_everywhere(NULL, &a);
	cut_everywhere(&a, &b);
}

static void t103_a_cut_while_the_kind_of_table_changes_leaves_old_or_new(void **state)
{
	struct parttable gpt = gpt_of_two(), dos = dos_of_two();

	(void)state;
	cut_everywhere(&dos, &gpt);
	cut_everywhere(&gpt, &dos);
}

static void a_failed_flush_is_an_error(void **state)
{
	struct parttable wanted = gpt_of_two();
	AUTO_PARTTABLE struct parttable *old = NULL;
	AUTO_PARTTABLE struct parttable *new = NULL;
	struct err e = {0};

	(void)state;
	fresh_disk();
	old = read_disk();
	assert_int_equal(parttable_make(&new, &wanted, old, &e), 0);
	for (unsigned i = 1; i <= 3; i++) {
		disk.fail_op = FAKEDEV_FLUSH;
		disk.fail_at = i;
		disk.fail_errno = EIO;
		disk.d.broken = false;
		fakedev_forget(&disk);
		err_clear(&e);
		assert_true(parttable_write(&disk.d, new, old, &e) < 0);
	}
	fakedev_clear(&disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_disk_without_a_table_has_none),
		cmocka_unit_test(a_new_gpt_is_what_was_asked_for),
		cmocka_unit_test(a_new_dos_table_is_what_was_asked_for),
		cmocka_unit_test(logical_partitions_are_written_and_found_again),
		cmocka_unit_test(the_same_table_again_writes_nothing),
		cmocka_unit_test(the_boot_loader_in_sector_0_stays),
		cmocka_unit_test(a_dos_table_in_place_of_a_gpt_leaves_no_mark_of_it),
		cmocka_unit_test(a_hybrid_record_names_up_to_three_partitions),
		cmocka_unit_test(what_does_not_fit_is_refused_before_any_write),
		cmocka_unit_test(t103_a_cut_while_a_gpt_is_written_leaves_old_or_new),
		cmocka_unit_test(t103_a_cut_while_the_kind_of_table_changes_leaves_old_or_new),
		cmocka_unit_test(a_failed_flush_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
