#include "corelib/lua/luavalue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 *   value = 'n' | 't' | 'f' | '?' | 'i' 8 bytes | 'd' 8 bytes | text | '{' (key value)* '}'
 *   text  = 's' u32 length, bytes, NUL
 *   key   = '.' (the next item of the list) | text
 *
 * Both ends are one machine and one build: numbers are as it has them.
 */

/* ---- writing ---- */

void luabuf_raw(struct luabuf *b, const void *bytes, size_t n)
{
	size_t room = b->room ? b->room : 512;

	if (b->failed || (b->most && (b->n > b->most || n > b->most - b->n)) ||
	    n > SIZE_MAX / 4 - b->n) {
		b->failed = true;
		return;
	}
	while (room < b->n + n)
		room *= 2;
	if (room != b->room) {
		uint8_t *p = realloc(b->at, room);

		if (!p) {
			b->failed = true;
			return;
		}
		b->at = p;
		b->room = room;
	}
	if (n)
		memcpy(b->at + b->n, bytes, n);
	b->n += n;
}

static void put(struct luabuf *b, char tag, const void *bytes, size_t n)
{
	luabuf_raw(b, &tag, 1);
	luabuf_raw(b, bytes, n);
}

void luabuf_nil(struct luabuf *b)
{
	put(b, 'n', NULL, 0);
}

void luabuf_bool(struct luabuf *b, bool v)
{
	put(b, v ? 't' : 'f', NULL, 0);
}

void luabuf_int(struct luabuf *b, int64_t v)
{
	put(b, 'i', &v, sizeof(v));
}

void luabuf_float(struct luabuf *b, double v)
{
	put(b, 'd', &v, sizeof(v));
}

void luabuf_bytes(struct luabuf *b, const void *text, size_t n)
{
	uint32_t len = (uint32_t)n;

	if (n > UINT32_MAX)
		b->failed = true;
	put(b, 's', &len, sizeof(len));
	luabuf_raw(b, text, n);
	luabuf_raw(b, "", 1);
}

void luabuf_text(struct luabuf *b, const char *text)
{
	luabuf_bytes(b, text ? text : "", text ? strlen(text) : 0);
}

void luabuf_other(struct luabuf *b)
{
	put(b, '?', NULL, 0);
}

void luabuf_open(struct luabuf *b)
{
	put(b, '{', NULL, 0);
}

void luabuf_key(struct luabuf *b, const char *key, size_t n)
{
	if (key)
		luabuf_bytes(b, key, n);
	else
		put(b, '.', NULL, 0);
}

void luabuf_close(struct luabuf *b)
{
	put(b, '}', NULL, 0);
}

void luabuf_pair(struct luabuf *b, const char *key, const char *text)
{
	luabuf_key(b, key, strlen(key));
	luabuf_text(b, text);
}

/* ---- reading ---- */

struct reading {
	const uint8_t *at, *end;
	struct arena *arena;
	struct err *e;
};

static int nonsense(struct reading *r)
{
	return err_set(r->e, E_LUA, EPROTO, "the process of the Lua code sent what cannot be read");
}

static int take(struct reading *r, void *to, size_t n)
{
	if ((size_t)(r->end - r->at) < n)
		return nonsense(r);
	memcpy(to, r->at, n);
	r->at += n;
	return 0;
}

/* lent: it lies in the message */
static int take_text(struct reading *r, const char **text, size_t *n)
{
	uint32_t len;
	int rc = take(r, &len, sizeof(len));

	if (rc < 0)
		return rc;
	if ((size_t)(r->end - r->at) <= len || r->at[len])
		return nonsense(r);
	*text = (const char *)r->at;
	*n = len;
	r->at += len + 1;
	return 0;
}

static int take_value(struct reading *r, struct luaval *v, unsigned depth);

static int add_value(struct reading *r, struct luaval ***last, const char *key, unsigned depth)
{
	struct luaval *v = arena_alloc(r->arena, sizeof(*v));

	if (!v)
		return err_set(r->e, E_LUA, E2BIG, "the Lua code made more values than fit");
	v->key = key;
	**last = v;
	*last = (struct luaval **)&v->next;
	return take_value(r, v, depth);
}

static int take_table(struct reading *r, struct luaval *table, unsigned depth)
{
	struct luaval **last = (struct luaval **)&table->child;

	for (;;) {
		const char *key = NULL;
		size_t n;
		char tag;
		int rc = take(r, &tag, 1);

		if (rc < 0 || tag == '}')
			return rc;
		if (tag != '.' && tag != 's')
			return nonsense(r);
		rc = tag == 's' ? take_text(r, &key, &n) : 0;
		if (rc < 0)
			return rc;
		if (key && strlen(key) != n)
			key = "";
		rc = add_value(r, &last, key, depth + 1);
		if (rc < 0)
			return rc;
	}
}

static int take_value(struct reading *r, struct luaval *v, unsigned depth)
{
	char tag;
	int rc = take(r, &tag, 1);

	if (rc < 0)
		return rc;
	switch (tag) {
	case 'n':
		return 0;
	case 't':
	case 'f':
		v->type = LUAVAL_BOOL;
		v->integer = tag == 't';
		return 0;
	case '?':
		v->type = LUAVAL_OTHER;
		return 0;
	case 'i':
		v->type = LUAVAL_INT;
		rc = take(r, &v->integer, sizeof(v->integer));
		v->number = (double)v->integer;
		return rc;
	case 'd':
		v->type = LUAVAL_FLOAT;
		return take(r, &v->number, sizeof(v->number));
	case 's':
		v->type = LUAVAL_TEXT;
		return take_text(r, &v->text, &v->n);
	case '{':
		v->type = LUAVAL_TABLE;
		return depth < LUAVAL_DEPTH ? take_table(r, v, depth) : nonsense(r);
	default:
		return nonsense(r);
	}
}

int luaval_read(const void *bytes, size_t n, struct arena *a, const struct luaval **first,
		struct err *e)
{
	struct reading r = {.at = bytes, .end = bytes, .arena = a, .e = e};
	struct luaval **last = (struct luaval **)first;
	int rc = 0;

	*first = NULL;
	if (n)
		r.end += n;
	while (rc == 0 && r.at < r.end)
		rc = add_value(&r, &last, NULL, 0);
	return rc;
}

const struct luaval *luaval_at(const struct luaval *first, unsigned i)
{
	static const struct luaval nil = {.type = LUAVAL_NIL};

	while (first && i--)
		first = first->next;
	return first ? first : &nil;
}

const char *luaval_text(const struct luaval *first, unsigned i)
{
	const struct luaval *v = luaval_at(first, i);

	return v->type == LUAVAL_TEXT && strlen(v->text) == v->n ? v->text : NULL;
}

const struct luaval *luaval_find(const struct luaval *table, const char *key)
{
	for (const struct luaval *v = table->child; v; v = v->next)
		if (v->key && strcmp(v->key, key) == 0)
			return v;
	return NULL;
}

const char *luaval_name(const struct luaval *v)
{
	static const char *const names[] = {"nil",    "boolean", "number",  "number",
					    "string", "table",	 "function"};

	return names[v->type];
}
