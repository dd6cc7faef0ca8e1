#include "tests/unit/kit/told.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

void told_open(struct told *t)
{
	struct err e = {0};

	memset(t, 0, sizeof(*t));
	assert_int_equal(reporter_new(&t->reporter, &e), 0);
}

const char *told_lines(struct told *t)
{
	uint64_t lost = 0;
	struct event ev;

	while (progress_get(reporter_events(t->reporter), &t->cursor, &ev, &lost)) {
		size_t at = strlen(t->lines);

		if (ev.type == EVENT_LOG)
			snprintf(t->lines + at, sizeof(t->lines) - at, "%s\n", ev.text);
	}
	return t->lines;
}

void told_close(struct told *t)
{
	reporter_free(t->reporter);
	t->reporter = NULL;
}
