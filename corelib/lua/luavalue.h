/*
 * Values of Lua as bytes, between the job and swinstall-lua: nil, booleans, numbers, texts and
 * tables of them. Neither side needs Lua for it.
 *
 * Nobody vouches for what the reader gets: the code on the other side may be anything (T43). Each
 * length is checked, depth, count and memory are bounded, and what is not one of these values ends
 * the reading with E_LUA.
 */
#ifndef CORELIB_LUAVALUE_H
#define CORELIB_LUAVALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "corelib/base/arena.h"
#include "corelib/base/err.h"

enum luaval_type {
	LUAVAL_NIL,
	LUAVAL_BOOL,
	LUAVAL_INT,
	LUAVAL_FLOAT,
	LUAVAL_TEXT,
	LUAVAL_TABLE,
	LUAVAL_OTHER, /* a function, or whatever else stays where it is */
};

enum { LUAVAL_DEPTH = 8 }; /* of tables in tables; what lies deeper is LUAVAL_OTHER */

struct luaval {
	enum luaval_type type;
	const char *key;  /* in a table; NULL: an item of its list; "": a key that is no text */
	int64_t integer;  /* LUAVAL_INT, LUAVAL_BOOL */
	double number;	  /* LUAVAL_INT, LUAVAL_FLOAT */
	const char *text; /* LUAVAL_TEXT: any bytes, with a NUL behind them */
	size_t n;	  /* their number */
	const struct luaval *child, *next;
};

/* the bytes and values of one message; cap bounds their memory */
int luaval_read(const void *bytes, size_t n, struct arena *a, const struct luaval **first,
		struct err *e);
/* the i-th of a list, from 0; a nil when there are fewer */
const struct luaval *luaval_at(const struct luaval *first, unsigned i);
/* the text of the i-th; NULL when it is none, or has a NUL inside */
const char *luaval_text(const struct luaval *first, unsigned i);
/* the value behind a key; NULL */
const struct luaval *luaval_find(const struct luaval *table, const char *key);
/* as Lua names the type: "nil", "number" … */
const char *luaval_name(const struct luaval *v);

/* bytes that grow; free(b.at). 'failed' once memory or 'most' did not suffice: nothing is added any
 * more */
struct luabuf {
	uint8_t *at;
	size_t n, room, most; /* most: 0 = not bounded */
	bool failed;
};

void luabuf_nil(struct luabuf *b);
void luabuf_bool(struct luabuf *b, bool v);
void luabuf_int(struct luabuf *b, int64_t v);
void luabuf_float(struct luabuf *b, double v);
void luabuf_bytes(struct luabuf *b, const void *text, size_t n);
void luabuf_text(struct luabuf *b, const char *text); /* NULL is "" */
void luabuf_other(struct luabuf *b);
/* a table: open, then for each value its key (NULL: an item of the list) and the value, close */
void luabuf_open(struct luabuf *b);
void luabuf_key(struct luabuf *b, const char *key, size_t n);
void luabuf_close(struct luabuf *b);
/* a key and a text behind it */
void luabuf_pair(struct luabuf *b, const char *key, const char *text);
/* as they are: the head of a message */
void luabuf_raw(struct luabuf *b, const void *bytes, size_t n);

#endif
