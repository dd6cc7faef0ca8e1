/*
 * What programs of a bundle say, and the words that they are called with. The first byte is the
 * kind:
 *
 *   L  output: any bytes become the same lines whatever the pieces, printable, of bounded length
 *   W  the text of 'data': its words, quoted and split again, are the same words
 *
 * Each text that is told goes through --json, and a JSON parser reads it again.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/json.h"
#include "corelib/base/lines.h"
#include "corelib/base/text.h"
#include "corelib/base/words.h"
#include "tests/fuzz/fuzzkit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* a text as the log and the events have it */
static void look_at(const char *text)
{
	char json[6 * LINES_BYTES + 8];
	size_t n = strlen(text);
	json_t *j;

	if (n > LINES_BYTES || text_has_control(text, n) || !text_is_utf8(text, n) ||
	    strpbrk(text, "\n\r\t"))
		fuzzkit_fail("a line that is not printable", text);
	json_text(text, json, sizeof(json));
	j = json_loads(json, JSON_DECODE_ANY, NULL);
	if (!j || !json_is_string(j) || strcmp(json_string_value(j), text) != 0)
		fuzzkit_fail("JSON reads it as something else", json);
	json_decref(j);
}

/* ---- lines ---- */

struct heard {
	char *text;
	size_t n;
	FILE *f;
};

static void hear(void *arg, const char *text)
{
	look_at(text);
	fprintf(((struct heard *)arg)->f, "%s\n", text);
}

/* pieces of 1, 2, ... most, 1, 2, ... bytes */
static struct heard listen(const uint8_t *data, size_t n, size_t most)
{
	struct heard h = {NULL, 0, NULL};
	struct lines l = {.line = hear, .arg = &h};
	size_t piece = 1;

	h.f = open_memstream(&h.text, &h.n);
	if (!h.f)
		abort();
	for (size_t at = 0; at < n; piece = piece % most + 1) {
		size_t take = piece < n - at ? piece : n - at;

		lines_take(&l, (const char *)data + at, take);
		at += take;
	}
	lines_end(&l);
	if (l.len || l.cut)
		fuzzkit_fail("something is left behind the end", NULL);
	fclose(h.f);
	return h;
}

static void try_lines(const uint8_t *data, size_t n)
{
	struct heard one = listen(data, n, 1), two = listen(data, n, 977);
	size_t ends = n && data[n - 1] != '\n', lines = 0;

	for (size_t i = 0; i < n; i++)
		ends += data[i] == '\n';
	for (size_t i = 0; i < one.n; i++)
		lines += one.text[i] == '\n';
	if (one.n != two.n || memcmp(one.text, two.text, one.n) != 0)
		fuzzkit_fail("the pieces changed the meaning", two.text);
	if (lines != ends)
		fuzzkit_fail("another number of lines", one.text);
	free(one.text);
	free(two.text);
}

/* ---- words ---- */

static void put_quoted(FILE *f, const char *word)
{
	fputc('\'', f);
	for (; *word; word++)
		if (*word == '\'')
			fputs("'\\''", f);
		else
			fputc(*word, f);
	fputs("' ", f);
}

static void expect_same(const struct words *a, const struct words *b)
{
	if (a->count != b->count || a->at[a->count])
		fuzzkit_fail("another number of words", NULL);
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->at[i], b->at[i]) != 0)
			fuzzkit_fail("another word", b->at[i]);
}

static void try_words(const uint8_t *data, size_t n)
{
	char *text = strndup((const char *)data, n), *again = NULL;
	struct words one, two;
	struct err e = {0};
	size_t len;
	FILE *f;

	if (!text)
		abort();
	if (words_split(&one, text, &e) == 0) {
		f = open_memstream(&again, &len);
		for (size_t i = 0; i < one.count; i++)
			put_quoted(f, one.at[i]);
		fclose(f);
		if (words_split(&two, again, &e) < 0)
			fuzzkit_fail("quoted, it cannot be read", again);
		expect_same(&one, &two);
		words_clear(&one);
		words_clear(&two);
	} else if (e.code != E_DESC_VALUE) {
		fuzzkit_fail("it failed with another reason", e.why);
	}
	free(again);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n < 1 || n > 65536)
		return 0;
	if (*data == 'L')
		try_lines(data + 1, n - 1);
	else if (*data == 'W')
		try_words(data + 1, n - 1);
	return 0;
}
