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

/* a result, without braces */
static void put_result(FILE *f, const struct status *s)
{
	const struct errinfo *info = err_info(s->err.code);

	fprintf(f, "\"time\":%" PRId64, s->time);
	json_member(f, "state", s->state);
	json_member(f, "version", s->version);
	json_member(f, "bundle", s->bundle);
	json_member(f, "slot", s->slot);
	if (!err_is_set(&s->err))
		return;
	fprintf(f, ",\"error\":{\"code\":\"SWI-%d\"", info->code);
	json_member(f, "name", info->name);
	json_member(f, "what", s->err.what);
	json_member(f, "where", s->err.where);
	json_member(f, "why", s->err.why);
	json_member(f, "fix", err_fix_text(&s->err));
	fputc('}', f);
}

static void put_live(FILE *f, const struct status *s)
{
	if (!*s->state)
		return;
	fprintf(f, ",\"running\":{\"time\":%" PRId64, s->time);
	json_member(f, "state", s->state);
	json_member(f, "version", s->version);
	json_member(f, "bundle", s->bundle);
	if (s->step) {
		fprintf(f, ",\"step\":%u,\"steps\":%u,\"percent\":%u", s->step, s->steps,
			s->percent);
		json_member(f, "action", s->action);
		json_member(f, "name", s->name);
	}
	fputc('}', f);
}

static void put_slots(FILE *f, const struct device *d)
{
	const char *comma = "";

	if (!d->has_slots)
		return;
	fprintf(f, ",\"slots\":{\"pending\":%s", d->pending ? "true" : "false");
	json_member(f, "running", d->running);
	json_member(f, "next", d->next);
	json_member(f, "target", d->target);
	json_member(f, "why", d->slots_why);
	fprintf(f, ",\"releases\":{");
	for (size_t i = 0; i < d->slot_count; i++) {
		const char *name = d->slots[i].name, *holds = device_holds(d, name);

		if (!*holds)
			continue;
		fputs(comma, f);
		json_print(f, name);
		fputc(':', f);
		json_print(f, holds);
		comma = ",";
	}
	fprintf(f, "}}");
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
	put_live(f, &d->live);
	if (*d->last.state) {
		fprintf(f, ",\"last\":{");
		put_result(f, &d->last);
		fputc('}', f);
	}
	put_slots(f, d);
	fprintf(f, "}\n");
	return text_close(f, &text);
}

char *device_history_json(const struct status *list, size_t count)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		return NULL;
	fprintf(f, "{\"v\":1,\"history\":[");
	for (size_t i = 0; i < count; i++) {
		fprintf(f, i ? ",{" : "{");
		put_result(f, &list[i]);
		fputc('}', f);
	}
	fprintf(f, "]}\n");
	return text_close(f, &text);
}
