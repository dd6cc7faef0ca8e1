/* What a device knows about itself, for programs. */
#include <inttypes.h>
#include <stdio.h>

#include "core/state/device.h"
#include "corelib/base/json.h"
#include "corelib/base/text.h"

static const char *const now_names[] = {
	[NOW_UNKNOWN] = "unknown",	   [NOW_IDLE] = "idle",	      [NOW_RUNNING] = "running",
	[NOW_INTERRUPTED] = "interrupted", [NOW_BLOCKED] = "blocked",
};

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
	return text_close(f, &text);
}
