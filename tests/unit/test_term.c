/* What a terminal shows, and how little a terminal that stands still costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cli/term.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "tests/unit/kit/hang.h"

static const struct term_style plain = {.width = 80}, narrow = {.width = 20};

static void sizes_are_short_and_readable(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} rows[] = {
		{0, "0 B"},
		{999, "999 B"},
		{1000, "1.0 kB"},
		{1999, "1.9 kB"},
		{12400000, "12.4 MB"},
		{999999999, "999.9 MB"},
		{4294967296, "4.2 GB"},
		{UINT64_MAX, "18.4 EB"},
	};
	char out[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		term_size(rows[i].bytes, out);
		assert_string_equal(out, rows[i].text);
	}
}

static void times_are_short_and_readable(void **state)
{
	static const struct {
		uint64_t seconds;
		const char *text;
	} rows[] = {{0, "0:00"},	  {7, "0:07"},		{61, "1:01"},
		    {3753, "1:02:33"},	  {359999, "99:59:59"}, {360000, "--:--"},
		    {UINT64_MAX, "--:--"}};
	char out[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		term_time(rows[i].seconds, out);
		assert_string_equal(out, rows[i].text);
	}
}

static struct term_bar half(void)
{
	return (struct term_bar){.step = 1,
				 .steps = 2,
				 .action = "writing",
				 .name = "rootfs.ext4",
				 .bytes = 50000000,
				 .total = 100000000,
				 .speed = 25000000};
}

static void bar_tells_step_percent_speed_and_time_left(void **state)
{
	struct term_bar b = half();
	char out[256];

	(void)state;
	term_bar_text(&b, &plain, out, sizeof(out));
	assert_non_null(strstr(out, "1/2 writing rootfs.ext4"));
	assert_non_null(strstr(out, "==>"));
	assert_non_null(strstr(out, " 50%"));
	assert_non_null(strstr(out, "25.0 MB/s"));
	assert_non_null(strstr(out, "0:02 left"));
	b.speed = 0;
	term_bar_text(&b, &plain, out, sizeof(out));
	assert_non_null(strstr(out, "--:-- left"));
	b.total = 0;
	term_bar_text(&b, &plain, out, sizeof(out));
	assert_non_null(strstr(out, "50.0 MB"));
	assert_null(strchr(out, '%'));
	assert_null(strchr(out, '['));
}

static void bar_never_reaches_the_last_column(void **state)
{
	static const char *const names[] = {
		"a", "rootfs-of-a-very-long-name-that-nobody-wants-to-read.ext4.zst",
		"\xc3\xa4\xc3\xb6\xc3\xbc-\xe6\x97\xa5\xe6\x9c\xac-\xf0\x9f\x98\x80", ""};
	static const uint64_t totals[] = {0, 1, 100000000, UINT64_MAX};
	char out[1024];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		for (size_t k = 0; k < ARRAY_SIZE(totals); k++)
			for (unsigned width = 0; width < 250; width++) {
				struct term_style s = {.width = width};
				struct term_bar b = half();

				b.name = names[i];
				b.total = totals[k];
				b.bytes = totals[k] / 2;
				term_bar_text(&b, &s, out, sizeof(out));
				assert_true(term_columns(out) <= (width ? width - 1 : 0));
				assert_true(text_is_utf8(out, strlen(out)));
				term_step_text(&b, 1234, &s, out, sizeof(out));
				assert_true(term_columns(out) <= (width ? width - 1 : 0) ||
					    !*b.name || width < 60);
			}
}

static void a_step_too_short_to_measure_shows_no_speed(void **state)
{
	struct term_style s = {.width = 80};
	struct term_bar b = {
		.step = 1, .steps = 1, .action = "writing", .name = "x", .bytes = 3100000};
	char out[512];

	(void)state;
	for (uint64_t ms = 0; ms < 100; ms += 33) {
		term_step_text(&b, ms, &s, out, sizeof(out));
		assert_non_null(strstr(out, "MB"));
		assert_null(strstr(out, "/s"));
		assert_null(strstr(out, " in "));
	}
	term_step_text(&b, 100, &s, out, sizeof(out));
	assert_non_null(strstr(out, "in 0.1 s, "));
}

static void percent_stays_within_its_hundred(void **state)
{
	struct term_bar b = half();
	char out[256];

	(void)state;
	b.bytes = UINT64_MAX;
	term_bar_text(&b, &plain, out, sizeof(out));
	assert_non_null(strstr(out, "100%"));
	assert_non_null(strstr(out, "0:00 left"));
	b.total = UINT64_MAX;
	b.bytes = UINT64_MAX - 1;
	term_bar_text(&b, &plain, out, sizeof(out));
	assert_non_null(strstr(out, "%"));
}

static struct err small(void)
{
	struct err e = {0};

	err_set(&e, E_TARGET_SMALL, ENOSPC,
		"No space left on device: the partition has 536870912 bytes, the image needs 612368384");
	err_at(&e, -1, "/dev/mmcblk0p3");
	err_at(&e, -1, "images[0] of release 2.4.1");
	err_while(&e, -1, "write of 1048576 bytes failed at offset 536870912");
	return e;
}

static void error_report_has_five_fields_within_the_width(void **state)
{
	struct err e = small();
	char out[TERM_ERROR_MAX], *rest = NULL;

	(void)state;
	term_error_text("swinstall", "'rootfs.swu' was not installed", &e, &plain, out,
			sizeof(out));
	assert_non_null(strstr(out, "swinstall: 'rootfs.swu' was not installed\n"));
	assert_non_null(strstr(out, "\n  what   write of 1048576 bytes"));
	assert_non_null(strstr(out, "\n  where  /dev/mmcblk0p3, images[0]"));
	assert_non_null(strstr(out, "\n  why    No space left"));
	assert_non_null(strstr(out, "\n         ")); /* goes on below */
	assert_non_null(strstr(out, "\n  fix    enlarge"));
	assert_non_null(strstr(out, "\n  code   SWI-210 E_TARGET_SMALL (doc/errors.md#swi-210)\n"));
	for (char *line = strtok_r(out, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		assert_true(term_columns(line) <= 80);
}

static void error_report_keeps_long_words_whole(void **state)
{
	struct err e = {0};
	char out[TERM_ERROR_MAX];

	(void)state;
	err_set(&e, E_FILE, ENOENT, "/a/path/longer/than/a/line cannot be opened");
	term_error_text("x", "y", &e, &narrow, out, sizeof(out));
	assert_non_null(strstr(out, "/a/path/longer/than/a/line\n"));
}

static void error_report_is_colored_only_where_asked(void **state)
{
	struct err e = small();
	struct term_style colored = {.width = 80, .color = true};
	char out[TERM_ERROR_MAX];

	(void)state;
	term_error_text("x", "y", &e, &plain, out, sizeof(out));
	assert_null(strchr(out, '\033'));
	term_error_text("x", "y", &e, &colored, out, sizeof(out));
	assert_non_null(strchr(out, '\033'));
}

static void error_report_of_the_longest_texts_fits(void **state)
{
	struct err e = {0};
	char out[TERM_ERROR_MAX], word[600];

	(void)state;
	memset(word, 'w', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	for (size_t i = 2; i < sizeof(word) - 1; i += 3)
		word[i] = ' ';
	err_set(&e, E_FILE, ENOENT, "%s", word);
	err_while(&e, -1, "%s", word);
	err_at(&e, -1, "%s", word);
	err_fix(&e, "%s", word);
	for (unsigned width = 0; width < 40; width++) {
		struct term_style s = {.width = width, .color = true};

		term_error_text("swinstall", "y", &e, &s, out, sizeof(out));
		assert_non_null(strstr(out, "#swi-216)\n"));
	}
}

static char *drawn(int fd)
{
	static char text[65536];
	ssize_t n = read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static size_t count(const char *text, const char *part)
{
	size_t n = 0;

	for (; (text = strstr(text, part)); text++)
		n++;
	return n;
}

static struct event step_event(void)
{
	struct event ev = {.type = EVENT_STEP, .step = 1, .steps = 1, .total = 1000000};

	text_copy(ev.text, sizeof(ev.text), "writing");
	text_copy(ev.name, sizeof(ev.name), "rootfs");
	return ev;
}

static void bar_is_drawn_ten_times_a_second_at_most(void **state)
{
	struct event ev = step_event();
	struct term t;
	char *text;
	int p[2];

	(void)state;
	assert_int_equal(pipe2(p, O_NONBLOCK), 0);
	term_init(&t, p[1]);
	term_event(&t, &ev, 5000);
	ev.type = EVENT_PROGRESS;
	for (uint64_t ms = 1; ms <= 1000; ms++) {
		ev.bytes = ms * 1000;
		term_event(&t, &ev, 5000 + ms);
	}
	text = drawn(p[0]);
	assert_in_range(count(text, "\r"), 10, 12);
	term_end(&t, true, 6000);
	assert_non_null(strstr(drawn(p[0]), "1/1 written rootfs  1.0 MB in 1.0 s, 1.0 MB/s\n"));
	close(p[0]);
	close(p[1]);
}

static void lines_go_above_the_bar(void **state)
{
	struct event ev = step_event();
	struct term t;
	int p[2];

	(void)state;
	assert_int_equal(pipe2(p, O_NONBLOCK), 0);
	term_init(&t, p[1]);
	term_event(&t, &ev, 5000);
	drawn(p[0]);
	term_line(&t, "warning: x\n", 11, 5050);
	assert_non_null(strstr(drawn(p[0]), "\r\033[Kwarning: x\n\r\033[K1/1 writing"));
	term_end(&t, false, 5060);
	assert_string_equal(drawn(p[0]),
			    "\r\033[K"); /* a step that broke off is not called written */
	close(p[0]);
	close(p[1]);
}

/* L4: a terminal that nobody reads (^S, a dead ssh) costs a moment a picture, not for ever */
static void a_full_terminal_does_not_make_us_wait(void **state)
{
	struct event ev = step_event();
	struct term t;
	uint64_t start;
	char fill[4096] = {0};
	int p[2];

	(void)state;
	assert_int_equal(pipe2(p, O_NONBLOCK), 0);
	while (write(p[1], fill, sizeof(fill)) > 0)
		;
	term_init(&t, p[1]);
	start = sys_now_ms();
	for (uint64_t i = 0; i < 5; i++)
		term_event(&t, &ev, 5000 + i * 200);
	assert_true(sys_now_ms() - start < HANG_MS);
	close(p[0]);
	close(p[1]);
}

/* T118: what reaches the terminal was made printable when it entered the error */
static void t118_control_bytes_of_foreign_text_are_never_drawn(void **state)
{
	struct err e = {0};
	char out[TERM_ERROR_MAX];

	(void)state;
	err_set(&e, E_CPIO_NAME, EINVAL, "the name '%s'",
		"\033]0;x\a\r\n\x9b"
		"31m");
	term_error_text("swinstall", "no", &e, &plain, out, sizeof(out));
	for (const char *c = out; *c; c++)
		assert_true((unsigned char)*c >= 0x20 || *c == '\n');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_short_and_readable),
		cmocka_unit_test(times_are_short_and_readable),
		cmocka_unit_test(bar_tells_step_percent_speed_and_time_left),
		cmocka_unit_test(bar_never_reaches_the_last_column),
		cmocka_unit_test(a_step_too_short_to_measure_shows_no_speed),
		cmocka_unit_test(percent_stays_within_its_hundred),
		cmocka_unit_test(error_report_has_five_fields_within_the_width),
		cmocka_unit_test(error_report_keeps_long_words_whole),
		cmocka_unit_test(error_report_is_colored_only_where_asked),
		cmocka_unit_test(error_report_of_the_longest_texts_fits),
		cmocka_unit_test(bar_is_drawn_ten_times_a_second_at_most),
		cmocka_unit_test(lines_go_above_the_bar),
		cmocka_unit_test(a_full_terminal_does_not_make_us_wait),
		cmocka_unit_test(t118_control_bytes_of_foreign_text_are_never_drawn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
