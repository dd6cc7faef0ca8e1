/* Tables of the pages of doc/, in Markdown. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cli/swctl_options.h"
#include "core/cli/swdoc.h"
#include "corelib/base/err.h"
#include "corelib/base/text.h"
#include "handlers/handler.h"
#include "parser/settings.h"

/* ---- errors ------------------------------------------------------------------------------ */

static void print_error(const struct errinfo *row)
{
	printf("\n### SWI-%d\n**%s**: %s.\n\n*What to do:* %s.\n", row->code, row->name, row->title,
	       row->fix);
}

static void print_errors(void)
{
	static const struct {
		int from;
		const char *title;
	} groups[] = {
		{100, "Bundle"},	  {120, "Signature and keys"},
		{140, "Description"},	  {160, "Versions and hardware"},
		{170, "Handlers"},	  {200, "Targets"},
		{240, "Payloads"},	  {300, "Boot environment"},
		{310, "Slots and state"}, {400, "Configuration and use"},
		{500, "System"},	  {600, "Building bundles"},
	};
	size_t g = 0;

	for (size_t i = 0; err_row(i); i++) {
		const struct errinfo *row = err_row(i);

		while (g < ARRAY_SIZE(groups) && (int)row->code >= groups[g].from)
			printf("\n## %s\n", groups[g++].title);
		print_error(row);
	}
}

/* ---- attributes, keys, properties ---------------------------------------------------------- */

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

static void print_number(uint64_t n)
{
	static const char units[] = " KMG";
	size_t u = 0;

	while (n && n % 1024 == 0 && units[u + 1]) {
		n /= 1024;
		u++;
	}
	printf("%" PRIu64 "%.*s", n, u ? 1 : 0, units + u);
}

static void print_limits(const struct attr *a)
{
	if (a->type == ATTR_HEX && a->min && a->min < a->max)
		printf(" (32, 48 or 64)");
	else if (a->type == ATTR_HEX)
		printf(" (%" PRIu64 ")", 2 * a->max);
	else if (a->type == ATTR_STRING && a->max)
		printf(", at most %" PRIu64 " bytes", a->max);
	if (a->type != ATTR_INT && a->type != ATTR_SIZE)
		return;
	if (a->min) {
		printf(", at least ");
		print_number(a->min);
	}
	if (a->max) {
		printf(", at most ");
		print_number(a->max);
	}
}

static void print_type(const struct attr *a)
{
	const char *colon = ": ";

	printf("%s", attr_type_name(a));
	for (size_t v = 0; a->values && a->values[v]; v++) {
		if (!*a->values[v])
			continue;
		printf("%s`%s`", colon, a->values[v]);
		colon = " ";
	}
	print_limits(a);
}

static void print_row(const struct attr *a)
{
	printf("| `%s` | ", a->name);
	print_type(a);
	printf(" | %s | ", a->dflt ? a->dflt : "");
	print_cell(a->help);
}

static void print_keys(const struct schema *s)
{
	printf("\n## %s\n\n", s->name);
	if (!doc_is_read(s))
		printf("Known, and read over: the part that uses these keys is not built in.\n\n");
	printf("| key | type | default | meaning |\n|---|---|---|---|\n");
	for (size_t i = 0; i < s->count; i++) {
		if (s->where && !(s->rows[i].where & s->where))
			continue;
		print_row(&s->rows[i]);
		printf(" |\n");
	}
}

static void print_config(void)
{
	for (size_t i = 0; settings_schema(i); i++)
		print_keys(settings_schema(i));
}

static void print_sections(unsigned sections)
{
	const char *comma = "";

	for (unsigned s = SECTION_PARTITIONS; s; s = s == SECTION_PARTITIONS ? SECTION_IMAGES
						     : s == SECTION_IMAGES   ? SECTION_FILES
						     : s == SECTION_FILES    ? SECTION_SCRIPTS
						     : s == SECTION_SCRIPTS  ? SECTION_BOOTENV
						     : s == SECTION_BOOTENV  ? SECTION_VARS
									     : 0) {
		if (!(sections & s))
			continue;
		printf("%s%s", comma, section_name((enum section)s));
		comma = ", ";
	}
}

static void print_elements(const struct schema *s)
{
	printf("| element | type | default | meaning |\n|---|---|---|---|\n");
	for (size_t i = 0; i < s->count; i++) {
		print_row(&s->rows[i]);
		printf(" |\n");
	}
}

static void print_software(void)
{
	print_elements(&manifest_schema);
}

static void print_variable(void)
{
	print_elements(&boot_var_schema);
}

static void print_entry(void)
{
	printf("| attribute | type | default | meaning | in |\n|---|---|---|---|---|\n");
	for (size_t i = 0; i < entry_schema.count; i++) {
		const struct attr *a = &entry_schema.rows[i];

		print_row(a);
		printf(" | ");
		if ((a->where & entry_schema.where) == entry_schema.where)
			printf("all");
		else
			print_sections(a->where);
		printf(" |\n");
	}
}

/* ---- handlers ----------------------------------------------------------------------------- */

static const char *place_text(const struct handler *h)
{
	static const char *const names[] = {
		[HOLDS_NOTHING] = "nothing of its own",
		[HOLDS_DEVICE] = "the device that `device` or `slot` names",
		[HOLDS_TABLE] = "the partition table of the disk `device`, which may be in use",
		[HOLDS_FILE] = "the `path`, maybe on the file system of `device` or `slot`",
		[HOLDS_FOLDER] =
			"what lies in the folder `path`, maybe on the file system of `device` or `slot`",
	};

	return names[h->holds];
}

static void print_phases(const struct handler *h)
{
	static const char *const names[] = {
		[PHASE_PREINSTALL] = "before the images",
		[PHASE_POSTINSTALL] = "after them",
		[PHASE_POSTFAILURE] = "after a failure",
		[PHASE_SWITCH] = "with the boot switch",
	};
	const char *comma = "";

	printf("; runs ");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!(h->phases & (1u << i)))
			continue;
		printf("%s%s", comma, names[i]);
		comma = ", ";
	}
}

static void print_properties(const struct handler *h)
{
	if (!h->prop_count)
		return;
	printf("\n| property | type | default | meaning |\n|---|---|---|---|\n");
	for (size_t i = 0; i < h->prop_count; i++) {
		print_row(&h->props[i]);
		printf(" |\n");
	}
}

static void print_handler(const struct handler *h)
{
	printf("\n### %s\n\n", h->name);
	print_cell(h->summary);
	printf(".\n\n- in: ");
	print_sections(h->sections);
	if (h->phases)
		print_phases(h);
	if (h->aliases)
		printf("\n- also called: %s", h->aliases);
	if (h->kind == HANDLER_TARGET)
		printf("\n- writes: %s", place_text(h));
	if (h->no_data)
		printf("\n- takes no payload: `filename` is refused");
	if (h->irreversible)
		printf("\n- cannot be undone: it runs after everything that can still be refused, and "
		       "a failure behind it leaves what it did");
	if (h->forever)
		printf("\n- cannot be undone: %s", h->forever);
	printf("\n");
	print_properties(h);
}

static void print_handlers(void)
{
	for (size_t i = 0; handler_at(i); i++)
		print_handler(handler_at(i));
}

static void print_elsewhere(void)
{
	printf("| type | for |\n|---|---|\n");
	for (size_t i = 0; handler_type_at(i); i++)
		if (!handler_find(handler_type_at(i)->name))
			printf("| `%s` | %s |\n", handler_type_at(i)->name,
			       handler_type_at(i)->summary);
}

static void print_verdicts(void)
{
	printf("| type | verdict | for |\n|---|---|---|\n");
	for (size_t i = 0; handler_type_at(i); i++) {
		const struct handler_type *t = handler_type_at(i);

		printf("| `%s` | %s | %s |\n", t->name, handler_find(t->name) ? "same" : "not",
		       t->summary);
	}
}

/* ---- options ------------------------------------------------------------------------------ */

static void print_help(const char *title, char *text)
{
	AUTO_FREE char *owned = text;

	printf("\n## %s\n\n```text\n%s```\n", title, owned ? owned : "");
}

static void print_swbundle(void)
{
	for (unsigned i = 0; doc_command(i); i++)
		print_help(doc_command(i)->program, options_help(doc_command(i)));
}

const struct doc_table doc_markdown[] = {
	{"errors", print_errors},
	{"config", print_config},
	{"software", print_software},
	{"entry", print_entry},
	{"variable", print_variable},
	{"handlers", print_handlers},
	{"handlers elsewhere", print_elsewhere},
	{"handlers verdict", print_verdicts},
	{"swbundle", print_swbundle},
	{NULL, NULL},
};
