#include "core/progress.h"

#include <pthread.h>
#include <stdlib.h>

struct progress {
	pthread_mutex_t lock; /* held for the copy of one event */
	struct event *ring;
	unsigned room, used, next; /* next: where the coming event goes */
	uint64_t seq;
};

const char *job_state_name(enum job_state s)
{
	static const char *const names[] = {
		[STATE_IDLE] = "idle",	     [STATE_CHECK] = "check",
		[STATE_INSTALL] = "install", [STATE_ACTIVATE] = "activate",
		[STATE_SUCCESS] = "success", [STATE_FAILURE] = "failure",
	};

	return (size_t)s < sizeof(names) / sizeof(*names) ? names[s] : "unknown";
}

struct progress *progress_new(unsigned room)
{
	struct progress *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->room = room ? room : 1;
	p->ring = calloc(p->room, sizeof(*p->ring));
	if (!p->ring || pthread_mutex_init(&p->lock, NULL) != 0) {
		free(p->ring);
		free(p);
		return NULL;
	}
	return p;
}

void progress_free(struct progress *p)
{
	if (!p)
		return;
	pthread_mutex_destroy(&p->lock);
	free(p->ring);
	free(p);
}

/* 0 is the oldest that is kept */
static struct event *at(const struct progress *p, unsigned i)
{
	return &p->ring[(p->next + p->room - p->used + i) % p->room];
}

/* the newest event, when the coming one only tells a later percentage of the same step */
static struct event *same_percent(const struct progress *p, const struct event *ev)
{
	struct event *last = p->used ? at(p, p->used - 1) : NULL;

	if (!last || ev->type != EVENT_PROGRESS || last->type != EVENT_PROGRESS ||
	    last->step != ev->step)
		return NULL;
	return last;
}

void progress_put(struct progress *p, const struct event *ev)
{
	pthread_mutex_lock(&p->lock);
	struct event *to = same_percent(p, ev);
	if (!to) {
		to = &p->ring[p->next];
		p->next = (p->next + 1) % p->room;
		if (p->used < p->room)
			p->used++;
	}
	*to = *ev;
	to->seq = ++p->seq;
	pthread_mutex_unlock(&p->lock);
}

int progress_get(struct progress *p, uint64_t *cursor, struct event *ev, uint64_t *lost)
{
	int found = 0;

	pthread_mutex_lock(&p->lock);
	uint64_t oldest = p->used ? at(p, 0)->seq : 0;
	for (unsigned i = 0; i < p->used && !found; i++) {
		if (at(p, i)->seq <= *cursor)
			continue;
		*ev = *at(p, i);
		if (i == 0 && p->used == p->room && oldest - 1 > *cursor)
			*lost += oldest - 1 - *cursor;
		*cursor = ev->seq;
		found = 1;
	}
	pthread_mutex_unlock(&p->lock);
	return found;
}
