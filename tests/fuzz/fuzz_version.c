/*
 * Versions, board patterns and files of versions. The first three lines are versions, the fourth is
 * a pattern, as the second is one; all of it is a file of "name version" lines too. glibc is not
 * asked about the pattern: there are short ones that it takes hours for.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parser/pattern.h"
#include "parser/version.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int sign(int x)
{
	return (x > 0) - (x < 0);
}

static void order(const char *a, const char *b, const char *c)
{
	int ab = sign(version_compare(a, b)), bc = sign(version_compare(b, c));

	if (version_compare(a, a) != 0)
		abort(); /* not equal to itself */
	if (ab != -sign(version_compare(b, a)))
		abort(); /* both ways round */
	if (version_class(a) != version_class(b) || version_class(b) != version_class(c))
		return; /* two classes are compared as texts */
	if (ab >= 0 && bc >= 0 && sign(version_compare(a, c)) != (ab > bc ? ab : bc))
		abort(); /* a >= b >= c and not a >= c */
}

static void list(const char *text, size_t n, const char *name)
{
	struct version_list l = {0};
	struct err e = {0};

	if (version_list_parse(&l, text, n, &e) < 0 && e.code == E_NONE)
		abort();
	for (size_t i = 0; i < l.count; i++)
		if (!version_list_find(&l, l.items[i].name))
			abort();
	if (*name && version_list_put(&l, name, "1.2") == 0 &&
	    strcmp(version_list_find(&l, name), "1.2") != 0)
		abort();
	version_list_clear(&l);
}

/* what a pattern says is the same when it is said twice, and a choice of nothing is always there */
static void match(const char *pattern, const char *text)
{
	char twice[2 * PATTERN_LENGTH + 8];
	const char *why = NULL;
	int rc = pattern_matches(pattern, text, &why), again;

	if (rc < 0 && !why)
		abort(); /* it failed without a reason */
	if (rc < 0 || strlen(pattern) > PATTERN_LENGTH)
		return;
	snprintf(twice, sizeof(twice), "%s|%s", pattern, pattern);
	again = pattern_matches(twice, text, &why);
	if (again >= 0 ? again != rc : strlen(twice) <= PATTERN_LENGTH && !strstr(why, "unfolds"))
		abort();
	snprintf(twice, sizeof(twice), "|%s", pattern);
	again = pattern_matches(twice, text, &why);
	if (again >= 0 ? again != 1 : strlen(twice) <= PATTERN_LENGTH && !strstr(why, "unfolds"))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *text = malloc(n + 1), *line[4];
	struct err e = {0};
	char *p = text;

	if (!text || n > 16384) {
		free(text);
		return 0;
	}
	memcpy(text, data, n);
	text[n] = '\0';
	list(text, n, "app");
	for (size_t i = 0; i < 4; i++) {
		char *end = strchr(p, '\n');

		line[i] = p;
		p = end ? end + 1 : p + strlen(p);
		if (end)
			*end = '\0';
	}
	order(line[0], line[1], line[2]);
	hardware_matches(line[3], line[0], &e);
	match(line[1], line[0]);
	if (hardware_matches(line[0], line[0], &e) != 1 && strncmp(line[0], "#RE:", 4) != 0 &&
	    strlen(line[0]) < 200)
		abort(); /* the same text */
	free(text);
	return 0;
}
