/* executor: a payload goes to the standard input of a program of the device. */
#include <errno.h>
#include <unistd.h>

#include "corelib/process/process.h"
#include "corelib/base/words.h"
#include "handlers/script.h"

static const struct attr props[] = {
	{.name = "cmd",
	 .type = ATTR_STRING,
	 .required = true,
	 .help = "the program, an absolute path, and words for it; no shell reads them"},
	{.name = "parms", .type = ATTR_STRING, .help = "further words"},
	{.name = "timeout",
	 .type = ATTR_INT,
	 .min = 1,
	 .max = SCRIPT_TIMEOUT_MOST,
	 .dflt = "600",
	 .help = "seconds after which the program is ended and the install fails"},
};

static int split(const struct step *st, struct words *cmd, struct words *parms, struct err *e)
{
	int rc = words_split(cmd, entry_property(st->entry, "cmd"), e);

	if (rc < 0)
		return err_at(e, rc, "cmd");
	rc = words_split(parms, entry_property(st->entry, "parms"), e);
	if (rc < 0)
		words_clear(cmd);
	return err_at(e, rc, "parms");
}

static int executor_check(struct step *st, struct err *e)
{
	struct words cmd, parms;
	int rc = split(st, &cmd, &parms, e);

	if (rc < 0)
		return rc;
	if (cmd.count == 0 || cmd.at[0][0] != '/')
		rc = err_set(e, E_PROPERTY, EINVAL,
			     "executor needs the property cmd, which begins with the absolute "
			     "path of a program");
	else if (access(cmd.at[0], X_OK) < 0)
		rc = err_sys(e, E_PROPERTY, errno, "cmd: the program %s", cmd.at[0]);
	words_clear(&cmd);
	words_clear(&parms);
	return rc;
}

static ssize_t lend(void *arg, const uint8_t **buf, struct err *e)
{
	return stream_next(arg, buf, e);
}

static int run_plain(struct process *p, struct err *e)
{
	return process_run(p, e);
}

static int executor_install(struct step *st, struct stream *in, struct err *e)
{
	const char *argv[2 * WORDS_MAX + 1] = {NULL};
	struct process p = {.argv = argv, .input = lend, .arg = in, .cancel = st->host->cancel};
	struct words cmd, parms;
	size_t n = 0;
	int rc = split(st, &cmd, &parms, e);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < cmd.count; i++)
		argv[n++] = cmd.at[i];
	for (size_t i = 0; i < parms.count; i++)
		argv[n++] = parms.at[i];
	rc = script_follow(st, &p, run_plain, e);
	rc = err_while(e, rc, "running %s", argv[0]);
	words_clear(&cmd);
	words_clear(&parms);
	return rc;
}

const struct handler handler_executor = {
	.name = "executor",
	.summary =
		"give a payload to a program of the device; what that does cannot be undone, so it "
		"runs last",
	.kind = HANDLER_TARGET,
	.sections = SECTION_IMAGES,
	.holds = HOLDS_NOTHING,
	.irreversible = true,
	.props = props,
	.prop_count = ARRAY_SIZE(props),
	.check = executor_check,
	.install = executor_install,
};
