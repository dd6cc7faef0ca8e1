#include "corelib/bootenv/bootenv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/bootenv/bootenv_private.h"
#include "corelib/device/extent.h"
#include "corelib/base/sys.h"
#include "corelib/base/text.h"

#define LOCK_MS_DEFAULT 30000

static const struct bootenv_backend *const backends[] = {
#define BOOTENV(name) &bootenv_##name,
#include "generated/bootenv.inc"
#undef BOOTENV
};

/* what exists at all, for messages: built in or not */
struct known {
	const char *name, *symbol;
};
static const struct known known[] = {
	{"uboot", "CONFIG_BOOTENV_UBOOT"},
	{"grub", "CONFIG_BOOTENV_GRUB"},
	{"file", "CONFIG_BOOTENV_FILE"},
	{"ebg", NULL},
	{"cboot", NULL},
};

/* ---- sets of changes ---- */

static struct envvar *envset_at(const struct envset *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->vars[i].name, name) == 0)
			return &s->vars[i];
	return NULL;
}

const struct envvar *envset_find(const struct envset *s, const char *name)
{
	return envset_at(s, name);
}

static int envset_grow(struct envset *s)
{
	size_t room = s->room ? s->room * 2 : 16;
	struct envvar *vars;

	if (s->count < s->room)
		return 0;
	vars = reallocarray(s->vars, room, sizeof(*vars));
	if (!vars)
		return -ENOMEM;
	s->vars = vars;
	s->room = room;
	return 0;
}

int envset_put(struct envset *s, const char *name, const char *value, struct err *e)
{
	AUTO_FREE char *copy = value ? strdup(value) : NULL;
	struct envvar *v = envset_at(s, name);

	if (value && !copy)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for boot variables");
	if (!v && s->count == ENVSET_MOST) /* each look-up goes through all of them */
		return err_set(e, E_ENV_BIG, E2BIG, "there are more than %d boot variables",
			       ENVSET_MOST);
	if (!v) {
		char *label = strdup(name);

		if (!label || envset_grow(s) < 0) {
			free(label);
			return err_set(e, E_MEMORY, ENOMEM, "no memory for boot variables");
		}
		v = &s->vars[s->count++];
		*v = (struct envvar){.name = label};
	}
	free(v->value);
	v->value = copy;
	copy = NULL;
	return 0;
}

void envset_clear(struct envset *s)
{
	for (size_t i = 0; i < s->count; i++) {
		free(s->vars[i].name);
		free(s->vars[i].value);
	}
	free(s->vars);
	*s = (struct envset){0};
}

/* ---- what no boot loader can hold ---- */

bool bootenv_name_ok(const char *name)
{
	if (!*name || *name == '#')
		return false;
	for (const unsigned char *c = (const unsigned char *)name; *c; c++)
		if (*c <= ' ' || *c >= 0x7f || *c == '=')
			return false;
	return true;
}

static bool value_ok(const char *value)
{
	for (const unsigned char *c = (const unsigned char *)value; *c; c++)
		if ((*c < ' ' && *c != '\t') || *c == 0x7f)
			return false;
	return true;
}

static int check_variable(const struct envvar *v, struct err *e)
{
	char shown[64];

	text_printable(v->name, strlen(v->name), shown, sizeof(shown));
	if (!bootenv_name_ok(v->name))
		return err_set(e, E_ENV_NAME, EINVAL, "'%s' cannot be the name of a boot variable",
			       shown);
	if (v->value && strlen(v->value) > BOOTENV_VALUE_MAX)
		return err_set(e, E_ENV_BIG, E2BIG, "the value of '%s' has %zu bytes, at most %d",
			       shown, strlen(v->value), BOOTENV_VALUE_MAX);
	if (v->value && !value_ok(v->value))
		return err_set(e, E_ENV_NAME, EINVAL,
			       "the value of '%s' has a line end or another control byte", shown);
	return 0;
}

static int check_variables(const struct envset *changes, struct err *e)
{
	for (size_t i = 0; i < changes->count; i++) {
		int rc = check_variable(&changes->vars[i], e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* ---- choosing a backend ---- */

const struct bootenv_backend *bootenv_backend(size_t i)
{
	return i < ARRAY_SIZE(backends) ? backends[i] : NULL;
}

static const struct bootenv_backend *find_backend(const char *kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
		if (strcmp(backends[i]->name, kind) == 0)
			return backends[i];
	return NULL;
}

static int no_backend(const char *kind, struct err *e)
{
	const char *names[ARRAY_SIZE(known) + 1] = {"none"};
	char shown[64];

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		names[i + 1] = known[i].name;
		if (strcmp(known[i].name, kind) != 0)
			continue;
		return err_set(e, E_NOT_BUILT, ENOTSUP,
			       known[i].symbol
				       ? "the boot environment '%s' is not built in (%s)"
				       : "the boot environment '%s' is not part of this release%s",
			       kind, known[i].symbol ? known[i].symbol : "");
	}
	text_printable(kind, strlen(kind), shown, sizeof(shown));
	const char *near = text_nearest(kind, names, ARRAY_SIZE(names));
	int rc = err_set(e, E_CONFIG, EINVAL, "'%s' is not a boot environment", shown);
	if (near)
		err_fix(e, "did you mean '%s'?", near);
	else
		err_fix(e, "use uboot, grub, file or none");
	return rc;
}

void bootenv_phase(struct bootenv *b)
{
	b->wait_left = b->lock_ms;
}

static int bootenv_init(struct bootenv *b, const struct bootenv_options *o, struct err *e)
{
	b->require_redundant = o->require_redundant;
	b->lock_ms = o->lock_ms ? o->lock_ms : LOCK_MS_DEFAULT;
	bootenv_phase(b);
	if (o->name_space && *o->name_space)
		return err_set(e, E_ENV_NAMESPACE, ENOTSUP,
			       "namespace '%s' is asked for; this libubootenv has none",
			       o->name_space);
	return b->ops->open(b, o, e);
}

int bootenv_open(struct bootenv **out, const struct bootenv_options *o, struct err *e)
{
	const char *kind = o->kind && *o->kind ? o->kind : "none";
	const struct bootenv_backend *ops = find_backend(kind);
	struct bootenv *b;

	*out = NULL;
	if (!ops)
		return no_backend(kind, e);
	b = calloc(1, sizeof(*b));
	if (!b)
		return err_set(e, E_MEMORY, ENOMEM, "no memory for the boot environment");
	b->ops = ops;
	int rc = bootenv_init(b, o, e);
	if (rc < 0) {
		bootenv_close(b);
		return err_while(e, rc, "opening the boot environment '%s'", kind);
	}
	*out = b;
	return 0;
}

struct bootenv *bootenv_close(struct bootenv *b)
{
	if (b) {
		if (b->ops->close)
			b->ops->close(b);
		free(b);
	}
	return NULL;
}

const char *bootenv_kind(const struct bootenv *b)
{
	return b->ops->name;
}

const char *bootenv_warning(const struct bootenv *b)
{
	return b->warning;
}

bool bootenv_is_switch(const struct bootenv *b)
{
	return b->ops != &bootenv_none;
}

/* ---- reading and changing ---- */

int bootenv_load(struct bootenv *b, struct envset *all, struct err *e)
{
	int rc = b->ops->load(b, all, e);

	if (rc < 0)
		envset_clear(all);
	return err_while(e, rc, "reading the boot environment");
}

int bootenv_get(struct bootenv *b, const char *name, char **value, struct err *e)
{
	struct envset all = {0};
	struct envvar *v;

	*value = NULL;
	int rc = bootenv_load(b, &all, e);
	if (rc < 0)
		return rc;
	v = envset_at(&all, name);
	if (v) {
		*value = v->value;
		v->value = NULL;
	}
	envset_clear(&all);
	return v ? 1 : 0;
}

static int too_torn(const struct bootenv *b, struct err *e)
{
	if (!b->require_redundant || !b->warning)
		return 0;
	int rc = err_set(e, E_ENV_TORN, EINVAL, "%s", b->warning);
	err_fix(e, "add the second line to fw_env.config, or switch require-redundant-env off");
	return rc;
}

int bootenv_check(struct bootenv *b, const struct envset *changes, struct err *e)
{
	int rc = check_variables(changes, e);

	if (rc == 0)
		rc = too_torn(b, e);
	if (rc == 0 && b->ops->check)
		rc = b->ops->check(b, changes, e);
	return err_while(e, rc, "checking the change of the boot environment");
}

bool bootenv_same(const struct envset *all, const struct envset *changes)
{
	for (size_t i = 0; i < changes->count; i++) {
		const struct envvar *want = &changes->vars[i], *is = envset_find(all, want->name);

		if (!want->value ? is != NULL : !is || strcmp(is->value, want->value) != 0)
			return false;
	}
	return true;
}

/*
 * Only what was asked for is compared: the checksum covers the whole, and another program may have
 * changed its own variables since.
 */
static int compare(const struct envset *now, const struct envset *changes, struct err *e)
{
	for (size_t i = 0; i < changes->count; i++) {
		const struct envset one = {.vars = &changes->vars[i], .count = 1};

		if (!bootenv_same(now, &one))
			return err_set(e, E_ENV_WRITE, EIO,
				       "the variable '%s' did not read back as it was written",
				       changes->vars[i].name);
	}
	return 0;
}

static int commit(struct bootenv *b, const struct envset *changes, struct envset *now,
		  struct err *e)
{
	int rc = check_variables(changes, e);

	if (rc < 0)
		return rc;
	rc = too_torn(b, e);
	if (rc < 0)
		return rc;
	rc = b->ops->commit(b, changes, e);
	if (rc < 0)
		return rc;
	rc = b->ops->load(b, now, e);
	return rc < 0 ? rc : compare(now, changes, e);
}

int bootenv_commit_read(struct bootenv *b, const struct envset *changes, struct envset *now,
			struct err *e)
{
	int rc = commit(b, changes, now, e);

	if (rc < 0)
		envset_clear(now);
	return err_while(e, rc, "changing the boot environment");
}

int bootenv_commit(struct bootenv *b, const struct envset *changes, struct err *e)
{
	AUTO_ENVSET struct envset now = {0};

	return bootenv_commit_read(b, changes, &now, e);
}

static bool place_overlaps(const struct bootenv_place *p, const struct extent *x)
{
	AUTO_CLOSE int fd = sys_openat(AT_FDCWD, p->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
	struct extent mine;

	return fd >= 0 && extent_of(fd, p->off, p->size, &mine) == 0 && extent_overlaps(&mine, x);
}

bool bootenv_overlaps(const struct bootenv *b, int fd, unsigned long long off,
		      unsigned long long len)
{
	struct extent x;

	if (extent_of(fd, off, len, &x) < 0)
		return false;
	for (size_t i = 0; i < b->place_count; i++)
		if (place_overlaps(&b->places[i], &x))
			return true;
	return false;
}
