/* The options and verbs of swctl. */
#include "core/cli/swctl_options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLI(field)                                                                                 \
	.target = INTO_PROGRAM, .at = offsetof(struct swctl_cli, field), .group = "Options"

static const struct option rows[] = {
	{'f', "file", "FILE", OPTION_TEXT, CLI(file),
	 .help = "configuration; else /etc/swinstall.cfg, else /etc/swupdate.cfg"},
	{0, "json", NULL, OPTION_FLAG, CLI(json), .help = "answer with a JSON object"},
	{0, "forget", NULL, OPTION_FLAG, CLI(forget),
	 .help = "with recover: give up what cannot be settled, and put its journal aside"},
	{0, "version", NULL, OPTION_FLAG, CLI(version), .help = "print the version and end"},
	{'h', "help", NULL, OPTION_FLAG, CLI(help), .help = "print this and end"},
};

static const char *const usage[] = {"[options] VERB", NULL};

const struct option_table swctl_table = {
	.program = "swctl",
	.summary = "ask and control swinstall on this device",
	.usage = usage,
	.rows = rows,
	.count = ARRAY_SIZE(rows),
};

const struct swctl_verb swctl_verbs[] = {
	{"status", "what goes on now, what the slots hold, how the last install ended", NULL},
	{"history", "the last 50 results, the newest first", NULL},
	{"recover", "tidy up after an installation that was interrupted", NULL},
	{"help", "print this", NULL},
	{"install", "hand a bundle to the daemon", "DAEMON"},
	{"watch", "show progress of the daemon", "DAEMON"},
	{"confirm", "keep the release that runs on trial", "TRIAL"},
	{"rollback", "go back to the release before", "TRIAL"},
	{NULL, NULL, NULL},
};

static int unknown_verb(const char *word, struct err *e)
{
	const char *names[32], *near;
	size_t n = 0;
	int rc = err_set(e, E_USAGE, EINVAL, "there is no verb '%s'", word);

	for (; swctl_verbs[n].name && n < ARRAY_SIZE(names); n++)
		names[n] = swctl_verbs[n].name;
	near = text_nearest(word, names, n);
	if (near)
		err_fix(e, "did you mean %s? swctl help lists all", near);
	else
		err_fix(e, "swctl help lists all");
	return rc;
}

static int find_verb(const char *word, const struct swctl_verb **verb, struct err *e)
{
	for (const struct swctl_verb *v = swctl_verbs; v->name; v++) {
		if (strcmp(v->name, word) != 0)
			continue;
		if (v->symbol)
			return err_set(e, E_NOT_BUILT, ENOTSUP,
				       "'%s' (%s) is not built into this swctl: CONFIG_%s", v->name,
				       v->help, v->symbol);
		*verb = v;
		return 0;
	}
	return unknown_verb(word, e);
}

static int read_line(struct swctl_cli *c, const struct options *o, const struct swctl_verb **verb,
		     struct err *e)
{
	bool question;
	int rc = options_apply(o, INTO_PROGRAM, c, NULL, e);

	if (rc < 0)
		return rc;
	question = c->help || c->version;
	if (!question && o->word_count == 0)
		return err_set(e, E_USAGE, EINVAL,
			       "a verb is missing: status, history, recover or help");
	rc = question ? 0 : find_verb(o->words[0], verb, e);
	if (rc < 0)
		return rc;
	if (o->word_count > 1)
		return err_set(e, E_USAGE, EINVAL, "'%s' takes no argument, but '%s' follows",
			       o->words[0], o->words[1]);
	if (c->forget && (!*verb || strcmp((*verb)->name, "recover") != 0))
		return err_set(e, E_USAGE, EINVAL, "--forget belongs to the verb recover");
	return 0;
}

int swctl_cli_parse(struct swctl_cli *c, struct options *o, const struct swctl_verb **verb,
		    int argc, char **argv, struct err *e)
{
	int rc = options_parse(o, &swctl_table, argc, argv, e);

	memset(c, 0, sizeof(*c));
	*verb = NULL;
	return err_while(e, rc < 0 ? rc : read_line(c, o, verb, e), "reading the command line");
}

char *swctl_help(void)
{
	AUTO_FREE char *options = options_help(&swctl_table);
	char *text = NULL;
	size_t n = 0;
	FILE *f = options ? open_memstream(&text, &n) : NULL;

	if (!f)
		return NULL;
	fprintf(f, "%s\nVerbs\n", options);
	for (const struct swctl_verb *v = swctl_verbs; v->name; v++)
		if (!v->symbol)
			fprintf(f, "  %-10s %s\n", v->name, v->help);
	return text_close(f, &text);
}
