/* swinstall: install a signed bundle from a file or from standard input. Ends with 0 or 1, nothing
 * else. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cli/answers.h"
#include "core/cli/configure.h"
#include "core/cli/door.h"
#include "core/cli/swinstall_options.h"
#include "corelib/base/log.h"
#include "corelib/base/sys.h"

static int print(char *text, struct err *e)
{
	AUTO_FREE char *owned = text;
	int rc;

	if (!owned)
		return err_is_set(e) ? -e->sys : err_set(e, E_MEMORY, ENOMEM, "an answer");
	rc = sys_write(STDOUT_FILENO, owned, strlen(owned));
	return rc < 0 ? err_sys(e, E_SYS, -rc, "writing to standard output") : 0;
}

/* 1 when a question was answered, 0 when there was none */
static int answer(const struct swinstall_cli *c, struct err *e)
{
	char *text;

	if (c->help)
		text = options_help(&swinstall_table);
	else if (c->version)
		text = answer_version("swinstall");
	else if (c->handlers)
		text = answer_handlers(c->json);
	else if (c->get_root)
		text = answer_root(e);
	else if (c->explain)
		text = answer_error(c->explain, e);
	else
		return 0;
	return print(text, e) < 0 ? -e->sys : 1;
}

static int no_bundle(const char *image, int sys, struct err *e)
{
	int rc = err_set(e, E_IO, sys, "%s", strerror(sys));

	err_fix(e, "check the name of the bundle, and who may read it");
	rc = err_at(e, rc, "%s", image);
	return err_while(e, rc, "opening the bundle");
}

static int open_bundle(const char *image, struct job_request *r, struct err *e)
{
	if (strcmp(image, "-") == 0) {
		r->fd = STDIN_FILENO;
		r->name = "standard input";
		return 0;
	}
	r->name = image;
	/* a FIFO without a writer is waited for by the stream, which has a deadline */
	r->fd = open(image, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (r->fd < 0)
		return no_bundle(image, errno, e);
	return 0;
}

static int install(const struct swinstall_cli *c, struct door *d, const struct settings *s,
		   struct err *e)
{
	struct job_request r = {.fd = -1,
				.mode = c->check     ? JOB_CHECK
					: s->dry_run ? JOB_DRY_RUN
						     : JOB_INSTALL};
	int rc = open_bundle(c->image, &r, e);

	if (rc < 0) {
		door_refuse(d, c->image, e);
		return rc;
	}
	d->cfg = s;
	rc = door_run(d, &r, e);
	if (r.fd != STDIN_FILENO)
		close(r.fd);
	return rc;
}

static int read_settings(struct settings **s, const struct swinstall_cli *c,
			 const struct options *o, bool compat, struct err *e)
{
	const struct configure in = {
		.file = c->file,
		.board = c->board,
		.options = o,
		.compat = compat,
		.may_lack = options_given(o, "key") || options_given(o, "ca-path") ||
			    options_given(o, "allow-unsigned"),
	};

	return configure(s, &in, e);
}

static int swinstall_run(int argc, char **argv, struct swinstall_cli *c, struct options *o)
{
	bool compat = configure_is_compat(argv[0]);
	struct door d = {.program = "swinstall"};
	struct settings *s = NULL;
	struct err e = {0};
	int rc = swinstall_cli_parse(c, o, argc, argv, &e);

	d.output = configure_output(c->json || options_given(o, "json"), compat);
	if (rc == 0)
		rc = answer(c, &e);
	if (rc > 0)
		return 0;
	if (rc == 0)
		rc = read_settings(&s, c, o, compat, &e);
	if (rc < 0) {
		door_refuse(&d, c->image, &e);
		return rc;
	}
	configure_log(s, STDERR_FILENO, d.output);
	rc = install(c, &d, s, &e);
	settings_free(s);
	/* callers of swupdate hear of a postupdatecmd that fails; the update stays installed */
	return rc > 0 && !compat ? 0 : rc;
}

int main(int argc, char **argv)
{
	const struct log_config before = {.level = LOG_LEVEL_INFO,
					  .fd = STDERR_FILENO,
					  .swupdate = configure_is_compat(argv[0])};
	struct swinstall_cli c;
	struct options o = {0};
	int rc = sys_harden(true);

	log_init(&before);
	if (rc < 0) {
		log_error("E_SYS: %s", strerror(-rc));
		return EXIT_FAILURE;
	}
	rc = swinstall_run(argc, argv, &c, &o);
	options_clear(&o);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
