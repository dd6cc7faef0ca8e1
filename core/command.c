#include "core/command.h"

#include "corelib/process/process.h"

static void output(void *arg, const struct process_line *l)
{
	reporter_output(arg, LOG_LEVEL_INFO, l->text);
}

int command_run(const struct session *s, const char *name, const char *line, struct err *e)
{
	const char *const argv[] = {"/bin/sh", "-c", line, NULL};
	const struct process p = {
		.argv = argv,
		.name = name,
		.whole = true,
		.exec_fd = -1,
		.stdin_fd = -1,
		.cancel = s->cancel,
		.noted_in = s->host ? s->host->noted_in : 0,
		.line = output,
		.arg = s->reporter,
	};

	return line ? err_at(e, process_run(&p, e), "%s of the configuration", name) : 0;
}
