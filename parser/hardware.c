/*
 * Does a board revision fit what the bundle asks for?
 *
 * A pattern comes from a signed description, yet it must not hold up the installer (T44). glibc
 * matches extended expressions without backtracking as long as nothing refers back and no submatch
 * is asked for. What still grows is the automaton, because every repetition is a copy of what is
 * repeated: (((a+)+)+)+ doubles with each '+', [ab]{0,255} is 255 sets. And optional parts inside of
 * repetitions inside of repetitions, a???*** or (((a?)?)*)*, some tens of them, take glibc hours to
 * compile, and so do counted copies of such. So references back are refused, and so are a pattern that unfolds to more than 512
 * characters and repetitions deeper than 4 in each other; the worst found below these bounds takes
 * 51 ms against 256 characters.
 */
#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/text.h"
#include "parser/version.h"

#define PREFIX "#RE:"

enum { LENGTH_MAX = 256, WEIGHT_MAX = 512, NEST_MAX = 4 };

/* characters that a pattern unfolds to, and repetitions in each other, while it is walked */
struct weight {
	unsigned long sum[LENGTH_MAX + 1]; /* of each group that is open */
	unsigned nest[LENGTH_MAX + 1];
	unsigned long last; /* of what a repetition would repeat */
	unsigned last_nest;
	unsigned depth;
};

/* behind the ']' that closes the set which begins at p, or at the end */
static const char *skip_set(const char *p)
{
	p++;
	if (*p == '^')
		p++;
	if (*p == ']')
		p++;
	while (*p && *p != ']') {
		char kind = p[1];

		/* [:alpha:], [=a=], [.x.] may hold a ']' */
		if (*p == '[' && (kind == ':' || kind == '=' || kind == '.')) {
			p += 2;
			while (*p && !(p[0] == kind && p[1] == ']'))
				p++;
			p += *p ? 1 : 0;
		}
		p += *p ? 1 : 0;
	}
	return *p ? p + 1 : p;
}

/* copies that {n}, {n,} or {n,m} makes */
static unsigned long repeat_count(const char *p)
{
	char *end;
	unsigned long low = strtoul(p + 1, &end, 10), high = low;

	if (*end == ',')
		high = end[1] == '}' ? low + 1 : strtoul(end + 1, NULL, 10);
	low = high > low ? high : low;
	return low < WEIGHT_MAX ? low : WEIGHT_MAX + 1;
}

static void nest_at_least(struct weight *w, unsigned nest)
{
	if (w->nest[w->depth] < nest)
		w->nest[w->depth] = nest;
}

/* copies of repetitions are the worst: x**{1,255} */
static void weigh_repeat(struct weight *w, unsigned long count)
{
	if (w->last_nest && count > 1)
		w->last_nest += count > 2 ? 2 : 1;
	nest_at_least(w, ++w->last_nest);
	if (count > 1) {
		w->sum[w->depth] += w->last * (count - 1);
		w->last *= count;
	}
}

static void weigh_close(struct weight *w)
{
	if (w->depth) {
		w->last_nest = w->nest[w->depth];
		w->last = w->sum[w->depth--];
		w->sum[w->depth] += w->last;
		nest_at_least(w, w->last_nest);
	}
}

/* weigh what stands at p; returns what is behind it */
static const char *weigh_one(struct weight *w, const char *p)
{
	switch (*p) {
	case '(':
		w->sum[++w->depth] = 1;
		w->nest[w->depth] = 0;
		return p + 1;
	case ')':
		weigh_close(w);
		return p + 1;
	case '{':
		weigh_repeat(w, repeat_count(p));
		p += strcspn(p, "}");
		return *p ? p + 1 : p;
	case '+':
		weigh_repeat(w, 2);
		return p + 1;
	case '*':
	case '?':
		weigh_repeat(w, 1);
		return p + 1;
	case '[':
		p = skip_set(p);
		break;
	default:
		p += *p == '\\' && p[1] ? 2 : 1;
		break;
	}
	w->sum[w->depth]++;
	w->last = 1;
	w->last_nest = 0;
	return p;
}

/* NULL, or why this pattern may cost too much */
static const char *too_costly(const char *p)
{
	struct weight w = {.depth = 0};

	while (*p) {
		if (*p == '\\' && p[1] >= '1' && p[1] <= '9')
			return "refers back (\\1 to \\9), which is not supported";
		p = weigh_one(&w, p);
		if (w.sum[w.depth] > WEIGHT_MAX)
			return "unfolds to more than 512 characters";
		if (w.nest[w.depth] > NEST_MAX)
			return "has repetitions more than 4 deep in each other";
	}
	return NULL;
}

static int match(const char *pattern, const char *revision, struct err *e)
{
	const char *costly = too_costly(pattern);
	char why[128];
	regex_t re;
	int rc;

	if (costly)
		return err_set(e, E_HARDWARE, EINVAL, "the pattern %s%.80s %s", PREFIX, pattern,
			       costly);
	rc = regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB);
	if (rc) {
		(void)regerror(rc, &re, why, sizeof(why));
		return err_set(e, rc == REG_ESPACE ? E_MEMORY : E_HARDWARE,
			       rc == REG_ESPACE ? ENOMEM : EINVAL,
			       "the pattern %s%.80s cannot be used: %s", PREFIX, pattern, why);
	}
	errno = 0;
	rc = regexec(&re, revision, 0, NULL, 0);
	regfree(&re);
	/* glibc says 'no match' where it had no memory to look */
	if (rc && (rc != REG_NOMATCH || errno == ENOMEM))
		return err_set(e, E_MEMORY, ENOMEM, "no memory to match %s%.80s", PREFIX, pattern);
	return rc == 0;
}

int hardware_matches(const char *pattern, const char *revision, struct err *e)
{
	if (strlen(pattern) > LENGTH_MAX || strlen(revision) > LENGTH_MAX)
		return err_set(e, E_HARDWARE, EINVAL,
			       "a hardware revision or its pattern is longer than %d bytes",
			       LENGTH_MAX);
	if (strncmp(pattern, PREFIX, strlen(PREFIX)) != 0)
		return !strcmp(pattern, revision);
	return match(pattern + strlen(PREFIX), revision, e);
}
