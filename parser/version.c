/*
 * Versions, and files that list them.
 *
 * Numbers: digits and dots, four fields of 16 bits. Semver as existing devices take it: one field
 * or more, of which three count, then a prerelease; build metadata is ignored. Everything else is
 * compared byte by byte. Where SWUpdate 2022.12 calls 1.0.0-9 and 1.0.0-10 equal, they are ordered
 * here.
 */
#include "parser/version.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/text.h"

#define DIGITS "0123456789"
#define WORDS  DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-."

/* a part of a version, not terminated */
struct span {
	const char *at;
	size_t length;
};

struct semver {
	struct span field[3];
	struct span pre; /* at = NULL: a release */
};

static int compare_counts(size_t a, size_t b)
{
	return (a > b) - (a < b);
}

/* digits of any length by value */
static int compare_digits(struct span a, struct span b)
{
	int d;

	for (; a.length && *a.at == '0'; a.length--)
		a.at++;
	for (; b.length && *b.at == '0'; b.length--)
		b.at++;
	d = compare_counts(a.length, b.length);
	return d || !a.length ? d : memcmp(a.at, b.at, a.length);
}

/* four fields of 16 bits in one number; false = not of this class. Empty fields are left out. */
static bool parse_numbers(const char *v, uint64_t *packed)
{
	unsigned fields = 0;

	*packed = 0;
	if (v[strspn(v, DIGITS ".")])
		return false;
	for (v += strspn(v, "."); *v && fields < 4; v += strspn(v, "."), fields++) {
		uint64_t field = 0;

		for (; *v && *v != '.'; v++) {
			field = field * 10 + (uint64_t)(*v - '0');
			if (field > UINT16_MAX)
				return false;
		}
		*packed = *packed << 16 | field;
	}
	for (; fields < 4; fields++)
		*packed <<= 16;
	return true;
}

static bool parse_fields(const char **v, struct semver *s)
{
	for (unsigned i = 0;; i++, (*v)++) {
		size_t n = strspn(*v, DIGITS);

		if (!n)
			return false;
		if (i < 3)
			s->field[i] = (struct span){*v, n};
		*v += n;
		if (**v != '.')
			return true;
	}
}

static bool parse_semver(const char *v, struct semver *s)
{
	memset(s, 0, sizeof(*s));
	if (!parse_fields(&v, s))
		return false;
	if (*v == '-') {
		s->pre = (struct span){v + 1, strspn(v + 1, WORDS)};
		if (!s->pre.length)
			return false;
		v += 1 + s->pre.length;
	}
	if (*v == '+')
		v += 1 + strspn(v + 1, WORDS);
	return !*v;
}

static struct span next_identifier(struct span *rest)
{
	struct span id = {rest->at, 0};

	while (id.length < rest->length && id.at[id.length] != '.')
		id.length++;
	rest->at += id.length;
	rest->length -= id.length;
	if (rest->length) { /* the dot */
		rest->at++;
		rest->length--;
	}
	return id;
}

static bool is_number(struct span s)
{
	for (size_t i = 0; i < s.length; i++)
		if (s.at[i] < '0' || s.at[i] > '9')
			return false;
	return s.length;
}

static int compare_bytes(struct span a, struct span b)
{
	size_t n = a.length < b.length ? a.length : b.length;
	int d = n ? memcmp(a.at, b.at, n) : 0;

	return d ? d : compare_counts(a.length, b.length);
}

static int compare_identifiers(struct span a, struct span b)
{
	bool number = is_number(a);

	if (number != is_number(b))
		return number ? -1 : 1;
	return number ? compare_digits(a, b) : compare_bytes(a, b);
}

static int compare_prerelease(struct span a, struct span b)
{
	int d = 0;

	if (!a.at || !b.at)
		return !a.at - !b.at; /* a release is higher than its prereleases */
	while (d == 0 && a.length && b.length)
		d = compare_identifiers(next_identifier(&a), next_identifier(&b));
	return d ? d : compare_counts(a.length, b.length);
}

static int compare_semver(const struct semver *a, const struct semver *b)
{
	int d = 0;

	for (unsigned i = 0; d == 0 && i < 3; i++)
		d = compare_digits(a->field[i], b->field[i]);
	return d ? d : compare_prerelease(a->pre, b->pre);
}

enum version_class version_class(const char *v)
{
	struct semver s;
	uint64_t n;

	if (parse_numbers(v, &n))
		return VERSION_NUMBERS;
	return parse_semver(v, &s) ? VERSION_SEMVER : VERSION_TEXT;
}

int version_compare(const char *a, const char *b)
{
	uint64_t x, y;
	struct semver s, t;

	if (parse_numbers(a, &x) && parse_numbers(b, &y))
		return (x > y) - (x < y);
	if (parse_semver(a, &s) && parse_semver(b, &t))
		return compare_semver(&s, &t);
	return strcmp(a, b);
}

/* ---- files that list versions ---- */

static char *span_text(struct span s)
{
	return strndup(s.at, s.length);
}

static int append(struct version_list *l, struct span name, struct span version)
{
	struct version_item *items, it = {span_text(name), span_text(version)};

	items = it.name && it.version ? realloc(l->items, (l->count + 1) * sizeof(*items)) : NULL;
	if (!items) {
		free(it.name);
		free(it.version);
		return -ENOMEM;
	}
	l->items = items;
	l->items[l->count++] = it;
	return 0;
}

static struct span next_word(const char **at, const char *end)
{
	struct span s = {NULL, 0};

	while (*at < end && (**at == ' ' || **at == '\t' || **at == '\r'))
		(*at)++;
	s.at = *at;
	while (*at < end && **at != ' ' && **at != '\t' && **at != '\r')
		(*at)++;
	s.length = (size_t)(*at - s.at);
	return s;
}

/* lines with less than two words say nothing */
static int parse_line(struct version_list *l, const char *at, const char *end)
{
	struct span name = next_word(&at, end), version = next_word(&at, end);

	if (!version.length || *name.at == '#')
		return 0;
	return append(l, name, version);
}

static int parse_lines(struct version_list *l, const char *at, const char *end, struct err *e)
{
	for (unsigned line = 1; at < end; line++) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));

		if (!stop)
			stop = end;
		if (memchr(at, '\0', (size_t)(stop - at)))
			return err_set(e, E_CONFIG, 0, "line %u of a list of versions holds a NUL",
				       line);
		if (l->count >= 4096)
			return err_set(e, E_CONFIG, 0,
				       "a list of versions has more than 4096 lines");
		if (parse_line(l, at, stop) < 0)
			return err_set(e, E_MEMORY, ENOMEM, "no memory for a list of versions");
		at = stop + (stop < end);
	}
	return 0;
}

int version_list_parse(struct version_list *l, const char *text, size_t n, struct err *e)
{
	int rc;

	*l = (struct version_list){NULL, 0};
	rc = n ? parse_lines(l, text, text + n, e) : 0;
	if (rc < 0)
		version_list_clear(l);
	return rc;
}

static struct version_item *find(const struct version_list *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++)
		if (!strcmp(l->items[i].name, name))
			return l->items + i;
	return NULL;
}

const char *version_list_find(const struct version_list *l, const char *name)
{
	const struct version_item *it = find(l, name);

	return it ? it->version : NULL;
}

int version_list_put(struct version_list *l, const char *name, const char *version)
{
	struct span n = {name, strlen(name)}, v = {version, strlen(version)};
	struct version_item *it = find(l, name);
	char *fresh;

	if (!it)
		return append(l, n, v);
	fresh = span_text(v);
	if (!fresh)
		return -ENOMEM;
	free(it->version);
	it->version = fresh;
	return 0;
}

void version_list_clear(struct version_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free(l->items[i].name);
		free(l->items[i].version);
	}
	free(l->items);
	*l = (struct version_list){NULL, 0};
}
