/* Text in fixed memory: copies that never cut silently, hexadecimal, numbers, near words. */
#include "corelib/base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define WORD_MAX 48 /* longer words are never suggested */

int text_copy(char *dst, size_t n, const char *src)
{
	size_t len = strnlen(src, n);

	if (len >= n) {
		if (n > 0)
			dst[0] = '\0';
		return -ENAMETOOLONG;
	}
	memcpy(dst, src, len + 1);
	return 0;
}

int text_print(char *dst, size_t n, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(dst, n, fmt, ap);
	va_end(ap);
	if (len >= 0 && (size_t)len < n)
		return 0;
	if (n > 0)
		dst[0] = '\0';
	return -ENAMETOOLONG;
}

int text_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int text_unhex(const char *hex, size_t len, uint8_t *out, size_t n)
{
	if (len / 2 != n || len % 2)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		int hi = text_hex_digit(hex[2 * i]), lo = text_hex_digit(hex[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return -EINVAL;
		out[i] = (uint8_t)(hi * 16 + lo);
	}
	return 0;
}

void text_hex(const uint8_t *in, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[in[i] >> 4];
		out[2 * i + 1] = digits[in[i] & 15];
	}
	out[2 * n] = '\0';
}

/* the digits at *s; moves *s behind them */
static int scan_u64(const char **s, uint64_t *v)
{
	const char *p = *s;
	unsigned base = 10;
	uint64_t sum = 0;

	if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
		base = 16;
		p += 2;
	}
	const char *first = p;
	for (int d; (d = text_hex_digit(*p)) >= 0 && (unsigned)d < base; p++)
		if (u64_mul(sum, base, &sum) || u64_add(sum, (unsigned)d, &sum))
			return -ERANGE;
	if (p == first)
		return -EINVAL;
	*v = sum;
	*s = p;
	return 0;
}

int text_u64(const char *s, uint64_t *v)
{
	uint64_t n;
	int rc = scan_u64(&s, &n);

	if (rc < 0)
		return rc;
	if (*s)
		return -EINVAL;
	*v = n;
	return 0;
}

static int size_shift(const char *s)
{
	if (!*s)
		return 0;
	if (s[1] && strcasecmp(s + 1, "i") != 0 && strcasecmp(s + 1, "iB") != 0)
		return -EINVAL;
	switch (*s) {
	case 'k':
	case 'K':
		return 10;
	case 'm':
	case 'M':
		return 20;
	case 'g':
	case 'G':
		return 30;
	default:
		return -EINVAL;
	}
}

int text_size(const char *s, uint64_t *v)
{
	uint64_t n;
	int rc = scan_u64(&s, &n), shift;

	if (rc < 0)
		return rc;
	shift = size_shift(s);
	if (shift < 0)
		return shift;
	if (u64_mul(n, UINT64_C(1) << shift, &n))
		return -ERANGE;
	*v = n;
	return 0;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/* how many letters to change, add, drop or swap with the neighbour */
static unsigned distance(const char *a, size_t na, const char *b, size_t nb)
{
	unsigned d[3][WORD_MAX + 1];

	for (size_t j = 0; j <= nb; j++)
		d[0][j] = (unsigned)j;
	for (size_t i = 1; i <= na; i++) {
		unsigned *now = d[i % 3];
		const unsigned *last = d[(i - 1) % 3], *before = d[(i + 1) % 3];

		now[0] = (unsigned)i;
		for (size_t j = 1; j <= nb; j++) {
			now[j] = min3(last[j] + 1, now[j - 1] + 1,
				      last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
	}
	return d[na % 3][nb];
}

const char *text_nearest(const char *word, const char *const *candidates, size_t n)
{
	size_t len = strnlen(word, WORD_MAX + 1);
	const char *best = NULL;
	unsigned near = len / 3 > 0 ? (unsigned)(len / 3) : 1;

	if (len == 0 || len > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t clen = strnlen(candidates[i], WORD_MAX + 1);
		unsigned d;

		if (clen == 0 || clen > WORD_MAX)
			continue;
		d = distance(word, len, candidates[i], clen);
		if (d > near || d >= clen || (best && d == near))
			continue;
		best = candidates[i];
		near = d;
	}
	return best;
}

char *text_close(FILE *f, char **text)
{
	bool bad = ferror(f);

	if (fclose(f) != 0 || bad) {
		free(*text);
		*text = NULL;
	}
	return *text;
}

void secure_zero(void *p, size_t n)
{
	explicit_bzero(p, n);
}

void cleanup_free(void *p)
{
	void *mem;

	memcpy(&mem, p, sizeof(mem));
	free(mem);
}

void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}
