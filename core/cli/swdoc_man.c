/* Tables of the manual pages, in roff (man macros). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cli/swbundle_options.h"
#include "core/cli/swctl_options.h"
#include "core/cli/swdoc.h"
#include "core/cli/swinstall_options.h"
#include "corelib/base/err.h"
#include "corelib/base/text.h"
#include "handlers/handler.h"
#include "parser/settings.h"

/* text that no macro or escape of roff can be read out of */
static void put(const char *s)
{
	if (*s == '.' || *s == '\'')
		fputs("\\&", stdout);
	for (; *s; s++) {
		if (*s == '\\')
			fputs("\\e", stdout);
		else if (*s == '-')
			fputs("\\-", stdout);
		else if (*s == '\'')
			fputs("\\(aq", stdout);
		else if (*s == '`')
			fputs("\\(ga", stdout);
		else if (*s == '^' || *s == '~')
			printf("\\(%s", *s == '^' ? "ha" : "ti");
		else
			putchar(*s);
	}
}

static void put_line(const char *s)
{
	put(s);
	putchar('\n');
}

/* ---- options ------------------------------------------------------------------------------ */

static void print_option(const struct option *o)
{
	printf(".TP\n");
	if (o->letter)
		printf("\\fB\\-%c\\fR, ", o->letter);
	printf("\\fB\\-\\-");
	put(o->name);
	printf("\\fR");
	if (o->arg) {
		printf(" \\fI");
		put(o->arg);
		printf("\\fR");
	}
	putchar('\n');
	put(o->help);
	printf("%s\n", o->kind == OPTION_ABSENT ? " (not built in)" : "");
}

static void print_options(const struct option_table *t)
{
	const char *group = "";

	for (size_t i = 0; i < t->count; i++) {
		if (strcmp(group, t->rows[i].group) != 0) {
			printf(".SS ");
			put_line(t->rows[i].group);
		}
		group = t->rows[i].group;
		print_option(&t->rows[i]);
	}
}

/* "[options] -i FILE|-": words in capitals are what the reader fills in */
static void print_usage(const struct option_table *t)
{
	for (size_t i = 0; t->usage[i]; i++) {
		printf("%s.B %s\n", i ? ".br\n" : "", t->program);
		put_line(t->usage[i]);
	}
}

static void swinstall_usage(void)
{
	print_usage(&swinstall_table);
}

static void swinstall_options(void)
{
	print_options(&swinstall_table);
}

static void swctl_usage(void)
{
	print_usage(&swctl_table);
}

static void swctl_options(void)
{
	print_options(&swctl_table);
}

static void swctl_verb_list(void)
{
	for (const struct swctl_verb *v = swctl_verbs; v->name; v++) {
		printf(".TP\n.B %s\n", v->name);
		put(v->help);
		printf("%s\n", v->symbol ? " (not built in)" : "");
	}
}

static void swbundle_usage_all(void)
{
	for (unsigned i = 0; doc_command(i); i++) {
		printf("%s", i ? ".br\n" : "");
		print_usage(doc_command(i));
	}
}

/* --help is the same for all and stands in the page once */
static void swbundle_options_all(void)
{
	for (unsigned i = 0; doc_command(i); i++) {
		const struct option_table *t = doc_command(i);

		printf(".SS ");
		put_line(t->program);
		put(t->summary);
		printf(".\n");
		for (size_t k = 0; k < t->count; k++)
			if (strcmp(t->rows[k].name, "help") != 0)
				print_option(&t->rows[k]);
	}
}

/* ---- attributes and keys -------------------------------------------------------------------- */

static void print_value(const struct attr *a)
{
	const char *colon = ": ";

	put(attr_type_name(a));
	for (size_t v = 0; a->values && a->values[v]; v++) {
		if (!*a->values[v])
			continue;
		printf("%s\\fB", colon);
		put(a->values[v]);
		printf("\\fR");
		colon = ", ";
	}
	if (a->dflt) {
		printf("; default ");
		put(a->dflt);
	}
}

static void print_attribute(const struct attr *a)
{
	printf(".TP\n\\fB");
	put(a->name);
	printf("\\fR (");
	print_value(a);
	printf(")\n");
	put_line(a->help);
}

static void print_schema(const struct schema *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (!s->where || (s->rows[i].where & s->where))
			print_attribute(&s->rows[i]);
}

static void print_software(void)
{
	print_schema(&manifest_schema);
}

static void print_entry(void)
{
	print_schema(&entry_schema);
}

static void print_variable(void)
{
	print_schema(&boot_var_schema);
}

static void print_config(void)
{
	for (size_t i = 0; settings_schema(i); i++) {
		printf(".SS ");
		put_line(settings_schema(i)->name);
		print_schema(settings_schema(i));
	}
}

static void print_handlers(void)
{
	for (size_t i = 0; handler_at(i); i++) {
		const struct handler *h = handler_at(i);

		printf(".TP\n\\fB");
		put(h->name);
		printf("\\fR%s", h->aliases ? " (" : "");
		put(h->aliases ? h->aliases : "");
		printf("%s\n", h->aliases ? ")" : "");
		put_line(h->summary);
		for (size_t k = 0; k < h->prop_count; k++) {
			printf("%s\\fB", k ? "; " : ".br\nproperties: ");
			put(h->props[k].name);
			printf("\\fR");
		}
		if (h->prop_count)
			putchar('\n');
	}
}

static void print_errors(void)
{
	for (size_t i = 0; err_row(i); i++) {
		printf(".TP\n\\fBSWI\\-%d\\fR ", err_row(i)->code);
		put_line(err_row(i)->name);
		put(err_row(i)->title);
		printf(".\n");
	}
}

const struct doc_table doc_roff[] = {
	{"usage swinstall", swinstall_usage},
	{"options swinstall", swinstall_options},
	{"usage swctl", swctl_usage},
	{"options swctl", swctl_options},
	{"verbs swctl", swctl_verb_list},
	{"usage swbundle", swbundle_usage_all},
	{"options swbundle", swbundle_options_all},
	{"software", print_software},
	{"entry", print_entry},
	{"variable", print_variable},
	{"config", print_config},
	{"handlers", print_handlers},
	{"errors", print_errors},
	{NULL, NULL},
};
