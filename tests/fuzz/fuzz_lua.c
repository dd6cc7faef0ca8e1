/*
 * What the process of Lua code sends: whatever it asks, what arrives at the job is well formed,
 * what the job answers can be read, and a failure is one that people can be told.
 *
 * The first byte is a set of flags (1 it registers handlers, 2 a handler with a payload runs, 4 a
 * full state); then messages: a kind, two bytes of length, values.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/lines.h"
#include "corelib/base/text.h"
#include "handlers/lua/lua_private.h"
#include "tests/fuzz/fuzzkit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { VALUES_MAX = 1 << 20 };

/* a text as the log and the events have it */
static void look_at(const char *text, size_t size)
{
	size_t n = strnlen(text, size);

	if (n == size || text_has_control(text, n) || !text_is_utf8(text, n))
		fuzzkit_fail("a line that is not printable", NULL);
}

/* ---- the host ---- */

static int set_variable(struct host *h, const char *name, const char *value, struct err *e)
{
	(void)h;
	if (value && !*value)
		fuzzkit_fail("an empty value instead of none", name);
	return *name == '!' ? err_set(e, E_ENV_NAME, EINVAL, "as told") : 0;
}

static int get_variable(struct host *h, const char *name, char **value, struct err *e)
{
	(void)h;
	(void)e;
	*value = strdup(name);
	return *value != NULL;
}

static void tell(struct host *h, const char *text)
{
	(void)h;
	look_at(text, LINES_BYTES + 1);
}

static void say(struct host *h, enum log_level level, const char *text)
{
	if (level < LOG_LEVEL_ERROR || level > LOG_LEVEL_TRACE)
		fuzzkit_fail("there is no such level", text);
	tell(h, text);
}

/* nothing is mounted or made */
static int script_folder(struct host *h, const char **path, struct err *e)
{
	(void)h;
	*path = NULL;
	return err_set(e, E_STATE_DIR, EROFS, "there is no folder");
}

static int call(struct host *h, const struct host_call *c, struct err *e)
{
	(void)h;
	if (strlen(c->text) >= HOST_CALL_TEXT || strncmp(c->text, "entry = {\n", 10) != 0 ||
	    !text_is_utf8(c->text, strlen(c->text)))
		fuzzkit_fail("not the text of an entry", c->text);
	if (*c->file && c->in)
		fuzzkit_fail("two payloads", c->file);
	return *c->type == 'r' ? err_set(e, E_TARGET, EIO, "as told") : 0;
}

static const struct host_ops ops = {.set_variable = set_variable,
				    .get_variable = get_variable,
				    .tell = tell,
				    .say = say,
				    .script_folder = script_folder,
				    .call = call};

/* ---- messages ---- */

static void look_at_failure(const struct err *e)
{
	if (err_info(e->code)->code != e->code || e->sys <= 0 ||
	    strnlen(e->why, sizeof(e->why)) == sizeof(e->why))
		fuzzkit_fail("a failure that is none", NULL);
}

static void look_at_answer(const struct luabuf *b)
{
	struct arena *a = arena_new(VALUES_MAX);
	const struct luaval *values;
	struct err e = {0};

	if (!a || b->failed || luaval_read(b->at, b->n, a, &values, &e) < 0)
		fuzzkit_fail("an answer that cannot be read", e.why);
	arena_free(a);
}

/* false: the process would be ended */
static bool take(struct lua_state *s, enum lua_kind kind, const uint8_t *data, size_t n)
{
	struct arena *a = arena_new(VALUES_MAX);
	const struct luaval *values;
	struct luabuf answer = {.n = 0};
	struct err e = {0};
	uint8_t *own = malloc(n ? n : 1); /* of its own, so that a byte too much is seen */
	int rc;

	if (!a || !own)
		abort();
	memcpy(own, data, n);
	rc = luaval_read(own, n, a, &values, &e);
	if (rc == 0)
		rc = lua_state_serve(s, kind, values, &answer, &e);
	if (rc < 0)
		look_at_failure(&e);
	else if (err_is_set(&e))
		fuzzkit_fail("a failure was lost", e.why);
	else
		look_at_answer(&answer);
	free(answer.at);
	free(own);
	arena_free(a);
	return rc == 0 || e.sys != EPROTO;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct property none = {.name = "n", .values = NULL, .count = 0};
	struct host h = {.ops = &ops, .board = "b", .select = "s,m"};
	struct entry t = {.section = SECTION_IMAGES, .filename = "f", .props = &none};
	struct step st = {.entry = &t, .host = &h};
	struct lua_call c = {.number = 1, .st = &st};
	struct lua_state *s;
	struct err e = {0};
	uint8_t flags;

	if (n < 1 || n > 65536)
		return 0;
	flags = *data++;
	n--;
	s = calloc(1, sizeof(*s));
	if (!s || stream_mem_open(&c.in, "payload", 7, &e) < 0)
		abort();
	s->o = (struct lua_state_options){
		.host = &h, .registers = flags & 1, .full = flags & 4, .print = LOG_LEVEL_TRACE};
	/* a full state may copy to any path */
	if (flags & 2 && !s->o.full)
		s->call = &c;
	for (bool on = true; on && n >= 3;) {
		size_t len = data[1] | (size_t)data[2] << 8;

		len = len < n - 3 ? len : n - 3;
		on = take(s, data[0], data + 3, len);
		data += 3 + len;
		n -= 3 + len;
	}
	if (s->count > LUA_HANDLERS_MOST)
		fuzzkit_fail("too many handlers", NULL);
	for (size_t i = 0; i < s->count; i++)
		look_at(s->own[i].name, LUA_HANDLER_NAME);
	stream_close(c.in);
	free(s);
	return 0;
}
