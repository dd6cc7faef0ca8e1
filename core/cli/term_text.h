/* What a terminal shows, as text: sizes, times, the bar, the error report. Nothing here writes. */
#ifndef CLI_TERM_TEXT_H
#define CLI_TERM_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "corelib/base/err.h"

struct term_style {
	unsigned width; /* columns */
	bool color;
};

/* "812 B", "12.4 MB": seven columns at most */
void term_size(uint64_t bytes, char out[16]);
/* "0:07", "1:02:33", "--:--" when it is longer than 99 hours */
void term_time(uint64_t seconds, char out[16]);

struct term_bar {
	unsigned step, steps;
	const char *action; /* "writing" */
	const char *name;
	uint64_t bytes, total; /* total 0 = not known */
	uint64_t speed;	       /* bytes a second; 0 = not known yet */
};
/* one line without line end, at most width - 3 columns: the terminal itself may print ^C there */
void term_bar_text(const struct term_bar *b, const struct term_style *s, char *out, size_t n);
/* the line that stays when a step is through; elapsed in milliseconds */
void term_step_text(const struct term_bar *b, uint64_t elapsed, const struct term_style *s,
		    char *out, size_t n);

/* DESIGN 8: a headline, then what, where, why, fix, code; long texts go on below themselves */
void term_error_text(const char *program, const char *headline, const struct err *e,
		     const struct term_style *s, char *out, size_t n);
#define TERM_ERROR_MAX 8192

/* columns that a UTF-8 text takes, each character counted as one */
size_t term_columns(const char *s);

#endif
