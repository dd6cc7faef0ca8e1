/* The watching thread. */
#include "core/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "corelib/base/thread.h"

#define TICK_MS	  250 /* without an event */
#define PAUSE_MS  50  /* between two looks into the ring: progress comes far more often */
#define LINE_ROOM 4096

struct watch {
	struct job *job;
	struct watch_sink sink;
	pthread_t thread;
	int wake_fd, stop_fd;
	int log_r, log_w;
	atomic_bool woken;
	uint64_t cursor, lost;
};

static void ring(int fd)
{
	const uint64_t one = 1;

	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* called by the job's threads */
static void wake(void *arg)
{
	struct watch *w = arg;

	if (!atomic_exchange(&w->woken, true))
		ring(w->wake_fd);
}

static void drain_events(struct watch *w)
{
	struct event ev;
	uint64_t told = w->lost, count;

	/* before reading: what comes from now on rings again */
	if (read(w->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return;
	atomic_store(&w->woken, false);
	while (progress_get(job_progress(w->job), &w->cursor, &ev, &w->lost) > 0) {
		if (w->lost != told && w->sink.lost)
			w->sink.lost(w->sink.arg, w->lost - told);
		told = w->lost;
		w->sink.event(w->sink.arg, &ev, sys_now_ms());
	}
}

static void drain_log(struct watch *w)
{
	char text[LINE_ROOM];
	ssize_t n;

	while (w->log_r >= 0 && (n = read(w->log_r, text, sizeof(text))) > 0)
		w->sink.line(w->sink.arg, text, (size_t)n, sys_now_ms());
}

/* true when told to stop */
static bool wait_for(struct watch *w, bool events, int ms)
{
	struct pollfd p[] = {
		{.fd = w->stop_fd, .events = POLLIN},
		{.fd = w->log_r, .events = POLLIN},
		{.fd = events ? w->wake_fd : -1, .events = POLLIN},
	};

	(void)poll(p, ARRAY_SIZE(p), ms);
	return p[0].revents != 0;
}

static void *watch_run(void *arg)
{
	struct watch *w = arg;
	bool stop = false;

	while (!stop) {
		stop = wait_for(w, true, TICK_MS);
		drain_log(w);
		drain_events(w);
		if (w->sink.tick)
			w->sink.tick(w->sink.arg, sys_now_ms());
		stop = stop || wait_for(w, false, PAUSE_MS);
	}
	drain_log(w);
	drain_events(w);
	return NULL;
}

static struct watch *let_go(struct watch *w)
{
	cleanup_close(&w->wake_fd);
	cleanup_close(&w->stop_fd);
	cleanup_close(&w->log_r);
	cleanup_close(&w->log_w);
	free(w);
	return NULL;
}

static int open_all(struct watch *w)
{
	int p[2];

	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->wake_fd < 0 || w->stop_fd < 0)
		return -errno;
	if (!w->sink.line)
		return 0;
	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	w->log_r = p[0];
	w->log_w = p[1];
	return 0;
}

int watch_start(struct watch **out, struct job *j, const struct watch_sink *sink, struct err *e)
{
	struct watch *w = calloc(1, sizeof(*w));
	int rc;

	if (!w)
		return err_set(e, E_MEMORY, ENOMEM, "watching a job");
	w->job = j;
	w->sink = *sink;
	w->wake_fd = w->stop_fd = w->log_r = w->log_w = -1;
	rc = open_all(w);
	if (rc < 0)
		err_sys(e, E_SYS, -rc, "preparing to show progress");
	else
		rc = thread_start(&w->thread, watch_run, w, e);
	if (rc < 0) {
		let_go(w);
		return rc;
	}
	job_subscribe(j, wake, w);
	*out = w;
	return 0;
}

int watch_log_fd(const struct watch *w)
{
	return w->log_w;
}

struct watch *watch_stop(struct watch *w)
{
	if (!w)
		return NULL;
	job_subscribe(w->job, NULL, NULL);
	ring(w->stop_fd);
	pthread_join(w->thread, NULL);
	return let_go(w);
}
