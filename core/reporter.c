#include "core/reporter.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/state/status.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

enum { EVENTS = 256, LINE = 512 };

struct reporter {
	pthread_mutex_t lock; /* stages in other threads tell too; the ring has one writer */
	struct progress *ring;
	void (*wake)(void *arg);
	void *wake_arg;
	struct event now;   /* what each event says: state, step, handler, percent */
	struct status file; /* the same for the status file in run_dir */
	const char *run_dir;
	int fd; /* of that file; -1: there is none */
	uint64_t written;
};

int reporter_new(struct reporter **out, struct err *e)
{
	struct reporter *r = calloc(1, sizeof(*r));

	*out = NULL;
	if (r)
		r->ring = progress_new(EVENTS);
	if (!r || !r->ring) {
		free(r);
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the events of an update");
	}
	r->fd = -1;
	pthread_mutex_init(&r->lock, NULL);
	*out = r;
	return 0;
}

void reporter_free(struct reporter *r)
{
	if (!r)
		return;
	progress_free(r->ring);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

void reporter_subscribe(struct reporter *r, void (*wake)(void *arg), void *arg)
{
	r->wake = wake;
	r->wake_arg = arg;
}

struct progress *reporter_events(struct reporter *r)
{
	return r->ring;
}

/* the caller holds the lock */
static struct event event_of(const struct reporter *r, enum event_type type)
{
	struct event ev = r->now;
	struct timespec t;

	ev.type = type;
	clock_gettime(CLOCK_REALTIME, &t);
	ev.time_ms = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
	return ev;
}

/* run-dir is memory; still, a payload of a gigabyte must not mean thousands of files */
static void write_file(struct reporter *r, const struct event *ev)
{
	uint64_t now = sys_now_ms();
	struct status *s = &r->file;

	if (r->fd < 0 || ev->type == EVENT_LOG || ev->type == EVENT_RESULT)
		return;
	if (ev->type == EVENT_PROGRESS && now - r->written < REPORTER_PACE)
		return;
	if (ev->type == EVENT_PROGRESS)
		r->written = now;
	text_copy(s->state, sizeof(s->state), job_state_name(ev->state));
	if (ev->type == EVENT_STEP)
		text_copy(s->action, sizeof(s->action), ev->text);
	text_copy(s->name, sizeof(s->name), ev->name);
	s->step = ev->step;
	s->steps = ev->steps;
	s->percent = ev->percent;
	s->time = ev->time_ms / 1000;
	status_update(r->fd, s);
}

static void put(struct reporter *r, const struct event *ev)
{
	write_file(r, ev);
	progress_put(r->ring, ev);
	if (r->wake)
		r->wake(r->wake_arg);
}

/* ---- lines ---- */

static void put_line(struct reporter *r, enum log_level level, bool output, const char *text)
{
	struct event ev;

	log_line(level, "%s", text);
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	ev = event_of(r, EVENT_LOG);
	ev.level = level;
	ev.output = output;
	text_printable(text, strlen(text), ev.text, sizeof(ev.text));
	put(r, &ev);
	pthread_mutex_unlock(&r->lock);
}

void reporter_line(struct reporter *r, enum log_level level, const char *fmt, ...)
{
	char text[LINE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put_line(r, level, false, text);
}

void reporter_output(struct reporter *r, enum log_level level, const char *text)
{
	if (level > LOG_LEVEL_INFO)
		log_line(level, "%s", text);
	else
		put_line(r, level, true, text);
}

void reporter_remark(void *reporter, const char *text)
{
	put_line(reporter, LOG_LEVEL_WARN, false, text);
}

/* ---- states and steps ---- */

void reporter_state(struct reporter *r, enum job_state s)
{
	struct event ev;

	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->now.state = s;
	ev = event_of(r, EVENT_STATE);
	put(r, &ev);
	pthread_mutex_unlock(&r->lock);
}

void reporter_begin(struct reporter *r, const char *bundle)
{
	reporter_expect(r, 0);
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	memset(&r->file, 0, sizeof(r->file));
	if (bundle)
		text_printable(bundle, strlen(bundle), r->file.bundle, sizeof(r->file.bundle));
	pthread_mutex_unlock(&r->lock);
}

void reporter_release(struct reporter *r, const char *version)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	text_printable(version, strlen(version), r->file.version, sizeof(r->file.version));
	pthread_mutex_unlock(&r->lock);
}

void reporter_publish(struct reporter *r, const char *run_dir, const char *state_dir)
{
	struct event ev;

	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	if (r->fd >= 0)
		status_remove(r->run_dir);
	sys_close(&r->fd);
	r->run_dir = run_dir;
	if (run_dir)
		r->fd = status_publish(run_dir);
	text_copy(r->file.owner, sizeof(r->file.owner), state_dir ? state_dir : "");
	ev = event_of(r, EVENT_STATE);
	write_file(r, &ev);
	pthread_mutex_unlock(&r->lock);
}

void reporter_expect(struct reporter *r, unsigned steps)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->now.step = 0;
	r->now.steps = steps;
	pthread_mutex_unlock(&r->lock);
}

void reporter_step(struct reporter *r, const struct reported_step *s)
{
	const char *name = s->name ? s->name : "";
	char shown[sizeof(r->now.name)];
	struct event ev;

	text_printable(name, strlen(name), shown, sizeof(shown));
	if (!r) {
		log_info("%s %s (%s)", s->verb, shown, s->handler);
		return;
	}
	pthread_mutex_lock(&r->lock);
	r->now.step++;
	r->now.percent = 0;
	r->now.total = s->size;
	text_copy(r->now.name, sizeof(r->now.name), shown);
	text_copy(r->now.handler, sizeof(r->now.handler), s->handler);
	ev = event_of(r, EVENT_STEP);
	text_copy(ev.text, sizeof(ev.text), s->verb);
	text_copy(ev.stages, sizeof(ev.stages), s->stages ? s->stages : "");
	put(r, &ev);
	pthread_mutex_unlock(&r->lock);
	log_info("%s %s (%s)", s->verb, shown, s->handler);
}

void reporter_moved(void *reporter, uint64_t bytes)
{
	struct reporter *r = reporter;
	struct event ev;
	uint64_t total;

	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	total = r->now.total;
	r->now.percent = total ? (unsigned)(bytes >= total ? 100 : bytes * 100 / total) : 0;
	ev = event_of(r, EVENT_PROGRESS);
	ev.bytes = bytes;
	put(r, &ev);
	pthread_mutex_unlock(&r->lock);
}

void reporter_result(struct reporter *r, int rc, const struct err *e)
{
	struct event ev;

	reporter_state(r, rc < 0 ? STATE_FAILURE : STATE_SUCCESS);
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	ev = event_of(r, EVENT_RESULT);
	if (rc < 0)
		ev.err = *e;
	put(r, &ev);
	pthread_mutex_unlock(&r->lock);
}
