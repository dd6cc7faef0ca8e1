/* `swctl status` and `swctl history` for people. */
#include "core/cli/device_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/cli/term_text.h"
#include "corelib/base/text.h"

static void time_text(int64_t when, char out[32])
{
	time_t t = (time_t)when;
	struct tm tm;

	out[0] = '\0';
	if (when > 0 && gmtime_r(&t, &tm))
		strftime(out, 32, "%Y-%m-%d %H:%M:%S", &tm);
}

/* "release 2.0 of 'a.swu'", or what is known of it */
static void put_release(FILE *f, const struct status *s)
{
	if (*s->version)
		fprintf(f, "release %s", s->version);
	if (*s->bundle)
		fprintf(f, "%s'%s'", *s->version ? " of " : "", s->bundle);
}

static void put_last(FILE *f, const struct device *d)
{
	const struct term_style plain = {.width = 80};
	const struct status *s = &d->last;
	char report[TERM_ERROR_MAX], *fields, when[32];

	if (d->last_hidden) {
		fprintf(f, "last    not known: run it as root\n");
		return;
	}
	if (!*s->state) {
		fprintf(f, "last    nothing was installed by swinstall yet\n");
		return;
	}
	fprintf(f, "last    %s", s->state);
	if (*s->version || *s->bundle)
		fprintf(f, ": ");
	put_release(f, s);
	time_text(s->time, when);
	fprintf(f, *when ? ", %s UTC\n" : "\n", when);
	/* while something is installed, why the one before failed is only in the way */
	if (!err_is_set(&s->err) || d->now == NOW_RUNNING)
		return;
	term_error_text("", "", &s->err, &plain, report, sizeof(report));
	fields = strchr(report, '\n');
	if (fields)
		fputs(fields + 1, f);
}

static void put_running(FILE *f, const struct device *d)
{
	static const char *const words[][2] = {
		{"check", "checking"}, {"install", "installing"}, {"activate", "activating"}};
	const struct status *s = &d->live;
	const char *doing = "installing";

	fprintf(f, "now     an installation is running: %s\n", d->why);
	if (!*s->state)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(words[i][0], s->state) == 0)
			doing = words[i][1];
	fprintf(f, "        %s ", doing);
	put_release(f, s);
	fputc('\n', f);
	if (s->step)
		fprintf(f, "        step %u of %u: %s %s, %u%%\n", s->step, s->steps, s->action,
			s->name, s->percent);
}

static void put_now(FILE *f, const struct device *d)
{
	switch (d->now) {
	case NOW_IDLE:
		fprintf(f, "now     idle\n");
		break;
	case NOW_RUNNING:
		put_running(f, d);
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

static const char *or_unknown(const char *text)
{
	return *text ? text : "not known";
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
	for (size_t i = 0; i < d->slot_count; i++) {
		const char *name = d->slots[i].name, *holds = device_holds(d, name);

		if (name)
			fprintf(f, "        %s holds: %s%s\n", name, *holds ? "release " : "",
				or_unknown(holds));
	}
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
	put_now(f, d);
	put_slots(f, d);
	put_last(f, d);
	return text_close(f, &text);
}

char *device_history_text(const struct status *list, size_t count)
{
	char *text = NULL, when[32];
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		return NULL;
	if (count == 0)
		fprintf(f, "nothing was installed by swinstall yet\n");
	for (size_t i = 0; i < count; i++) {
		const struct status *s = &list[i];

		time_text(s->time, when);
		fprintf(f, "%-19s  %-11s  ", *when ? when : "time not known", s->state);
		put_release(f, s);
		if (*s->slot)
			fprintf(f, ", slot %s", s->slot);
		fputc('\n', f);
		if (err_is_set(&s->err))
			fprintf(f, "%21s%s: %s\n", "", err_info(s->err.code)->name, s->err.why);
	}
	return text_close(f, &text);
}
