/* The names of a partition table: exchanged in both copies, and whole wherever it is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "corelib/base/text.h"
#include "corelib/device/gpt.h"
#include "tests/unit/kit/envkit.h"

enum { SECTOR = 512, DISK = 1024 * 1024 };

/* ---- the medium: after so many sectors nothing is written any more ---- */

static long left = -1; /* -1: no cut */

ssize_t pwrite(int fd, const void *buf, size_t n, off_t off)
{
	for (size_t done = 0; done < n; done += SECTOR) {
		size_t now = n - done < SECTOR ? n - done : SECTOR;

		if (left == 0) {
			errno = EIO;
			return -1;
		}
		left -= left > 0;
		syscall(SYS_pwrite64, fd, (const char *)buf + done, now, off + (off_t)done);
	}
	return (ssize_t)n;
}

struct bench {
	char dir[64], path[96];
	int fd;
	char *bytes; /* the disk as it was made */
	struct err e;
};

static void shell(const struct bench *b, const char *line, char *out, size_t n)
{
	char text[512];
	const char *argv[] = {"/bin/sh", "-c", text, NULL};

	snprintf(text, sizeof(text), "cd %s && %s", b->dir, line);
	if (envkit_run(argv, out, n) != 0)
		fail_msg("%s: %s", text, out);
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	char out[512] = "";
	size_t n;

	strcpy(b->dir, "/tmp/swinstall-gpt-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->path, sizeof(b->path), "%s/disk", b->dir);
	shell(b,
	      "truncate -s 1M disk && printf 'label: gpt\\nfirst-lba: 34\\nsize=100, name=\"rootfs\"\\n"
	      "size=100, name=\"rootfs-other\"\\nsize=50, name=\"data\"\\n' | "
	      "PATH=$PATH:/sbin:/usr/sbin sfdisk -q disk",
	      out, sizeof(out));
	b->fd = open(b->path, O_RDWR | O_CLOEXEC);
	assert_true(b->fd >= 0);
	b->bytes = envkit_read_file(b->path, &n);
	assert_int_equal(n, DISK);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	left = -1;
	close(b->fd);
	free(b->bytes);
	envkit_remove_tree(b->dir);
	free(b);
	return 0;
}

static void put_back(const struct bench *b)
{
	assert_int_equal(syscall(SYS_pwrite64, b->fd, b->bytes, DISK, 0), DISK);
}

/* what sfdisk says of the names, in the order of the partitions */
static const char *names(const struct bench *b)
{
	static char out[1024];

	shell(b,
	      "PATH=$PATH:/sbin:/usr/sbin; sfdisk -q -V disk >said 2>&1 || cat said; "
	      "sfdisk -d disk 2>>said | sed -n 's/.*name=\"\\(.*\\)\".*/\\1/p' | tr '\\n' ' '; "
	      "grep -i 'corrupt\\|mismatch' said; true",
	      out, sizeof(out));
	return out;
}

static size_t plan_swap(struct bench *b, struct gpt **g, struct gpt_change c[8])
{
	assert_int_equal(gpt_open(g, b->fd, &b->e), 0);
	assert_int_equal(gpt_swap(*g, "rootfs", "rootfs-other", &b->e), 0);
	return gpt_changes(*g, c, 8);
}

static enum gpt_names look(struct bench *b, const struct gpt_change *c, size_t n)
{
	enum gpt_names which = GPT_OTHER;
	struct gpt *g;

	if (gpt_open(&g, b->fd, &b->e) < 0)
		fail_msg("no copy is whole: %s", b->e.why);
	which = gpt_look(g, c, n);
	gpt_close(g);
	return which;
}

static void set(struct bench *b, const struct gpt_change *c, size_t n, enum gpt_names which)
{
	struct gpt *g;

	assert_int_equal(gpt_open(&g, b->fd, &b->e), 0);
	if (gpt_set(g, c, n, which, &b->e) < 0)
		fail_msg("%s", b->e.why);
	gpt_close(g);
}

static void gpt_names_are_exchanged_as_other_programs_read_them(void **state)
{
	struct bench *b = *state;
	struct gpt_change c[8];
	struct gpt *g;
	size_t n = plan_swap(b, &g, c), size;
	AUTO_FREE char *now = NULL;

	assert_int_equal(n, 2);
	assert_int_equal(gpt_look(g, c, n), GPT_NEW); /* in memory; the medium is as it was */
	assert_int_equal(look(b, c, n), GPT_OLD);
	assert_int_equal(gpt_set(g, c, n, GPT_NEW, &b->e), 0);
	gpt_close(g);
	assert_string_equal(names(b), "rootfs-other rootfs data ");
	set(b, c, n, GPT_OLD);
	assert_string_equal(names(b), "rootfs rootfs-other data ");
	now = envkit_read_file(b->path, &size);
	assert_memory_equal(now, b->bytes, DISK); /* and nothing else was touched */
}

/* after each sector: one of the two, and what is chosen then is made whole */
static void t103_gpt_cut_at_every_sector_is_the_old_table_or_the_new_one(void **state)
{
	struct bench *b = *state;
	unsigned seen[3] = {0};
	bool done = false;

	for (long cut = 0; !done; cut++) {
		struct gpt_change c[8];
		struct gpt *g;
		size_t n = plan_swap(b, &g, c);
		enum gpt_names which;

		left = cut;
		done = gpt_set(g, c, n, GPT_NEW, &b->e) == 0;
		left = -1;
		gpt_close(g);
		which = look(b, c, n);
		seen[which]++;
		if (which == GPT_OTHER)
			fail_msg("cut after %ld sectors: neither", cut);
		set(b, c, n, which);
		assert_string_equal(names(b), which == GPT_NEW ? "rootfs-other rootfs data "
							       : "rootfs rootfs-other data ");
		err_clear(&b->e);
		put_back(b);
	}
	assert_true(seen[GPT_OLD] > 30 && seen[GPT_NEW] > 20);
}

static void gpt_with_one_damaged_copy_is_read_from_the_other_and_mended(void **state)
{
	static const off_t damaged[] = {SECTOR + 20, 2 * SECTOR + 60, DISK - 500, DISK - 2000};
	struct bench *b = *state;

	for (size_t i = 0; i < ARRAY_SIZE(damaged); i++) {
		struct gpt_change c[8];
		struct gpt *g;
		/* the second copy's last sectors hold unused entries: its first one is meant */
		off_t at = i == 3 ? DISK - 33 * SECTOR + 60 : damaged[i];

		syscall(SYS_pwrite64, b->fd, "damage", 6, at);
		size_t n = plan_swap(b, &g, c);
		assert_int_equal(gpt_set(g, c, n, GPT_NEW, &b->e), 0);
		gpt_close(g);
		assert_string_equal(names(b), "rootfs-other rootfs data ");
		put_back(b);
	}
	syscall(SYS_pwrite64, b->fd, "damage", 6, SECTOR + 20);
	syscall(SYS_pwrite64, b->fd, "damage", 6, DISK - 500);
	struct gpt *g = NULL;
	assert_true(gpt_open(&g, b->fd, &b->e) < 0);
	assert_int_equal(b->e.code, E_TARGET);
	assert_null(g);
}

static void refused(struct bench *b, const char *x, const char *y, const char *why)
{
	struct gpt *g;

	err_clear(&b->e);
	assert_int_equal(gpt_open(&g, b->fd, &b->e), 0);
	assert_true(gpt_swap(g, x, y, &b->e) < 0);
	assert_int_equal(b->e.code, E_TARGET);
	if (!strstr(b->e.why, why))
		fail_msg("%s", b->e.why);
	gpt_close(g);
}

static void gpt_names_that_are_not_there_are_told(void **state)
{
	struct bench *b = *state;
	char out[256];

	refused(b, "rootfs", "roots", "'roots', there are: rootfs, rootfs-other, data");
	refused(b, "", "rootfs", "cannot be the name");
	refused(b, "0123456789012345678901234567890123456", "rootfs", "cannot be the name");
	refused(b, "\xc3(", "rootfs", "cannot be the name");
	shell(b, "PATH=$PATH:/sbin:/usr/sbin sfdisk -q --part-label disk 3 rootfs", out,
	      sizeof(out));
	refused(b, "rootfs", "rootfs-other", "two partitions have the name 'rootfs'");
}

static void gpt_names_are_those_of_the_table_in_any_script(void **state)
{
	struct bench *b = *state;
	char out[256];
	struct gpt *g;

	shell(b,
	      "PATH=$PATH:/sbin:/usr/sbin LC_ALL=C.UTF-8 sfdisk -q --part-label disk 3 'd\xc3\xa4ten\xe2\x82\xac'",
	      out, sizeof(out));
	assert_int_equal(gpt_open(&g, b->fd, &b->e), 0);
	if (gpt_swap(g, "rootfs", "d\xc3\xa4ten\xe2\x82\xac", &b->e) < 0)
		fail_msg("%s", b->e.why);
	gpt_close(g);
}

static void gpt_of_other_partitions_is_not_written(void **state)
{
	struct bench *b = *state;
	struct gpt_change c[8];
	struct gpt *g;
	size_t n = plan_swap(b, &g, c);

	gpt_close(g);
	c[0].id[3] ^= 1;
	assert_int_equal(look(b, c, n), GPT_OTHER);
	assert_int_equal(gpt_open(&g, b->fd, &b->e), 0);
	assert_true(gpt_set(g, c, n, GPT_NEW, &b->e) < 0);
	assert_int_equal(b->e.code, E_TARGET);
	gpt_close(g);
	assert_string_equal(names(b), "rootfs rootfs-other data ");
}

/* numbers that lie are found before they are used; the same ones each time */
static void gpt_of_any_bytes_is_read_without_harm(void **state)
{
	struct bench *b = *state;
	uint32_t seed = 1;

	for (unsigned i = 0; i < 3000; i++) {
		uint8_t byte;
		struct gpt *g = NULL;

		/* a header with a right checksum and a wrong number comes from whoever makes the
		 * disk */
		for (unsigned k = 0; k < 1 + i % 3; k++) {
			seed = seed * 1664525u + 1013904223u;
			byte = (uint8_t)(seed >> 11);
			syscall(SYS_pwrite64, b->fd, &byte, 1,
				(seed >> 8) % 2 ? SECTOR + (seed >> 16) % 92
						: DISK - SECTOR + (seed >> 16) % 92);
		}
		if (gpt_open(&g, b->fd, &b->e) == 0)
			gpt_close(g);
		if (i % 8 == 7)
			put_back(b);
	}
}

static uint32_t crc_of(const uint8_t *at, size_t n)
{
	uint32_t crc = ~0u;

	while (n--) {
		crc ^= *at++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

static void gpt_with_numbers_that_lie_is_refused(void **state)
{
	/* offset in the header, bytes, value: size, here, first, table, count, entry size */
	static const struct {
		size_t at, n;
		uint64_t value;
	} lies[] = {
		{12, 4, 4096}, {12, 4, 16}, {24, 8, 2},		 {40, 8, 20},
		{72, 8, 0},    {72, 8, 1},  {72, 8, UINT64_MAX}, {72, 8, 2040},
		{72, 8, 100},  {80, 4, 0},  {80, 4, UINT32_MAX}, {80, 4, 1 << 20},
		{84, 4, 0},    {84, 4, 64}, {84, 4, 132},	 {84, 4, UINT32_MAX},
	};
	struct bench *b = *state;

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		uint8_t head[SECTOR];
		struct gpt *g = NULL;
		uint32_t crc;

		memcpy(head, b->bytes + SECTOR, SECTOR);
		memcpy(head + lies[i].at, &lies[i].value,
		       lies[i].n); /* of a little endian machine */
		memset(head + 16, 0, 4);
		crc = crc_of(head, 92);
		memcpy(head + 16, &crc, 4);
		syscall(SYS_pwrite64, b->fd, head, SECTOR, SECTOR);
		syscall(SYS_pwrite64, b->fd, "damage", 6, DISK - 500);
		if (gpt_open(&g, b->fd, &b->e) == 0)
			fail_msg("lie %zu is believed", i);
		put_back(b);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(gpt_names_are_exchanged_as_other_programs_read_them),
		T(t103_gpt_cut_at_every_sector_is_the_old_table_or_the_new_one),
		T(gpt_with_one_damaged_copy_is_read_from_the_other_and_mended),
		T(gpt_names_that_are_not_there_are_told),
		T(gpt_names_are_those_of_the_table_in_any_script),
		T(gpt_of_other_partitions_is_not_written),
		T(gpt_of_any_bytes_is_read_without_harm),
		T(gpt_with_numbers_that_lie_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
