#include "corelib/base/secret.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* the length stands in front of what is lent */
struct head {
	size_t mapped;
	max_align_t bytes[];
};

void *secret_new(size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct head *h;

	if (n > SIZE_MAX / 2)
		return NULL;
	n = (n + sizeof(*h) + page - 1) / page * page;
	h = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (h == MAP_FAILED)
		return NULL;
	/* a user who is not root may lock little: then it is as memory always was */
	(void)mlock(h, n);
	(void)madvise(h, n, MADV_DONTDUMP);
	(void)madvise(h, n, MADV_DONTFORK);
	h->mapped = n;
	return h->bytes;
}

void secret_free(void *p)
{
	struct head *h;
	size_t n;

	if (!p)
		return;
	h = (struct head *)(void *)((char *)p - offsetof(struct head, bytes));
	n = h->mapped;
	explicit_bzero(h, n);
	munmap(h, n);
}
