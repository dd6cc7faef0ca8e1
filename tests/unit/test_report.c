/* The verdict off a terminal: lines that programs parse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/cli/report.h"
#include "corelib/base/log.h"

static char text[16384];

static char *lines_of(const struct report *r)
{
	struct log_config l = {.level = LOG_LEVEL_INFO};
	ssize_t n;
	int p[2];

	assert_int_equal(pipe2(p, O_NONBLOCK), 0);
	l.fd = p[1];
	log_init(&l);
	report_to(r, p[1]); /* a pipe is no terminal */
	n = read(p[0], text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	close(p[0]);
	close(p[1]);
	return text;
}

static void each_field_is_an_error_line_and_the_name_is_the_last(void **state)
{
	struct err e = {0};
	struct report r = {
		.program = "swinstall", .headline = "'a.swu' was not installed", .err = &e};

	(void)state;
	err_set(&e, E_TARGET_SMALL, ENOSPC, "too small");
	err_at(&e, -1, "/dev/mmcblk0p3");
	err_at(&e, -1, "images[0]");
	assert_string_equal(
		lines_of(&r),
		"[ERROR] : swinstall: 'a.swu' was not installed\n"
		"[ERROR] : what  the target is too small\n"
		"[ERROR] : where /dev/mmcblk0p3, images[0]\n"
		"[ERROR] : why   too small\n"
		"[ERROR] : fix   enlarge the partition or build a smaller image; nothing was activated, "
		"the running system is unchanged\n"
		"[ERROR] : E_TARGET_SMALL: /dev/mmcblk0p3\n");
}

static void fields_that_are_empty_are_left_out(void **state)
{
	struct err e = {0};
	struct report r = {.program = "swinstall", .err = &e};
	const char *out;

	(void)state;
	err_set(&e, E_USAGE, EINVAL, "no bundle");
	out = lines_of(&r);
	assert_null(strstr(out, "where"));
	assert_non_null(strstr(out, "[ERROR] : E_USAGE\n"));
	assert_non_null(strstr(out, "[ERROR] : swinstall: the command line cannot be used\n"));
}

static void success_is_one_line(void **state)
{
	struct report r = {.program = "swinstall", .success = "done"};

	(void)state;
	assert_string_equal(lines_of(&r), "[INFO ] : done\n");
}

/* T118: nothing that came from a bundle breaks a line */
static void t118_foreign_text_makes_no_line_of_its_own(void **state)
{
	struct err e = {0};
	struct report r = {.program = "swinstall",
			   .headline = "'a\n[INFO ] : done\033[2J' was not installed",
			   .err = &e};
	char *rest = NULL;

	(void)state;
	err_set(&e, E_CPIO_NAME, EINVAL, "'%s'", "x\n[INFO ] : installed\r\033[31m");
	for (char *line = strtok_r(lines_of(&r), "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		assert_int_equal(strncmp(line, "[ERROR] : ", 10), 0);
		for (; *line; line++)
			assert_true((unsigned char)*line >= 0x20);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_field_is_an_error_line_and_the_name_is_the_last),
		cmocka_unit_test(fields_that_are_empty_are_left_out),
		cmocka_unit_test(success_is_one_line),
		cmocka_unit_test(t118_foreign_text_makes_no_line_of_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
