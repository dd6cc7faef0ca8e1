#include "corelib/stream/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define PAGE 4096u

#ifndef MFD_NOEXEC_SEAL /* Linux 6.3 */
#define MFD_NOEXEC_SEAL 8u
#endif

/* in the shared page; the two counts on lines of their own */
struct ring_lane {
	_Alignas(64) _Atomic uint32_t put;
	_Alignas(64) _Atomic uint32_t taken;
	_Alignas(64) _Atomic uint32_t len[RING_SLOTS];
};

struct ring_page {
	struct ring_lane in, out;
};
_Static_assert(sizeof(struct ring_page) <= PAGE, "the counts fill one page at most");

static size_t pair_size(const struct ring_shape *s)
{
	return PAGE + (size_t)RING_SLOTS * s->in + (size_t)RING_SLOTS * s->out;
}

static int pair_map(struct ring_pair *p, const struct ring_shape *s, int fd)
{
	struct ring_page *page;

	p->size = pair_size(s);
	p->base = mmap(NULL, p->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p->base == MAP_FAILED) {
		p->base = NULL;
		return -errno;
	}
	page = p->base;
	p->in = (struct ring){
		.lane = &page->in, .slots = (uint8_t *)p->base + PAGE, .slot_size = s->in};
	p->out = (struct ring){.lane = &page->out,
			       .slots = p->in.slots + (size_t)RING_SLOTS * s->in,
			       .slot_size = s->out};
	return 0;
}

static int make_memory(size_t size)
{
	const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create("swinstall-ring", flags | MFD_NOEXEC_SEAL);
	int rc;

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("swinstall-ring", flags);
	if (fd < 0)
		return -errno;
	rc = sys_ftruncate(fd, size);
	/* taken now: a page that is not there later would be a signal and not an error */
	if (rc == 0)
		rc = sys_fallocate(fd, 0, 0, size);
	if (rc == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		rc = -errno;
	if (rc < 0)
		sys_close(&fd);
	return rc < 0 ? rc : fd;
}

int ring_pair_make(struct ring_pair *p, const struct ring_shape *shape, int *fd, struct err *e)
{
	int rc;

	*p = (struct ring_pair){0};
	*fd = make_memory(pair_size(shape));
	rc = *fd < 0 ? *fd : pair_map(p, shape, *fd);
	if (rc < 0) {
		sys_close(fd);
		return err_sys(e, E_MEMORY, -rc, "%zu bytes of shared memory", pair_size(shape));
	}
	return 0;
}

int ring_pair_join(struct ring_pair *p, const struct ring_shape *shape, int fd, struct err *e)
{
	struct stat st;
	int rc;

	*p = (struct ring_pair){0};
	if (shape->in % PAGE || shape->out % PAGE || !shape->in || !shape->out ||
	    fstat(fd, &st) < 0 || (uint64_t)st.st_size != pair_size(shape))
		return err_set(e, E_WORKER, EINVAL, "this is not the shared memory of a job");
	rc = pair_map(p, shape, fd);
	return rc < 0 ? err_sys(e, E_MEMORY, -rc, "%zu bytes of shared memory", p->size) : 0;
}

void ring_pair_clear(struct ring_pair *p)
{
	if (p->base)
		munmap(p->base, p->size);
	*p = (struct ring_pair){0};
}

/* how many blocks lie between the other side's count and ours; more than there are slots is a lie
 */
static int distance(uint32_t put, uint32_t taken, uint32_t *n)
{
	*n = put - taken;
	return *n > RING_SLOTS ? -EBADMSG : 0;
}

static uint8_t *slot_of(const struct ring *r)
{
	return r->slots + (size_t)(r->count % RING_SLOTS) * r->slot_size;
}

int ring_room(const struct ring *r, uint8_t **slot)
{
	uint32_t taken = atomic_load_explicit(&r->lane->taken, memory_order_acquire), full;

	if (distance(r->count, taken, &full) < 0)
		return -EBADMSG;
	*slot = slot_of(r);
	return full < RING_SLOTS;
}

void ring_put(struct ring *r, uint32_t len)
{
	atomic_store_explicit(&r->lane->len[r->count % RING_SLOTS], len, memory_order_relaxed);
	atomic_store_explicit(&r->lane->put, ++r->count, memory_order_release);
}

int ring_peek(const struct ring *r, const uint8_t **block, uint32_t *len)
{
	uint32_t put = atomic_load_explicit(&r->lane->put, memory_order_acquire), full;

	if (distance(put, r->count, &full) < 0)
		return -EBADMSG;
	if (!full)
		return 0;
	*len = atomic_load_explicit(&r->lane->len[r->count % RING_SLOTS], memory_order_relaxed);
	*block = slot_of(r);
	return *len <= r->slot_size ? 1 : -EBADMSG;
}

void ring_drop(struct ring *r)
{
	atomic_store_explicit(&r->lane->taken, ++r->count, memory_order_release);
}

void ring_wake(int eventfd)
{
	const uint64_t one = 1;

	/* EAGAIN: the count is at its end, so there is a wake-up that nobody has seen yet */
	if (write(eventfd, &one, sizeof(one)) < 0)
		return;
}

void ring_awake(int eventfd)
{
	uint64_t n;

	if (read(eventfd, &n, sizeof(n)) < 0)
		return;
}
