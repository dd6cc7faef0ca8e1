#include "parse_help.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/arena.h"

void parse_note(void *arg, const char *text)
{
	struct parse_notes *n = arg;
	size_t used = strlen(n->text);

	n->count++;
	(void)snprintf(n->text + used, sizeof(n->text) - used, "%s\n", text);
}

struct parse_tree parse_tree_n(const char *text, size_t n, const struct node_limits *l)
{
	struct parse_tree t = {.arena = arena_new(64 << 20)};
	/* a copy of the exact size, so that ASan sees a read behind it */
	char *copy = malloc(n ? n : 1);

	assert_non_null(t.arena);
	assert_non_null(copy);
	memcpy(copy, text, n);
	t.rc = node_parse(&t.root, copy, n, t.arena, l, &t.err);
	free(copy);
	return t;
}

struct parse_tree parse_tree(const char *text)
{
	return parse_tree_n(text, strlen(text), NULL);
}

void parse_tree_clear(struct parse_tree *t)
{
	arena_free(t->arena);
	t->arena = NULL;
}

void parse_tree_is(const char *text, const char *want)
{
	struct parse_tree t = parse_tree(text);
	char out[65536];

	if (t.rc < 0)
		fail_msg("%s: %s (%s)", text, t.err.why, t.err.where);
	assert_int_equal(node_print(t.root, out, sizeof(out)), strlen(want));
	assert_string_equal(out, want);
	parse_tree_clear(&t);
}

void parse_tree_fails_n(const char *text, size_t n, enum errcode code, unsigned line)
{
	struct parse_tree t = parse_tree_n(text, n, NULL);
	char place[32];

	if (t.rc >= 0 || t.err.code != code)
		fail_msg("%.60s: rc %d, code %d, why %s", text, t.rc, t.err.code, t.err.why);
	if (line) {
		(void)snprintf(place, sizeof(place), "line %u", line);
		assert_string_equal(t.err.object, place);
	}
	assert_true(t.err.why[0] != '\0');
	parse_tree_clear(&t);
}

void parse_tree_fails(const char *text, enum errcode code, unsigned line)
{
	parse_tree_fails_n(text, strlen(text), code, line);
}

struct parse_manifest parse_manifest(const char *text, const struct manifest_options *given)
{
	static const struct manifest_options usual = {.hash_required = true};
	struct manifest_options o = given ? *given : usual;
	struct parse_manifest p = {.rc = 0};
	size_t n = strlen(text);
	char *copy = malloc(n ? n : 1);

	assert_non_null(copy);
	memcpy(copy, text, n);
	o.note = parse_note;
	o.arg = &p.notes;
	p.rc = manifest_parse(&p.m, copy, n, &o, &p.err);
	free(copy);
	return p;
}

struct parse_manifest parse_body(const char *body)
{
	char text[16384];

	assert_in_range(snprintf(text, sizeof(text), "software = { version = \"1\";\n%s\n}", body),
			1, sizeof(text) - 1);
	return parse_manifest(text, NULL);
}

void parse_body_fails(const char *body, enum errcode code, const char *why)
{
	struct parse_manifest p = parse_body(body);

	if (p.rc >= 0 || p.err.code != code || (why && !strstr(p.err.why, why)))
		fail_msg("%s: rc %d, code %d, why %s", body, p.rc, p.err.code, p.err.why);
	assert_non_null(strstr(p.err.where, "sw-description"));
}
