/* See fail_malloc.h. Interposes by definition in the program; glibc offers its own under other
 * names. */
#include "tests/unit/kit/fail_malloc.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
	__has_feature(memory_sanitizer)
#define HAS_OWN_MALLOC 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define HAS_OWN_MALLOC 1
#endif

static atomic_uint left; /* 0 = not armed */
static atomic_bool failed, ours_only;
static atomic_long live;

static void arm(unsigned n, bool ours)
{
	atomic_store(&failed, false);
	atomic_store(&ours_only, ours);
	atomic_store(&left, n);
}

void fail_malloc_at(unsigned n)
{
	arm(n, false);
}

void fail_malloc_ours_at(unsigned n)
{
	arm(n, true);
}

bool fail_malloc_off(void)
{
	atomic_store(&left, 0);
	return atomic_load(&failed);
}

long fail_malloc_live(void)
{
	return atomic_load(&live);
}

#ifdef HAS_OWN_MALLOC

bool fail_malloc_works(void)
{
	printf("SKIP: allocations cannot be made to fail, this build has a malloc of its own\n");
	return false;
}

#else

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t align, size_t n);
extern void __libc_free(void *p);
extern char __executable_start, etext; /* of the linker: where this program's code lies */

void *malloc(size_t n);
void *calloc(size_t n, size_t size);
void *realloc(void *p, size_t n);
void free(void *p);
void *memalign(size_t align, size_t n);
void *aligned_alloc(size_t align, size_t n);
int posix_memalign(void **p, size_t align, size_t n);

bool fail_malloc_works(void)
{
	return true;
}

static bool shall_fail(const void *caller)
{
	unsigned n = atomic_load(&left);

	if (n == 0)
		return false;
	if (atomic_load(&ours_only) &&
	    ((const char *)caller < &__executable_start || (const char *)caller > &etext))
		return false;
	while (n > 0 && !atomic_compare_exchange_weak(&left, &n, n - 1))
		;
	if (n != 1)
		return false;
	atomic_store(&failed, true);
	errno = ENOMEM;
	return true;
}

#define CALLER __builtin_return_address(0)

static void *count(void *p)
{
	if (p)
		atomic_fetch_add(&live, 1);
	return p;
}

void *malloc(size_t n)
{
	return shall_fail(CALLER) ? NULL : count(__libc_malloc(n));
}

void *calloc(size_t n, size_t size)
{
	return shall_fail(CALLER) ? NULL : count(__libc_calloc(n, size));
}

void *realloc(void *p, size_t n)
{
	void *mem = shall_fail(CALLER) ? NULL : __libc_realloc(p, n);

	if (!p)
		return count(mem);
	if (!mem && n == 0)
		atomic_fetch_sub(&live, 1);
	return mem;
}

void free(void *p)
{
	if (p)
		atomic_fetch_sub(&live, 1);
	__libc_free(p);
}

void *memalign(size_t align, size_t n)
{
	return shall_fail(CALLER) ? NULL : count(__libc_memalign(align, n));
}

void *aligned_alloc(size_t align, size_t n)
{
	return shall_fail(CALLER) ? NULL : count(__libc_memalign(align, n));
}

int posix_memalign(void **p, size_t align, size_t n)
{
	void *mem = shall_fail(CALLER) ? NULL : count(__libc_memalign(align, n));

	if (!mem)
		return ENOMEM;
	*p = mem;
	return 0;
}

#endif
