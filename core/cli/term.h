/*
 * The terminal: a bar that is drawn again at most ten times a second, lines above it, an error
 * report.
 *
 * Everything goes through sys_write_polite(): a terminal that is stopped (^S) loses pictures, never
 * our time. What is drawn comes from events only; the clock is the caller's, so that tests have
 * their own.
 */
#ifndef CLI_TERM_H
#define CLI_TERM_H

#include "core/cli/term_text.h"
#include "core/progress.h"

#define TERM_REDRAW_MS 100

struct term {
	int fd;
	struct term_style style;
	bool bar_shown;
	uint64_t drawn; /* when, in ms */
	/* the step under way */
	bool has_step;
	char action[64], name[128];
	unsigned step, steps;
	uint64_t bytes, total, began;
	/* speed: bytes at the last look, smoothed over some seconds */
	uint64_t looked, looked_bytes, speed;
};

/* width and colour of what fd is; color stays off with NO_COLOR, TERM=dumb or without a terminal */
void term_init(struct term *t, int fd);
void term_event(struct term *t, const struct event *ev, uint64_t now);
/* time went by: the bar shows a stall */
void term_tick(struct term *t, uint64_t now);
/* a line above the bar */
void term_line(struct term *t, const char *text, size_t n, uint64_t now);
/* the step is through (or broke off): the bar goes */
void term_end(struct term *t, bool success, uint64_t now);

/* write to a terminal, pipe or file without waiting for a reader longer than a moment */
void term_write(int fd, const char *text, size_t n);

#endif
