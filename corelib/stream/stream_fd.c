/* Sources: a descriptor (by place where it has places, else as it comes) and the caller's memory.
 */
#include "corelib/stream/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define SLICE_MS   100		/* a wait looks at 'cancel' and 'stop' so often */
#define WINDOW_MS  60000u	/* of waiting for a sender; or idle_ms, if that is longer */
#define WINDOW_MIN (16u * 1024) /* bytes that must come in it */
#define DIRECT_MIN (64u * 1024) /* shorter reads come out of the own block */

struct source {
	struct stream s;
	int fd;
	bool is_socket;
	/* of what comes as it comes */
	bool own_fd;	 /* opened here */
	int flags;	 /* of a descriptor that had to be changed; -1: it was not */
	uint64_t waited; /* ms in this window, for the sender alone */
	uint64_t came;	 /* bytes in it */
	struct stream_fd_options o;
	uint64_t at;	/* the next byte to yield, from o.start */
	uint8_t *block; /* holds the bytes from 'from' on */
	uint64_t from;
	size_t held;
};

static unsigned long long place(const struct source *f)
{
	return f->o.start + f->at;
}

static int source_failed(const struct source *f, int sys, struct err *e)
{
	return err_sys(e, E_IO, sys, "reading at byte %llu", place(f));
}

static int source_short(const struct source *f, struct err *e)
{
	return err_set(e, E_TRUNCATED, ENODATA,
		       "the source ends at byte %llu; %llu bytes are missing", place(f),
		       (unsigned long long)(f->o.size - f->at));
}

static size_t at_most(const struct source *f, size_t n)
{
	return f->o.size - f->at < n ? (size_t)(f->o.size - f->at) : n;
}

/* ---- files and block devices
 * --------------------------------------------------------------------- */

/* n > 0 bytes at f->at, as many as asked for */
static ssize_t file_pread(struct source *f, uint8_t *buf, size_t n, struct err *e)
{
	ssize_t r = sys_pread(f->fd, buf, n, f->o.start + f->at);

	if (r < 0)
		return source_failed(f, (int)-r, e);
	return (size_t)r < n ? source_short(f, e) : r;
}

static size_t held_at(const struct source *f)
{
	if (f->at < f->from || f->at - f->from >= f->held)
		return 0;
	return f->held - (size_t)(f->at - f->from);
}

static ssize_t file_next(struct stream *s, const uint8_t **buf, struct err *e)
{
	struct source *f = (struct source *)s;
	size_t n = held_at(f);
	ssize_t r;

	if (f->at == f->o.size)
		return 0;
	if (n == 0) {
		n = at_most(f, f->o.block);
		r = file_pread(f, f->block, n, e);
		if (r < 0)
			return r;
		f->from = f->at;
		f->held = n;
	}
	*buf = f->block + (f->at - f->from);
	f->at += n;
	return (ssize_t)n;
}

static ssize_t file_read(struct stream *s, uint8_t *buf, size_t n, struct err *e)
{
	struct source *f = (struct source *)s;
	const uint8_t *from = NULL;
	ssize_t r;

	if (f->at == f->o.size)
		return 0;
	if (n >= DIRECT_MIN && held_at(f) == 0) {
		r = file_pread(f, buf, at_most(f, n), e);
		if (r > 0)
			f->at += (uint64_t)r;
		return r;
	}
	r = file_next(s, &from, e);
	if (r <= 0)
		return r;
	if ((size_t)r > n) {
		f->at -= (uint64_t)r - n;
		r = (ssize_t)n;
	}
	memcpy(buf, from, (size_t)r);
	return r;
}

static int file_seek(struct stream *s, uint64_t off, struct err *e)
{
	struct source *f = (struct source *)s;

	if (off > f->o.size)
		return err_set(e, E_TRUNCATED, ENODATA,
			       "the source has %llu bytes; %llu is behind its end",
			       (unsigned long long)f->o.size, (unsigned long long)off);
	f->at = off;
	return 0;
}

/* ---- pipes, sockets, terminals
 * ------------------------------------------------------------------- */

static bool is_canceled(struct source *f)
{
	return flag_is_set(f->o.cancel) || atomic_load_explicit(&f->s.stop, memory_order_relaxed);
}

static int sender_late(struct err *e, int rc)
{
	err_fix(e, "see why the sender stopped, and send again; for one that pauses longer or is "
		   "slower, raise idle-timeout in the configuration");
	return rc;
}

/* until bytes are there, or idle_ms after 'start' */
static int wait_for_bytes(struct source *f, uint64_t start, struct err *e)
{
	struct pollfd p = {.fd = f->fd, .events = POLLIN};

	for (;;) {
		uint64_t waited = sys_now_ms() - start;
		unsigned slice = SLICE_MS;
		int rc;

		if (is_canceled(f))
			return err_set(e, E_CANCELED, ECANCELED, "cancelled at byte %llu",
				       place(f));
		if (f->o.idle_ms && waited >= f->o.idle_ms)
			return sender_late(e, err_set(e, E_DEADLINE, ETIMEDOUT,
						      "no byte came for %g s at byte %llu",
						      f->o.idle_ms / 1000.0, place(f)));
		if (f->o.idle_ms && f->o.idle_ms - waited < slice)
			slice = (unsigned)(f->o.idle_ms - waited);
		rc = poll(&p, 1, (int)slice);
		if (rc > 0)
			return 0;
		if (rc < 0 && errno != EINTR)
			return source_failed(f, errno, e);
	}
}

/*
 * A sender that drips one byte just before each deadline would be waited for without end. Only
 * the time in which nothing was there to be read counts: how slowly we take it is not its fault.
 */
static int judge_rate(struct source *f, uint64_t waited, size_t came, struct err *e)
{
	uint64_t window = f->o.idle_ms > WINDOW_MS ? f->o.idle_ms : WINDOW_MS;

	f->waited += waited;
	f->came += came;
	if (f->o.idle_ms == 0 || f->waited < window)
		return 0;
	if (f->came < WINDOW_MIN)
		return sender_late(e, err_set(e, E_DEADLINE, ETIMEDOUT,
					      "only %llu bytes came in %llu s of waiting for the "
					      "sender, at byte %llu",
					      (unsigned long long)f->came,
					      (unsigned long long)f->waited / 1000, place(f)));
	f->waited = f->came = 0;
	return 0;
}

static ssize_t pipe_read(struct stream *s, uint8_t *buf, size_t n, struct err *e)
{
	struct source *f = (struct source *)s;
	uint64_t start = sys_now_ms(), waited;
	ssize_t r;
	int rc;

	n = at_most(f, n);
	if (n == 0)
		return 0;
	do { /* another reader of the same pipe may be faster */
		rc = wait_for_bytes(f, start, e);
		if (rc < 0)
			return rc;
		waited = sys_now_ms() - start;
		r = f->is_socket ? recv(f->fd, buf, n, MSG_DONTWAIT) : read(f->fd, buf, n);
	} while (r < 0 && (errno == EINTR || errno == EAGAIN));
	if (r < 0)
		return source_failed(f, errno, e);
	if (r == 0)
		return f->o.size != UINT64_MAX ? source_short(f, e) : 0;
	f->at += (uint64_t)r;
	rc = judge_rate(f, waited, (size_t)r, e);
	return rc < 0 ? rc : r;
}

/*
 * A descriptor that blocks hangs in read() when another reader takes the byte that poll() has
 * seen. O_NONBLOCK belongs to what is open and not to the descriptor, so others that share it would
 * get it too: the same pipe is opened once more. Where that cannot be (no /proc, the pipe of
 * another user) the shared one is changed until the stream is closed.
 */
static int pipe_prepare(struct source *f, struct err *e)
{
	char path[32];
	int fd;

	text_print(path, sizeof(path), "/proc/self/fd/%d", f->fd);
	fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
	if (fd >= 0) {
		f->fd = fd;
		f->own_fd = true;
		return 0;
	}
	fd = fcntl(f->fd, F_GETFL);
	if (fd < 0 || (!(fd & O_NONBLOCK) && fcntl(f->fd, F_SETFL, fd | O_NONBLOCK) < 0))
		return err_sys(e, E_IO, errno, "making the source not block");
	if (!(fd & O_NONBLOCK))
		f->flags = fd;
	return 0;
}

/* ---- open and close
 * ------------------------------------------------------------------------------ */

static void fd_close(struct stream *s)
{
	struct source *f = (struct source *)s;

	if (f->flags >= 0)
		fcntl(f->fd, F_SETFL, f->flags);
	if (f->own_fd)
		sys_close(&f->fd);
	free(f->block);
	free(f);
}

static const struct stream_ops file_ops = {
	.name = "file",
	.next = file_next,
	.read = file_read,
	.seek = file_seek,
	.close = fd_close,
};

static const struct stream_ops pipe_ops = {
	.name = "pipe",
	.read = pipe_read,
	.close = fd_close,
};

/* 1 = has places and *size bytes, 0 = comes as it comes */
static int has_places(int fd, const struct stat *st, uint64_t *size, struct err *e)
{
	if (S_ISREG(st->st_mode)) {
		*size = (uint64_t)st->st_size;
		return 1;
	}
	if (S_ISDIR(st->st_mode)) {
		int rc = err_set(e, E_IO, EISDIR, "the source is a folder");

		err_fix(e, "name a bundle (.swu) in the folder");
		return rc;
	}
	if (!S_ISBLK(st->st_mode))
		return 0;
	if (ioctl(fd, BLKGETSIZE64, size) < 0)
		return err_sys(e, E_IO, errno, "asking for the size of a block device");
	return 1;
}

static int file_prepare(struct source *f, uint64_t size, struct err *e)
{
	void *mem = NULL;

	if (f->o.start > size)
		return err_set(e, E_TRUNCATED, ENODATA,
			       "the source has %llu bytes; byte %llu is behind its end",
			       (unsigned long long)size, (unsigned long long)f->o.start);
	if (f->o.size == UINT64_MAX)
		f->o.size = size - f->o.start;
	if (f->o.size > INT64_MAX - f->o.start)
		return err_set(e, E_TRUNCATED, EFBIG, "no source has %llu bytes",
			       (unsigned long long)f->o.size);
	if (posix_memalign(&mem, STREAM_ALIGN, f->o.block) != 0)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a block of %zu bytes",
			       f->o.block);
	f->block = mem;
	f->s.has_size = true;
	f->s.size = f->o.size;
	/* a wish; nothing depends on it */
	(void)posix_fadvise(f->fd, (off_t)f->o.start, (off_t)f->o.size, POSIX_FADV_SEQUENTIAL);
	return 0;
}

static int fd_prepare(struct source *f, struct err *e)
{
	uint64_t size = 0;
	struct stat st;
	int rc;

	if (fstat(f->fd, &st) < 0)
		return err_sys(e, E_IO, errno, "looking at the source");
	rc = has_places(f->fd, &st, &size, e);
	if (rc < 0)
		return rc;
	f->is_socket = S_ISSOCK(st.st_mode);
	stream_init(&f->s, rc > 0 ? &file_ops : &pipe_ops, NULL);
	if (rc > 0)
		return file_prepare(f, size, e);
	f->s.has_size = f->o.size != UINT64_MAX;
	f->s.size = f->s.has_size ? f->o.size : 0;
	if (f->o.start)
		return err_set(e, E_INTERNAL, ESPIPE, "a pipe has only one place to start");
	return f->is_socket ? 0 : pipe_prepare(f, e);
}

int stream_fd_open(struct stream **s, int fd, const struct stream_fd_options *o, struct err *e)
{
	struct source *f = calloc(1, sizeof(*f));
	int rc;

	if (!f)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a source");
	f->fd = fd;
	f->flags = -1;
	f->o.size = UINT64_MAX;
	if (o)
		f->o = *o;
	if (f->o.block == 0)
		f->o.block = STREAM_BLOCK;
	rc = fd_prepare(f, e);
	if (rc < 0) {
		fd_close(&f->s);
		return rc;
	}
	*s = &f->s;
	return 0;
}

/* ---- memory
 * -------------------------------------------------------------------------------------- */

struct memory {
	struct stream s;
	const uint8_t *buf;
	size_t n, at;
};

static ssize_t mem_next(struct stream *s, const uint8_t **buf, struct err *e)
{
	struct memory *m = (struct memory *)s;
	size_t n = m->n - m->at;

	(void)e;
	*buf = m->buf + m->at;
	m->at = m->n;
	return (ssize_t)n;
}

static int mem_seek(struct stream *s, uint64_t off, struct err *e)
{
	struct memory *m = (struct memory *)s;

	if (off > m->n)
		return err_set(e, E_TRUNCATED, ENODATA,
			       "there are %zu bytes; %llu is behind their end", m->n,
			       (unsigned long long)off);
	m->at = (size_t)off;
	return 0;
}

static void mem_close(struct stream *s)
{
	free(s);
}

static const struct stream_ops mem_ops = {
	.name = "memory",
	.next = mem_next,
	.seek = mem_seek,
	.close = mem_close,
};

int stream_mem_open(struct stream **s, const void *buf, size_t n, struct err *e)
{
	struct memory *m = n <= SSIZE_MAX ? calloc(1, sizeof(*m)) : NULL;

	if (!m)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for a source");
	stream_init(&m->s, &mem_ops, NULL);
	m->s.has_size = true;
	m->s.size = n;
	m->buf = buf ? buf : (const uint8_t *)"";
	m->n = n;
	*s = &m->s;
	return 0;
}
