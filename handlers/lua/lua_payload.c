/*
 * The payload of a handler in Lua: read block by block, copied to a file, or handed on by
 * call_handler(). It stays in the job; what the code has not read is still there for the next.
 */
#include "handlers/lua/lua_private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"
#include "handlers/lua/lua_entry.h"

enum { FILE_MAX = 512, ARENA_MAX = 1024 * 1024 };

/* of the call that gave the code its image; it may be an outer one */
static const struct lua_call *payload_of(const struct lua_state *s, const struct luaval *args,
					 struct err *e)
{
	const struct luaval *number = luaval_at(args, 0);

	if (number->type == LUAVAL_INT)
		for (const struct lua_call *c = s->call; c; c = c->outer)
			if (c->number == number->integer && c->st && c->in)
				return c;
	err_set(e, E_LUA, EINVAL, "there is no payload to read here");
	return NULL;
}

/* nothing behind the proven end */
int lua_payload_read(struct lua_state *s, const struct luaval *args, struct luabuf *answer,
		     struct err *e)
{
	const struct lua_call *c = payload_of(s, args, e);
	const uint8_t *buf = NULL;
	ssize_t n;

	if (!c)
		return -e->sys;
	n = stream_next_max(c->in, LUA_BLOCK, &buf, e);
	if (n > 0)
		luabuf_bytes(answer, buf, (size_t)n);
	return n < 0 ? (int)n : 0;
}

/* ---- copy2file(path) ---- */

/* a name right in the job's own folder, where nobody else can put a link */
static int check_path(struct lua_state *s, const char *path, struct err *e)
{
	struct host *h = s->o.host;
	const char *folder = NULL, *name;
	size_t n;
	int rc;

	if (s->o.full)
		return 0;
	rc = h->ops->script_folder(h, &folder, e);
	if (rc < 0)
		return rc;
	n = strlen(folder);
	name = strncmp(path, folder, n) == 0 && path[n] == '/' ? path + n : "";
	name += strspn(name, "/");
	if (!*name || strchr(name, '/') || strcmp(name, "..") == 0)
		return err_set(e, E_LUA, EPERM,
			       "copy2file: '%s' is not in the folder of tmpdirscripts(); other "
			       "places need lua-trust = \"full\"",
			       path);
	return 0;
}

static int store(struct stream *in, const char *path, struct err *e)
{
	/* a FIFO or a terminal must not make the job wait (L4) */
	const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	AUTO_CLOSE int fd = sys_openat(AT_FDCWD, path, flags, 0600);
	const uint8_t *buf;
	struct stat st;
	ssize_t n;
	int rc;

	if (fd < 0)
		return err_sys(e, E_NONE, -fd, "making %s", path);
	if (fstat(fd, &st) < 0 || (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)))
		return err_set(e, E_LUA, EINVAL, "%s is not a file", path);
	while ((n = stream_next(in, &buf, e)) > 0) {
		rc = sys_write(fd, buf, (size_t)n);
		if (rc < 0)
			return err_sys(e, E_NONE, -rc, "writing %s", path);
	}
	if (n < 0)
		return (int)n;
	rc = sys_fsync(fd);
	return rc < 0 ? err_sys(e, E_NONE, -rc, "flushing %s", path) : 0;
}

int lua_payload_copy(struct lua_state *s, const struct luaval *args, struct luabuf *answer,
		     struct err *e)
{
	const struct lua_call *c = payload_of(s, args, e);
	const char *path = luaval_text(args, 1);
	struct err own = {0};
	int rc;

	if (!c)
		return -e->sys;
	if (!path)
		return lua_nonsense(e);
	rc = check_path(s, path, e);
	if (rc < 0)
		return rc;
	rc = store(c->in, path, &own);
	luabuf_int(answer, rc < 0 ? -1 : 0);
	if (rc < 0)
		luabuf_text(answer, own.why);
	else
		luabuf_nil(answer);
	return 0;
}

/* ---- call_handler(type, image) ---- */

/* a path in filename is the file; the entry has the name alone */
static int take_file(const char *name, char *file, const char **base, struct err *e)
{
	const char *slash = strrchr(name, '/');

	*file = '\0';
	*base = slash ? slash + 1 : name;
	if (slash && (text_copy(file, FILE_MAX, name) < 0 || !slash[1]))
		return err_set(e, E_LUA, EINVAL, "call_handler: '%s' is not the path of a file",
			       name);
	return 0;
}

static int check_known(const struct node *group, struct err *e)
{
	node_for_each(n, group)
		if (n->type == NODE_NULL)
			return err_set(e, E_LUA, EINVAL,
				       "call_handler: '%s' is no attribute of an entry, or has no "
				       "value that one can have",
				       n->name);
	return 0;
}

/* the group "entry" as text: 'image', of the type that is called */
static int make_text(const struct lua_call *from, const struct luaval *args, struct arena *a,
		     char *file, char *text, struct err *e)
{
	static const struct entry nothing = {.section = SECTION_IMAGES};
	const struct luaval *image = luaval_at(args, 1), *name = luaval_find(image, "filename");
	/* what stands first is found first */
	struct luaval first[2] = {*luaval_at(args, 0), {.type = LUAVAL_TEXT}}, whole = *image;
	const struct node *group;
	int rc = 0;

	first[0].key = "type";
	first[0].next = image->child;
	whole.child = first;
	if (name && name->type == LUAVAL_TEXT) {
		rc = take_file(name->text, file, &first[1].text, e);
		first[1].key = "filename";
		first[1].n = strlen(first[1].text);
		first[1].next = first[0].next;
		first[0].next = &first[1];
	}
	if (rc == 0)
		rc = lua_entry_group(&whole, from && from->st ? from->st->entry : &nothing, a,
				     &group, e);
	if (rc == 0)
		rc = check_known(group, e);
	if (rc < 0)
		return rc;
	rc = node_print(group->parent, text, HOST_CALL_TEXT);
	if (rc == -ENOSPC)
		return err_set(e, E_LUA, E2BIG,
			       "call_handler: the image has more than %d bytes of attributes",
			       (int)HOST_CALL_TEXT);
	return rc < 0 ? err_set(e, E_LUA, EINVAL,
				"call_handler: the image has a name that a description cannot have")
		      : 0;
}

/* whoever is asked to stop does not decide what follows */
static bool must_raise(const struct err *e)
{
	return e->code == E_CANCELED || e->code == E_DEADLINE || e->code == E_MEMORY ||
	       e->code == E_INTERNAL;
}

int lua_payload_call_handler(struct lua_state *s, const struct luaval *args, struct luabuf *answer,
			     struct err *e)
{
	const struct lua_call *from = s->call;
	struct host *h = s->o.host;
	char file[FILE_MAX] = "", text[HOST_CALL_TEXT], why[sizeof(e->why) + 64];
	struct host_call c = {.type = luaval_text(args, 0), .text = text, .file = file};
	struct err own = {0};
	struct arena *a;
	int rc;

	if (!c.type || luaval_at(args, 1)->type != LUAVAL_TABLE)
		return lua_nonsense(e);
	a = arena_new(ARENA_MAX);
	if (!a)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for an entry from Lua");
	rc = make_text(from, args, a, file, text, e);
	arena_free(a);
	if (rc < 0)
		return rc;
	if (!file[0] && from && from->st && from->in) {
		c.in = from->in;
		c.has_size = from->st->has_size;
		c.size = from->st->size;
	}
	if (h->ops->call)
		h->ops->call(h, &c, &own);
	else
		err_set(&own, E_NOT_BUILT, ENOTSUP, "call_handler is not possible here");
	if (must_raise(&own)) {
		*e = own;
		return -e->sys;
	}
	luabuf_int(answer, err_is_set(&own));
	if (err_is_set(&own)) {
		text_print(why, sizeof(why), "%s (%s)", own.why, err_info(own.code)->name);
		luabuf_text(answer, why);
	}
	return 0;
}
