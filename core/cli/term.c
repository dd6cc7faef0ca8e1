/* Drawing on a terminal. */
#include "core/cli/term.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define WAIT_MS	   50
#define LOOK_MS	   500 /* between two looks at the speed */
#define CLEAR_LINE "\r\033[K"

void term_write(int fd, const char *text, size_t n)
{
	(void)sys_write_polite(fd, text, n, WAIT_MS); /* nobody can be told that telling failed */
}

static unsigned width_of(int fd)
{
	const char *columns = getenv("COLUMNS");
	struct winsize ws;
	uint64_t v;

	if (ioctl(fd, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0)
		return ws.ws_col;
	if (columns && text_u64(columns, &v) == 0 && v > 0 && v < 1000)
		return (unsigned)v;
	return 80;
}

void term_init(struct term *t, int fd)
{
	const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");

	memset(t, 0, sizeof(*t));
	t->fd = fd;
	t->style.width = width_of(fd);
	t->style.color =
		isatty(fd) && !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
}

static struct term_bar bar_of(const struct term *t)
{
	return (struct term_bar){
		.step = t->step,
		.steps = t->steps,
		.action = t->action,
		.name = t->name,
		.bytes = t->bytes,
		.total = t->total,
		.speed = t->speed,
	};
}

static void draw(struct term *t, uint64_t now)
{
	struct term_bar b = bar_of(t);
	char text[1024], line[1100];

	t->style.width = width_of(t->fd);
	term_bar_text(&b, &t->style, text, sizeof(text));
	text_print(line, sizeof(line), "%s%s", CLEAR_LINE, text);
	term_write(t->fd, line, strlen(line));
	t->bar_shown = true;
	t->drawn = now;
}

static void clear(struct term *t)
{
	if (t->bar_shown)
		term_write(t->fd, CLEAR_LINE, strlen(CLEAR_LINE));
	t->bar_shown = false;
}

/* three parts of the old speed, one of the new: it neither jumps nor sleeps */
static void look(struct term *t, uint64_t now)
{
	uint64_t ms = now - t->looked, v;

	if (ms < LOOK_MS || t->bytes < t->looked_bytes)
		return;
	v = (uint64_t)((double)(t->bytes - t->looked_bytes) * 1000 / (double)ms);
	t->speed = t->speed ? t->speed / 4 * 3 + v / 4 : v;
	t->looked = now;
	t->looked_bytes = t->bytes;
}

void term_tick(struct term *t, uint64_t now)
{
	if (!t->has_step)
		return;
	look(t, now);
	if (!t->bar_shown || now - t->drawn >= TERM_REDRAW_MS)
		draw(t, now);
}

static void end_step(struct term *t, uint64_t now)
{
	struct term_bar b = bar_of(t);
	char text[1024], line[1100];

	if (!t->has_step)
		return;
	clear(t);
	term_step_text(&b, now - t->began, &t->style, text, sizeof(text));
	text_print(line, sizeof(line), "%s\n", text);
	term_write(t->fd, line, strlen(line));
	t->has_step = false;
}

static void begin_step(struct term *t, const struct event *ev, uint64_t now)
{
	end_step(t, now);
	text_copy(t->action, sizeof(t->action), ev->text);
	text_copy(t->name, sizeof(t->name), ev->name);
	t->step = ev->step;
	t->steps = ev->steps;
	t->bytes = 0;
	t->total = ev->total;
	t->began = t->looked = now;
	t->looked_bytes = t->speed = 0;
	t->has_step = true;
	t->drawn = 0;
}

void term_event(struct term *t, const struct event *ev, uint64_t now)
{
	if (ev->type == EVENT_STEP)
		begin_step(t, ev, now);
	if (ev->type == EVENT_PROGRESS && t->has_step && ev->step == t->step) {
		t->bytes = ev->bytes;
		t->total = ev->total;
	}
	if (ev->type == EVENT_STATE && ev->state == STATE_ACTIVATE)
		end_step(t, now);
	term_tick(t, now);
}

void term_line(struct term *t, const char *text, size_t n, uint64_t now)
{
	clear(t);
	term_write(t->fd, text, n);
	if (t->has_step)
		draw(t, now);
}

void term_end(struct term *t, bool success, uint64_t now)
{
	if (success)
		end_step(t, now);
	clear(t);
	t->has_step = false;
}
