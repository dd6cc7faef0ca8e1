#include "parser/text/guard_lex.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "corelib/base/text.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool at_text(const struct lexer *l, const char *word)
{
	size_t n = strlen(word);

	return (size_t)(l->end - l->at) >= n && !memcmp(l->at, word, n);
}

static void skip_line(struct lexer *l)
{
	while (l->at < l->end && *l->at != '\n')
		l->at++;
}

static int skip_block(struct lexer *l, struct err *e)
{
	unsigned line = l->line;

	for (l->at += 2; l->at < l->end; l->at++) {
		if (at_text(l, "*/")) {
			l->at += 2;
			return 0;
		}
		if (*l->at == '\n')
			l->line++;
	}
	return LINE_ERROR(line, E_DESC_SYNTAX, e, "the comment that begins here has no end");
}

/* blanks and comments; 1 when something was skipped */
static int skip_one(struct lexer *l, struct err *e)
{
	if (l->at == l->end)
		return 0;
	if (strchr(" \t\r\n", *l->at)) {
		if (*l->at++ == '\n')
			l->line++;
		return 1;
	}
	if (l->json)
		return 0;
	if (*l->at == '#' || at_text(l, "//")) {
		skip_line(l);
		return 1;
	}
	if (at_text(l, "/*")) {
		int rc = skip_block(l, e);

		return rc < 0 ? rc : 1;
	}
	return 0;
}

static int skip_blanks(struct lexer *l, struct err *e)
{
	int rc;

	do {
		rc = skip_one(l, e);
	} while (rc > 0);
	return rc;
}

static int put_byte(struct lexer *l, char c, struct err *e)
{
	if (l->length >= l->max_string)
		return LINE_ERROR(l->token_line, E_DESC_LIMIT, e,
				  "the text that begins here is longer than %zu bytes",
				  l->max_string);
	l->text[l->length++] = c;
	return 0;
}

static int put_code_point(struct lexer *l, uint32_t cp, struct err *e)
{
	char out[4];
	size_t n = 0;
	int rc = 0;

	if (cp < 0x80) {
		out[n++] = (char)cp;
	} else if (cp < 0x800) {
		out[n++] = (char)(0xc0 | (cp >> 6));
		out[n++] = (char)(0x80 | (cp & 0x3f));
	} else if (cp < 0x10000) {
		out[n++] = (char)(0xe0 | (cp >> 12));
		out[n++] = (char)(0x80 | ((cp >> 6) & 0x3f));
		out[n++] = (char)(0x80 | (cp & 0x3f));
	} else {
		out[n++] = (char)(0xf0 | (cp >> 18));
		out[n++] = (char)(0x80 | ((cp >> 12) & 0x3f));
		out[n++] = (char)(0x80 | ((cp >> 6) & 0x3f));
		out[n++] = (char)(0x80 | (cp & 0x3f));
	}
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = put_byte(l, out[i], e);
	return rc;
}

/* n hexadecimal digits at 'at', which stays before them when they are not there */
static bool take_hex(struct lexer *l, unsigned n, uint32_t *value)
{
	if ((size_t)(l->end - l->at) < n)
		return false;
	*value = 0;
	for (unsigned i = 0; i < n; i++) {
		const char *digits = "0123456789abcdef";
		const char *d = strchr(digits, tolower((unsigned char)l->at[i]));

		if (!d || !*d)
			return false;
		*value = *value << 4 | (uint32_t)(d - digits);
	}
	l->at += n;
	return true;
}

static int json_unicode(struct lexer *l, struct err *e)
{
	uint32_t high, low;

	if (!take_hex(l, 4, &high))
		return LINE_ERROR(l->line, E_DESC_SYNTAX, e, "\\u needs four hexadecimal digits");
	if (high < 0xd800 || high > 0xdfff)
		return put_code_point(l, high, e);
	if (high <= 0xdbff && at_text(l, "\\u")) {
		l->at += 2;
		if (take_hex(l, 4, &low) && low >= 0xdc00 && low <= 0xdfff)
			return put_code_point(l, 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00),
					      e);
	}
	return LINE_ERROR(l->line, E_DESC_TEXT, e, "\\u%04x is half of a pair", (unsigned)high);
}

static int json_escape(struct lexer *l, struct err *e)
{
	const char *names = "\"\\/bfnrt", *bytes = "\"\\/\b\f\n\r\t", *hit;
	char c = *l->at++;

	if (c == 'u')
		return json_unicode(l, e);
	hit = c ? strchr(names, c) : NULL;
	if (!hit)
		return LINE_ERROR(l->line, E_DESC_SYNTAX, e, "this escape is not known to JSON");
	return put_byte(l, bytes[hit - names], e);
}

/*
 * libconfig 1.5 keeps the backslash of an escape that it does not know; later ones know \a, \b
 * and \v. Those give control bytes or two readings, so they are refused.
 */
static int config_escape(struct lexer *l, struct err *e)
{
	const char *names = "\"\\nrtfabv", *bytes = "\"\\\n\r\t\f\a\b\v", *hit;
	uint32_t value;
	char c = *l->at;

	if (c == 'x') {
		l->at++;
		if (take_hex(l, 2, &value))
			return put_byte(l, (char)value, e);
		l->at--;
	}
	hit = c ? strchr(names, c) : NULL;
	if (!hit)
		return put_byte(l, '\\', e);
	l->at++;
	return put_byte(l, bytes[hit - names], e);
}

static int lex_quoted(struct lexer *l, struct err *e)
{
	int rc = 0;

	for (l->at++; l->at < l->end && *l->at != '"' && rc == 0;) {
		char c = *l->at++;

		if (c == '\\' && l->at < l->end)
			rc = l->json ? json_escape(l, e) : config_escape(l, e);
		else if (l->json && (unsigned char)c < 0x20)
			rc = LINE_ERROR(l->line, E_DESC_SYNTAX, e,
					"a JSON text holds a raw line end or tab");
		else
			rc = put_byte(l, c, e);
		if (c == '\n')
			l->line++;
	}
	if (rc < 0)
		return rc;
	if (l->at == l->end)
		return LINE_ERROR(l->token_line, E_DESC_SYNTAX, e,
				  "the text that begins here has no closing quote");
	l->at++;
	return 0;
}

static int check_text(const struct lexer *l, struct err *e)
{
	for (size_t i = 0; i < l->length; i++) {
		unsigned char c = (unsigned char)l->text[i];

		if (c < 0x20 && c != '\t' && c != '\n' && c != '\r')
			return LINE_ERROR(l->token_line, E_DESC_TEXT, e,
					  "a text holds the control byte 0x%02x", c);
	}
	if (!text_is_utf8(l->text, l->length))
		return LINE_ERROR(l->token_line, E_DESC_TEXT, e, "a text is not valid UTF-8");
	return 0;
}

static int lex_string(struct lexer *l, struct err *e)
{
	int rc;

	l->token = TOKEN_STRING;
	do {
		rc = lex_quoted(l, e);
		if (rc == 0 && !l->json)
			rc = skip_blanks(l, e);
	} while (rc == 0 && !l->json && l->at < l->end && *l->at == '"');
	if (rc < 0)
		return rc;
	l->text[l->length] = '\0';
	return check_text(l, e);
}

static int lex_word(struct lexer *l, struct err *e)
{
	int rc = 0;

	while (rc == 0 && l->at < l->end &&
	       (is_alpha(*l->at) || is_digit(*l->at) || strchr("-_*", *l->at)))
		rc = put_byte(l, *l->at++, e);
	if (rc < 0)
		return rc;
	l->text[l->length] = '\0';
	l->token = TOKEN_NAME;
	if (!(l->json ? strcmp : strcasecmp)(l->text, "true")) {
		l->token = TOKEN_BOOL;
		l->integer = 1;
	} else if (!(l->json ? strcmp : strcasecmp)(l->text, "false")) {
		l->token = TOKEN_BOOL;
		l->integer = 0;
	} else if (l->json) {
		if (strcmp(l->text, "null") != 0)
			return LINE_ERROR(l->token_line, E_DESC_SYNTAX, e,
					  "'%.60s' is not JSON: texts stand in quotes", l->text);
		l->token = TOKEN_NULL;
	}
	return 0;
}

static int too_big(const struct lexer *l, const char *s, struct err *e)
{
	return LINE_ERROR(l->token_line, E_DESC_NUMBER, e, "the number %.60s does not fit 64 bits",
			  s);
}

static int decimal(struct lexer *l, const char *s, size_t n, struct err *e)
{
	bool minus = *s == '-';
	int64_t v = 0;

	for (size_t i = *s == '-' || *s == '+'; i < n; i++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    (minus ? __builtin_sub_overflow(v, s[i] - '0', &v)
			   : __builtin_add_overflow(v, s[i] - '0', &v)))
			return too_big(l, s, e);
	l->token = TOKEN_INT;
	l->integer = v;
	return 0;
}

static int hexadecimal(struct lexer *l, const char *s, size_t n, struct err *e)
{
	uint64_t v = 0;

	for (size_t i = 2; i < n; i++) {
		if (v >> 59)
			return too_big(l, s, e);
		v = v << 4 | (uint64_t)(is_digit(s[i]) ? s[i] - '0' : (s[i] | 0x20) - 'a' + 10);
	}
	l->token = TOKEN_INT;
	l->integer = (int64_t)v;
	return 0;
}

static int floating(struct lexer *l, const char *s, struct err *e)
{
	l->real = strtod(s, NULL);
	if (!isfinite(l->real))
		return LINE_ERROR(l->token_line, E_DESC_NUMBER, e, "the number %.60s is too large",
				  s);
	l->token = TOKEN_FLOAT;
	return 0;
}

static size_t span_digits(const char *s)
{
	return strspn(s, "0123456789");
}

/* fraction and exponent: their length, 0 = none, or as much as is well formed */
static size_t span_float(const char *s, bool json)
{
	size_t n = 0, digits;

	if (s[n] == '.') {
		digits = span_digits(s + 1);
		if (json && !digits)
			return 0;
		n = 1 + digits;
	}
	if (s[n] == 'e' || s[n] == 'E') {
		size_t sign = s[n + 1] == '-' || s[n + 1] == '+';

		digits = span_digits(s + n + 1 + sign);
		if (digits)
			n += 1 + sign + digits;
	}
	return n;
}

static int bad_number(const struct lexer *l, const char *s, struct err *e)
{
	return LINE_ERROR(l->token_line, E_DESC_NUMBER, e, "'%.60s' is not a number", s);
}

static int classify_number(struct lexer *l, const char *s, struct err *e)
{
	size_t sign = *s == '-' || (*s == '+' && !l->json);
	size_t digits = span_digits(s + sign), n = sign + digits, tail = span_float(s + n, l->json);

	if (!l->json && !sign && s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		n = 2 + strspn(s + 2, "0123456789abcdefABCDEF");
		if (n > 2 && (!strcmp(s + n, "") || !strcmp(s + n, "L") || !strcmp(s + n, "LL")))
			return hexadecimal(l, s, n, e);
		return bad_number(l, s, e);
	}
	/* libconfig 1.5 reads 010 as ten, C and most people as eight: nobody may guess */
	if (digits > 1 && s[sign] == '0')
		return LINE_ERROR(l->token_line, E_DESC_NUMBER, e,
				  "the number %.60s begins with 0: some read it as octal", s);
	if (tail && !s[n + tail] && (digits || (!l->json && is_digit(s[n + 1]))))
		return floating(l, s, e);
	if (digits && !tail &&
	    (!s[n] || (!l->json && (!strcmp(s + n, "L") || !strcmp(s + n, "LL")))))
		return decimal(l, s, n, e);
	return bad_number(l, s, e);
}

static int lex_number(struct lexer *l, struct err *e)
{
	char s[80] = "";
	size_t n = 0;

	while (l->at < l->end && (is_digit(*l->at) || is_alpha(*l->at) || strchr("+-.", *l->at))) {
		if (n == sizeof(s) - 1)
			return LINE_ERROR(l->token_line, E_DESC_NUMBER, e,
					  "a number has more than %zu characters", n);
		s[n++] = *l->at++;
	}
	s[n] = '\0';
	return classify_number(l, s, e);
}

static int lex_other(struct lexer *l, struct err *e)
{
	char shown[16];

	if (*l->at && strchr(l->json ? "{}[]:," : "{}()[]=:,;", *l->at)) {
		l->token = TOKEN_PUNCT;
		l->punct = *l->at++;
		return 0;
	}
	if (!l->json && at_text(l, "@include"))
		return LINE_ERROR(l->line, E_DESC_INCLUDE, e, "@include would read another file");
	text_printable(l->at, 1, shown, sizeof(shown));
	return LINE_ERROR(l->line, E_DESC_SYNTAX, e, "'%s' cannot stand here", shown);
}

int lexer_next(struct lexer *l, struct err *e)
{
	int rc = skip_blanks(l, e);

	if (rc < 0)
		return rc;
	l->token_line = l->line;
	l->length = 0;
	if (l->at == l->end) {
		l->token = TOKEN_END;
		return 0;
	}
	if (*l->at == '"')
		return lex_string(l, e);
	if (is_alpha(*l->at) || (!l->json && *l->at == '*'))
		return lex_word(l, e);
	if (is_digit(*l->at) || *l->at == '-' || (!l->json && (*l->at == '+' || *l->at == '.')))
		return lex_number(l, e);
	return lex_other(l, e);
}
