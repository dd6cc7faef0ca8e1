/* GRUB's block: its format, and the writing in place on FAT, of the first 512 bytes only. */
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
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "corelib/bootenv/bootenv.h"
#include "kit/envkit.h"

#define HEADER "# GRUB Environment Block\n"
#define SECTOR 512

static bool on_fat;
static int flush_error;
static unsigned renames;

int statfs(const char *path, struct statfs *st)
{
	int rc = (int)syscall(SYS_statfs, path, st);

	if (rc == 0 && on_fat)
		st->f_type = 0x4d44;
	return rc;
}

int fsync(int fd)
{
	if (flush_error) {
		errno = flush_error;
		return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}

int renameat(int olddir, const char *old, int newdir, const char *new)
{
	renames++;
	return (int)syscall(SYS_renameat2, olddir, old, newdir, new, 0);
}

int renameat2(int olddir, const char *old, int newdir, const char *new, unsigned flags)
{
	renames++;
	return (int)syscall(SYS_renameat2, olddir, old, newdir, new, flags);
}

/* ---- helpers ---- */

static char dir[64], path[96];
static struct bootenv_options options;

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test-grub-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/grubenv", dir);
	options = (struct bootenv_options){.kind = "grub", .path = path};
	on_fat = false;
	flush_error = 0;
	renames = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return envkit_remove_tree(dir);
}

/* header, lines, '#' up to size */
static void put_block(const char *lines, size_t size)
{
	char block[8192];
	int n = snprintf(block, sizeof(block), HEADER "%s", lines);

	assert_true((size_t)n <= size);
	memset(block + n, '#', sizeof(block) - (size_t)n);
	envkit_write_file(path, block, size);
}

static struct bootenv *open_ok(void)
{
	struct bootenv *b = NULL;
	struct err e = {0};

	if (bootenv_open(&b, &options, &e) < 0)
		fail_msg("%s", e.why);
	return b;
}

static enum errcode load_code(void)
{
	struct envset all = {0};
	struct bootenv *b = open_ok();
	struct err e = {0};

	bootenv_load(b, &all, &e);
	envset_clear(&all);
	bootenv_close(b);
	return e.code;
}

/* check and commit must be of one mind */
static enum errcode change(struct bootenv *b, const char *name, const char *value)
{
	struct envset s = {0};
	struct err planned = {0}, e = {0};

	assert_int_equal(envset_put(&s, name, value, &e), 0);
	bootenv_check(b, &s, &planned);
	bootenv_commit(b, &s, &e);
	envset_clear(&s);
	if (!flush_error)
		assert_int_equal(planned.code, e.code);
	return e.code;
}

static void assert_value(struct bootenv *b, const char *name, const char *want)
{
	struct err e = {0};
	char *value;

	if (bootenv_get(b, name, &value, &e) < 0)
		fail_msg("%s", e.why);
	assert_string_equal(value ? value : "", want);
	free(value);
}

/* what GRUB's own program makes of the file; skipped where it is missing */
static void assert_grub_reads(const char *line, bool there)
{
	char list[8192] = "\n", want[256];

	if (!envkit_has("grub-editenv"))
		return;
	assert_int_equal(envkit_run((const char *[]){"grub-editenv", path, "list", NULL}, list + 1,
				    sizeof(list) - 1),
			 0);
	snprintf(want, sizeof(want), "\n%s\n", line);
	if ((strstr(list, want) != NULL) != there)
		fail_msg("'%s' is %sin:%s", line, there ? "not " : "", list);
}

/* ---- format ---- */

static void grub_a_name_with_a_backslash_stays_as_it_is(void **state)
{
	(void)state;
	put_block("\\odd=1\na=1\nend\\=x\n", 1024);
	struct bootenv *b = open_ok();
	assert_int_equal(change(b, "a", "2"), E_NONE);
	assert_value(b, "\\odd", "1");
	assert_value(b, "end\\", "x");
	assert_value(b, "a", "2");
	bootenv_close(b);
	assert_grub_reads("\\odd=1", true);
	assert_grub_reads("end\\=x", true);
}

static void grub_damaged_block_is_refused(void **state)
{
	(void)state;
	assert_int_equal(load_code(), E_ENV_READ); /* missing */
	envkit_write_file(path, "", 0);
	assert_int_equal(load_code(), E_ENV_READ);
	envkit_write_file(path, HEADER, sizeof(HEADER) - 1);
	assert_int_equal(load_code(), E_ENV_READ);
	put_block("a=1\n", 1000);
	assert_int_equal(load_code(), E_ENV_READ);
	put_block("a=1\n", 512);
	assert_int_equal(load_code(), E_ENV_READ);
	put_block("no equals sign\n", 1024);
	assert_int_equal(load_code(), E_ENV_READ);
	put_block("=value\n", 1024);
	assert_int_equal(load_code(), E_ENV_READ);
	put_block("\na=1\n", 1024);
	assert_int_equal(load_code(), E_ENV_READ);
	envkit_write_file(path, "# GRUB environment Block\n", 25);
	assert_int_equal(load_code(), E_ENV_READ);
	assert_int_equal(truncate(path, 4 * 1024 * 1024), 0);
	assert_int_equal(load_code(), E_ENV_READ);
	assert_int_equal(truncate(path, 1024), 0);
	assert_int_equal(load_code(), E_ENV_READ);
}

static void grub_larger_blocks_keep_their_size(void **state)
{
	struct stat st;

	(void)state;
	put_block("a=1\n", 4096);
	struct bootenv *b = open_ok();
	assert_int_equal(change(b, "a", "2"), E_NONE);
	bootenv_close(b);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 4096);
	assert_grub_reads("a=2", true);
}

static void grub_escapes_are_read_and_written_as_grub_does(void **state)
{
	(void)state;
	put_block("a=x\\\\y\nmulti=one\\\ntwo\nodd=\\x\\#\nempty=\n", 1024);
	struct bootenv *b = open_ok();
	assert_value(b, "a", "x\\y");
	assert_value(b, "multi", "one\ntwo");
	assert_value(b, "odd", "x#");
	assert_int_equal(change(b, "b", "back\\slash \\"), E_NONE);
	assert_value(b, "b", "back\\slash \\");
	assert_value(b, "multi", "one\ntwo"); /* what others wrote survives */
	assert_int_equal(change(b, "n\\m", "1"), E_ENV_NAME);
	bootenv_close(b);
	assert_grub_reads("b=back\\slash \\", true);
	assert_grub_reads("a=x\\y", true);
}

static void grub_variable_that_stands_twice_is_changed_once(void **state)
{
	size_t n;

	(void)state;
	put_block("a=1\nb=2\na=3\n", 1024);
	struct bootenv *b = open_ok();
	assert_value(b, "a", "3");
	assert_int_equal(change(b, "a", "4"), E_NONE);
	assert_value(b, "a", "4");
	bootenv_close(b);
	char *text = envkit_read_file(path, &n);
	assert_non_null(strstr(text, "a=4\nb=2\n#"));
	free(text);
}

static void grub_full_block_takes_to_the_last_byte_and_no_more(void **state)
{
	char value[1024] = "";

	(void)state;
	put_block("", 1024);
	struct bootenv *b = open_ok();
	memset(value, 'v', 1024 - (sizeof(HEADER) - 1) - 3);
	assert_int_equal(change(b, "v", value), E_NONE);
	assert_value(b, "v", value);
	assert_int_equal(change(b, "w", ""), E_ENV_BIG);
	value[strlen(value)] = 'v';
	assert_int_equal(change(b, "v", value), E_ENV_BIG);
	assert_int_equal(change(b, "v", "short"), E_NONE);
	bootenv_close(b);
}

/* a rename onto the link would leave GRUB with the old file behind it */
static void grub_link_to_the_block_stays_a_link(void **state)
{
	char name[96];
	struct stat st;

	(void)state;
	put_block("a=1\n", 1024);
	assert_int_equal(chmod(path, 0640), 0);
	snprintf(name, sizeof(name), "%s/link", dir);
	assert_int_equal(symlink("grubenv", name), 0);
	options.path = name;
	struct bootenv *b = open_ok();
	assert_int_equal(change(b, "a", "2"), E_NONE);
	assert_int_equal(renames, 1);
	bootenv_close(b);
	assert_int_equal(lstat(name, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_grub_reads("a=2", true);
}

static void t104_grub_failed_flush_is_reported(void **state)
{
	(void)state;
	for (int fat = 0; fat < 2; fat++) {
		put_block("a=1\n", 1024);
		on_fat = fat;
		struct bootenv *b = open_ok();
		flush_error = EIO;
		assert_int_equal(change(b, "a", "2"), E_ENV_WRITE);
		flush_error = 0;
		bootenv_close(b);
	}
}

/* ---- FAT ---- */

/* fill the first sector so that 'crossing' begins at 512 - before */
static void put_crossing(const char *first, const char *crossing, size_t before)
{
	char lines[2048];
	size_t used = sizeof(HEADER) - 1 + strlen(first), pad = SECTOR - before - used;

	snprintf(lines, sizeof(lines), "%spad=%0*d\n%srest=of it\n", first, (int)pad - 5, 0,
		 crossing);
	put_block(lines, 1536);
}

static void grub_fat_writes_the_first_sector_only_and_in_place(void **state)
{
	size_t n, m;
	struct stat before, after;

	(void)state;
	on_fat = true;
	/* the line lies across the border in every way, from its first byte to its last */
	for (size_t cut = 0; cut <= 14; cut++) {
		put_crossing("slot=a\nlonger=value\n", "crossing=yes#\n", cut);
		assert_int_equal(stat(path, &before), 0);
		char *old = envkit_read_file(path, &n);
		struct bootenv *b = open_ok();
		assert_int_equal(change(b, "slot", "b"), E_NONE);
		assert_int_equal(change(b, "longer", "v"), E_NONE);
		assert_int_equal(change(b, "longer", NULL), E_NONE);
		assert_int_equal(change(b, "fresh", "xyz"), E_NONE);
		assert_value(b, "slot", "b");
		assert_value(b, "crossing", "yes#");
		assert_value(b, "rest", "of it");
		bootenv_close(b);
		char *now = envkit_read_file(path, &m);
		assert_int_equal(n, m);
		assert_memory_equal(old + SECTOR, now + SECTOR, n - SECTOR);
		assert_int_equal(stat(path, &after), 0);
		assert_int_equal(before.st_ino, after.st_ino);
		free(old);
		free(now);
		assert_grub_reads("slot=b", true);
		assert_grub_reads("fresh=xyz", true);
		assert_grub_reads("crossing=yes#", true);
		assert_grub_reads("rest=of it", true);
		assert_grub_reads("longer=value", false);
	}
	assert_int_equal(renames, 0);
}

static void grub_fat_closes_gaps_of_every_size(void **state)
{
	char value[32] = "", want[64];

	(void)state;
	on_fat = true;
	put_crossing("slot=a\nroom=12345678901234567890\n", "crossing=yes\n", 5);
	struct bootenv *b = open_ok();
	for (size_t i = 0; i <= 20; i++) {
		assert_int_equal(change(b, "room", value), E_NONE);
		assert_value(b, "room", value);
		assert_value(b, "crossing", "yes");
		snprintf(want, sizeof(want), "room=%s", value);
		assert_grub_reads(want, true);
		assert_grub_reads("crossing=yes", true);
		assert_grub_reads("slot=a", true);
		value[i] = 'r';
	}
	bootenv_close(b);
}

static void grub_fat_refuses_what_one_sector_cannot_decide(void **state)
{
	char value[600];

	(void)state;
	on_fat = true;
	put_crossing("slot=a\n", "crossing=yes\n", 5);
	struct bootenv *b = open_ok();
	assert_int_equal(change(b, "rest", "other"), E_ENV_TORN);
	assert_int_equal(change(b, "rest", NULL), E_ENV_TORN);
	assert_int_equal(change(b, "crossing", "no"), E_ENV_TORN);
	assert_int_equal(change(b, "rest", "of it"), E_NONE); /* it is so already */
	memset(value, 'v', 500);
	value[500] = '\0';
	assert_int_equal(change(b, "slot", value), E_ENV_TORN);
	assert_value(b, "slot", "a");
	assert_value(b, "rest", "of it");
	/* not one byte of the line that crosses the border is given away */
	put_crossing("slot=a\nroom=12345\n", "crossing=yes\n", 12);
	memset(value, 'v', 20);
	for (size_t i = 0; i <= 20; i++) {
		value[i] = '\0';
		assert_int_equal(change(b, "room", value), i <= 5 ? E_NONE : E_ENV_TORN);
		assert_value(b, "crossing", "yes");
		value[i] = 'v';
	}
	put_crossing("slot=a\n", "crossing=yes\n", 5);
	/* room is made by taking something away */
	assert_int_equal(change(b, "pad", NULL), E_NONE);
	value[200] = '\0';
	assert_int_equal(change(b, "slot", value), E_NONE);
	bootenv_close(b);
}

static void grub_fat_variable_in_both_sectors_is_refused(void **state)
{
	(void)state;
	on_fat = true;
	put_crossing("rest=first\nslot=a\n", "crossing=yes\n", 5); /* the later one wins */
	struct bootenv *b = open_ok();
	assert_value(b, "rest", "of it");
	assert_int_equal(change(b, "rest", "second"), E_ENV_TORN);
	assert_int_equal(change(b, "slot", "b"), E_NONE);
	bootenv_close(b);
}

static void grub_fat_blocks_of_the_real_program_work(void **state)
{
	char out[64];

	(void)state;
	if (!envkit_has("grub-editenv")) {
		print_message("SKIP: grub-editenv is not installed\n");
		skip();
	}
	on_fat = true;
	assert_int_equal(
		envkit_run((const char *[]){"grub-editenv", path, "create", NULL}, out, 64), 0);
	struct bootenv *b = open_ok();
	for (int i = 0; i < 30; i++) {
		char value[64] = "";

		memset(value, 'a' + i % 26, (size_t)i + 1);
		assert_int_equal(change(b, "ours", value), E_NONE);
		assert_int_equal(envkit_run((const char *[]){"grub-editenv", path, "set",
							     i % 2 ? "theirs=odd" : "theirs=e",
							     NULL},
					    out, 64),
				 0);
		assert_value(b, "ours", value);
		assert_value(b, "theirs", i % 2 ? "odd" : "e");
	}
	bootenv_close(b);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(grub_damaged_block_is_refused),
		T(grub_a_name_with_a_backslash_stays_as_it_is),
		T(grub_larger_blocks_keep_their_size),
		T(grub_escapes_are_read_and_written_as_grub_does),
		T(grub_variable_that_stands_twice_is_changed_once),
		T(grub_full_block_takes_to_the_last_byte_and_no_more),
		T(grub_link_to_the_block_stays_a_link),
		T(t104_grub_failed_flush_is_reported),
		T(grub_fat_writes_the_first_sector_only_and_in_place),
		T(grub_fat_closes_gaps_of_every_size),
		T(grub_fat_refuses_what_one_sector_cannot_decide),
		T(grub_fat_variable_in_both_sectors_is_refused),
		T(grub_fat_blocks_of_the_real_program_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
