/* Errors: the first cause stays, outer levels add place and activity, all text is printable. */
#define ERR_C /* see the end of err.h */
#include "corelib/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "corelib/base/text.h"

#define RAW_MAX 1024

static const struct errinfo rows[] = {
#define ERRCODE(number, name, title, fix) {name, #name, title, fix},
#include "corelib/base/errcat.def"
#undef ERRCODE
};

const struct errinfo *err_row(size_t index)
{
	return index < ARRAY_SIZE(rows) ? &rows[index] : NULL;
}

static const struct errinfo *row_find(enum errcode code)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].code == code)
			return &rows[i];
	return NULL;
}

const struct errinfo *err_info(enum errcode code)
{
	const struct errinfo *row = row_find(code);

	return row ? row : row_find(E_INTERNAL);
}

void err_clear(struct err *e)
{
	memset(e, 0, sizeof(*e));
}

__attribute__((format(printf, 3, 0))) static void print_to(char *dst, size_t n, const char *fmt,
							   va_list ap)
{
	char raw[RAW_MAX];

	/* one more than dst holds is enough to show that it was cut */
	vsnprintf(raw, sizeof(raw), fmt, ap);
	text_printable(raw, strlen(raw), dst, n);
}

static void set_cause(struct err *e, enum errcode code, int sys)
{
	e->code = code == E_NONE ? E_INTERNAL : code;
	e->sys = sys < 0 ? -sys : sys;
	if (e->sys == 0)
		e->sys = EINVAL;
}

int err_set(struct err *e, enum errcode code, int sys, const char *why, ...)
{
	va_list ap;

	if (err_is_set(e))
		return -e->sys;
	set_cause(e, code, sys);
	va_start(ap, why);
	print_to(e->why, sizeof(e->why), why, ap);
	va_end(ap);
	return -e->sys;
}

/* the usual reason, for whoever forgot sudo: places of a device belong to root */
static bool is_for_root(enum errcode code, int sys)
{
	bool place = (code >= E_TARGET && code < E_PAYLOAD_HASH) || code == E_KEY_FILE ||
		     (code >= E_ENV_READ && code < E_CONFIG);

	return place && (sys == EACCES || sys == EPERM) && geteuid() != 0;
}

int err_sys(struct err *e, enum errcode code, int sys, const char *what, ...)
{
	char text[sizeof(e->why) - 96], name[64];
	va_list ap;

	if (err_is_set(e))
		return -e->sys;
	set_cause(e, code == E_NONE ? E_SYS : code, sys);
	va_start(ap, what);
	print_to(text, sizeof(text), what, ap);
	va_end(ap);
	snprintf(e->why, sizeof(e->why), "%s: %s", text, strerror_r(e->sys, name, sizeof(name)));
	if (is_for_root(e->code, e->sys))
		err_fix(e, "run it as root: only root installs updates");
	return -e->sys;
}

/* a list that takes no more ends with "..." */
static void close_where(struct err *e, size_t used)
{
	size_t cut = used - 3;

	while (cut > 0 && ((unsigned char)e->where[cut] & 0xc0) == 0x80)
		cut--;
	memcpy(e->where + cut, "...", 4);
}

/* among the places, between commas? */
static bool is_told(const struct err *e, const char *place)
{
	size_t n = strlen(place);

	for (const char *at = e->where; n && (at = strstr(at, place)); at += n) {
		bool begins = at == e->where || (at - e->where >= 2 && !strncmp(at - 2, ", ", 2));

		if (begins && (!at[n] || !strncmp(at + n, ", ", 2)))
			return true;
	}
	return false;
}

int err_at(struct err *e, int rc, const char *place, ...)
{
	size_t used = strlen(e->where);
	char text[sizeof(e->where)];
	va_list ap;

	if (rc >= 0)
		return rc;
	va_start(ap, place);
	print_to(text, sizeof(text), place, ap);
	va_end(ap);
	if (is_told(e, text))
		return rc;
	if (used + sizeof(", ...") <= sizeof(e->where)) {
		if (used > 0) {
			memcpy(e->where + used, ", ", 3);
			used += 2;
		}
		text_printable(text, strlen(text), e->where + used, sizeof(e->where) - used);
	} else {
		close_where(e, used);
	}
	if (!e->object[0])
		text_printable(text, strlen(text), e->object, sizeof(e->object));
	return rc;
}

int err_while(struct err *e, int rc, const char *what, ...)
{
	va_list ap;

	if (rc >= 0 || e->what[0])
		return rc;
	va_start(ap, what);
	print_to(e->what, sizeof(e->what), what, ap);
	va_end(ap);
	return rc;
}

void err_fix(struct err *e, const char *fix, ...)
{
	va_list ap;

	if (e->fix[0])
		return;
	va_start(ap, fix);
	print_to(e->fix, sizeof(e->fix), fix, ap);
	va_end(ap);
}

const char *err_fix_text(const struct err *e)
{
	return e->fix[0] ? e->fix : err_info(e->code)->fix;
}
