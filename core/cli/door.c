/* Running a job from the command line. */
#include "core/cli/door.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/jsonout.h"
#include "core/cli/report.h"
#include "core/cli/term.h"
#include "core/watch.h"
#include "corelib/base/log.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

/* a signal handler can be told about the job in no other way */
static struct job *volatile running;

struct show {
	const struct door *door;
	const struct job_request *request;
	struct job *job;
	struct watch *watch;
	struct term term;
	struct jsonout json;
};

/* ---- signals --------------------------------------------------------------------------------- */

static void cancel(int sig)
{
	struct job *j = running;

	(void)sig;
	if (j)
		job_cancel(j);
}

static void catch_signals(void)
{
	static const int sigs[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction a = {.sa_handler = cancel};

	sigemptyset(&a.sa_mask);
	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++)
		sigaction(sigs[i], &a, NULL);
}

/* ---- what the watching thread calls ---------------------------------------------------------- */

static void terminal_event(void *arg, const struct event *ev, uint64_t now)
{
	struct show *s = arg;

	/* the log of a terminal leaves information out: a script's own words are for whoever looks
	 * on */
	if (ev->type == EVENT_LOG && ev->output && ev->level == LOG_LEVEL_INFO &&
	    !s->door->cfg->has_loglevel && !s->door->cfg->verbose) {
		char line[sizeof(ev->text) + 1];

		text_print(line, sizeof(line), "%s\n", ev->text);
		term_line(&s->term, line, strlen(line), now);
	}
	term_event(&s->term, ev, now);
}

static void terminal_line(void *arg, const char *text, size_t n, uint64_t now)
{
	struct show *s = arg;

	term_line(&s->term, text, n, now);
}

static void terminal_tick(void *arg, uint64_t now)
{
	struct show *s = arg;

	term_tick(&s->term, now);
}

static void json_event(void *arg, const struct event *ev, uint64_t now)
{
	struct show *s = arg;

	jsonout_event(&s->json, ev, now);
}

static void json_lost(void *arg, uint64_t count)
{
	struct show *s = arg;

	jsonout_lost(&s->json, count);
}

static void json_tick(void *arg, uint64_t now)
{
	struct show *s = arg;

	jsonout_tick(&s->json, now);
}

/* ---- beginning and end ----------------------------------------------------------------------- */

static int show_start(struct show *s, struct err *e)
{
	struct watch_sink terminal = {
		.event = terminal_event, .line = terminal_line, .tick = terminal_tick, .arg = s};
	struct watch_sink json = {
		.event = json_event, .lost = json_lost, .tick = json_tick, .arg = s};
	enum output output = s->door->output;
	int rc;

	if (output == OUTPUT_LINES)
		return 0;
	term_init(&s->term, STDERR_FILENO);
	rc = watch_start(&s->watch, s->job, output == OUTPUT_JSON ? &json : &terminal, e);
	if (rc == 0 && output == OUTPUT_TERMINAL)
		configure_log(s->door->cfg, watch_log_fd(s->watch), output);
	return rc;
}

static void show_stop(struct show *s, bool success)
{
	if (s->watch && s->door->output == OUTPUT_TERMINAL)
		configure_log(s->door->cfg, STDERR_FILENO, s->door->output);
	s->watch = watch_stop(s->watch);
	if (s->door->output == OUTPUT_TERMINAL)
		term_end(&s->term, success, sys_now_ms());
}

static void success_text(const struct show *s, char *out, size_t n)
{
	const char *version = job_version(s->job);
	char what[400];

	if (*version)
		text_print(what, sizeof(what), "release %s of '%s'", version, s->request->name);
	else
		text_print(what, sizeof(what), "'%s'", s->request->name);
	if (s->request->mode == JOB_CHECK)
		text_print(out, n, "%s can be installed: every check passed, nothing was written",
			   what);
	else if (s->request->mode == JOB_DRY_RUN)
		text_print(out, n, "%s was unpacked and dropped: nothing was written", what);
	else
		text_print(out, n, "%s is installed%s", what,
			   job_wants_reboot(s->job) ? "; reboot to start it" : "");
}

static int64_t now_real_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void headline(enum job_mode mode, const char *bundle, char *out, size_t n)
{
	char name[192];

	text_printable(bundle, strlen(bundle), name, sizeof(name));
	text_print(out, n,
		   mode == JOB_INSTALL ? "'%s' was not installed" : "'%s' would not be installed",
		   name);
}

static void show_verdict(struct show *s, int rc, const struct err *e)
{
	char first[256], success[512] = "";
	struct report r = {.program = s->door->program,
			   .headline = first,
			   .success = success,
			   .err = rc < 0 ? e : NULL};
	struct jsonout_verdict v = {.time_ms = now_real_ms(),
				    .bundle = s->request->name,
				    .err = r.err,
				    .version = s->job ? job_version(s->job) : NULL,
				    .reboot = rc == 0 && s->job && job_wants_reboot(s->job)};

	headline(s->request->mode, s->request->name, first, sizeof(first));
	if (rc == 0)
		success_text(s, success, sizeof(success));
	if (s->door->output == OUTPUT_TERMINAL)
		report_terminal(&r, STDERR_FILENO);
	else
		report_lines(&r);
	if (rc == 0 && s->door->cfg->as_swupdate && s->door->output == OUTPUT_LINES)
		log_info("SWUPDATE successful !");
	if (s->door->output != OUTPUT_JSON)
		return;
	jsonout_result(&s->json, &v);
	jsonout_end(&s->json);
}

static int show_run(struct show *s, struct err *e)
{
	int rc = show_start(s, e);

	if (rc == 0) {
		running = s->job;
		catch_signals();
		rc = job_submit(s->job, s->request, e);
		running = NULL;
	}
	show_stop(s, rc == 0);
	return rc;
}

int door_run(const struct door *d, const struct job_request *request, struct err *e)
{
	struct show s = {.door = d, .request = request};
	int rc = 0;

	if (d->output == OUTPUT_JSON)
		rc = jsonout_init(&s.json, STDOUT_FILENO, e);
	if (rc == 0)
		rc = job_new(&s.job, d->cfg, e);
	if (rc == 0)
		rc = show_run(&s, e);
	show_verdict(&s, rc, e);
	if (rc == 0 && job_after_failed(s.job))
		rc = 1;
	job_free(s.job);
	jsonout_clear(&s.json);
	return rc;
}

void door_refuse(const struct door *d, const char *bundle, const struct err *e)
{
	struct report r = {.program = d->program, .err = e};
	struct jsonout_verdict v = {.time_ms = now_real_ms(), .bundle = bundle, .err = e};
	struct jsonout json;
	struct err none = {0};

	if (d->output == OUTPUT_TERMINAL)
		report_terminal(&r, STDERR_FILENO);
	else
		report_lines(&r);
	if (d->output != OUTPUT_JSON || jsonout_init(&json, STDOUT_FILENO, &none) < 0)
		return;
	jsonout_result(&json, &v);
	jsonout_end(&json);
	jsonout_clear(&json);
}
