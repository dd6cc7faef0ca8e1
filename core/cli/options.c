/* Reading a command line by its table. */
#include "core/cli/options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/arena.h"
#include "parser/schema.h"

struct reader {
	struct options *o;
	char **argv;
	int argc, at;
};

static const struct option *find_letter(const struct option_table *t, char c)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->rows[i].letter == c)
			return &t->rows[i];
	return NULL;
}

static int unknown(const struct option_table *t, const char *word, size_t n, struct err *e)
{
	const char *names[128], *near;
	char name[64];
	size_t count = t->count < ARRAY_SIZE(names) ? t->count : ARRAY_SIZE(names);
	int rc;

	for (size_t i = 0; i < count; i++)
		names[i] = t->rows[i].name;
	text_print(name, sizeof(name), "%.*s", (int)n, word);
	near = text_nearest(name, names, count);
	rc = err_set(e, E_USAGE, EINVAL, "there is no option '--%s'", name);
	if (near)
		err_fix(e, "did you mean --%s? %s --help lists all", near, t->program);
	return rc;
}

/* the whole name, or the beginning of one option's name only */
static int find_name(const struct option_table *t, const char *word, const struct option **found,
		     struct err *e)
{
	size_t n = strcspn(word, "="), matches = 0;
	const struct option *other = NULL;

	*found = NULL;
	for (size_t i = 0; i < t->count; i++) {
		const struct option *row = &t->rows[i];

		if (n == 0 || strncmp(row->name, word, n) != 0)
			continue;
		other = *found;
		*found = row;
		if (row->name[n] == '\0')
			return 0;
		matches++;
	}
	if (matches == 1)
		return 0;
	if (matches == 0)
		return unknown(t, word, n, e);
	return err_set(e, E_USAGE, EINVAL, "'--%.*s' could be --%s or --%s", (int)n, word,
		       other->name, (*found)->name);
}

static bool is_value(const struct option *row, const char *v)
{
	if (v[0] != '-' || row->dash == DASH_ANY)
		return true;
	return row->dash == DASH_ALONE && v[1] == '\0';
}

static int check_word(const struct option *row, const char *value, struct err *e)
{
	char all[160] = "";

	if (!row->values)
		return 0;
	for (size_t i = 0; row->values[i]; i++) {
		size_t n = strlen(all);

		if (strcmp(row->values[i], value) == 0)
			return 0;
		text_print(all + n, sizeof(all) - n, "%s%s", i ? ", " : "", row->values[i]);
	}
	return err_set(e, E_USAGE, EINVAL, "--%s is one of %s, not '%s'", row->name, all, value);
}

static int check_number(const struct option *row, const char *value, struct err *e)
{
	uint64_t v;

	if (text_u64(value, &v) < 0 || v > INT64_MAX || (int64_t)v < row->min ||
	    (int64_t)v > row->max)
		return err_set(e, E_USAGE, EINVAL,
			       "--%s takes a number from %" PRId64 " to %" PRId64 ", not '%s'",
			       row->name, row->min, row->max, value);
	return 0;
}

static int note(struct reader *r, const struct option *row, const char *value, struct err *e)
{
	int rc = 0;

	if (row->arg && !value)
		return err_set(e, E_USAGE, EINVAL, "--%s needs an argument: %s", row->name,
			       row->arg);
	if (row->arg && !is_value(row, value))
		return err_set(e, E_USAGE, EINVAL, "--%s needs an argument (%s), but '%s' follows",
			       row->name, row->arg, value);
	if (row->kind == OPTION_NUMBER)
		rc = check_number(row, value, e);
	else if (value)
		rc = check_word(row, value, e);
	r->o->given[r->o->given_count++] = (struct given){row, value};
	return rc;
}

static const char *next_word(struct reader *r)
{
	return r->at < r->argc ? r->argv[r->at++] : NULL;
}

static int read_long(struct reader *r, const char *word, struct err *e)
{
	const struct option *row;
	const char *value = strchr(word, '=');
	int rc = find_name(r->o->table, word, &row, e);

	if (rc < 0)
		return rc;
	if (value && !row->arg)
		return err_set(e, E_USAGE, EINVAL, "--%s takes no argument", row->name);
	if (value)
		value++;
	else if (row->arg)
		value = next_word(r);
	return note(r, row, value, e);
}

/* "-v", "-vc", "-iFILE", "-i FILE" */
static int read_short(struct reader *r, const char *word, struct err *e)
{
	for (; *word; word++) {
		const struct option *row = find_letter(r->o->table, *word);
		int rc;

		if (!row)
			return err_set(e, E_USAGE, EINVAL, "there is no option '-%c'", *word);
		if (row->arg)
			return note(r, row, word[1] ? word + 1 : next_word(r), e);
		rc = note(r, row, NULL, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int read_word(struct reader *r, const char *word, bool *only_words, struct err *e)
{
	if (*only_words || word[0] != '-' || !word[1]) {
		r->o->words[r->o->word_count++] = word;
		return 0;
	}
	if (strcmp(word, "--") == 0) {
		*only_words = true;
		return 0;
	}
	return word[1] == '-' ? read_long(r, word + 2, e) : read_short(r, word + 1, e);
}

/* each character of a cluster of letters may be an option of its own */
static size_t most_options(int argc, char **argv)
{
	size_t n = 1;

	for (int i = 1; i < argc; i++)
		n += strlen(argv[i]) + 1;
	return n;
}

int options_parse(struct options *o, const struct option_table *t, int argc, char **argv,
		  struct err *e)
{
	struct reader r = {.o = o, .argv = argv, .argc = argc, .at = 1};
	bool only_words = false;
	int rc = 0;

	*o = (struct options){.table = t};
	o->given = calloc(most_options(argc, argv), sizeof(*o->given));
	o->words = calloc((size_t)argc + 1, sizeof(*o->words));
	if (!o->given || !o->words) {
		options_clear(o);
		return err_set(e, E_MEMORY, ENOMEM, "a command line of %d words", argc);
	}
	while (rc == 0 && r.at < argc)
		rc = read_word(&r, next_word(&r), &only_words, e);
	return rc;
}

void options_clear(struct options *o)
{
	free(o->given);
	free(o->words);
	*o = (struct options){.table = o->table};
}

const char *options_given(const struct options *o, const char *name)
{
	for (size_t i = o->given_count; i-- > 0;)
		if (strcmp(o->given[i].option->name, name) == 0)
			return o->given[i].value ? o->given[i].value : "";
	return NULL;
}

static int append(struct strings *list, const char *value, struct arena *a, struct err *e)
{
	const char **at = arena_alloc(a, (list->count + 1) * sizeof(*at));

	if (!at)
		return err_set(e, E_MEMORY, ENOMEM, "a list of %zu words", list->count + 1);
	if (list->count)
		memcpy(at, list->at, list->count * sizeof(*at));
	at[list->count++] = value;
	list->at = at;
	return 0;
}

static int apply(const struct given *g, char *base, struct arena *a, struct err *e)
{
	const struct option *row = g->option;
	void *at = base + row->at;
	uint64_t number = 0;

	if (row->has)
		*(bool *)(base + row->has) = true;
	switch (row->kind) {
	case OPTION_FLAG:
		*(bool *)at = true;
		return 0;
	case OPTION_TEXT:
		*(const char **)at = g->value;
		return 0;
	case OPTION_NUMBER:
		text_u64(g->value, &number); /* check_number() has seen it */
		*(int64_t *)at = (int64_t)number;
		return 0;
	case OPTION_LIST:
		return append(at, g->value, a, e);
	case OPTION_ABSENT:
		break;
	}
	return 0;
}

int options_apply(const struct options *o, enum option_target target, void *base, struct arena *a,
		  struct err *e)
{
	for (size_t i = 0; i < o->given_count; i++) {
		int rc = 0;

		if (o->given[i].option->target == target)
			rc = apply(&o->given[i], base, a, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int absent(const struct option *row, const struct option_table *t, struct err *e)
{
	int rc = err_set(e, E_NOT_BUILT, ENOTSUP,
			 "--%s (%s) is not built into this %s yet: CONFIG_%s", row->name, row->help,
			 t->program, row->symbol);

	if (row->instead)
		err_fix(e, "%s", row->instead);
	return rc;
}

int options_check_built(const struct options *o, struct err *e)
{
	for (size_t i = 0; i < o->given_count; i++) {
		const struct option *row = o->given[i].option;

		if (row->kind == OPTION_ABSENT)
			return absent(row, o->table, e);
	}
	return 0;
}
