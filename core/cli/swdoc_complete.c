/* What a shell offers behind a program's name: words of the option tables, as bash reads them. */
#include <stdio.h>
#include <string.h>

#include "core/cli/swctl_options.h"
#include "core/cli/swdoc.h"
#include "corelib/base/text.h"

/* "-i|--image" */
static void print_spellings(const struct option *o)
{
	if (o->letter)
		printf("-%c|", o->letter);
	printf("--%s", o->name);
}

/* the words of an argument, where they are known; where not, nothing is offered */
static void print_argument(const struct option *o)
{
	printf("\t");
	print_spellings(o);
	printf(") ");
	if (o->values) {
		printf("_swinstall_words '");
		for (size_t i = 0; o->values[i]; i++)
			printf("%s%s", i ? " " : "", o->values[i]);
		printf("'");
	} else if (doc_takes_path(o)) {
		printf("_swinstall_files");
	} else {
		printf("COMPREPLY=()");
	}
	printf("; return ;;\n");
}

/* a program: what its options take, then which options there are */
static void print_options(const struct option_table *t)
{
	bool first = true;

	printf("\tcase $prev in\n");
	for (size_t i = 0; i < t->count; i++)
		if (t->rows[i].arg && t->rows[i].kind != OPTION_ABSENT)
			print_argument(&t->rows[i]);
	printf("\tesac\n\t_swinstall_dash '");
	for (size_t i = 0; i < t->count; i++) {
		if (t->rows[i].kind == OPTION_ABSENT)
			continue;
		printf("%s--%s", first ? "" : " ", t->rows[i].name);
		first = false;
	}
	printf("' && return\n");
}

static void print_programs(void)
{
	for (unsigned i = 0; doc_program(i); i++) {
		printf("_%s_options() {\n", doc_program(i)->program);
		print_options(doc_program(i));
		printf("\treturn 1\n}\n");
	}
}

static void print_verbs(void)
{
	const char *blank = "";

	printf("_swctl_verbs='");
	for (const struct swctl_verb *v = swctl_verbs; v->name; v++) {
		if (v->symbol)
			continue;
		printf("%s%s", blank, v->name);
		blank = " ";
	}
	printf("'\n");
}

static void print_commands(void)
{
	printf("_swbundle_commands='");
	for (unsigned i = 0; doc_command(i); i++)
		printf("%s%s", i ? " " : "", doc_command_name(doc_command(i)));
	printf("'\n");
	for (unsigned i = 0; doc_command(i); i++) {
		printf("_swbundle_%s_options() {\n", doc_command_name(doc_command(i)));
		print_options(doc_command(i));
		printf("\treturn 1\n}\n");
	}
}

const struct doc_table doc_shell[] = {
	{"programs", print_programs},
	{"verbs", print_verbs},
	{"commands", print_commands},
	{"zsh programs", doc_zsh_programs},
	{"zsh verbs", doc_zsh_verbs},
	{"zsh commands", doc_zsh_commands},
	{NULL, NULL},
};
