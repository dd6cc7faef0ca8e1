#include "handlers/lua_told.h"

#include <errno.h>
#include <string.h>

#include "corelib/base/text.h"

static void make_printable(char *text, size_t n)
{
	char copy[sizeof(((struct err *)0)->why)];
	size_t len = strnlen(text, n - 1);

	memcpy(copy, text, len);
	text_printable(copy, len, text, n);
}

static void take_failure(struct err *e, const char *bytes)
{
	if (err_is_set(e))
		return;
	memcpy(e, bytes, sizeof(*e));
	if (e->code == E_NONE || err_info(e->code)->code != e->code)
		e->code = E_LUA;
	if (e->sys <= 0 || e->sys > 4095)
		e->sys = EINVAL;
	make_printable(e->what, sizeof(e->what));
	make_printable(e->object, sizeof(e->object));
	make_printable(e->where, sizeof(e->where));
	make_printable(e->why, sizeof(e->why));
	make_printable(e->fix, sizeof(e->fix));
}

/* NAME NUL VALUE NUL; without a value it is unset */
static void take_variable(struct host *h, struct err *e, const char *text, size_t n, bool set)
{
	size_t name = strlen(text) + 1;

	h->ops->set_variable(h, text, set && name < n ? text + name : NULL, e);
}

void lua_told(struct host *h, struct err *e, const char *bytes, size_t n)
{
	char kind = n ? bytes[0] : '\0', level = n > 1 ? bytes[1] : '\0';
	bool text = n > 1 && bytes[n - 1] == '\0';

	if (kind == LUA_FAILED && n == 1 + sizeof(*e))
		take_failure(e, bytes + 1);
	else if (text && (kind == LUA_SET || kind == LUA_UNSET))
		take_variable(h, e, bytes + 1, n - 1, kind == LUA_SET);
	else if (text && n > 2 && kind == LUA_TELL)
		h->ops->tell(h, bytes + 2);
	else if (text && n > 2 && kind == LUA_SAY && level >= '1' && level <= '5')
		h->ops->say(h, (enum log_level)(level - '0'), bytes + 2);
	else
		err_set(e, E_LUA, EPROTO, "its process told something that cannot be read");
}

/* the next of the texts of a record; NULL when it has no end */
static const char *next_text(const char **at, const char *end)
{
	const char *text = *at, *zero = text < end ? memchr(text, 0, (size_t)(end - text)) : NULL;

	*at = zero ? zero + 1 : end;
	return zero ? text : NULL;
}

void lua_told_call(struct host *h, const char *bytes, size_t n, struct err *answer)
{
	const char *at = bytes + 1, *end = bytes + n;
	struct host_call c = {.type = next_text(&at, end)};

	c.file = next_text(&at, end);
	c.text = next_text(&at, end);
	if (!c.type || !c.file || !c.text || at != end)
		err_set(answer, E_LUA, EPROTO, "a call of the script cannot be read");
	else if (!h->ops->call)
		err_set(answer, E_NOT_BUILT, ENOTSUP, "call_handler is not possible here");
	else
		h->ops->call(h, &c, answer);
}
