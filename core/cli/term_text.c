/* The texts of the terminal. */
#include "core/cli/term_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "corelib/base/text.h"

#define BAR_MIN	     10
#define BAR_MAX	     30
#define SPEED_MIN_MS 100 /* of less, a speed would be a guess */
#define INDENT	     9	 /* of the texts of an error report */

#define RED   "\033[1;31m"
#define BOLD  "\033[1m"
#define DIM   "\033[2m"
#define PLAIN "\033[0m"

/* text that grows in the caller's memory and stops at its end */
struct page {
	char *at;
	size_t n, room;
};

static void put(struct page *p, const char *text, size_t n)
{
	if (n >= p->room - p->n)
		n = p->room - p->n - 1;
	memcpy(p->at + p->n, text, n);
	p->n += n;
	p->at[p->n] = '\0';
}

__attribute__((format(printf, 2, 3))) static void putf(struct page *p, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put(p, text, strlen(text));
}

static struct page page_of(char *out, size_t n)
{
	out[0] = '\0';
	return (struct page){.at = out, .room = n};
}

/* ---- numbers --------------------------------------------------------------------------------- */

void term_size(uint64_t bytes, char out[16])
{
	static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
	uint64_t v = bytes, rest = 0;
	size_t unit = 0;

	if (bytes < 1000) {
		text_print(out, 16, "%" PRIu64 " B", bytes);
		return;
	}
	for (; v >= 1000 && unit < ARRAY_SIZE(units); unit++) {
		rest = v % 1000;
		v /= 1000;
	}
	text_print(out, 16, "%" PRIu64 ".%" PRIu64 " %s", v, rest / 100, units[unit - 1]);
}

void term_time(uint64_t seconds, char out[16])
{
	uint64_t h = seconds / 3600, m = seconds / 60 % 60, s = seconds % 60;

	if (h > 99)
		text_print(out, 16, "--:--");
	else if (h)
		text_print(out, 16, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, h, m, s);
	else
		text_print(out, 16, "%" PRIu64 ":%02" PRIu64, m, s);
}

/* ---- columns --------------------------------------------------------------------------------- */

static bool begins_character(char c)
{
	return ((uint8_t)c & 0xc0) != 0x80;
}

size_t term_columns(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += begins_character(*s);
	return n;
}

/* the bytes of the first 'columns' columns */
static size_t bytes_of(const char *s, size_t columns)
{
	size_t i = 0;

	for (size_t n = 0; s[i]; i++)
		if (begins_character(s[i]) && ++n > columns)
			break;
	return i;
}

/* a name in exactly 'columns' columns or fewer; its end says more than its middle */
static void put_name(struct page *p, const char *name, size_t columns)
{
	size_t all = term_columns(name), head, tail;

	if (all <= columns || columns < 8) {
		put(p, name, bytes_of(name, columns));
		return;
	}
	tail = (columns - 3) / 2;
	head = columns - 3 - tail;
	put(p, name, bytes_of(name, head));
	put(p, "...", 3);
	name += bytes_of(name, all - tail);
	put(p, name, strlen(name));
}

/* ---- the bar --------------------------------------------------------------------------------- */

static uint64_t percent(const struct term_bar *b)
{
	if (b->total == 0)
		return 0;
	return b->bytes >= b->total ? 100 : (uint64_t)((double)b->bytes * 100 / (double)b->total);
}

static void put_left(struct page *p, const struct term_bar *b)
{
	uint64_t left = b->bytes < b->total ? b->total - b->bytes : 0;
	char time[16] = "--:--";

	if (b->speed)
		term_time(left / b->speed + (left % b->speed != 0), time);
	putf(p, "  %5s left", time);
}

/* " 41%  38.2 MB/s  0:12 left", or what is known of it */
static void numbers_text(const struct term_bar *b, char *out, size_t n)
{
	struct page p = page_of(out, n);
	char size[16];

	term_size(b->bytes, size);
	if (b->total)
		putf(&p, " %3" PRIu64 "%%", percent(b));
	else
		putf(&p, " %9s", b->bytes ? size : ""); /* a script has no bytes */
	if (b->speed)
		term_size(b->speed, size);
	else
		text_copy(size, sizeof(size), "");
	putf(&p, "  %8s%s", size, b->speed ? "/s" : "  ");
	if (b->total)
		put_left(&p, b);
}

static void put_bar(struct page *p, const struct term_bar *b, size_t columns)
{
	size_t inner = columns - 2, full = inner * percent(b) / 100;

	put(p, "[", 1);
	for (size_t i = 0; i < inner; i++)
		put(p, i < full ? "=" : i == full && full ? ">" : " ", 1);
	put(p, "]", 1);
}

static void put_step(struct page *p, const struct term_bar *b, const char *action, size_t columns)
{
	char head[64];
	size_t n;

	text_print(head, sizeof(head), "%u/%u %s ", b->step, b->steps, action);
	n = term_columns(head);
	put(p, head, bytes_of(head, columns));
	if (columns > n)
		put_name(p, b->name, columns - n);
}

void term_bar_text(const struct term_bar *b, const struct term_style *s, char *out, size_t n)
{
	struct page p = page_of(out, n);
	char numbers[96];
	size_t width = s->width > 3 ? s->width - 3 : 0, left, bar, used;

	numbers_text(b, numbers, sizeof(numbers));
	used = strlen(numbers);
	if (width < used + 24) { /* a narrow terminal: the numbers only, or nothing */
		put(&p, numbers + (used > width), used > width ? (width ? width - 1 : 0) : used);
		return;
	}
	left = width - used;
	bar = b->total && left >= 24 + BAR_MIN ? left - 24 : 0;
	if (bar > BAR_MAX)
		bar = BAR_MAX;
	left -= bar;
	put_step(&p, b, b->action, left - 1);
	used = term_columns(out);
	putf(&p, "%*s", (int)(left - used), "");
	if (bar)
		put_bar(&p, b, bar);
	put(&p, numbers, strlen(numbers));
}

/* "writing" is "written" when it is through */
static const char *done_word(const char *action)
{
	static const char *const words[][2] = {
		{"checking", "checked"},
		{"storing", "stored"},
		{"writing", "written"},
		{"running", "done"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(words[i][0], action) == 0)
			return words[i][1];
	return action;
}

void term_step_text(const struct term_bar *b, uint64_t elapsed, const struct term_style *s,
		    char *out, size_t n)
{
	struct page p = page_of(out, n);
	char size[16], speed[16], numbers[96] = "";
	size_t width = s->width > 1 ? s->width - 1 : 0, left;

	term_size(b->bytes, size);
	term_size(elapsed ? (uint64_t)((double)b->bytes * 1000 / (double)elapsed) : 0, speed);
	if (b->bytes && elapsed < SPEED_MIN_MS)
		text_print(numbers, sizeof(numbers), "  %s", size);
	else if (b->bytes)
		text_print(numbers, sizeof(numbers), "  %s in %" PRIu64 ".%" PRIu64 " s, %s/s",
			   size, elapsed / 1000, elapsed / 100 % 10, speed);
	left = width > strlen(numbers) ? width - strlen(numbers) : 0;
	put_step(&p, b, done_word(b->action), left);
	if (left)
		put(&p, numbers, strlen(numbers));
}

/* ---- the error report ------------------------------------------------------------------------ */

/* words of 'text' from column 'at' on; what does not fit goes on at column INDENT */
static void put_wrapped(struct page *p, const char *text, size_t at, size_t width)
{
	size_t start = at;

	while (*text) {
		size_t n = strcspn(text, " ");
		char word[512];
		size_t columns;

		text_print(word, sizeof(word), "%.*s", (int)n, text);
		columns = term_columns(word);
		if (at > start && at + 1 + columns > width) {
			putf(p, "\n%*s", INDENT, "");
			at = start = INDENT;
		} else if (at > start) {
			put(p, " ", 1);
			at++;
		}
		put(p, text, n);
		at += columns;
		text += n;
		text += strspn(text, " ");
	}
	put(p, "\n", 1);
}

static void put_field(struct page *p, const struct term_style *s, const char *name,
		      const char *text)
{
	if (!*text)
		return;
	putf(p, "  %s%-6s%s ", s->color ? DIM : "", name, s->color ? PLAIN : "");
	put_wrapped(p, text, INDENT, s->width ? s->width : 80);
}

void term_error_text(const char *program, const char *headline, const struct err *e,
		     const struct term_style *s, char *out, size_t n)
{
	const struct errinfo *info = err_info(e->code);
	struct page p = page_of(out, n);
	char code[128];

	putf(&p, "%s%s:%s %s", s->color ? RED : "", program, s->color ? PLAIN BOLD : "", headline);
	putf(&p, "%s\n", s->color ? PLAIN : "");
	put_field(&p, s, "what", *e->what ? e->what : info->title);
	put_field(&p, s, "where", e->where);
	put_field(&p, s, "why", e->why);
	put_field(&p, s, "fix", err_fix_text(e));
	text_print(code, sizeof(code), "SWI-%d %s (doc/errors.md#swi-%d)", info->code, info->name,
		   info->code);
	put_field(&p, s, "code", code);
}
