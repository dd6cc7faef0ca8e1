/*
 * Handlers written in Lua: what swupdate.register_handler() adds to the registry of one job.
 *
 * fn(image) for images, files, partitions and variables; fn(image, "preinst" or "postinst") for
 * scripts; 0 is success. What such a handler writes to by itself is not known to the plan, so its
 * payload is proven whole before the first byte reaches it (L1). image:read(fn) hands out the
 * payload as it is after decryption and decompression, image:copy2file(path) stores it: in a
 * confined state only in the folder that tmpdirscripts() names.
 */
#include "handlers/lua/lua_private.h"

#include <errno.h>
#include <string.h>

#include "corelib/base/text.h"
#include "handlers/lua/lua_entry.h"
#include "handlers/script.h"

enum { HANDLER_MS = 600000, VALUES_MAX = 1024 * 1024 };

/* ---- one call ---- */

static int judge(const struct lua_handler *h, const struct luaval *results, struct err *e)
{
	const struct luaval *code = luaval_at(results, 0), *why = luaval_at(results, 1);
	char text[400], number[32] = "";

	if (code->type == LUAVAL_INT && code->integer == 0)
		return 0;
	if (code->type != LUAVAL_INT && code->type != LUAVAL_FLOAT)
		return err_set(e, E_LUA, EINVAL,
			       "handler '%s' must return a number, 0 for success, not %s", h->name,
			       luaval_name(code));
	text_printable(why->text ? why->text : "", why->n, text, sizeof(text));
	text_print(number, sizeof(number), "%g", code->number);
	return err_set(e, E_LUA, EINVAL, "handler '%s' returned %s%s%s", h->name, number,
		       *text ? ": " : "", text);
}

static int call(struct step *st, struct stream *in, const char *phase, struct err *e)
{
	const struct lua_handler *h = st->arg;
	struct lua_call c = {
		.handler = h - h->state->own + 1, .st = st, .in = in, .ms = HANDLER_MS};
	struct arena *a = arena_new(VALUES_MAX);
	const struct luaval *results;
	int rc;

	if (!a)
		return err_set(e, E_MEMORY, ENOMEM, "no memory to call a handler in Lua");
	lua_entry_put(&c.args, st->entry, st->slot_device);
	if (phase)
		luabuf_text(&c.args, phase);
	rc = lua_state_call(h->state, &c, a, &results, e);
	if (rc == 0)
		rc = judge(h, results, e);
	arena_free(a);
	return rc;
}

static int lua_install(struct step *st, struct stream *in, struct err *e)
{
	int rc = call(st, in, NULL, e);

	/* what the function left unread has to be what was signed, too */
	return rc < 0 ? rc : stream_drain(in, e);
}

static int lua_run(struct step *st, enum phase phase, struct err *e)
{
	return call(st, NULL, phase == PHASE_PREINSTALL ? "preinst" : "postinst", e);
}

static const struct handler target = {
	.summary = "registered by Lua code",
	.kind = HANDLER_TARGET,
	.holds = HOLDS_NOTHING,
	.foreign = true,
	.install = lua_install,
};

static const struct handler action = {
	.summary = "registered by Lua code",
	.kind = HANDLER_ACTION,
	.sections = SECTION_SCRIPTS,
	.holds = HOLDS_NOTHING,
	.foreign = true,
	.phases = 1u << PHASE_PREINSTALL | 1u << PHASE_POSTINSTALL,
	.install = script_install,
	.commit = script_commit,
	.discard = script_discard,
	.run = lua_run,
};

/* ---- register_handler(name, function [, mask]) ---- */

static unsigned sections_of(int64_t mask)
{
	return (mask & LUA_MASK_IMAGE ? SECTION_IMAGES : 0) |
	       (mask & LUA_MASK_FILE ? SECTION_FILES : 0) |
	       (mask & LUA_MASK_BOOTLOADER ? SECTION_BOOTENV : 0) |
	       (mask & LUA_MASK_PARTITION ? SECTION_PARTITIONS : 0);
}

static int refuse(const char *why, struct err *e)
{
	return err_set(e, E_LUA, EINVAL, "register_handler: %s", why);
}

static int check_new(const struct lua_state *s, const char *name, int64_t mask, struct err *e)
{
	bool script = mask & LUA_MASK_SCRIPT;

	if (!name || !*name || strlen(name) >= LUA_HANDLER_NAME ||
	    text_has_control(name, strlen(name)) || !text_is_utf8(name, strlen(name)))
		return refuse("a name has 1 to 63 characters", e);
	if (mask <= 0 || mask > LUA_MASK_ANY)
		return refuse("no mask of HANDLER_MASK", e);
	if (!script && !sections_of(mask))
		return refuse("the mask names no list", e);
	if (script && sections_of(mask))
		return refuse("SCRIPT_HANDLER cannot be mixed with others", e);
	if (s->sealed)
		return refuse("a handler must be registered by the embedded script or a hook: "
			      "before the plan is made",
			      e);
	if (handler_find(name))
		return err_set(e, E_LUA, EEXIST, "there is a built-in handler '%s'", name);
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->own[i].name, name) == 0)
			return err_set(e, E_LUA, EEXIST, "a handler '%s' is registered already",
				       name);
	if (s->count == LUA_HANDLERS_MOST)
		return err_set(e, E_LUA, E2BIG, "more than %d handlers", (int)LUA_HANDLERS_MOST);
	return 0;
}

int lua_handler_register(struct lua_state *s, const struct luaval *args, struct luabuf *answer,
			 struct err *e)
{
	const struct luaval *given = luaval_at(args, 1);
	int64_t mask = given->type == LUAVAL_INT ? given->integer : LUA_MASK_ANY & ~LUA_MASK_SCRIPT;
	const char *name = luaval_text(args, 0);
	struct handler_row *row = &s->rows[s->count];
	struct lua_handler *h = &s->own[s->count];
	int rc = s->o.registers ? check_new(s, name, mask, e) : lua_nonsense(e);

	if (rc < 0)
		return rc;
	h->state = s;
	text_copy(h->name, sizeof(h->name), name);
	*row = (struct handler_row){.handler = mask & LUA_MASK_SCRIPT ? action : target, .arg = h};
	row->handler.name = h->name;
	row->handler.data_optional = mask & LUA_MASK_NO_DATA;
	if (!(mask & LUA_MASK_SCRIPT))
		row->handler.sections = sections_of(mask);
	s->count++;
	luabuf_int(answer, (int64_t)s->count);
	return 0;
}
