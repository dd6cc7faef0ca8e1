/* Answers to --version, --handlers, --get-root, --explain. */
#include "core/cli/answers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/cli/rootdev.h"
#include "corelib/base/json.h"
#include "corelib/base/text.h"
#include "generated/build.h"
#include "handlers/handler.h"
#include "parser/schema.h"

char *answer_version(const char *program)
{
	char *text = NULL;

	return asprintf(&text, "%s %s\n", program, SWINSTALL_VERSION) < 0 ? NULL : text;
}

char *answer_root(struct err *e)
{
	char name[512], *text = NULL;

	if (rootdev_find(name, sizeof(name), e) < 0)
		return NULL;
	if (asprintf(&text, "%s\n", name) < 0)
		err_set(e, E_MEMORY, 0, "the name of the root device");
	return text;
}

static bool is_meant(const struct errinfo *row, const char *word)
{
	char number[16];

	text_print(number, sizeof(number), "SWI-%d", row->code);
	return strcasecmp(word, row->name) == 0 || strcasecmp(word, number) == 0 ||
	       strcmp(word, number + 4) == 0;
}

static void no_error(const char *word, struct err *e)
{
	const char *names[256], *near;
	size_t n = 0;

	for (; n < ARRAY_SIZE(names) && err_row(n); n++)
		names[n] = err_row(n)->name;
	near = text_nearest(word, names, n);
	err_set(e, E_USAGE, EINVAL, "there is no error '%s'", word);
	if (near)
		err_fix(e, "did you mean %s?", near);
	else
		err_fix(e, "the last line of a report names it: SWI-210, or E_TARGET_SMALL");
}

char *answer_error(const char *word, struct err *e)
{
	const struct errinfo *row = NULL;
	char *text = NULL;

	for (size_t i = 0; !row && err_row(i); i++)
		if (is_meant(err_row(i), word))
			row = err_row(i);
	if (!row)
		no_error(word, e);
	else if (asprintf(&text, "SWI-%d %s: %s\n\nWhat to do: %s.\n", row->code, row->name,
			  row->title, row->fix) < 0)
		return NULL;
	return text;
}

static void put_property(FILE *f, const struct attr *a)
{
	fprintf(f, "    %-20s %s", a->name, attr_type_name(a));
	for (size_t i = 0; a->values && a->values[i]; i++)
		fprintf(f, "%s%s", i ? ", " : ": ", a->values[i]);
	if (a->dflt)
		fprintf(f, " (%s)", a->dflt);
	fprintf(f, "\n    %-20s %s\n", "", a->help);
}

static void put_handler(FILE *f, const struct handler *h)
{
	const char *comma = " ";

	fprintf(f, "%s%s%s%s: %s\n  in", h->name, h->aliases ? " (" : "",
		h->aliases ? h->aliases : "", h->aliases ? ")" : "", h->summary);
	for (unsigned s = SECTION_IMAGES; s <= SECTION_VARS; s <<= 1) {
		if (!(h->sections & s))
			continue;
		fprintf(f, "%s%s", comma, section_name((enum section)s));
		comma = ", ";
	}
	fprintf(f, "%s\n", h->no_data ? "; takes no payload" : "");
	for (size_t i = 0; i < h->prop_count; i++)
		put_property(f, &h->props[i]);
}

static void put_words(FILE *f, const char *key, const char *words)
{
	const char *comma = "";

	fprintf(f, ",\"%s\":[", key);
	for (size_t n; words && *(words += strspn(words, " ")); words += n, comma = ",") {
		n = strcspn(words, " ");
		fprintf(f, "%s\"%.*s\"", comma, (int)n, words);
	}
	fputc(']', f);
}

/* names and words of our own tables: nothing in them needs an escape but the quotes of a text */
static void put_handler_json(FILE *f, const struct handler *h)
{
	const char *comma = "";
	char summary[512];

	json_text(h->summary, summary, sizeof(summary));
	fprintf(f, "{\"name\":\"%s\",\"summary\":%s", h->name, summary);
	put_words(f, "also", h->aliases);
	fprintf(f, ",\"payload\":%s,\"in\":[", h->no_data ? "false" : "true");
	for (unsigned s = SECTION_IMAGES; s <= SECTION_VARS; s <<= 1) {
		if (!(h->sections & s))
			continue;
		fprintf(f, "%s\"%s\"", comma, section_name((enum section)s));
		comma = ",";
	}
	fputs("],\"properties\":[", f);
	for (size_t i = 0; i < h->prop_count; i++)
		fprintf(f, "%s\"%s\"", i ? "," : "", h->props[i].name);
	fputs("]}", f);
}

static void put_handlers_json(FILE *f)
{
	fprintf(f, "{\"v\":1,\"version\":\"%s\",\"handlers\":[", SWINSTALL_VERSION);
	for (size_t i = 0; handler_at(i); i++) {
		fputs(i ? "," : "", f);
		put_handler_json(f, handler_at(i));
	}
	fputs("]}\n", f);
}

char *answer_handlers(bool json)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		return NULL;
	if (json)
		put_handlers_json(f);
	for (size_t i = 0; !json && handler_at(i); i++) {
		if (i)
			fputc('\n', f);
		put_handler(f, handler_at(i));
	}
	return text_close(f, &text);
}
