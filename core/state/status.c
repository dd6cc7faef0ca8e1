#include "core/state/status.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "corelib/base/sys.h"
#include "corelib/base/text.h"

enum { STATUS_MAX = 16 * 1024 };

static void put(FILE *f, const char *key, const char *value)
{
	char clean[1024];

	if (!*value)
		return;
	text_printable(value, strlen(value), clean, sizeof(clean));
	fprintf(f, "%s=%s\n", key, clean);
}

static void put_err(FILE *f, const struct err *e)
{
	if (!err_is_set(e))
		return;
	put(f, "code", err_info(e->code)->name);
	put(f, "what", e->what);
	put(f, "where", e->where);
	put(f, "why", e->why);
	put(f, "fix", err_fix_text(e));
}

int status_write(const char *state_dir, const struct status *s)
{
	AUTO_FREE char *text = NULL;
	char path[4096];
	size_t n = 0;
	FILE *f;

	if (!state_dir || text_print(path, sizeof(path), "%s/status", state_dir) < 0)
		return -EINVAL;
	f = open_memstream(&text, &n);
	if (!f)
		return -ENOMEM;
	put(f, "state", s->state);
	put(f, "version", s->version);
	put(f, "bundle", s->bundle);
	fprintf(f, "time=%" PRId64 "\n", s->time);
	put_err(f, &s->err);
	if (!text_close(f, &text))
		return -ENOMEM;
	return sys_replace_file(path, text, n, 0644);
}

void status_tidy(const char *state_dir)
{
	char path[4096];

	if (state_dir && text_print(path, sizeof(path), "%s/.status.new", state_dir) == 0)
		sys_unlinkat(AT_FDCWD, path, 0);
}

static enum errcode code_of(const char *name)
{
	for (size_t i = 0; err_row(i); i++)
		if (strcmp(err_row(i)->name, name) == 0)
			return err_row(i)->code;
	return E_INTERNAL;
}

static void take(struct status *s, const char *key, const char *value)
{
	const struct {
		const char *key;
		char *at;
		size_t size;
	} rows[] = {
		{"state", s->state, sizeof(s->state)},
		{"version", s->version, sizeof(s->version)},
		{"bundle", s->bundle, sizeof(s->bundle)},
		{"what", s->err.what, sizeof(s->err.what)},
		{"where", s->err.where, sizeof(s->err.where)},
		{"why", s->err.why, sizeof(s->err.why)},
		{"fix", s->err.fix, sizeof(s->err.fix)},
	};
	uint64_t number;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (strcmp(rows[i].key, key) == 0)
			text_printable(value, strlen(value), rows[i].at, rows[i].size);
	if (strcmp(key, "time") == 0 && text_u64(value, &number) == 0 && number < INT64_MAX)
		s->time = (int64_t)number;
	if (strcmp(key, "code") == 0)
		s->err.code = code_of(value);
}

int status_read(const char *state_dir, struct status *s)
{
	AUTO_FREE char *text = NULL;
	char path[4096], *line, *rest;
	size_t n;
	int rc;

	memset(s, 0, sizeof(*s));
	if (!state_dir || text_print(path, sizeof(path), "%s/status", state_dir) < 0)
		return -EINVAL;
	rc = sys_read_file(AT_FDCWD, path, STATUS_MAX, &text, &n);
	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *value = strchr(line, '=');

		if (!value)
			continue;
		*value++ = '\0';
		take(s, line, value);
	}
	return 0;
}
