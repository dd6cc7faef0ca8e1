#include "corelib/base/json.h"

#include <stdint.h>
#include <string.h>

#include "corelib/base/text.h"

/* how many bytes of valid UTF-8 begin here; 0 = none */
static size_t sequence(const char *s)
{
	for (size_t n = 1; n <= 4 && s[n - 1]; n++)
		if (text_is_utf8(s, n))
			return n;
	return 0;
}

/* one character as JSON; returns the bytes it took of s */
static size_t escape(const char *s, char out[8])
{
	size_t n = sequence(s);
	uint8_t c = (uint8_t)*s;

	if (n == 0) {
		text_copy(out, 8, "\\ufffd");
		return 1;
	}
	if (c == '"' || c == '\\')
		snprintf(out, 8, "\\%c", c);
	else if (c < 0x20 || c == 0x7f)
		snprintf(out, 8, "\\u%04x", c);
	else if (n == 2 && c == 0xc2 && (uint8_t)s[1] < 0xa0)
		snprintf(out, 8, "\\u%04x", (uint8_t)s[1]);
	else
		snprintf(out, 8, "%.*s", (int)n, s);
	return n;
}

void json_text(const char *s, char *out, size_t n)
{
	size_t at = 0;

	out[at++] = '"';
	while (*s) {
		char one[8];
		size_t took = escape(s, one), len = strlen(one);

		if (at + len + 2 > n)
			break;
		memcpy(out + at, one, len);
		at += len;
		s += took;
	}
	out[at++] = '"';
	out[at] = '\0';
}

void json_print(FILE *f, const char *s)
{
	char one[8];

	fputc('"', f);
	while (*s) {
		s += escape(s, one);
		fputs(one, f);
	}
	fputc('"', f);
}

void json_member(FILE *f, const char *name, const char *text)
{
	if (!text || !*text)
		return;
	fprintf(f, ",\"%s\":", name);
	json_print(f, text);
}
