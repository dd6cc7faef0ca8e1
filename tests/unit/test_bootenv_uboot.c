/* U-Boot's environment: its lock, its flag byte, its damage, and what the library leaves to us. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "corelib/bootenv/bootenv.h"
#include "corelib/base/sys.h"
#include "kit/envkit.h"
#include "tests/unit/kit/hang.h"
#include "tests/unit/kit/own_locks.h"

#define SIZE 0x1000
#define LOCK "/var/lock/fw_printenv.lock"

static bool flush_fails;

int fsync(int fd)
{
	if (flush_fails) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}

/* ---- an environment made by hand ---- */

static char dir[64], copies[2][96], config[96], defaults[96];
static struct bootenv_options options;

static uint32_t crc32_of(const uint8_t *p, size_t n)
{
	uint32_t crc = 0xffffffff;

	while (n--) {
		crc ^= *p++;
		for (int k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

/* texts: "a=1\0b=2\0", n bytes of them; flag < 0: a single copy has no such byte */
static void put_copy(const char *path, int flag, const char *texts, size_t n)
{
	uint8_t block[SIZE] = {0};
	size_t head = flag < 0 ? 4 : 5;
	uint32_t crc;

	memcpy(block + head, texts, n < SIZE - head ? n : SIZE - head);
	if (flag >= 0)
		block[4] = (uint8_t)flag;
	crc = crc32_of(block + head, SIZE - head);
	memcpy(block, &crc, 4);
	envkit_write_file(path, block, SIZE);
}

__attribute__((format(printf, 1, 2))) static void put_config(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	envkit_write_file(config, text, (size_t)n);
}

static void single(void)
{
	put_config("%s 0x0 0x1000\n", copies[0]);
	put_copy(copies[0], -1, "a=1\0keep=me\0", 12);
}

static void redundant(void)
{
	put_config("# two copies\n\n  %s\t0x0 0x1000\n%s 0x0 1000\n", copies[0], copies[1]);
	put_copy(copies[0], 1, "a=1\0keep=me\0", 12);
	put_copy(copies[1], 0, "a=0\0keep=me\0", 12);
}

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test-uboot-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	for (int i = 0; i < 2; i++)
		snprintf(copies[i], sizeof(copies[i]), "%s/copy%d", dir, i);
	snprintf(config, sizeof(config), "%s/fw_env.config", dir);
	snprintf(defaults, sizeof(defaults), "%s/defaults", dir);
	options = (struct bootenv_options){.kind = "uboot", .config = config, .defaults = defaults};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	flush_fails = false;
	return envkit_remove_tree(dir);
}

static struct bootenv *open_ok(void)
{
	struct bootenv *b = NULL;
	struct err e = {0};

	if (bootenv_open(&b, &options, &e) < 0)
		fail_msg("%s", e.why);
	return b;
}

static enum errcode open_code(void)
{
	struct bootenv *b = NULL;
	struct err e = {0};

	bootenv_open(&b, &options, &e);
	bootenv_close(b);
	return e.code;
}

static enum errcode load_code(void)
{
	struct envset all = {0};
	struct bootenv *b = NULL;
	struct err e = {0};

	if (bootenv_open(&b, &options, &e) == 0)
		bootenv_load(b, &all, &e);
	envset_clear(&all);
	bootenv_close(b);
	return e.code;
}

static enum errcode change(struct bootenv *b, const char *name, const char *value, bool check)
{
	struct envset s = {0};
	struct err e = {0};

	assert_int_equal(envset_put(&s, name, value, &e), 0);
	int rc = (check ? bootenv_check : bootenv_commit)(b, &s, &e);
	assert_int_equal(rc < 0, e.code != E_NONE);
	envset_clear(&s);
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

/* ---- two copies ---- */

/* T106: fwup's 200_..._255: the flag wraps from 255 to 0 */
static void t106_uboot_newer_copy_wins_for_every_flag_value(void **state)
{
	(void)state;
	redundant();
	struct bootenv *b = open_ok();
	for (int flag = 0; flag<256; flag += flag> 2 && flag < 250 ? 19 : 1) {
		size_t n;

		put_copy(copies[0], (flag + 255) % 256, "a=old\0", 6);
		put_copy(copies[1], flag, "a=new\0", 6);
		assert_value(b, "a", "new");
		assert_int_equal(change(b, "a", "next", false), E_NONE);
		assert_value(b, "a", "next");
		char *bytes = envkit_read_file(copies[0], &n);
		assert_int_equal((uint8_t)bytes[4], (flag + 1) % 256);
		free(bytes);
		bytes = envkit_read_file(copies[1], &n); /* the old one is kept */
		assert_memory_equal(bytes + 5, "a=new", 6);
		free(bytes);
	}
	bootenv_close(b);
}

static void t106_uboot_one_valid_copy_is_enough(void **state)
{
	(void)state;
	redundant();
	struct bootenv *b = open_ok();
	envkit_write_file(copies[0], (char[SIZE]){1}, SIZE);
	assert_value(b, "a", "0");
	assert_int_equal(change(b, "a", "2", false), E_NONE);
	envkit_write_file(copies[1], (char[SIZE]){1}, SIZE);
	assert_value(b, "a", "2");
	bootenv_close(b);
}

static void t106_uboot_single_copy_is_warned_about_and_refused_on_demand(void **state)
{
	(void)state;
	single();
	struct bootenv *b = open_ok();
	assert_non_null(bootenv_warning(b));
	assert_int_equal(change(b, "a", "2", true), E_NONE);
	bootenv_close(b);
	options.require_redundant = true;
	b = open_ok();
	assert_int_equal(change(b, "a", "2", true), E_ENV_TORN);
	assert_int_equal(change(b, "a", "2", false), E_ENV_TORN);
	assert_value(b, "a", "1");
	bootenv_close(b);
	redundant();
	b = open_ok();
	assert_null(bootenv_warning(b));
	assert_int_equal(change(b, "a", "2", false), E_NONE);
	bootenv_close(b);
}

/* ---- the lock ---- */

static int hold_lock(void)
{
	int fd = open(LOCK, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

	if (fd < 0 || flock(fd, LOCK_EX) < 0) {
		if (fd >= 0)
			close(fd);
		print_message("SKIP: " LOCK " cannot be locked\n");
		skip();
	}
	return fd;
}

static void t65_uboot_lock_held_by_another_program_ends_in_an_error(void **state)
{
	struct envset s = {0};
	struct err e = {0};
	char holder[64];

	(void)state;
	single();
	options.lock_ms = 1000;
	int fd = hold_lock();
	struct bootenv *b = open_ok();
	assert_int_equal(envset_put(&s, "a", "2", &e), 0);
	uint64_t start = sys_now_ms();
	snprintf(holder, sizeof(holder), "process %d (", (int)getpid());
	assert_true(bootenv_commit(b, &s, &e) < 0);
	assert_in_range(sys_now_ms() - start, 990, HANG_MS);
	close(fd);
	assert_int_equal(e.code, E_ENV_LOCK);
	assert_non_null(strstr(e.why, LOCK));
	assert_non_null(strstr(e.why, holder));
	envset_clear(&s);
	assert_value(b, "a", "1");
	bootenv_close(b);
}

static void t65_uboot_waits_for_a_lock_that_comes(void **state)
{
	(void)state;
	single();
	int fd = hold_lock();
	struct bootenv *b = open_ok();
	pid_t pid = fork();
	if (pid == 0) {
		usleep(120 * 1000);
		flock(fd, LOCK_UN);
		_exit(0);
	}
	close(fd);
	assert_int_equal(change(b, "a", "2", false), E_NONE);
	waitpid(pid, NULL, 0);
	bootenv_close(b);
}

/* a stranger who takes the lock again and again costs a phase lock_ms, however much it asks */
static void l4_uboot_waits_of_a_phase_are_bounded_together(void **state)
{
	struct envset all = {0};
	struct err e = {0};

	(void)state;
	single();
	options.lock_ms = 1000;
	int fd = hold_lock();
	struct bootenv *b = open_ok();
	for (int i = 0; i < 3; i++) {
		err_clear(&e);
		assert_true(bootenv_load(b, &all, &e) < 0);
		assert_int_equal(e.code, E_ENV_LOCK);
		assert_non_null(strstr(e.why, i ? "within 500 ms" : "within 1000 ms"));
	}
	bootenv_phase(b);
	err_clear(&e);
	assert_true(bootenv_load(b, &all, &e) < 0);
	assert_non_null(strstr(e.why, "within 1000 ms"));
	close(fd);
	assert_int_equal(bootenv_load(b, &all, &e), 0);
	envset_clear(&all);
	bootenv_close(b);
}

/* nobody acts on behalf of a job that is gone */
static void t65_uboot_commit_of_a_killed_process_does_not_come_later(void **state)
{
	(void)state;
	single();
	int fd = hold_lock();
	struct bootenv *b = open_ok();
	pid_t pid = fork();
	if (pid == 0) {
		close(fd);
		change(b, "a", "late", false);
		_exit(0);
	}
	usleep(100 * 1000);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	usleep(20 * 1000);
	close(fd);
	usleep(50 * 1000);
	assert_value(b, "a", "1");
	bootenv_close(b);
}

static pid_t child_of(pid_t pid)
{
	char path[64];
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	for (int i = 0; i < 100; i++) {
		char *text = envkit_read_file(path, &n);
		pid_t child = (pid_t)strtol(text, NULL, 10);

		free(text);
		if (child > 0)
			return child;
		usleep(5 * 1000);
	}
	return -1;
}

/* a job is asked to stop while the environment is written: the write is ended */
static void uboot_commit_is_not_cut_by_a_signal(void **state)
{
	(void)state;
	single();
	int status, fd = hold_lock();
	struct bootenv *b = open_ok();
	pid_t pid = fork();
	if (pid == 0) {
		close(fd);
		_exit(change(b, "a", "2", false));
	}
	pid_t child = child_of(pid);
	if (child > 0)
		kill(child, SIGTERM);
	close(fd);
	waitpid(pid, &status, 0);
	if (child < 0) {
		print_message("SKIP: /proc does not list children here\n");
		bootenv_close(b);
		skip();
	}
	assert_int_equal(status, 0);
	assert_value(b, "a", "2");
	bootenv_close(b);
}

/* ---- defaults ---- */

static void uboot_damaged_environment_starts_from_its_defaults(void **state)
{
	char text[4000], script[3001];
	FILE *f;

	(void)state;
	single();
	envkit_write_file(copies[0], (char[SIZE]){1}, SIZE);
	assert_int_equal(load_code(), E_ENV_READ);
	memset(script, 's', sizeof(script) - 1); /* longer than the library's own reader takes */
	script[sizeof(script) - 1] = '\0';
	f = fmemopen(text, sizeof(text), "w");
	fprintf(f, "# from the build\nbootdelay=2\nempty=\nscript=%s\nno line\n", script);
	fclose(f);
	envkit_write_file(defaults, text, strlen(text));
	struct bootenv *b = open_ok();
	assert_value(b, "bootdelay", "2");
	assert_value(b, "script", script);
	assert_int_equal(change(b, "bootdelay", "2", false),
			 E_NONE); /* written though it is the same */
	unlink(defaults);
	assert_value(b, "bootdelay", "2");
	assert_value(b, "script", script);
	bootenv_close(b);
}

/* ---- damage ---- */

static void uboot_configuration_that_cannot_be_meant_is_refused(void **state)
{
	(void)state;
	assert_int_equal(open_code(), E_ENV_READ); /* missing */
	put_copy(copies[0], -1, "a=1\0", 4);
	put_copy(copies[1], -1, "a=1\0", 4);
	put_config("# nothing\n");
	assert_int_equal(open_code(), E_ENV_READ);
	put_config("%s\n", copies[0]);
	assert_int_equal(open_code(), E_ENV_READ);
	put_config("%s 0x0\n", copies[0]);
	assert_int_equal(open_code(), E_ENV_READ);
	put_config("%s zero 0x1000\n", copies[0]);
	assert_int_equal(open_code(), E_ENV_READ);
	put_config("%s -0x1000 0x1000\n", copies[0]);
	assert_int_equal(open_code(), E_ENV_READ);
	put_config("%s 0x0 0x0\n", copies[0]);
	assert_int_equal(open_code(), E_ENV_READ);
	put_config("%s 0x0 0xffffffffffffffff\n", copies[0]);
	assert_int_equal(open_code(), E_ENV_READ);
	put_config("%s 0x0 0x1000\n%s 0x0 0x2000\n", copies[0], copies[1]);
	assert_int_equal(open_code(), E_ENV_READ);
	put_config("%s 0x0 0x1000\n%s 0x800 0x1000\n", copies[0], copies[0]);
	assert_int_equal(open_code(), E_ENV_READ);
	put_config("/dev/%0300d 0x0 0x1000\n", 7);
	assert_int_equal(open_code(), E_ENV_READ);
	put_config("%s/missing 0x0 0x1000\n", dir);
	assert_int_equal(load_code(), E_ENV_READ);
}

static void uboot_bytes_of_every_kind_never_crash(void **state)
{
	char noise[SIZE];

	(void)state;
	single();
	srand(3);
	envkit_write_file(copies[0], "short", 5);
	assert_int_equal(load_code(), E_ENV_READ);
	envkit_write_file(copies[0], "", 0);
	assert_int_equal(load_code(), E_ENV_READ);
	memset(noise, 'x', sizeof(noise)); /* no end, no '=' */
	put_copy(copies[0], -1, noise, sizeof(noise));
	load_code();
	memset(noise, '=', sizeof(noise));
	put_copy(copies[0], -1, noise, sizeof(noise));
	load_code();
	for (int i = 0; i < 40; i++) { /* right checksum, wrong everything */
		for (size_t k = 0; k < sizeof(noise); k++)
			noise[k] = i % 2 ? (char)rand() : "a=\0b"[rand() % 4];
		put_copy(copies[0], -1, noise, sizeof(noise));
		load_code();
	}
}

/* ---- size and rights ---- */

static void uboot_fills_the_environment_to_the_last_byte(void **state)
{
	/* "a=1" "keep=me" "v=" and their ends, the end of all, CRC */
	const size_t most = SIZE - 4 - 1 - 4 - 8 - 3;
	char *value = calloc(1, SIZE);

	(void)state;
	single();
	struct bootenv *b = open_ok();
	memset(value, 'v', most + 1);
	assert_int_equal(change(b, "v", value, true), E_ENV_BIG);
	assert_int_equal(change(b, "v", value, false), E_ENV_BIG);
	assert_value(b, "v", "");
	value[most] = '\0';
	assert_int_equal(change(b, "v", value, true), E_NONE);
	assert_int_equal(change(b, "v", value, false), E_NONE);
	assert_value(b, "v", value);
	bootenv_close(b);
	free(value);
}

static void uboot_variable_that_flags_protect_is_refused_while_planning(void **state)
{
	static const char texts[] = "a=1\0serial=7\0.flags=serial:sr\0";

	(void)state;
	single();
	put_copy(copies[0], -1, texts, sizeof(texts) - 1);
	struct bootenv *b = open_ok();
	assert_int_equal(change(b, "serial", "8", true), E_ENV_WRITE);
	assert_int_equal(change(b, "serial", "8", false), E_ENV_WRITE);
	assert_int_equal(change(b, ".flags", "x", true), E_ENV_NAME);
	assert_int_equal(change(b, "a", "2", false), E_NONE);
	assert_value(b, "serial", "7");
	bootenv_close(b);
}

/* the library writes .flags behind its own check of the size */
static void uboot_room_for_flags_is_kept(void **state)
{
	static const char texts[] = "a=1\0serial=7\0.flags=serial:sr\0";
	const size_t most = SIZE - 4 - 1 - (sizeof(texts) - 1) - 3;
	char *value = calloc(1, SIZE);

	(void)state;
	single();
	put_copy(copies[0], -1, texts, sizeof(texts) - 1);
	struct bootenv *b = open_ok();
	memset(value, 'v', most + 1);
	assert_int_equal(change(b, "v", value, true), E_ENV_BIG);
	assert_int_equal(change(b, "v", value, false), E_ENV_BIG);
	value[most] = '\0';
	assert_int_equal(change(b, "v", value, false), E_NONE);
	assert_value(b, "v", value);
	assert_int_equal(change(b, "serial", "8", true), E_ENV_WRITE);
	bootenv_close(b);
	free(value);
}

static void uboot_bytes_beside_the_environment_stay(void **state)
{
	char disk[3 * SIZE];
	size_t n;

	(void)state;
	put_copy(copies[0], -1, "a=1\0", 4);
	char *env = envkit_read_file(copies[0], &n);
	memset(disk, 0x5a, sizeof(disk));
	memcpy(disk + SIZE, env, SIZE);
	free(env);
	envkit_write_file(copies[0], disk, sizeof(disk));
	put_config("%s 0x1000 0x1000 0x1000 1\n", copies[0]);
	struct bootenv *b = open_ok();
	assert_int_equal(change(b, "a", "2", false), E_NONE);
	assert_value(b, "a", "2");
	int fd = open(copies[0], O_RDONLY | O_CLOEXEC);
	assert_true(bootenv_overlaps(b, fd, SIZE, 1));
	assert_true(bootenv_overlaps(b, fd, 0, 0));
	assert_false(bootenv_overlaps(b, fd, 0, SIZE));
	assert_false(bootenv_overlaps(b, fd, 2 * SIZE, 1));
	close(fd);
	bootenv_close(b);
	char *now = envkit_read_file(copies[0], &n);
	assert_int_equal(n, sizeof(disk));
	assert_memory_equal(now, disk, SIZE);
	assert_memory_equal(now + 2 * SIZE, disk + 2 * SIZE, SIZE);
	free(now);
}

/* the library does not look at the result of its flush */
static void t104_uboot_failed_flush_is_reported(void **state)
{
	(void)state;
	single();
	struct bootenv *b = open_ok();
	flush_fails = true;
	assert_int_equal(change(b, "a", "2", false), E_ENV_WRITE);
	flush_fails = false;
	bootenv_close(b);
}

/* as a user who may read but not write */
static void uboot_environment_that_cannot_be_written_is_refused_while_planning(void **state)
{
	int status;

	(void)state;
	single();
	assert_int_equal(chmod(copies[0], 0444), 0);
	assert_int_equal(chmod(dir, 0755), 0);
	struct bootenv *b = open_ok();
	pid_t pid = fork();
	if (pid == 0) {
		if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
			_exit(1);
		_exit(change(b, "a", "2", true) == E_ENV_WRITE ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	bootenv_close(b);
}

int main(void)
{
	own_locks();
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(t106_uboot_newer_copy_wins_for_every_flag_value),
		T(t106_uboot_one_valid_copy_is_enough),
		T(t106_uboot_single_copy_is_warned_about_and_refused_on_demand),
		T(t65_uboot_lock_held_by_another_program_ends_in_an_error),
		T(t65_uboot_waits_for_a_lock_that_comes),
		T(l4_uboot_waits_of_a_phase_are_bounded_together),
		T(t65_uboot_commit_of_a_killed_process_does_not_come_later),
		T(uboot_commit_is_not_cut_by_a_signal),
		T(uboot_damaged_environment_starts_from_its_defaults),
		T(uboot_configuration_that_cannot_be_meant_is_refused),
		T(uboot_bytes_of_every_kind_never_crash),
		T(uboot_fills_the_environment_to_the_last_byte),
		T(uboot_variable_that_flags_protect_is_refused_while_planning),
		T(uboot_room_for_flags_is_kept),
		T(uboot_bytes_beside_the_environment_stay),
		T(t104_uboot_failed_flush_is_reported),
		T(uboot_environment_that_cannot_be_written_is_refused_while_planning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
