/* `swctl status` for people. */
#include "core/cli/device_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/cli/term_text.h"
#include "corelib/base/text.h"

static void put_time(FILE *f, int64_t when)
{
	time_t t = (time_t)when;
	char text[64];
	struct tm tm;

	if (when > 0 && gmtime_r(&t, &tm) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm))
		fprintf(f, ", %s UTC", text);
}

static void put_last(FILE *f, const struct status *s)
{
	const struct term_style plain = {.width = 80};
	char report[TERM_ERROR_MAX], *fields;

	if (!*s->state) {
		fprintf(f, "last    nothing was installed by swinstall yet\n");
		return;
	}
	fprintf(f, "last    %s", s->state);
	if (*s->version)
		fprintf(f, ": release %s", s->version);
	if (*s->bundle)
		fprintf(f, " of '%s'", s->bundle);
	put_time(f, s->time);
	fputc('\n', f);
	if (!err_is_set(&s->err))
		return;
	term_error_text("", "", &s->err, &plain, report, sizeof(report));
	fields = strchr(report, '\n');
	if (fields)
		fputs(fields + 1, f);
}

static void put_now(FILE *f, const struct device *d)
{
	switch (d->now) {
	case NOW_IDLE:
		fprintf(f, "now     idle\n");
		break;
	case NOW_RUNNING:
		fprintf(f, "now     an installation is running: %s\n", d->why);
		break;
	case NOW_INTERRUPTED:
		fprintf(f, "now     an installation%s%s was interrupted: swctl recover tidies up\n",
			*d->version ? " of release " : "", d->version);
		break;
	case NOW_BLOCKED:
		fprintf(f,
			"now     blocked, the journal cannot be used: %s\n"
			"        nothing is installed until swctl recover, or swctl recover --forget, "
			"has settled it\n",
			d->why);
		break;
	case NOW_UNKNOWN:
		fprintf(f, "now     not known: %s\n", d->why);
		break;
	}
}

static const char *or_unknown(const char *name)
{
	return *name ? name : "not known";
}

static void put_slots(FILE *f, const struct device *d)
{
	if (!d->has_slots)
		return;
	if (*d->slots_why) {
		fprintf(f, "slots   not known: %s\n", d->slots_why);
		return;
	}
	fprintf(f, "slots   running: %s, boots next: %s, installs into: %s\n",
		or_unknown(d->running), or_unknown(d->next), or_unknown(d->target));
	if (d->pending)
		fprintf(f, "        an update is installed and waits for its reboot\n");
}

char *device_text(const struct device *d)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		return NULL;
	put_last(f, &d->last);
	put_now(f, d);
	put_slots(f, d);
	return text_close(f, &text);
}
