#include "parser/text/guard.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/text.h"
#include "parser/text/guard_lex.h"

/* libconfig searches a group from its beginning at each key: 16 groups of 4000 took 1.4 s */
#define KEYS_MAX 1024

struct key {
	size_t at, length; /* in the canonical text */
	unsigned line;
};

struct guard {
	struct guarded *out;
	size_t text_cap, note_cap;
	unsigned line; /* of the end of the canonical text */
	struct lexer lex;
	struct node_limits max;
	size_t depth;
	uint32_t name_sum; /* of the key before the next value */
	struct key *keys;  /* of all open groups */
	size_t key_count, key_cap;
};

uint32_t node_sum(uint32_t sum, const void *p, size_t n)
{
	const uint8_t *b = p;

	sum ^= 2166136261u; /* FNV-1a */
	for (size_t i = 0; i < n; i++)
		sum = (sum ^ b[i]) * 16777619u;
	return sum;
}

void node_print_float(double v, char out[40])
{
	char digits[32], *exp;

	(void)snprintf(digits, sizeof(digits), "%.17g", v);
	exp = strchr(digits, 'e');
	if (strchr(digits, '.') || !exp)
		(void)snprintf(out, 40, "%s%s", digits, strchr(digits, '.') ? "" : ".0");
	else
		(void)snprintf(out, 40, "%.*s.0%s", (int)(exp - digits), digits, exp);
}

/* room for one more item of an array that grows; false = no memory */
static bool grow(void **array, size_t *cap, size_t need, size_t item)
{
	size_t want = *cap ? *cap : 64;
	void *p;

	if (need <= *cap)
		return true;
	while (want < need)
		want *= 2;
	p = realloc(*array, want * item);
	if (!p)
		return false;
	*array = p;
	*cap = want;
	return true;
}

static int no_memory(struct err *e)
{
	return err_set(e, E_MEMORY, ENOMEM, "no memory to read the text");
}

static int emit(struct guard *g, const char *s, size_t n, struct err *e)
{
	void *text = g->out->text;

	if (!grow(&text, &g->text_cap, g->out->length + n + 1, 1))
		return no_memory(e);
	g->out->text = text;
	memcpy(g->out->text + g->out->length, s, n);
	g->out->length += n;
	g->out->text[g->out->length] = '\0';
	return 0;
}

/* begin on the line of the current token, so that lines stay what they are in the source */
static int emit_line(struct guard *g, struct err *e)
{
	int rc = 0;

	for (; rc == 0 && g->line < g->lex.token_line; g->line++)
		rc = emit(g, "\n", 1, e);
	return rc;
}

static int emit_quoted(struct guard *g, struct err *e)
{
	int rc = emit(g, "\"", 1, e);

	for (size_t i = 0; rc == 0 && i < g->lex.length; i++) {
		const char *special = "\"\\\n\r\t", *names = "\"\\nrt";
		const char *hit = strchr(special, g->lex.text[i]);
		char pair[2] = {'\\', hit ? names[hit - special] : 0};

		rc = hit ? emit(g, pair, 2, e) : emit(g, &g->lex.text[i], 1, e);
	}
	return rc < 0 ? rc : emit(g, "\"", 1, e);
}

static int note(struct guard *g, enum node_type type, uint32_t sum, struct err *e)
{
	void *notes = g->out->notes;

	if (g->out->count >= g->max.nodes)
		return LINE_ERROR(g->lex.token_line, E_DESC_LIMIT, e, "more than %zu values",
				  g->max.nodes);
	if (!grow(&notes, &g->note_cap, g->out->count + 1, sizeof(*g->out->notes)))
		return no_memory(e);
	g->out->notes = notes;
	g->out->notes[g->out->count++] = (struct guard_note){type, g->lex.token_line, sum};
	return emit_line(g, e);
}

static int next(struct guard *g, struct err *e)
{
	return lexer_next(&g->lex, e);
}

static bool at_punct(const struct guard *g, char c)
{
	return g->lex.token == TOKEN_PUNCT && g->lex.punct == c;
}

static int unexpected(const struct guard *g, const char *wanted, struct err *e)
{
	const struct lexer *l = &g->lex;
	const char *hint = l->token == TOKEN_NAME && strcmp(wanted, "a value") == 0
				   ? "; texts stand in quotes"
				   : "";
	char got[48] = "the end of the text";

	if (l->token == TOKEN_PUNCT)
		(void)snprintf(got, sizeof(got), "'%c'", l->punct);
	else if (l->token == TOKEN_NAME || l->token == TOKEN_STRING)
		text_printable(l->text, l->length, got, sizeof(got));
	else if (l->token != TOKEN_END)
		(void)snprintf(got, sizeof(got), "a value");
	return LINE_ERROR(l->token_line, E_DESC_SYNTAX, e, "%s is expected here, not %s%s", wanted,
			  got, hint);
}

static int expect(struct guard *g, const char *any_of, const char *wanted, struct err *e)
{
	if (g->lex.token != TOKEN_PUNCT || !strchr(any_of, g->lex.punct))
		return unexpected(g, wanted, e);
	return next(g, e);
}

/* ---- keys ---- */

static int key_compare(const void *a, const void *b, void *arg)
{
	const struct key *x = a, *y = b;
	const char *text = arg;
	int d = memcmp(text + x->at, text + y->at, x->length < y->length ? x->length : y->length);

	if (d)
		return d;
	if (x->length != y->length)
		return x->length < y->length ? -1 : 1;
	return x->line < y->line ? -1 : x->line > y->line;
}

/* the keys of a group that closes: sorted, so that equal ones are neighbours (T37) */
static int check_keys(struct guard *g, size_t first, struct err *e)
{
	struct key *k = g->keys ? g->keys + first : NULL; /* no key at all was met */
	size_t n = k ? g->key_count - first : 0;
	const char *text = g->out->text;

	if (k && n > 1)
		qsort_r(k, n, sizeof(*k), key_compare, g->out->text);
	g->key_count = first;
	for (size_t i = 1; i < n; i++)
		if (k[i].length == k[i - 1].length &&
		    !memcmp(text + k[i].at, text + k[i - 1].at, k[i].length)) {
			char shown[64];

			text_printable(text + k[i].at, k[i].length, shown, sizeof(shown));
			return LINE_ERROR(k[i].line, E_DESC_DUP, e, "%s stands in line %u already",
					  shown, k[i - 1].line);
		}
	return 0;
}

static int take_key(struct guard *g, size_t first, struct err *e)
{
	struct lexer *l = &g->lex;
	void *keys = g->keys;
	size_t at;
	int rc;

	if (l->token != (l->json ? TOKEN_STRING : TOKEN_NAME))
		return unexpected(g, l->json ? "a key in quotes" : "a name", e);
	if (g->key_count - first >= KEYS_MAX)
		return LINE_ERROR(l->token_line, E_DESC_LIMIT, e, "more than %d keys in one group",
				  KEYS_MAX);
	if (!grow(&keys, &g->key_cap, g->key_count + 1, sizeof(*g->keys)))
		return no_memory(e);
	g->keys = keys;
	rc = emit_line(g, e);
	if (rc < 0)
		return rc;
	at = g->out->length;
	rc = l->json ? emit_quoted(g, e) : emit(g, l->text, l->length, e);
	if (rc < 0)
		return rc;
	g->keys[g->key_count++] = (struct key){at, g->out->length - at, l->token_line};
	g->name_sum = node_sum(0, l->text, l->length + 1);
	rc = next(g, e);
	if (rc < 0)
		return rc;
	rc = expect(g, l->json ? ":" : "=:", l->json ? "':'" : "'=' or ':'", e);
	return rc < 0 ? rc : emit(g, l->json ? ":" : "=", 1, e);
}

/* ---- values ---- */

static int walk_value(struct guard *g, struct err *e);

/* name = value, ended by ';', ',' or nothing */
static int walk_settings(struct guard *g, struct err *e)
{
	size_t first = g->key_count;
	int rc = 0;

	while (rc == 0 && g->lex.token != TOKEN_END && !at_punct(g, '}')) {
		rc = take_key(g, first, e);
		if (rc == 0)
			rc = walk_value(g, e);
		if (rc == 0)
			rc = emit(g, ";", 1, e);
		if (rc == 0 && (at_punct(g, ';') || at_punct(g, ',')))
			rc = next(g, e);
	}
	return rc < 0 ? rc : check_keys(g, first, e);
}

static int walk_members(struct guard *g, struct err *e)
{
	size_t first = g->key_count;
	bool more = !at_punct(g, '}');
	int rc = 0;

	while (more && rc == 0) {
		rc = take_key(g, first, e);
		if (rc == 0)
			rc = walk_value(g, e);
		more = rc == 0 && at_punct(g, ',');
		if (more)
			rc = emit(g, ",", 1, e);
		if (more && rc == 0)
			rc = next(g, e);
	}
	return rc < 0 ? rc : check_keys(g, first, e);
}

static int walk_group(struct guard *g, struct err *e)
{
	int rc = emit(g, "{", 1, e);

	if (rc < 0)
		return rc;
	rc = next(g, e);
	if (rc < 0)
		return rc;
	rc = g->lex.json ? walk_members(g, e) : walk_settings(g, e);
	if (rc < 0)
		return rc;
	if (!at_punct(g, '}'))
		rc = unexpected(g, "'}'", e);
	if (rc < 0)
		return rc;
	rc = emit_line(g, e);
	return rc < 0 ? rc : emit(g, "}", 1, e);
}

/* libconfig's [ ] holds scalars of one type; ( ) and JSON's [ ] hold anything */
static int check_array(const struct guard *g, enum token first, struct err *e)
{
	if (g->lex.token == TOKEN_PUNCT || g->lex.token == TOKEN_END || g->lex.token != first)
		return LINE_ERROR(g->lex.token_line, E_DESC_SYNTAX, e,
				  "an array [ ] holds values of one simple type; a list is ( )");
	return 0;
}

static int walk_items(struct guard *g, char close, struct err *e)
{
	bool array = close == ']' && !g->lex.json;
	enum token first = g->lex.token;
	int rc = 0;

	for (size_t n = 0; rc == 0 && !at_punct(g, close); n++) {
		if (n && !at_punct(g, ','))
			return unexpected(g, close == ')' ? "',' or ')'" : "',' or ']'", e);
		if (n)
			rc = next(g, e);
		/* libconfig 1.7 takes a comma before the end, JSON does not */
		if (rc == 0 && n && !g->lex.json && at_punct(g, close))
			return 0;
		if (rc == 0 && n)
			rc = emit(g, ",", 1, e);
		if (rc == 0 && array)
			rc = check_array(g, first, e);
		g->name_sum = 0;
		if (rc == 0)
			rc = walk_value(g, e);
	}
	return rc;
}

static int walk_list(struct guard *g, char close, struct err *e)
{
	int rc = emit(g, g->lex.json ? "[" : "(", 1, e);

	if (rc < 0)
		return rc;
	rc = next(g, e);
	if (rc < 0)
		return rc;
	rc = walk_items(g, close, e);
	if (rc < 0)
		return rc;
	rc = emit_line(g, e);
	return rc < 0 ? rc : emit(g, g->lex.json ? "]" : ")", 1, e);
}

static int walk_container(struct guard *g, struct err *e)
{
	bool group = g->lex.punct == '{';
	int rc;

	if (!group && g->lex.punct != '[' && g->lex.punct != '(')
		return unexpected(g, "a value", e);
	if (g->depth >= g->max.depth)
		return LINE_ERROR(g->lex.token_line, E_DESC_LIMIT, e, "nested deeper than %zu",
				  g->max.depth);
	rc = note(g, group ? NODE_GROUP : NODE_LIST, g->name_sum, e);
	if (rc < 0)
		return rc;
	g->depth++;
	rc = group ? walk_group(g, e) : walk_list(g, g->lex.punct == '(' ? ')' : ']', e);
	g->depth--;
	return rc < 0 ? rc : next(g, e);
}

static int walk_string(struct guard *g, struct err *e)
{
	int rc = note(g, NODE_STRING, node_sum(g->name_sum, g->lex.text, g->lex.length), e);

	return rc < 0 ? rc : emit_quoted(g, e);
}

static int walk_number(struct guard *g, enum node_type type, struct err *e)
{
	uint32_t sum = node_sum(g->name_sum, &g->lex.integer, sizeof(g->lex.integer));
	char text[40];
	int rc;

	if (type == NODE_BOOL) {
		(void)text_copy(text, sizeof(text), g->lex.integer ? "true" : "false");
	} else if (type == NODE_INT) {
		/* libconfig cuts what has no L to 32 bits */
		(void)text_print(text, sizeof(text), "%" PRId64 "%s", g->lex.integer,
				 g->lex.json ? "" : "L");
	} else {
		node_print_float(g->lex.real, text);
		sum = node_sum(g->name_sum, text, strlen(text));
	}
	rc = note(g, type, sum, e);
	return rc < 0 ? rc : emit(g, text, strlen(text), e);
}

static int walk_value(struct guard *g, struct err *e)
{
	int rc;

	switch (g->lex.token) {
	case TOKEN_PUNCT:
		return walk_container(g, e);
	case TOKEN_STRING:
		rc = walk_string(g, e);
		break;
	case TOKEN_INT:
		rc = walk_number(g, NODE_INT, e);
		break;
	case TOKEN_BOOL:
		rc = walk_number(g, NODE_BOOL, e);
		break;
	case TOKEN_FLOAT:
		rc = walk_number(g, NODE_FLOAT, e);
		break;
	case TOKEN_NULL:
		rc = note(g, NODE_NULL, g->name_sum, e);
		if (rc == 0)
			rc = emit(g, "null", 4, e);
		break;
	default:
		return unexpected(g, "a value", e);
	}
	return rc < 0 ? rc : next(g, e);
}

static int walk_document(struct guard *g, struct err *e)
{
	int rc = next(g, e);

	if (rc < 0)
		return rc;
	if (g->lex.json) {
		rc = walk_value(g, e);
	} else {
		unsigned line = g->lex.token_line;

		g->lex.token_line = 1;
		rc = note(g, NODE_GROUP, 0, e);
		g->lex.token_line = line;
		if (rc == 0)
			rc = walk_settings(g, e);
	}
	if (rc < 0)
		return rc;
	if (g->lex.token != TOKEN_END)
		rc = unexpected(g, "the end of the text", e);
	return rc;
}

/* NUL and control bytes stand nowhere, not even in comments; 0 or the error */
static int check_bytes(const char *s, size_t n, struct err *e)
{
	unsigned line = 1;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c < 0x20 && c != '\t' && c != '\n' && c != '\r')
			return LINE_ERROR(line, E_DESC_TEXT, e,
					  "the control byte 0x%02x stands here", c);
		line += c == '\n';
	}
	return 0;
}

/* the first byte that is not blank decides, once (T38) */
static bool looks_like_json(const char *s, size_t n)
{
	size_t i = 0;

	while (i < n && strchr(" \t\r\n", s[i]))
		i++;
	return i < n && s[i] == '{';
}

static size_t or_default(size_t value, size_t dflt)
{
	return value ? value : dflt;
}

int guard_walk(struct guarded *out, const void *text, size_t n, const struct node_limits *l,
	       struct err *e)
{
	static const struct node_limits none;
	const struct node_limits *max = l ? l : &none;
	struct guard g = {.out = out, .line = 1};
	AUTO_FREE char *buffer = NULL;
	int rc;

	memset(out, 0, sizeof(*out));
	g.max.bytes = or_default(max->bytes, 1 << 20);
	g.max.depth = or_default(max->depth, 64);
	g.max.nodes = or_default(max->nodes, 65536);
	g.max.string = or_default(max->string, 1 << 16);
	if (n > g.max.bytes)
		return err_set(e, E_DESC_LIMIT, EFBIG, "it has %zu bytes, %zu are allowed", n,
			       g.max.bytes);
	rc = check_bytes(text, n, e);
	if (rc < 0)
		return rc;
	out->json = looks_like_json(text, n);
	buffer = malloc(g.max.string + 1);
	if (!buffer || emit(&g, "", 0, e) < 0)
		return no_memory(e);
	g.lex = (struct lexer){.at = text,
			       .end = (const char *)text + n,
			       .line = 1,
			       .json = out->json,
			       .max_string = g.max.string,
			       .text = buffer};
	rc = walk_document(&g, e);
	free(g.keys);
	if (rc < 0)
		guarded_clear(out);
	return rc;
}

void guarded_clear(struct guarded *g)
{
	free(g->text);
	free(g->notes);
	memset(g, 0, sizeof(*g));
}
