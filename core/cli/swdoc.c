/*
 * Prints the reference pages of doc/ from the tables that the programs read. Not installed.
 * Usage: swdoc errors | config | swbundle
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cli/swbundle_options.h"
#include "corelib/err.h"
#include "corelib/text.h"
#include "parser/settings.h"

static const char made[] = "<!-- made by `make docs` from the program's tables: change those -->\n";

static void print_error(const struct errinfo *row)
{
	printf("\n### SWI-%d\n**%s**: %s.\n\n*What to do:* %s.\n", row->code, row->name, row->title, row->fix);
}

static void print_errors(void)
{
	static const struct {
		int from;
		const char *title;
	} groups[] = {
		{100, "Bundle"},	       {120, "Signature and keys"}, {140, "Description"},
		{160, "Versions and hardware"}, {170, "Handlers"},	    {200, "Targets"},
		{240, "Payloads"},	       {300, "Boot environment"},   {310, "Slots and state"},
		{400, "Configuration and use"}, {500, "System"},		    {600, "Building bundles"},
	};
	size_t g = 0;

	printf("# Errors\n%s\nEvery error has a number and a name that never change. `swinstall` prints them last, "
	       "after what, where, why and how to fix it.\n",
	       made);
	for (size_t i = 0; err_row(i); i++) {
		const struct errinfo *row = err_row(i);

		while (g < ARRAY_SIZE(groups) && (int)row->code >= groups[g].from)
			printf("\n## %s\n", groups[g++].title);
		print_error(row);
	}
}

/* a table cell cannot hold a bar */
static void print_cell(const char *s)
{
	for (; s && *s; s++) {
		if (*s == '|')
			fputs("\\|", stdout);
		else
			putchar(*s);
	}
}

static void print_rows(const struct schema *s)
{
	printf("\n## %s\n\n| key | type | default | meaning |\n|---|---|---|---|\n", s->name);
	for (size_t i = 0; i < s->count; i++) {
		const struct attr *a = &s->rows[i];

		if (s->where && !(a->where & s->where))
			continue;
		printf("| `%s` | %s", a->name, attr_type_name(a));
		for (size_t v = 0; a->values && a->values[v]; v++)
			printf("%s`%s`", v ? " " : ": ", a->values[v]);
		printf(" | %s | ", a->dflt ? a->dflt : "");
		print_cell(a->help);
		printf(" |\n");
	}
}

static void print_config(void)
{
	printf("# Configuration\n%s\nThe file is `-f FILE`, else `/etc/swinstall.cfg`, else `/etc/swupdate.cfg`; "
	       "a program called as `swupdate` reads only the last. Its syntax is libconfig's. The group `globals` must be "
	       "there. The command line wins over the file. Keys that are not known are named with a warning and "
	       "otherwise ignored.\n",
	       made);
	for (size_t i = 0; settings_schema(i); i++)
		print_rows(settings_schema(i));
}

static void print_swbundle(void)
{
	static const struct option_table *const all[] = {
		&swbundle_init_table,	&swbundle_keygen_table,	 &swbundle_build_table,
		&swbundle_sign_table,	&swbundle_verify_table,	 &swbundle_lint_table,
		&swbundle_inspect_table, &swbundle_extract_table,
	};

	printf("# swbundle\n%s\nMakes, signs, checks and shows bundles on the build machine. `swbundle init FOLDER` "
	       "writes a project to begin with. The exit status is 0 when all is well, 1 for a failure, 2 for "
	       "a command line that cannot be used, 3 for a bundle or description that is refused.\n",
	       made);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		char *text = options_help(all[i]);

		printf("\n## %s\n\n```text\n%s```\n", all[i]->program, text ? text : "");
		free(text);
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*print)(void);
	} pages[] = {{"errors", print_errors}, {"config", print_config}, {"swbundle", print_swbundle}};

	for (size_t i = 0; argc == 2 && i < ARRAY_SIZE(pages); i++) {
		if (strcmp(argv[1], pages[i].name) == 0) {
			pages[i].print();
			return fflush(stdout) || ferror(stdout);
		}
	}
	fprintf(stderr, "usage: swdoc errors | config | swbundle\n");
	return 2;
}
