/*
 * Lua's patterns, for confined states: find, match, gmatch, gsub that look at the clock while they
 * try. Those of the library may take hours for a few bytes, and no hook runs meanwhile.
 *
 * A pattern is taken apart into items first; matching goes through items, not through text.
 */
#include "corelib/lua/luavm_private.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#define CAPTURES    32
#define DEPTH_MAX   190
#define LOOK	    4096 /* steps between two looks at the clock */
#define PATTERN_MAX 4096
#define POSITION    (-2)
#define OPEN	    (-1)

enum kind { ONE, CAPTURE, CAPTURE_POSITION, CAPTURE_END, AGAIN, BALANCE, FRONTIER, AT_END };

struct item {
	unsigned char kind, how;   /* how: '*', '+', '-', '?' or 0 */
	unsigned char a, b;	   /* BALANCE: the pair; AGAIN: the number in a */
	const char *set, *set_end; /* what one byte must be: ".", "x", "%a" or "[...]" */
};

struct matcher {
	lua_State *L;
	const char *text, *end;
	struct item *items;
	size_t count;
	unsigned depth, steps;
	int captures;
	struct {
		const char *at;
		ptrdiff_t len;
	} capture[CAPTURES];
};

/* ---- taking a pattern apart ---- */

static const char *set_end(lua_State *L, const char *p, const char *end)
{
	p += 1 + (p + 1 < end && p[1] == '^');
	for (const char *first = p; p < end && (*p != ']' || p == first); p++)
		if (*p == '%')
			p++;
	if (p >= end)
		luaL_error(L, "malformed pattern (missing ']')");
	return p + 1;
}

static const char *one_end(lua_State *L, const char *p, const char *end)
{
	if (*p == '[')
		return set_end(L, p, end);
	if (*p != '%')
		return p + 1;
	if (p + 1 >= end)
		luaL_error(L, "malformed pattern (ends with '%%')");
	return p + 2;
}

static const char *parse_one(lua_State *L, struct item *it, const char *p, const char *end)
{
	it->kind = ONE;
	it->set = p;
	p = it->set_end = one_end(L, p, end);
	if (p < end && *p && strchr("*+-?", *p))
		it->how = (unsigned char)*p++;
	return p;
}

static const char *parse_percent(lua_State *L, struct item *it, const char *p, const char *end)
{
	char c = p + 1 < end ? p[1] : '\0';

	if (c == 'b') {
		if (end - p < 4)
			luaL_error(L, "malformed pattern (missing arguments to '%%b')");
		it->kind = BALANCE;
		it->a = (unsigned char)p[2];
		it->b = (unsigned char)p[3];
		return p + 4;
	}
	if (c == 'f') {
		if (p + 2 >= end || p[2] != '[')
			luaL_error(L, "missing '[' after '%%f' in pattern");
		it->kind = FRONTIER;
		it->set = p + 2;
		return it->set_end = set_end(L, p + 2, end);
	}
	if (c >= '0' && c <= '9') {
		it->kind = AGAIN;
		it->a = (unsigned char)(c - '0');
		return p + 2;
	}
	return parse_one(L, it, p, end);
}

static const char *parse_item(lua_State *L, struct item *it, const char *p, const char *end)
{
	memset(it, 0, sizeof(*it));
	if (*p == '%')
		return parse_percent(L, it, p, end);
	if (*p == '(') {
		it->kind = p + 1 < end && p[1] == ')' ? CAPTURE_POSITION : CAPTURE;
		return p + 1 + (it->kind == CAPTURE_POSITION);
	}
	if (*p == ')' || (*p == '$' && p + 1 == end)) {
		it->kind = *p == ')' ? CAPTURE_END : AT_END;
		return p + 1;
	}
	return parse_one(L, it, p, end);
}

/* leaves the memory of the items on the stack */
static void prepare(struct matcher *m, const char *p, size_t n)
{
	const char *end = p + n;

	if (n > PATTERN_MAX)
		luaL_error(m->L, "pattern too long");
	m->items = lua_newuserdatauv(m->L, (n + 1) * sizeof(*m->items), 0);
	while (p < end)
		p = parse_item(m->L, &m->items[m->count++], p, end);
}

/* ---- one byte ---- */

/* clang-format off */
static bool in_class(int c, char name)
{
	bool yes;

	switch (tolower((unsigned char)name)) {
	case 'a': yes = isalpha(c); break;
	case 'c': yes = iscntrl(c); break;
	case 'd': yes = isdigit(c); break;
	case 'g': yes = isgraph(c); break;
	case 'l': yes = islower(c); break;
	case 'p': yes = ispunct(c); break;
	case 's': yes = isspace(c); break;
	case 'u': yes = isupper(c); break;
	case 'w': yes = isalnum(c); break;
	case 'x': yes = isxdigit(c); break;
	default: return (unsigned char)name == c;
	}
	return yes != (isupper((unsigned char)name) != 0);
}
/* clang-format on */

/* p is behind the '[', end at the ']' */
static bool in_set(int c, const char *p, const char *end)
{
	bool inverse = *p == '^';

	for (p += inverse; p < end; p++) {
		bool hit;

		if (*p == '%') {
			hit = in_class(c, *++p);
		} else if (end - p > 2 && p[1] == '-') {
			hit = (unsigned char)p[0] <= c && c <= (unsigned char)p[2];
			p += 2;
		} else {
			hit = (unsigned char)*p == c;
		}
		if (hit)
			return !inverse;
	}
	return inverse;
}

/* clang-format off */
static bool is_one(const struct item *it, int c)
{
	switch (*it->set) {
	case '.': return true;
	case '%': return in_class(c, it->set[1]);
	case '[': return in_set(c, it->set + 1, it->set_end - 1);
	default: return (unsigned char)*it->set == c;
	}
}
/* clang-format on */

static bool here(const struct matcher *m, const struct item *it, const char *s)
{
	return s < m->end && is_one(it, (unsigned char)*s);
}

static void spend(struct matcher *m, size_t steps)
{
	m->steps += (unsigned)(steps < LOOK ? steps : LOOK);
	if (m->steps < LOOK)
		return;
	m->steps = 0;
	luavm_check(m->L);
}

static void step(struct matcher *m)
{
	spend(m, 1);
}

/* ---- matching: the end of the match, or NULL ---- */

static const char *match(struct matcher *m, const char *s, size_t i);

static const char *most(struct matcher *m, const char *s, size_t i, ptrdiff_t least)
{
	ptrdiff_t n = 0;

	for (; here(m, &m->items[i], s + n); n++)
		step(m);
	for (; n >= least; n--) {
		const char *end = match(m, s + n, i + 1);

		if (end)
			return end;
	}
	return NULL;
}

static const char *fewest(struct matcher *m, const char *s, size_t i)
{
	for (;; s++) {
		const char *end = match(m, s, i + 1);

		if (end || !here(m, &m->items[i], s))
			return end;
	}
}

static const char *open_capture(struct matcher *m, const char *s, size_t i, ptrdiff_t len)
{
	const char *end;

	if (m->captures >= CAPTURES)
		luaL_error(m->L, "too many captures");
	m->capture[m->captures].at = s;
	m->capture[m->captures].len = len;
	m->captures++;
	end = match(m, s, i + 1);
	if (!end)
		m->captures--;
	return end;
}

static const char *close_capture(struct matcher *m, const char *s, size_t i)
{
	int at = m->captures - 1;
	const char *end;

	while (at >= 0 && m->capture[at].len != OPEN)
		at--;
	if (at < 0)
		luaL_error(m->L, "invalid pattern capture");
	m->capture[at].len = s - m->capture[at].at;
	end = match(m, s, i + 1);
	if (!end)
		m->capture[at].len = OPEN;
	return end;
}

static const char *again(struct matcher *m, const char *s, int number)
{
	size_t n;

	if (number < 1 || number > m->captures || m->capture[number - 1].len == OPEN)
		luaL_error(m->L, "invalid capture index %%%d", number);
	if (m->capture[number - 1].len == POSITION)
		return NULL;
	n = (size_t)m->capture[number - 1].len;
	spend(m, n / 64);
	if ((size_t)(m->end - s) < n || memcmp(m->capture[number - 1].at, s, n) != 0)
		return NULL;
	return s + n;
}

static const char *balance(struct matcher *m, const char *s, const struct item *it)
{
	size_t depth = 0;

	if (s >= m->end || (unsigned char)*s != it->a)
		return NULL;
	for (; s < m->end; s++) {
		step(m);
		if ((unsigned char)*s == it->b && depth > 0) {
			if (--depth == 0)
				return s + 1;
		} else if ((unsigned char)*s == it->a) {
			depth++;
		}
	}
	return NULL;
}

static bool frontier(const struct matcher *m, const char *s, const struct item *it)
{
	int before = s == m->text ? 0 : (unsigned char)s[-1];
	int after = s < m->end ? (unsigned char)*s : 0;

	return !is_one(it, before) && is_one(it, after);
}

/* what needs no way back: the place behind it, or NULL */
/* clang-format off */
static const char *simple(struct matcher *m, const char *s, const struct item *it)
{
	switch (it->kind) {
	case AGAIN: return again(m, s, it->a);
	case BALANCE: return balance(m, s, it);
	case FRONTIER: return frontier(m, s, it) ? s : NULL;
	case AT_END: return s == m->end ? s : NULL;
	default: return here(m, it, s) ? s + 1 : NULL;
	}
}
/* clang-format on */

static const char *try_item(struct matcher *m, const char *s, size_t i, bool *on)
{
	const struct item *it = &m->items[i];
	const char *end;

	*on = false;
	switch (it->kind) {
	case CAPTURE:
		return open_capture(m, s, i, OPEN);
	case CAPTURE_POSITION:
		return open_capture(m, s, i, POSITION);
	case CAPTURE_END:
		return close_capture(m, s, i);
	default:
		break;
	}
	switch (it->how) {
	case '*':
		return most(m, s, i, 0);
	case '+':
		return most(m, s, i, 1);
	case '-':
		return fewest(m, s, i);
	case '?':
		end = here(m, it, s) ? match(m, s + 1, i + 1) : NULL;
		if (end)
			return end;
		*on = true;
		return s;
	default:
		*on = true;
		return simple(m, s, it);
	}
}

static const char *match(struct matcher *m, const char *s, size_t i)
{
	bool on = true;

	if (m->depth++ >= DEPTH_MAX)
		luaL_error(m->L, "pattern too complex");
	for (; s && on && i < m->count; i++) {
		step(m);
		s = try_item(m, s, i, &on);
	}
	m->depth--;
	return s;
}

static const char *match_at(struct matcher *m, const char *s)
{
	m->captures = 0;
	m->depth = 0;
	return match(m, s, 0);
}

/* ---- captures ---- */

static void push_capture(struct matcher *m, int i, const char *s, const char *end)
{
	if (i >= m->captures) {
		if (i != 0)
			luaL_error(m->L, "invalid capture index %%%d", i + 1);
		lua_pushlstring(m->L, s, (size_t)(end - s));
	} else if (m->capture[i].len == POSITION) {
		lua_pushinteger(m->L, m->capture[i].at - m->text + 1);
	} else if (m->capture[i].len == OPEN) {
		luaL_error(m->L, "unfinished capture");
	} else {
		lua_pushlstring(m->L, m->capture[i].at, (size_t)m->capture[i].len);
	}
}

/* s NULL: only real captures */
static int push_captures(struct matcher *m, const char *s, const char *end)
{
	int n = m->captures == 0 && s ? 1 : m->captures;

	luaL_checkstack(m->L, n, "too many captures");
	for (int i = 0; i < n; i++)
		push_capture(m, i, s, end);
	return n;
}

/* ---- find and match ---- */

/* an index as the library has it: 0-based, or beyond the end */
static size_t start_of(lua_Integer init, size_t n)
{
	if (init > 0)
		return (size_t)init - 1;
	if (init == 0 || init < -(lua_Integer)n)
		return 0;
	return n - (size_t)-init;
}

static int find_plain(lua_State *L, const char *s, size_t n, size_t from)
{
	size_t len;
	const char *what = luaL_checklstring(L, 2, &len);
	const char *at = memmem(s + from, n - from, what, len);

	if (!at)
		return luaL_pushfail(L), 1;
	lua_pushinteger(L, at - s + 1);
	lua_pushinteger(L, at - s + (lua_Integer)len);
	return 2;
}

static int search(lua_State *L, bool find)
{
	size_t n, len, from;
	const char *s = luaL_checklstring(L, 1, &n), *p = luaL_checklstring(L, 2, &len), *end = 0;
	bool anchor = len && *p == '^';
	struct matcher m = {.L = L, .text = s, .end = s + n};

	from = start_of(luaL_optinteger(L, 3, 1), n);
	if (from > n)
		return luaL_pushfail(L), 1;
	if (find && (lua_toboolean(L, 4) || (strlen(p) == len && !strpbrk(p, "^$*+?.([%-"))))
		return find_plain(L, s, n, from);
	prepare(&m, p + anchor, len - anchor);
	for (s += from; s <= m.end; s++) {
		end = match_at(&m, s);
		if (end || anchor)
			break;
	}
	if (!end)
		return luaL_pushfail(L), 1;
	if (!find)
		return push_captures(&m, s, end);
	lua_pushinteger(L, s - m.text + 1);
	lua_pushinteger(L, end - m.text);
	return push_captures(&m, NULL, NULL) + 2;
}

int luavm_find(lua_State *L)
{
	return search(L, true);
}

int luavm_match(lua_State *L)
{
	return search(L, false);
}

/* ---- gmatch: upvalues text, pattern, next place, end of the last match ---- */

static int next_match(lua_State *L)
{
	size_t n, len;
	const char *text = lua_tolstring(L, lua_upvalueindex(1), &n);
	const char *p = lua_tolstring(L, lua_upvalueindex(2), &len);
	size_t from = (size_t)lua_tointeger(L, lua_upvalueindex(3));
	lua_Integer last = lua_tointeger(L, lua_upvalueindex(4));
	struct matcher m = {.L = L, .text = text, .end = text + n};

	prepare(&m, p, len);
	for (; from <= n; from++) {
		const char *end = match_at(&m, text + from);

		if (!end || end - text == last)
			continue;
		lua_pushinteger(L, end - text);
		lua_copy(L, -1, lua_upvalueindex(3));
		lua_replace(L, lua_upvalueindex(4));
		return push_captures(&m, text + from, end);
	}
	lua_pushinteger(L, (lua_Integer)n + 1);
	lua_replace(L, lua_upvalueindex(3));
	return 0;
}

int luavm_gmatch(lua_State *L)
{
	size_t n, from;

	luaL_checklstring(L, 1, &n);
	luaL_checkstring(L, 2);
	from = start_of(luaL_optinteger(L, 3, 1), n);
	lua_settop(L, 2);
	lua_pushinteger(L, (lua_Integer)(from > n ? n + 1 : from));
	lua_pushinteger(L, -1);
	lua_pushcclosure(L, next_match, 4);
	return 1;
}

/* ---- gsub ---- */

static void add_text(struct matcher *m, luaL_Buffer *b, const char *s, const char *end)
{
	size_t n;
	const char *by = lua_tolstring(m->L, 3, &n);

	for (const char *stop = by + n; by < stop; by++) {
		if (*by != '%') {
			luaL_addchar(b, *by);
			continue;
		}
		by++;
		if (by < stop && *by == '%') {
			luaL_addchar(b, '%');
		} else if (by < stop && *by == '0') {
			luaL_addlstring(b, s, (size_t)(end - s));
		} else if (by < stop && isdigit((unsigned char)*by)) {
			push_capture(m, *by - '1', s, end);
			luaL_tolstring(m->L, -1, NULL);
			lua_remove(m->L, -2);
			luaL_addvalue(b);
		} else {
			luaL_error(m->L, "invalid use of '%%' in replacement string");
		}
	}
}

/* a table or function says what stands there instead; false or nil: as it was */
static void add_value(struct matcher *m, luaL_Buffer *b, const char *s, const char *end)
{
	lua_State *L = m->L;

	if (lua_istable(L, 3)) {
		push_capture(m, 0, s, end);
		lua_gettable(L, 3);
	} else {
		lua_pushvalue(L, 3);
		lua_call(L, push_captures(m, s, end), 1);
	}
	if (!lua_toboolean(L, -1)) {
		lua_pop(L, 1);
		luaL_addlstring(b, s, (size_t)(end - s));
	} else if (!lua_isstring(L, -1)) {
		luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
	} else {
		luaL_addvalue(b);
	}
}

int luavm_gsub(lua_State *L)
{
	size_t n, len;
	const char *s = luaL_checklstring(L, 1, &n), *p = luaL_checklstring(L, 2, &len);
	int type = lua_type(L, 3);
	bool text = type == LUA_TSTRING || type == LUA_TNUMBER, anchor = len && *p == '^';
	lua_Integer most_times = luaL_optinteger(L, 4, (lua_Integer)n + 1), done = 0;
	const char *last = NULL;
	struct matcher m = {.L = L, .text = s, .end = s + n};
	luaL_Buffer b;

	luaL_argexpected(L, text || type == LUA_TTABLE || type == LUA_TFUNCTION, 3,
			 "string/function/table");
	prepare(&m, p + anchor, len - anchor);
	luaL_buffinit(L, &b);
	while (done < most_times) {
		const char *end = match_at(&m, s);

		if (end && end != last) {
			done++;
			if (text)
				add_text(&m, &b, s, end);
			else
				add_value(&m, &b, s, end);
			s = last = end;
		} else if (s < m.end) {
			luaL_addchar(&b, *s++);
		} else {
			break;
		}
		if (anchor)
			break;
	}
	luaL_addlstring(&b, s, (size_t)(m.end - s));
	luaL_pushresult(&b);
	lua_pushinteger(L, done);
	return 2;
}
