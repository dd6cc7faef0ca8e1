/*
 * Both syntaxes of the description: no crash, bounded memory, and printing what was read and
 * reading it again gives the same tree. The first byte chooses set, mode and strictness.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/arena.h"
#include "parser/manifest.h"
#include "parser/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static char *print(const struct node *root)
{
	const size_t room = 1 << 20;
	char *text = malloc(room);

	if (text && node_print(root, text, room) < 0) {
		free(text);
		return NULL;
	}
	return text;
}

static void round_trip(const uint8_t *data, size_t n)
{
	struct arena *a = arena_new(64u << 20);
	const struct node *one = NULL, *two = NULL;
	struct err e = {0};
	char *text = NULL, *again = NULL;

	if (a && node_parse(&one, data, n, a, NULL, &e) == 0 && (text = print(one))) {
		if (node_parse(&two, text, strlen(text), a, NULL, &e) == 0) {
			again = print(two);
			if (again && strcmp(text, again) != 0)
				abort();
		}
	}
	free(text);
	free(again);
	arena_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct manifest_options o = {0};
	struct manifest *m = NULL;
	struct settings *s = NULL;
	struct err e = {0};

	if (n < 2)
		return 0;
	o.strict = data[0] & 1;
	o.hash_required = data[0] & 2;
	if (data[0] & 4)
		o.sel = (struct selection){.board = "board", .set = "stable", .mode = "copy1"};
	if (manifest_parse(&m, data + 1, n - 1, &o, &e) == 0)
		manifest_free(m);
	err_clear(&e);
	if (settings_new(&s, &e) == 0) {
		settings_parse(s, data + 1, n - 1, NULL, NULL, &e);
		settings_free(s);
	}
	round_trip(data + 1, n - 1);
	return 0;
}
