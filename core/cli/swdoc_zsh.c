/* The same for zsh: arguments of its function _arguments. */
#include <stdio.h>

#include "core/cli/swctl_options.h"
#include "core/cli/swdoc.h"

/* within single quotes, where brackets and colons end a part of the specification */
static void print_text(const char *s)
{
	for (; *s; s++) {
		if (*s == '\'')
			fputs("'\\''", stdout);
		else if (*s == '[' || *s == ']' || *s == ':' || *s == '\\')
			printf("\\%c", *s);
		else
			putchar(*s);
	}
}

/* '(-i --image)'{-i+,--image=}, --json, or with a star where it may be repeated */
static void print_spellings(const struct option *o)
{
	const char *next = o->arg ? "+" : "", *equals = o->arg ? "=" : "";

	if (o->letter && o->kind == OPTION_LIST)
		printf("'*'{-%c%s,--%s%s}'", o->letter, next, o->name, equals);
	else if (o->letter)
		printf("'(-%c --%s)'{-%c%s,--%s%s}'", o->letter, o->name, o->letter, next, o->name,
		       equals);
	else
		printf("'%s--%s%s", o->kind == OPTION_LIST ? "*" : "", o->name, equals);
}

static void print_argument(const struct option *o)
{
	putchar(':');
	print_text(o->arg);
	putchar(':');
	if (o->values) {
		printf("(");
		for (size_t i = 0; o->values[i]; i++)
			printf("%s%s", i ? " " : "", o->values[i]);
		printf(")");
	} else if (doc_takes_path(o)) {
		printf("_files");
	} else {
		printf(" ");
	}
}

static void print_options(const struct option_table *t)
{
	printf("\t_arguments -s -S \"$@\"");
	for (size_t i = 0; i < t->count; i++) {
		if (t->rows[i].kind == OPTION_ABSENT)
			continue;
		printf(" \\\n\t\t");
		print_spellings(&t->rows[i]);
		printf("[");
		print_text(t->rows[i].help);
		printf("]");
		if (t->rows[i].arg)
			print_argument(&t->rows[i]);
		printf("'");
	}
	printf("\n}\n");
}

void doc_zsh_programs(void)
{
	for (unsigned i = 0; doc_program(i); i++) {
		printf("_%s_options() {\n", doc_program(i)->program);
		print_options(doc_program(i));
	}
}

static void print_described(const char *name, const char *help)
{
	printf("\t'%s:", name);
	print_text(help);
	printf("'\n");
}

void doc_zsh_verbs(void)
{
	printf("_swctl_verbs=(\n");
	for (const struct swctl_verb *v = swctl_verbs; v->name; v++)
		if (!v->symbol)
			print_described(v->name, v->help);
	printf(")\n");
}

void doc_zsh_commands(void)
{
	printf("_swbundle_commands=(\n");
	for (unsigned i = 0; doc_command(i); i++)
		print_described(doc_command_name(doc_command(i)), doc_command(i)->summary);
	printf(")\n");
	for (unsigned i = 0; doc_command(i); i++) {
		printf("_swbundle_%s_options() {\n", doc_command_name(doc_command(i)));
		print_options(doc_command(i));
	}
}
