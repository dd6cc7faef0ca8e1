#include "core/command.h"

#include <stddef.h>

#include "corelib/process/process.h"

static void output(void *arg, const struct process_line *l)
{
	const struct command *c = arg;

	c->told(c->arg, l->text);
}

int command_run(const struct command *c, struct err *e)
{
	const char *const argv[] = {"/bin/sh", "-c", c->line, NULL};
	const struct process p = {
		.argv = argv,
		.name = c->name,
		.whole = true,
		.exec_fd = -1,
		.stdin_fd = -1,
		.cancel = c->cancel,
		.line = c->told ? output : NULL,
		.arg = (void *)(size_t)c,
	};

	return c->line ? err_at(e, process_run(&p, e), "%s of the configuration", c->name) : 0;
}
