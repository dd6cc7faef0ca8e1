/*
 * A pattern becomes a program; each position of the text is looked at once, with the set of all
 * instructions that the program may stand at. Jumps are relative, so that a repetition copies
 * its instructions as they are.
 */
#include "parser/pattern.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "corelib/base/text.h"

enum op {
	OP_CHAR, /* arg is a byte */
	OP_ANY,
	OP_SET,	  /* arg is one of the sets */
	OP_AT,	  /* arg is an enum holds */
	OP_JUMP,  /* to is relative to this one */
	OP_SPLIT, /* goes on behind it and jumps */
	OP_MATCH
};

enum holds { BEGIN, END, WORD_BEGIN, WORD_END, WORD_EDGE, NO_WORD_EDGE };

struct instruction {
	uint8_t op, arg;
	int16_t to;
};

struct set {
	uint8_t has[32];
};

/* what is open: where it begins, and its last branch when it has more than one */
struct group {
	unsigned start, branch;
	bool either;
};

struct program {
	struct instruction code[PATTERN_STEPS];
	unsigned n;
	struct set sets[PATTERN_LENGTH / 2];
	unsigned set_count;
	struct group groups[PATTERN_LENGTH + 1]; /* the first is the whole */
	unsigned depth;
	const char *at; /* in the pattern */
	unsigned last;	/* where that begins what a repetition would repeat; or NOTHING */
	const char *why;
};

enum { NOTHING = INT_MAX, UNBOUNDED = INT_MAX, REPEAT_MAX = 32767 };

static const char too_long[] = "unfolds to more than 2048 steps";
_Static_assert(PATTERN_STEPS == 2048, "the text above");

static int refuse(struct program *g, const char *why)
{
	g->why = why;
	return -EINVAL;
}

/* ---- instructions ---- */

static int insert(struct program *g, unsigned where, enum op op, int to)
{
	if (g->n + 2 > PATTERN_STEPS) /* the last one is OP_MATCH */
		return refuse(g, too_long);
	memmove(&g->code[where + 1], &g->code[where], (g->n++ - where) * sizeof(g->code[0]));
	g->code[where] = (struct instruction){.op = (uint8_t)op, .to = (int16_t)to};
	return 0;
}

static int emit(struct program *g, enum op op, unsigned arg)
{
	g->last = g->n;
	if (insert(g, g->n, op, 0) < 0)
		return -EINVAL;
	g->code[g->last].arg = (uint8_t)arg;
	return 0;
}

static int emit_place(struct program *g, enum holds place)
{
	int rc = emit(g, OP_AT, place);

	g->last = NOTHING;
	return rc;
}

/* ---- sets ---- */

static void set_add(struct set *s, unsigned c)
{
	s->has[c / 8] |= (uint8_t)(1u << c % 8);
}

static bool set_has(const struct set *s, unsigned c)
{
	return s->has[c / 8] >> c % 8 & 1;
}

static void set_invert(struct set *s)
{
	for (unsigned i = 0; i < sizeof(s->has); i++)
		s->has[i] ^= 0xff;
}

static int is_word(int c)
{
	return isalnum(c) || c == '_';
}

static struct set *emit_set(struct program *g)
{
	return emit(g, OP_SET, g->set_count) < 0 ? NULL : &g->sets[g->set_count++];
}

/* what an element of a set may be besides a byte: it is added to the set then */
enum { CLASS = 256 };

static int add_class(struct program *g, struct set *s, const char *name, size_t n)
{
	static const struct {
		const char *name;
		int (*has)(int);
	} classes[] = {
		{"alnum", isalnum}, {"alpha", isalpha}, {"blank", isblank}, {"cntrl", iscntrl},
		{"digit", isdigit}, {"graph", isgraph}, {"lower", islower}, {"print", isprint},
		{"punct", ispunct}, {"space", isspace}, {"upper", isupper}, {"xdigit", isxdigit},
	};

	for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
		if (strlen(classes[i].name) != n || memcmp(classes[i].name, name, n) != 0)
			continue;
		for (int c = 0; c < 256; c++)
			if (classes[i].has(c))
				set_add(s, (unsigned)c);
		return CLASS;
	}
	return refuse(g, "cannot be used: [:digit:] and the like must name a known class");
}

/* a byte, CLASS, -EINVAL */
static int read_element(struct program *g, struct set *s)
{
	const char *name = g->at + 2, *end;
	char kind = g->at[1];

	if (*g->at != '[' || !kind || !strchr(":=.", kind))
		return (unsigned char)*g->at++;
	for (end = name; *end && !(*end == kind && end[1] == ']'); end++)
		;
	if (!*end)
		return refuse(g, "cannot be used: '[' is not closed");
	g->at = end + 2;
	if (kind == ':')
		return add_class(g, s, name, (size_t)(end - name));
	if (end - name != 1)
		return refuse(g, "cannot be used: [.x.] and [=x=] hold one character");
	if (kind == '.')
		return (unsigned char)*name;
	set_add(s, (unsigned char)*name);
	return CLASS;
}

/* one element, or two with '-' between */
static int read_range(struct program *g, struct set *s, bool first)
{
	int from, to;

	if (!first && *g->at == '-' && g->at[1] && g->at[1] != ']')
		return refuse(g, "cannot be used: '-' in [] stands first, last, or in a range");
	from = to = read_element(g, s);
	if (from < 0 || from == CLASS)
		return from;
	if (*g->at == '-' && g->at[1] && g->at[1] != ']') {
		g->at++;
		to = read_element(g, s);
	}
	if (to < 0)
		return to;
	if (to == CLASS || to < from)
		return refuse(
			g, "cannot be used: a range in [] goes from one character to a later one");
	for (; from <= to; from++)
		set_add(s, (unsigned)from);
	return 0;
}

static int read_set(struct program *g)
{
	bool invert = g->at[1] == '^';
	struct set *s = emit_set(g);

	if (!s)
		return -EINVAL;
	g->at += invert ? 2 : 1;
	for (bool first = true; *g->at != ']' || first; first = false) {
		if (!*g->at)
			return refuse(g, "cannot be used: '[' is not closed");
		if (read_range(g, s, first) < 0)
			return -EINVAL;
	}
	g->at++;
	if (invert)
		set_invert(s);
	return 0;
}

/* ---- repetitions ---- */

static int copy_states(struct program *g, unsigned from, unsigned length, unsigned times)
{
	if (times > (PATTERN_STEPS - 1 - g->n) / length)
		return refuse(g, too_long);
	for (; times; times--, g->n += length)
		memcpy(&g->code[g->n], &g->code[from], length * sizeof(g->code[0]));
	return 0;
}

/* in which order copies of one thing stand, of which some are optional, is all the same */
static int repeat(struct program *g, unsigned least, unsigned most)
{
	unsigned from = g->last, length = g->n - from;
	int jump = (int)length + 1;

	if (from == NOTHING)
		return refuse(g, "cannot be used: '*', '+', '?' or '{' has nothing to repeat");
	if (length == 0)
		return 0;
	if (most == 0) {
		g->n = from;
		return 0;
	}
	if (most == UNBOUNDED && least == 0)
		return insert(g, from, OP_SPLIT, jump + 1) < 0 ? -EINVAL
							       : insert(g, g->n, OP_JUMP, -jump);
	if (most == UNBOUNDED)
		return insert(g, g->n, OP_SPLIT, 1 - jump) < 0
			       ? -EINVAL
			       : copy_states(g, from, length, least - 1);
	if (most == least)
		return copy_states(g, from, length, least - 1);
	if (insert(g, from, OP_SPLIT, jump) < 0 ||
	    copy_states(g, from, length + 1, most - least - 1) < 0)
		return -EINVAL;
	return copy_states(g, from + 1, length, least);
}

/* -1 = there is none */
static int read_number(struct program *g)
{
	int n = -1;

	for (; isdigit((unsigned char)*g->at); g->at++)
		if (n <= REPEAT_MAX)
			n = (n < 0 ? 0 : n * 10) + (*g->at - '0');
	return n;
}

static int read_counts(struct program *g)
{
	int least, most;

	g->at++;
	least = most = read_number(g);
	if (*g->at == ',') {
		g->at++;
		most = read_number(g);
		least = least < 0 ? 0 : least;
		most = most < 0 ? UNBOUNDED : most;
	}
	if (least < 0 || least > most || *g->at != '}')
		return refuse(g, "cannot be used: a count is {n}, {n,} or {n,m}, smaller first");
	if (least > REPEAT_MAX || (most > REPEAT_MAX && most != UNBOUNDED))
		return refuse(g, too_long);
	g->at++;
	return repeat(g, (unsigned)least, (unsigned)most);
}

/* ---- groups, branches, all the rest ---- */

static int end_branch(struct program *g)
{
	const struct group *top = &g->groups[g->depth];
	int one = (int)(top->branch - top->start), two = (int)(g->n - top->branch);

	if (!top->either)
		return 0;
	return insert(g, top->branch, OP_JUMP, two + 1) < 0
		       ? -EINVAL
		       : insert(g, top->start, OP_SPLIT, one + 2);
}

static int begin_branch(struct program *g)
{
	int rc = end_branch(g);

	g->groups[g->depth].branch = g->n;
	g->groups[g->depth].either = true;
	g->last = NOTHING;
	return rc;
}

static int open_group(struct program *g)
{
	g->groups[++g->depth] = (struct group){.start = g->n};
	g->last = NOTHING;
	return 0;
}

static int close_group(struct program *g)
{
	int rc = end_branch(g);

	g->last = g->groups[g->depth--].start;
	return rc;
}

static int emit_class(struct program *g, char c)
{
	int (*is_in)(int) = c == 'w' || c == 'W' ? is_word : isspace;
	struct set *s = emit_set(g);

	for (unsigned i = 0; s && i < 256; i++)
		if (is_in((int)i))
			set_add(s, i);
	if (s && (c == 'W' || c == 'S'))
		set_invert(s);
	return s ? 0 : -EINVAL;
}

static int read_escape(struct program *g)
{
	static const char places[] = "`'<>bB"; /* as in enum holds */
	char c = *g->at++;
	const char *place;

	if (!c)
		return refuse(g, "cannot be used: nothing stands behind its last '\\'");
	if (c >= '1' && c <= '9')
		return refuse(g, "refers back (\\1 to \\9), which is not supported");
	place = strchr(places, c);
	if (place)
		return emit_place(g, (enum holds)(place - places));
	if (strchr("wWsS", c))
		return emit_class(g, c);
	return emit(g, OP_CHAR, (unsigned char)c);
}

static int read_one(struct program *g)
{
	char c = *g->at;

	if (c == '[')
		return read_set(g);
	if (c == '{')
		return read_counts(g);
	g->at++;
	switch (c) {
	case '(':
		return open_group(g);
	case '|':
		return begin_branch(g);
	case '*':
		return repeat(g, 0, UNBOUNDED);
	case '+':
		return repeat(g, 1, UNBOUNDED);
	case '?':
		return repeat(g, 0, 1);
	case '^':
		return emit_place(g, BEGIN);
	case '$':
		return emit_place(g, END);
	case '.':
		return emit(g, OP_ANY, 0);
	case '\\':
		return read_escape(g);
	case ')':
		if (g->depth)
			return close_group(g);
		break;
	default:
		break;
	}
	return emit(g, OP_CHAR, (unsigned char)c);
}

static int compile(struct program *g, const char *pattern)
{
	if (strlen(pattern) > PATTERN_LENGTH)
		return refuse(g, "has more than 256 bytes");
	g->at = pattern;
	g->last = NOTHING;
	while (*g->at)
		if (read_one(g) < 0)
			return -EINVAL;
	if (g->depth)
		return refuse(g, "cannot be used: '(' is not closed");
	if (end_branch(g) < 0)
		return -EINVAL;
	g->code[g->n++].op = OP_MATCH;
	return 0;
}

/* ---- matching ---- */

struct states {
	uint16_t at[PATTERN_STEPS];
	unsigned n;
	uint8_t has[PATTERN_STEPS / 8];
};

static void add(struct states *s, unsigned at)
{
	if (s->has[at / 8] >> at % 8 & 1)
		return;
	s->has[at / 8] |= (uint8_t)(1u << at % 8);
	s->at[s->n++] = (uint16_t)at;
}

static bool holds(enum holds place, const char *text, size_t at)
{
	bool before = at > 0 && is_word((unsigned char)text[at - 1]);
	bool after = is_word((unsigned char)text[at]);

	switch (place) {
	case BEGIN:
		return at == 0;
	case END:
		return !text[at];
	case WORD_BEGIN:
		return !before && after;
	case WORD_END:
		return before && !after;
	case WORD_EDGE:
		return before != after;
	default:
		return before == after;
	}
}

static bool takes(const struct program *g, const struct instruction *in, char c)
{
	if (!c || in->op == OP_ANY)
		return c;
	return in->op == OP_SET ? set_has(&g->sets[in->arg], (unsigned char)c)
				: in->arg == (unsigned char)c;
}

/* all that can be reached in front of text[at], and from there behind it; true = matched */
static bool walk(const struct program *g, const char *text, size_t at, struct states *s)
{
	struct states *now = &s[at & 1], *next = &s[~at & 1];

	next->n = 0;
	memset(next->has, 0, sizeof(next->has));
	add(now, 0);
	for (unsigned i = 0; i < now->n; i++) {
		unsigned here = now->at[i];
		const struct instruction *in = &g->code[here];

		if (in->op == OP_MATCH)
			return true;
		if (in->op == OP_JUMP || in->op == OP_SPLIT)
			add(now, (unsigned)((int)here + in->to));
		if (in->op == OP_SPLIT || (in->op == OP_AT && holds(in->arg, text, at)))
			add(now, here + 1);
		if (in->op < OP_AT && takes(g, in, text[at]))
			add(next, here + 1);
	}
	return false;
}

int pattern_matches(const char *pattern, const char *text, const char **why)
{
	struct program g = {.n = 0};
	struct states s[2] = {{.n = 0}};

	if (compile(&g, pattern) < 0) {
		*why = g.why;
		return -EINVAL;
	}
	for (size_t at = 0;; at++) {
		if (walk(&g, text, at, s))
			return 1;
		if (!text[at])
			return 0;
	}
}
