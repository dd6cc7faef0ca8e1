/* swctl: ask and control on the device. Ends with 0, 1 failed, 2 usage, 3 refused. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cli/answers.h"
#include "core/cli/configure.h"
#include "core/cli/device_text.h"
#include "core/state/device.h"
#include "core/cli/door.h"
#include "corelib/base/json.h"
#include "core/cli/swctl_options.h"
#include "corelib/base/log.h"
#include "corelib/base/sys.h"

enum { DONE = 0, FAILED = 1, USAGE = 2, REFUSED = 3 };

static int print(char *text, struct err *e)
{
	AUTO_FREE char *owned = text;
	int rc;

	if (!owned)
		return err_set(e, E_MEMORY, ENOMEM, "an answer");
	rc = sys_write(STDOUT_FILENO, owned, strlen(owned));
	return rc < 0 ? err_sys(e, E_SYS, -rc, "writing to standard output") : 0;
}

static int run_status(const struct swctl_cli *c, const struct settings *s, struct err *e)
{
	struct device d;
	int rc = device_look(&d, s, e);

	if (rc < 0)
		return rc;
	return print(c->json ? device_json(&d) : device_text(&d), e);
}

static int run_history(const struct swctl_cli *c, const struct settings *s, struct err *e)
{
	AUTO_FREE struct status *list = NULL;
	size_t n = 0;
	int rc = status_history(s->state_dir, &list, &n);

	if (rc < 0)
		return err_at(e, err_sys(e, E_STATE_DIR, -rc, "reading the history"), "%s/history",
			      s->state_dir);
	return print(c->json ? device_history_json(list, n) : device_history_text(list, n), e);
}

static int run_recover(const struct swctl_cli *c, const struct settings *s, struct err *e)
{
	char did[512] = "", quoted[4096], *text = NULL;
	int rc = c->forget ? job_forget(s, did, sizeof(did), e)
			   : job_recover(s, did, sizeof(did), e);

	if (rc < 0)
		return rc;
	json_text(did, quoted, sizeof(quoted));
	if (asprintf(&text, c->json ? "{\"v\":1,\"result\":\"success\",\"did\":%s}\n" : "%s\n",
		     c->json ? quoted : did) < 0)
		text = NULL;
	return print(text, e);
}

static int run_verb(const struct swctl_cli *c, const struct swctl_verb *verb, struct err *e)
{
	const struct configure in = {.file = c->file, .may_lack = true};
	struct settings *s = NULL;
	int rc = configure(&s, &in, e);

	if (rc < 0)
		return rc;
	configure_log(s, STDERR_FILENO, configure_output(c->json, false));
	if (strcmp(verb->name, "status") == 0)
		rc = run_status(c, s, e);
	else if (strcmp(verb->name, "history") == 0)
		rc = run_history(c, s, e);
	else
		rc = run_recover(c, s, e);
	settings_free(s);
	return rc;
}

static int swctl_run(struct swctl_cli *c, struct options *o, int argc, char **argv, struct err *e)
{
	const struct swctl_verb *verb;
	int rc = swctl_cli_parse(c, o, &verb, argc, argv, e);

	if (rc < 0)
		return rc;
	if (c->version)
		return print(answer_version("swctl"), e);
	if (!verb || strcmp(verb->name, "help") == 0)
		return print(swctl_help(), e);
	return run_verb(c, verb, e);
}

static int exit_code(const struct err *e)
{
	if (e->code == E_USAGE)
		return USAGE;
	if ((e->code == E_RECOVER || e->code == E_NOT_MOUNTED) && e->sys == EAGAIN) /* not yet */
		return REFUSED;
	return e->code == E_BUSY ? REFUSED : FAILED;
}

int main(int argc, char **argv)
{
	const struct log_config before = {.level = LOG_LEVEL_INFO, .fd = STDERR_FILENO};
	struct door d = {.program = "swctl"};
	struct swctl_cli c;
	struct options o = {0};
	struct err e = {0};
	int rc = sys_harden(true);

	log_init(&before);
	if (rc < 0)
		rc = err_sys(&e, E_SYS, -rc, "preparing the process");
	else
		rc = swctl_run(&c, &o, argc, argv, &e);
	d.output = configure_output(o.given && options_given(&o, "json"), false);
	if (rc < 0)
		door_refuse(&d, NULL, &e);
	options_clear(&o);
	return rc < 0 ? exit_code(&e) : DONE;
}
