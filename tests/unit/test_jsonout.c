/* Lines of JSON: whole, in order, and never waited for. Read back by jansson. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/jsonout.h"
#include "corelib/base/json.h"
#include "corelib/base/log.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

struct pair {
	int p[2];
	struct jsonout j;
	char *text;
	size_t n;
};

static void open_pair(struct pair *t, bool sockets)
{
	struct err e = {0};

	memset(t, 0, sizeof(*t));
	if (sockets)
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, t->p), 0);
	else
		assert_int_equal(pipe2(t->p, O_NONBLOCK), 0);
	assert_int_equal(jsonout_init(&t->j, t->p[1], &e), 0);
	t->text = calloc(1, 4 << 20);
	assert_non_null(t->text);
}

static void take(struct pair *t)
{
	ssize_t k;

	while ((k = read(t->p[0], t->text + t->n, 65536)) > 0)
		t->n += (size_t)k;
}

static void close_pair(struct pair *t)
{
	jsonout_clear(&t->j);
	close(t->p[0]);
	if (t->p[1] >= 0)
		close(t->p[1]);
	free(t->text);
}

/* each line is an object of version 1 whose seq is one more than the last */
static size_t check_lines(struct pair *t)
{
	char *rest = NULL;
	size_t n = 0;

	assert_true(t->n == 0 || t->text[t->n - 1] == '\n');
	for (char *line = strtok_r(t->text, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		json_t *o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

		if (!o)
			fail_msg("not JSON: %s", line);
		assert_int_equal(json_integer_value(json_object_get(o, "v")), 1);
		assert_int_equal(json_integer_value(json_object_get(o, "seq")), ++n);
		assert_true(json_is_integer(json_object_get(o, "t")));
		assert_true(json_is_string(json_object_get(o, "type")));
		json_decref(o);
	}
	return n;
}

static json_t *only_line(struct pair *t)
{
	json_t *o;

	take(t);
	o = json_loads(t->text, 0, NULL);
	if (!o)
		fail_msg("not one line of JSON: %s", t->text);
	return o;
}

static const char *text_of(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

static void json_text_escapes_what_breaks_a_line(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{"", "\"\""},
		{"a\"b\\c", "\"a\\\"b\\\\c\""},
		{"\n\r\t\033\x7f", "\"\\u000a\\u000d\\u0009\\u001b\\u007f\""},
		{"\xc2\x9b"
		 "31m",
		 "\"\\u009b31m\""},
		{"\xff\xc3", "\"\\ufffd\\ufffd\""},
		{"\xc3\xa4\xf0\x9f\x98\x80", "\"\xc3\xa4\xf0\x9f\x98\x80\""},
		{"%n%s", "\"%n%s\""},
	};
	char out[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		json_text(rows[i].in, out, sizeof(out));
		assert_string_equal(out, rows[i].out);
	}
}

/* what is written to a file is what a fixed memory takes, but never cut */
static void json_print_writes_the_same_and_whole(void **state)
{
	static const char hostile[] = "a\"\\\n\x01\x7f\xff\xc2\x85\xc3\xa4";
	char fixed[128], *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	(void)state;
	assert_non_null(f);
	json_print(f, hostile);
	json_member(f, "none", "");
	json_member(f, "none", NULL);
	assert_non_null(text_close(f, &text));
	json_text(hostile, fixed, sizeof(fixed));
	assert_string_equal(text, fixed);
	free(text);
}

static void json_text_is_never_cut_inside_an_escape(void **state)
{
	char out[64];

	(void)state;
	for (size_t n = 3; n < sizeof(out); n++) {
		json_t *v;

		json_text("ab\n\"\xc3\xa4\033xyz\xf0\x9f\x98\x80", out, n);
		assert_true(strlen(out) < n);
		v = json_loads(out, JSON_DECODE_ANY, NULL);
		assert_non_null(v);
		json_decref(v);
	}
}

static void events_have_their_members(void **state)
{
	struct event ev = {.type = EVENT_STEP, .time_ms = 1234, .step = 2, .steps = 3, .total = 10};
	struct pair t;
	json_t *o;

	(void)state;
	text_copy(ev.name, sizeof(ev.name), "rootfs \"x\"");
	text_copy(ev.handler, sizeof(ev.handler), "raw");
	text_copy(ev.text, sizeof(ev.text), "writing");
	open_pair(&t, false);
	jsonout_event(&t.j, &ev, 0);
	o = only_line(&t);
	assert_string_equal(text_of(o, "type"), "step");
	assert_string_equal(text_of(o, "name"), "rootfs \"x\"");
	assert_string_equal(text_of(o, "handler"), "raw");
	assert_string_equal(text_of(o, "action"), "writing");
	assert_int_equal(json_integer_value(json_object_get(o, "t")), 1234);
	assert_int_equal(json_integer_value(json_object_get(o, "step")), 2);
	assert_int_equal(json_integer_value(json_object_get(o, "total")), 10);
	json_decref(o);
	close_pair(&t);
}

static void states_and_log_lines_are_told_by_name(void **state)
{
	struct event ev = {.type = EVENT_LOG, .level = LOG_LEVEL_WARN};
	struct pair t;
	json_t *o;

	(void)state;
	text_copy(ev.text, sizeof(ev.text), "careful");
	open_pair(&t, false);
	jsonout_event(&t.j, &ev, 0);
	o = only_line(&t);
	assert_string_equal(text_of(o, "type"), "log");
	assert_string_equal(text_of(o, "level"), "warn");
	assert_string_equal(text_of(o, "text"), "careful");
	json_decref(o);
	close_pair(&t);
	open_pair(&t, false);
	ev.type = EVENT_STATE;
	ev.state = STATE_INSTALL;
	jsonout_event(&t.j, &ev, 0);
	o = only_line(&t);
	assert_string_equal(text_of(o, "type"), "state");
	assert_string_equal(text_of(o, "state"), job_state_name(STATE_INSTALL));
	json_decref(o);
	close_pair(&t);
}

static void a_failure_has_the_fields_of_its_error(void **state)
{
	struct jsonout_verdict v = {.time_ms = 5, .bundle = "a.swu"};
	struct err e = {0};
	struct pair t;
	json_t *o, *inner;

	(void)state;
	err_set(&e, E_TARGET_SMALL, ENOSPC, "too \"small\"");
	err_at(&e, -1, "/dev/x");
	v.err = &e;
	open_pair(&t, false);
	jsonout_result(&t.j, &v);
	jsonout_end(&t.j);
	o = only_line(&t);
	assert_string_equal(text_of(o, "type"), "result");
	assert_string_equal(text_of(o, "result"), "failure");
	assert_string_equal(text_of(o, "bundle"), "a.swu");
	inner = json_object_get(o, "error");
	assert_string_equal(text_of(inner, "code"), "SWI-210");
	assert_string_equal(text_of(inner, "name"), "E_TARGET_SMALL");
	assert_string_equal(text_of(inner, "what"), "the target is too small");
	assert_string_equal(text_of(inner, "where"), "/dev/x");
	assert_string_equal(text_of(inner, "why"), "too \"small\"");
	assert_true(strlen(text_of(inner, "fix")) > 0);
	json_decref(o);
	close_pair(&t);
}

static void a_success_tells_version_and_reboot(void **state)
{
	struct jsonout_verdict v = {.version = "2.0", .reboot = true};
	struct pair t;
	json_t *o;

	(void)state;
	open_pair(&t, false);
	jsonout_result(&t.j, &v);
	jsonout_end(&t.j);
	o = only_line(&t);
	assert_string_equal(text_of(o, "result"), "success");
	assert_string_equal(text_of(o, "version"), "2.0");
	assert_true(json_is_true(json_object_get(o, "reboot")));
	assert_null(json_object_get(o, "error"));
	json_decref(o);
	close_pair(&t);
}

static void the_longest_error_is_one_line(void **state)
{
	struct jsonout_verdict v = {0};
	struct err e = {.code = E_FILE, .sys = 5};
	struct pair t;
	json_t *o;

	(void)state;
	memset(e.what, '\033', sizeof(e.what) - 1);
	memset(e.where, '"', sizeof(e.where) - 1);
	memset(e.why, '\x01', sizeof(e.why) - 1);
	memset(e.fix, '\xff', sizeof(e.fix) - 1);
	v.err = &e;
	open_pair(&t, false);
	jsonout_result(&t.j, &v);
	jsonout_end(&t.j);
	o = only_line(&t);
	assert_int_equal(strlen(text_of(json_object_get(o, "error"), "why")), sizeof(e.why) - 1);
	json_decref(o);
	close_pair(&t);
}

static struct event progress_event(uint64_t bytes)
{
	return (struct event){.type = EVENT_PROGRESS,
			      .step = 1,
			      .steps = 1,
			      .bytes = bytes,
			      .total = 1000,
			      .percent = (unsigned)(bytes / 10)};
}

static void progress_is_told_ten_times_a_second_at_most(void **state)
{
	struct pair t;

	(void)state;
	open_pair(&t, false);
	for (uint64_t ms = 0; ms < 1000; ms++) {
		struct event ev = progress_event(ms);

		jsonout_event(&t.j, &ev, 5000 + ms);
	}
	take(&t);
	assert_in_range(check_lines(&t), 9, 11);
	close_pair(&t);
}

/* L4: nobody reads: progress goes first, then lines are counted; nothing is torn, nothing waits */
static void a_reader_that_sleeps_is_never_waited_for_and_gets_no_torn_line(void **state)
{
	(void)state;
	for (int sockets = 0; sockets < 2; sockets++) {
		struct jsonout_verdict v = {.version = "2.0"};
		struct pair t;
		size_t lines;

		open_pair(&t, sockets);
		for (unsigned i = 0; i < 20000; i++) {
			struct event ev = i % 2 ? progress_event(i)
						: (struct event){.type = EVENT_LOG, .level = 3};

			text_copy(ev.text, sizeof(ev.text),
				  "a line of the log that nobody reads for now");
			jsonout_event(&t.j, &ev, 5000 + i);
		}
		assert_true(t.j.lost > 0);
		/* it wakes up */
		for (int i = 0; i < 50; i++) {
			take(&t);
			jsonout_tick(&t.j, 30000);
		}
		jsonout_result(&t.j, &v);
		jsonout_end(&t.j);
		take(&t);
		assert_non_null(strstr(t.text, "events were not read and are lost"));
		assert_non_null(strstr(t.text, "\"result\":\"success\""));
		lines = check_lines(&t);
		assert_true(lines > 100);
		close_pair(&t);
	}
}

/* L4: what others wait for goes before progress, which the next line overtakes anyway */
static void progress_waits_for_nothing_and_is_left_out_first(void **state)
{
	struct event ev = {.type = EVENT_LOG, .level = 3}, progress = progress_event(500);
	struct pair t;
	size_t n;

	(void)state;
	open_pair(&t, false);
	while (t.j.n == 0)
		jsonout_event(&t.j, &ev, 5000);
	n = t.j.n;
	jsonout_event(&t.j, &progress, 6000);
	assert_int_equal(t.j.n, n);
	take(&t);
	jsonout_tick(&t.j, 7000); /* room again: now it is told */
	take(&t);
	assert_non_null(strstr(t.text, "\"progress\""));
	check_lines(&t);
	close_pair(&t);
}

static void a_reader_that_is_gone_is_forgotten(void **state)
{
	struct event ev = {.type = EVENT_LOG, .level = 3};
	struct jsonout_verdict v = {0};
	struct pair t;

	(void)state;
	open_pair(&t, false);
	close(t.p[0]);
	for (int i = 0; i < 1000; i++)
		jsonout_event(&t.j, &ev, 5000); /* SIGPIPE would end this test */
	jsonout_result(&t.j, &v);
	jsonout_end(&t.j);
	assert_true(t.j.gone);
	t.p[0] = open("/dev/null", O_RDONLY);
	close_pair(&t);
}

static void events_lost_before_they_came_here_are_told(void **state)
{
	struct event ev = {.type = EVENT_LOG, .level = 3};
	struct pair t;

	(void)state;
	open_pair(&t, false);
	jsonout_lost(&t.j, 7);
	jsonout_event(&t.j, &ev, 0);
	take(&t);
	assert_non_null(strstr(t.text, "7 events were not read and are lost"));
	assert_int_equal(check_lines(&t), 2);
	close_pair(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_text_escapes_what_breaks_a_line),
		cmocka_unit_test(json_print_writes_the_same_and_whole),
		cmocka_unit_test(json_text_is_never_cut_inside_an_escape),
		cmocka_unit_test(events_have_their_members),
		cmocka_unit_test(states_and_log_lines_are_told_by_name),
		cmocka_unit_test(a_failure_has_the_fields_of_its_error),
		cmocka_unit_test(a_success_tells_version_and_reboot),
		cmocka_unit_test(the_longest_error_is_one_line),
		cmocka_unit_test(progress_is_told_ten_times_a_second_at_most),
		cmocka_unit_test(a_reader_that_sleeps_is_never_waited_for_and_gets_no_torn_line),
		cmocka_unit_test(progress_waits_for_nothing_and_is_left_out_first),
		cmocka_unit_test(a_reader_that_is_gone_is_forgotten),
		cmocka_unit_test(events_lost_before_they_came_here_are_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
