/*
 * Prints a document with its tables made anew (swdoc.h), or facts for the tests of the documents.
 * Not installed. Usage: swdoc FILE | swdoc --facts
 */
#include "core/cli/swdoc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cli/swbundle_options.h"
#include "core/cli/swctl_options.h"
#include "core/cli/swinstall_options.h"
#include "corelib/base/text.h"
#include "handlers/handler.h"
#include "parser/settings.h"

struct mark {
	const char *begin, *end, *stop; /* "BEGIN NAME STOP" */
	const struct doc_table *tables;
};

static const struct mark marks[] = {
	{"<!-- table ", "<!-- end -->", " -->", doc_markdown},
	{".\\\" table ", ".\\\" end", "", doc_roff},
	{"# table ", "# end", "", doc_shell},
};

const struct option_table *doc_program(unsigned i)
{
	static const struct option_table *const all[] = {&swinstall_table, &swctl_table, NULL};

	return all[i];
}

const struct option_table *doc_command(unsigned i)
{
	return swbundle_tables[i];
}

const char *doc_command_name(const struct option_table *t)
{
	const char *blank = strchr(t->program, ' ');

	return blank ? blank + 1 : t->program;
}

bool doc_takes_path(const struct option *o)
{
	static const char *const words[] = {"FILE", "FOLDER", "DIR", "DEVICE"};

	for (size_t i = 0; o->arg && i < ARRAY_SIZE(words); i++)
		if (strcmp(o->arg, words[i]) == 0)
			return true;
	return false;
}

/* the groups of later parts stand behind those that are used */
bool doc_is_read(const struct schema *s)
{
	for (size_t i = 4; settings_schema(i); i++)
		if (s == settings_schema(i))
			return false;
	return true;
}

/* ---- pages ------------------------------------------------------------------------------- */

static const struct mark *mark_of(const char *line)
{
	for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
		if (strncmp(line, marks[i].begin, strlen(marks[i].begin)) == 0)
			return &marks[i];
	return NULL;
}

static bool print_table(const struct mark *m, const char *line)
{
	const char *name = line + strlen(m->begin);
	size_t n = strcspn(name, "\n");

	if (n >= strlen(m->stop))
		n -= strlen(m->stop);
	for (const struct doc_table *t = m->tables; t->name; t++) {
		if (strlen(t->name) != n || strncmp(t->name, name, n) != 0)
			continue;
		t->print();
		return true;
	}
	fprintf(stderr, "swdoc: there is no table '%.*s' for this page\n", (int)n, name);
	return false;
}

static bool print_page(FILE *f)
{
	const struct mark *in = NULL;
	AUTO_FREE char *line = NULL;
	size_t size = 0;
	bool good = true;

	while (good && getline(&line, &size, f) >= 0) {
		const struct mark *m = mark_of(line);

		if (in && strncmp(line, in->end, strlen(in->end)) == 0)
			in = NULL;
		if (in)
			continue;
		fputs(line, stdout);
		in = m;
		if (m)
			good = print_table(m, line);
	}
	if (good && in)
		fprintf(stderr, "swdoc: the last table has no end\n");
	return good && !in && !ferror(f);
}

static bool print_file(const char *path)
{
	FILE *f = fopen(path, "re");
	bool good;

	if (!f) {
		perror(path);
		return false;
	}
	good = print_page(f);
	fclose(f);
	return good;
}

/* ---- facts: what the tables know, one a line ---------------------------------------------- */

static const char *has(bool built)
{
	return built ? "here" : "later";
}

static void option_facts(const struct option_table *t)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct option *o = &t->rows[i];

		printf("option %s --%s %s", t->program, o->name, has(o->kind != OPTION_ABSENT));
		if (o->letter)
			printf(" -%c", o->letter);
		putchar('\n');
	}
}

static void schema_facts(const char *kind, const struct schema *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (!s->where || (s->rows[i].where & s->where))
			printf("%s %s %s %s\n", kind, s->name, s->rows[i].name,
			       has(doc_is_read(s)));
}

static void handler_facts(void)
{
	for (size_t i = 0; handler_type_at(i); i++) {
		const char *name = handler_type_at(i)->name;

		printf("handler - %s %s\n", name, has(handler_find(name)));
	}
	for (size_t i = 0; handler_at(i); i++)
		for (size_t k = 0; k < handler_at(i)->prop_count; k++)
			printf("property %s %s here\n", handler_at(i)->name,
			       handler_at(i)->props[k].name);
}

static bool print_facts(void)
{
	for (unsigned i = 0; doc_program(i); i++)
		option_facts(doc_program(i));
	for (size_t i = 0; settings_schema(i); i++)
		schema_facts("key", settings_schema(i));
	schema_facts("attribute", &manifest_schema);
	schema_facts("attribute", &entry_schema);
	handler_facts();
	return true;
}

int main(int argc, char **argv)
{
	bool good;

	if (argc != 2) {
		fprintf(stderr, "usage: swdoc FILE | swdoc --facts\n");
		return 2;
	}
	good = strcmp(argv[1], "--facts") == 0 ? print_facts() : print_file(argv[1]);
	return !good || fflush(stdout) || ferror(stdout);
}
