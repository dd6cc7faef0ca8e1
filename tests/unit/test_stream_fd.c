/* Descriptors as sources: files by place, pipes as they come, waits that end (T19, T110). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "corelib/stream/stream.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/fake_stream.h"
#include "tests/unit/kit/hang.h"

#define SIZE 300000u
static uint8_t data[SIZE], got[SIZE + 100];

/* ---- faults of the kernel, by definition in this program
 * ------------------------------------------ */

static struct {
	bool armed;
	unsigned calls, fail_call; /* 0 = never */
	int error;
	bool short_reads, interrupts;
} fault;

/* true: the call ends with errno set */
static bool fault_hits(size_t *n)
{
	if (!fault.armed)
		return false;
	fault.calls++;
	if (fault.fail_call == fault.calls) {
		errno = fault.error;
		return true;
	}
	if (fault.interrupts && fault.calls % 2) {
		errno = EINTR;
		return true;
	}
	if (fault.short_reads && *n > 1)
		*n = *n / 2;
	return false;
}

ssize_t read(int fd, void *buf, size_t n)
{
	return fault_hits(&n) ? -1 : syscall(SYS_read, fd, buf, n);
}

ssize_t pread(int fd, void *buf, size_t n, off_t off)
{
	return fault_hits(&n) ? -1 : syscall(SYS_pread64, fd, buf, n, off);
}

/* ---- a clock that only waiting moves, and another reader of the same pipe ---- */

static struct {
	bool faked;
	uint64_t ms;
	void (*waited)(struct pollfd *fds); /* in the place of a wait */
	int thief;			    /* takes a byte as soon as it was seen; -1 = nobody */
} other;

int clock_gettime(clockid_t id, struct timespec *t)
{
	if (!other.faked)
		return (int)syscall(SYS_clock_gettime, id, t);
	*t = (struct timespec){.tv_sec = (time_t)(other.ms / 1000),
			       .tv_nsec = (long)(other.ms % 1000) * 1000000};
	return 0;
}

int poll(struct pollfd *fds, nfds_t n, int ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
	const bool faked = other.faked;
	int rc;
	char byte;

	if (faked)
		t = (struct timespec){0};
	rc = (int)syscall(SYS_ppoll, fds, n, &t, NULL, 0);
	if (rc == 0 && faked) {
		other.ms += (uint64_t)ms;
		if (other.waited)
			other.waited(fds);
	}
	if (rc > 0 && other.thief >= 0)
		assert_int_equal(syscall(SYS_read, other.thief, &byte, 1), 1);
	return rc;
}

static int no_faults(void **state)
{
	(void)state;
	memset(&other, 0, sizeof(other));
	other.thief = -1;
	memset(&fault, 0, sizeof(fault));
	memset(got, 0, sizeof(got));
	return 0;
}

/* ---- files
 * ----------------------------------------------------------------------------------------- */

static int temp_file(void)
{
	char path[] = "/tmp/swinstall-fd-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(sys_write(fd, data, SIZE), 0);
	return fd;
}

static void fd_file_gives_its_range_in_any_way(void **state)
{
	AUTO_CLOSE int fd = temp_file();

	(void)state;
	for (uint32_t seed = 0; seed < 40; seed++) {
		struct stream_fd_options o = {.start = seed * 1001,
					      .size = SIZE - 45000 + seed,
					      .block = seed % 2 ? 4096 + seed : 0};
		struct err e = {0};
		AUTO_STREAM struct stream *s = NULL;
		size_t n;

		assert_int_equal(stream_fd_open(&s, fd, &o, &e), 0);
		assert_true(s->has_size && s->size == o.size);
		assert_int_equal(fake_take_all(s, got, sizeof(got), &n, seed, &e), 0);
		assert_int_equal(n, o.size);
		assert_memory_equal(got, data + o.start, n);
	}
	assert_int_equal(lseek(fd, 0, SEEK_CUR), SIZE);
}

static void fd_file_lends_full_aligned_blocks(void **state)
{
	AUTO_CLOSE int fd = temp_file();
	struct stream_fd_options o = {.start = 513, .size = UINT64_MAX, .block = 65536};
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL;
	const uint8_t *buf;

	(void)state;
	assert_int_equal(stream_fd_open(&s, fd, &o, &e), 0);
	assert_int_equal(s->size, SIZE - 513);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(stream_next(s, &buf, &e), 65536);
		assert_int_equal((uintptr_t)buf % STREAM_ALIGN, 0);
	}
	assert_int_equal(stream_next(s, &buf, &e), SIZE - 513 - 4 * 65536);
	assert_int_equal(stream_next(s, &buf, &e), 0);
}

static void fd_two_streams_share_one_descriptor(void **state)
{
	AUTO_CLOSE int fd = temp_file();
	struct stream_fd_options oa = {.size = 1000, .block = 128},
				 ob = {.start = 1000, .size = 1000};
	struct err e = {0};
	AUTO_STREAM struct stream *a = NULL, *b = NULL;

	(void)state;
	assert_int_equal(stream_fd_open(&a, fd, &oa, &e), 0);
	assert_int_equal(stream_fd_open(&b, fd, &ob, &e), 0);
	for (size_t i = 0; i < 1000; i += 100) {
		assert_int_equal(stream_read_all(a, got + i, 100, &e), 0);
		assert_int_equal(stream_read_all(b, got + 1000 + i, 100, &e), 0);
	}
	assert_memory_equal(got, data, 2000);
}

static void fd_file_seeks_anywhere_within_and_nowhere_else(void **state)
{
	AUTO_CLOSE int fd = temp_file();
	struct stream_fd_options o = {.start = 100, .size = 250000, .block = 4096};
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL;
	uint32_t at = 1;

	(void)state;
	assert_int_equal(stream_fd_open(&s, fd, &o, &e), 0);
	for (int i = 0; i < 200; i++) {
		size_t n = 1 + at % 9000;

		at = at * 1103515245u + 12345;
		at %= 240000;
		assert_int_equal(stream_seek(s, at, &e), 0);
		assert_int_equal(stream_read_all(s, got, n, &e), 0);
		assert_memory_equal(got, data + 100 + at, n);
	}
	assert_int_equal(stream_seek(s, 250000, &e), 0);
	assert_int_equal(stream_drain(s, &e), 0);
	assert_int_equal(stream_seek(s, 250001, &e), -ENODATA);
	assert_int_equal(e.code, E_TRUNCATED);
}

static void t24_fd_file_shorter_than_said_is_truncated(void **state)
{
	AUTO_CLOSE int fd = temp_file();
	struct stream_fd_options o = {.start = 10, .size = SIZE};
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL, *t = NULL;

	(void)state;
	assert_int_equal(stream_fd_open(&s, fd, &o, &e), 0);
	assert_int_equal(stream_drain(s, &e), -ENODATA);
	assert_int_equal(e.code, E_TRUNCATED);
	err_clear(&e);
	o.start = SIZE + 1;
	assert_int_equal(stream_fd_open(&t, fd, &o, &e), -ENODATA);
	assert_int_equal(e.code, E_TRUNCATED);
	assert_null(t);
	err_clear(&e);
	o.start = 1;
	o.size = UINT64_MAX - 1;
	assert_int_equal(stream_fd_open(&t, fd, &o, &e), -EFBIG);
	assert_int_equal(e.code, E_TRUNCATED);
}

static void fd_file_cut_while_it_is_read_is_truncated(void **state)
{
	AUTO_CLOSE int fd = temp_file();
	struct stream_fd_options o = {.size = UINT64_MAX, .block = 4096};
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL;

	(void)state;
	assert_int_equal(stream_fd_open(&s, fd, &o, &e), 0);
	assert_int_equal(stream_read_all(s, got, 4096, &e), 0);
	assert_int_equal(ftruncate(fd, 10000), 0);
	assert_int_equal(stream_drain(s, &e), -ENODATA);
	assert_int_equal(e.code, E_TRUNCATED);
	assert_int_equal(s->pos, 8192);
}

static void fd_empty_range_ends_at_once(void **state)
{
	AUTO_CLOSE int fd = temp_file();
	struct stream_fd_options o = {.start = SIZE, .size = UINT64_MAX}, none = {.start = 5};
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL, *t = NULL;

	(void)state;
	assert_int_equal(stream_fd_open(&s, fd, &o, &e), 0);
	assert_int_equal(stream_drain(s, &e), 0);
	assert_int_equal(stream_fd_open(&t, fd, &none, &e), 0);
	assert_int_equal(stream_drain(t, &e), 0);
}

static void fd_folder_and_bad_descriptor_are_refused(void **state)
{
	AUTO_CLOSE int fd = open("/tmp", O_RDONLY | O_DIRECTORY);
	struct err e = {0};
	struct stream *s = NULL;

	(void)state;
	assert_int_equal(stream_fd_open(&s, fd, NULL, &e), -EISDIR);
	assert_int_equal(e.code, E_IO);
	err_clear(&e);
	assert_int_equal(stream_fd_open(&s, -1, NULL, &e), -EBADF);
	assert_int_equal(e.code, E_IO);
	assert_null(s);
}

/* T19, T110: each read fails, is short, is interrupted */
static void t19_fd_read_error_at_each_call_is_e_io_with_its_errno(void **state)
{
	AUTO_CLOSE int fd = temp_file();

	(void)state;
	for (unsigned n = 1; n <= 10; n++) {
		struct stream_fd_options o = {.size = UINT64_MAX, .block = SIZE / 9};
		struct err e = {0};
		AUTO_STREAM struct stream *s = NULL;

		fault.armed = true;
		fault.calls = 0;
		fault.fail_call = n;
		fault.error = EIO;
		assert_int_equal(stream_fd_open(&s, fd, &o, &e), 0);
		assert_int_equal(stream_drain(s, &e), -EIO);
		assert_int_equal(e.code, E_IO);
		assert_non_null(strstr(e.why, "Input/output error"));
		fault.armed = false;
	}
}

static void t110_fd_short_and_interrupted_reads_change_nothing(void **state)
{
	AUTO_CLOSE int fd = temp_file();

	(void)state;
	for (int mix = 1; mix < 4; mix++) {
		struct err e = {0};
		AUTO_STREAM struct stream *s = NULL;
		size_t n;

		memset(got, 0, sizeof(got));
		fault.armed = true;
		fault.short_reads = mix & 1;
		fault.interrupts = mix & 2;
		assert_int_equal(stream_fd_open(&s, fd, NULL, &e), 0);
		assert_int_equal(fake_take_all(s, got, sizeof(got), &n, 3, &e), 0);
		fault.armed = false;
		assert_int_equal(n, SIZE);
		assert_memory_equal(got, data, SIZE);
	}
}

/* ---- pipes
 * ------------------------------------------------------------------------------------------ */

struct feed {
	int fd;
	unsigned part, pause_us;
	size_t size;
};

static void *feed_run(void *arg)
{
	const struct feed *f = arg;

	for (size_t at = 0; at < f->size;) {
		size_t n = f->size - at < f->part ? f->size - at : f->part;

		if (sys_write(f->fd, data + at, n) < 0)
			break;
		at += n;
		if (f->pause_us)
			usleep(f->pause_us);
	}
	close(f->fd);
	return NULL;
}

static void fd_pipe_and_socket_give_all_bytes_to_their_end(void **state)
{
	(void)state;
	for (int kind = 0; kind < 4; kind++) {
		struct feed f = {.part = kind < 2 ? 7001 : 100000, .size = SIZE};
		struct stream_fd_options o = {.size = kind % 2 ? SIZE : UINT64_MAX,
					      .idle_ms = 2000};
		struct err e = {0};
		AUTO_STREAM struct stream *s = NULL;
		pthread_t t;
		size_t n;
		int fds[2];

		if (kind < 2)
			assert_int_equal(pipe(fds), 0);
		else
			assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		f.fd = fds[1];
		assert_int_equal(pthread_create(&t, NULL, feed_run, &f), 0);
		assert_int_equal(stream_fd_open(&s, fds[0], &o, &e), 0);
		assert_false(stream_can_seek(s));
		assert_int_equal(s->has_size, kind % 2);
		assert_int_equal(fake_take_all(s, got, sizeof(got), &n, (uint32_t)kind, &e), 0);
		assert_int_equal(n, SIZE);
		assert_memory_equal(got, data, SIZE);
		pthread_join(t, NULL);
		close(fds[0]);
	}
}

static void fd_pipe_with_a_size_takes_no_byte_more_and_refuses_fewer(void **state)
{
	struct stream_fd_options o = {.size = 5};
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL, *t = NULL;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(sys_write(fds[1], "abcdefgh", 8), 0);
	close(fds[1]);
	assert_int_equal(stream_fd_open(&s, fds[0], &o, &e), 0);
	assert_int_equal(stream_read_all(s, got, 5, &e), 0);
	assert_int_equal(stream_drain(s, &e), 0);
	assert_int_equal(stream_fd_open(&t, fds[0], &o, &e), 0);
	assert_int_equal(stream_drain(t, &e), -ENODATA);
	assert_int_equal(e.code, E_TRUNCATED);
	assert_int_equal(t->pos, 3);
	close(fds[0]);
}

static void fd_pipe_that_stays_silent_is_a_deadline(void **state)
{
	struct stream_fd_options o = {.size = UINT64_MAX, .idle_ms = 130};
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL;
	int fds[2];
	uint64_t start = sys_now_ms();

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(sys_write(fds[1], "abc", 3), 0);
	assert_int_equal(stream_fd_open(&s, fds[0], &o, &e), 0);
	assert_int_equal(stream_drain(s, &e), -ETIMEDOUT);
	assert_int_equal(e.code, E_DEADLINE);
	assert_non_null(strstr(e.why, "for 0.13 s at byte 3"));
	assert_non_null(strstr(e.fix, "idle-timeout"));
	assert_int_equal(s->pos, 3);
	assert_true(sys_now_ms() - start >= 130 && sys_now_ms() - start < HANG_MS);
	close(fds[0]);
	close(fds[1]);
}

static void fd_pipe_that_drips_is_no_deadline(void **state)
{
	/* longer in all than the deadline; a busy machine may add a second to a pause */
	struct feed f = {.part = 1, .pause_us = 100000, .size = 18};
	struct stream_fd_options o = {.size = UINT64_MAX, .idle_ms = 1500};
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL;
	pthread_t t;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	f.fd = fds[1];
	assert_int_equal(pthread_create(&t, NULL, feed_run, &f), 0);
	assert_int_equal(stream_fd_open(&s, fds[0], &o, &e), 0);
	assert_int_equal(stream_drain(s, &e), 0);
	assert_int_equal(s->pos, 18);
	pthread_join(t, NULL);
	close(fds[0]);
}

static volatile bool cancel_flag;

static void *cancel_soon(void *arg)
{
	usleep(30000);
	__atomic_store_n((bool *)&cancel_flag, true, __ATOMIC_RELAXED);
	return arg;
}

static void fd_cancel_ends_a_wait(void **state)
{
	struct stream_fd_options o = {.size = UINT64_MAX, .cancel = &cancel_flag};
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL;
	pthread_t t;
	int fds[2];
	uint64_t start = sys_now_ms();

	(void)state;
	cancel_flag = false;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(stream_fd_open(&s, fds[0], &o, &e), 0);
	assert_int_equal(pthread_create(&t, NULL, cancel_soon, NULL), 0);
	assert_int_equal(stream_drain(s, &e), -ECANCELED);
	assert_int_equal(e.code, E_CANCELED);
	assert_true(sys_now_ms() - start < HANG_MS);
	pthread_join(t, NULL);
	close(fds[0]);
	close(fds[1]);
}

static void t110_fd_pipe_interrupts_and_errors(void **state)
{
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL, *t = NULL;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(sys_write(fds[1], data, 5000), 0);
	close(fds[1]);
	fault.armed = true;
	fault.short_reads = fault.interrupts = true;
	assert_int_equal(stream_fd_open(&s, fds[0], NULL, &e), 0);
	assert_int_equal(stream_read_all(s, got, 5000, &e), 0);
	assert_memory_equal(got, data, 5000);
	assert_int_equal(stream_drain(s, &e), 0);
	fault.fail_call = fault.calls + 1;
	fault.error = EIO;
	assert_int_equal(stream_fd_open(&t, fds[0], NULL, &e), 0);
	assert_int_equal(stream_drain(t, &e), -EIO);
	assert_int_equal(e.code, E_IO);
	close(fds[0]);
}

static void fd_byte_that_another_reader_takes_is_no_endless_read(void **state)
{
	struct stream_fd_options o = {.size = UINT64_MAX, .idle_ms = 1000};
	struct rlimit old, none;
	int fds[2];

	(void)state;
	for (int reopened = 0; reopened < 2; reopened++) {
		struct err e = {0};
		struct stream *s = NULL;

		assert_int_equal(pipe(fds), 0);
		assert_int_equal(sys_write(fds[1], "x", 1), 0);
		if (!reopened) { /* it cannot be opened once more: no descriptor is left */
			assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
			none = (struct rlimit){(rlim_t)fds[1] + 1, old.rlim_max};
			assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
		}
		assert_int_equal(stream_fd_open(&s, fds[0], &o, &e), 0);
		if (!reopened)
			assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		other.thief = fds[0];
		other.faked = true;
		assert_int_equal(stream_drain(s, &e), -ETIMEDOUT);
		assert_int_equal(e.code, E_DEADLINE);
		no_faults(NULL);
		stream_close(s);
		assert_false(fcntl(fds[0], F_GETFL) & O_NONBLOCK); /* as it was given */
		close(fds[0]);
		close(fds[1]);
	}
}

static void fd_fifo_that_nobody_writes_is_a_deadline(void **state)
{
	struct stream_fd_options o = {.size = UINT64_MAX, .idle_ms = 60000};
	char path[] = "/tmp/swinstall-fifo-XXXXXX";
	struct err e = {0};
	struct stream *s = NULL;
	int fd, end;

	(void)state;
	assert_non_null(mkdtemp(path));
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	fd = open(path, O_RDONLY | O_NONBLOCK);
	assert_true(fd >= 0);
	other.faked = true;
	assert_int_equal(stream_fd_open(&s, fd, &o, &e), 0);
	assert_int_equal(stream_drain(s, &e), -ETIMEDOUT);
	assert_int_equal(other.ms, 60000);
	stream_close(s);
	/* a writer that came before the deadline is heard to its end */
	err_clear(&e);
	assert_int_equal(stream_fd_open(&s, fd, &o, &e), 0);
	end = open(path, O_WRONLY);
	assert_int_equal(sys_write(end, "abc", 3), 0);
	close(end);
	assert_int_equal(stream_drain(s, &e), 0);
	assert_int_equal(s->pos, 3);
	stream_close(s);
	close(fd);
	unlink(path);
}

static struct {
	int fd;
	size_t bytes;
	uint64_t every, next;
} drip;

static void drip_on(struct pollfd *fds)
{
	static const char zeros[32768];

	(void)fds;
	if (other.ms < drip.next)
		return;
	drip.next = other.ms + drip.every;
	assert_int_equal(sys_write(drip.fd, zeros, drip.bytes), 0);
}

/* the error's code when so many bytes come every so many ms, 0 when a day long all is well */
static enum errcode drain_drips(size_t bytes, uint64_t every, unsigned idle_ms, uint64_t *ms)
{
	struct stream_fd_options o = {.size = UINT64_MAX, .idle_ms = idle_ms};
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL;
	const uint8_t *buf;
	int fds[2];
	ssize_t n = 1;

	assert_int_equal(pipe(fds), 0);
	no_faults(NULL);
	other.faked = true;
	other.waited = drip_on;
	drip.fd = fds[1];
	drip.bytes = bytes;
	drip.every = drip.next = every;
	assert_int_equal(stream_fd_open(&s, fds[0], &o, &e), 0);
	while (n > 0 && other.ms < 86400000)
		n = stream_next(s, &buf, &e);
	*ms = other.ms;
	no_faults(NULL);
	close(fds[0]);
	close(fds[1]);
	return e.code;
}

static void fd_sender_of_a_byte_before_each_deadline_is_given_up(void **state)
{
	uint64_t ms;

	(void)state;
	assert_int_equal(drain_drips(1, 700, 1000, &ms), E_DEADLINE);
	assert_true(ms >= 60000 && ms < 62000);
	assert_int_equal(drain_drips(1, 700, 600000, &ms), E_DEADLINE);
	assert_true(ms >= 600000 && ms < 602000);
	/* a slow line is no attack, nor one that pauses for as long as it may */
	assert_int_equal(drain_drips(300, 1000, 60000, &ms), 0);
	assert_int_equal(drain_drips(17000, 59000, 60000, &ms), 0);
}

/* what was there already when we came to read it: the sender is not waited for */
static void fd_our_own_slowness_is_not_the_senders(void **state)
{
	struct stream_fd_options o = {.size = UINT64_MAX, .idle_ms = 1000};
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL;
	uint8_t byte;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(sys_write(fds[1], data, 1000), 0);
	assert_int_equal(stream_fd_open(&s, fds[0], &o, &e), 0);
	other.faked = true;
	for (int i = 0; i < 1000; i++) {
		other.ms += 3600000; /* someone is asked for consent, a disk is slow */
		assert_int_equal(stream_read(s, &byte, 1, &e), 1);
	}
	close(fds[0]);
	close(fds[1]);
}

static void fd_pipe_has_one_place_to_start(void **state)
{
	struct stream_fd_options o = {.start = 1, .size = UINT64_MAX};
	struct err e = {0};
	struct stream *s = NULL;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(stream_fd_open(&s, fds[0], &o, &e), -ESPIPE);
	close(fds[0]);
	close(fds[1]);
}

static void fd_nonblocking_descriptor_of_another_stays_so_and_works(void **state)
{
	struct stream_fd_options o = {.size = 6, .idle_ms = 1000};
	struct feed f = {.part = 1, .pause_us = 5000, .size = 6};
	struct err e = {0};
	AUTO_STREAM struct stream *s = NULL;
	pthread_t t;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	f.fd = fds[1];
	assert_int_equal(pthread_create(&t, NULL, feed_run, &f), 0);
	assert_int_equal(stream_fd_open(&s, fds[0], &o, &e), 0);
	assert_int_equal(stream_drain(s, &e), 0);
	assert_true(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
	pthread_join(t, NULL);
	close(fds[0]);
}

static int make_data(void **state)
{
	(void)state;
	fake_bytes(data, SIZE, 11);
	return 0;
}

#define T(f) cmocka_unit_test_setup(f, no_faults)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(fd_file_gives_its_range_in_any_way),
		T(fd_file_lends_full_aligned_blocks),
		T(fd_two_streams_share_one_descriptor),
		T(fd_file_seeks_anywhere_within_and_nowhere_else),
		T(t24_fd_file_shorter_than_said_is_truncated),
		T(fd_file_cut_while_it_is_read_is_truncated),
		T(fd_empty_range_ends_at_once),
		T(fd_folder_and_bad_descriptor_are_refused),
		T(t19_fd_read_error_at_each_call_is_e_io_with_its_errno),
		T(t110_fd_short_and_interrupted_reads_change_nothing),
		T(fd_pipe_and_socket_give_all_bytes_to_their_end),
		T(fd_pipe_with_a_size_takes_no_byte_more_and_refuses_fewer),
		T(fd_pipe_that_stays_silent_is_a_deadline),
		T(fd_pipe_that_drips_is_no_deadline),
		T(fd_cancel_ends_a_wait),
		T(t110_fd_pipe_interrupts_and_errors),
		T(fd_byte_that_another_reader_takes_is_no_endless_read),
		T(fd_fifo_that_nobody_writes_is_a_deadline),
		T(fd_sender_of_a_byte_before_each_deadline_is_given_up),
		T(fd_our_own_slowness_is_not_the_senders),
		T(fd_pipe_has_one_place_to_start),
		T(fd_nonblocking_descriptor_of_another_stays_so_and_works),
	};
	return cmocka_run_group_tests(tests, make_data, NULL);
}
