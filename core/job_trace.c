/* What --verbose adds: the plan, before anything is written. */
#include "core/job_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "corelib/base/text.h"

static const char *slot_name(const struct slot_setting *s)
{
	return s && s->name ? s->name : "none";
}

static void trace(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void trace(const char *fmt, ...)
{
	char text[640], shown[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	text_printable(text, strlen(text), shown, sizeof(shown));
	log_line(LOG_LEVEL_TRACE, "%s", shown);
}

/* what is not there yet, or is mounted first, is told as the entry names it */
static const char *place_text(const struct step *st, char *out, size_t n)
{
	const struct entry *t = st->entry;
	bool file = !st->dev && t->path;

	(void)text_print(out, n, " to %s%s%s%s", !st->dev && t->slot ? "slot " : "",
			 st->dev     ? st->dev->name
			 : t->slot   ? t->slot
			 : t->device ? t->device
				     : "",
			 file && (t->slot || t->device) ? ":" : "", file ? t->path : "");
	return st->dev || t->slot || t->device || file ? out : "";
}

static void trace_step(const struct plan_step *ps)
{
	const struct entry *t = ps->step.entry;
	char stages[200], place[256];

	stages_text(&ps->stages, stages, sizeof(stages));
	if (ps->left_out)
		trace("%s '%s': left out, the version that is installed will do",
		      section_name(t->section), plan_step_name(ps));
	else
		trace("%s '%s': %s%s, %s; %s: %s", section_name(t->section), plan_step_name(ps),
		      plan_step_handler(ps), place_text(&ps->step, place, sizeof(place)),
		      ps->step.live ? "in use until the switch" : "idle", route_name(ps->route),
		      stages);
}

void trace_plan(const struct run *r)
{
	if (!log_wants(LOG_LEVEL_TRACE))
		return;
	if (r->cfg.board)
		trace("hardware %s, revision %s", r->cfg.board, r->cfg.revision);
	if (r->cfg.slot_count)
		trace("slot %s runs, %s boots next, %s is the target",
		      slot_name(r->session.slots.running), slot_name(r->session.slots.next),
		      slot_name(r->session.slots.target));
	for (size_t i = 0; i < r->plan->count; i++)
		trace_step(&r->plan->steps[i]);
}
