#include "corelib/base/lines.h"

#include <string.h>

#include "corelib/base/text.h"

static void hand_on(struct lines *l)
{
	char out[LINES_BYTES + 1];
	size_t len = l->len;

	if (l->cut)
		memcpy(l->text + sizeof(l->text) - 3, "...", 3);
	else if (len && l->text[len - 1] == '\r')
		len--;
	text_printable(l->text, len, out, sizeof(out));
	l->len = 0;
	l->cut = false;
	l->line(l->arg, out);
}

void lines_take(struct lines *l, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == '\n')
			hand_on(l);
		else if (l->len < sizeof(l->text))
			l->text[l->len++] = bytes[i];
		else
			l->cut = true;
	}
}

void lines_end(struct lines *l)
{
	if (l->len)
		hand_on(l);
}

const char *lines_bounded(size_t *told, const char *text)
{
	if (*told > LINES_TOTAL)
		return NULL;
	*told += strlen(text) + 1;
	return *told > LINES_TOTAL ? "(more output of this program is not shown)" : text;
}
