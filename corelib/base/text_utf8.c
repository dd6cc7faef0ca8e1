/* Foreign text: is it UTF-8, does it hold control bytes, and a form that no terminal obeys. */
#include "corelib/base/text.h"

#include <string.h>

/* the length of the valid, shortest-form character at s, or 0 */
static size_t utf8_len(const uint8_t *s, size_t n)
{
	uint32_t c, min;
	size_t len;

	if (s[0] < 0x80)
		return 1;
	if ((s[0] & 0xe0) == 0xc0) {
		len = 2, min = 0x80, c = s[0] & 0x1f;
	} else if ((s[0] & 0xf0) == 0xe0) {
		len = 3, min = 0x800, c = s[0] & 0x0f;
	} else if ((s[0] & 0xf8) == 0xf0) {
		len = 4, min = 0x10000, c = s[0] & 0x07;
	} else {
		return 0;
	}
	if (len > n)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < min || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	return len;
}

static bool is_c1(const uint8_t *s, size_t len)
{
	return len == 2 && s[0] == 0xc2 && s[1] < 0xa0;
}

/* how many bytes at s may be shown as they are; 0: the first byte must be escaped */
static size_t shown_len(const uint8_t *s, size_t n)
{
	size_t len = utf8_len(s, n);

	if (len == 1 && (s[0] < 0x20 || s[0] == 0x7f))
		return 0;
	return is_c1(s, len) ? 0 : len;
}

bool text_is_utf8(const char *s, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t len = utf8_len((const uint8_t *)s + i, n - i);

		if (len == 0)
			return false;
		i += len;
	}
	return true;
}

bool text_has_control(const char *s, size_t n)
{
	const uint8_t *p = (const uint8_t *)s;

	for (size_t i = 0; i < n; i++) {
		if (p[i] == 0x7f || (p[i] < 0x20 && p[i] != '\t' && p[i] != '\n' && p[i] != '\r'))
			return true;
		if (p[i] == 0xc2 && i + 1 < n && is_c1(p + i, utf8_len(p + i, n - i)))
			return true;
	}
	return false;
}

static size_t put_char(const uint8_t *in, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";

	if (len > 0) {
		memcpy(out, in, len);
		return len;
	}
	out[0] = '\\';
	out[1] = 'x';
	out[2] = digits[in[0] >> 4];
	out[3] = digits[in[0] & 15];
	return 4;
}

void text_printable(const char *in, size_t len, char *out, size_t n)
{
	const uint8_t *p = (const uint8_t *)in;
	size_t used = 0, room = n > 0 ? n - 1 : 0, cut = 0;

	if (n == 0)
		return;
	for (size_t i = 0; i < len;) {
		size_t shown = shown_len(p + i, len - i);
		size_t need = shown > 0 ? shown : 4;

		if (used + 3 <= room)
			cut = used;
		if (need > room - used) {
			used = cut;
			if (room >= 3) {
				memcpy(out + used, "...", 3);
				used += 3;
			}
			break;
		}
		used += put_char(p + i, shown, out + used);
		i += shown > 0 ? shown : 1;
	}
	out[used] = '\0';
}
