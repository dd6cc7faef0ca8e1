/* What a job says: lines for the log, events for the ring. */
#include "core/job_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "corelib/base/text.h"

static struct event event_of(struct job *j, enum event_type type)
{
	struct event ev = {.type = type};
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	ev.time_ms = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
	ev.state = j->state;
	ev.step = j->step;
	ev.steps = j->steps;
	ev.percent = j->percent;
	ev.total = j->total;
	text_copy(ev.name, sizeof(ev.name), j->name);
	text_copy(ev.handler, sizeof(ev.handler), j->handler);
	return ev;
}

static void put(struct job *j, const struct event *ev)
{
	progress_put(j->progress, ev);
	if (j->wake)
		j->wake(j->wake_arg);
}

void tell_state(struct job *j, enum job_state s)
{
	struct event ev;

	pthread_mutex_lock(&j->tell);
	j->state = s;
	ev = event_of(j, EVENT_STATE);
	put(j, &ev);
	pthread_mutex_unlock(&j->tell);
}

void tell_step(struct job *j, enum install_event what, const struct plan_step *ps, uint64_t size)
{
	static const char *const words[] = {"checking", "storing", "writing", "running"};
	const struct entry *t = ps->step.entry;
	const char *name = t->filename ? t->filename : t->name ? t->name : t->type;
	struct event ev;

	pthread_mutex_lock(&j->tell);
	j->step++;
	j->percent = 0;
	j->total = size;
	text_printable(name ? name : "", name ? strlen(name) : 0, j->name, sizeof(j->name));
	text_copy(j->handler, sizeof(j->handler), ps->step.handler->name);
	ev = event_of(j, EVENT_STEP);
	text_copy(ev.text, sizeof(ev.text), words[what]);
	put(j, &ev);
	pthread_mutex_unlock(&j->tell);
	log_info("%s %s (%s)", words[what], j->name, j->handler);
}

/* ---- what --verbose adds: the plan, before anything is written --------------------------- */

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

static const char *place_of(const struct step *st)
{
	if (st->dev)
		return st->dev->name;
	return st->entry->path ? st->entry->path : "no place of its own";
}

static void trace_step(const struct plan_step *ps)
{
	const struct entry *t = ps->step.entry;
	const char *name = t->filename ? t->filename : t->name ? t->name : "";

	if (ps->skipped)
		trace("%s '%s': left out, the version that is installed will do",
		      section_name(t->section), name);
	else
		trace("%s '%s': %s to %s, %s; %s", section_name(t->section), name,
		      ps->step.handler->name, place_of(&ps->step),
		      ps->step.live ? "in use until the switch" : "idle", route_name(ps->route));
}

void tell_plan(const struct run *r)
{
	if (!log_wants(LOG_LEVEL_TRACE))
		return;
	if (r->cfg.board)
		trace("hardware %s, revision %s", r->cfg.board, r->cfg.revision);
	if (r->cfg.slot_count)
		trace("slot %s runs, %s boots next, %s is the target", slot_name(r->slots.running),
		      slot_name(r->slots.next), slot_name(r->slots.target));
	for (size_t i = 0; i < r->plan->count; i++)
		trace_step(&r->plan->steps[i]);
}

void tell_moved(void *job, uint64_t bytes)
{
	struct job *j = job;
	struct event ev;

	pthread_mutex_lock(&j->tell);
	j->percent = j->total ? (unsigned)(bytes >= j->total ? 100 : bytes * 100 / j->total) : 0;
	ev = event_of(j, EVENT_PROGRESS);
	ev.bytes = bytes;
	put(j, &ev);
	pthread_mutex_unlock(&j->tell);
}

static void put_line(struct job *j, enum log_level level, const char *text)
{
	struct event ev;

	log_line(level, "%s", text);
	pthread_mutex_lock(&j->tell);
	ev = event_of(j, EVENT_LOG);
	ev.level = level;
	text_printable(text, strlen(text), ev.text, sizeof(ev.text));
	put(j, &ev);
	pthread_mutex_unlock(&j->tell);
}

void tell_line(struct job *j, enum log_level level, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put_line(j, level, text);
}

/* what scripts chatter does not push events out of the ring */
void tell_said(void *job, enum log_level level, const char *text)
{
	if (level > LOG_LEVEL_INFO)
		log_line(level, "%s", text);
	else
		put_line(job, level, text);
}

void tell_note(void *job, const char *text)
{
	put_line(job, LOG_LEVEL_WARN, text);
}

void tell_result(struct job *j, int rc, const struct err *e)
{
	struct event ev;

	tell_state(j, rc < 0 ? STATE_FAILURE : STATE_SUCCESS);
	pthread_mutex_lock(&j->tell);
	ev = event_of(j, EVENT_RESULT);
	if (rc < 0)
		ev.err = *e;
	put(j, &ev);
	pthread_mutex_unlock(&j->tell);
}
