#include "corelib/base/words.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct splitter {
	const char *in;
	char *out;
	struct words *w;
	bool open; /* inside a word, which may be empty: '' */
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int begin_word(struct splitter *s, struct err *e)
{
	if (s->open)
		return 0;
	if (s->w->count == WORDS_MAX)
		return err_set(e, E_DESC_VALUE, E2BIG, "there are more than %d words", WORDS_MAX);
	s->w->at[s->w->count++] = s->out;
	s->open = true;
	return 0;
}

static void end_word(struct splitter *s)
{
	if (s->open)
		*s->out++ = '\0';
	s->open = false;
}

/* behind a backslash; inside double quotes it is special before these four and a line end only */
static int take_escaped(struct splitter *s, bool quoted, struct err *e)
{
	char c = *s->in;

	if (c == '\0')
		return err_set(e, E_DESC_VALUE, EINVAL, "there is a backslash at the end");
	s->in++;
	if (c == '\n')
		return 0;
	if (quoted && !strchr("$`\"\\", c))
		*s->out++ = '\\';
	*s->out++ = c;
	return 0;
}

static int take_quoted(struct splitter *s, char quote, struct err *e)
{
	int rc = 0;

	while (rc == 0 && *s->in && *s->in != quote) {
		char c = *s->in++;

		if (c == '\\' && quote == '"')
			rc = take_escaped(s, true, e);
		else
			*s->out++ = c;
	}
	if (rc == 0 && *s->in != quote)
		return err_set(e, E_DESC_VALUE, EINVAL, "a quote (%c) is not closed", quote);
	s->in++;
	return rc;
}

static int take(struct splitter *s, struct err *e)
{
	char c = *s->in++;
	int rc;

	if (is_blank(c)) {
		end_word(s);
		return 0;
	}
	if (c == '\\' && *s->in == '\n') {
		s->in++;
		return 0;
	}
	rc = begin_word(s, e);
	if (rc < 0)
		return rc;
	if (c == '\\')
		return take_escaped(s, false, e);
	if (c == '\'' || c == '"')
		return take_quoted(s, c, e);
	*s->out++ = c;
	return 0;
}

int words_split(struct words *w, const char *text, struct err *e)
{
	const size_t table = (WORDS_MAX + 1) * sizeof(char *);
	struct splitter s = {.in = text ? text : "", .w = w};
	int rc = 0;

	w->count = 0;
	/* a word is never longer than its source, and its end takes the place of the blank */
	w->at = calloc(1, table + strlen(s.in) + 2);
	if (!w->at)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for words");
	s.out = (char *)w->at + table;
	while (rc == 0 && *s.in)
		rc = take(&s, e);
	if (rc < 0) {
		words_clear(w);
		return rc;
	}
	end_word(&s);
	return 0;
}

void words_clear(struct words *w)
{
	free(w->at);
	*w = (struct words){0};
}
