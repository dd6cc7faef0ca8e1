/* The log: levels, prefixes, nothing unprintable, no waiting for who does not read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "corelib/base/log.h"
#include "corelib/base/sys.h"
#include "tests/unit/kit/hang.h"

static int fds[2];
static char got[1 << 17];

static int open_pipe(void **state)
{
	(void)state;
	return pipe2(fds, 0);
}

static int close_pipe(void **state)
{
	const struct log_config plain = {.level = LOG_LEVEL_INFO, .fd = 2};

	(void)state;
	log_init(&plain);
	close(fds[0]);
	close(fds[1]);
	return 0;
}

static void start(enum log_level level, bool terminal)
{
	const struct log_config c = {.level = level, .fd = fds[1], .terminal = terminal};

	log_init(&c);
}

/* what is in the pipe now */
static const char *output(void)
{
	ssize_t n = 0;

	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	for (ssize_t r; (r = read(fds[0], got + n, sizeof(got) - 1 - (size_t)n)) > 0;)
		n += r;
	got[n] = '\0';
	return got;
}

static void log_lines_start_with_their_level_off_a_terminal(void **state)
{
	(void)state;
	start(LOG_LEVEL_TRACE, false);
	log_error("e %d", 1);
	log_warn("w");
	log_info("i");
	log_debug("d");
	log_trace("t");
	assert_string_equal(output(),
			    "[ERROR] : e 1\n[WARN ] : w\n[INFO ] : i\n[DEBUG] : d\n[TRACE] : t\n");
}

/* lost lines are counted for each, so that a reader who stopped does not slow the other one */
static void log_errors_and_other_lines_may_go_apart(void **state)
{
	struct log_config c = {.level = LOG_LEVEL_INFO, .fd = fds[1]};
	char line[64] = "";
	int other[2];

	(void)state;
	assert_int_equal(pipe2(other, O_NONBLOCK), 0);
	c.info_fd = other[1];
	log_init(&c);
	log_error("e");
	log_warn("w");
	log_info("i");
	assert_string_equal(output(), "[ERROR] : e\n");
	assert_int_equal(read(other[0], line, sizeof(line) - 1), 24);
	assert_string_equal(line, "[WARN ] : w\n[INFO ] : i\n");
	close(other[0]); /* nobody reads what is no error */
	log_info("lost");
	log_error("seen");
	assert_string_equal(output(), "[ERROR] : seen\n");
	close(other[1]);
}

static void log_is_kinder_on_a_terminal(void **state)
{
	(void)state;
	start(LOG_LEVEL_INFO, true);
	log_error("e");
	log_warn("w");
	log_info("i");
	assert_string_equal(output(), "error: e\nwarning: w\ni\n");
}

static void log_level_filters(void **state)
{
	(void)state;
	for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_TRACE; level++) {
		unsigned lines = 0;

		start((enum log_level)level, false);
		for (int l = 0; l <= LOG_LEVEL_TRACE + 1; l++)
			log_line((enum log_level)l, "x");
		for (const char *p = output(); *p; p++)
			lines += *p == '\n';
		assert_int_equal(lines, level);
		assert_true(log_wants(LOG_LEVEL_ERROR));
		assert_int_equal(log_wants(LOG_LEVEL_TRACE), level == LOG_LEVEL_TRACE);
	}
}

static void t118_log_lets_no_control_byte_of_foreign_text_through(void **state)
{
	char all[256];
	size_t n = 0;

	(void)state;
	for (int c = 1; c < 256; c++)
		all[n++] = (char)c;
	all[n] = '\0';
	start(LOG_LEVEL_INFO, false);
	log_info("%s", all);
	log_info("%s", "\n<0>fake\x1b[2J\xc2\x9b");
	output();
	assert_non_null(strstr(got, "[INFO ] : \\x0a<0>fake\\x1b[2J\\xc2\\x9b\n"));
	n = 0;
	for (const char *p = got; *p; p++) {
		assert_true(*p == '\n' || ((unsigned char)*p >= 0x20 && *p != 0x7f));
		n += *p == '\n';
	}
	assert_int_equal(n, 2);
}

static void t119_log_takes_format_signs_in_foreign_text_as_text(void **state)
{
	(void)state;
	start(LOG_LEVEL_INFO, false);
	log_info("%s", "%n%s%p");
	assert_string_equal(output(), "[INFO ] : %n%s%p\n");
}

static void log_very_long_line_is_cut_visibly(void **state)
{
	static char big[5000];

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	start(LOG_LEVEL_INFO, false);
	log_info("%s\x1b", big);
	assert_true(strlen(output()) < 2200);
	assert_non_null(strstr(got, "xxx"));
}

static void log_reader_who_does_not_read_costs_no_time_and_hears_of_it(void **state)
{
	uint64_t begin;

	(void)state;
	start(LOG_LEVEL_INFO, false);
	begin = sys_now_ms();
	for (int i = 0; i < 5000; i++)
		log_info("line %d of a log that nobody reads", i);
	assert_true(sys_now_ms() - begin < HANG_MS);
	assert_non_null(strstr(output(), "line 0 of"));
	log_info("after");
	output();
	assert_non_null(strstr(got, "\n[WARN ] : "));
	assert_non_null(
		strstr(got, " lines of the log were not read and are lost\n[INFO ] : after\n"));
	log_info("last");
	assert_string_equal(output(), "[INFO ] : last\n");
}

static void log_reader_who_is_gone_does_not_end_us(void **state)
{
	(void)state;
	start(LOG_LEVEL_INFO, false);
	close(fds[0]);
	log_info("nobody");
	fds[0] = open("/dev/null", O_RDONLY);
}

static void *many_lines(void *arg)
{
	for (int i = 0; i < 100; i++)
		log_info("thread %s", (const char *)arg);
	return NULL;
}

static void log_lines_of_threads_stay_whole(void **state)
{
	pthread_t a, b;
	unsigned lines = 0;

	(void)state;
	start(LOG_LEVEL_INFO, false);
	assert_int_equal(pthread_create(&a, NULL, many_lines, (void *)"aaaa"), 0);
	assert_int_equal(pthread_create(&b, NULL, many_lines, (void *)"bbbb"), 0);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	for (char *line = strtok((char *)output(), "\n"); line; line = strtok(NULL, "\n")) {
		assert_true(strcmp(line, "[INFO ] : thread aaaa") == 0 ||
			    strcmp(line, "[INFO ] : thread bbbb") == 0);
		lines++;
	}
	assert_int_equal(lines, 200);
}

static void log_goes_to_syslog_with_its_severity_and_never_waits(void **state)
{
	char root[] = "/tmp/swinstall-log-XXXXXX", dev[64];
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct log_config c = {.level = LOG_LEVEL_INFO, .fd = fds[1], .syslog = true};
	int s = socket(AF_UNIX, SOCK_DGRAM, 0);
	char line[3000], want[64];
	ssize_t n;

	(void)state;
	assert_non_null(mkdtemp(root));
	snprintf(dev, sizeof(dev), "%s/dev", root);
	assert_int_equal(mkdir(dev, 0700), 0);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/log", dev);
	sys_set_root(root);
	log_init(&c);
	log_info("nobody listens yet");
	assert_int_equal(bind(s, (const struct sockaddr *)&at, sizeof(at)), 0);
	log_error("bad\n<0>thing");
	n = recv(s, line, sizeof(line) - 1, 0);
	assert_true(n > 0);
	line[n] = '\0';
	snprintf(want, sizeof(want), "<27>swinstall[%ld]: bad\\x0a<0>thing", (long)getpid());
	assert_string_equal(line, want);
	uint64_t begin = sys_now_ms();
	for (int i = 0; i < 3000; i++) {
		log_info("the system's logger sleeps");
		if (i % 100 == 0)
			output();
	}
	assert_true(sys_now_ms() - begin < HANG_MS);
	close(s);
	unlink(at.sun_path);
	rmdir(dev);
	rmdir(root);
	sys_set_root(NULL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, open_pipe, close_pipe)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(log_lines_start_with_their_level_off_a_terminal),
		T(log_errors_and_other_lines_may_go_apart),
		T(log_is_kinder_on_a_terminal),
		T(log_level_filters),
		T(t118_log_lets_no_control_byte_of_foreign_text_through),
		T(t119_log_takes_format_signs_in_foreign_text_as_text),
		T(log_very_long_line_is_cut_visibly),
		T(log_reader_who_does_not_read_costs_no_time_and_hears_of_it),
		T(log_reader_who_is_gone_does_not_end_us),
		T(log_lines_of_threads_stay_whole),
		T(log_goes_to_syslog_with_its_severity_and_never_waits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
