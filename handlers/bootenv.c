/* bootenv: lines of name=value that join the one commit of the install. */
#include "handlers/handler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/text.h"
#include "handlers/props.h"

#define LINE_MAX_BYTES 1024u
#define FILE_MAX_BYTES (256u * 1024) /* no boot loader holds as much */

static const struct attr props[] = {
	{.name = "nooverride",
	 .type = ATTR_BOOL,
	 .dflt = "false",
	 .help = "variables that the description's own list bootenv sets stay as they are there"},
};

struct lines {
	struct step *st;
	bool keep; /* nooverride */
	unsigned number;
};

static int bad_line(const struct lines *l, struct err *e, const char *why)
{
	return err_at(e, err_set(e, E_ENV_NAME, EINVAL, "%s", why), "line %u", l->number);
}

/* one line without its end, changed in place */
static int take_line(struct lines *l, char *line, size_t n, struct err *e)
{
	struct host *h = l->st->host;
	char *value;

	l->number++;
	if (n > LINE_MAX_BYTES)
		return bad_line(l, e, "a line has at most 1024 bytes");
	if (memchr(line, '\0', n))
		return bad_line(l, e, "there is a NUL byte");
	if (n && line[n - 1] == '\r')
		line[--n] = '\0';
	line += strspn(line, " \t");
	if (*line == '\0' || *line == '#')
		return 0;
	value = strchr(line, '=');
	if (!value || value == line)
		return bad_line(l, e, "it is not of the form name=value");
	*value++ = '\0';
	if (l->keep && h->ops->has_variable(h, line))
		return 0;
	return err_at(e, h->ops->set_variable(h, line, *value ? value : NULL, e), "line %u",
		      l->number);
}

static int take_text(struct lines *l, char *text, size_t n, struct err *e)
{
	char *end = text + n, *next;
	int rc = 0;

	for (char *p = text; p < end && rc == 0; p = next) {
		char *stop = memchr(p, '\n', (size_t)(end - p));

		stop = stop ? stop : end;
		*stop = '\0'; /* the buffer has one byte more than the text */
		next = stop + 1;
		rc = take_line(l, p, (size_t)(stop - p), e);
	}
	return rc;
}

/* the whole text: nothing is taken from it before its end is proven */
static int read_text(struct stream *in, char *text, size_t *len, struct err *e)
{
	ssize_t n = 1;
	size_t got = 0;

	while (got <= FILE_MAX_BYTES &&
	       (n = stream_read(in, text + got, FILE_MAX_BYTES + 1 - got, e)) > 0)
		got += (size_t)n;
	if (n < 0)
		return (int)n;
	if (got > FILE_MAX_BYTES)
		return err_set(e, E_ENV_BIG, E2BIG, "a file of variables has at most %u bytes",
			       FILE_MAX_BYTES);
	*len = got;
	return 0;
}

static int bootenv_check_step(struct step *st, struct err *e)
{
	bool ignored;
	int rc = props_flag(st->entry, "nooverride", &ignored, e);

	if (rc == 0 && st->has_size && st->size > FILE_MAX_BYTES)
		rc = err_set(e, E_ENV_BIG, E2BIG, "a file of variables has at most %u bytes",
			     FILE_MAX_BYTES);
	return rc;
}

static int bootenv_install(struct step *st, struct stream *in, struct err *e)
{
	AUTO_FREE char *text = malloc(FILE_MAX_BYTES + 2);
	struct lines l = {.st = st};
	size_t len = 0;
	int rc;

	if (!text)
		return err_set(e, E_MEMORY, ENOMEM, "a file of variables");
	rc = props_flag(st->entry, "nooverride", &l.keep, e);
	if (rc == 0)
		rc = read_text(in, text, &len, e);
	if (rc == 0)
		rc = take_text(&l, text, len, e);
	return err_at(e, rc, "%s", st->entry->filename ? st->entry->filename : "bootenv");
}

const struct handler handler_bootenv = {
	.name = "bootenv",
	.aliases = "uboot bootloader",
	.summary = "set boot variables from a text file",
	.kind = HANDLER_TARGET,
	.sections = SECTION_IMAGES | SECTION_FILES | SECTION_BOOTENV,
	.holds = HOLDS_NOTHING,
	.props = props,
	.prop_count = ARRAY_SIZE(props),
	.check = bootenv_check_step,
	.install = bootenv_install,
};
