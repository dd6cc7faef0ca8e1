/* --help, from the table of options. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cli/options.h"

#define WIDTH  80
#define COLUMN 30 /* where explanations begin */

/* words of 'text' from column COLUMN on, the first line continuing at column 'at' */
static void put_wrapped(FILE *f, const char *text, size_t at)
{
	while (*text) {
		size_t n = strcspn(text, " ");

		if (at > COLUMN && at + 1 + n > WIDTH) {
			fprintf(f, "\n%*s", COLUMN, "");
			at = COLUMN;
		} else if (at > COLUMN) {
			fputc(' ', f);
			at++;
		}
		fprintf(f, "%.*s", (int)n, text);
		at += n;
		text += n + strspn(text + n, " ");
	}
	fputc('\n', f);
}

static void put_option(FILE *f, const struct option *row)
{
	char left[64], help[400];
	size_t n;

	text_print(left, sizeof(left), row->letter ? "  -%c, --%s%s%s" : "  %c   --%s%s%s",
		   row->letter ? row->letter : ' ', row->name, row->arg ? " " : "",
		   row->arg ? row->arg : "");
	n = strlen(left);
	fputs(left, f);
	if (n + 2 > COLUMN) {
		fputc('\n', f);
		n = 0;
	}
	fprintf(f, "%*s", (int)(COLUMN - n), "");
	text_print(help, sizeof(help), "%s%s", row->help,
		   row->kind == OPTION_ABSENT ? " (not built in)" : "");
	put_wrapped(f, help, COLUMN);
}

static void put_all(FILE *f, const struct option_table *t)
{
	const char *group = "";

	fprintf(f, "%s: %s\n\n", t->program, t->summary);
	for (size_t i = 0; t->usage[i]; i++)
		fprintf(f, "%s %s %s\n", i ? "      " : "usage:", t->program, t->usage[i]);
	for (size_t i = 0; i < t->count; i++) {
		if (strcmp(group, t->rows[i].group) != 0)
			fprintf(f, "\n%s\n", t->rows[i].group);
		group = t->rows[i].group;
		put_option(f, &t->rows[i]);
	}
}

char *options_help(const struct option_table *t)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		return NULL;
	put_all(f, t);
	return text_close(f, &text);
}
