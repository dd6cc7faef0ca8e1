/* Lines of JSON to a reader that may be slow, stopped or gone. */
#include "core/jsonout.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "corelib/base/json.h"
#include "corelib/base/log.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define LINE_ROOM 16384u /* the longest event with every byte escaped */
#define PART	  256u	 /* what a pipe takes as a whole or not at all */

struct line {
	char text[LINE_ROOM];
	size_t n;
};

__attribute__((format(printf, 2, 3))) static void put(struct line *l, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->text + l->n, sizeof(l->text) - l->n, fmt, ap);
	va_end(ap);
	if (n > 0)
		l->n += (size_t)n < sizeof(l->text) - l->n ? (size_t)n : 0;
}

/* ,"name":"text"; nothing for an empty one */
static void put_text(struct line *l, const char *name, const char *text)
{
	char quoted[4096];

	if (!text || !*text)
		return;
	json_text(text, quoted, sizeof(quoted));
	put(l, ",\"%s\":%s", name, quoted);
}

/* ---- the queue ------------------------------------------------------------------------------- */

int jsonout_init(struct jsonout *j, int fd, struct err *e)
{
	struct stat st;

	memset(j, 0, sizeof(*j));
	j->fd = fd;
	j->is_socket = fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
	j->queue = malloc(JSONOUT_QUEUE);
	if (!j->queue)
		return err_set(e, E_MEMORY, ENOMEM, "a queue of events");
	return 0;
}

void jsonout_clear(struct jsonout *j)
{
	free(j->queue);
	j->queue = NULL;
}

/* how many bytes the reader took within ms: a pipe takes a part or nothing, a socket any count */
static ssize_t give(const struct jsonout *j, const char *buf, size_t n, unsigned ms)
{
	struct pollfd p = {.fd = j->fd, .events = POLLOUT};
	ssize_t r;
	int rc;

	if (!j->is_socket) {
		n = n < PART ? n : PART;
		rc = sys_write_polite(j->fd, buf, n, ms);
		return rc == 0 ? (ssize_t)n : rc == 1 ? 0 : rc;
	}
	(void)poll(&p, 1, (int)ms);
	r = send(j->fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (r < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	return r;
}

/* as much as the reader takes within ms */
static void flush(struct jsonout *j, unsigned ms)
{
	uint64_t end = sys_now_ms() + ms;
	size_t at = 0;
	ssize_t k = 1;

	while (at < j->n && k > 0) {
		uint64_t now = sys_now_ms();

		k = give(j, j->queue + at, j->n - at, now < end ? (unsigned)(end - now) : 0);
		if (k > 0)
			at += (size_t)k;
	}
	if (k < 0) {
		j->gone = true;
		at = j->n;
	}
	memmove(j->queue, j->queue + at, j->n - at);
	j->n -= at;
}

static bool enqueue(struct jsonout *j, const char *text, size_t n)
{
	if (j->gone || n > JSONOUT_QUEUE - j->n)
		return false;
	memcpy(j->queue + j->n, text, n);
	j->n += n;
	return true;
}

/* the common beginning, written when the line is surely told, so that seq has no gaps but losses */
static bool jsonout_line(struct jsonout *j, int64_t time_ms, const struct line *body)
{
	struct line l = {.n = 0};

	put(&l, "{\"v\":1,\"seq\":%" PRIu64 ",\"t\":%" PRId64, j->seq + 1, time_ms);
	put(&l, "%.*s}\n", (int)body->n, body->text);
	if (!enqueue(j, l.text, l.n)) {
		j->lost++;
		return false;
	}
	j->seq++;
	return true;
}

static void tell_lost(struct jsonout *j, int64_t time_ms)
{
	struct line l = {.n = 0};
	uint64_t lost = j->lost;

	if (!lost)
		return;
	put(&l,
	    ",\"type\":\"log\",\"level\":\"warn\",\"text\":\"%" PRIu64
	    " events were not read and are lost\"",
	    lost);
	j->lost = 0;
	if (!jsonout_line(j, time_ms, &l))
		j->lost = lost;
}

/* ---- events ---------------------------------------------------------------------------------- */

static const char *level_name(unsigned level)
{
	static const char *const names[] = {"error", "error", "warn", "info", "debug", "trace"};

	return names[level < ARRAY_SIZE(names) ? level : LOG_LEVEL_TRACE];
}

static void put_step(struct line *l, const struct event *ev)
{
	put(l, ",\"step\":%u,\"steps\":%u", ev->step, ev->steps);
	put_text(l, "name", ev->name);
	put_text(l, "handler", ev->handler);
}

/* "a, b 12" as ["a","b 12"]; the words are the plan's own */
static void put_stages(struct line *l, const char *text)
{
	const char *comma = "";

	if (!*text)
		return;
	put(l, ",\"stages\":[");
	for (const char *at = text; *at; at += strspn(at, ", ")) {
		size_t n = strcspn(at, ",");

		put(l, "%s\"%.*s\"", comma, (int)n, at);
		comma = ",";
		at += n;
	}
	put(l, "]");
}

static void put_event(struct line *l, const struct event *ev)
{
	switch (ev->type) {
	case EVENT_STATE:
		put(l, ",\"type\":\"state\",\"state\":\"%s\"", job_state_name(ev->state));
		break;
	case EVENT_STEP:
		put(l, ",\"type\":\"step\"");
		put_step(l, ev);
		put_text(l, "action", ev->text);
		put_stages(l, ev->stages);
		if (ev->total)
			put(l, ",\"total\":%" PRIu64, ev->total);
		break;
	case EVENT_PROGRESS:
		put(l, ",\"type\":\"progress\"");
		put_step(l, ev);
		put(l, ",\"percent\":%u,\"bytes\":%" PRIu64, ev->percent, ev->bytes);
		if (ev->total)
			put(l, ",\"total\":%" PRIu64, ev->total);
		break;
	case EVENT_LOG:
		put(l, ",\"type\":\"log\",\"level\":\"%s\"", level_name(ev->level));
		put_text(l, "text", ev->text);
		break;
	case EVENT_RESULT:
		break;
	}
}

static void tell_event(struct jsonout *j, const struct event *ev)
{
	struct line l = {.n = 0};

	put_event(&l, ev);
	tell_lost(j, ev->time_ms);
	jsonout_line(j, ev->time_ms, &l);
}

/* progress only where nothing waits before it */
void jsonout_tick(struct jsonout *j, uint64_t now)
{
	flush(j, 0);
	if (!j->has_progress || j->n || now - j->paced < JSONOUT_PACE)
		return;
	tell_event(j, &j->progress);
	j->has_progress = false;
	j->paced = now;
	flush(j, 0);
}

void jsonout_event(struct jsonout *j, const struct event *ev, uint64_t now)
{
	if (ev->type == EVENT_RESULT)
		return;
	if (ev->type == EVENT_PROGRESS) {
		j->progress = *ev;
		j->has_progress = true;
	} else {
		j->has_progress = false; /* it is of the step before */
		tell_event(j, ev);
	}
	jsonout_tick(j, now);
}

void jsonout_lost(struct jsonout *j, uint64_t count)
{
	j->lost += count;
}

static void put_err(struct line *l, const struct err *e)
{
	const struct errinfo *info = err_info(e->code);

	put(l, ",\"error\":{\"code\":\"SWI-%d\",\"name\":\"%s\"", info->code, info->name);
	put_text(l, "what", *e->what ? e->what : info->title);
	put_text(l, "where", e->where);
	put_text(l, "why", e->why);
	put_text(l, "fix", err_fix_text(e));
	put(l, "}");
}

void jsonout_result(struct jsonout *j, const struct jsonout_verdict *v)
{
	struct line l = {.n = 0};

	put(&l, ",\"type\":\"result\",\"result\":\"%s\"", v->err ? "failure" : "success");
	put_text(&l, "bundle", v->bundle);
	put_text(&l, "version", v->version);
	if (v->err)
		put_err(&l, v->err);
	else
		put(&l, ",\"reboot\":%s", v->reboot ? "true" : "false");
	flush(j, 0);
	if (JSONOUT_QUEUE - j->n < 2 * LINE_ROOM)
		flush(j, JSONOUT_LAST);
	tell_lost(j, v->time_ms);
	jsonout_line(j, v->time_ms, &l);
}

void jsonout_end(struct jsonout *j)
{
	flush(j, JSONOUT_LAST);
}
