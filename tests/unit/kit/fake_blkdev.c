/* A strict device of memory. */
#include "tests/unit/kit/fake_blkdev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct fakedev *of(struct blkdev *d)
{
	return (struct fakedev *)d;
}

static void note(struct fakedev *f, const struct fakedev_entry *en)
{
	if (f->no_log)
		return;
	f->log = realloc(f->log, (f->count + 1) * sizeof(*f->log));
	if (!f->log)
		abort();
	f->log[f->count++] = *en;
}

unsigned fakedev_count(const struct fakedev *f, enum fakedev_op op)
{
	unsigned n = 0;

	for (size_t i = 0; i < f->count; i++)
		n += f->log[i].op == op;
	return n;
}

uint64_t fakedev_bytes(const struct fakedev *f, enum fakedev_op op)
{
	uint64_t n = 0;

	for (size_t i = 0; i < f->count; i++)
		n += f->log[i].op == op ? f->log[i].len : 0;
	return n;
}

/* log it; is it the one that fails? */
static int begin(struct fakedev *f, const struct fakedev_entry *en, enum errcode code,
		 struct err *e)
{
	unsigned n;

	note(f, en);
	n = fakedev_count(f, en->op);
	if (en->op == f->fail_op && (n == f->fail_at || (f->fail_on && n > f->fail_at)))
		return err_at(e, err_set(e, code, f->fail_errno, "as told"), "%s", f->d.name);
	return 0;
}

static int check(struct fakedev *f, const void *buf, size_t n, uint64_t off, struct err *e)
{
	if (off % f->d.io_align || n % f->d.io_align || (uintptr_t)buf % f->d.mem_align) {
		f->misaligned++;
		return err_set(e, E_TARGET_WRITE, EINVAL, "misaligned");
	}
	if (off > f->room || n > f->room - off)
		return err_set(e, E_TARGET_WRITE, ENOSPC, "past the end");
	return 0;
}

static int fake_pwrite(struct blkdev *d, const void *buf, size_t n, uint64_t off, struct err *e)
{
	int rc = begin(of(d), &(struct fakedev_entry){FAKEDEV_WRITE, off, n, buf}, E_TARGET_WRITE,
		       e);

	if (rc == 0)
		rc = check(of(d), buf, n, off, e);
	if (rc == 0)
		memcpy(of(d)->mem + off, buf, n);
	return rc;
}

static int fake_any(struct blkdev *d, const void *buf, size_t n, uint64_t off, struct err *e)
{
	int rc = begin(of(d), &(struct fakedev_entry){FAKEDEV_ANY, off, n, buf}, E_TARGET_WRITE, e);

	if (rc == 0 && (off > of(d)->room || n > of(d)->room - off))
		rc = err_set(e, E_TARGET_WRITE, ENOSPC, "past the end");
	if (rc == 0)
		memcpy(of(d)->mem + off, buf, n);
	return rc;
}

static ssize_t fake_pread(struct blkdev *d, void *buf, size_t n, uint64_t off, struct err *e)
{
	struct fakedev *f = of(d);
	int rc = begin(f, &(struct fakedev_entry){FAKEDEV_READ, off, n, buf}, E_TARGET_READ, e);

	if (rc < 0)
		return rc;
	if (off % d->io_align || n % d->io_align || (uintptr_t)buf % d->mem_align) {
		f->misaligned++;
		return err_set(e, E_TARGET_READ, EINVAL, "misaligned");
	}
	if (off >= f->room)
		return 0;
	n = n < f->room - off ? n : f->room - off;
	memcpy(buf, f->mem + off, n);
	return (ssize_t)n;
}

static int fake_zero(struct blkdev *d, uint64_t off, uint64_t len, struct err *e)
{
	int rc = begin(of(d), &(struct fakedev_entry){FAKEDEV_ZERO, off, len, NULL}, E_TARGET_WRITE,
		       e);

	if (rc == 0 && of(d)->no_zero)
		return -EOPNOTSUPP;
	if (rc == 0)
		rc = check(of(d), NULL, len, off, e);
	if (rc == 0)
		memset(of(d)->mem + off, 0, len);
	return rc;
}

static int fake_flush(struct blkdev *d, struct err *e)
{
	return begin(of(d), &(struct fakedev_entry){FAKEDEV_FLUSH, 0, 0, NULL}, E_TARGET_FLUSH, e);
}

static int fake_finish(struct blkdev *d, uint64_t end, struct err *e)
{
	return begin(of(d), &(struct fakedev_entry){FAKEDEV_FINISH, end, 0, NULL}, E_TARGET_WRITE,
		     e);
}

static void fake_close(struct blkdev *d)
{
	of(d)->closed++;
}

int fakedev_init(struct fakedev *f, size_t size, uint8_t fill)
{
	memset(f, 0, sizeof(*f));
	f->ops = (struct blkdev_ops){fake_pwrite, fake_any,    fake_pread, fake_zero,
				     fake_flush,  fake_finish, fake_close};
	f->d = (struct blkdev){.ops = &f->ops,
			       .name = "fake",
			       .fd = -1,
			       .has_size = true,
			       .size = size,
			       .mem_align = 4096,
			       .io_align = 4096,
			       .direct = true};
	f->mem = malloc(size);
	f->room = size;
	if (!f->mem)
		return -1;
	memset(f->mem, fill, size);
	return 0;
}

void fakedev_grows(struct fakedev *f)
{
	f->d.has_size = false;
	f->d.size = 0;
	f->d.reads_zero = true;
	memset(f->mem, 0, f->room);
}

void fakedev_forget(struct fakedev *f)
{
	free(f->log);
	f->log = NULL;
	f->count = 0;
	f->d.written = f->d.skipped = f->d.zeroed = 0;
}

void fakedev_clear(struct fakedev *f)
{
	free(f->log);
	free(f->mem);
	memset(f, 0, sizeof(*f));
}
