/* System calls: EINTR and short counts are hidden, nothing else; files change whole or not at all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/fake_stream.h"
#include "tests/unit/kit/hang.h"

#define SIZE 50000u
static uint8_t data[SIZE], got[SIZE];
static char dir[64];

/* ---- faults of the kernel, by definition in this program
 * ------------------------------------------ */

static struct {
	bool armed, short_counts, interrupts;
	unsigned calls, fail_call;
	int error;
} fault;

static bool fault_hits(size_t *n)
{
	if (!fault.armed)
		return false;
	fault.calls++;
	if (fault.fail_call) {
		errno = fault.error;
		return fault.fail_call == fault.calls;
	}
	if (fault.interrupts && fault.calls % 2) {
		errno = EINTR;
		return true;
	}
	if (fault.short_counts && n && *n > 1)
		*n /= 2;
	return false;
}

#define FAULTY(call, n) (fault_hits(n) ? -1 : (call))

ssize_t read(int fd, void *buf, size_t n)
{
	return FAULTY(syscall(SYS_read, fd, buf, n), &n);
}

ssize_t pread(int fd, void *buf, size_t n, off_t off)
{
	return FAULTY(syscall(SYS_pread64, fd, buf, n, off), &n);
}

ssize_t write(int fd, const void *buf, size_t n)
{
	return FAULTY(syscall(SYS_write, fd, buf, n), &n);
}

ssize_t pwrite(int fd, const void *buf, size_t n, off_t off)
{
	return FAULTY(syscall(SYS_pwrite64, fd, buf, n, off), &n);
}

int fsync(int fd)
{
	return (int)FAULTY(syscall(SYS_fsync, fd), NULL);
}

int fdatasync(int fd)
{
	return (int)FAULTY(syscall(SYS_fdatasync, fd), NULL);
}

int renameat(int olddir, const char *old, int newdir, const char *new)
{
	return (int)FAULTY(syscall(SYS_renameat2, olddir, old, newdir, new, 0), NULL);
}

int ftruncate(int fd, off_t n)
{
	return (int)FAULTY(syscall(SYS_ftruncate, fd, n), NULL);
}

int fchmod(int fd, mode_t mode)
{
	return (int)FAULTY(syscall(SYS_fchmod, fd, mode), NULL);
}

/* ---- a folder for each test
 * ------------------------------------------------------------------------- */

static int make_dir(void **state)
{
	(void)state;
	memset(&fault, 0, sizeof(fault));
	memcpy(dir, "/tmp/swinstall-sys-XXXXXX", 26);
	return mkdtemp(dir) ? 0 : -1;
}

static const char *in_dir(const char *name)
{
	static char path[4][300];
	static unsigned turn;
	char *p = path[turn++ % 4];

	assert_int_equal(text_print(p, sizeof(path[0]), "%s/%s", dir, name), 0);
	return p;
}

static unsigned count_files(void)
{
	DIR *d = opendir(dir);
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static int remove_dir(void **state)
{
	DIR *d;

	(void)state;
	fault.armed = false;
	d = opendir(dir);
	if (!d)
		return -1;
	for (struct dirent *i; (i = readdir(d));)
		if (strcmp(i->d_name, ".") != 0 && strcmp(i->d_name, "..") != 0)
			(void)!(unlinkat(dirfd(d), i->d_name, 0) &&
				unlinkat(dirfd(d), i->d_name, AT_REMOVEDIR));
	closedir(d);
	return rmdir(dir);
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(sys_write(fd, text, strlen(text)), 0);
	close(fd);
}

static void assert_holds(const char *path, const char *text)
{
	AUTO_FREE char *buf = NULL;
	size_t n;

	assert_int_equal(sys_read_file(AT_FDCWD, path, 1000, &buf, &n), 0);
	assert_string_equal(buf, text);
	assert_int_equal(n, strlen(text));
}

/* ---- reads and writes
 * -------------------------------------------------------------------------------- */

static void t110_sys_io_hides_short_counts_and_interrupts(void **state)
{
	AUTO_CLOSE int fd = open(in_dir("f"), O_RDWR | O_CREAT, 0600);

	(void)state;
	for (int mix = 0; mix < 4; mix++) {
		fault.armed = true;
		fault.short_counts = mix & 1;
		fault.interrupts = mix & 2;
		assert_int_equal(sys_pwrite(fd, data, SIZE, 5), 0);
		assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
		assert_int_equal(sys_write(fd, "abcde", 5), 0);
		assert_int_equal(sys_read(fd, got, SIZE), SIZE);
		assert_memory_equal(got, data, SIZE);
		assert_int_equal(sys_read(fd, got, SIZE), 0);
		assert_int_equal(sys_pread(fd, got, SIZE, 4), SIZE);
		assert_memory_equal(got + 1, data, SIZE - 1);
		assert_int_equal(got[0], 'e');
		assert_int_equal(sys_pread(fd, got, SIZE, 6), SIZE - 1);
		assert_int_equal(sys_fsync(fd), 0);
		assert_int_equal(sys_fdatasync(fd), 0);
		assert_int_equal(sys_ftruncate(fd, 3), 0);
	}
}

static void sys_io_returns_each_other_error(void **state)
{
	AUTO_CLOSE int fd = open(in_dir("f"), O_RDWR | O_CREAT, 0600);
	static const int errors[] = {EIO, ENOSPC, EAGAIN, EDQUOT};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		fault.armed = true;
		fault.error = errors[i];
#define FAILS(call) (fault.calls = 0, fault.fail_call = 1, assert_int_equal(call, -errors[i]))
		FAILS(sys_read(fd, got, 10));
		FAILS(sys_pread(fd, got, 10, 0));
		FAILS(sys_write(fd, data, 10));
		FAILS(sys_pwrite(fd, data, 10, 0));
		FAILS(sys_fsync(fd));
		FAILS(sys_fdatasync(fd));
		FAILS(sys_ftruncate(fd, 0));
		FAILS(sys_renameat(AT_FDCWD, "a", AT_FDCWD, "b", 0));
		fault.armed = false;
	}
	assert_int_equal(sys_syncfs(-1), -EBADF);
	assert_int_equal(sys_openat(AT_FDCWD, in_dir("none"), O_RDONLY, 0), -ENOENT);
	assert_int_equal(sys_renameat(AT_FDCWD, in_dir("none"), AT_FDCWD, in_dir("b"), 1), -ENOENT);
	assert_int_equal(sys_ftruncate(fd, UINT64_MAX), -EFBIG);
	assert_int_equal(sys_fallocate(fd, 0, 1, UINT64_MAX), -EFBIG);
	assert_int_equal(sys_fallocate(fd, 0, 0, 100), 0);
	assert_int_equal(sys_linkat(AT_FDCWD, in_dir("none"), AT_FDCWD, in_dir("b"), 0), -ENOENT);
	assert_int_equal(sys_mkdirat(AT_FDCWD, in_dir("f"), 0700), -EEXIST);
	assert_int_equal(sys_unlinkat(AT_FDCWD, in_dir("none"), 0), -ENOENT);
}

static void sys_openat_never_leaks_into_children_and_close_is_once(void **state)
{
	int fd = sys_openat(AT_FDCWD, in_dir("f"), O_RDWR | O_CREAT, 0600);
	struct stat st;

	(void)state;
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(sys_close(&fd), 0);
	assert_int_equal(fd, -1);
	assert_int_equal(sys_close(&fd), 0);
	fd = 12345;
	assert_int_equal(sys_close(&fd), -EBADF);
}

static void sys_clocks_and_randomness(void **state)
{
	uint8_t a[300] = {0}, b[300] = {0};
	uint64_t t = sys_now_ms();

	(void)state;
	assert_true(sys_now_ms() >= t);
	assert_true(sys_now_real() > 1600000000);
	assert_int_equal(sys_random(a, sizeof(a)), 0);
	assert_int_equal(sys_random(b, sizeof(b)), 0);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_memory_not_equal(a, got, 32);
}

static void sys_path_stands_below_the_root_of_tests(void **state)
{
	char out[32];

	(void)state;
	assert_int_equal(sys_path("/proc/mounts", out, sizeof(out)), 0);
	assert_string_equal(out, "/proc/mounts");
	sys_set_root("/fake");
	assert_int_equal(sys_path("/proc/mounts", out, sizeof(out)), 0);
	assert_string_equal(out, "/fake/proc/mounts");
	assert_int_equal(sys_path("proc", out, sizeof(out)), -EINVAL);
	assert_int_equal(sys_path("/a/path/that/does/not/fit/anywhere", out, sizeof(out)),
			 -ENAMETOOLONG);
	sys_set_root(NULL);
	assert_int_equal(sys_path("/x", out, sizeof(out)), 0);
	assert_string_equal(out, "/x");
}

/* ---- whole files
 * --------------------------------------------------------------------------------------- */

static void sys_read_file_takes_max_and_not_one_more(void **state)
{
	AUTO_FREE char *buf = NULL;
	size_t n = 99;

	(void)state;
	put(in_dir("f"), "hello");
	assert_int_equal(sys_read_file(AT_FDCWD, in_dir("f"), 5, &buf, &n), 0);
	assert_string_equal(buf, "hello");
	assert_int_equal(n, 5);
	free(buf);
	buf = NULL;
	assert_int_equal(sys_read_file(AT_FDCWD, in_dir("f"), 4, &buf, &n), -EFBIG);
	assert_null(buf);
	put(in_dir("e"), "");
	assert_int_equal(sys_read_file(AT_FDCWD, in_dir("e"), 0, &buf, NULL), 0);
	assert_string_equal(buf, "");
}

static void sys_read_file_grows_for_files_that_tell_no_size(void **state)
{
	AUTO_FREE char *buf = NULL;
	size_t n;
	FILE *f = fopen(in_dir("big"), "w");

	(void)state;
	assert_non_null(f);
	for (int i = 0; i < 20000; i++)
		fprintf(f, "%07d\n", i);
	fclose(f);
	fault.armed = true;
	fault.short_counts = fault.interrupts = true;
	assert_int_equal(sys_read_file(AT_FDCWD, in_dir("big"), 200000, &buf, &n), 0);
	fault.armed = false;
	assert_int_equal(n, 160000);
	assert_string_equal(buf + n - 8, "0019999\n");
	free(buf);
	buf = NULL;
	assert_int_equal(sys_read_file(AT_FDCWD, in_dir("big"), 159999, &buf, &n), -EFBIG);
	assert_int_equal(sys_read_file(AT_FDCWD, "/proc/self/status", 100000, &buf, &n), 0);
	assert_true(n > 100);
}

static void sys_read_file_refuses_what_is_no_file_and_never_waits(void **state)
{
	AUTO_FREE char *buf = NULL;

	(void)state;
	assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
	assert_int_equal(sys_read_file(AT_FDCWD, in_dir("fifo"), 10, &buf, NULL), -EINVAL);
	assert_int_equal(sys_read_file(AT_FDCWD, dir, 10, &buf, NULL), -EISDIR);
	assert_int_equal(sys_read_file(AT_FDCWD, "/dev/zero", 10, &buf, NULL), -EINVAL);
	assert_int_equal(sys_read_file(AT_FDCWD, in_dir("none"), 10, &buf, NULL), -ENOENT);
	assert_int_equal(sys_read_file(AT_FDCWD, in_dir("none"), SIZE_MAX, &buf, NULL), -ENOENT);
	assert_null(buf);
}

static void sys_replace_file_keeps_mode_and_makes_new_ones_as_told(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(sys_replace_file(in_dir("f"), "one", 3, 0640), 0);
	assert_int_equal(stat(in_dir("f"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(chmod(in_dir("f"), 0604), 0);
	assert_int_equal(sys_replace_file(in_dir("f"), "two!", 4, 0640), 0);
	assert_int_equal(stat(in_dir("f"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0604);
	assert_holds(in_dir("f"), "two!");
	assert_int_equal(count_files(), 1);
}

/* T108, T110: whatever fails, the old content stays whole and nothing is left lying about */
static void t108_sys_replace_file_fails_at_each_call_without_a_trace(void **state)
{
	unsigned n;

	(void)state;
	for (int exists = 0; exists < 2; exists++)
		for (n = 1; n < 30; n++) {
			int rc;

			unlink(in_dir("f"));
			if (exists)
				put(in_dir("f"), "old");
			fault.armed = true;
			fault.calls = 0;
			fault.fail_call = n;
			fault.error = ENOSPC;
			rc = sys_replace_file(in_dir("f"), "new", 3, 0600);
			fault.armed = false;
			if (fault.calls < n) {
				assert_int_equal(rc, 0);
				assert_holds(in_dir("f"), "new");
				break;
			}
			assert_int_equal(rc, -ENOSPC);
			if (n == 6) /* the folder's own flush: the file is new already */
				assert_holds(in_dir("f"), "new");
			else if (exists)
				assert_holds(in_dir("f"), "old");
			assert_int_equal(count_files(), exists || n == 6);
		}
	assert_int_equal(n, 7);
}

static void t110_sys_replace_file_in_short_interrupted_pieces(void **state)
{
	(void)state;
	fault.armed = fault.short_counts = fault.interrupts = true;
	assert_int_equal(sys_replace_file(in_dir("f"), "whole content", 13, 0600), 0);
	fault.armed = false;
	assert_holds(in_dir("f"), "whole content");
}

static void sys_replace_file_takes_over_what_a_power_cut_left(void **state)
{
	(void)state;
	put(in_dir("f"), "old");
	put(in_dir(".f.new"), "torn rest of an earlier attempt, longer than the new content");
	assert_int_equal(sys_replace_file(in_dir("f"), "new", 3, 0600), 0);
	assert_holds(in_dir("f"), "new");
	assert_int_equal(count_files(), 1);
}

static void t57_sys_replace_file_does_not_write_through_a_planted_link(void **state)
{
	(void)state;
	put(in_dir("victim"), "precious");
	assert_int_equal(symlink("victim", in_dir(".f.new")), 0);
	assert_int_equal(sys_replace_file(in_dir("f"), "new", 3, 0600), -ELOOP);
	assert_holds(in_dir("victim"), "precious");
	assert_int_equal(unlink(in_dir(".f.new")), 0);
	assert_int_equal(link(in_dir("victim"), in_dir(".f.new")), 0);
	assert_int_equal(sys_replace_file(in_dir("f"), "new", 3, 0600), -EBUSY);
	assert_holds(in_dir("victim"), "precious");
}

static void sys_replace_file_waits_for_another_writer_but_not_for_ever(void **state)
{
	int fd = open(in_dir(".f.new"), O_RDWR | O_CREAT, 0600);
	uint64_t start = sys_now_ms();

	(void)state;
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(sys_replace_file(in_dir("f"), "new", 3, 0600), -EBUSY);
	assert_true(sys_now_ms() - start < HANG_MS);
	close(fd);
	assert_int_equal(sys_replace_file(in_dir("f"), "new", 3, 0600), 0);
}

static void sys_replace_file_replaces_behind_a_link_and_refuses_folders(void **state)
{
	struct stat st;

	(void)state;
	put(in_dir("real"), "old");
	assert_int_equal(symlink("real", in_dir("link")), 0);
	assert_int_equal(sys_replace_file(in_dir("link"), "new", 3, 0600), 0);
	assert_holds(in_dir("real"), "new");
	assert_int_equal(lstat(in_dir("link"), &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(mkdir(in_dir("d"), 0700), 0);
	assert_int_equal(sys_replace_file(in_dir("d"), "new", 3, 0600), -EISDIR);
	assert_int_equal(sys_replace_file(in_dir(""), "new", 3, 0600), -EISDIR);
	assert_int_equal(sys_replace_file(in_dir("none/f"), "new", 3, 0600), -ENOENT);
	assert_int_equal(count_files(), 3);
}

/* ---- polite writes
 * -------------------------------------------------------------------------------------- */

static void sys_write_polite_drops_the_rest_for_a_reader_who_sleeps(void **state)
{
	AUTO_FREE char *big = calloc(1, 1 << 20);
	int fds[2];

	(void)state;
	assert_non_null(big);
	for (int kind = 0; kind < 2; kind++) {
		uint64_t start = sys_now_ms();

		assert_int_equal(kind ? socketpair(AF_UNIX, SOCK_STREAM, 0, fds) : pipe(fds), 0);
		assert_int_equal(sys_write_polite(fds[1], "hello", 5, 0), 0);
		assert_int_equal(read(fds[0], got, 10), 5);
		assert_memory_equal(got, "hello", 5);
		assert_int_equal(sys_write_polite(fds[1], big, 1 << 20, 60), 1);
		assert_int_equal(sys_write_polite(fds[1], big, 1 << 20, 0), 1);
		assert_true(sys_now_ms() - start < HANG_MS);
		assert_false(fcntl(fds[1], F_GETFL) & O_NONBLOCK);
		close(fds[0]);
		close(fds[1]);
	}
}

static void sys_write_polite_survives_a_reader_who_is_gone(void **state)
{
	int fds[2];
	sigset_t pending, mask;

	(void)state;
	for (int kind = 0; kind < 2; kind++) {
		assert_int_equal(kind ? socketpair(AF_UNIX, SOCK_STREAM, 0, fds) : pipe(fds), 0);
		close(fds[0]);
		assert_int_equal(sys_write_polite(fds[1], "hello", 5, 10), -EPIPE);
		sigpending(&pending);
		assert_false(sigismember(&pending, SIGPIPE));
		pthread_sigmask(SIG_BLOCK, NULL, &mask);
		assert_false(sigismember(&mask, SIGPIPE));
		close(fds[1]);
	}
	assert_int_equal(sys_write_polite(12345, "x", 1, 10), -EBADF);
}

static void sys_write_polite_writes_files_whole(void **state)
{
	AUTO_CLOSE int fd = open(in_dir("f"), O_RDWR | O_CREAT | O_APPEND, 0600);

	(void)state;
	assert_int_equal(sys_write_polite(fd, (const char *)data, SIZE, 0), 0);
	assert_int_equal(sys_write_polite(fd, "more", 4, 0), 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), SIZE + 4);
}

static int make_data(void **state)
{
	(void)state;
	fake_bytes(data, SIZE, 12);
	return 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(t110_sys_io_hides_short_counts_and_interrupts),
		T(sys_io_returns_each_other_error),
		T(sys_openat_never_leaks_into_children_and_close_is_once),
		T(sys_clocks_and_randomness),
		T(sys_path_stands_below_the_root_of_tests),
		T(sys_read_file_takes_max_and_not_one_more),
		T(sys_read_file_grows_for_files_that_tell_no_size),
		T(sys_read_file_refuses_what_is_no_file_and_never_waits),
		T(sys_replace_file_keeps_mode_and_makes_new_ones_as_told),
		T(t108_sys_replace_file_fails_at_each_call_without_a_trace),
		T(t110_sys_replace_file_in_short_interrupted_pieces),
		T(sys_replace_file_takes_over_what_a_power_cut_left),
		T(t57_sys_replace_file_does_not_write_through_a_planted_link),
		T(sys_replace_file_waits_for_another_writer_but_not_for_ever),
		T(sys_replace_file_replaces_behind_a_link_and_refuses_folders),
		T(sys_write_polite_drops_the_rest_for_a_reader_who_sleeps),
		T(sys_write_polite_survives_a_reader_who_is_gone),
		T(sys_write_polite_writes_files_whole),
	};
	return cmocka_run_group_tests(tests, make_data, NULL);
}
