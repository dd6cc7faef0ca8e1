/* A host that records. */
#include "tests/unit/kit/fake_host.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int set_variable(struct host *h, const char *name, const char *value, struct err *e)
{
	struct fake_host *f = (struct fake_host *)h;
	unsigned i = f->var_count;

	if (f->fail_at && f->fail_at == i + 1)
		return err_set(e, E_ENV_NAME, EINVAL, "as told");
	if (i == FAKE_HOST_MAX)
		return err_set(e, E_ENV_BIG, E2BIG, "the fake is full");
	snprintf(f->vars[i].name, sizeof(f->vars[i].name), "%s", name);
	snprintf(f->vars[i].value, sizeof(f->vars[i].value), "%s", value ? value : "");
	f->vars[i].unset = !value;
	f->var_count++;
	return 0;
}

static bool has_variable(struct host *h, const char *name)
{
	return fake_host_value((struct fake_host *)h, name) != NULL;
}

static int get_variable(struct host *h, const char *name, char **value, struct err *e)
{
	const char *v = fake_host_value((struct fake_host *)h, name);

	(void)e;
	*value = v && *v ? strdup(v) : NULL;
	return *value != NULL;
}

static void tell(struct host *h, const char *text)
{
	struct fake_host *f = (struct fake_host *)h;

	if (f->told_count < FAKE_HOST_MAX)
		snprintf(f->told[f->told_count++], sizeof(f->told[0]), "%s", text);
}

static void say(struct host *h, enum log_level level, const char *text)
{
	struct fake_host *f = (struct fake_host *)h;

	if (f->said_count < FAKE_HOST_MAX)
		snprintf(f->said[f->said_count], sizeof(f->said[0]), "%d %s", (int)level, text);
	f->said_count++;
}

static int script_folder(struct host *h, const char **path, struct err *e)
{
	*path = ((struct fake_host *)h)->folder;
	return **path ? 0 : err_set(e, E_STATE_DIR, EROFS, "the fake has no folder");
}

static int call(struct host *h, const struct host_call *c, struct err *e)
{
	struct fake_host *f = (struct fake_host *)h;

	f->calls++;
	snprintf(f->call_type, sizeof(f->call_type), "%s", c->type);
	snprintf(f->call_file, sizeof(f->call_file), "%s", c->file);
	snprintf(f->call_text, sizeof(f->call_text), "%s", c->text);
	if (strcmp(c->type, "broken") == 0)
		return err_set(e, E_TARGET, EIO, "the fake is broken");
	return 0;
}

const char *fake_host_value(const struct fake_host *f, const char *name)
{
	for (unsigned i = f->var_count; i-- > 0;)
		if (strcmp(f->vars[i].name, name) == 0)
			return f->vars[i].value;
	return NULL;
}

void fake_host_init(struct fake_host *f)
{
	static const struct host_ops ops = {set_variable, has_variable,	 get_variable, tell,
					    say,	  script_folder, NULL,	       call};

	memset(f, 0, sizeof(*f));
	f->h.ops = &ops;
}
