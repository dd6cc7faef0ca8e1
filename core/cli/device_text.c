/* `swctl status` for people and for programs. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/cli/device.h"
#include "core/cli/jsonout.h"
#include "core/cli/term_text.h"
#include "corelib/base/text.h"

static const char *const now_names[] = {
	[NOW_UNKNOWN] = "unknown",	   [NOW_IDLE] = "idle",	      [NOW_RUNNING] = "running",
	[NOW_INTERRUPTED] = "interrupted", [NOW_BLOCKED] = "blocked",
};

/* a text that is written to a memory stream; NULL when that failed */
static char *finish(FILE *f, char **text)
{
	bool bad = ferror(f);

	if (fclose(f) != 0 || bad) {
		free(*text);
		*text = NULL;
	}
	return *text;
}

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
	return finish(f, &text);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void json_member(FILE *f, const char *name, const char *text)
{
	char quoted[4096];

	if (!*text)
		return;
	json_text(text, quoted, sizeof(quoted));
	fprintf(f, ",\"%s\":%s", name, quoted);
}

static void json_last(FILE *f, const struct status *s)
{
	const struct errinfo *info = err_info(s->err.code);

	if (!*s->state)
		return;
	fprintf(f, ",\"last\":{\"time\":%" PRId64, s->time);
	json_member(f, "state", s->state);
	json_member(f, "version", s->version);
	json_member(f, "bundle", s->bundle);
	if (err_is_set(&s->err)) {
		fprintf(f, ",\"error\":{\"code\":\"SWI-%d\"", info->code);
		json_member(f, "name", info->name);
		json_member(f, "what", s->err.what);
		json_member(f, "where", s->err.where);
		json_member(f, "why", s->err.why);
		json_member(f, "fix", err_fix_text(&s->err));
		fputc('}', f);
	}
	fputc('}', f);
}

static void json_slots(FILE *f, const struct device *d)
{
	if (!d->has_slots)
		return;
	fprintf(f, ",\"slots\":{\"pending\":%s", d->pending ? "true" : "false");
	json_member(f, "running", d->running);
	json_member(f, "next", d->next);
	json_member(f, "target", d->target);
	json_member(f, "why", d->slots_why);
	fputc('}', f);
}

char *device_json(const struct device *d)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		return NULL;
	fprintf(f, "{\"v\":1,\"now\":\"%s\"", now_names[d->now]);
	json_member(f, "why", d->why);
	if (d->now == NOW_INTERRUPTED)
		json_member(f, "version", d->version);
	json_last(f, &d->last);
	json_slots(f, d);
	fprintf(f, "}\n");
	return finish(f, &text);
}
