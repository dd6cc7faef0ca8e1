/* Devices over a descriptor: block devices and regular files. */
#include "corelib/device/blkdev.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "corelib/base/digest.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define BEHIND                                                                                     \
	(8u * 1024 * 1024) /* so much may be dirty in the page cache before it is pushed out */

struct fd_dev {
	struct blkdev d;
	bool block;
	bool may_drop;	     /* O_DIRECT may be given up when the device refuses it after all */
	uint64_t start, end; /* buffered bytes in a row that are not pushed yet */
	uint64_t pushed, pushed_len; /* the row before, on its way to the medium */
	uint64_t stale;		     /* below it the cache may hold what the medium does not */
};

static struct fd_dev *of(struct blkdev *d)
{
	return (struct fd_dev *)d;
}

static int failed(const struct blkdev *d, struct err *e, enum errcode code, int rc)
{
	char name[64];

	err_set(e, code, -rc, "%s", strerror_r(-rc, name, sizeof(name)));
	return err_at(e, rc, "%s", d->name);
}

static int failed_write(const struct blkdev *d, struct err *e, int rc)
{
	return failed(d, e, rc == -ENOSPC && !d->has_size ? E_NO_SPACE : E_TARGET_WRITE, rc);
}

/* ---- O_DIRECT ---- */

static int set_direct(const struct blkdev *d, bool on)
{
	int fl = fcntl(d->fd, F_GETFL);

	if (fl < 0)
		return -errno;
	return fcntl(d->fd, F_SETFL, on ? fl | O_DIRECT : fl & ~O_DIRECT) < 0 ? -errno : 0;
}

/* what the kernel says: 1 with alignments, 0 = there is no O_DIRECT here, -1 = it does not know */
static int ask_kernel(struct blkdev *d)
{
#ifdef STATX_DIOALIGN
	struct statx sx;

	if (statx(d->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) == 0 &&
	    (sx.stx_mask & STATX_DIOALIGN)) {
		if (sx.stx_dio_offset_align == 0)
			return 0;
		d->mem_align = sx.stx_dio_mem_align;
		d->io_align = sx.stx_dio_offset_align;
		return 1;
	}
#endif
	return -1;
}

static void ask_device(struct fd_dev *f)
{
	int sector = 0;

	f->d.mem_align = f->d.io_align = STREAM_ALIGN; /* enough for every file system */
	if (f->block && ioctl(f->d.fd, BLKSSZGET, &sector) == 0 && sector > 0)
		f->d.io_align = (uint32_t)sector;
}

static void drop_direct(struct blkdev *d)
{
	d->direct = false;
	d->mem_align = d->io_align = 1;
}

static int choose_direct(struct fd_dev *f, enum blkdev_direct want, struct err *e)
{
	int knows, rc = -EINVAL;

	drop_direct(&f->d);
	if (want == DIRECT_NO)
		return set_direct(&f->d, false) < 0 ? err_sys(e, E_TARGET, errno, "fcntl") : 0;
	knows = ask_kernel(&f->d);
	if (knows < 0)
		ask_device(f);
	if (knows != 0)
		rc = set_direct(&f->d, true);
	if (rc < 0 && want == DIRECT_YES)
		return err_set(e, E_TARGET, -rc, "it does not take direct I/O (direct-io = yes)");
	f->may_drop = want == DIRECT_AUTO;
	if (rc < 0)
		drop_direct(&f->d);
	else
		f->d.direct = true;
	return 0;
}

/* ---- the page cache, where there is no O_DIRECT ---- */

/*
 * Bring a range to the medium and out of the cache (len 0: to the end). Waiting here takes the
 * error away from the fsync that follows (one report for each open file), so a failure must be
 * kept.
 */
static int settle(struct blkdev *d, uint64_t off, uint64_t len)
{
	const unsigned all =
		SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;

	if (TEMP_FAILURE_RETRY(sync_file_range(d->fd, (off_t)off, (off_t)len, all)) == 0 ||
	    errno == ENOSYS || errno == EINVAL || errno == ESPIPE) {
		posix_fadvise(d->fd, (off_t)off, (off_t)len, POSIX_FADV_DONTNEED);
		return 0;
	}
	d->broken = true;
	return -errno;
}

/* start writing early and forget what is written: a short last flush, and little memory */
static int push_behind(struct fd_dev *f, uint64_t off, size_t n)
{
	int rc;

	if (f->stale < off + n)
		f->stale = off + n;
	if (off != f->end)
		f->start = off;
	f->end = off + n;
	if (f->end - f->start < BEHIND)
		return 0;
	sync_file_range(f->d.fd, (off_t)f->start, (off_t)(f->end - f->start),
			SYNC_FILE_RANGE_WRITE);
	rc = f->pushed_len ? settle(&f->d, f->pushed, f->pushed_len) : 0;
	f->pushed = f->start;
	f->pushed_len = f->end - f->start;
	f->start = f->end;
	return rc;
}

/* ---- operations ---- */

static int fd_pwrite(struct blkdev *d, const void *buf, size_t n, uint64_t off, struct err *e)
{
	int rc = sys_pwrite(d->fd, buf, n, off);

	if (rc == -EINVAL && d->direct && of(d)->may_drop && set_direct(d, false) == 0) {
		drop_direct(d);
		rc = sys_pwrite(d->fd, buf, n, off);
	}
	if (rc == 0 && !d->direct)
		rc = push_behind(of(d), off, n);
	if (rc == 0)
		return 0;
	failed_write(d, e, rc);
	return err_while(e, rc, "write of %zu bytes failed at offset %" PRIu64, n, off);
}

static int fd_pwrite_any(struct blkdev *d, const void *buf, size_t n, uint64_t off, struct err *e)
{
	bool direct = d->direct;
	int rc = direct ? set_direct(d, false) : 0;

	if (rc == 0)
		rc = sys_pwrite(d->fd, buf, n, off);
	if (direct && set_direct(d, true) < 0)
		drop_direct(d);
	if (rc == 0)
		return 0;
	failed_write(d, e, rc);
	return err_while(e, rc, "write of %zu bytes failed at offset %" PRIu64, n, off);
}

/* reading on, past all that was written since: what the cache holds there came from the medium */
static int forget_cache(struct fd_dev *f, uint64_t off)
{
	int rc;

	if (f->d.direct || off >= f->stale)
		return 0;
	rc = settle(&f->d, 0, 0);
	f->stale = 0;
	return rc;
}

static ssize_t fd_pread(struct blkdev *d, void *buf, size_t n, uint64_t off, struct err *e)
{
	ssize_t rc = forget_cache(of(d), off);

	if (rc == 0)
		rc = sys_pread(d->fd, buf, n, off);
	if (rc >= 0)
		return rc;
	failed(d, e, E_TARGET_READ, (int)rc);
	return err_while(e, (int)rc, "read of %zu bytes failed at offset %" PRIu64, n, off);
}

/* those mean "not that way", not "the medium fails" */
static int unsupported(int rc)
{
	switch (-rc) {
	case ENOTTY:
	case ENOSYS:
	case EINVAL:
	case EBUSY:
	case EPERM:
		return -EOPNOTSUPP;
	default:
		return rc;
	}
}

static int zero_file(const struct blkdev *d, uint64_t off, uint64_t len)
{
	int keep = d->has_size ? FALLOC_FL_KEEP_SIZE : 0;
	int rc = sys_fallocate(d->fd, FALLOC_FL_ZERO_RANGE | keep, off, len);

	if (unsupported(rc) == -EOPNOTSUPP && d->has_size)
		rc = sys_fallocate(d->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len);
	return rc;
}

static int zero_block(const struct blkdev *d, uint64_t off, uint64_t len)
{
	uint64_t range[2] = {off, len};

	return TEMP_FAILURE_RETRY(ioctl(d->fd, BLKZEROOUT, range)) < 0 ? -errno : 0;
}

static int fd_zero(struct blkdev *d, uint64_t off, uint64_t len, struct err *e)
{
	int rc = unsupported(of(d)->block ? zero_block(d, off, len) : zero_file(d, off, len));

	if (rc == 0 || rc == -EOPNOTSUPP)
		return rc;
	failed_write(d, e, rc);
	return err_while(e, rc, "zeroing of %" PRIu64 " bytes failed at offset %" PRIu64, len, off);
}

static int fd_flush(struct blkdev *d, struct err *e)
{
	int rc = sys_fsync(d->fd);

	if (rc == 0)
		return 0;
	failed(d, e, E_TARGET_FLUSH, rc);
	return err_while(e, rc, "flush failed");
}

static int fd_finish(struct blkdev *d, uint64_t end, struct err *e)
{
	int rc = d->has_size ? 0 : sys_ftruncate(d->fd, end);

	if (rc == 0)
		return 0;
	failed_write(d, e, rc);
	return err_while(e, rc, "setting the length to %" PRIu64 " bytes failed", end);
}

static void fd_close(struct blkdev *d)
{
	sys_close(&d->fd);
	free(of(d));
}

static const struct blkdev_ops fd_ops = {
	.pwrite = fd_pwrite,
	.pwrite_any = fd_pwrite_any,
	.pread = fd_pread,
	.zero = fd_zero,
	.flush = fd_flush,
	.finish = fd_finish,
	.close = fd_close,
};

static const struct blkdev_ops fd_ops_unreadable = {
	.pwrite = fd_pwrite,
	.pwrite_any = fd_pwrite_any,
	.zero = fd_zero,
	.flush = fd_flush,
	.finish = fd_finish,
	.close = fd_close,
};

/* ---- opening ---- */

static int find_size(struct fd_dev *f, struct err *e)
{
	struct stat st;

	if (fstat(f->d.fd, &st) < 0)
		return err_sys(e, E_TARGET, errno, "fstat");
	f->block = S_ISBLK(st.st_mode);
	if (f->block) {
		if (ioctl(f->d.fd, BLKGETSIZE64, &f->d.size) < 0)
			return err_sys(e, E_TARGET, errno, "the size of the device cannot be read");
		f->d.has_size = true;
		return 0;
	}
	if (!S_ISREG(st.st_mode))
		return err_set(e, E_TARGET, ENOTBLK, "neither a block device nor a regular file");
	f->d.size = (uint64_t)st.st_size;
	f->d.has_size = f->d.size > 0;
	f->d.reads_zero = !f->d.has_size;
	return 0;
}

static int fd_dev_init(struct fd_dev *f, const struct blkdev_options *o, struct err *e)
{
	int fl = fcntl(f->d.fd, F_GETFL);

	if (fl < 0)
		return err_sys(e, E_TARGET, errno, "the descriptor cannot be used");
	f->d.ops = (fl & O_ACCMODE) == O_WRONLY ? &fd_ops_unreadable : &fd_ops;
	f->d.compare = o ? o->compare : COMPARE_AUTO;
	if (find_size(f, e) < 0)
		return -e->sys;
	return choose_direct(f, o ? o->direct : DIRECT_AUTO, e);
}

int blkdev_open(struct blkdev **d, int fd, const char *name, const struct blkdev_options *o,
		struct err *e)
{
	struct fd_dev *f = calloc(1, sizeof(*f));
	int rc;

	*d = NULL;
	if (!f) {
		sys_close(&fd);
		return err_at(e, err_set(e, E_MEMORY, ENOMEM, "a device"), "%s", name);
	}
	f->d.fd = fd;
	f->stale = UINT64_MAX;
	text_printable(name, strlen(name), f->d.name, sizeof(f->d.name));
	rc = fd_dev_init(f, o, e);
	if (rc < 0) {
		err_at(e, rc, "%s", name);
		fd_close(&f->d);
		return rc;
	}
	*d = &f->d;
	return 0;
}

struct blkdev *blkdev_close(struct blkdev *d)
{
	if (d)
		d->ops->close(d);
	return NULL;
}

/* ---- what holds for every kind ---- */

int blkdev_range(const struct blkdev *d, uint64_t off, uint64_t len, struct err *e)
{
	uint64_t size = d->has_size ? d->size : INT64_MAX;
	int rc = 0;

	if (off > size || (off == size && len > 0))
		rc = err_set(e, E_RANGE, ENOSPC,
			     "'%s' has %" PRIu64 " bytes: there is no offset %" PRIu64, d->name,
			     size, off);
	else if (len > size - off) /* order avoids wrap-around */
		rc = err_set(e, E_TARGET_SMALL, ENOSPC,
			     "'%s' has %" PRIu64 " bytes; %" PRIu64
			     " do not fit at offset %" PRIu64,
			     d->name, size, len, off);
	return err_at(e, rc, "%s", d->name);
}

int blkdev_flush(struct blkdev *d, struct err *e)
{
	int rc;

	if (d->broken) {
		rc = err_set(e, E_TARGET_FLUSH, EIO, "an earlier write to it was lost");
		return err_at(e, rc, "%s", d->name);
	}
	rc = d->ops->flush(d, e);
	d->broken = rc < 0;
	return rc;
}

/* hash [off, off + len), reading whole aligned blocks */
static int hash_range(struct blkdev *d, uint64_t off, uint64_t len, struct sha256 *h, struct err *e)
{
	AUTO_FREE uint8_t *buf = NULL;
	uint64_t end = off + len;

	if (posix_memalign((void **)&buf, STREAM_ALIGN, STREAM_BLOCK))
		return err_set(e, E_MEMORY, ENOMEM, "a block to read back");
	while (off < end) {
		size_t head = off % d->io_align;
		ssize_t got = d->ops->pread(d, buf, STREAM_BLOCK, off - head, e);
		size_t n;

		if (got < 0)
			return (int)got;
		if ((size_t)got <= head)
			return err_set(e, E_VERIFY_WRITES, EIO, "it ends at byte %" PRIu64,
				       off - head + (size_t)got);
		n = (size_t)got - head;
		n = n < end - off ? n : (size_t)(end - off);
		if (sha256_update(h, buf + head, n, e) < 0)
			return -e->sys;
		off += n;
	}
	return 0;
}

static int check_digest(struct blkdev *d, uint64_t off, uint64_t len, uint8_t out[SHA256_LEN],
			struct err *e)
{
	struct sha256 h;
	int rc = sha256_init(&h, e);

	if (rc < 0)
		return rc;
	rc = hash_range(d, off, len, &h, e);
	if (rc == 0)
		rc = sha256_final(&h, out, e);
	sha256_clear(&h);
	return rc;
}

static int check_range(struct blkdev *d, uint64_t off, uint64_t len, const uint8_t want[SHA256_LEN],
		       struct err *e)
{
	uint8_t have[SHA256_LEN];

	if (blkdev_range(d, off, len, e) < 0)
		return -e->sys;
	if (!d->ops->pread)
		return err_set(e, E_VERIFY_WRITES, ENOTSUP, "it cannot be read back");
	if (check_digest(d, off, len, have, e) < 0)
		return -e->sys;
	if (memcmp(have, want, SHA256_LEN) == 0)
		return 0;
	return err_set(e, E_VERIFY_WRITES, EIO,
		       "%" PRIu64 " bytes at offset %" PRIu64 " differ from what was written", len,
		       off);
}

int blkdev_check(struct blkdev *d, uint64_t off, uint64_t len, const uint8_t sha256[32],
		 struct err *e)
{
	int rc = check_range(d, off, len, sha256, e);

	return rc < 0 && !e->object[0] ? err_at(e, rc, "%s", d->name) : rc;
}
