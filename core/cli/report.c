/* Telling how it ended. */
#include "core/cli/report.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "corelib/base/log.h"
#include "corelib/base/text.h"

static const char *headline(const struct report *r)
{
	return r->headline ? r->headline : err_info(r->err->code)->title;
}

void report_terminal(const struct report *r, int fd)
{
	char text[TERM_ERROR_MAX];
	struct term t;

	term_init(&t, fd);
	if (r->err)
		term_error_text(r->program, headline(r), r->err, &t.style, text, sizeof(text));
	else
		text_print(text, sizeof(text), "%s\n", r->success);
	term_write(fd, text, strlen(text));
}

static void field(const char *name, const char *text)
{
	if (*text)
		log_error("%-5s %s", name, text);
}

void report_lines(const struct report *r)
{
	const struct err *e = r->err;

	if (!e) {
		log_info("%s", r->success);
		return;
	}
	log_error("%s: %s", r->program, headline(r));
	field("what", *e->what ? e->what : err_info(e->code)->title);
	field("where", e->where);
	field("why", e->why);
	field("fix", err_fix_text(e));
	log_error("%s%s%s", err_info(e->code)->name, *e->object ? ": " : "", e->object);
}

void report_to(const struct report *r, int fd)
{
	if (isatty(fd))
		report_terminal(r, fd);
	else
		report_lines(r);
}
