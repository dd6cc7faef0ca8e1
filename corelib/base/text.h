/*
 * Text and bytes in fixed memory: bounded copies, hexadecimal, printable forms, cleanup helpers.
 *
 * Nothing here allocates; nothing cuts silently: a copy that does not fit says so.
 */
#ifndef CORELIB_TEXT_H
#define CORELIB_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* checked sums of sizes: true = it would wrap (T5, T22, T39) */
static inline bool u64_add(uint64_t a, uint64_t b, uint64_t *sum)
{
	return __builtin_add_overflow(a, b, sum);
}

static inline bool u64_mul(uint64_t a, uint64_t b, uint64_t *product)
{
	return __builtin_mul_overflow(a, b, product);
}

/* copies with NUL; -ENAMETOOLONG when src does not fit (dst is "" then) */
int text_copy(char *dst, size_t n, const char *src);
int text_print(char *dst, size_t n, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

int text_hex_digit(char c); /* 0 to 15, or -1 */
/* exactly 2*n hexadecimal digits of either case; -EINVAL otherwise */
int text_unhex(const char *hex, size_t len, uint8_t *out, size_t n);
void text_hex(const uint8_t *in, size_t n, char *out); /* out has 2*n+1 bytes */

/* foreign text made printable: C0, C1, DEL and invalid UTF-8 become \xNN; cut with "..." when too
 * long */
void text_printable(const char *in, size_t len, char *out, size_t n);
bool text_is_utf8(const char *s, size_t n);	/* valid, shortest form, no surrogates */
bool text_has_control(const char *s, size_t n); /* C0 (but tab, LF, CR), DEL, C1 */

/* whole number, all of the text: base 10 or 0x; -EINVAL, -ERANGE */
int text_u64(const char *s, uint64_t *v);
/* the same with K, M, G (any case, optional i, iB) behind; checked */
int text_size(const char *s, uint64_t *v);

/* the candidate nearest to word for "did you mean", or NULL when none is near */
const char *text_nearest(const char *word, const char *const *candidates, size_t n);

/* closes what open_memstream() opened: the text, or NULL (and it is freed) where memory ran out */
char *text_close(FILE *f, char **text);

void secure_zero(void *p, size_t n);

/* for __attribute__((cleanup(...))) */
void cleanup_free(void *p);  /* of a pointer variable */
void cleanup_close(int *fd); /* errors of close are of no use here: read-only or already flushed */
#define AUTO_FREE  __attribute__((cleanup(cleanup_free), unused))
#define AUTO_CLOSE __attribute__((cleanup(cleanup_close), unused))

#endif
